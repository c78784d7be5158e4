#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Celery reads what we encode, and we read what Celery encodes, field by field.

Usage: celery_reads_our_messages.py [DIRECTORY OF task_dump]

No broker: a message goes from our encoder through py-amqp's property codec (the bytes on the
wire), kombu's message and decoder, and Celery's worker request, which also runs the task. The
other way, Celery's own task messages go through our decoder. Results likewise.
"""

import json
import logging
import os
import pathlib
import subprocess
import sys
import unittest
import uuid
from datetime import datetime, timedelta, timezone

from amqp.basic_message import Message as AmqpMessage
from celery import Celery
from celery.app.task import Context
from celery.worker.request import Request
from celery.worker.strategy import proto1_to_proto2
from kombu import compression, serialization
from kombu.message import Message as KombuMessage

TOOL_DIR = pathlib.Path(os.environ.get("CONEY_TEST_TOOLS", "."))
UTC = timezone.utc
NOW = datetime(2026, 11, 20, 13, 3, 53, 3744, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BASIC_CLASS = 60
EMBED_KEYS = ["callbacks", "errbacks", "chain", "chord"]
SUCCESS, FAILURE, RETRY, REVOKED, STARTED = range(5)

app = Celery("contract", broker="memory://", backend="rpc://")
app.conf.update(accept_content=["json"], enable_utc=True, timezone="UTC")
logging.disable(logging.CRITICAL)


@app.task(name="proj.echo")
def echo(*args, **kwargs):
    return [list(args), kwargs]


@app.task(name="proj.request", bind=True)
def request(self):
    names = ["id", "root_id", "parent_id", "group", "group_index", "retries", "timelimit", "shadow",
             "reply_to", "correlation_id", "origin", "callbacks", "errbacks", "chain", "chord",
             "ignore_result", "replaced_task_nesting"]
    return {name: getattr(self.request, name) for name in names} | {
        "custom": getattr(self.request, "x-custom", None),
        "execution": sorted(self.request.as_execution_options())}


class Tool:
    """The C side, asked line by line."""

    def __init__(self):
        self.process = subprocess.Popen([TOOL_DIR / "task_dump"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(timeout=30)
        self.process.stdout.close()
        return status


def micros(when):
    return (when - EPOCH) // timedelta(microseconds=1)


def over_the_wire(message):
    """Properties, headers and body as py-amqp reads them from the bytes that it wrote."""
    sent = AmqpMessage(bytes.fromhex(message["body"]),
                       application_headers=message["headers"], **message["properties"])
    received = AmqpMessage(sent.body)
    received._load_properties(BASIC_CLASS, sent._serialize_properties(), 0)
    properties = dict(received.properties)
    return properties, properties.pop("application_headers"), received.body


def kombus(message):
    """The message that a consumer's callback gets."""
    properties, headers, body = over_the_wire(message)
    return KombuMessage(
        body=body, headers=headers, properties=properties,
        content_type=properties.get("content_type"),
        content_encoding=properties.get("content_encoding"), accept={"application/json"},
        delivery_info={"exchange": "", "routing_key": "q", "redelivered": False},
        delivery_tag=1, channel=Channel())


class Channel:
    """What acknowledging needs."""

    no_ack_consumers = None

    def basic_ack(self, *_args, **_kwargs):
        pass

    def basic_reject(self, *_args, **_kwargs):
        pass


def received(message):
    """The worker's request made from our message, as its consumer makes it."""
    kombu_message = kombus(message)
    kombu_message.decode()
    return Request(kombu_message, app=app, on_ack=lambda *_: None, on_reject=lambda *_: None)


