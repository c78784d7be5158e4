#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""What happens to ticks while the broker, all beats or only the leader are away, or the broker
takes nothing: nothing is lost but what the entry's policy gives up, and nothing comes late from
a leader that is one no more."""
import collections
import signal
import time

import beat_common
import coneytest

HEARTBEAT_S = 2
DEADLINE_S = 3


def config(scratch):
    return beat_common.config(
        scratch, second={"task": "t", "every": "1s"},
        brief={"task": "t", "every": "1s", "deadline": f"{DEADLINE_S}s"},
        latest={"task": "t", "every": "1s", "expires": f"{DEADLINE_S}s"})


def due_times(collector, entry, from_ms, to_ms):
    """{due: how often it came} in a span."""
    counts = collections.Counter(tick.id for tick in collector.of(entry))
    return {due: counts[beat_common.tick_id(entry, due)]
            for due in beat_common.ticks_between(1000, from_ms, to_ms)}


def catch_up(collector, from_ms):
    """Wait for the beat to have published what is due, and every tick of `second`; until when
    that was."""
    to_ms = beat_common.now_ms()
    collector.wait_beyond("second", 1000, to_ms)
    counts = due_times(collector, "second", from_ms, to_ms)
    assert 0 not in counts.values(), counts
    return to_ms


def judge(collector, away_ms, back_ms, from_ms, repeats):
    """`second` has every tick; the others lack only what was old when the beat was back."""
    to_ms = catch_up(collector, from_ms)
    second = due_times(collector, "second", from_ms, to_ms)
    for entry in ("second", "brief", "latest"):
        counts = due_times(collector, entry, from_ms, to_ms)
        assert sum(count > 1 for count in counts.values()) <= repeats, (entry, counts)
        assert max(counts.values()) <= 2, (entry, counts)
        missing = [due for due, count in counts.items() if not count]
        assert all(away_ms - 1000 < due < back_ms - DEADLINE_S * 1000 + 500 for due in missing), (
            entry, missing, away_ms, back_ms)
        if entry != "second" and back_ms - away_ms > (DEADLINE_S + 3) * 1000:
            assert missing, (entry, "was to give up some")
    return len(second)


def a_restart_of_the_broker_keeps_the_schedules_state(path, collector):
    with beat_common.Beat(path) as one, beat_common.Beat(path) as other:
        collector.wait_count("second", 3)
        from_ms, away_ms = collector.of("second")[-1].at - 500, beat_common.now_ms()
        coneytest.broker("stop")
        time.sleep(DEADLINE_S + 2)
        coneytest.broker("start")
        coneytest.wait_for(lambda: sum(b.log().count(": leading  beat=") for b in (one, other)) == 2,
                           "a leader", 60)
        count = len(collector.ticks)
        coneytest.wait_for(lambda: len(collector.ticks) > count + 9, "new ticks", 60)
        back_ms = beat_common.now_ms()
        time.sleep(2)
        ticks = judge(collector, away_ms, back_ms, from_ms, repeats=1)
        logs = one.log() + other.log()
        assert "missed ticks dropped by the misfire policy  entry=brief" in logs, logs
        assert "expired before it could be published  entry=latest" in logs, logs
    print(f"broker restarted: {ticks} ticks of `second`, none missing")


def a_night_without_beats_is_made_up_for(path, collector):
    time.sleep(1)
    from_ms = away_ms = beat_common.now_ms()
    time.sleep(DEADLINE_S + 4)
    with beat_common.Beat(path) as beat:
        beat.wait_log(": leading  beat=")
        back_ms = beat_common.now_ms() + 500
        beat.wait_log("entry=second", DEADLINE_S + 8)
        time.sleep(1)
        ticks = judge(collector, away_ms, back_ms, from_ms, repeats=0)
    print(f"no beat for {DEADLINE_S + 4} s: {ticks} ticks of `second`, none missing")


def a_leader_that_stood_still_publishes_nothing_stale(path, collector):
    with beat_common.Beat(path) as stopped, beat_common.Beat(path) as other:
        stopped.wait_log("tick published", 3)
        from_ms = beat_common.now_ms() - 500
        stopped.signal(signal.SIGSTOP)
        log_before = stopped.log()
        try:
            other.wait_log(": leading  beat=", deadline_s=10 * HEARTBEAT_S)
            time.sleep(HEARTBEAT_S)
        finally:
            stopped.signal(signal.SIGCONT)
        stopped.wait_log("this process stood still for longer than a heartbeat")
        stopped.wait_log("standing by  beat=", 2)
        time.sleep(2)
        assert "tick published" not in stopped.log()[len(log_before):], stopped.log()
        assert other.is_leading()
        counts = due_times(collector, "second", from_ms, catch_up(collector, from_ms))
        assert sum(count > 1 for count in counts.values()) <= 1, counts
    print(f"a leader stopped for over {3 * HEARTBEAT_S} s: the other led, nothing stale came")


def an_alarm_holds_ticks_back_and_leadership_stays(path, collector):
    with beat_common.Beat(path) as beat:
        beat.wait_log("tick published", 3)
        from_ms = beat_common.now_ms() - 500
        coneytest.broker("ctl", "set_vm_memory_high_watermark", "0.00001")
        try:
            beat.wait_log("broker alarm: ")
            time.sleep(2 * HEARTBEAT_S)
        finally:
            coneytest.broker("ctl", "set_vm_memory_high_watermark", "0.4")
        beat.wait_log("broker alarm is over")
        counts = due_times(collector, "second", from_ms, catch_up(collector, from_ms))
        # The broker's heartbeats come up to a heartbeat apart. When a busy machine makes that
        # more, the leader steps back, and what was on its way may come twice.
        silences = beat.log().count("nothing heard from the broker for a heartbeat")
        assert beat.log().count(": leading  beat=") == 1 + silences, beat.log()
        repeats = sum(count - 1 for count in counts.values())
        assert repeats <= silences, (silences, counts)
    print(f"an alarm: held back, then published, {repeats} twice; {silences} silences")


def main():
    with coneytest.Scratch() as scratch, beat_common.Collector() as collector:
        beat_common.set_heartbeat(scratch, f"{HEARTBEAT_S}s")
        path = config(scratch)
        a_restart_of_the_broker_keeps_the_schedules_state(path, collector)
        a_night_without_beats_is_made_up_for(path, collector)
        a_leader_that_stood_still_publishes_nothing_stale(path, collector)
        an_alarm_holds_ticks_back_and_leadership_stays(path, collector)


if __name__ == "__main__":
    main()
