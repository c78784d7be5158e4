#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=400
"""10 000 tasks of which each attempt fails with a chance of 30 %, with 5 retries.

What every attempt does follows from a seed, so the tasks' own ledger must show exactly the
attempts foretold: none missing, none twice; and the dead letters exactly those that failed six
times. At the end every queue but coney.dead is empty.
"""
import collections
import random
import sys

import coneytest

TASKS = 10_000
PERCENT = 30
RETRIES = 5
MASK = (1 << 64) - 1


def mix(x):
    """splitmix64, as in tests/plugins/ledger.c."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def foretell(seed, n):
    """(attempts, whether the last one succeeded)."""
    for retries in range(RETRIES + 1):
        if mix((mix((seed + n) & MASK) + retries) & MASK) % 100 >= PERCENT:
            return retries + 1, True
    return RETRIES + 1, False


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 40)
    print(f"seed {seed}")
    with coneytest.Scratch() as scratch:
        path = str(scratch.path / "ledger")
        config = scratch.config(coneytest.worker_config(
            worker={"concurrency": 4, "log_level": "warning"},
            tasks={"ledger.work": {"retry": {"max": RETRIES, "base": "1s", "cap": "4s"}}}))
        with coneytest.Coney("worker", "--config", config) as worker:
            with coneytest.Producer() as producer:
                coneytest.await_queues()
                classes = ["coney.high", "coney.default", "coney.low"]
                for n in range(TASKS):
                    producer.send(classes[n % 3], "ledger.work", [path, seed, n, PERCENT])
                producer.confirm()
            expected = [foretell(seed, n) for n in range(TASKS)]
            total = sum(attempts for attempts, _ in expected)
            dead = {n for n, (_, good) in enumerate(expected) if not good}
            try:
                coneytest.wait_for(lambda: len(coneytest.ledger(path)) >= total,
                                   f"{total} attempts in the ledger", 240, 0.5)
            except AssertionError:
                print("left:", coneytest.busy_queues(), len(coneytest.ledger(path)))
                raise
            coneytest.wait_for(lambda: not coneytest.busy_queues(), "empty queues", 60, 0.5)
            assert worker.stop() == 0

        counts = collections.Counter((int(line.label), line.retries)
                                     for line in coneytest.ledger(path))
        foretold = {(n, r): 1 for n, (attempts, _) in enumerate(expected)
                    for r in range(attempts)}
        assert counts == foretold, (
            f"missing {list((foretold.keys() - counts.keys()))[:5]}, "
            f"unforeseen {[k for k, v in counts.items() if foretold.get(k) != v][:5]}")
        found = coneytest.letters()
        assert len(found) == len(dead), (len(found), len(dead))
        reasons = {letter["properties"]["headers"]["coney-reason"] for letter in found}
        assert reasons <= {"max_retries"}, reasons
        coneytest.wait_for(lambda: not coneytest.busy_queues(ignore=()), "nothing left", 20)
    print(f"{TASKS} tasks, {total} attempts, {len(dead)} dead letters, as foretold")


if __name__ == "__main__":
    main()
