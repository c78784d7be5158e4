#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=360
"""§10.13: everything that Coney asks of a broker, beside Celery 5.5, on this machine's RabbitMQ as
it is, and on RabbitMQ 4.0 that refuses what later ones will not have: queues that are neither
durable nor exclusive, and a prefetch for a whole channel. The same queues are declared on both.

Celery 5.5 itself declares such queues for its mailbox, its monitors and rpc results, so here it
has no remote control, no gossip, and its results in redis.
"""
import contextlib
import json
import re
import socket
import subprocess
import threading
import time
import urllib.error

import amqp

import beat_common
import celerypeers
import coneytest
from coneytest import ENV, run_coney, wait_for

REFUSED = ("transient_nonexcl_queues", "global_qos")
ORDERS = {"name": "orders", "exchange": "shop", "type": "topic", "key": "orders.new",
          "arguments": {"x-queue-type": "quorum"}}
PYTHON = {"name": "python", "exchange": "shop", "type": "topic", "key": "python.new",
          "arguments": {"x-queue-type": "quorum"}}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TRANSIENT = {"coney.reply.U", "U.reply.celery.pidbox", "celeryev.U",
             f"coney@{socket.gethostname()}.celery.pidbox"}


def machine_version():
    return tuple(map(int, coneytest.management("overview")["rabbitmq_version"].split(".")))


class RefusingNode:
    """A node of RabbitMQ 4.0 in the place of this test's own, while the `with` lasts: this
    machine's, if it is one, else Debian 13's."""

    def __init__(self, is_this_machines):
        self.is_this_machines = is_this_machines

    def __enter__(self):
        self.before = dict(ENV)
        if not self.is_this_machines:
            subprocess.run([celerypeers.SUPPORT / "celery55", "make-rabbitmq"], check=True)
            ENV["CONEY_RABBITMQ_BIN"] = str(celerypeers.SUPPORT / "rabbitmq40")
        ENV["CONEY_RABBITMQ_CONF"] = "\n".join(
            f"deprecated_features.permit.{feature} = false" for feature in REFUSED)
        ENV["CONEY_BROKER_NAME"] += "-refusing"
        coneytest.broker("start")
        ENV.update(line.split("=", 1) for line in coneytest.broker("env").splitlines())
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:  # else with-broker does, and keeps its log
            coneytest.broker("remove")
        for variable in set(ENV) - set(self.before):
            del ENV[variable]
        ENV.update(self.before)


