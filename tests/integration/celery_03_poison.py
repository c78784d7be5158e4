#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""§10.3: every message of §1.9, and some worse. What would kill, stop or silence a Python worker
is one dead letter here, with a reason and as it came; what is fine runs. The worker and its
runners stay the same processes, and nothing goes round in a loop.

That our encoders never make one of these is unit/task_poison: its judge has a row for each row
of §1.9 that is lethal, refused or failed.
"""
import copy
import json
import uuid
import zlib

import amqp

import celerypeers
import coneytest

ENV = coneytest.ENV
QUEUE = "coney.default"
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
RUNS = "runs"


class Message:
    """A good one, to be spoiled."""

    def __init__(self, replies):
        self.id = str(uuid.uuid4())
        self.headers = {
            "lang": "py", "task": "demo.add", "id": self.id, "shadow": None, "eta": None,
            "expires": None, "group": None, "group_index": None, "retries": 0,
            "timelimit": [None, None], "root_id": self.id, "parent_id": None, "argsrepr": "(2, 3)",
            "kwargsrepr": "{}", "origin": "gen1@test", "ignore_result": False, "stamps": {}}
        self.body = json.dumps([[2, 3], {}, EMBED]).encode()
        self.properties = {
            "content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2,
            "correlation_id": self.id, "reply_to": replies}

    def publish(self, channel):
        channel.basic_publish(amqp.Message(self.body, application_headers=self.headers,
                                           **self.properties), "", QUEUE)


def header(**changes):
    return lambda m: m.headers.update(changes)


def without_header(*names):
    return lambda m: [m.headers.pop(name) for name in names]


def prop(**changes):
    return lambda m: m.properties.update(changes)


def without_property(name):
    return lambda m: m.properties.pop(name)


def body(value):
    def change(m):
        m.body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return change


def args(value):
    return body([value, {}, EMBED])


def old(**changes):
    """Protocol 1: all in the body."""
    def change(m):
        m.headers.clear()
        m.body = json.dumps({"task": "demo.add", "id": m.id, "args": [2, 3], **changes}).encode()
    return change


def hybrid(m):
    m.body = json.dumps({"task": "demo.add", "id": m.id, "args": [2, 3], "kwargs": {}}).encode()


def compressed(name, data=None):
    def change(m):
        m.headers["compression"] = name
        m.body = zlib.compress(m.body) if data is None else data
    return change


SIGNATURE = {"task": "demo.add", "args": [], "kwargs": {}, "options": {}}

# Case, what is changed, and what follows: RUNS, or a word of the dead letter's error.
CASES = [
    ("body of two", body([[2, 3], {}]), "array of three"),
    ("empty body", body(b""), "empty"),
    ("no id", without_header("id"), "no header id"),
    ("no content type", without_property("content_type"), "no content type"),
    ('eta ""', header(eta=""), "header eta"),
    ("timelimit [5]", header(timelimit=[5]), "array of two"),
    ("eta is not a date", header(eta="tomorrow"), "header eta"),
    ("eta is a number", header(eta=5), "header eta"),
    ('expires ""', header(expires=""), "header expires"),
    ("content type with charset", prop(content_type="application/json; charset=utf-8"),
     "content type"),
    ("text/plain", prop(content_type="text/plain"), "content type"),
    ("pickle", prop(content_type="application/x-python-serialize"), "content type"),
    ("yaml", prop(content_type="application/x-yaml"), "content type"),
    ("body is not JSON", body(b"[[2, 3], {}, {}"), "not JSON"),
    ("body is not UTF-8", body(b'[["\xff"], {}, {}]'), "UTF-8"),
    ("unknown compression", compressed("application/x-new"), "compression"),
    ("wrong compressed data", compressed("application/x-gzip", b"\x78\x9cnot at all"),
     "zlib stream"),
    ("unknown __type__", header(task="demo.info"), RUNS),
    ("kwargs null", body([[2, 3], None, EMBED]), "kwargs"),
    ("args null", args(None), "args"),
    ("args an object", args({}), "args"),
    ("retries null", header(retries=None), RUNS),
    ("retries a text", header(retries="1"), "header retries"),
    ("callbacks an object", body([[2, 3], {}, dict(EMBED, callbacks=SIGNATURE)]), "callbacks"),
    ("callbacks without a task", body([[2, 3], {}, dict(EMBED, callbacks=[{}])]), "callbacks"),
    ("task is a number", header(task=7), "header task"),
    ("no correlation_id", without_property("correlation_id"), RUNS),
    ("no content_encoding", without_property("content_encoding"), RUNS),
    ("embed {}", body([[2, 3], {}, {}]), RUNS),
    ("embed null", body([[2, 3], {}, None]), RUNS),
    ("timelimit null", header(timelimit=None), RUNS),
    ("timelimit []", header(timelimit=[]), RUNS),
    ("no retries", without_header("retries"), RUNS),
    ("no stamps", without_header("stamps"), RUNS),
    ("only task and id", lambda m: [m.headers.pop(name) for name in list(m.headers)
                                    if name not in ("task", "id")], RUNS),
    ("an id that is no UUID", lambda m: m.headers.update(id=f"my id {m.id}"), RUNS),
    ("protocol 1", old(), RUNS),
    ("protocol 1, whole", old(kwargs={}, group=None, retries=0, eta=None, expires=None, utc=True,
                              callbacks=None, errbacks=None, timelimit=[None, None], taskset=None,
                              chord=None), RUNS),
    ("hybrid", hybrid, RUNS),
    ("protocol 1 without id", old(id=None), "no header id"),
    ("protocol 1, args null", old(args=None), "args"),
    ("neither header task nor an object", lambda m: m.headers.clear(), "no header id"),
    # worse than the table
    ("nested 10000 deep", body(b"[" * 10000 + b"]" * 10000), "deep"),
    ("nested 10000 deep, protocol 1", lambda m: (m.headers.clear(), body(
        b'{"args": ' + b"[" * 10000 + b"]" * 10000 + b"}")(m)), "deep"),
    ("a key twice", body(b'[[2, 3], {"a": 1, "a": 2}, {}]'), "twice"),
    ("a bomb of 40 MB", compressed("gzip", zlib.compress(b" " * 40_000_000)), "decompresses"),
    ("lone surrogates", body(b'[[2, 3], {"\\ud800": "\\udfff"}, {}]'), RUNS),
    ("NaN and 2^64 in kwargs", body(b'[[2, 3], {"a": NaN, "b": 18446744073709551616}, {}]'), RUNS),
    ("an id of 10000 letters", header(id="i" * 10000), "more than 255"),
    ("a task of 10000 letters", header(task="t" * 10000), "more than 255"),
    ("eta in the year 10000", header(eta="10000-01-01T00:00:00+00:00"), "header eta"),
    ("eta in the past", header(eta="1999-01-01T00:00:00+00:00"), RUNS),
    ("time limit beyond sense", header(timelimit=[10**12, None]), "timelimit"),
]


def of_reply(replies, message):
    task = message.headers.get("id", message.id)
    return replies.of(task)


class Letters:
    """Dead letters, by their correlation_id: not each of them has an id."""

    def __init__(self):
        self.found = {}

    def of(self, message):
        def find():
            for letter in coneytest.letters():
                key = letter["properties"].get("correlation_id")
                assert key not in self.found, f"twice: {letter}"
                self.found[key] = letter
            return self.found.get(message.id)
        return coneytest.wait_for(find, "the dead letter", 30, 0.05)


def check(name, message, wanted, replies, letters):
    if wanted == RUNS:
        meta = of_reply(replies, message)
        assert meta["status"] == "SUCCESS", (name, meta)
        print(f"{name}: runs")
        return
    letter = letters.of(message)
    headers = letter["properties"]["headers"]
    assert headers["coney-reason"] == "malformed" and wanted in headers["coney-error"], \
        (name, headers)
    assert headers["coney-queue"] == QUEUE and headers["coney-attempts"] <= 1, headers
    if letter["payload_encoding"] == "string" and letter["payload_bytes"] < 50000:
        assert letter["payload"].encode() == message.body, (name, letter["payload"])
    kept = {key: value for key, value in message.headers.items()
            if isinstance(value, (str, int)) and len(str(value)) < 1000}
    assert {key: headers.get(key) for key in kept} == kept, (name, headers)
    print(f"{name}: dead letter: {headers['coney-error'][:90]}")


def check_unknown(channel, replies, letters):
    """A task that nobody has goes round a while; then its sender hears of it."""
    message = Message(replies.queue)
    message.headers["task"] = "nobody.has_this"
    message.publish(channel)
    meta = replies.of(message.id)
    assert meta["result"]["exc_type"] == "NotRegistered", meta
    letter = letters.of(message)["properties"]["headers"]
    assert letter["coney-reason"] == "unknown_task", letter
    print(f"unregistered task: result {meta['result']}, dead letter: {letter['coney-error']}")


def runners(worker):
    with open(f"/proc/{worker.process.pid}/task/{worker.process.pid}/children",
              encoding="ascii") as children:
        return children.read()


def main():
    connection = amqp.Connection(
        f"{ENV['CONEY_BROKER_HOST']}:{ENV['CONEY_BROKER_PORT']}",
        userid=ENV["CONEY_BROKER_USER"], password=ENV["CONEY_BROKER_PASSWORD"])
    connection.connect()
    channel = connection.channel()
    letters = Letters()
    with coneytest.Scratch() as scratch, celerypeers.Replies() as replies:
        config = scratch.config(coneytest.worker_config(
            plugins=("demo",), worker={"unknown_task_ttl": "2s", "concurrency": 2}))
        with coneytest.Worker(config) as worker:
            before = runners(worker)
            for name, spoil, wanted in CASES:
                message = Message(replies.queue)
                if name == "unknown __type__":
                    args([{"__type__": "money", "__value__": 5}])(message)
                spoil(message)
                message.publish(channel)
                check(name, copy.deepcopy(message), wanted, replies, letters)
            check_unknown(channel, replies, letters)
            coneytest.wait_for(lambda: not coneytest.busy_queues(), "all queues to be empty")
            good = Message(replies.queue)
            good.publish(channel)
            assert replies.of(good.id)["result"] == 5
            assert runners(worker) == before, "a runner has died"
            assert worker.process.poll() is None
            assert not coneytest.letters()
    connection.close()
    dead = sum(wanted != RUNS for _, _, wanted in CASES)
    print(f"{len(CASES)} messages: {dead} dead letters, {len(CASES) - dead} run; the same worker "
          "and runners as before, all queues empty")


if __name__ == "__main__":
    main()
