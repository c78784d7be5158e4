#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`coney doctor --celery`: what would not move is named beforehand, and nothing else.

coney-test: timeout=180

Run with `worker` as argument this file is a Celery worker with much that would not move.
"""

import json
import os
import sys

import celery
import kombu
import kombu.common
from celery.schedules import solar

import shop
from coneytest import CeleryProgram, Scratch, celery_ssl, run_coney, wait_for

app = celery.Celery("odd", broker=os.environ["CONEY_BROKER_AUTH_URL"],
                    backend="cache+memory://")
app.conf.update(
    broker_use_ssl=celery_ssl(),
    task_serializer=os.environ.get("ODD_SERIALIZER", "json"),
    result_serializer="yaml",
    accept_content=["json", "pickle"],
    task_protocol=1,
    task_compression="bzip2",
    worker_direct=True,
    task_default_queue="odd",
    task_queues=[kombu.Queue("odd"), kombu.Queue("old", queue_arguments={"x-max-length": 9}),
                 kombu.common.Broadcast("news")],
    task_routes={"odd.lost": {"queue": "nowhere"}},
    beat_schedule={"dusk": {"task": "odd.run", "schedule": solar("dusk_civil", 5.6, -0.2)}},
)


@app.task(name="odd.run")
def run():
    pass


def check_what_moves(config):
    with shop.ShopWorker("w1@shop", "-c", "1"):
        later = shop.add.apply_async((1, 2), queue="shop", countdown=3600)
        wait_for(lambda: later.id in run_coney("inspect", "scheduled", "--config", config)[0],
                 "a held task")
        out, _ = run_coney("doctor", "--celery", "--config", config)
        assert "w1@shop  queues=3 tasks=5 schedule=3" in out, out
        assert "Everything moves." in out and "does not move" not in out, out
        assert "1 task is held" in out and "1 of them longer" in out, out
        assert "4 tasks are acknowledged early" in out, out


def check_what_does_not(config):
    with CeleryProgram(__file__, "worker") as worker:
        out, _ = run_coney("doctor", "--celery", "--config", config, status=1)
        blocks, differs = out.split("moves, and is different:")
        for text in ("result_serializer is yaml", "accept_content has pickle",
                     "result_backend is cache+memory", "task_compression is bzip2",
                     "(worker_direct)", "is a broadcast", "schedule dusk"):
            assert text in blocks, (text, out)
        for text in ("task_protocol is 1", "queue old has x-max-length",
                     "odd.lost leads to nowhere", "acknowledged early"):
            assert text in differs, (text, out)
        assert "changed first" in out, out
        out, _ = run_coney("doctor", "--celery", "--json", "--config", config, status=1)
        found = json.loads(out)
        assert set(found) == {"blocks", "differs"} and len(found["blocks"]) >= 7, found
        assert "Traceback" not in worker.text(), worker.text()


def check_another_language(config):
    """Such a worker answers in pickle as well, which nobody reads."""
    os.environ["ODD_SERIALIZER"] = "pickle"
    with CeleryProgram(__file__, "worker"):
        out, err = run_coney("doctor", "--celery", "--config", config, status=1)
        assert "speak application/x-python-serialize" in out, out
        _, err = run_coney("status", "--config", config, status=69)
        assert "answers in application/x-python-serialize" in err, err


def main():
    with Scratch() as scratch:
        config = scratch.config()
        _, err = run_coney("doctor", "--config", config, status=64)
        assert "--celery" in err, err
        _, err = run_coney("doctor", "--celery", "--config", config, "-t", "200ms", status=69)
        assert "no Celery worker answers" in err, err
        check_what_moves(config)
        check_what_does_not(config)
        check_another_language(config)


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        os.environ["C_FORCE_ROOT"] = "1"
        app.worker_main(["worker", "-n", "odd@shop", "-c", "1", "-l", "INFO"])
    else:
        main()
