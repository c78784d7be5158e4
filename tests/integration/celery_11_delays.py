#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""§10.11: tasks delayed by Celery 5.5 itself (quorum queue, topic exchange) reach Coney when it
is the only consumer: 3 s, 90 s and half a second; and a task that came that way is retried with
a countdown five times. Nothing of the address it came by goes round with it.
"""
import datetime
import time

import celerypeers
import coneytest

QUEUE = "orders"
KEY = "orders.new"
TASKS = {"ledger.again": {"retry": {"max": 5, "base": "1200ms", "factor": 1, "jitter": "none"}}}


def config_of(scratch):
    return scratch.config(coneytest.worker_config(
        plugins=("demo", "ledger"), tasks=TASKS,
        queues={QUEUE: {"declare": "passive", "celery_delayed": KEY}}))


def declare_as_celery_does(client):
    """Celery's producers declare the queue and its exchange, but no level."""
    client("app.amqp.queues['orders'](app.connection()).declare()")
    assert not any(name.startswith("celery_delayed") for name in coneytest.queue_counts())


def case(name, wanted, got):
    print(f"{name}: {got}")
    assert wanted(got), name


def check_half_a_second(send, ran, path):
    """Celery's levels hold whole seconds only."""
    try:
        send("half", countdown=0.5)
        raise SystemError("Celery has learned to send a delay below a second: test that")
    except AssertionError as error:
        assert "countdown must be a positive number" in str(error), error
        print("countdown 0.5 s: refused by Celery 5.5 itself, as §2.6 says")
    begun = ran.begun
    with coneytest.Producer() as producer:
        eta = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=0.5)
        producer.send(QUEUE, "ledger.again", (path, "half", 0), eta=eta.isoformat())
    case("eta in 0.5 s, sent without delay", lambda s: 0.5 <= s < 3,
         ran("half") - (eta.timestamp() - 0.5 - begun))


def check_retries(firehose, task, ran):
    """Five times round through our levels: never early, and with nothing of Celery's way."""
    moments = [ran("retried", n) for n in range(6)]
    gaps = [later - sooner for sooner, later in zip(moments, moments[1:])]
    case("5 retries, 1.2 s each", lambda s: all(1.2 <= gap < 4 for gap in s), gaps)
    published = firehose.of_task(task)
    assert len(published) == 6, published
    case("way in", lambda m: m == ("celery_delayed_27", ".".join("0" * 27) + f".1.{KEY}"),
         published[0][:2])
    for number, message in enumerate(published[1:], 1):
        case(f"retry {number}: exchange and key", lambda m: m == (
            "coney.v1.delay.00", ".".join("0" * 27) + f".1.{QUEUE}"), message[:2])
        assert not [name for name in message.headers if name.startswith("x-")], message.headers


class Ran:
    """When a task has run, by its own record, in seconds since this was made."""

    def __init__(self, path):
        self.path = path
        self.begun = time.time()

    def __call__(self, label, retries=0, deadline_s=30):
        return coneytest.wait_for(
            lambda: [line for line in coneytest.ledger(self.path)
                     if (line.label, line.retries) == (label, retries)],
            f"{label}, {retries}", deadline_s)[0].at_us / 1e6 - self.begun


def main():
    if "5.5" not in celerypeers.versions():
        return
    proj = celerypeers.settings(
        [{"name": QUEUE, "exchange": "shop", "type": "topic", "key": KEY,
          "arguments": {"x-queue-type": "quorum"}}])
    with coneytest.Scratch() as scratch, celerypeers.Firehose() as firehose, \
            celerypeers.Client("5.5", proj) as client:
        path = str(scratch.path / "ledger")
        print(f"Celery {client.celery}")
        declare_as_celery_does(client)

        def send(label, times=0, **options):
            return client(f"send('ledger.again', ({path!r}, {label!r}, {times}), **{options!r})")

        with coneytest.Worker(config_of(scratch)):
            ran = Ran(path)
            send("long", countdown=90)
            send("whole", countdown=3)
            send("fraction", countdown=2.6)
            retried = send("retried", times=5, countdown=1)
            case("countdown 3 s through Celery's levels", lambda s: 3 <= s < 6, ran("whole"))
            case("countdown 2.6 s, its fraction held by us", lambda s: 2.6 <= s < 5.6,
                 ran("fraction"))
            check_half_a_second(send, ran, path)
            check_retries(firehose, retried, ran)
            case("countdown 90 s", lambda s: 90 <= s < 95, ran("long", deadline_s=120))


if __name__ == "__main__":
    main()
