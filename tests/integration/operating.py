#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The operator's verbs: status, inspect, control, revoke and events, against two workers of ours
and one of Celery's.

coney-test: timeout=180
"""

import json
import signal
import socket
import uuid

import amqp

import celerypeers
import shop
from coneytest import (ENV, Coney, Scratch, Worker, busy_queues, ledger, queue_counts, run_coney,
                       wait_for, worker_config)

PYTHON = "w1@shop"
ONE, TWO = (f"coney-{name}@{socket.gethostname()}" for name in ("one", "two"))
ALL = sorted((ONE, TWO, PYTHON))


def ask(config, *words, status=0):
    out, err = run_coney(*words, "--config", config, status=status)
    return out, err


def ask_json(config, *words, status=0):
    return json.loads(ask(config, *words, "--json", status=status)[0])


def check_status(config):
    out, _ = ask(config, "status")
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["NODE", "STATE", "PID", "VERSION"], out
    assert [line.split()[0] for line in lines[1:]] == ALL, out
    assert "coney 0." in lines[1] and "coney.high" in lines[1], out
    assert f"celery {shop.celery.__version__}" in lines[3] and "mail" in lines[3], out
    out, err = ask(config, "status", "-d", ONE, "-d", "nobody@nowhere", status=1)
    assert PYTHON not in out and ONE in out and "silent" in out, out
    assert "nobody@nowhere does not answer" in err, err
    _, err = ask(config, "status", "-d", "nobody@nowhere", "-t", "200ms", status=69)
    found = ask_json(config, "status")
    assert sorted(found) == ALL
    assert {"active", "reserved", "stats", "active_queues", "report"} == set(found[ONE])
    out, _ = ask(config, "status", "--pattern", "coney-*")
    assert PYTHON not in out and ONE in out and TWO in out, out
    out, _ = ask(config, "status", "--pattern", "(w[12]|coney-two)@.*", "--matcher", "pcre")
    assert PYTHON in out and ONE not in out and TWO in out, out


def check_inspect(config):
    assert ask_json(config, "inspect", "ping") == {node: {"ok": "pong"} for node in ALL}
    out, _ = ask(config, "inspect", "ping", "-d", ONE)
    assert out == f"{ONE}: pong\n", out
    for command in ("active", "reserved", "scheduled", "revoked", "registered", "stats", "conf",
                    "active_queues", "report", "clock"):
        found = ask_json(config, "inspect", command, "-d", ONE, "-d", PYTHON)
        assert sorted(found) == [ONE, PYTHON], (command, found)
        out, _ = ask(config, "inspect", command, "-d", ONE, "-d", PYTHON)
        assert out.startswith(f"{ONE}:") and f"\n{PYTHON}:" in out, (command, out)
    out, _ = ask(config, "inspect", "registered", "-d", PYTHON, "-d", ONE)
    assert "\n  shop.mail [rate_limit=100/m]\n" in out and "\n  ledger.sleep" in out, out


def send(config, scratch, label, *options):
    """A task of ours that sleeps for a minute; its id."""
    out, _ = run_coney("send", "--config", config, "ledger.sleep",
                       json.dumps(str(scratch.path / "ledger")), json.dumps(label), "60000",
                       *options)
    return out.strip()


def check_tasks(config, scratch):
    running = {"python": shop.sleep.apply_async((60,), queue="shop"),
               "ours": send(config, scratch, "running")}
    later = {"python": shop.add.apply_async((1, 2), queue="shop", countdown=300).id,
             "ours": send(config, scratch, "later", "--countdown", "30s")}
    ids = [running["python"].id, running["ours"]]
    wait_for(lambda: all(i in ask(config, "inspect", "active")[0] for i in ids), "running tasks")
    out, _ = ask(config, "inspect", "query_task", *ids, "unknown")
    assert out.count("  active  ") == 2 and "shop.sleep" in out and "ledger.sleep" in out, out
    wait_for(lambda: later["python"] in ask(config, "inspect", "scheduled")[0], "a held task")

    out, _ = ask(config, "revoke", *later.values())
    assert out == "confirmed by 3 workers, recorded for later ones\n", out
    found = ask_json(config, "inspect", "revoked")
    assert all(set(later.values()) <= set(found[node]) for node in ALL), found
    out, _ = ask(config, "revoke", "--terminate", "--signal", "KILL", *ids)
    assert "confirmed by 3 workers" in out, out
    wait_for(lambda: not any(i in ask(config, "inspect", "active")[0] for i in ids), "their end")
    wait_for(lambda: running["python"].state == "REVOKED", "its result")
    if celerypeers.own_version() == "5.2":  # it knows no stamps
        out, err = ask(config, "revoke", "--stamp", "tenant=blue", status=1)
        assert "confirmed by 2 workers" in out and f"{PYTHON}: KeyError" in err, (out, err)
    else:
        out, _ = ask(config, "revoke", "--stamp", "tenant=blue")
        assert out == "confirmed by 3 workers, recorded for later ones\n", out
    out, _ = ask(config, "revoke", "just-here", "-d", ONE)
    assert out == "confirmed by 1 worker\n", out


def check_control(config):
    out, _ = ask(config, "control", "rate_limit", "shop.add", "10/m", "-d", PYTHON)
    assert "new rate limit set successfully" in out, out
    out, _ = ask(config, "inspect", "registered", "-d", PYTHON)
    assert "shop.add [rate_limit=10/m]" in out, out
    ask(config, "control", "rate_limit", "shop.add", "none", "-d", PYTHON)
    ask(config, "control", "time_limit", "shop.add", "10s", "20s", "-d", PYTHON)
    out, _ = ask(config, "control", "rate_limit", "shop.nothing", "1/s", "-d", PYTHON, status=1)
    assert "error: unknown task" in out, out
    ask(config, "control", "add_consumer", "extra", "-d", PYTHON)
    out, _ = ask(config, "inspect", "active_queues", "-d", PYTHON)
    assert "extra" in out, out
    ask(config, "control", "cancel_consumer", "extra", "-d", PYTHON)
    out, _ = ask(config, "control", "pool_grow", "1", "-d", PYTHON)
    assert "will grow" in out, out
    ask(config, "control", "pool_shrink", "1", "-d", PYTHON)
    ours = ("-d", ONE, "-d", TWO)
    for words in (["rate_limit", "demo.add", "10/m"], ["rate_limit", "demo.add", "none"],
                  ["time_limit", "demo.add", "10s", "20s"], ["pool_grow", "1"],
                  ["pool_shrink", "1"]):
        found = ask_json(config, "control", *words, *ours)
        assert sorted(found) == sorted((ONE, TWO)), (words, found)
        assert all("ok" in reply for reply in found.values()), (words, found)
    out, _ = ask(config, "control", "rate_limit", "demo.nothing", "1/s", *ours, status=1)
    assert out.count("error: ") == 2, out
    for command in ("heartbeat", "enable_events"):
        assert sorted(ask_json(config, "control", command)) == ALL, command


def check_usage(config):
    for words, hint in (
            (["inspect"], "which command"),
            (["inspect", "stat"], 'did you mean "stats"'),
            (["inspect", "shutdown"], "coney control"),
            (["control", "election"], "no command"),
            (["control", "shutdown"], "--all"),
            (["control", "rate_limit", "t"], "which RATE"),
            (["control", "time_limit", "t", "10"], "no unit"),
            (["revoke"], "which tasks"),
            (["revoke", "x", "--signal", "KILL"], "--terminate"),
            (["revoke", "--stamp", "x"], "NAME=VALUE"),
            (["status", "x"], "too many"),
            (["status", "--pattern", "(", "--matcher", "pcre"], "no regular expression"),
            (["status", "--timeout", "1"], "no unit"),
            (["events", "x"], "too many"),
            (["events", "--url", "amqp://u:geheim@h/"], "CONEY_BROKER_PASSWORD")):
        out, err = ask(config, *words, status=64)
        assert hint in err and out == "" and "geheim" not in err, (words, err)


def check_connection(scratch):
    url = ("--url", ENV["CONEY_BROKER_URL"], "--ca", ENV["CONEY_CA"])
    for verb in (["status"], ["inspect", "ping"], ["revoke", "x"], ["events"]):
        _, err = run_coney(*verb, *url, status=1, CONEY_BROKER_PASSWORD="wrong")
        assert "wrong user name or password" in err and err.count("\n") == 1, err
        _, err = run_coney(*verb, "--url", "amqp://u@127.0.0.1:1/", status=1)
        assert "Connection refused" in err and err.count("\n") == 1, err
        _, err = run_coney(*verb, "--config", scratch.config("nonsense: 1"), status=78)
        assert "nonsense" in err, err
    out, _ = run_coney("status", *url, CONEY_BROKER_PASSWORD=ENV["CONEY_BROKER_PASSWORD"])
    assert ONE in out, out


def publish_garbage():
    """What no monitor may stumble over; on a key that Python's workers do not listen to."""
    connection = amqp.Connection(f"{ENV['CONEY_BROKER_HOST']}:{ENV['CONEY_BROKER_PORT']}",
                                 userid=ENV["CONEY_BROKER_USER"],
                                 password=ENV["CONEY_BROKER_PASSWORD"])
    connection.connect()
    channel = connection.channel()
    for body in (b"", b"\xff\xfe", b"[", b"[]", b"[1, null, {}]", b'{"type": 5}', b"null",
                 b'{"type": "task-\\u001b[2J", "timestamp": "x", "uuid": []}'):
        channel.basic_publish(amqp.Message(body), "celeryev", "task.multi")
    connection.close()