class Contract(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool()

    @classmethod
    def tearDownClass(cls):
        assert cls.tool.close() == 0, "task_dump failed, or leaked under a sanitizer"

    def encode(self, **spec):
        message = self.tool.ask(op="encode", now_us=micros(NOW), **spec)
        self.assertNotIn("error", message)
        return message

    def execute(self, message):
        return received(message).execute()


class CeleryReadsOurTasks(Contract):
    def test_a_plain_task_runs_with_its_arguments(self):
        args = [2, 3.5, "h\u00e9llo \U0001f600", None, True, [1, {"x": []}], "\0", 2**63 - 1, -2**63]
        kwargs = {"y": 3, "\u00e9": {"deep": [{}]}}
        self.assertEqual(self.execute(self.encode(task="proj.echo", args=args, kwargs=kwargs)),
                         [args, kwargs])

    def test_nothing_given_means_nothing_received(self):
        message = self.encode(task="proj.request")
        got = self.execute(message)
        task_id = message["headers"]["id"]
        self.assertEqual(uuid.UUID(task_id).version, 4)
        self.assertEqual(got["id"], task_id)
        self.assertEqual(got["root_id"], task_id)
        self.assertEqual(got["correlation_id"], task_id)
        self.assertEqual(got["reply_to"], "")
        self.assertEqual(got["retries"], 0)
        self.assertEqual(got["timelimit"], [None, None])
        self.assertEqual(got["replaced_task_nesting"], 0)
        for name in ["parent_id", "group", "group_index", "shadow", "origin", "ignore_result",
                     *EMBED_KEYS]:
            self.assertIsNone(got[name], name)

    def test_every_field_arrives(self):
        message = self.encode(
            task="proj.request", id="an-id", root_id="r", parent_id="p", group="g", group_index=4,
            shadow="my.alias", reply_to="reply-queue", origin="gen1@host", priority=5,
            time_limit_ms=60000, soft_time_limit_ms=50500, ignore_result=1,
            headers={"x-custom": "v1"})
        got = self.execute(message)
        expected = {"id": "an-id", "root_id": "r", "parent_id": "p", "group": "g",
                    "group_index": 4, "shadow": "my.alias", "reply_to": "reply-queue",
                    "correlation_id": "an-id", "origin": "gen1@host", "timelimit": [60, 50.5],
                    "ignore_result": False, "custom": "v1"}
        self.assertEqual({name: got[name] for name in expected}, expected)
        r = received(message)
        self.assertEqual(r.name, "my.alias")
        self.assertEqual(r.type, "proj.request")
        self.assertEqual(r.time_limits, [60, 50.5])
        self.assertEqual(r.delivery_info["priority"], 5)
        self.assertEqual(r.argsrepr, "()")
        self.assertEqual(r.kwargsrepr, "{}")

    def test_times_are_read_to_the_microsecond(self):
        eta, expires = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
        message = self.encode(task="proj.echo", eta_us=micros(eta), expires_us=micros(expires))
        r = received(message)
        self.assertEqual(r.eta, eta)
        self.assertEqual(r.expires, expires)
        self.assertEqual(message["properties"]["expiration"], "7200000")
        for when in [datetime(1, 1, 2, tzinfo=UTC), EPOCH, datetime(9999, 12, 30, tzinfo=UTC)]:
            r = received(self.encode(task="proj.echo", eta_us=micros(when)))
            self.assertEqual(r.eta, when)

    def test_what_is_ignored_is_ignored_and_what_is_kept_is_kept(self):
        for ignore, expected in [(0, None), (1, False), (2, True)]:
            message = self.encode(task="proj.request", ignore_result=ignore)
            self.assertIs(message["headers"]["ignore_result"], expected)
            self.assertEqual(self.execute(message)["ignore_result"], expected)

    def test_signatures_arrive_as_celery_writes_them(self):
        signature = json.loads(json.dumps(echo.s(10).set(queue="q")))
        embed = {"callbacks": [signature], "errbacks": [signature], "chain": [], "chord": None}
        message = self.encode(task="proj.request", embed=embed)
        body = json.loads(bytes.fromhex(message["body"]))
        self.assertEqual(body, [[], {}, embed])
        link = app.signature(body[2]["callbacks"][0])
        self.assertEqual((link.task, link.args, link.options), ("proj.echo", [10], {"queue": "q"}))

    def test_the_text_is_what_python_would_write(self):
        args, kwargs = [2, "h\n\"\\", None, [], {"a": 0.5}], {"y": {"z": [True, False]}}
        text = bytes.fromhex(self.encode(task="t", args=args, kwargs=kwargs)["body"]).decode()
        self.assertEqual(text, json.dumps([args, kwargs, dict.fromkeys(EMBED_KEYS)]))

    def test_the_headers_are_celerys_and_in_its_order(self):
        theirs = app.amqp.as_task_v2("i", "t").headers
        ours = self.encode(task="t", id="i")["headers"]
        self.assertEqual([name for name in ours if name in theirs], list(theirs))
        self.assertEqual({name: ours[name] for name in theirs} | {"lang": "py", "origin": "x"},
                         theirs | {"ignore_result": None, "origin": "x"})
        # Celery's own since 5.3, and so in our messages whatever release reads them.
        self.assertEqual(set(ours) - set(theirs),
                         {"replaced_task_nesting", "stamped_headers", "stamps"} - set(theirs))

    def test_a_message_that_goes_round_again_runs_with_its_retries(self):
        first = self.encode(task="proj.request", id="i", expires_us=micros(NOW) + 10**13,
                            headers={"x-custom": "v1"})
        eta = NOW + timedelta(seconds=7)
        again = self.tool.ask(op="again", message=first, retries=3, eta_us=micros(eta),
                              parent_id="i")
        got = self.execute(again)
        self.assertEqual((got["id"], got["retries"], got["parent_id"], got["custom"]),
                         ("i", 3, "i", "v1"))
        self.assertEqual(received(again).eta, eta)
        self.assertEqual(again["body"], first["body"])
        self.assertNotIn("expiration", again["properties"])
        self.assertEqual(received(again).expires, received(first).expires)

    def test_no_name_of_celerys_request_may_be_a_users_header(self):
        names = set(dir(Context)) | set(app.amqp.as_task_v2("i", "t").headers) | {"compression"}
        for name in sorted(names):
            answer = self.tool.ask(op="encode", task="t", headers={name: "x"})
            self.assertIn(name, answer.get("error", ""), f"{name} is not refused")

    def test_types_of_a_users_headers_survive_the_wire(self):
        headers = {"s": "h\u00e9", "t": True, "i": -5, "l": 2**40, "d": 0.25, "n": None,
                   "a": [1, "x", None], "f": {"k": {"k": 1}}}
        _, got, _ = over_the_wire(self.encode(task="t", headers=headers))
        self.assertEqual({name: got[name] for name in headers}, headers)


class WeReadCelerysTasks(Contract):
    def decode(self, args=(), kwargs=None, compress=None, body=None, **options):
        theirs = app.amqp.as_task_v2("the-id", "proj.echo", args, kwargs, now=NOW,
                                     timezone=UTC, **options)
        content_type, encoding, text = serialization.dumps(theirs.body, "json")
        data = (body or text).encode()
        headers = dict(theirs.headers)
        if compress:
            data, headers["compression"] = compression.compress(data, compress)
        properties = dict(theirs.properties, content_type=content_type, content_encoding=encoding)
        properties, headers, data = over_the_wire(
            {"properties": properties, "headers": headers, "body": data.hex()})
        return self.tool.ask(op="decode", message={
            "properties": properties, "headers": headers, "body": data.hex()})

    def test_protocol_1_is_read(self):
        """As sent by Celery with task_protocol = 1, and Celery's own reading of the same."""
        theirs = app.amqp.as_task_v1("the-id", "proj.echo", (2, "x", 2**64), {"y": [float("nan")]},
                                     countdown=3600, time_limit=60, soft_time_limit=50.5,
                                     group_id="g", group_index=3, retries=2, reply_to="q",
                                     callbacks=[echo.s(1)], now=NOW, timezone=UTC)
        content_type, encoding, text = serialization.dumps(theirs.body, "json")
        properties, headers, data = over_the_wire(
            {"properties": dict(theirs.properties, content_type=content_type,
                                content_encoding=encoding),
             "headers": theirs.headers, "body": text.encode().hex()})
        got = self.tool.ask(op="decode", message={
            "properties": properties, "headers": headers, "body": data.hex()})
        body, celerys, _, _ = proto1_to_proto2(kombus(
            {"properties": properties, "headers": headers, "body": data.hex()}),
            json.loads(text))
        self.assertEqual(json.dumps(json.loads(got["body"]), sort_keys=True),
                         json.dumps(body, sort_keys=True))
        for name in ["id", "task", "group", "group_index", "retries"]:
            self.assertEqual(got[name], celerys[name], name)
        self.assertEqual((got["time_limit_ms"], got["soft_time_limit_ms"]), (60000, 50500))
        self.assertEqual(got["eta_us"], micros(NOW + timedelta(hours=1)))
        self.assertEqual((got["root_id"], got["reply_to"]), ("the-id", "q"))

    def test_options_are_read(self):
        got = self.decode((2, "x"), {"y": [1]}, countdown=3600, expires=7200, time_limit=60,
                          soft_time_limit=50.5, group_id="g", group_index=3, retries=2,
                          root_id="r", parent_id="p", shadow="s", reply_to="q", origin="o",
                          ignore_result=True, chain=[echo.s(1)])
        self.assertEqual(got["args"], [2, "x"])
        self.assertEqual(got["kwargs"], {"y": [1]})
        self.assertEqual(got["embed"]["chain"][0]["task"], "proj.echo")
        expected = {"id": "the-id", "task": "proj.echo", "group": "g", "group_index": 3,
                    "retries": 2, "root_id": "r", "parent_id": "p", "shadow": "s",
                    "reply_to": "q", "origin": "o", "correlation_id": "the-id",
                    "ignore_result": 2, "time_limit_ms": 60000, "soft_time_limit_ms": 50500,
                    "eta_us": micros(NOW + timedelta(hours=1)),
                    "expires_us": micros(NOW + timedelta(hours=2))}
        self.assertEqual({name: got[name] for name in expected}, expected)

    def test_times_with_and_without_an_offset_are_read(self):
        east = timezone(timedelta(hours=5, minutes=30))
        for eta in [datetime(2030, 1, 2, 3, 4, 5), datetime(2030, 1, 2, 3, 4, 5, 678901, east),
                    datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)]:
            aware = eta if eta.tzinfo else eta.replace(tzinfo=UTC)
            self.assertEqual(self.decode(eta=eta)["eta_us"], micros(aware))

    def test_compressed_bodies_are_read(self):
        for name in ["gzip", "zlib"]:
            self.assertEqual(self.decode((1, "x" * 1000), compress=name)["args"], [1, "x" * 1000])
        self.assertIn("supported: application/x-gzip", self.decode(compress="bzip2")["error"])

    def test_what_only_python_can_write_keeps_its_spelling(self):
        args = [float("nan"), float("inf"), -float("inf"), 2**63, -10**40, "\ud800", 1.7e308]
        got = self.decode(args, argsrepr="")
        self.assertEqual(got["args"], ["NaN", "Infinity", "-Infinity", str(2**63), str(-10**40),
                                       "\ufffd", 1.7e308])
        self.assertEqual(str(json.loads(got["body"])[0]), str(args))

    def test_raw_utf8_is_read(self):
        body = json.dumps([["h\u00e9", "\U0001f600"], {}, {}], ensure_ascii=False)
        self.assertEqual(self.decode(body=body)["args"], ["h\u00e9", "\U0001f600"])


