#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180 serial
"""A retry is never early, and hardly later than a timer would be.

A free runner and otherwise empty queues; the asked times come from the worker's log (eta=), the
observed starts from the tasks' ledger. A control timer sleeps beside it, in the same run, on the
same noisy machine: lateness is judged against its own.
"""
import datetime
import random
import re
import threading
import time

import coneytest

TASKS = 60
RETRIES = 3
ALLOWED_MS = 100
BASE_S = 0.9


class Control(threading.Thread):
    """Sleeps as often and as long as one task waits for its retries, and notes how late it
    wakes: so a stall of the machine meets as many of these as of those."""

    def __init__(self, late_ms):
        super().__init__(daemon=True)
        self.late_ms = late_ms

    def run(self):
        for retry in range(RETRIES):
            due = time.monotonic() + random.uniform(0, BASE_S * 2 ** retry)
            time.sleep(max(0, due - time.monotonic()))
            self.late_ms.append((time.monotonic() - due) * 1000)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def main():
    with coneytest.Scratch() as scratch:
        path = str(scratch.path / "ledger")
        config = scratch.config(coneytest.worker_config(
            worker={"concurrency": 4},
            tasks={"ledger.again": {"retry": {
                "max": RETRIES, "base": f"{BASE_S * 1000:.0f}ms", "factor": 2, "jitter": "full"}}}))
        control_ms = []
        controls = [Control(control_ms) for _ in range(TASKS)]
        with coneytest.Worker(config) as worker, coneytest.Producer() as producer:
            identifiers = {}
            for n in range(TASKS):
                identifiers[producer.send("coney.default", "ledger.again",
                                          [path, str(n), RETRIES])] = str(n)
                controls[n].start()
                time.sleep(0.02)
            coneytest.wait_for(
                lambda: len(coneytest.ledger(path)) >= TASKS * (RETRIES + 1),
                "every attempt", 90, 0.2)
            for control in controls:
                control.join()
            log = worker.log()

        started = {(line.label, line.retries): line.at_us for line in coneytest.ledger(path)}
        late_ms = []
        for match in re.finditer(r"; retry (\d+) in .* id=(\S+) .*eta=(\S+)", log):
            retry, identifier, eta = int(match[1]), match[2], match[3]
            eta_us = int(datetime.datetime.fromisoformat(eta).timestamp() * 1_000_000)
            late_us = started[identifiers[identifier], retry] - eta_us
            # The float arithmetic above may be off by one microsecond.
            assert late_us >= -1, f"retry {retry} of {identifier} came {-late_us} us early"
            late_ms.append(late_us / 1000)
        assert len(late_ms) == TASKS * RETRIES, len(late_ms)
        ours, timers = percentile(late_ms, 0.99), percentile(control_ms, 0.99)
        print(f"{len(late_ms)} retries: none early; late p50 {percentile(late_ms, 0.5):.1f} ms, "
              f"p99 {ours:.1f} ms, most {max(late_ms):.1f} ms; control timer p99 {timers:.1f} ms "
              f"of {len(control_ms)}")
        assert ours <= timers + ALLOWED_MS, "later than the machine's own noise explains"


if __name__ == "__main__":
    main()
