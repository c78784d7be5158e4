#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""The broker restarts during a 10 s task on a single worker: the task starts once, its result
arrives, nothing is left."""
import json
import subprocess
import time

import coneytest


def main():
    with coneytest.Scratch() as scratch:
        path = str(scratch.path / "ledger")
        config = scratch.config(coneytest.worker_config(worker={"concurrency": 2}))
        with coneytest.Worker(config) as worker:
            sender = subprocess.Popen(
                [coneytest.ENV["CONEY"], "send", "--config", str(config), "--queue", "default",
                 "--wait", "--timeout", "60s", "ledger.sleep", json.dumps(path), '"long"',
                 "10000"], stdout=subprocess.PIPE, text=True)
            coneytest.wait_for(lambda: coneytest.ledger(path), "the task to start")
            time.sleep(2)
            coneytest.broker("restart")
            output, _ = sender.communicate(timeout=80)
            assert sender.returncode == 0, (sender.returncode, output)
            assert '"long"' in output, output
            worker.wait_log("redelivery attached to its running job")
            coneytest.wait_for(lambda: not coneytest.busy_queues(ignore=()), "empty queues")
        events = [(line.event, line.retries) for line in coneytest.ledger(path)]
        assert events == [("started", 0), ("done", 0)], events
    print("one start, one result, nothing left")


if __name__ == "__main__":
    main()
