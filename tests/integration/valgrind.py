#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240 unsanitized
"""Master, runners and beat under valgrind: no error, nothing leaked, no descriptor left open.

They do a day's work first: tasks that succeed, fail, retry and are dead-lettered, a reload, a
crash of a runner, scheduled tasks, and an orderly end.
"""
import re
import signal

import coneytest


class Checked(coneytest.Coney):
    """A verb under valgrind, its children too."""

    def __init__(self, logs, verb, config):
        super().__init__()
        self.arguments = [
            "valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
            "--errors-for-leak-kinds=definite,indirect,possible", "--track-fds=yes",
            "--trace-children=yes", f"--log-file={logs}/%p.log", "--error-exitcode=99",
            coneytest.ENV["CONEY"], verb, "--config", str(config)]


def counted_descriptors(text):
    """How many of the errors are descriptors that a process was given: so from 3.24 on."""
    version = re.search(r"Using Valgrind-(\d+)\.(\d+)", text)
    if tuple(map(int, version.groups())) < (3, 24):
        return 0
    return text.count("<inherited from parent>")


def verdict(path):
    """(program, complaints) of one process."""
    text = path.read_text()
    program = re.search(r"Command: (.*)", text)[1]
    complaints = []
    errors = re.search(r"ERROR SUMMARY: (\d+) errors", text)
    if errors and int(errors[1]) != counted_descriptors(text):
        complaints.append(f"{errors[1]} errors")
    for kind in ("definitely", "indirectly", "possibly"):
        lost = re.search(rf"{kind} lost: ([\d,]+) bytes", text)
        if lost and lost[1] != "0":
            complaints.append(f"{lost[1]} bytes {kind} lost")
    for descriptor in re.findall(r"Open [^\n]*\n==\d+==    ([^\n]*)", text):
        if "<inherited from parent>" not in descriptor:
            complaints.append(f"descriptor left open: {descriptor}")
    return program, complaints


def main():
    with coneytest.Scratch() as scratch:
        logs = scratch.path / "valgrind"
        logs.mkdir()
        path = str(scratch.path / "ledger")
        config = scratch.config(coneytest.worker_config(
            plugins=("ledger", "demo"), worker={"concurrency": 2},
            tasks={"*": {"retry": {"max": 1, "base": "1s", "jitter": "none"}}},
            schedule={"tick": {"task": "ledger.sleep", "every": "1s",
                               "args": [path, "tick", 0]}}))
        with Checked(logs, "worker", config) as worker, \
                Checked(logs, "beat", config) as beat, coneytest.Producer() as producer:
            worker.wait_log("consuming  node=", deadline_s=90)
            beat.wait_log("lead", deadline_s=90)
            for n in range(50):
                producer.send("coney.default", "ledger.sleep", [path, str(n), 0])
            producer.send("coney.high", "demo.fail", ["Odd", "on purpose"])
            producer.send("coney.high", "demo.crash", [])
            producer.send("coney.low", "ledger.again", [path, "again", 1])
            coneytest.wait_for(lambda: coneytest.queue_counts()["coney.dead"][0] == 2,
                               "two dead letters", 60, 0.5)
            worker.signal(signal.SIGHUP)
            worker.wait_log("consuming  node=", count=2, deadline_s=60)
            beat.signal(signal.SIGHUP)
            coneytest.wait_for(lambda: sum(line.label == "tick" for line in
                                           coneytest.ledger(path)) >= 3, "three ticks", 60)
            assert beat.stop(120) == 0
            assert worker.stop(120) == 0

        seen = set()
        crashed = 0
        for log in sorted(logs.iterdir()):
            program, complaints = verdict(log)
            text = log.read_text()
            if "Process terminating with default action of signal 11" in text:
                crashed += 1  # as it was told to; whatever it had is the kernel's to free
                continue
            assert not complaints, (program, complaints, text[-4000:])
            seen.add(" ".join(program.split()[:2]).split("/")[-1])
        assert crashed == 2, crashed
        assert any("worker" in s for s in seen), seen
        assert any("beat" in s for s in seen), seen
        assert any("runner" in s for s in seen), seen
    print(f"clean: {', '.join(sorted(seen))}")


if __name__ == "__main__":
    main()
