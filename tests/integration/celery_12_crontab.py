#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=120 no-broker
"""§10.12: the tables of §8.2 (crontab fields), §8.4 (daylight saving) and §8.5 (deadlines), each
row asked of Celery (every version there is) and of Coney. Where Coney differs it does so on
purpose, and the row says how. contract/crontab_agrees compares thousands more at random.
"""
import calendar
import datetime
import json
import os
import pathlib
import subprocess
import sys
import zoneinfo

import celerypeers

TOOLS = pathlib.Path(os.environ["CONEY_TEST_TOOLS"])
UTC = datetime.timezone.utc
ERROR = "error"
SAME = "as Celery"

# Text, field, what Celery makes of it, and Coney.
FIELDS = [
    ("*/7", "minute", list(range(0, 60, 7)), SAME),
    ("*/3", "day", list(range(1, 32, 3)), SAME),
    ("*/2", "day", list(range(1, 32, 2)), SAME),
    ("*/2", "month", [1, 3, 5, 7, 9, 11], SAME),
    ("*/2", "weekday", [0, 2, 4, 6], SAME),
    ("22-2", "hour", [22, 23, 0, 1, 2], SAME),
    ("50-10/5", "minute", [50, 55, 0, 5, 10], SAME),
    ("20-4/3", "hour", [20, 23, 2], SAME),
    ("fri-mon", "weekday", [5, 6, 0, 1], SAME),
    ("sat-sun", "weekday", [6, 0], SAME),
    ("28-3", "day", [28, 29, 30, 31, 1, 2, 3], SAME),
    ("10-50/20", "minute", [10, 30, 50], SAME),
    ("05", "minute", [5], SAME),
    ("1,2", "minute", [1, 2], SAME),
    ("jan-MAR", "month", [1, 2, 3], SAME),
    ("5/15", "minute", ERROR, ERROR),
    ("*5", "minute", ERROR, ERROR),
    ("?", "day", ERROR, ERROR),
    ("L", "day", ERROR, ERROR),
    ("15W", "day", ERROR, ERROR),
    ("5#2", "weekday", ERROR, ERROR),
    ("*/0", "minute", ERROR, ERROR),
    ("1,,2", "minute", ERROR, ERROR),
    ("1,", "minute", ERROR, ERROR),
    ("1-5/", "minute", ERROR, ERROR),
    ("-1", "minute", ERROR, ERROR),
    ("60", "minute", ERROR, ERROR),
    ("24", "hour", ERROR, ERROR),
    ("0", "day", ERROR, ERROR),
    ("32", "day", ERROR, ERROR),
    ("13", "month", ERROR, ERROR),
    ("8", "weekday", ERROR, ERROR),
    # where Coney differs: crontab(5)'s Sunday, and no guessing at what was meant
    ("7", "weekday", ERROR, [0]),
    ("5-7", "weekday", ERROR, [5, 6, 0]),
    ("*/100", "minute", [0], ERROR),
    ("1-5-7", "minute", [1, 2, 3, 4, 5], ERROR),
    ("mon/2", "weekday", [1], ERROR),
    ("fri#2", "weekday", [5], ERROR),
    ("mar", "weekday", [3], ERROR),
]

# Crontab, day of a change of local time in Paris, what Celery 5.5 does, and Coney.
SPRING, AUTUMN = "2026-03-29", "2026-10-25"
DST = [
    ("30 2 * * *", SPRING, ["03:30 CEST"], ["03:00 CEST"]),  # ours: just after the gap
    ("30 2 * * *", AUTUMN, ["02:30 CEST"], SAME),
    ("*/30 1-3 * * *", SPRING, ["01:00 CET", "01:30 CET", "03:00 CEST", "03:30 CEST"], SAME),
    # ours: by real time, the hour that comes twice is no pause
    ("*/30 1-3 * * *", AUTUMN,
     ["01:00 CEST", "01:30 CEST", "02:00 CEST", "02:30 CEST", "03:00 CET", "03:30 CET"], SAME),
    ("*/30 * * * *", AUTUMN,
     ["01:00 CEST", "01:30 CEST", "02:00 CEST", "02:30 CEST", "03:00 CET", "03:30 CET"],
     ["01:00 CEST", "01:30 CEST", "02:00 CEST", "02:30 CEST", "02:00 CET", "02:30 CET",
      "03:00 CET", "03:30 CET"]),
    ("0 * * * *", AUTUMN, ["01:00 CEST", "02:00 CEST", "03:00 CET"],
     ["01:00 CEST", "02:00 CEST", "02:00 CET", "03:00 CET"]),
]