def check_events(config):
    before = {name for name in queue_counts() if name.startswith("celeryev")}
    with Coney("events", "--config", config, "--heartbeats") as events:
        with Coney("events", "--config", config, "--json") as raw:
            wait_for(lambda: "worker-heartbeat" in events.log(), "a heartbeat")
            wait_for(lambda: len([q for q in queue_counts() if q.startswith("celeryev")]) ==
                     len(before) + 2, "both to listen")
            publish_garbage()
            result = shop.add.apply_async((20, 22), queue="shop")
            assert result.get(timeout=20) == 42
            shop.mail.apply_async(("caf\u00e9",), queue="mail")
            run_coney("send", "--config", config, "demo.add", "20", "3")
            wait_for(lambda: "mailed" in events.log() and "= 23 in" in events.log(),
                     "events of tasks, theirs and ours")
            wait_for(lambda: raw.log().count("task-succeeded") >= 3, "them as JSON")
            log = events.log()
            line = next(l for l in log.splitlines() if result.id in l and "received" in l)
            assert "shop.add (20, 22)" in line and "@shop" in line, line
            assert f" {ONE} " in log or f" {TWO} " in log, log
            assert "= 42 in" in log and "caf\u00e9" in log and "\x1b" not in log, log
            raw.signal(signal.SIGINT)
            assert raw.process.wait(10) == 0
            types = {json.loads(line)["type"] for line in raw.log().splitlines()
                     if line.startswith("{")}
            assert {"task-received", "task-succeeded"} <= types, types
        events.signal(signal.SIGINT)
        assert events.process.wait(10) == 0
    after = {name for name in queue_counts() if name.startswith("celeryev")}
    assert after == before, (before, after)


