# SPDX-License-Identifier: MIT
"""A Celery application as its authors wrote it, knowing nothing of Coney: what the bridge runs in
tests/integration/celery_bridge.py. BRIDGED names the broker, NOTES a file for what handlers and
signals saw."""
import datetime
import decimal
import json
import os
import time
import uuid

import celery
import celery.exceptions
import kombu
from celery import shared_task, signals

app = celery.Celery("bridged", broker=os.environ["BRIDGED"], backend="rpc://")
app.conf.update(task_queues=[kombu.Queue("children"), kombu.Queue("coney.default", no_declare=True)],
                task_default_queue="children")


class GatewayError(Exception):
    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code


def note(*words):
    with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
        notes.write(json.dumps(words) + "\n")


class Noting(celery.Task):
    def on_success(self, retval, task_id, args, kwargs):
        note("on_success", self.name, retval)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note("on_failure", self.name, repr(exc))

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        note("on_retry", self.name, repr(exc))

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        note("after_return", self.name, status)


@signals.task_prerun.connect
def on_prerun(task_id, task, **_):
    note("prerun", task.name)


@signals.task_postrun.connect
def on_postrun(task_id, task, state, **_):
    note("postrun", task.name, state)


@shared_task(name="core.add")
def add(x, y):
    print("adding", x, y)
    return x + y


@shared_task(name="core.version")
def version():
    return celery.__version__


@shared_task(name="core.noting", base=Noting, bind=True, max_retries=1)
def noting(self, how):
    if how == "retry" and self.request.retries == 0:
        raise self.retry(countdown=0, exc=ValueError("once more"))
    if how == "fail":
        raise KeyError("lost")
    return how


@shared_task(bind=True, name="core.send_sms", max_retries=3)
def send_sms(self, times):
    """As in many a tutorial."""
    try:
        if self.request.retries < times:
            raise GatewayError(503, "busy")
        return self.request.retries
    except GatewayError as exc:
        raise self.retry(exc=exc, countdown=0.3 * 2 ** self.request.retries)


@shared_task(name="core.automatic", autoretry_for=(GatewayError,), retry_backoff=False,
             default_retry_delay=0.2, max_retries=2, bind=True)
def automatic(self):
    if self.request.retries < 2:
        raise GatewayError(500, "again")
    return self.request.retries


@shared_task(bind=True, name="core.again")
def again(self, numbers, label=None):
    """A retry with arguments of its own, at a time of its own."""
    if len(numbers) < 3:
        when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=0.2)
        raise self.retry(args=[numbers + [2 ** 63]], kwargs={"label": "new"}, eta=when)
    return [numbers, label, self.request.retries]


@shared_task(bind=True, name="core.exhausted", max_retries=1)
def exhausted(self):
    raise self.retry(countdown=0.1)


@shared_task(name="core.fail")
def fail(text):
    raise GatewayError(404, text)


@shared_task(name="core.reject")
def reject(requeue=False):
    raise celery.exceptions.Reject("never", requeue=requeue)


@shared_task(name="core.ignore")
def ignore():
    raise celery.exceptions.Ignore()


@shared_task(name="core.no_result", ignore_result=True)
def no_result():
    return 5


@shared_task(name="core.typed")
def typed():
    return {"when": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
            "price": decimal.Decimal("9.50"), "id": uuid.UUID(int=7)}


@shared_task(name="core.echo")
def echo(*args, **kwargs):
    return [args, kwargs]


@shared_task(name="core.unwritable")
def unwritable():
    return object()


@shared_task(name="core.reprs")
def reprs(*args):
    return [repr(arg) for arg in args]


@shared_task(bind=True, name="core.request")
def request(self):
    names = ["id", "root_id", "parent_id", "group", "group_index", "retries", "timelimit", "eta",
             "reply_to", "correlation_id", "origin", "delivery_info", "hostname", "tenant", "args",
             "kwargs", "called_directly", "is_eager"]
    return {name: getattr(self.request, name, None) for name in names}


@shared_task(bind=True, name="core.parent")
def parent(self):
    return [add.delay(1, 2).id, add.apply_async((3, 4)).id]


@shared_task(bind=True, name="core.replaced")
def replaced(self):
    raise self.replace(echo.s("instead").set(queue="coney.default"))


@shared_task(bind=True, name="core.progress")
def progress(self):
    self.update_state(state="PROGRESS", meta={"done": 50})
    return "done"


@shared_task(name="core.slow")
def slow(seconds):
    try:
        time.sleep(seconds)
    except celery.exceptions.SoftTimeLimitExceeded:
        return "cleaned up"
    return "slept"


@shared_task(name="core.stubborn")
def stubborn():
    time.sleep(30)


@shared_task(name="core.die")
def die(status):
    print("about to die", flush=True)
    os._exit(status)


@shared_task(name="core.pid")
def pid():
    return os.getpid()