# Both Celery's question: in a process of its own, of any version.
CELERYS = r"""
import datetime, json, sys
import celery
from celery.schedules import crontab, crontab_parser, ParseException
from zoneinfo import ZoneInfo
SIZES = {"minute": (60, 0), "hour": (24, 0), "day": (31, 1), "month": (12, 1), "weekday": (7, 0)}
NAMES = {"minute": "minute", "hour": "hour", "day": "day_of_month", "month": "month_of_year",
         "weekday": "day_of_week"}
asked = json.loads(sys.argv[1])
def field(text, name):
    try:
        schedule = crontab(**{NAMES[name]: text})
    except (ParseException, ValueError) as error:
        return "error"
    return sorted(getattr(schedule, NAMES[name]))
def ticks(text, day):
    app = celery.Celery("dst", set_as_current=False)
    app.conf.update(timezone="Europe/Paris", enable_utc=True)
    zone = ZoneInfo("Europe/Paris")
    minute, hour, dom, month, dow = text.split()
    at = datetime.datetime.fromisoformat(day + "T00:59:00").replace(tzinfo=zone)
    end = datetime.datetime.fromisoformat(day + "T04:00:00").replace(tzinfo=zone)
    found = []
    while True:
        schedule = crontab(minute, hour, dow, dom, month, app=app, nowfun=lambda: at)
        # as beat: now moves on until the schedule says that it is due
        start, delta, now = schedule.remaining_delta(at.astimezone(app.timezone))
        from celery.utils.time import remaining
        wait = remaining(start, delta, now)
        at = (at.astimezone(datetime.timezone.utc) + wait).astimezone(zone)
        if at.astimezone(datetime.timezone.utc) >= end.astimezone(datetime.timezone.utc):
            return found
        found.append(at.strftime("%H:%M %Z"))
        if len(found) > 20:
            return found
def deadline(now, last, limit, text):
    app = celery.Celery("deadline", set_as_current=False)
    app.conf.update(timezone="UTC", enable_utc=True, beat_cron_starting_deadline=limit)
    minute, hour, dom, month, dow = text.split()
    utc = datetime.timezone.utc
    now = datetime.datetime.fromisoformat(now).replace(tzinfo=utc)
    schedule = crontab(minute, hour, dow, dom, month, app=app, nowfun=lambda: now)
    return bool(schedule.is_due(datetime.datetime.fromisoformat(last).replace(tzinfo=utc)).is_due)
print(json.dumps({"version": celery.__version__,
    "fields": [field(*row) for row in asked["fields"]],
    "dst": [ticks(*row) for row in asked["dst"]],
    "deadlines": [deadline(*row) for row in asked["deadlines"]]}))
"""

# Now, last run, deadline in seconds, crontab: does Celery (5.3 and later) fire?
DEADLINES = [
    ("2026-11-20T12:07:30", "2026-11-20T07:07:00", None, "0 * * * *", True),
    ("2026-11-20T12:07:30", "2026-11-20T07:07:00", 60, "0 * * * *", False),
    ("2026-11-20T12:07:30", "2026-11-20T07:07:00", 600, "0 * * * *", True),
    ("2026-11-20T12:00:30", "2026-11-20T07:07:00", 60, "0 * * * *", True),
    ("2026-11-20T12:07:30", "2026-11-20T12:00:00", 600, "0 * * * *", False),
]


def ask_celery(version):
    asked = json.dumps({"fields": [row[:2] for row in FIELDS], "dst": [row[:2] for row in DST],
                        "deadlines": [row[:4] for row in DEADLINES]})
    done = subprocess.run([*celerypeers.python(version), "-c", CELERYS, asked], stdout=subprocess.PIPE, text=True,
                          check=True, timeout=120)
    return json.loads(done.stdout)


# --- Coney ---------------------------------------------------------------------------------

def query(tool, lines):
    done = subprocess.run([TOOLS / tool], input="".join(f"{line}\n" for line in lines), text=True,
                          stdout=subprocess.PIPE, check=True, timeout=60)
    return done.stdout.splitlines()


def micros(when):
    return calendar.timegm(when.utctimetuple()) * 1000000


