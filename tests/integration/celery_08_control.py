#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=300
"""Remote control as Debian's own Celery gives it: every inspect and control command, with and
without destination and pattern, an unknown one, to two Coney workers and a Python one, which
mingles and gossips with them and must not mind.

Run with `worker` as argument this file is the Python worker.
"""
import json
import subprocess
import sys
import time

import celery
import kombu

from coneytest import (ENV, CeleryProgram, Producer, Scratch, Worker, broker, celery_ssl,
                       strangers, wait_for, worker_config)

QUEUE = "coney.default"
PYTHON = "py@peer"
app = celery.Celery("py", broker=ENV["CONEY_BROKER_AUTH_URL"], backend="rpc://")
app.conf.update(broker_use_ssl=celery_ssl(), worker_hijack_root_logger=False,
                task_queues=[kombu.Queue("python", durable=True)])


@app.task(name="py.add")
def add(x, y):
    return x + y


def client():
    """Without TLS, as the celery program below."""
    plain = celery.Celery("client", broker=ENV["CONEY_BROKER_PLAIN_AUTH_URL"], backend="rpc://")
    plain.conf.task_queues = [kombu.Queue(QUEUE, no_declare=True)]
    return plain


CLIENT = client()


class PythonWorker(CeleryProgram):
    """With gossip and mingle, as Celery starts by default."""

    def check(self):
        assert self.is_alive(), self.text()
        assert "Traceback" not in self.text(), self.text()

    def __exit__(self, kind, value, trace):
        status = self.stop()
        text = self.text()
        super().__exit__(kind, value, trace)
        assert kind is not None or (status == 0 and "Traceback" not in text), (status, text)


