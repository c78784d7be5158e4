# SPDX-License-Identifier: MIT
"""Who says what happened: the producer, the tasks' ledger, the workers' logs, the broker.

Each reader returns plain tuples; what they amount to is verdict.py's business.
"""
import base64
import collections
import datetime
import json
import re
import urllib.request

Sent = collections.namedtuple("Sent", "task id at_us")
Line = collections.namedtuple("Line", "task id retries event at_us")
Asked = collections.namedtuple("Asked", "task id retry delay_us eta_us")
Letter = collections.namedtuple("Letter", "task id reason attempts signal stderr")

RETRY = re.compile(r"; retry (\d+) in ([\d.]+) s  task=(\S+) id=(\S+) .*eta=(\S+)")


def lines_of(path):
    """The complete lines; none while there is no such file."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return text[:text.rfind("\n") + 1].splitlines()


def sent(path):
    rows = [line.split() for line in lines_of(path)]
    return [Sent(row[0], row[1], int(row[2])) for row in rows]


def ledger(path):
    rows = [line.split() for line in lines_of(path)]
    return [Line(row[0], row[1], int(row[2]), row[3], int(row[4])) for row in rows]


def asked(path):
    """The retries that a worker has asked the broker for."""
    found = []
    for line in lines_of(path):
        match = RETRY.search(line)
        if match:
            eta = datetime.datetime.fromisoformat(match[5])
            since_1970 = eta - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
            found.append(Asked(match[3], match[4], int(match[1]),
                               round(float(match[2]) * 1_000_000),
                               since_1970 // datetime.timedelta(microseconds=1)))
    return found


def letters(url, user, password, queue="coney.dead"):
    """Look at all dead letters, and leave them where they are."""
    wanted = {"count": 100000, "ackmode": "ack_requeue_true", "encoding": "auto"}
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(
        f"{url}/api/queues/%2F/{queue}/get", method="POST", data=json.dumps(wanted).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {login}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        headers = [message["properties"]["headers"] for message in json.load(response)]
    return [Letter(h["task"], h["id"], h["coney-reason"], h["coney-attempts"],
                   h.get("coney-signal"), h.get("coney-stderr", "")) for h in headers]


def queue_counts(listing):
    """{queue: messages} from `rabbitmqctl list_queues name messages`."""
    rows = [line.split("\t") for line in listing.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