def check_shutdown(config, python, ours):
    _, err = ask(config, "control", "shutdown", "-d", PYTHON, "-d", TWO)
    assert "told" in err, err
    wait_for(lambda: not python.is_alive(), "the Python worker to end", 60)
    assert ours.process.wait(60) == 0


def check_nobody(config, scratch):
    """What is revoked while no worker runs holds for the one that starts."""
    later = send(config, scratch, "never")
    out, err = ask(config, "revoke", later, "-t", "200ms")
    assert "confirmed by 0 workers, recorded" in out and "no worker answers" in err, (out, err)
    with Worker(scratch.one) as worker:
        wait_for(lambda: not [name for name in busy_queues(("coney.dead", "coney.revoked"))
                              if name.startswith("coney.")], "all to be taken off")
        assert later in ask(scratch.one, "inspect", "revoked")[0]
        assert "revoked" in worker.log()
    labels = {line.label for line in ledger(scratch.path / "ledger")}
    assert labels == {"running"}, labels


def configure(scratch, name):
    return scratch.config(worker_config(plugins=("ledger", "demo"),
                                        worker={"concurrency": 2, "instance": name}))


def main():
    with Scratch() as scratch:
        scratch.one = config = configure(scratch, "one")
        two = configure(scratch, "two")
        _, err = ask(config, "status", "-t", "200ms", status=69)
        assert "no worker answers" in err, err
        _, err = ask(config, "revoke", str(uuid.uuid4()), "-t", "200ms", status=69)
        assert "no worker answers" in err, err
        with Worker(config), Worker(two) as ours, \
                shop.ShopWorker(PYTHON, "-c", "1") as python:
            check_status(config)
            check_inspect(config)
            check_tasks(config, scratch)
            check_control(config)
            check_usage(config)
            check_connection(scratch)
            check_events(config)
            log = python.text()
            assert "Control command error" not in log and "Unrecoverable" not in log, log
            check_shutdown(config, python, ours)
        check_nobody(config, scratch)
        assert not [q for q in queue_counts() if q.endswith("reply.celery.pidbox")]


if __name__ == "__main__":
    main()