class Census(threading.Thread):
    """Every queue that is there at any time of the `with`, with all that was asked for it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.queues = {}
        self.ends = threading.Event()

    def ask(self):
        """A server that is busy, or loses a queue while it counts, answers 500: asked again."""
        with contextlib.suppress(urllib.error.HTTPError):
            return coneytest.management("queues/%2F?disable_stats=true") or []
        return []

    def run(self):
        while not self.ends.wait(0.1):
            for queue in self.ask():
                if queue["arguments"].get("x-queue-type") == "classic":
                    del queue["arguments"]["x-queue-type"]  # 4.0 writes it down unasked
                self.queues[UUID.sub("U", queue["name"])] = tuple(
                    json.dumps(queue[key], sort_keys=True)
                    for key in ("durable", "exclusive", "auto_delete", "arguments"))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.ends.set()
        self.join(30)

    def check(self):
        transient = {name: flags[1] for name, flags in self.queues.items() if flags[0] == "false"}
        assert set(transient) == TRANSIENT and set(transient.values()) == {"true"}, transient


def rows(what, *columns):
    text = coneytest.broker("ctl", "--quiet", what, *columns)
    return [line.split("\t") for line in text.splitlines()[1:]]


def complaints():
    """What RabbitMQ 4.0 says in its log of the features that this is about, where they are used."""
    with open(ENV["CONEY_BROKER_LOG"], encoding="utf-8") as log:
        text = log.read()
    return [feature for feature in REFUSED if f"Deprecated features: `{feature}`" in text]


def check_channels():
    """Nobody has a prefetch for a whole channel; who acknowledges has one for each consumer."""
    if machine_version() < (4,):  # which doesn't tell, but complains
        shared = rows("list_channels", "name", "global_prefetch_count")
        assert len(shared) >= 10 and all(row[1] == "0" for row in shared), shared
    consumers = rows("list_consumers", "queue_name", "ack_required", "prefetch_count")
    unlimited = [queue for queue, acks, count in consumers if acks == "true" and count == "0"]
    assert len(consumers) >= 6 and not unlimited, consumers
    print(f"{len(rows('list_channels', 'pid'))} channels without a prefetch of their own, for "
          f"{len(consumers)} consumers")


# --- what the node refuses --------------------------------------------------------------------

@contextlib.contextmanager
def channel():
    connection = amqp.Connection(
        f"{ENV['CONEY_BROKER_HOST']}:{ENV['CONEY_BROKER_PORT']}", connect_timeout=20,
        userid=ENV["CONEY_BROKER_USER"], password=ENV["CONEY_BROKER_PASSWORD"])
    connection.connect()
    try:
        yield connection.channel()
    finally:
        with contextlib.suppress(OSError, amqp.AMQPError):
            connection.close()


def check_refusals():
    """A transient queue is an error. A prefetch for the channel is not, but becomes one for each
    consumer."""
    try:
        with channel() as ch:
            ch.queue_declare("transient", durable=False, exclusive=False)
        raise AssertionError("it takes queues that are neither durable nor exclusive")
    except amqp.AMQPError as error:
        assert "deprecated" in str(error), error
    with channel() as ch:
        ch.queue_declare("exclusive", durable=False, exclusive=True)
        ch.basic_qos(0, 10, True)
    wait_for(lambda: complaints() == list(REFUSED), "the node to complain of both")
    print(f"refused here: {', '.join(REFUSED)}")


# --- what is done on both ---------------------------------------------------------------------

def config_of(scratch, results):
    path = str(scratch.path / "ledger")
    return scratch.config(coneytest.worker_config(
        plugins=("demo", "ledger"), results=results, events={"enabled": True},
        worker={"concurrency": 2, "foreign": ["python"]},
        queues={} if results["url"] == "rpc://" else {
            "orders": {"declare": "passive", "celery_delayed": ORDERS["key"]}},
        tasks={"ledger.again": {"retry": {"max": 5, "base": "1s", "factor": 1,
                                          "jitter": "none"}}},
        schedule={"tick": {"task": "ledger.again", "every": "1s", "args": [path, "tick", 0]}}))


def attempts(scratch, label, count):
    """When each attempt of a task noted itself, in seconds, once there are so many."""
    def noted():
        moments = [line.at_us / 1e6 for line in coneytest.ledger(scratch.path / "ledger")
                   if line.label == label]
        return moments if len(moments) >= count else None
    return wait_for(noted, f"{count} attempts of {label}")


class Events(coneytest.Coney):
    def __init__(self, config):
        super().__init__("events", "--json", "--heartbeats", "--config", config)

    def await_types(self, *types):
        def all_came():
            lines = [line for line in self.log().splitlines() if line.startswith("{")]
            return set(types) <= {json.loads(line)["type"] for line in lines[:-1]}
        wait_for(all_came, f"events {types}: {self.log()[-2000:]}")


def alone(scratch, config):
    """Coney's own ways, with results by rpc."""
    ledger = str(scratch.path / "ledger")

    def coney(verb, *arguments, **more):
        return run_coney(verb, *arguments, "--config", config, **more)[0].strip()

    with coneytest.Worker(config) as worker, beat_common.Beat(config), Events(config) as events:
        assert coney("send", "demo.sleep", "700", "--wait") != ""
        assert coney("send", "demo.add", "2", "3", "--wait") == "5"
        asked = time.time()
        coney("send", "ledger.again", json.dumps(ledger), '"late"', "0", "--countdown", "1500ms")
        coney("send", "ledger.again", json.dumps(ledger), '"again"', "2")
        revoked = coney("send", "ledger.again", json.dumps(ledger), '"revoked"', "0",
                        "--countdown", "10s")
        coney("revoke", revoked)
        assert "pong" in coney("inspect", "ping", "--json")
        coney("control", "rate_limit", "demo.add", "100/s")
        rejected = coney("send", "demo.reject")
        celerypeers.letter_of(rejected)
        late = attempts(scratch, "late", 1)[0] - asked
        assert 1.5 <= late < 4, late
        again = attempts(scratch, "again", 3)
        assert all(1 <= after - before < 3.5 for before, after in zip(again, again[1:])), again
        attempts(scratch, "tick", 2)
        worker.wait_log(revoked)
        events.await_types("task-received", "task-started", "task-succeeded", "task-retried",
                           "task-revoked", "worker-heartbeat")
        check_channels()
    with coneytest.Worker(config):  # which reads of the revocation in the stream
        assert coney("send", "demo.add", "2", "4", "--wait") == "6"
        assert not [line for line in coneytest.ledger(ledger) if line.label == "revoked"]
    print(f"send, result by rpc, delay of 1.5 s ({late:.2f} s), 2 retries, beat, events, control, "
          "a revocation, a dead letter")


