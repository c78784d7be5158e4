#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""§10.5: eta, countdown and expires in every spelling of §1.7: never early, past ones at once,
expired ones never: REVOKED, with the event that says so.
"""
import datetime
import json
import time

import celerypeers
import coneytest

UTC = datetime.timezone.utc
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
WEST = datetime.timezone(-datetime.timedelta(hours=9, minutes=30))
LATE_S = 5  # a test machine's, not the broker's: design.md has milliseconds

# The spelling of a moment 1.4 s ahead, as somebody may write it.
SPELLINGS = {
    "6 digits, +00:00": lambda t: t.isoformat(),
    "naive": lambda t: t.replace(tzinfo=None).isoformat(),
    "Z": lambda t: t.replace(tzinfo=None).isoformat() + "Z",
    "+05:30": lambda t: t.astimezone(EAST).isoformat(),
    "-09:30": lambda t: t.astimezone(WEST).isoformat(),
    "+0530": lambda t: t.astimezone(EAST).isoformat()[:-3] + "30",
    "a space": lambda t: t.isoformat(" "),
    "3 digits": lambda t: t.isoformat(timespec="milliseconds"),
    "1 digit": lambda t: t.isoformat(timespec="milliseconds").replace("+", "+")[:21] + "+00:00",
    "9 digits": lambda t: t.replace(tzinfo=None).isoformat(timespec="microseconds") + "000+00:00",
    "no fraction": lambda t: (t + datetime.timedelta(seconds=1)).isoformat(timespec="seconds"),
}


def now():
    return datetime.datetime.now(UTC)


def moment(path, label, deadline_s=30):
    return coneytest.wait_for(
        lambda: [line for line in coneytest.ledger(path) if line.label == label],
        f"{label} to run", deadline_s)[0].at_us / 1e6


def check_spellings(path, replies):
    begun = now()
    wanted = {}
    with coneytest.Producer() as producer:
        for name, spell in SPELLINGS.items():
            eta = now() + datetime.timedelta(seconds=1.4)
            text = spell(eta)
            producer.send("coney.default", "ledger.again", (path, name.replace(" ", "_"), 0),
                          eta=text)
            digits = eta.timestamp()
            if name in ("3 digits", "1 digit"):
                digits -= digits % (0.001 if name[0] == "3" else 0.1)
            elif name == "no fraction":
                digits = int(digits + 1)
            wanted[name] = (text, digits)
        producer.confirm()
        for name, (text, at) in wanted.items():
            waited = moment(path, name.replace(" ", "_")) - at
            print(f"eta {text} ({name}): {waited * 1000:.0f} ms after it")
            assert -0.0005 <= waited < LATE_S, (name, waited)
        for name, spell in SPELLINGS.items():
            text = spell(now() - datetime.timedelta(hours=1))
            task = producer.send("coney.default", "demo.add", (1, 1), expires=text,
                                 properties={"reply_to": replies.queue})
            producer.confirm()
            meta = replies.of(task)
            assert meta["status"] == "REVOKED", meta
            assert meta["result"] == {"exc_type": "TaskRevokedError", "exc_message": ["expired"],
                                      "exc_module": "celery.exceptions"}, meta
            print(f"expires {text} ({name}), an hour ago: REVOKED")
            text = spell(now() + datetime.timedelta(hours=1))
            task = producer.send("coney.default", "demo.add", (1, 1), expires=text,
                                 properties={"reply_to": replies.queue})
            producer.confirm()
            assert replies.of(task)["result"] == 2
        print(f"each of them in an hour: runs ({now() - begun} for all)")


# An option of Celery's, in code, and when the task is to run, in seconds from now; None: never.
OPTIONS = {
    "countdown=0": 0, "countdown=1": 1, "countdown=2.5": 2.5, "countdown=0.4": 0.4,
    "countdown=-5": 0,
    "eta=now(seconds=1.5)": 1.5,
    "eta=now(seconds=1.5).astimezone(datetime.timezone(datetime.timedelta(hours=-8)))": 1.5,
    "eta=now(seconds=1.5).replace(tzinfo=None)": 1.5,
    "eta=now(seconds=-3600)": 0,
    "expires=60": 0,
    "countdown=1, expires=60": 1,
    "countdown=1, expires=now(minutes=1)": 1,
    "countdown=2, expires=1": None,
    "eta=now(seconds=3), expires=now(seconds=2)": None,
    "countdown=0.8, expires=now(seconds=0.4)": None,
}


def revoked(firehose, task):
    """The events of that kind about the task; they come alone or in lists."""
    events = []
    for message in firehose.seen():
        if message.exchange == "celeryev":
            found = json.loads(message.body)
            events += found if isinstance(found, list) else [found]
    return [e for e in events if e["type"] == "task-revoked" and e["uuid"] == task]


def check_options(version, client, firehose, path):
    tasks = []
    for number, (code, after) in enumerate(OPTIONS.items()):
        label = f"{version}-{number}"
        begun = time.time()
        tasks.append((client(f"send('ledger.again', ({path!r}, {label!r}, 0), {code})"),
                      label, code, after, begun))
    for task, label, code, after, begun in tasks:
        if after is None:
            # What the broker itself drops for its expiration, nobody hears of; so that it does
            # not, the queue is consumed.
            end = client(f"outcome({task!r})")
            assert end["state"] == "REVOKED", (code, end)
            assert end["value"] == {"type": "TaskRevokedError", "args": ["expired"]}, end
            assert not [l for l in coneytest.ledger(path) if l.label == label], code
            event = coneytest.wait_for(lambda: revoked(firehose, task), "its event")
            assert len(event) == 1 and event[0]["expired"] is True, (code, event)
            assert not event[0]["terminated"] and event[0]["signum"] is None, event
            print(f"{client.celery} {code}: REVOKED, event {event[0]['type']}, expired: true")
            continue
        waited = moment(path, label) - begun
        assert after <= waited < after + LATE_S, (code, waited)
        print(f"{client.celery} {code}: ran after {waited:.3f} s")


def main():
    with coneytest.Scratch() as scratch, celerypeers.Firehose() as firehose, \
            celerypeers.Replies() as replies:
        config = scratch.config(coneytest.worker_config(
            plugins=("demo", "ledger"), events={"enabled": True}))
        path = str(scratch.path / "ledger")
        with coneytest.Worker(config):
            check_spellings(path, replies)
            for version in celerypeers.versions():
                proj = celerypeers.settings(["coney.default"])
                with celerypeers.Client(version, proj) as client:
                    check_options(version, client, firehose, path)


if __name__ == "__main__":
    main()
