#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=300
"""30 resizes and reloads under load: no connection lost, no task lost, none run twice.

Once over TLS, where each reload makes new connections (the certificates may be new), and once
without, where it makes new channels on the connections that there are.
"""
import collections
import signal
import threading

import coneytest

RELOADS = 30
TASKS = 6000


def config_text(number):
    return coneytest.worker_config(
        worker={"concurrency": 2 + number % 4, "prefetch": 10 + 7 * (number % 5)},
        classes={"high": {"weight": 1 + number % 6}, "default": {}, "low": {}})


def run(scratch, name, urls):
    path = str(scratch.path / name)
    config = scratch.config(config_text(0), urls=urls)
    head = config.read_text().replace(config_text(0), "")
    sent = []

    def load():
        with coneytest.Producer() as producer:
            for n in range(TASKS):
                queue = ("coney.high", "coney.default", "coney.low")[n % 3]
                producer.send(queue, "ledger.sleep", [path, str(n), n % 20])
                sent.append(n)

    with coneytest.Worker(config) as worker:
        thread = threading.Thread(target=load)
        thread.start()
        for number in range(1, RELOADS + 1):
            config.write_text(head + config_text(number))
            worker.signal(signal.SIGHUP)
            worker.wait_log("reloaded  concurrency=", number)
            worker.wait_log("consuming  node=", number + 1)
        thread.join()
        coneytest.wait_for(lambda: sum(line.event == "done" for line in coneytest.ledger(path))
                           >= TASKS, "every task", 120, 0.2)
        coneytest.wait_for(lambda: not coneytest.busy_queues(), "empty queues", 60)
        log = worker.log()
    counts = collections.Counter(line.label for line in coneytest.ledger(path)
                                 if line.event == "started")
    assert len(counts) == TASKS and set(counts.values()) == {1}, (
        len(counts), [c for c in counts.items() if c[1] > 1][:5])
    lost = [line for line in log.splitlines() if " error " in line or "broker:" in line]
    assert not lost, lost[:5]
    print(f"{name}: {RELOADS} reloads, {TASKS} tasks once each, "
          f"{log.count('connected to')} connections, none lost")


def main():
    with coneytest.Scratch() as scratch:
        run(scratch, "tls", None)
        run(scratch, "plain", [coneytest.ENV["CONEY_BROKER_PLAIN_URL"]])


if __name__ == "__main__":
    main()