def instants(field):
    """One for each value of the field: (value, when it is, the other fields)."""
    first = datetime.datetime(2026, 1, 4, tzinfo=UTC)  # a Sunday
    if field == "minute":
        return [(n, first + datetime.timedelta(minutes=n), "{} 0 4 1 *") for n in range(60)]
    if field == "hour":
        return [(n, first + datetime.timedelta(hours=n), "0 {} 4 1 *") for n in range(24)]
    if field == "day":
        return [(n, datetime.datetime(2026, 1, n, tzinfo=UTC), "0 0 {} 1 *") for n in range(1, 32)]
    if field == "month":
        return [(n, datetime.datetime(2026, n, 1, tzinfo=UTC), "0 0 1 {} *")
                for n in range(1, 13)]
    return [(n, first + datetime.timedelta(days=n), "0 0 * 1 {}") for n in range(7)]


def coneys_field(text, field):
    rows = instants(field)
    answers = query("crontab_query", [
        f"UTC\t-\t{micros(when) - 1}\t{others.format(text)}" for _, when, others in rows])
    if answers[0].startswith("error"):
        return ERROR
    return sorted(value for (value, when, _), answer in zip(rows, answers)
                  if answer == str(micros(when)))


def coneys_ticks(text, day):

    zone = zoneinfo.ZoneInfo("Europe/Paris")
    at = datetime.datetime.fromisoformat(day + "T00:59:59").replace(tzinfo=zone)
    end = datetime.datetime.fromisoformat(day + "T04:00:00").replace(tzinfo=zone)
    at_us, found = micros(at), []
    while True:
        at_us = int(query("crontab_query", [f"Europe/Paris\t-\t{at_us}\t{text}"])[0])
        if at_us >= micros(end):
            return found
        found.append(datetime.datetime.fromtimestamp(at_us // 1000000, zone).strftime("%H:%M %Z"))


def coneys_deadline(now, last, limit, text):
    """Whether anything is published, with what Celery does: the newest missed tick counts."""
    watermark, now = (micros(datetime.datetime.fromisoformat(t).replace(tzinfo=UTC))
                      for t in (last, now))
    answer = query("schedule_query", [f"once\t{(limit or 0) * 1000}\t{watermark}\t{now}\t{text}"])
    assert "error" not in answer[0], answer
    return len(answer[0].split())


def main():
    versions = celerypeers.versions()
    celerys = {version: ask_celery(version) for version in versions}
    deviations = 0
    for number, (text, field, theirs, ours) in enumerate(FIELDS):
        wanted = theirs if theirs == ERROR else sorted(theirs)
        for version, answers in celerys.items():
            if version == "5.2" and text in ("jan-MAR", "mar"):
                continue  # no names of months yet
            assert answers["fields"][number] == wanted, (version, text, answers["fields"][number])
        got = coneys_field(text, field)
        expected = wanted if ours == SAME else ours if ours == ERROR else sorted(ours)
        assert got == expected, (text, field, got, expected)
        deviations += got != wanted
        print(f"{field} {text!r}: {got}" + (f", where Celery has {wanted}" * (got != wanted)))
    for number, (text, day, theirs, ours) in enumerate(DST):
        if "5.5" in celerys:
            answer = celerys["5.5"]["dst"][number]
            assert answer == theirs, (text, day, answer)
        got = coneys_ticks(text, day)
        assert got == (theirs if ours == SAME else ours), (text, day, got)
        deviations += got != theirs
        print(f"Paris, {day}, {text!r}: {', '.join(got)}"
              + f"; Celery: {', '.join(theirs)}" * (got != theirs))
    for number, row in enumerate(DEADLINES):
        if "5.5" in celerys:
            assert celerys["5.5"]["deadlines"][number] == row[4], row
        got = coneys_deadline(*row[:4])
        assert got == row[4], (row, got)
        print(f"last run {row[1]}, now {row[0]}, deadline {row[2]} s: "
              f"{'one run' if got else 'none'}")
    names = ", ".join(answers["version"] for answers in celerys.values())
    print(f"{len(FIELDS)} fields, {len(DST)} changes of local time, {len(DEADLINES)} deadlines; "
          f"{deviations} deviations, all meant; asked: Celery {names}, Python "
          f"{sys.version.split()[0]}")


if __name__ == "__main__":
    main()
