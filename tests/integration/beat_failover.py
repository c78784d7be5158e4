#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""Two beats, kill -9 on the leader, fifty times: the other takes over, no tick is missing, and
each entry has at most one duplicate for each fail-over, with the same id."""
import collections
import random
import time

import beat_common
import coneytest

KILLS = 50
ENTRIES = {"second": 1000, "half": 500, "minute": 60000}


def config(scratch):
    return beat_common.config(
        scratch, second={"task": "t.second", "every": "1s"}, half={"task": "t.half", "every": "500ms"},
        minute={"task": "t.minute", "crontab": "* * * * *"})


def wait_for_a_bad_moment(number):
    """Half of the kills come around a tick's due time, the others anywhere."""
    if number % 2:
        time.sleep(random.uniform(0, 2.5))
    else:
        time.sleep(1 - time.time() % 0.5 + random.uniform(0, 0.012))


def kill_leaders(path, collector, from_ms):
    """[(when, seconds until the other led)] of each kill, and until when all ticks came."""
    kills = []
    leader = beat_common.Beat(path).__enter__()
    leader.wait_log(": leading  beat=")
    standby = beat_common.Beat(path).__enter__()
    for number in range(KILLS):
        wait_for_a_bad_moment(number)
        assert leader.is_leading() and not standby.is_leading()
        assert "tick published" not in standby.log(), standby.log()
        killed = time.time()
        leader.slay()
        standby.wait_log(": leading  beat=", deadline_s=10)
        kills.append((killed * 1000, time.time() - killed))
        leader, standby = standby, beat_common.Beat(path).__enter__()
    to_ms = max(beat_common.now_ms(), from_ms + max(ENTRIES.values()))  # each was due
    time.sleep(max(0, to_ms - beat_common.now_ms()) / 1000)
    collector.wait_beyond("half", ENTRIES["half"], to_ms)
    for beat in (standby, leader):
        beat.__exit__(None, None, None)
    return kills, to_ms


def judge(ticks, kills, from_ms, to_ms):
    counts = collections.Counter(tick.id for tick in ticks)
    for entry, every_ms in ENTRIES.items():
        wanted = [beat_common.tick_id(entry, due)
                  for due in beat_common.ticks_between(every_ms, from_ms, to_ms)]
        missing = [i for i, identifier in enumerate(wanted) if not counts[identifier]]
        assert wanted and not missing, (entry, missing)

        seen, repeats = set(), collections.Counter()
        for tick in (t for t in ticks if t.entry == entry):
            if tick.id in seen:
                repeats[sum(when < tick.at for when, _ in kills)] += 1
            seen.add(tick.id)
        assert max(repeats.values(), default=0) <= 1 and not repeats[0], (entry, repeats)
        unexpected = [t for t in ticks if t.entry == entry and t.id not in wanted
                      and from_ms + every_ms < t.at < to_ms]
        assert not unexpected, unexpected[:3]
        print(f"{entry}: {len(wanted)} ticks, none missing, {sum(repeats.values())} duplicates")


def main():
    with coneytest.Scratch() as scratch, beat_common.Collector() as collector:
        beat_common.set_heartbeat(scratch, "10s")
        path = config(scratch)
        with beat_common.Beat(path) as first:  # makes the objects; hands the token on
            collector.wait_count("half", 2)
            first.wait_log("tick published")
        from_ms = collector.ticks[0].at
        kills, to_ms = kill_leaders(path, collector, from_ms)
        coneytest.wait_for(lambda: not coneytest.busy_queues(ignore=(beat_common.TOKEN_QUEUE,)),
                           "the last ticks")
        coneytest.wait_for(
            lambda: coneytest.queue_counts()[beat_common.TOKEN_QUEUE] in ((1, 0), (2, 0)),
            "the token to be back: the last, perhaps the one before")
        judge(collector.ticks, kills, from_ms, to_ms)
    slowest = max(seconds for _, seconds in kills)
    print(f"{len(kills)} kills; the other led after {slowest * 1000:.0f} ms at the latest")


if __name__ == "__main__":
    main()
