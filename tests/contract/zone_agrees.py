#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Local time agrees with Python's zoneinfo, in every zone of the system.

Usage: zone_agrees.py [DIRECTORY OF zone_query]

For each zone: every change of local time from 2000 to 2037 and from 2095 to 2100 (where only
the footer's rule knows) to the second, a grid of instants, and the way back from local time
around each change. zoneinfo has no list of changes, so they are found by bisection of a grid.
"""

import os
import pathlib
import subprocess
import sys
import zoneinfo
from datetime import datetime, timedelta, timezone

ROOT = "/usr/share/zoneinfo"
UTC = timezone.utc
EPOCH = datetime(1970, 1, 1)
SPANS = [(2000, 2038), (2095, 2101)]
GRID_S = 3 * 86400  # no two changes of these years lie closer together
QUERIES_MIN = 1_000_000


def seconds(year):
    return int((datetime(year, 1, 1) - EPOCH).total_seconds())


def local_type(zone, at):
    t = datetime.fromtimestamp(at, zone)
    return int(t.utcoffset().total_seconds()), int(bool(t.dst())), t.tzname()


def changes(zone, grid, types):
    for (low, before), (high, after) in zip(zip(grid, types), zip(grid[1:], types[1:])):
        if before == after:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if local_type(zone, middle) == before:
                low = middle
            else:
                high = middle
        yield high


def local_answer(zone, local, change):
    """What shows `local` on the clock: the instants that survive the way there and back."""
    naive = EPOCH + timedelta(seconds=local)
    instants = set()
    for fold in (0, 1):
        utc = naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if utc.astimezone(zone).replace(tzinfo=None, fold=0) == naive:
            instants.add(int(utc.timestamp()))
    if not instants:
        return f"gap {change} {change}"
    kind = "unique" if len(instants) == 1 else "ambiguous"
    return f"{kind} {min(instants)} {max(instants)}"


def questions(zone):
    """Pairs of question and expected answer."""
    asked = []
    for first, last in SPANS:
        grid = list(range(seconds(first), seconds(last) + 1, GRID_S))
        types = [local_type(zone, at) for at in grid]
        asked += [(f"at {at}", "%d %d %s" % t) for at, t in zip(grid, types)]
        for change in changes(zone, grid, types):
            before, after = local_type(zone, change - 1), local_type(zone, change)
            for at in (change - 1, change, change + 1):
                asked.append((f"at {at}", "%d %d %s" % local_type(zone, at)))
            edges = [change + before[0], change + after[0]]
            for local in sorted({e + d for e in edges + [sum(edges) // 2]
                                 for d in (-1, 0, 1)}):
                asked.append((f"local {local}", local_answer(zone, local, change)))
    return asked


def main():
    tools = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get(
        "CONEY_TEST_TOOLS", "."))
    zoneinfo.reset_tzpath([ROOT])
    by_content = {}  # many names are links to one zone
    asked = []
    names = sorted(zoneinfo.available_timezones())
    for name in names:
        content = (pathlib.Path(ROOT) / name).read_bytes()
        if content not in by_content:
            by_content[content] = questions(zoneinfo.ZoneInfo(name))
        asked.append((name, "zone " + name, "ok"))
        asked += [(name, q, a) for q, a in by_content[content]]

    run = subprocess.run([tools / "zone_query", ROOT], text=True, check=True,
                         input="".join(q + "\n" for _, q, _ in asked), stdout=subprocess.PIPE)
    answers = run.stdout.splitlines()
    if len(answers) != len(asked):
        sys.exit(f"{len(asked)} questions, {len(answers)} answers")
    wrong = [(n, q, a, got) for (n, q, a), got in zip(asked, answers) if a != got]
    for name, question, answer, got in wrong[:20]:
        print(f"{name}: {question}: zoneinfo says {answer}, zone_query {got}")
    local = sum(q.startswith("local") for _, q, _ in asked)
    print(f"{len(names)} zones, {len(asked)} answers compared ({local} from local time), "
          f"{len(wrong)} differ")
    if wrong or len(asked) < QUERIES_MIN:
        sys.exit(1)


main()
