#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""An orderly end loses nothing and repeats nothing; a hasty one loses nothing.

SIGTERM in the middle of a full queue: what runs may end, what waits goes back, the next worker
goes on, and every task has run once. Over and over, with two workers. Then a drain that takes
too long, and a second SIGTERM: the running task is handed back and runs again elsewhere.
"""
import collections
import signal
import time

import coneytest

TASKS = 4000
ROUNDS = 6


def started(path):
    return collections.Counter(line.label for line in coneytest.ledger(path)
                               if line.event == "started")


def orderly_ends_repeat_nothing(scratch):
    path = str(scratch.path / "orderly")
    config = scratch.config(coneytest.worker_config(worker={"concurrency": 3}))
    with coneytest.Worker(config):
        pass  # declares everything
    with coneytest.Producer() as producer:
        for n in range(TASKS):
            producer.send(("coney.high", "coney.default", "coney.low")[n % 3],
                          "ledger.sleep", [path, str(n), n % 7])
    for number in range(ROUNDS):
        with coneytest.Worker(config) as first, coneytest.Worker(config) as second:
            before = sum(started(path).values())
            coneytest.wait_for(
                lambda: sum(started(path).values()) >= min(TASKS, before + 400), "progress")
            assert first.stop() == 0 and second.stop() == 0, number
    with coneytest.Worker(config):
        coneytest.wait_for(lambda: sum(line.event == "done" for line in coneytest.ledger(path))
                           >= TASKS, "the rest", 60)
        coneytest.wait_for(lambda: not coneytest.busy_queues(ignore=()), "empty queues")
    counts = started(path)
    assert len(counts) == TASKS and set(counts.values()) == {1}, (
        len(counts), [c for c in counts.items() if c[1] > 1][:5])
    print(f"{2 * ROUNDS + 2} orderly ends: {TASKS} tasks once each")


def a_second_signal_hands_the_task_back(scratch):
    path = str(scratch.path / "hasty")
    config = scratch.config(coneytest.worker_config(worker={"concurrency": 1}))
    with coneytest.Producer() as producer:
        worker = coneytest.Worker(config)
        with worker:
            producer.send("coney.high", "ledger.sleep", [path, "long", 3000])
            coneytest.wait_for(lambda: started(path), "the start")
            worker.signal(signal.SIGTERM)
            worker.wait_log("draining")
            worker.signal(signal.SIGTERM)
            assert worker.process.wait(20) == 1
            worker.process.returncode = 0  # 1 is what was wanted
        with coneytest.Worker(config):
            coneytest.wait_for(lambda: [l for l in coneytest.ledger(path) if l.event == "done"],
                               "the second start to end")
            coneytest.wait_for(lambda: not coneytest.busy_queues(ignore=()), "empty queues")
    assert started(path) == {"long": 2}
    print("second SIGTERM: handed back, ran again")


def the_drain_has_a_deadline(scratch):
    path = str(scratch.path / "deadline")
    config = scratch.config(coneytest.worker_config(
        worker={"concurrency": 1, "drain_timeout": "1s"}))
    with coneytest.Producer() as producer:
        worker = coneytest.Worker(config)
        with worker:
            producer.send("coney.high", "ledger.sleep", [path, "long", 60000])
            coneytest.wait_for(lambda: started(path), "the start")
            begun = time.monotonic()
            worker.signal(signal.SIGTERM)
            assert worker.process.wait(20) == 1
            assert time.monotonic() - begun >= 1, "stopped before the deadline"
            worker.process.returncode = 0
    coneytest.wait_for(lambda: coneytest.queue_counts()["coney.high"] == (1, 0),
                       "the task back in its queue")
    print("drain deadline: handed back")


def main():
    with coneytest.Scratch() as scratch:
        orderly_ends_repeat_nothing(scratch)
        a_second_signal_hands_the_task_back(scratch)
        the_drain_has_a_deadline(scratch)


if __name__ == "__main__":
    main()
