# SPDX-License-Identifier: MIT
"""A Celery application as somebody may have it, for tests of what an operator does: several
queues, limits, routes, a schedule. As a program it is a worker: shop.py NODE [OPTION...]."""

import os
import sys
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


class ShopWorker(coneytest.CeleryProgram):
    def __init__(self, node, *options):
        super().__init__(__file__, node, *options)


if __name__ == "__main__":
    app.worker_main(["worker", "-n", sys.argv[1], "-l", "INFO", *sys.argv[2:]])
