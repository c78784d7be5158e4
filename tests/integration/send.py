#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`coney send`: what it publishes, prints and returns, and what it says about mistakes.

coney-test: timeout=120
"""

import json
import subprocess
import time
import uuid

import amqp

from coneytest import ENV, Scratch, run_coney

TOOL = f"{ENV['CONEY_BUILD_DIR']}/tests/topology_declare"


class Inbox:
    """Takes messages off one of the test's queues, one by one."""

    def __init__(self):
        self.connection = amqp.Connection(
            f"{ENV['CONEY_BROKER_HOST']}:{ENV['CONEY_BROKER_PORT']}",
            userid=ENV["CONEY_BROKER_USER"], password=ENV["CONEY_BROKER_PASSWORD"])
        self.connection.connect()
        self.channel = self.connection.channel()

    def take(self, queue, timeout_s=5):
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.channel.basic_get(queue, no_ack=True)
            if message:
                return message
            assert time.monotonic() < deadline, f"nothing came to {queue}"
            time.sleep(0.02)


def check_message(config, inbox):
    out, _ = run_coney("send", "--config", config, "shop.order", "5", "-7", '"a b"', "null",
                       "--kwargs", '{"deep": {"er": [true]}}', "--queue", "low",
                       "--priority", "3", "--header", "tenant=42", "--header", "x-note=a=b",
                       "--expires", "1h", "--time-limit", "90s", "--soft-time-limit", "60s")
    identifier = out.strip()
    assert uuid.UUID(identifier).version == 4
    message = inbox.take("coney.low")
    args, kwargs, embed = json.loads(message.body)
    assert args == [5, -7, "a b", None]
    assert kwargs == {"deep": {"er": [True]}}
    assert set(embed) == {"callbacks", "errbacks", "chain", "chord"}
    headers = message.headers
    assert headers["task"] == "shop.order" and headers["id"] == identifier
    assert headers["timelimit"] == [90, 60], headers["timelimit"]
    assert headers["tenant"] == "42" and headers["x-note"] == "a=b"
    assert headers["expires"] and headers["eta"] is None and headers["retries"] == 0
    assert message.properties["priority"] == 3
    assert message.properties["correlation_id"] == identifier
    assert message.properties["delivery_mode"] == 2
    assert message.properties["type"] == "shop.order"
    assert "expiration" not in message.properties
    assert not message.properties.get("reply_to")


def check_ways_to_give_arguments(config, inbox):
    cases = [
        (["--args", "[1, [2]]"], None, [1, [2]]),
        (["-"], '[3, "vier"]\n', [3, "vier"]),
        ([], None, []),
        (["--", "-5", "-0.5e3"], None, [-5, -500.0]),
        (["-12.25"], None, [-12.25]),
    ]
    for words, text_in, expected in cases:
        run_coney("send", "-c", config, "--id", "fixed", "--queue", "coney.high", "t", *words,
                  text_in=text_in)
        message = inbox.take("coney.high")
        assert json.loads(message.body)[0] == expected, (words, message.body)
        assert message.headers["id"] == "fixed"


def check_routing(scratch, inbox):
    """Without --queue, the same tasks: section decides that the workers read."""
    config = scratch.config('tasks: {"shop.*": {queue: high}, shop.report: {queue: low}}')
    for task, queue in (("shop.order", "high"), ("shop.report", "low"), ("other", "default")):
        run_coney("send", "--config", config, task)
        assert inbox.take(f"coney.{queue}").headers["task"] == task


def check_delay(config, inbox):
    begin = time.time()
    run_coney("send", "--config", config, "late", "--countdown", "1200ms", "--queue", "high")
    message = inbox.take("coney.high")
    assert time.time() - begin >= 1.0
    assert message.headers["x-death"][0]["queue"] == "coney.v1.delay.00"
    run_coney("send", "--config", config, "past", "--eta", "2020-01-01T00:00:00Z",
              "--queue", "high")
    assert inbox.take("coney.high").headers["eta"] == "2020-01-01T00:00:00.000000+00:00"


