# SPDX-License-Identifier: MIT
"""A Celery application as somebody may have it, for tests of what an operator does: several
queues, limits, routes, a schedule. As a program it is a worker: shop.py NODE [OPTION...]."""

import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta

import celery
import kombu
from celery.schedules import crontab

import coneytest

app = celery.Celery("shop", broker=os.environ["CONEY_BROKER_AUTH_URL"], backend="rpc://")
app.conf.update(
    broker_use_ssl=coneytest.celery_ssl(),
    worker_hijack_root_logger=False,
    task_default_queue="shop",
    task_queues=[kombu.Queue("shop"), kombu.Queue("mail", max_priority=10),
                 kombu.Queue("reports_low")],
    task_routes={"shop.mail": {"queue": "mail", "priority": 3}, "shop.report*": "reports_low"},
    task_time_limit=300,
    task_soft_time_limit=240,
    timezone="Africa/Accra",
    beat_schedule={
        "remind": {"task": "shop.mail", "schedule": crontab(hour=8, minute=0, day_of_week="1-5"),
                   "args": ("due",), "options": {"expires": 3600}},
        "count": {"task": "shop.add", "schedule": 30.0, "args": (1, 2)},
        "report": {"task": "shop.report", "schedule": timedelta(hours=2, minutes=30)},
    },
)


@app.task(name="shop.add", acks_late=True)
def add(x, y):
    return x + y


@app.task(name="shop.mail", rate_limit="100/m", time_limit=60, soft_time_limit=50, max_retries=5,
          default_retry_delay=30)
def mail(text):
    return f"mailed {text}"


@app.task(name="shop.report", ignore_result=True)
def report():
    return None


@app.task(name="shop.flaky", bind=True, max_retries=3)
def flaky(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries


@app.task(name="shop.sleep")
def sleep(seconds):
    time.sleep(seconds)
    return seconds


class ShopWorker:
    """A Python worker of this application; entered when it is ready."""

    def __init__(self, node, *options):
        self.command = [sys.executable, __file__, node, *options]

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL)
        coneytest.wait_for(self.is_ready, "the Python worker to be ready", 60)
        return self

    def is_ready(self):
        assert self.process.poll() is None, self.text()
        return " ready." in self.text()

    def text(self):
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace")

    def is_alive(self):
        return self.process.poll() is None

    def __exit__(self, kind, value, trace):
        if self.is_alive():
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(self.text())


if __name__ == "__main__":
    app.worker_main(["worker", "-n", sys.argv[1], "-l", "INFO", *sys.argv[2:]])
