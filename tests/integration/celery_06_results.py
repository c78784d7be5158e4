#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""Results both ways, by rpc and by redis (with TLS and password): Celery's client reads
what we store, in every state and field, and `coney result` reads what a Python worker stores.
"""
import gc
import json

import celery
import celery.exceptions
import kombu

import celerypeers
import coneytest
from coneytest import run_coney, wait_for


def client(backend, **conf):
    app = celery.Celery("client", broker=coneytest.ENV["CONEY_BROKER_PLAIN_AUTH_URL"],
                        backend=backend)
    app.conf.update(
        task_queues=[kombu.Queue(f"coney.{name}", no_declare=True)
                     for name in ("high", "default", "low")],
        task_default_queue="coney.default", task_create_missing_queues=False, **conf)
    return app


def failure(result):
    try:
        result.get(timeout=20)
    except Exception as error:  # its class is made up from the result
        return error
    raise AssertionError("it succeeded")


def states_of(result):
    """Every state on the way to the end."""
    states = []
    result.get(timeout=30, on_message=lambda meta: states.append(meta["status"]))
    return states


def check_states(app, scratch):
    """What both backends tell."""
    assert app.send_task("demo.add", (2, 3)).get(timeout=20) == 5
    failed = app.send_task("demo.fail", ("OddError", "on purpose"))
    error = failure(failed)
    assert (type(error).__name__, error.args) == ("OddError", ("on purpose",)), repr(error)
    assert failed.state == "FAILURE"
    shell = app.send_task("cmd.fail")
    failure(shell)
    assert "last words" in shell.traceback, shell.traceback
    expired = app.send_task("demo.add", (1, 1), countdown=2, expires=1)
    assert isinstance(failure(expired), celery.exceptions.TaskRevokedError)
    assert expired.state == "REVOKED"
    again = app.send_task("ledger.again", (str(scratch.path / "ledger"), "x", 1))
    assert states_of(again) == ["STARTED", "RETRY", "STARTED", "SUCCESS"]
    linked = app.send_task("demo.add", (1, 2), link=app.signature("demo.add", (10,)))
    assert linked.get(timeout=20) == 3
    assert len(linked.children) == 1, linked.children
    if not app.conf.result_backend.startswith("rpc"):  # there it is told to nobody but its caller
        assert linked.children[0].get(timeout=20) == 13


def check_stored(app, redis):
    """What only a store tells."""
    done = app.send_task("demo.add", (2, 3), group_id="g-1")
    assert done.get(timeout=20) == 5
    assert (done.name, done.args, done.kwargs) == ("demo.add", [2, 3], {})
    assert (done.retries, done.queue) == (0, "coney.default")
    assert done.worker.startswith("coney@"), done.worker
    assert done.date_done is not None
    key = f"celery-task-meta-{done.id}"
    assert json.loads(redis.client.get(key))["group_id"] == "g-1"
    assert 0 < redis.client.ttl(key) <= 3600
    kept = json.dumps({"status": "SUCCESS", "result": "first", "task_id": "guarded",
                       "traceback": None, "children": []})
    redis.client.set(f"celery-task-meta-guarded", kept)
    app.send_task("demo.fail", ("OddError", "again"), task_id="guarded")
    app.send_task("demo.add", (1, 1)).get(timeout=20)
    wait_for(lambda: not [q for q in coneytest.busy_queues() if q == "coney.default"], "the end")
    assert redis.client.get(f"celery-task-meta-guarded") == kept
    ignored = app.send_task("demo.add", (1, 1), ignore_result=True)
    app.send_task("demo.add", (1, 1)).get(timeout=20)
    assert redis.client.get(f"celery-task-meta-{ignored.id}") is None


def check_coney_reads_python(config, redis):
    settings = celerypeers.settings(["python"], backend=redis.url)
    version = celerypeers.own_version()
    with celerypeers.PythonWorker(version, settings), \
            celerypeers.Client(version, settings) as python:
        good = python("send('py.add', (20, 22))")
        out, _ = run_coney("result", good, "--wait", "--config", config)
        assert out == "42\n", out
        out, _ = run_coney("result", good, "--state", "--config", config)
        assert out == "SUCCESS\n", out
        bad = python("send('py.fail', ('boom',))")
        out, err = run_coney("result", bad, "--wait", "--traceback", "--config", config, status=1)
        assert out == "" and "ValueError: boom" in err and "Traceback" in err, err
        out, _ = run_coney("result", good, "--json", "--forget", "--config", config)
        assert json.loads(out)["task_id"] == good
        _, err = run_coney("result", good, "--config", config, status=2)
        assert "PENDING" in err, err
        _, err = run_coney("result", "nobody", "--wait", "--timeout", "1s", "--config", config,
                           status=2)
        assert "no result of task nobody" in err, err


def main():
    with coneytest.Scratch() as scratch, coneytest.Redis() as redis:
        common = {"plugins": ("demo", "ledger"),
                  "tasks": {"demo.fail": {"retry": {"max": 0}},
                            "cmd.fail": {"retry": {"max": 0}, "command":
                                         ["/bin/sh", "-c", "echo last words >&2; exit 3"]}}}
        config = scratch.config(coneytest.worker_config(
            results={"track_started": True}, **common))
        with coneytest.Worker(config):
            check_states(client("rpc://"), scratch)
        section = redis.section(tls=True, expires="1h", extended=True, track_started=True)
        config = scratch.config(coneytest.worker_config(results=section, **common))
        app = client(redis.url, result_extended=True)
        with coneytest.Worker(config):
            check_states(app, scratch)
            check_stored(app, redis)
            out, _ = run_coney("send", "demo.add", "40", "2", "--wait", "--config", config)
            assert out == "42\n", out
        check_coney_reads_python(config, redis)
        config = scratch.config(coneytest.worker_config(
            results=redis.section(prefix="shop", expires="none"), **common))
        with coneytest.Worker(config):  # Celery 5.2 has no such prefix yet
            run_coney("send", "demo.add", "40", "2", "--id", "ours", "--wait", "--config", config)
            assert redis.client.ttl("shop_celery-task-meta-ours") == -1
        # A result that goes unsubscribes, and Celery 5.5 looks long for a redis that is no more.
        del app
        gc.collect()
    print("results by rpc and redis: states, exceptions, tracebacks, children, date_done, group, "
          "the request and expiry as Celery has them; Python's read by coney result")


if __name__ == "__main__":
    main()
