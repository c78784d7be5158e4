# SPDX-License-Identifier: MIT
"""A Celery application of the tests' own, for every version of Celery: worker and client.

    celeryproj.py worker ARGUMENTS...   Celery's worker
    celeryproj.py client                code by lines on standard input, its value by lines back

Its settings come in CELERYPROJ, as JSON: broker, backend, queues (name, exchange, type, key,
arguments, no_declare), default_queue, conf. celerypeers.py starts it; nothing of it needs more
than Celery, because it also runs in a tree where there is nothing else.
"""

import datetime
import decimal
import gc
import json
import os
import sys
import time
import traceback
import uuid

import celery
import celery.exceptions
import kombu

SETTINGS = json.loads(os.environ["CELERYPROJ"])


def queue_of(spec):
    exchange = kombu.Exchange(spec.get("exchange", spec["name"]), type=spec.get("type", "direct"))
    return kombu.Queue(spec["name"], exchange, routing_key=spec.get("key", spec["name"]),
                       queue_arguments=spec.get("arguments"),
                       no_declare=spec.get("no_declare"))


app = celery.Celery("proj", broker=SETTINGS["broker"], backend=SETTINGS["backend"])
app.conf.update(task_queues=[queue_of(spec) for spec in SETTINGS["queues"]],
                task_default_queue=SETTINGS["default_queue"],
                task_create_missing_queues=False, worker_hijack_root_logger=False,
                broker_connection_retry_on_startup=True, **SETTINGS["conf"])


# --- tasks of Python's own --------------------------------------------------------------------

@app.task(name="py.add")
def add(x, y, scale=1):
    return (x + y) * scale


@app.task(name="py.echo")
def echo(*args, **kwargs):
    return [args, kwargs]


@app.task(name="py.reprs")
def reprs(*args):
    """What really arrived, which JSON could not tell."""
    return [repr(arg) for arg in args]


@app.task(name="py.fail")
def fail(text="boom"):
    raise ValueError(text)


@app.task(name="py.request", bind=True)
def request(self):
    names = ["id", "root_id", "parent_id", "group", "group_index", "retries", "timelimit", "shadow",
             "reply_to", "correlation_id", "origin", "ignore_result", "eta", "expires", "tenant",
             "argsrepr", "kwargsrepr"]
    return {name: getattr(self.request, name, None) for name in names}


@app.task(name="py.total")
def total(numbers):
    return sum(numbers)


@app.task(name="py.join", bind=True)
def join(self, what, path):
    """The body of a chord, or its errback: notes that it ran."""
    note(path, "join", self.request.retries, self.request.hostname)
    return what


@app.task(name="py.mark", bind=True)
def mark(self, path, label):
    note(path, label, self.request.retries, self.request.hostname)
    return label


@app.task(name="py.flaky", bind=True, max_retries=3)
def flaky(self, path=None, label="flaky", countdown=0, times=2):
    """Fails so often, then says at which attempt it was; its attempts stand in `path`."""
    if path:
        note(path, label, self.request.retries)
    if self.request.retries < times:
        raise self.retry(countdown=countdown, max_retries=times)
    return self.request.retries


# --- tasks that C has too, by the same names --------------------------------------------------

def note(path, label, retries, who="python"):
    with open(path, "a", encoding="utf-8") as ledger:
        ledger.write(f"{label} {retries} {who} {time.time_ns() // 1000}\n")


def also_in_c(name, function, **options):
    """Registered only in workers that are asked for it: on a queue of its own, C has it alone."""
    if SETTINGS.get("shared"):
        app.task(name=name, **options)(function)


def add_too(x, y):
    return x + y


def info(self):
    return {"redelivered": self.request.delivery_info["redelivered"]}


def ledger_again(self, path, label, times):
    note(path, label, self.request.retries, self.request.hostname)
    if self.request.retries < times:
        raise self.retry(countdown=2, max_retries=times, exc=ValueError("asked to"))
    return self.request.retries


also_in_c("demo.add", add_too)
also_in_c("demo.info", info, bind=True)
also_in_c("ledger.again", ledger_again, bind=True)


# --- client -----------------------------------------------------------------------------------

def stub(name):
    """A task that runs elsewhere, to be called as if it were here."""
    def elsewhere(*_args, **_kwargs):
        raise NotImplementedError
    return app.task(name=name)(elsewhere)


# Celery waits a second for a result that has come while it waited for another, unless the object
# was pending by then.
SENT = {}


def kept(result):
    SENT[result.id] = result
    app.backend.add_pending_result(result)
    return result.id


def result_of(task_id):
    """The object that was pending: another one of its id would wait for ever."""
    return SENT.pop(task_id, None) or app.AsyncResult(task_id)


def send(name, args=(), kwargs=None, **options):
    return kept(app.send_task(name, args, kwargs, **options))


def outcome(task_id, timeout=30):
    """How it ended, and every state on the way."""
    states = []
    result = result_of(task_id)
    try:
        value = result.get(timeout=timeout, on_message=lambda meta: states.append(meta["status"]))
    except Exception as error:  # its class may have been made up from the result
        value = {"type": type(error).__name__, "args": error.args}
    return {"state": result.state, "value": value, "traceback": result.traceback,
            "states": states}


def chain(*tasks):
    """Of (name, args); the id of the last."""
    return kept(celery.chain(*(app.signature(name, args) for name, args in tasks)).apply_async())


def task(name, *args, **options):
    return app.signature(name, args).set(**options)


def run(canvas):
    """The id of its result."""
    return kept(canvas.apply_async())


def there_and_back(value):
    return result_of(send("demo.echo", (value,))).get(timeout=30)[0][0]


def same(value):
    """Whether it comes back as it was sent, down to the types inside."""
    return repr(there_and_back(value)) == repr(value)


def now(**delta):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**delta)


def serve():
    # A result that is collected unsubscribes from redis, in whatever the client is doing there:
    # in Celery 5.5 it then waits for its own lock.
    gc.disable()
    names = dict(globals(), celery=celery, decimal=decimal, uuid=uuid, datetime=datetime)
    print(json.dumps({"value": celery.__version__}), flush=True)
    for line in sys.stdin:
        try:
            answer = {"value": eval(json.loads(line), names)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer, default=repr), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "client":
        serve()
    else:
        app.worker_main(sys.argv[1:])
