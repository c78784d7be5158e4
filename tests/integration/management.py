#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=120
"""What an operator sees in the management UI, asked of the API behind it."""
import os
import socket

import coneytest


def properties_of(connection):
    return connection["client_properties"]


def main():
    host = socket.gethostname()
    with coneytest.Scratch() as scratch:
        config = scratch.config(coneytest.worker_config(worker={"concurrency": 3}))
        with coneytest.Worker(config) as worker, coneytest.Producer() as producer:
            pid = worker.process.pid

            def connections():
                found = {properties_of(c).get("connection_name"): c
                         for c in coneytest.management("connections") or []
                         if c.get("client_properties")}
                wanted = {f"coney worker@{host} consume", f"coney worker@{host} publish"}
                return found if wanted <= found.keys() else None

            found = coneytest.wait_for(connections, "both connections by name", 30, 0.3)
            for purpose in ("consume", "publish"):
                connection = found[f"coney worker@{host} {purpose}"]
                shown = properties_of(connection)
                assert shown["product"] == "Coney", shown
                assert shown["version"] and shown["platform"], shown
                assert shown["host"] == host and shown["pid"] == pid, shown
                assert shown["concurrency"] == 3, shown
                assert shown["queues"].split() == ["coney.high", "coney.default", "coney.low"]
                assert coneytest.ENV["CONEY_BROKER_PASSWORD"] not in str(shown)
                assert connection["ssl"], connection

            def tags():
                found = {c["consumer_tag"]: c for c in coneytest.management("consumers/%2F")}
                return found if len(found) >= 3 else None

            consumers = coneytest.wait_for(tags, "three consumers", 20, 0.3)
            for name, tag in (("high", 1), ("default", 2), ("low", 3)):
                consumer = consumers[f"coney@{host}:{pid}:{name}#{tag}"]
                assert consumer["queue"]["name"] == f"coney.{name}", consumer
                assert consumer["ack_required"] and consumer["prefetch_count"] > 0

            for name in ("high", "default", "low"):
                queue = coneytest.management(f"queues/%2F/coney.{name}")
                assert queue["arguments"] == {
                    "x-queue-type": "quorum", "x-dead-letter-exchange": "coney.dlx",
                    "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
                    "x-delivery-limit": 1000}, queue["arguments"]
            for level in range(28):
                queue = coneytest.management(f"queues/%2F/coney.v1.delay.{level:02}")
                target = f"coney.v1.delay.{level - 1:02}" if level else "coney.v1.delayed"
                assert queue["arguments"] == {
                    "x-queue-type": "quorum", "x-message-ttl": 2 ** level * 1000,
                    "x-dead-letter-exchange": target,
                    "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
                    "x-delivery-limit": 10 ** 9}, queue["arguments"]

            producer.send("coney.high", "ledger.sleep", ["not", "enough"], id="letter-1")
            letter = coneytest.wait_for(lambda: coneytest.letters(count=1), "the dead letter",
                                        20, 0.2)[0]
            headers = letter["properties"]["headers"]
            assert headers["coney-reason"] == "rejected", headers
            assert headers["coney-error"].startswith("TypeError: "), headers
            assert headers["coney-queue"] == "coney.high", headers
            assert headers["coney-attempts"] == 1 and headers["coney-dead-at"], headers
            assert headers["id"] == "letter-1" and headers["task"] == "ledger.sleep", headers
            assert letter["properties"]["correlation_id"] == "letter-1", letter["properties"]
    print("connections, client properties, consumer tags, arguments and a dead letter, "
          f"as promised (host {host}, our own pid {os.getpid()})")


if __name__ == "__main__":
    main()
