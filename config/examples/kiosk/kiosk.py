#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A Celery app as somebody may have it, for migration.md. What was sent stands in the file `sent`,
what has run, and where, in `ledger`.

    kiosk.py send TASK WHAT [COUNTDOWN]    send kiosk.TASK
    kiosk.py check                         wait for all that was sent; whether it has run once
    kiosk.py beats ENTRY                   how often an entry of the schedule came, and how close
"""
import collections
import os
import sys
import time

from celery import Celery

PERIOD = 4.0  # of the schedule in celeryconfig.py
# A move skips ticks: one to be on the safe side, what is left of the period before it, the
# period after it, and what a new beat needs to start.
LONGEST = 5 * PERIOD

app = Celery("kiosk")
app.config_from_object("celeryconfig")


def note(file, *words):
    with open(file, "a", encoding="utf-8") as lines:
        lines.write(" ".join(map(str, words)) + "\n")


def words_of(file):
    if not os.path.exists(file):
        return []
    with open(file, encoding="utf-8") as lines:
        return [line.split() for line in lines]


@app.task(name="kiosk.sms", bind=True)
def sms(self, number):
    if not number.isdigit():
        raise ValueError(f"{number} has no number")
    note("ledger", "sms", number, self.request.hostname, time.time())
    return f"sent to {number}"


@app.task(name="kiosk.bill", bind=True, max_retries=100)
def bill(self, order):
    """Tried every 12 seconds until the printer is on."""
    if not os.path.exists("printer"):
        raise self.retry(countdown=12)
    note("ledger", "bill", order, self.request.hostname, time.time())
    return self.request.retries


@app.task(name="kiosk.stock", bind=True, ignore_result=True)
def stock(self):
    note("ledger", "stock", "-", self.request.hostname, time.time())


@app.task(name="kiosk.rates", bind=True, ignore_result=True)
def rates(self):
    note("ledger", "rates", "-", self.request.hostname, time.time())


def send(task, what, countdown=0):
    note("sent", task, what)
    app.send_task(f"kiosk.{task}", (what,), countdown=float(countdown))


def runs():
    return collections.Counter(tuple(words[:2]) for words in words_of("ledger") if words[1] != "-")


def check():
    sent = {tuple(words) for words in words_of("sent")}
    deadline = time.monotonic() + 60
    while sent - set(runs()) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)  # for what may come again
    ran = runs()
    twice = [what for what, count in ran.items() if count > 1]
    print(f"{len(sent)} sent, {len(sent & set(ran))} ran, {len(twice)} twice",
          *(f"missing: {what}" for what in sorted(sent - set(ran))), sep="\n")


def beats(entry):
    times = [float(words[3]) for words in words_of("ledger") if words[0] == entry]
    gaps = [b - a for a, b in zip(times, times[1:] + [time.time()])]
    early = [gap for gap in gaps[:-1] if gap < PERIOD / 2]
    late = [gap for gap in gaps if gap > LONGEST]
    print(f"{entry}: {len(times)} times, {len(early)} too close, {len(late)} too far apart")


if __name__ == "__main__":
    {"send": send, "check": check, "beats": beats}[sys.argv[1]](*sys.argv[2:])
