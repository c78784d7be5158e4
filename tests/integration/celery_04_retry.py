#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""§10.4: a task in C that fails, is tried twice more and fails for good, as each Celery sees it:
its states, the exception, the traceback; and its messages, which are what §1.8 says of a retry.
The same of a task in Python, seen from C; and a retry of the one is an attempt of the other.
"""
import json
import subprocess

import celerypeers
import coneytest

TOOL = f"{coneytest.ENV['CONEY_BUILD_DIR']}/tests/topology_declare"
SHELL = "echo about to fail >&2; echo no ink left >&2; exit 1"
RETRY = {"max": 2, "base": "1s", "factor": 1, "jitter": "none"}

KEPT = ["lang", "task", "id", "shadow", "expires", "group", "group_index", "timelimit", "root_id",
        "argsrepr", "kwargsrepr", "origin", "ignore_result", "my", "stamps", "stamped_headers",
        "replaced_task_nesting"]
KEPT_PROPERTIES = ["content_type", "content_encoding", "correlation_id", "reply_to", "priority",
                   "delivery_mode"]


def check_messages(version, firehose, task):
    messages = firehose.of_task(task)
    dead = messages.pop()
    assert dead.exchange == "coney.dlx", dead
    assert len(messages) == 3, messages
    first = messages[0]
    for number, again in enumerate(messages[1:], 1):
        for name in KEPT:
            assert again.headers.get(name) == first.headers.get(name), (name, again.headers)
        for name in KEPT_PROPERTIES:
            assert again.properties.get(name) == first.properties.get(name), (name, again)
        assert again.body == first.body
        assert again.headers["retries"] == number, again.headers
        assert again.headers["parent_id"] == task, again.headers
        assert again.headers["eta"].endswith("+00:00") and len(again.headers["eta"]) == 32
        assert "expiration" not in again.properties
        assert not [name for name in again.headers if name.startswith("x-")], again.headers
        added = sorted(set(again.headers) - set(first.headers))
        print(f"  retry {number}: {len(KEPT) + len(KEPT_PROPERTIES)} fields and the body kept; "
              f"retries {number}, eta {again.headers['eta']}, parent_id its own id; added: {added}")
        assert added == ["coney-history"], added
    assert dead.headers["coney-reason"] == "max_retries" and dead.body == first.body
    assert dead.headers["coney-attempts"] == 3 and len(dead.headers["coney-history"]) == 3
    print(f"  dead letter: {dead.headers['coney-reason']}, {dead.headers['coney-error']}")


def check_failure_in_c(version, firehose):
    with celerypeers.Client(version, celerypeers.settings(["coney.default"])) as client:
        task = client("send('demo.fail', ('OddError', 'on purpose'), priority=3, time_limit=30, "
                      "expires=100, shadow='alias', headers={'my': 'hdr'})")
        end = client(f"outcome({task!r})")
        assert end["states"] == ["RETRY", "RETRY", "FAILURE"], end
        assert end["state"] == "FAILURE", end
        assert end["value"] == {"type": "OddError", "args": ["on purpose"]}, end
        print(f"Celery {client.celery}: {' -> '.join(end['states'])}, {end['value']}")
        check_messages(version, firehose, task)
        end = client("outcome(send('shell.fails'))")
        assert end["states"] == ["RETRY", "RETRY", "FAILURE"], end
        assert end["traceback"] == "about to fail\nno ink left\n", end
        print(f"Celery {client.celery}, a command: {end['value']}, "
              f"traceback {end['traceback']!r}")
        end = client("outcome(send('demo.reject'))")
        assert end["states"] == ["FAILURE"] and end["value"]["type"] == "BadNumber", end
        print(f"Celery {client.celery}, rejected: {' -> '.join(end['states'])}")


def check_failure_in_python(version, scratch, config, queue):
    """Celery's worker retries on the way C's message came, and C reads all that it writes."""
    path = str(scratch.path / f"python-{version}")
    out, _ = coneytest.run_coney("send", "--config", config, "--queue", queue, "--wait",
                                 "py.flaky", json.dumps(path), '"x"', "1", "2")
    assert json.loads(out) == 2, out
    _, err = coneytest.run_coney("send", "--config", config, "--queue", queue, "--wait",
                                 "py.fail", status=1)
    assert "ValueError: boom" in err, err
    retries = [line.retries for line in coneytest.ledger(path)]
    assert retries == [0, 1, 2], retries
    print(f"C -> Celery {version}: attempts {retries}, then {json.loads(out)}; {err.strip()}")


def check_taking_turns(version, scratch, queue, declared):
    """The first attempts run in Python, the last in C, which takes over with a countdown on its
    way; then the other way round. Celery's worker is stopped when it holds the countdown and does
    nothing: SIGTERM is an exception in whatever it is at, and is lost in a destructor."""
    path = str(scratch.path / f"turns-{version}")
    proj = celerypeers.settings([queue], shared=True)
    with celerypeers.Client(version, proj, share=scratch.path) as client:
        with celerypeers.PythonWorker(version, proj, share=scratch.path) as worker:
            task = client(f"send('ledger.again', ({path!r}, 'x', 2))")
            coneytest.wait_for(lambda: worker.log().count("received") == 3, "the third attempt")
        with coneytest.Worker(declared):
            end = client(f"outcome({task!r})")
        assert end["value"] == 2, end
        turns = [(line.retries, line.event) for line in coneytest.ledger(path)]
        assert turns == [(0, "python@test"), (1, "python@test"), (2, "started")], turns
        print(f"Python {version}, then C: {turns} -> {end['value']}")

        with coneytest.Worker(declared):
            task = client(f"send('ledger.again', ({path!r}, 'y', 3))")
            coneytest.wait_for(lambda: len(coneytest.ledger(path)) == 5, "two attempts")
        with celerypeers.PythonWorker(version, proj, share=scratch.path):
            end = client(f"outcome({task!r})")
        assert end["value"] == 3, end
        turns = [(line.retries, line.event) for line in coneytest.ledger(path)[3:]]
        assert turns == [(0, "started"), (1, "started"), (2, "python@test"),
                         (3, "python@test")], turns
        print(f"C, then Python {version}: {turns} -> {end['value']}")


def main():
    versions = celerypeers.versions()
    with coneytest.Scratch() as scratch, celerypeers.Firehose() as firehose:
        config = scratch.config(coneytest.worker_config(
            plugins=("demo",), tasks={"*": {"retry": RETRY},
                                      "shell.fails": {"command": ["/bin/sh", "-c", SHELL]}}))
        with coneytest.Worker(config):
            for version in versions:
                check_failure_in_c(version, firehose)
        for version in versions:
            queue = f"python{version}"
            declared = scratch.config(coneytest.worker_config(
                tasks={"*": {"retry": dict(RETRY, max=5)}},
                queues={queue: {"declare": "active", "type": "classic"}}))
            subprocess.run([TOOL, "declare", declared], check=True, stdout=subprocess.DEVNULL)
            proj = celerypeers.settings([{"name": queue, "no_declare": True}])
            with celerypeers.PythonWorker(version, proj, share=scratch.path):
                check_failure_in_python(version, scratch, declared, queue)
            check_taking_turns(version, scratch, {"name": queue, "no_declare": True}, declared)


if __name__ == "__main__":
    main()
