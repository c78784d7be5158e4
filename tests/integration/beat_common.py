# SPDX-License-Identifier: MIT
"""What the tests of the beat share: beats, and a consumer that keeps every tick it gets.

A tick's id can be foretold from the beat's name, the entry's and the due time, by the rule that
schedule.h states; so what must have come is computed here, not read off the beat's log.
"""
import collections
import datetime
import json
import socket
import threading
import time
import uuid

import coneytest
import kombu

NAMESPACE = uuid.UUID("5e0d6c0b-7a42-4c55-9d0b-0c3f6a1e8b27")
TOKEN_QUEUE = "coney.beat.main"

Tick = collections.namedtuple("Tick", "id entry task queue at args headers properties")


def tick_id(entry, due_ms, beat="main"):
    due = datetime.datetime.fromtimestamp(due_ms // 1000, datetime.timezone.utc)
    text = due.strftime("%Y-%m-%dT%H:%M:%S.") + f"{due_ms % 1000:03d}Z"
    return str(uuid.uuid5(uuid.uuid5(uuid.uuid5(NAMESPACE, beat), entry), text))


def ticks_between(every_ms, from_ms, to_ms):
    """The ticks of an interval in (from_ms, to_ms]."""
    first = (int(from_ms) // every_ms + 1) * every_ms
    return range(first, int(to_ms) + 1, every_ms)


def now_ms():
    return time.time() * 1000


def set_heartbeat(scratch, text):
    """Of every config in `scratch`."""
    directory = scratch.path / "conf.d"
    directory.mkdir(exist_ok=True)
    (directory / "heartbeat.yaml").write_text(f"broker: {{heartbeat: {text}}}\n")


def config(scratch, **schedule):
    return scratch.config(f"schedule: {json.dumps(schedule)}")


class Beat(coneytest.Coney):
    """`coney beat`; entered when it stands by."""

    READY = "standing by  beat="

    def __init__(self, path):
        super().__init__("beat", "--config", path)

    def is_leading(self):
        log = self.log()
        return log.rfind(": leading  beat=") > log.rfind("no longer leading")

    def slay(self):
        """kill -9, and no questions about the exit status."""
        self.kill()
        self.output.close()


class Collector:
    """Consumes from queues in a thread; keeps all ticks in the order of their coming."""

    def __init__(self, *queues):
        self.queues = queues or ("coney.default",)
        self.ticks = []
        self.errors = []
        self.done = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.done.set()
        self.thread.join()

    def take(self, message):
        headers, args = message.headers, json.loads(message.body)[0]
        self.ticks.append(Tick(headers["id"], headers["periodic_task_name"], headers["task"],
                               message.delivery_info["routing_key"], now_ms(), args, headers,
                               message.properties))
        message.ack()

    def consume(self):
        with kombu.Connection(coneytest.ENV["CONEY_BROKER_PLAIN_AUTH_URL"]) as connection:
            queues = [kombu.Queue(name, no_declare=True) for name in self.queues]
            with connection.Consumer(queues, on_message=self.take, accept=["json"]):
                while not self.done.is_set():
                    try:
                        connection.drain_events(timeout=0.1)
                    except socket.timeout:
                        pass

    def run(self):
        while not self.done.is_set():
            try:
                self.consume()
            except (OSError, kombu.exceptions.KombuError, *self.lost()):
                time.sleep(0.1)  # the broker restarts, or the queue is not there yet

    @staticmethod
    def lost():
        connection = kombu.Connection(coneytest.ENV["CONEY_BROKER_PLAIN_AUTH_URL"])
        return connection.connection_errors + connection.channel_errors

    def of(self, entry):
        return [tick for tick in self.ticks if tick.entry == entry]

    def wait_beyond(self, entry, every_ms, when_ms):
        """Wait for the entry's first tick due after `when_ms`. Ticks leave in the order of their
        due times: with it, all before are there."""
        identifier = tick_id(entry, ticks_between(every_ms, when_ms, when_ms + every_ms)[0])
        coneytest.wait_for(lambda: any(tick.id == identifier for tick in self.of(entry)),
                           f"the next tick of {entry}")

    def wait_count(self, entry, count, deadline_s=30):
        coneytest.wait_for(lambda: len(self.of(entry)) >= count,
                           f"{count} ticks of {entry}", deadline_s)