def beside_celery(scratch, config, redis):
    """Tasks, results, delays and callbacks both ways between Coney and Celery 5.5."""
    path = str(scratch.path / "ledger-of-both")
    # Celery sends a delayed retry to its default queue, wherever the task came from.
    sender, worker = (celerypeers.settings(queues, backend=redis.url,
                                           conf={"worker_enable_remote_control": False})
                      for queues in ([ORDERS, PYTHON], [PYTHON, ORDERS]))
    only_python = ["--without-gossip", "--without-mingle", "-E", "-Q", "python"]
    with celerypeers.Client("5.5", sender) as client:
        for queue in ("orders", "python"):
            client(f"app.amqp.queues[{queue!r}](app.connection()).declare()")
        with celerypeers.PythonWorker("5.5", worker, *only_python, share=scratch.path), \
                coneytest.Worker(config), Events(config) as events:
            there = client("send('demo.add', (2, 3), queue='orders', "
                           f"link=app.signature('py.mark', ({path!r}, 'linked'), "
                           "immutable=True, queue='python'))")
            assert client(f"outcome({there!r})")["value"] == 5
            back = run_coney("send", "py.add", "2", "5", "--queue", "python", "--wait",
                             "--config", config)[0]
            assert back.strip() == "7", back
            failed = client("send('demo.fail', ('OddError', 'x'), queue='orders')")
            assert client(f"outcome({failed!r})")["state"] == "FAILURE"
            asked = time.time()
            again = client(f"send('ledger.again', ({path!r}, 'again', 2), queue='orders', "
                           "countdown=2)")
            flaky = client(f"send('py.flaky', ({path!r}, 'flaky', 1, 1), queue='python')")
            assert client(f"outcome({again!r})")["value"] == 2
            assert client(f"outcome({flaky!r})")["value"] == 1
            lines = {(line.label, line.retries): line.at_us / 1e6 - asked
                     for line in coneytest.ledger(path)}
            assert ("linked", 0) in lines and 2 <= lines["again", 0] < 5, lines
            assert all(1 <= lines["again", n] - lines["again", n - 1] < 3.5 for n in (1, 2)), lines
            events.await_types("task-succeeded", "task-failed", "task-retried")
            assert '"python@test"' in events.log(), "no event of Celery's"
            check_channels()
    print(f"Celery {client.celery}: tasks, results in redis, a callback, delays and retries "
          "both ways")


def census_of(redis):
    version = ".".join(map(str, machine_version()))
    with coneytest.Scratch() as scratch, Census() as census:
        alone(scratch, config_of(scratch, {"url": "rpc://"}))
        if "5.5" in celerypeers.versions():
            beside_celery(scratch, config_of(scratch, redis.section()), redis)
    assert not complaints(), complaints()
    census.check()
    print(f"RabbitMQ {version}: {len(census.queues)} queues; not durable, and all of them "
          f"exclusive: {', '.join(sorted(TRANSIENT))}")
    return census.queues


def main():
    with coneytest.Redis() as redis:
        usual = census_of(redis)
        is_new = machine_version() >= (4,)
        if not is_new and "5.5" not in celerypeers.versions():
            print("RabbitMQ 4.0 left out; its tree needs root")
            return
        with RefusingNode(is_new):
            assert machine_version() >= (4,)
            refusing = census_of(redis)
            check_refusals()
    assert usual == refusing, set(usual.items()) ^ set(refusing.items())
    print("the same queues on both")


if __name__ == "__main__":
    main()
