#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""The Celery bridge: an app that knows nothing of Coney (tests/support/bridged.py) runs under it,
and a Celery client sees what it would see of a Celery worker. With every version of Celery."""
import json
import shutil

import celery
import celery.exceptions
import kombu

import celerypeers
import coneytest

ENV = coneytest.ENV
PLAIN = ENV["CONEY_BROKER_PLAIN_AUTH_URL"]
BRIDGE = f"{ENV['CONEY_SOURCE_DIR']}/config/bridge/celery"
HERE = f"{ENV['CONEY_SOURCE_DIR']}/tests/support"

app = celery.Celery("client", broker=PLAIN, backend="rpc://")
app.conf.update(task_queues=[kombu.Queue("coney.default", no_declare=True)],
                task_default_queue="coney.default", task_create_missing_queues=False)


def send(name, *args, **options):
    return app.send_task(name, args, **options)


def get(name, *args, **options):
    return send(name, *args, **options).get(timeout=30)


def failure(result):
    """The exception that a client meets."""
    try:
        value = result.get(timeout=30)
    except Exception as error:
        return error
    raise AssertionError(f"no failure but {value!r}")


def plain(value):
    """What a client of Celery 5.2 leaves as it came from one of 5.5."""
    return value["__value__"] if isinstance(value, dict) and "__type__" in value else value


def known():
    """The configuration has only a pattern; the bridge has told what fits it."""
    (names,) = app.control.inspect(timeout=3).registered().values()
    names = [name.split()[0] for name in names]
    assert "core.add" in names and "core.send_sms" in names and len(names) > 20, names
    assert all(name.startswith("core.") for name in names), names
    print(f"inspect registered: {len(names)} tasks")


def values():
    assert get("core.add", 2, 3) == 5
    assert get("core.add", 2 ** 63, 1) == 2 ** 63 + 1
    nan = get("core.echo", float("nan"), -2 ** 63)
    assert nan[0][0] != nan[0][0] and nan[0][1] == -2 ** 63, nan
    assert get("core.echo", "Grüße \ud83d\ude00", [], {}) == [["Grüße \U0001f600", [], {}], {}]
    typed = {key: plain(value) for key, value in get("core.typed").items()}
    assert str(typed["price"]) == "9.50" and "2026-01-02" in str(typed["when"]), typed
    print("values: 2^63, NaN, times, decimals and UUIDs as Celery has them")


def requests():
    result = send("core.request", headers={"tenant": "blue"}, time_limit=25, soft_time_limit=20)
    r = result.get(timeout=30)
    assert r["id"] == r["root_id"] == r["correlation_id"] == result.id, r
    assert r["parent_id"] is None and r["retries"] == 0 and r["tenant"] == "blue", r
    assert r["timelimit"] == [25, 20] and r["reply_to"] == app.thread_oid, r
    assert r["hostname"].startswith("coney@") and not r["called_directly"], r
    info = r["delivery_info"]
    assert info["exchange"] == "" and info["routing_key"] == "coney.default", r
    assert info["redelivered"] is False, r
    print("requests: complete")


def retries():
    result = send("core.send_sms", 3)
    assert result.get(timeout=30) == 3 and result.state == "SUCCESS"
    assert get("core.automatic") == 2
    assert get("core.again", [0, 1]) == [[0, 1, 2 ** 63], "new", 1]
    gone = failure(send("core.send_sms", 9))
    assert type(gone).__name__ == "GatewayError" and gone.args == (503, "busy"), repr(gone)
    lost = failure(send("core.exhausted"))
    assert isinstance(lost, celery.exceptions.MaxRetriesExceededError), repr(lost)
    print("retries: countdown, eta, new arguments, autoretry; and an end to them")


def delays(worker):
    """The waits of an exponential countdown, as the worker published them."""
    waits = [line for line in worker.log().splitlines()
             if "task=core.send_sms" in line and "; retry " in line]
    first = [line.split("; retry ")[1].split(" s ")[0] for line in waits[:3]]
    assert first == ["1 in 0.300", "2 in 0.600", "3 in 1.200"], first


def ends():
    result = send("core.fail", "no such number")
    error = failure(result)
    assert type(error).__name__ == "GatewayError", repr(error)
    assert error.args == (404, "no such number"), repr(error)
    assert 'raise GatewayError(404, text)' in result.traceback, result.traceback
    assert "Traceback (most recent call last)" in result.traceback
    unwritable = failure(send("core.unwritable"))
    assert "EncodeError" in type(unwritable).__name__ or "not JSON serializable" in str(
        unwritable), repr(unwritable)
    assert type(failure(send("core.reject"))).__name__ == "Reject"
    ignored, silent = send("core.ignore"), send("core.no_result")
    unknown = send("core.nobody")
    assert get("core.add", 1, 1) == 2
    for result in (ignored, silent, unknown):
        try:
            result.get(timeout=1)
            raise AssertionError("a result that nobody wanted")
        except celery.exceptions.TimeoutError:
            pass
    print("ends: exceptions with arguments and traceback; Reject, Ignore, ignore_result")


def children(worker):
    with kombu.Connection(PLAIN) as connection:
        channel = connection.default_channel
        kombu.Queue("children", channel=channel, durable=True).declare()
        result = send("core.parent")
        ids = result.get(timeout=30)
        assert [child.id for child in result.children] == ids, result.children
        found = {}
        while len(found) < 2:
            message = coneytest.wait_for(lambda: channel.basic_get("children", no_ack=True),
                                         "the children")
            found[message.headers["id"]] = message.headers
        assert set(found) == set(ids)
        assert {h["parent_id"] for h in found.values()} == {result.id}
        assert {h["root_id"] for h in found.values()} == {result.id}
    replaced = send("core.replaced").id
    worker.wait_log(f"task=core.echo id={replaced}")
    assert get("core.progress") == "done"
    print("children: published by the task, with its root and parent, and in its result")


def limits():
    assert get("core.slow", 20, soft_time_limit=1) == "cleaned up"
    error = failure(send("core.stubborn", soft_time_limit=1))
    assert isinstance(error, celery.exceptions.SoftTimeLimitExceeded), repr(error)
    error = failure(send("core.stubborn", time_limit=2))
    assert isinstance(error, celery.exceptions.TimeLimitExceeded), repr(error)
    first = get("core.pid")
    assert get("core.pid") == first
    error = failure(send("core.die", 3))
    assert isinstance(error, celery.exceptions.WorkerLostError), repr(error)
    assert "exited with status 3" in str(error), repr(error)
    assert get("core.pid") != first
    print("limits: soft, hard; a crash, and a new process after it")


def handlers(notes):
    get("core.noting", "fine")
    get("core.noting", "retry")
    failure(send("core.noting", "fail"))
    with open(notes, encoding="utf-8") as lines:
        seen = [json.loads(line) for line in lines]
    ours = [words for words in seen if words[1] == "core.noting"]
    kinds = [(words[0], words[2] if len(words) > 2 else None) for words in ours]
    assert kinds == [
        ("prerun", None), ("on_success", "fine"), ("after_return", "SUCCESS"),
        ("postrun", "SUCCESS"),
        ("prerun", None), ("on_retry", "ValueError('once more')"), ("postrun", "RETRY"),
        ("prerun", None), ("on_success", "retry"), ("after_return", "SUCCESS"),
        ("postrun", "SUCCESS"),
        ("prerun", None), ("on_failure", "KeyError('lost')"), ("after_return", "FAILURE"),
        ("postrun", "FAILURE")], kinds
    print("handlers and signals: all of them, in order")


# What Debian 13's Python does in its tree, where the directory is lost on the way.
INSIDE = "import os, runpy, sys; os.chdir(sys.argv.pop(1)); del sys.argv[0]; " \
         "runpy.run_path(sys.argv[0], run_name='__main__')"


def server_of(version, scratch):
    """The bridge under that version of Celery: the task's settings."""
    bridge = scratch.path / "bridge"
    shutil.copy(BRIDGE, bridge)
    inside = [] if version == celerypeers.own_version() else ["-c", INSIDE, HERE]
    return {"server": [*celerypeers.python(version), *inside, str(bridge), "-A", "bridged"],
            "directory": HERE, "start_timeout": "60s", "retry": {"max": 0},
            "environment": {"BRIDGED": PLAIN, "NOTES": str(scratch.path / "notes"),
                            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE": "1",
                            "CELERY55_BIND": str(scratch.path)}}


def check(version):
    with coneytest.Scratch() as scratch:
        config = scratch.config(coneytest.worker_config(
            plugins=(), worker={"concurrency": 1}, tasks={"core.*": server_of(version, scratch)}))
        with coneytest.Worker(config) as worker:
            assert get("core.version").startswith(version)
            known()
            values()
            requests()
            retries()
            delays(worker)
            ends()
            children(worker)
            limits()
            handlers(scratch.path / "notes")
            assert "adding 2 3" in worker.log(), "what a task prints is logged"
    letters = coneytest.letters()
    reasons = sorted(letter["properties"]["headers"]["coney-reason"] for letter in letters)
    print(f"Celery {version}: dead letters:", ", ".join(reasons))
    assert "crashed" in reasons and "rejected" in reasons and "timed_out" in reasons, reasons


def main():
    for version in celerypeers.versions():
        check(version)


if __name__ == "__main__":
    main()
