#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""Reloads without a lost or doubled tick, ticks that have nowhere to go, and what a tick's message
says."""
import collections
import datetime
import json
import shutil
import signal
import time

import beat_common
import coneytest

STEADY = {"task": "t.steady", "every": "500ms"}


def write(path, head, schedule):
    path.write_text(head + f"schedule: {json.dumps(schedule)}\n")


def reload(beat, path, head, schedule, text="reloaded  entries="):
    count = beat.log().count(text)
    write(path, head, schedule)
    beat.signal(signal.SIGHUP)
    beat.wait_log(text, count + 1)


def judge(collector, entry, every_ms, from_ms, to_ms):
    """Each tick in the span once."""
    counts = collections.Counter(tick.id for tick in collector.of(entry))
    due = {due: counts[beat_common.tick_id(entry, due)]
           for due in beat_common.ticks_between(every_ms, from_ms, to_ms)}
    assert due and set(due.values()) == {1}, (entry, due)
    return len(due)


def reloads_lose_and_double_nothing(scratch, collector):
    # A copy of the CA, so that it can change: that takes a new connection.
    ca = scratch.path / "ca.pem"
    shutil.copy(coneytest.ENV["CONEY_CA"], ca)
    path = scratch.config()
    head = path.read_text().replace(coneytest.ENV["CONEY_CA"], str(ca))
    write(path, head, {"steady": STEADY})
    with beat_common.Beat(path) as beat:
        beat.wait_log("tick published", 2)
        from_ms = beat_common.now_ms() - 400
        for number in range(20):
            other = {"task": "t.other", "every": f"{1 + number % 3}s"}
            reload(beat, path, head, {"steady": STEADY, "other": other})
        reload(beat, path, head, {"steady": STEADY, "bad": {"tsk": "t"}}, "reload refused")
        assert "tsk" in beat.log(), beat.log()

        added_ms = beat_common.now_ms()
        reload(beat, path, head, {"steady": STEADY, "late": {"task": "t", "every": "1s"}})
        there_ms = beat_common.now_ms()
        collector.wait_count("late", 2)
        assert beat.log().count("standing by") == 1, "twenty reloads on one connection"
        early = [beat_common.tick_id("late", due)
                 for due in beat_common.ticks_between(1000, added_ms - 9000, added_ms)]
        assert not {tick.id for tick in collector.of("late")} & set(early)

        ca.write_text("no certificate")
        beat.signal(signal.SIGHUP)
        beat.wait_log("; nothing has changed")
        shutil.copy(coneytest.ENV["CONEY_CA"], ca)
        beat.signal(signal.SIGHUP)
        beat.wait_log(": leading  beat=", 2)
        beat.wait_log("tick published  entry=late", 6)
        to_ms = beat_common.now_ms() - 600
        time.sleep(0.5)
        ticks = judge(collector, "steady", 500, from_ms, to_ms)
        judge(collector, "late", 1000, there_ms, to_ms)
    print(f"23 reloads, one of them with a new connection: {ticks} ticks once each")


def delete_for_good(beat, queue):
    """The reload declares the queue again, and once more if it goes while that is under way; so it
    is deleted until a tick misses it. Returns the time after which all ticks have missed it."""
    missed = "tick not published: there is no such queue; tried again in 1 s"
    for _ in range(5):
        coneytest.wait_for(lambda: queue in coneytest.queue_counts(), queue)
        before = beat.log().count(missed)
        coneytest.management(f"queues/%2F/{queue}", "DELETE")
        gone_ms = beat_common.now_ms()
        coneytest.wait_for(lambda: beat.log().count(missed) > before
                           or queue in coneytest.queue_counts(), f"a tick to miss {queue}")
        if beat.log().count(missed) > before:
            return gone_ms
    raise AssertionError(f"{queue} is back again and again")


def a_tick_without_a_queue_waits_for_it_and_stops_nobody(scratch, collector):
    path = scratch.config()
    head = path.read_text()
    schedule = {"steady": STEADY,
                "stray": {"task": "t.stray", "every": "1s", "queue": "low", "deadline": "1h"}}
    write(path, head, {"steady": STEADY})
    with beat_common.Beat(path) as beat:
        beat.wait_log(": leading  beat=")
        coneytest.management("queues/%2F/coney.low", "DELETE")
        write(path, head, schedule)
        from_ms = beat_common.now_ms()
        beat.signal(signal.SIGHUP)
        beat.wait_log("reloaded  entries=2")
        gone_ms = delete_for_good(beat, "coney.low")
        beat.wait_log("tick not published: there is no such queue; tried again in 2 s")
        count = len(collector.of("steady"))
        collector.wait_count("steady", count + 3)

        reload(beat, path, head, schedule)
        with beat_common.Collector("coney.low") as low:
            low.wait_count("stray", 7)
            waited_ms = beat_common.now_ms()
            low.wait_beyond("stray", 1000, waited_ms)
        collector.wait_beyond("steady", 500, waited_ms)
        judge(collector, "steady", 500, from_ms, waited_ms)
        ticks = judge(low, "stray", 1000, gone_ms, waited_ms)
        assert ticks > 3, ticks
    print("a queue was gone: its ticks waited, the others did not")


def a_ticks_message_says_what_it_is(scratch):
    """The task's own policy where the entry says nothing; and one time line for all peers."""
    policy = {"t.full": {"queue": "high", "expires": "1h"}, "t.brief": {"queue": "high"}}
    schedule = {
        "full": {"task": "t.full", "every": "1s", "args": [1, "zwei"], "kwargs": {"x": None}},
        "brief": {"task": "t.brief", "every": "1s", "queue": "low", "expires": "30s",
                  "priority": 7}}
    path = scratch.config(f"tasks: {json.dumps(policy)}\nschedule: {json.dumps(schedule)}")
    with beat_common.Collector("coney.high", "coney.low") as collector, \
            beat_common.Beat(path) as beat:
        pid = beat.process.pid
        collector.wait_count("full", 2)
        collector.wait_count("brief", 2)
    for entry, queue, expires_s in (("full", "coney.high", 3600), ("brief", "coney.low", 30)):
        tick = collector.of(entry)[-1]
        headers, properties = tick.headers, tick.properties
        expires = datetime.datetime.fromisoformat(headers["expires"])
        due_ms = round((expires.timestamp() - expires_s) * 1000)
        assert due_ms % 1000 == 0 and tick.id == beat_common.tick_id(entry, due_ms), headers
        assert 0 <= tick.at - due_ms < 5000, (tick.at, due_ms)
        assert tick.queue == queue and tick.task == schedule[entry]["task"], tick
        assert headers["origin"].startswith(f"gen{pid}@") and headers["eta"] is None, headers
        assert headers["root_id"] == properties["correlation_id"] == tick.id, tick
        assert properties["message_id"] == tick.id and properties["type"] == tick.task, tick
        assert properties["app_id"] == "coney-beat" and properties["delivery_mode"] == 2, tick
        assert "expiration" not in properties, "the broker would dead-letter it"
        assert properties.get("priority") == schedule[entry].get("priority"), tick
        assert tick.args == schedule[entry].get("args", []), tick
    print("messages: id, times, queue, priority and properties as they must be")


def a_connection_shows_what_it_is(scratch):
    with beat_common.Beat(beat_common.config(scratch, steady=STEADY)) as beat:
        def ours():
            return [c for c in coneytest.management("connections")
                    if c.get("client_properties", {}).get("role") == "beat"]
        connection, = coneytest.wait_for(ours, "the connection in the management API")
        properties = connection["client_properties"]
        assert properties["connection_name"].startswith("coney beat@"), properties
        assert properties["pid"] == beat.process.pid, properties
        tags = coneytest.wait_for(
            lambda: [c["consumer_tag"] for c in coneytest.management("consumers/%2F")
                     if c["queue"]["name"] == beat_common.TOKEN_QUEUE], "the consumer")
        assert tags[0].startswith("coney-beat@") and tags[0].endswith(f":{beat.process.pid}"), tags
    print(f"{properties['connection_name']} {tags[0]}")


def main():
    with coneytest.Scratch() as scratch, beat_common.Collector() as collector:
        reloads_lose_and_double_nothing(scratch, collector)
        a_tick_without_a_queue_waits_for_it_and_stops_nobody(scratch, collector)
        a_ticks_message_says_what_it_is(scratch)
        a_connection_shows_what_it_is(scratch)


if __name__ == "__main__":
    main()
