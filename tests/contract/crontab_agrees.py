#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Crontab agrees with a reference that knows nothing of the C, and with Celery's crontab.

Usage: crontab_agrees.py [DIRECTORY OF crontab_query]

The reference goes forward minute by minute in UTC, looks at the wall clock through zoneinfo and
compares it with sets of numbers. (On a day without a matching date or a change of local time it
does not bother to look.) Random crontabs meet random instants and instants around changes of
local time, in twenty zones. Where Celery's crontab means the same (days: both, no 7 for Sunday,
no change of local time in between), it is asked, too. The seed is fixed, or CONEY_TEST_SEED.
"""

import functools
import os
import pathlib
import random
import subprocess
import sys
import zoneinfo
from datetime import date, datetime, timedelta, timezone

from celery import Celery
from celery.schedules import crontab as CeleryCrontab

ZONES = """UTC Europe/Paris Europe/London Europe/Dublin America/New_York America/St_Johns
    America/Santiago America/Havana America/Sao_Paulo Africa/Accra Africa/Cairo Africa/Casablanca
    Asia/Kolkata Asia/Tehran Asia/Beirut Asia/Gaza Australia/Lord_Howe Pacific/Apia
    Pacific/Chatham Antarctica/Troll""".split()
CRONTABS, INSTANTS = 3000, 4
COMPARED_MIN, CELERY_MIN = 10_000, 2_000
UTC = timezone.utc
EPOCH = datetime(1970, 1, 1)
DAY_S, MINUTES = 86400, 1440
FIRST_S = int((datetime(2000, 1, 1) - EPOCH).total_seconds())
LAST_S = int((datetime(2038, 1, 1) - EPOCH).total_seconds())

FIELDS = [(0, 59, []), (0, 23, []), (1, 31, []),
          (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec".split()),
          (0, 6, "sun mon tue wed thu fri sat".split())]


# --- random crontabs: text, and the numbers it stands for ------------------------------------

def random_value(rng, index):
    """A number, 7 as well as 0 for Sunday, and how it is written."""
    low, high, names = FIELDS[index]
    value = rng.randint(low, high)
    if names and rng.random() < 0.4:
        return value, rng.choice([str.lower, str.upper, str.title])(names[value - low])
    if index == 4 and value == 0 and rng.random() < 0.5:
        value = 7
    return value, rng.choice(["", "", "", "0"]) + str(value)


def random_range(rng, index):
    low, high, _ = FIELDS[index]
    (first, first_text), (last, last_text) = (random_value(rng, index) for _ in range(2))
    text = f"{first_text}-{last_text}"
    if index == 4 and first == 7:  # begins the week
        first, last = 0, last % 7
    if first <= last:
        values = list(range(first, last + 1))
    else:
        values = list(range(first, high + 1)) + list(range(low, last + 1))
    return [v % 7 for v in values] if index == 4 else values, text


def random_part(rng, index):
    low, high, _ = FIELDS[index]
    kind = rng.random()
    if kind < 0.2:
        step = rng.randint(1, high - low)
        return set(range(low, high + 1, step)), f"*/{step}"
    if kind < 0.6:
        value, text = random_value(rng, index)
        return {value % 7 if index == 4 else value}, text
    values, text = random_range(rng, index)
    if rng.random() < 0.5:
        step = rng.randint(1, min(high - low, 10))
        return set(values[::step]), f"{text}/{step}"
    return set(values), text


def random_field(rng, index):
    low, high, _ = FIELDS[index]
    if rng.random() < (0.3, 0.3, 0.5, 0.6, 0.5)[index]:
        return set(range(low, high + 1)), "*"
    parts = [random_part(rng, index) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    return set().union(*(p[0] for p in parts)), ",".join(p[1] for p in parts)


class Crontab:
    """What it says, as plain sets; made at random."""

    def __init__(self, rng):
        while True:
            made = [random_field(rng, i) for i in range(5)]
            self.minutes, self.hours, self.days, self.months, self.weekdays = \
                (m[0] for m in made)
            self.texts = [m[1] for m in made]
            restricted = self.texts[2] != "*" and self.texts[4] != "*"
            self.combine = rng.choice(["both", "either"]) if restricted else "-"
            longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
            if self.combine == "either" or any(
                    d <= longest.get(m, 31) for m in self.months for d in self.days):
                break
        self.text = rng.choice([" ", " ", "  "]).join(self.texts)
        self.starred = self.texts[1].startswith("*")
        self.every_hour = self.starred and len(self.hours) == 24

    def has_date(self, day):
        """day: days since 1970."""
        d = date.fromordinal(day + 719163)
        in_days, in_weekdays = d.day in self.days, d.isoweekday() % 7 in self.weekdays
        if self.combine == "either":
            return d.month in self.months and (in_days or in_weekdays)
        return d.month in self.months and in_days and in_weekdays

    def has_time(self, local_minute):
        of_day = local_minute % MINUTES
        return of_day // 60 in self.hours and of_day % 60 in self.minutes and \
            self.has_date(local_minute // MINUTES)


# --- the reference ---------------------------------------------------------------------------

@functools.lru_cache(None)
def offset(name, utc_minute):
    """Of local time from UTC, in minutes."""
    local = datetime.fromtimestamp(utc_minute * 60, zoneinfo.ZoneInfo(name))
    minutes, rest = divmod(local.utcoffset().total_seconds(), 60)
    assert rest == 0
    return int(minutes)


def is_second_time(name, utc_minute):
    return datetime.fromtimestamp(utc_minute * 60, zoneinfo.ZoneInfo(name)).fold == 1


def exists(name, local_minute):
    naive = EPOCH + timedelta(minutes=local_minute)
    there = naive.replace(tzinfo=zoneinfo.ZoneInfo(name)).astimezone(UTC)
    return there.astimezone(zoneinfo.ZoneInfo(name)).replace(tzinfo=None) == naive


@functools.lru_cache(None)
def is_plain(name, day):
    """No change of local time on this UTC day or the day before (none is undone in 4 h)."""
    return len({offset(name, h * 60) for h in range((day - 1) * 24, (day + 1) * 24 + 1, 4)}) == 1


def runs_at(cron, name, minute):
    """On a day when local time changes, or the day after."""
    before, now = offset(name, minute - 1), offset(name, minute)
    if not cron.every_hour:
        for missing in range(minute + before, minute + now):  # empty unless put forward
            if cron.has_time(missing) and not exists(name, missing):
                return True
    return cron.has_time(minute + now) and (
        cron.starred or not is_second_time(name, minute))


def run_of_day(cron, name, first, end):
    """The first run in these minutes of one UTC day, or None."""
    if not is_plain(name, first // MINUTES):
        return next((m for m in range(first, end) if runs_at(cron, name, m)), None)
    shift = offset(name, end - MINUTES)
    if not any(map(cron.has_date, {(end - MINUTES + shift) // MINUTES,
                                   (end - 1 + shift) // MINUTES})):
        return None
    return next((m for m in range(first, end) if cron.has_time(m + shift)), None)


def reference(cron, name, after_us):
    minute = after_us // 60_000_000 + 1
    last = minute + 50 * 366 * MINUTES
    while minute < last:
        end = (minute // MINUTES + 1) * MINUTES
        found = run_of_day(cron, name, minute, end)
        if found is not None:
            return found * 60_000_000
        minute = end
    return None


# --- Celery ----------------------------------------------------------------------------------

class Celerys:
    """Celery's opinion. It is shown the wall clock as if that were UTC."""

    def __init__(self):
        self.app = Celery("reference", set_as_current=False)
        self.app.conf.update(timezone="UTC", enable_utc=True)

    @staticmethod
    def means_the_same(cron):
        month_is_named = any(c.isalpha() for c in cron.texts[3])  # only since 5.5
        return cron.combine != "either" and "7" not in cron.texts[4] and not month_is_named

    def next(self, cron, name, after_us, next_us):
        """None where a change of local time lies on the way from after to next."""
        shift = offset(name, after_us // 60_000_000)
        first, last = after_us // (DAY_S * 10**6), next_us // (DAY_S * 10**6)
        if last - first > 800 or not all(is_plain(name, d) for d in range(first, last + 2)):
            return None
        wall = EPOCH.replace(tzinfo=UTC) + timedelta(microseconds=after_us, minutes=shift)
        minute, hour, day, month, weekday = cron.texts
        theirs = CeleryCrontab(minute, hour, weekday, day, month, nowfun=lambda: wall,
                               app=self.app)
        start, delta, _ = theirs.remaining_delta(wall)
        found = (start + delta).replace(tzinfo=None) - EPOCH - timedelta(minutes=shift)
        return found // timedelta(microseconds=1)


# --- the comparison --------------------------------------------------------------------------

def changes_of(name):
    """The minutes in which local time changes."""
    found = []
    for day in range(FIRST_S // DAY_S, LAST_S // DAY_S):
        if offset(name, day * MINUTES) != offset(name, (day + 1) * MINUTES):
            found += [m for m in range(day * MINUTES + 1, (day + 1) * MINUTES + 1)
                      if offset(name, m) != offset(name, m - 1)]
    return found


def random_instant(rng, changes):
    if changes and rng.random() < 0.5:
        minute = rng.choice(changes) + rng.choice(
            [rng.randint(-1500, 200), rng.randint(-90, 90), -1, 0])
        at = minute * 60_000_000
    else:
        at = rng.randrange(FIRST_S, LAST_S) * 10**6
    return at + rng.choice([0, 0, -1, 1, rng.randrange(60_000_000)])


def shown(us):
    return "never" if us is None else str(EPOCH + timedelta(microseconds=us)) + "Z"


def main():
    tools = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get(
        "CONEY_TEST_TOOLS", "."))
    seed = int(os.environ.get("CONEY_TEST_SEED", "20260329"))
    rng = random.Random(seed)
    changes = {name: changes_of(name) for name in ZONES}
    cases = []
    for _ in range(CRONTABS):
        cron = Crontab(rng)
        for _ in range(INSTANTS):
            name = rng.choice(ZONES)
            cases.append((cron, name, random_instant(rng, changes[name])))

    run = subprocess.run(
        [tools / "crontab_query"], text=True, check=True, stdout=subprocess.PIPE,
        input="".join(f"{n}\t{c.combine}\t{a}\t{c.text}\n" for c, n, a in cases))
    answers = run.stdout.splitlines()
    if len(answers) != len(cases):
        sys.exit(f"{len(cases)} questions, {len(answers)} answers")

    celery = Celerys()
    compared = asked_celery = wrong = near_change = 0
    for (cron, name, after), answer in zip(cases, answers):
        opinions = {"reference": reference(cron, name, after)}
        ours = int(answer) if answer.lstrip("-").isdigit() else answer
        if celery.means_the_same(cron) and isinstance(ours, int):
            theirs = celery.next(cron, name, after, ours)
            if theirs is not None:
                opinions["Celery"] = theirs
                asked_celery += 1
        compared += 1
        near_change += not is_plain(name, after // (DAY_S * 10**6))
        for who, opinion in opinions.items():
            if ours != opinion:
                wrong += 1
                if wrong <= 20:
                    got = shown(ours) if isinstance(ours, int) else ours
                    print(f"{cron.text!r} days={cron.combine} {name} after {shown(after)}: "
                          f"{who} says {shown(opinion)}, crontab_query {got}")
    print(f"{CRONTABS} crontabs in {len(ZONES)} zones, seed {seed}: {compared} runs compared "
          f"with the reference ({near_change} from a day of changing time or the day after), "
          f"{asked_celery} also with Celery, {wrong} differ")
    if wrong or compared < COMPARED_MIN or asked_celery < CELERY_MIN:
        sys.exit(1)


main()
