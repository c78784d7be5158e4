#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=120
"""Objects that somebody deletes under a running worker come back by themselves, and what was on
its way to them still arrives."""
import coneytest


def exchange_is_there(name):
    return coneytest.management(f"exchanges/%2F/{coneytest.quote(name)}") is not None


def is_consumed():
    """Whether coney.low has a consumer; the API may still show the queue that was deleted."""
    return "coney.low" in coneytest.broker("ctl", "--quiet", "list_consumers")


def main():
    with coneytest.Scratch() as scratch, coneytest.Producer() as producer:
        path = str(scratch.path / "ledger")
        config = scratch.config(coneytest.worker_config(
            tasks={"ledger.again": {"retry": {"max": 5, "base": "2s", "jitter": "none",
                                              "factor": 1}}}))
        with coneytest.Worker(config) as worker:
            coneytest.management("queues/%2F/coney.low", "DELETE")
            worker.wait_log("consumer cancelled: the queue was deleted or moved")
            coneytest.wait_for(is_consumed, "the queue to be consumed again", 30, 0.3)
            producer.send("coney.low", "ledger.again", [path, "low", 0])
            coneytest.wait_for(lambda: [l for l in coneytest.ledger(path) if l.label == "low"],
                               "a task on the new queue", 20)
            print("queue: declared again, consumed again")

            coneytest.management("exchanges/%2F/coney.dlx", "DELETE")
            coneytest.management("exchanges/%2F/coney.v1.delay.00", "DELETE")
            coneytest.management("exchanges/%2F/coney.v1.delay.01", "DELETE")
            producer.send("coney.high", "ledger.again", ["no", "proper", "arguments"])
            producer.send("coney.high", "ledger.again", [path, "retried", 1])
            coneytest.wait_for(lambda: coneytest.letters(count=1), "the dead letter", 30, 0.3)
            coneytest.wait_for(
                lambda: len([l for l in coneytest.ledger(path) if l.label == "retried"]) == 2,
                "the retry", 30)
            assert exchange_is_there("coney.dlx") and exchange_is_there("coney.v1.delay.01")
            print("exchanges: declared again; dead letter and retry arrived all the same")
            # The channel was closed over one of them, so the other may have been sent twice.
            coneytest.wait_for(lambda: not coneytest.busy_queues(), "nothing left")


if __name__ == "__main__":
    main()