class CeleryReadsOurResults(Contract):
    def meta(self, **result):
        message = self.tool.ask(op="result", task_id="i", **result)
        self.assertNotIn("error", message)
        wire = kombus(message)
        self.assertEqual(wire.properties["correlation_id"], "i")
        meta = app.backend.meta_from_decoded(wire.decode())
        self.assertEqual(meta["task_id"], "i")
        self.assertEqual(meta["children"], [])
        return meta

    def test_a_value_arrives(self):
        for value in [5, None, "h\u00e9", [1, {"a": 0.5}], False]:
            meta = self.meta(status=SUCCESS, value=value)
            self.assertEqual((meta["status"], meta["result"]), ("SUCCESS", value))

    def test_failures_are_exceptions_that_can_be_raised(self):
        meta = self.meta(status=FAILURE, exc_type="ValueError", exc_module="builtins",
                         exc_message=["boom", 7], traceback="line 1\nline 2")
        self.assertIs(type(meta["result"]), ValueError)
        self.assertEqual(meta["result"].args, ("boom", 7))
        self.assertEqual(meta["traceback"], "line 1\nline 2")
        meta = self.meta(status=FAILURE, exc_text="gateway said 503")
        self.assertEqual(type(meta["result"]).__name__, "TaskError")
        self.assertEqual(meta["result"].args, ("gateway said 503",))
        self.assertIsInstance(meta["result"], Exception)

    def test_retries_and_revocations_are_too(self):
        meta = self.meta(status=RETRY)
        self.assertIsInstance(meta["result"], Exception)
        meta = self.meta(status=REVOKED, exc_type="TaskRevokedError",
                         exc_module="celery.exceptions", exc_text="expired")
        self.assertEqual(type(meta["result"]).__name__, "TaskRevokedError")
        self.assertEqual(meta["result"].args, ("expired",))

    def test_a_start_names_its_process(self):
        meta = self.meta(status=STARTED, value={"pid": 7, "hostname": "coney@h"})
        self.assertEqual(meta["result"], {"pid": 7, "hostname": "coney@h"})


if __name__ == "__main__":
    if len(sys.argv) == 2:
        TOOL_DIR = pathlib.Path(sys.argv.pop())
    unittest.main()