def program(*arguments):
    """What `celery -b BROKER ...` prints and its status."""
    done = subprocess.run([sys.executable, "-m", "celery", "-b",
                           ENV["CONEY_BROKER_PLAIN_AUTH_URL"], *arguments],
                          text=True, capture_output=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def without_strangers(replies):
    return {node: reply for node, reply in replies.items() if node not in strangers()}


def inspect(command, *arguments, nodes, options=()):
    """{node: reply} as `celery inspect --json` prints it."""
    done = program("inspect", "--timeout", "1.5", "--json", *options, command, *arguments)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    replies = without_strangers(json.loads(done.stdout))
    assert set(replies) == set(nodes), (command, replies)
    return replies


def control(method, nodes=None, destination=None, pattern=None, matcher=None, **arguments):
    replies = CLIENT.control.broadcast(method, arguments=arguments, reply=True, timeout=1,
                                       destination=destination, pattern=pattern,
                                       matcher=matcher)
    found = without_strangers({node: reply for one in replies or []
                               for node, reply in one.items()})
    assert nodes is None or set(found) == set(nodes), (method, found)
    return found


def answers_of_all(replies, text):
    assert all(text in json.dumps(r) for r in replies.values()), replies


def who_is_asked(ours, everyone):
    a, b = ours
    status = program("status")
    assert status.returncode == 0 and f"{3 + len(strangers())} nodes online" in status.stdout, status.stdout
    assert all(f"{node}: OK" in status.stdout for node in everyone), status.stdout
    inspect("ping", nodes=everyone)
    inspect("ping", nodes=[a], options=["--destination", a])
    control("ping", nodes=everyone)
    control("ping", nodes=[a, PYTHON], destination=[a, PYTHON])
    control("ping", nodes=[], destination=["coney"])
    control("ping", nodes=ours, pattern="coney*", matcher="glob")
    control("ping", nodes=[PYTHON], pattern="py@*", matcher="glob")
    control("ping", nodes=[b], pattern=r"coney-\w+@", matcher="pcre")
    control("ping", nodes=ours, pattern=r"^coney(-(?:two))?@\S+$", matcher="pcre")
    control("ping", nodes=[], pattern="oney", matcher="pcre")
    # Celery's own worker answers the same, and logs a traceback.
    replies = control("nosuchcommand", nodes=ours, destination=ours)
    answers_of_all(replies, "KeyError('nosuchcommand')")
    print("destination, glob, pcre and nobody: as asked; unknown command: KeyError")


def tasks_are_shown(ours, everyone):
    with Producer() as producer:
        ids = [producer.send(QUEUE, "sleepy", [n], {"k": 1}) for n in range(8)]
        held = producer.send(QUEUE, "quick", [], eta="2030-01-02T03:04:05.000000+00:00")

    def busy():
        return sum(len(r) for r in control("active").values()) >= 2
    wait_for(busy, "two running tasks", 20)
    active = inspect("active", nodes=everyone)
    one = next(t for node in ours for t in active[node])
    assert one["id"] in ids and one["name"] == one["type"] == "sleepy", one
    assert one["time_start"] <= time.time() and one["worker_pid"] > 1, one
    assert one["kwargs"] == {"k": 1} and one["hostname"] in ours, one
    safe = control("active", nodes=everyone, safe=True)
    assert next(t for n in ours for t in safe[n])["kwargs"] == "{'k': 1}", safe
    reserved = inspect("reserved", nodes=everyone)
    waiting = [t["id"] for node in ours for t in reserved[node]]
    assert waiting and set(waiting) < set(ids), reserved
    inspect("scheduled", nodes=everyone)
    query = inspect("query_task", one["id"], waiting[0], "nobody", nodes=everyone)
    states = {i: s for node in ours for i, (s, _) in query[node].items()}
    assert states[one["id"]] == "active" and states.get(waiting[0]) == "reserved", query
    assert "nobody" not in states, states
    revoked = control("revoke", nodes=everyone, task_id=[*ids, held], terminate=True,
                      signal="SIGKILL")
    answers_of_all(revoked, "terminate:")
    known = inspect("revoked", nodes=everyone)
    assert all(set(ids) <= set(known[node]) for node in everyone), known
    wait_for(lambda: not busy(), "the end of all", 20)
    print("active (safe too), reserved, scheduled, query_task, revoke by list, revoked")


def the_worker_is_shown(ours, everyone):
    registered = inspect("registered", nodes=everyone)
    assert {"ledger.sleep", "quick", "sleepy"} <= set(registered[ours[0]]), registered
    control("registered", nodes=everyone, taskinfoitems=["max_retries", "serializer"])
    queues = inspect("active_queues", nodes=everyone)
    theirs, mine = queues[PYTHON][0], queues[ours[0]][0]
    assert set(theirs) == set(mine) and set(theirs["exchange"]) == set(mine["exchange"])
    stats = inspect("stats", nodes=everyone)
    theirs, mine = stats[PYTHON], stats[ours[0]]
    assert set(theirs) <= set(mine), (theirs, mine)
    for part in ("broker", "rusage"):
        assert set(theirs[part]) <= set(mine[part]), part
    assert mine["total"]["sleepy"] >= 1 and len(mine["pool"]["processes"]) == 2, mine
    assert isinstance(mine["clock"], str) and mine["pid"] > 1, mine
    conf = inspect("conf", nodes=everyone)[ours[0]]
    text = json.dumps(conf) + inspect("report", nodes=everyone)[ours[0]]["ok"]
    with open(ENV["CONEY_BROKER_PASSWORD_FILE"], encoding="utf-8") as f:
        assert f.read().strip() not in text
    assert conf["worker"]["concurrency"] == 2 and conf["worker_concurrency"] == 2, conf
    clocks = inspect("clock", nodes=everyone)
    assert all(0 < c["clock"] < 100000 for c in clocks.values()), clocks
    for command in ("memsample", "memdump", "objgraph"):
        assert "error" in control(command, destination=ours[:1])[ours[0]], command
    hello = control("hello", nodes=everyone, from_node="x@y", revoked={})
    assert all(isinstance(when, float) for node in ours
               for when, _ in hello[node]["revoked"].values()), hello
    assert control("hello", destination=ours[:1], from_node=ours[0], revoked={}) == {
        ours[0]: None}
    assert set(control("election", destination=ours, id="e", topic="t", action=None)) == set(
        ours)
    print("registered, active_queues, stats, conf, report, clock, hello, mem*: complete")


def limits_change(ours):
    a = ours[0]
    to_ours = ("control", "--destination", ",".join(ours))
    done = program(*to_ours, "rate_limit", "quick", "2/s")
    assert done.returncode == 0 and done.stdout.count("new rate limit set") >= 2, done.stdout
    shown = control("registered", destination=[a])[a]
    assert any("quick" in s and "rate_limit=2/s" in s for s in shown), shown
    began = time.monotonic()
    results = [CLIENT.send_task("quick", queue=QUEUE) for _ in range(9)]
    for result in results:
        result.get(timeout=30)
    took = time.monotonic() - began
    assert took > 1.5, took
    for rate in (0, None):
        answers_of_all(control("rate_limit", nodes=None, destination=ours, task_name="quick",
                               rate_limit=rate), "rate limit disabled successfully")
    wrong = control("rate_limit", destination=ours, task_name="quick", rate_limit="bogus")
    answers_of_all(wrong, "Invalid rate limit string")
    answers_of_all(control("rate_limit", destination=ours, task_name="no", rate_limit="1/s"),
                   "unknown task")
    done = program(*to_ours, "time_limit", "sleepy", "0.5", "1")
    assert done.stdout.count("time limits set successfully") >= 2, done.stdout
    began = time.monotonic()
    result = CLIENT.send_task("sleepy", queue=QUEUE)
    try:
        raise AssertionError(result.get(timeout=30))
    except AssertionError:
        raise
    except Exception as error:  # a class that celery makes up
        assert "TimeLimitExceeded" in repr(error), repr(error)
    assert time.monotonic() - began < 15
    answers_of_all(control("time_limit", destination=ours, task_name="no", soft=1, hard=2),
                   "unknown task")
    answers_of_all(control("time_limit", destination=ours, task_name="sleepy", soft=None,
                           hard=None), "time limits set successfully")
    print(f"rate_limit (9 tasks at 2/s each on two workers: {took:.1f} s) and time_limit hold")


def queues_come_and_go(ours, worker):
    to_ours = ("control", "--destination", ",".join(ours))  # Celery's knows none of our tasks
    done = program(*to_ours, "add_consumer", "extra")
    assert done.stdout.count("add consumer extra") >= 2, done.stdout
    result = CLIENT.send_task("quick", queue=kombu.Queue("extra", no_declare=True))
    result.get(timeout=20)
    names = [q["name"] for q in control("active_queues", destination=ours[:1])[ours[0]]]
    assert "extra" in names and QUEUE in names, names
    again = control("add_consumer", destination=ours, queue="extra")
    answers_of_all(again, "already consuming from extra")
    for name in ("a.#", "", None, "x" * 300):
        answers_of_all(control("add_consumer", destination=ours, queue=name), "error")
    # What would keep the whole worker from consuming is found out beforehand.
    other = control("add_consumer", destination=ours, queue="other", exchange="amq.direct",
                    exchange_type="fanout")
    answers_of_all(other, "error")
    assert worker.log().count("consuming  node=") >= 2
    done = program(*to_ours, "cancel_consumer", "extra")
    assert done.stdout.count("no longer consuming from extra") >= 2, done.stdout

    def consumers():
        rows = broker("ctl", "--quiet", "list_queues", "name", "consumers").splitlines()
        return dict(r.split("\t") for r in rows if r.count("\t") == 1)["extra"]
    wait_for(lambda: consumers() == "0", "no consumer on extra", 20, 0.3)
    CLIENT.send_task("quick", queue=QUEUE).get(timeout=20)
    print("add_consumer makes or finds the queue, runs its tasks; cancel_consumer lets go")


def the_pool_changes(ours):
    a = ours[0]
    answers_of_all(control("pool_grow", destination=[a], n=2), "pool will grow")

    def processes():
        stats = control("stats", destination=[a])[a]
        return len(stats["pool"]["processes"]), stats["pool"]["max-concurrency"]
    wait_for(lambda: processes() == (4, 4), "four runners", 20)
    answers_of_all(control("pool_shrink", destination=[a], n=3), "pool will shrink")
    wait_for(lambda: processes() == (1, 1), "one runner", 20)
    answers_of_all(control("pool_shrink", destination=[a], n=1), "Can't shrink pool")
    answers_of_all(control("pool_grow", destination=[a], n=1000000), "error")
    answers_of_all(control("pool_grow", destination=[a], n=1), "pool will grow")
    before = set(control("stats", destination=[a])[a]["pool"]["processes"])
    answers_of_all(control("pool_restart", destination=[a], modules=None, reload=False,
                           reloader=None), "reload started")
    wait_for(lambda: not before & set(control("stats", destination=[a])[a]["pool"]["processes"]),
             "new runners", 20)
    answers_of_all(control("autoscale", destination=[a], max=3, min=1),
                   "Autoscale not enabled")
    CLIENT.send_task("quick", queue=QUEUE).get(timeout=20)
    print("pool_grow, pool_shrink, pool_restart; autoscale is refused")


def a_reload_forgets(ours, worker):
    a = ours[0]
    control("rate_limit", destination=[a], task_name="quick", rate_limit="1/h")
    control("add_consumer", destination=[a], queue="extra")
    control("pool_grow", destination=[a], n=1)
    worker.signal(1)
    worker.wait_log("reloaded")
    wait_for(lambda: a in control("ping", destination=[a]), "the worker's mailbox", 20)
    shown = control("registered", destination=[a])[a]
    assert "quick" in shown, shown
    names = [q["name"] for q in control("active_queues", destination=[a])[a]]
    assert "extra" not in names, names
    assert control("stats", destination=[a])[a]["pool"]["max-concurrency"] == 2
    print("after a reload the configuration's limits, queues and pool are back")


def what_is_denied_is_refused(two):
    answers_of_all(control("pool_grow", destination=[two], n=1), "denied")
    answers_of_all(control("shutdown", destination=[two]), "denied")


def nonsense_harms_nobody(python, everyone):
    with CLIENT.connection_for_write() as connection:
        producer = connection.Producer()
        for body in (b"nonsense", b"[]", b"{}", b'{"method": 5}', b"\xff\xfe",
                     b'{"method": "ping", "arguments": [1], "destination": "x"}',
                     b'{"method": "ping", "reply_to": {"exchange": "nowhere", '
                     b'"routing_key": "k"}, "destination": ["%s"]}' % everyone[0].encode()):
            # Only to ours: a Python worker's log would have tracebacks of it.
            producer.publish(body, exchange="", content_type="application/json",
                             content_encoding="utf-8",
                             routing_key=f"{everyone[0]}.celery.pidbox")
    # The broker closes the channel of the reply to nowhere, with what was sent right behind it.
    wait_for(lambda: set(control("ping")) == set(everyone), "all to answer", 20)
    python.check()
    print("nonsense in the mailbox: the worker goes on answering")


def main():
    if sys.argv[1:] == ["worker"]:
        app.worker_main(["worker", "-n", PYTHON, "-c", "1", "-P", "solo", "-l", "info", "-E"])
        return
    tasks = {"quick": {"command": ["/bin/true"]},
             "sleepy": {"command": ["/bin/sleep", "100"], "retry": {"max": 0}}}
    classes = {"default": {"weight": 1}}
    common = {"tasks": tasks, "classes": classes}
    with Scratch() as scratch:
        first = scratch.config(worker_config(worker={"concurrency": 2}, **common))
        second = scratch.config(worker_config(worker={"concurrency": 2, "instance": "two"},
                                              control={"deny": ["pool_grow", "shutdown"]},
                                              **common))
        with Worker(first) as one, Worker(second) as two:
            one.wait_log("remote control and events are on")
            two.wait_log("remote control and events are on")
            with PythonWorker(__file__, "worker") as python:
                ours = sorted(n for n in control("ping") if n != PYTHON)
                ours.sort(key=len)
                everyone = [*ours, PYTHON]
                assert len(ours) == 2 and ours[1].startswith("coney-two@"), ours
                who_is_asked(ours, everyone)
                tasks_are_shown(ours, everyone)
                the_worker_is_shown(ours, everyone)
                limits_change(ours)
                queues_come_and_go(ours, one)
                the_pool_changes(ours)
                a_reload_forgets(ours, one)
                what_is_denied_is_refused(ours[1])
                nonsense_harms_nobody(python, everyone)
                assert CLIENT.control.broadcast("shutdown", destination=[ours[0]]) is None
                assert one.process.wait(30) == 0, one.log()
                control("ping", nodes=[ours[1], PYTHON])
                python.check()
                print("shutdown: the one that was asked has drained, nobody else")


if __name__ == "__main__":
    main()
