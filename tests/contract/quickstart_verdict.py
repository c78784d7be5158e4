#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The judge of scripts/quickstart lets a perfect run pass, and nothing else: each count is put
wrong once.
"""
import copy
import os
import sys

sys.path.insert(0, os.environ["CONEY_SOURCE_DIR"] + "/scripts/quickstart.d")
import verdict  # noqa: E402
from evidence import Asked, Letter, Line, Sent  # noqa: E402

LED_US = 1_800_000_001_000_000  # a second after a tick of every entry
STOPPED_US = LED_US + 63_500_000


def play_task(found, task, fate, number):
    """One task that meets its fate."""
    identifier = f"{task}-{number}"
    at_us = LED_US + number * 1000
    found.sent.append(Sent(task, identifier, at_us))
    for attempt in range(fate.attempts):
        if attempt > 0:
            delay_us = round(fate.delays[attempt - 1][1] * 1e6)
            at_us += delay_us
            found.asked.append(Asked(task, identifier, attempt, delay_us, at_us))
        at_us += 500
        found.ledger.append(Line(task, identifier, attempt, "started", at_us))
    if fate.reason is None:
        found.ledger.append(Line(task, identifier, fate.attempts - 1, "done", at_us + 10))
    else:
        found.letters.append(Letter(task, identifier, fate.reason, fate.attempts, fate.signal,
                                    f"before {fate.stderr} after"))


def perfect():
    found = verdict.Evidence(sent=[], ledger=[], asked=[], letters=[], queues={}, led_us=LED_US,
                             stopped_us=STOPPED_US, failovers=1, left_behind=[])
    for task, fate in verdict.FATES.items():
        for number in range(5):
            play_task(found, task, fate, number)
    for task, period in verdict.PERIODS.items():
        first = LED_US - LED_US % (period * 1_000_000)
        for at_us in range(first + period * 1_000_000, STOPPED_US, period * 1_000_000):
            found.ledger.append(Line(task, f"{task}-{at_us}", 0, "started", at_us + 2000))
    found.queues = {"coney.beat.main": 1, "coney.dead": len(found.letters), "coney.high": 0}
    return found


def line(found, task, event="started", retries=0):
    return next(one for one in found.ledger
                if (one.task, one.event, one.retries) == (task, event, retries))


def replace(tuples, old, **changes):
    tuples[tuples.index(old)] = old._replace(**changes)


# What is done to a perfect run, and words of the complaint.
WRONGS = {
    "a task was lost": (lambda f: f.ledger.remove(line(f, "notify.send_email")), "what it did"),
    "one ran twice": (lambda f: f.ledger.append(line(f, "notify.send_email")), "what it did"),
    "one never ended": (lambda f: f.ledger.remove(line(f, "reports.daily", "done")),
                        "what it did"),
    "one was tried too often": (
        lambda f: f.ledger.append(line(f, "billing.charge")._replace(retries=3)), "what it did"),
    "a letter is missing": (lambda f: f.letters.pop(), "its dead letter"),
    "a letter came twice": (lambda f: f.letters.append(f.letters[0]), "its dead letter"),
    "a letter has another reason": (
        lambda f: replace(f.letters, f.letters[0], reason="rejected"), "its dead letter"),
    "a letter counts wrongly": (
        lambda f: replace(f.letters, f.letters[0], attempts=9), "its dead letter"),
    "a crash has lost its signal": (
        lambda f: replace(f.letters, next(x for x in f.letters if x.signal == 11), signal=None),
        "its dead letter"),
    "a crash has lost its last words": (
        lambda f: replace(f.letters, next(x for x in f.letters if x.signal == 11), stderr=""),
        "its dead letter"),
    "a success has a letter": (
        lambda f: f.letters.append(Letter("notify.send_email", "notify.send_email-0", "failed", 1,
                                          None, "")), "its dead letter"),
    "a retry was early": (
        lambda f: replace(f.ledger, line(f, "notify.send_sms", retries=2),
                          at_us=line(f, "notify.send_sms", retries=2).at_us - 501), "came early"),
    "a delay is not the policy's": (
        lambda f: replace(f.asked, next(x for x in f.asked if x.task == "billing.charge"),
                          delay_us=999_999), "delays of retry 1 outside"),
    "a retry was asked for twice": (lambda f: f.asked.append(f.asked[0]), "was asked for"),
    "a tick is missing": (
        lambda f: f.ledger.remove([x for x in f.ledger if x.task == "ops.heartbeat"][3]),
        "ticks missing"),
    "the crontab's tick is missing": (
        lambda f: f.ledger.remove(line(f, "ops.rollup")), "ticks missing"),
    "a tick came from nowhere": (
        lambda f: f.ledger.append(Line("ops.cleanup", "x", 0, "started", STOPPED_US + 9_000_000)),
        "nobody asked for"),
    "a tick has two ids": (
        lambda f: f.ledger.append(line(f, "ops.cleanup")._replace(id="x")), "more than one id"),
    "two ticks came twice after one failover": (
        lambda f: f.ledger.extend([x for x in f.ledger if x.task == "ops.heartbeat"][:2]),
        "came twice"),
    "a stranger ran": (
        lambda f: f.ledger.append(line(f, "reports.daily")._replace(id="x")), "nobody sent"),
    "a killed task left a child": (lambda f: f.left_behind.append(4711), "left behind"),
    "a message is stuck": (lambda f: f.queues.update({"coney.v1.delay.00": 1}), "left in queues"),
    "the token is gone": (lambda f: f.queues.pop("coney.beat.main"), "left in queues"),
    "nothing was sent at all": (lambda f: f.sent.clear(), "none was sent"),
}


def main():
    good = perfect()
    assert verdict.Verdict(good).complaints == [], verdict.Verdict(good).complaints
    again = copy.deepcopy(good)
    again.ledger.append(line(again, "ops.cleanup"))  # one duplicate for the failover is fine
    assert verdict.Verdict(again).complaints == [], verdict.Verdict(again).complaints
    for name, (spoil, words) in WRONGS.items():
        bad = copy.deepcopy(good)
        spoil(bad)
        complaints = verdict.Verdict(bad).complaints
        assert any(words in complaint for complaint in complaints), (name, complaints)
    print(f"{len(WRONGS)} wrong runs, each told from a right one")


main()
