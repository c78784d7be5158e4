#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""Killed runners, closed connections, a killed worker and a killed broker, all under load: no
task is lost, and none of it is stuck."""
import collections
import os
import random
import signal
import time

import coneytest

TASKS = 4000


def runners_of(worker):
    with open(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children",
              encoding="ascii") as f:
        return [int(pid) for pid in f.read().split()]


def kill_a_runner(worker):
    pids = runners_of(worker)
    if pids:
        os.kill(random.choice(pids), signal.SIGKILL)


def close_every_connection(_worker):
    coneytest.broker("ctl", "close_all_connections", "a test")


def main():
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    random.seed(seed)
    with coneytest.Scratch() as scratch:
        path = str(scratch.path / "ledger")
        config = scratch.config(coneytest.worker_config(
            worker={"concurrency": 4},
            tasks={"*": {"retry": {"max": 20, "base": "1s", "jitter": "full", "cap": "2s"}}}))
        with coneytest.Worker(config):
            pass
        with coneytest.Producer() as producer:
            for n in range(TASKS):
                producer.send(("coney.high", "coney.default", "coney.low")[n % 3],
                              "ledger.sleep", [path, str(n), 5])

        def done():
            return {line.label for line in coneytest.ledger(path) if line.event == "done"}

        # killed and started again, in between
        with coneytest.Coney("worker", "--config", config) as victim:
            coneytest.wait_for(lambda: len(done()) > 300, "progress")
            victim.kill()
            victim.process.returncode = 0
        with coneytest.Worker(config) as worker:
            for fault in [kill_a_runner] * 12 + [close_every_connection] * 2:
                fault(worker)
                time.sleep(random.uniform(0.1, 0.5))
            coneytest.broker("kill")
            coneytest.broker("start")
            coneytest.wait_for(lambda: len(done()) == TASKS, "every task", 120, 0.3)
            coneytest.wait_for(lambda: not coneytest.busy_queues(ignore=()), "empty queues", 60,
                               0.3)
        starts = collections.Counter(line.label for line in coneytest.ledger(path)
                                     if line.event == "started")
        again = sum(count - 1 for count in starts.values())
        print(f"{TASKS} tasks, none lost; {again} starts more than tasks "
              f"(a worker, a broker, 2 x all connections and 12 runners were killed)")


if __name__ == "__main__":
    main()