def check_many(config, inbox):
    out, err = run_coney("send", "--config", config, "many", "--count", "500",
                         "--queue", "coney.low")
    assert len(set(out.split())) == 500
    assert "500 sent" in err
    assert {inbox.take("coney.low").headers["id"] for _ in range(500)} == set(out.split())


def check_refusals(config):
    """Each mistake with its exit code and a word that helps."""
    usage = [
        ([], "which task"),
        (["t", "hello"], "'\"text\"'"),
        (["t", "1, 2"], "argument"),
        (["t", "1", "--args", "[2]"], "not in two ways"),
        (["t", "--countdown", "5"], "--countdown"),
        (["t", "--countdown", "5s", "--eta", "2030-01-01T00:00:00Z"], "not both"),
        (["t", "--eta", "tomorrow"], "--eta"),
        (["t", "--priority", "256"], "--priority"),
        (["t", "--header", "novalue"], "NAME=TEXT"),
        (["t", "--count", "2", "--wait"], "--count"),
        (["t", "--nonsense"], "--nonsense"),
        (["t", "--url", "amqps://u:geheim@localhost/"], "CONEY_BROKER_PASSWORD"),
    ]
    for words, hint in usage:
        out, err = run_coney("send", "--config", config, *words, status=64)
        assert hint in err and out == "", (words, err)
        assert "geheim" not in err
    failures = [
        (["t", "--queue", "nowhere"], "there is no queue 'nowhere'"),
        (["t", "--kwargs", "[1]"], "kwargs"),
        (["t", "--args", "{}"], "args"),
        (["t", "--header", "task=other"], "task"),
    ]
    for words, hint in failures:
        out, err = run_coney("send", "--config", config, *words, status=1)
        assert hint in err and out == "", (words, err)


def check_connection(scratch):
    config = scratch.config("nonsense: 1\nworker: {concurrency: many}")
    _, err = run_coney("send", "--config", config, "t", status=78)
    assert "nonsense" in err and "concurrency" in err, err
    _, err = run_coney("send", "--config", scratch.path / "missing.yaml", "t", status=78)
    assert "missing.yaml" in err, err

    _, err = run_coney("send", "--url", ENV["CONEY_BROKER_URL"], "--ca", ENV["CONEY_CA"],
                       "--queue", "coney.low", "t", status=1, CONEY_BROKER_PASSWORD="wrong")
    assert "wrong user name or password" in err and '"wrong"' not in err, err
    out, _ = run_coney("send", "--url", ENV["CONEY_BROKER_URL"], "--ca", ENV["CONEY_CA"],
                       "--queue", "coney.low", "t",
                       CONEY_BROKER_PASSWORD=ENV["CONEY_BROKER_PASSWORD"])
    assert out.strip()
    begin = time.monotonic()
    _, err = run_coney("send", "--url", "amqp://u@127.0.0.1:1/", "--send-timeout", "500ms", "t",
                       status=1)
    assert "not sent" in err and time.monotonic() - begin < 5, err


def check_no_result(config):
    begin = time.monotonic()
    out, err = run_coney("send", "--config", config, "t", "--queue", "coney.low", "--wait",
                         "--timeout", "300ms", status=2)
    assert out == "" and "no result" in err
    assert time.monotonic() - begin < 5


def main():
    with Scratch() as scratch:
        config = scratch.config()
        subprocess.run([TOOL, "declare", config], check=True, stdout=subprocess.DEVNULL)
        inbox = Inbox()
        check_message(config, inbox)
        check_ways_to_give_arguments(config, inbox)
        check_routing(scratch, inbox)
        check_delay(config, inbox)
        check_many(config, inbox)
        check_refusals(config)
        check_connection(scratch)
        check_no_result(config)


if __name__ == "__main__":
    main()
