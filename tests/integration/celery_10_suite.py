#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=1200 long
"""§10.10: the other tests of §10, one after the other, each beside the mixed fleet and on its
broker, with a wave of tasks for the fleet under way. Each test passes as it does alone; the
fleet's tasks end right, none twice, none redelivered; its processes live on, without a traceback.

What a test does to the broker as a whole (a restart, an alarm) it leaves out here: it sees the
fleet's nodes in CONEY_STRANGERS.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

import coneytest
import mixedfleet

HERE = pathlib.Path(__file__).parent
# celery_10_* are this and its sibling; celery_12 has no broker, and celery_13 counts all that is on
# its own.
TESTS = sorted(p for p in HERE.glob("celery_[0-9][0-9]_*.py")
               if p.name[7:9] not in ("10", "12", "13") and os.access(p, os.X_OK))


def forget(before):
    """The queues that a test has left on the broker, which alone would be its own."""
    for name in set(coneytest.queue_counts()) - set(before):
        coneytest.broker("ctl", "--quiet", "delete_queue", name)
    coneytest.broker("ctl", "--quiet", "delete_queue", "coney.revoked")


def run(test, strangers):
    strangers = json.dumps(strangers)
    began = time.monotonic()
    done = subprocess.run([sys.executable, test], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env=dict(coneytest.ENV, CONEY_STRANGERS=strangers))
    print(f"{test.stem}: status {done.returncode} after {time.monotonic() - began:.0f} s")
    assert done.returncode == 0, done.stdout[-20000:]


def main():
    assert len(TESTS) >= 9, TESTS
    with coneytest.Scratch() as scratch, mixedfleet.Fleet(scratch) as fleet:
        fleet.check_nodes()
        pids = fleet.pids()
        for test in TESTS:
            wave = mixedfleet.Wave(f"beside {test.stem}", fleet)
            before = list(coneytest.queue_counts())
            run(test, {"nodes": fleet.nodes(), "queues": before})
            wave.check_peace()
            fleet.check_alive(pids)
            forget(before)
            sys.stdout.flush()
        fleet.check_nodes()
        print(f"{len(TESTS)} tests beside {len(pids)} workers, which kept their pids")


if __name__ == "__main__":
    main()
