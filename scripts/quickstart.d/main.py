# SPDX-License-Identifier: MIT
"""Runs the example application against a private broker and judges what it did.

main.py MODE SOURCE-DIRECTORY BUILD-DIRECTORY, with MODE run, keep or stop: called by scripts/quickstart.
"""
import collections
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import evidence
import screen as screens
import verdict as verdicts
from processes import Processes, running_with

WORKERS = ["worker-one", "worker-two"]
BEATS = ["beat-one", "beat-two"]
START_S, SETTLE_S = 30, 60
LEADS = re.compile(r"\bleading\b")


class Failed(Exception):
    """Something that had to happen did not; the text says what, and where to look."""


class Quickstart:
    def __init__(self, source, build):
        self.source = pathlib.Path(source)
        self.build = pathlib.Path(build)
        self.run = self.build / "run"
        self.coney = self.build / "bin/coney"
        self.screen = screens.Screen()
        self.processes = Processes(self.run)
        self.shown = {}
        self.broker = {}
        self.led_us = 0
        self.failovers = 0
        self.complaints = []
        self.counts = collections.Counter()

    # --- the stage ------------------------------------------------------------------------

    def ask_broker(self, *arguments):
        """scripts/broker, out of reach of a Ctrl-C: half a start would be hard to undo."""
        with subprocess.Popen([self.source / "scripts/broker", *arguments], text=True,
                              stdout=subprocess.PIPE, start_new_session=True, umask=0o077,
                              env=dict(os.environ, CONEY_BROKER_DIR=self.build / "broker")) as ask:
            try:
                output = ask.communicate()[0]
            except KeyboardInterrupt:
                ask.communicate()
                raise
        if ask.returncode != 0:
            raise Failed(f"scripts/broker {' '.join(arguments)} failed")
        return output

    def start_broker(self):
        self.screen.say("== broker: a private RabbitMQ with TLS, on loopback", "bold")
        self.ask_broker("start", "demo")
        for line in self.ask_broker("env", "demo").splitlines():
            name, _, value = line.partition("=")
            self.broker[name] = shlex.split(value)[0] if value else ""
        self.screen.say(f"   watch it at {self.broker['CONEY_MGMT_URL']}/  (user "
                        f"{self.broker['CONEY_BROKER_USER']}, password "
                        f"{self.broker['CONEY_BROKER_PASSWORD']})")

    def config(self, instance):
        """The example's configuration, and beside it what is different here."""
        directory = self.run / instance
        (directory / "conf.d").mkdir(parents=True)
        example = self.source / "config/examples"
        shutil.copy(example / "coney.yaml", directory)
        here = {
            "broker": {"urls": [self.broker["CONEY_BROKER_URL"]],
                       "password_file": self.broker["CONEY_BROKER_PASSWORD_FILE"],
                       "tls": {"ca": self.broker["CONEY_CA"]}},
            "worker": {"instance": instance, "plugins": [f"{self.build}/example/notify.so"]},
            "tasks": {task: {"command": [f"{example}/{program}"], "directory": str(self.run)}
                      for task, program in (("reports.daily", "report.py"), ("ops.*", "tick.sh"),
                                            ("video.encode", "encode.sh"))}}
        (directory / "conf.d/quickstart.yaml").write_text(json.dumps(here, indent=2) + "\n")

    def start(self, name):
        verb, instance = name.split("-")
        self.processes.start(name, [self.coney, verb, "--config", f"{instance}/coney.yaml"],
                             dict(os.environ))

    def start_all(self):
        if self.run.exists():
            shutil.rmtree(self.run)
        self.run.mkdir(parents=True)
        for instance in ("one", "two"):
            self.config(instance)
        self.screen.say("== two workers, two beats, and what these will send (coney schedule list)",
                        "bold")
        for line in subprocess.run(
                [self.coney, "schedule", "list", "--config", self.run / "one/coney.yaml"],
                check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines():
            self.screen.say("   " + line.expandtabs(16))
        for name in WORKERS + BEATS:
            self.start(name)
        self.wait(lambda: all("consuming  node=" in "\n".join(self.log(name)) for name in WORKERS)
                  and self.leader(), "workers and a leading beat", START_S)
        self.led_us = time.time_ns() // 1000
        self.look()

    def left_over(self):
        return self.processes.names() or (self.build / "broker/demo").exists()

    def stop_all(self):
        """In order: first who makes work, then who does it, then the broker."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        names = self.processes.names()
        workers = [name for name in names if name.startswith("worker")]
        others = [name for name in names if name not in workers]
        in_peace = self.processes.stop(others) and self.processes.stop(workers)
        if (self.build / "broker/demo").exists():
            self.ask_broker("remove", "demo")
        return in_peace

    # --- the play -------------------------------------------------------------------------

    def log(self, name):
        return evidence.lines_of(self.run / f"{name}.log")

    def leader(self):
        """The beat that holds the token, by its own log."""
        leading = [name for name in BEATS if name in self.processes.names()
                   and any(LEADS.search(line) for line in self.log(name))]
        return leading[0] if leading else None

    def look(self):
        """Show what is new, and count."""
        for name in WORKERS + BEATS:
            lines = self.log(name)
            for line in lines[self.shown.get(name, 0):]:
                self.screen.event(name, line)
            self.shown[name] = len(lines)
        sent = evidence.sent(self.run / "shop.log")
        ledger = evidence.ledger(self.run / "ledger")
        known = {one.id for one in sent}
        logs = [line for name in WORKERS for line in self.log(name)]
        counts = {"sent": len(sent),
                  "started": sum(line.event == "started" for line in ledger),
                  "succeeded": sum(line.event == "done" and line.id in known for line in ledger),
                  "retried": sum("; retry " in line for line in logs),
                  "dead": sum("task failed for good" in line for line in logs),
                  "scheduled": sum(line.event == "done" and line.id not in known
                                   for line in ledger)}
        self.screen.status("   " + "  ".join(f"{key} {value}" for key, value in counts.items()))
        self.counts = counts

    def wait(self, condition, what, deadline_s):
        deadline = time.monotonic() + deadline_s
        self.look()
        while not condition():
            ended = {name: status for name, status in self.processes.ended().items()
                     if name in self.processes.names() and name != "shop"}
            if ended:
                raise Failed(f"{ended} ended by itself; see {self.run}")
            if time.monotonic() > deadline:
                raise Failed(f"waited {deadline_s} s in vain for {what}; see {self.run}")
            self.look()
            time.sleep(0.1)

    def wait_or_complain(self, condition, what, deadline_s):
        """For what the verdict explains better than the deadline does."""
        try:
            self.wait(condition, what, deadline_s)
        except Failed as failed:
            self.complaints.append(str(failed))

    def play(self):
        self.screen.say("== the example application: tasks sent, and what becomes of them",
                        "bold")
        self.processes.start("shop", [self.build / "example/shop"],
                             dict(os.environ, CONEY_CONFIG=str(self.run / "one/coney.yaml")))
        self.wait(lambda: self.counts["sent"] > 100, "a hundred tasks", START_S)
        self.fail_over()
        self.wait(lambda: "shop" in self.processes.ended(), "the producer", START_S)
        if self.processes.ended()["shop"] != 0:
            raise Failed(f"not all was sent; see {self.run}/shop.log")
        self.processes.stop(["shop"])

        def all_settled():
            return self.counts["succeeded"] + self.counts["dead"] >= self.counts["sent"]
        self.wait_or_complain(all_settled, "every task to end", SETTLE_S)

    def fail_over(self):
        leader = self.leader()
        self.screen.say(f"== {leader} leads: kill -9", "bold")
        self.processes.signal(leader, signal.SIGKILL)
        self.processes.stop([leader])
        self.failovers += 1
        self.wait(self.leader, "the other beat to lead", START_S)

    def stop_beats(self):
        """Between two ticks, so that nobody can argue about the last one."""
        while not 0.4 < time.time() % 1 < 0.6:
            time.sleep(0.02)
        stopped_us = time.time_ns() // 1000
        if not self.processes.stop([name for name in BEATS if name in self.processes.names()]):
            raise Failed(f"a beat did not stop; see {self.run}")
        return stopped_us

    def queues(self):
        return evidence.queue_counts(self.ask_broker(
            "ctl", "demo", "--quiet", "list_queues", "name", "messages"))

    # --- the end --------------------------------------------------------------------------

    def judge(self):
        stopped_us = self.stop_beats()
        self.wait_or_complain(
            lambda: sum(self.queues().values()) == self.counts["dead"] + 1,
            "the queues to be empty", START_S)
        found = verdicts.Evidence(
            sent=evidence.sent(self.run / "shop.log"),
            ledger=evidence.ledger(self.run / "ledger"),
            asked=[one for name in WORKERS for one in evidence.asked(self.run / f"{name}.log")],
            letters=evidence.letters(self.broker["CONEY_MGMT_URL"],
                                     self.broker["CONEY_BROKER_USER"],
                                     self.broker["CONEY_BROKER_PASSWORD"]),
            queues=self.queues(), led_us=self.led_us, stopped_us=stopped_us,
            failovers=self.failovers, left_behind=running_with("CONEY_TASK=video.encode"))
        verdict = verdicts.Verdict(found)
        self.screen.say("")
        screens.show(self.screen, verdict, verdicts.percentile)
        self.complaints += verdict.complaints

    def report(self):
        complaints = self.complaints
        for complaint in complaints[:20]:
            self.screen.say(f"wrong: {complaint}", "error")
        if len(complaints) > 20:
            self.screen.say(f"wrong: and {len(complaints) - 20} more", "error")
        self.screen.say("every count is as it must be" if not complaints else
                        f"{len(complaints)} counts are not as they must be",
                        "good" if not complaints else "error")

    def say_how_to_see_more(self):
        self.screen.say(f"logs and ledger: {os.path.relpath(self.run)}/; with --keep everything goes "
                        "on running, the management UI included")

    def say_how_to_go_on(self):
        for name in BEATS:
            self.start(name)
        here = pathlib.Path(os.path.relpath(self.build))
        self.screen.say(f"""
Everything goes on running.
  management UI  {self.broker['CONEY_MGMT_URL']}/  user {self.broker['CONEY_BROKER_USER']}, \
password {self.broker['CONEY_BROKER_PASSWORD']}
                 connections, queues, and the evidence in the dead letters of coney.dead
  send a task    export CONEY_CONFIG={here}/run/one/coney.yaml
                 {here}/bin/coney send notify.send_email '"kofi@example.org"' '"hello"' --wait
  logs, ledger   {here}/run/
  stop it        scripts/quickstart --stop""")


def interrupted(_number, _frame):
    raise KeyboardInterrupt


def main():
    mode, source, build = sys.argv[1:]
    quickstart = Quickstart(source, build)
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    if mode == "stop" or quickstart.left_over():
        quickstart.screen.say("== stopping what an earlier run has left running"
                              if quickstart.left_over() else "nothing is left running")
        quickstart.stop_all()
        if mode == "stop":
            return 0
    keep = False
    try:
        quickstart.start_broker()
        quickstart.start_all()
        quickstart.play()
        quickstart.judge()
        quickstart.report()
        keep = mode == "keep"
        if keep:
            quickstart.say_how_to_go_on()
        else:
            quickstart.say_how_to_see_more()
        return 1 if quickstart.complaints else 0
    except Failed as failed:
        quickstart.screen.say(f"quickstart: {failed}", "error")
        return 1
    except KeyboardInterrupt:
        quickstart.screen.say("interrupted; stopping everything")
        return 130
    finally:
        if not keep:
            quickstart.stop_all()


if __name__ == "__main__":
    sys.exit(main())
