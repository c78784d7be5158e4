#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""The token: whoever holds it leads, however it was lost, doubled or spoilt.

Each case has a beat name, and so a token queue, of its own.
"""
import collections
import json
import time

import beat_common
import coneytest
import kombu

HEARTBEAT_S = 3


class Case:
    """One beat name with an entry every half second."""

    def __init__(self, scratch, collector, name):
        self.name, self.queue, self.entry = name, f"coney.beat.{name}", f"{name}-half"
        self.collector = collector
        self.path = scratch.config("beat: " + json.dumps({"name": name}) + "\nschedule: " +
                                   json.dumps({self.entry: {"task": "t", "every": "500ms"}}))

    def beat(self):
        return beat_common.Beat(self.path)

    def lead_for_a_while(self):
        """One beat leads and stops: its token is left."""
        with self.beat() as beat:
            beat.wait_log("tick published", 2)

    def purge(self):
        coneytest.management(f"queues/%2F/{coneytest.quote(self.queue)}/contents", "DELETE")

    def delete(self):
        coneytest.management(f"queues/%2F/{coneytest.quote(self.queue)}", "DELETE")

    def tokens(self):
        """The bodies of the tokens that nobody holds. (basic.get is refused on such a queue.)"""
        def all_are_back():
            ready, unacked = coneytest.queue_counts()[self.queue]
            return unacked == 0 and ready
        count = coneytest.wait_for(all_are_back, f"tokens in {self.queue}")
        bodies = []
        with kombu.Connection(coneytest.ENV["CONEY_BROKER_PLAIN_AUTH_URL"]) as connection:
            queue = kombu.Queue(self.queue, no_declare=True)
            with connection.Consumer([queue], on_message=lambda m: bodies.append(m.body)):
                while len(bodies) < count:
                    connection.drain_events(timeout=10)
        return [body if isinstance(body, str) else bytes(body).decode() for body in bodies]

    def put(self, body):
        routed = coneytest.management("exchanges/%2F/amq.default/publish", "POST", {
            "routing_key": self.queue, "payload": body, "payload_encoding": "string",
            "properties": {"delivery_mode": 2}})
        assert routed["routed"], self.queue

    def judge(self, from_ms, to_ms, repeats=0):
        """Every tick in the span came, at most `repeats` of them twice."""
        wanted = [beat_common.tick_id(self.entry, due, self.name)
                  for due in beat_common.ticks_between(500, from_ms, to_ms)]
        coneytest.wait_for(lambda: {t.id for t in self.collector.of(self.entry)} >= set(wanted),
                           f"every tick of {self.entry}", 10)
        counts = collections.Counter(t.id for t in self.collector.of(self.entry))
        twice = [identifier for identifier, count in counts.items() if count > 1]
        assert len(twice) <= repeats and max(counts.values()) <= 2, (self.name, twice)


def a_standby_never_publishes_and_follows_at_once(case):
    with case.beat() as first:
        first.wait_log(": leading  beat=")
        from_ms = beat_common.now_ms()
        with case.beat() as second:
            case.collector.wait_count(case.entry, 6)
            assert not second.is_leading() and "tick published" not in second.log()
            first.signal(15)
            stopped = time.monotonic()
            second.wait_log(": leading  beat=")
            took_s = time.monotonic() - stopped
            assert took_s < 2, took_s
            second.wait_log("tick published", 2)
            case.judge(from_ms, beat_common.now_ms() - 600)


def a_token_that_nobody_holds_may_be_purged(case):
    case.lead_for_a_while()
    assert json.loads(case.tokens()[0])["epoch"] == 1
    case.purge()
    gone_ms = beat_common.now_ms()
    time.sleep(1.2)
    with case.beat() as beat:
        beat.wait_log("no token found; making one")
        beat.wait_log(": leading  beat=" + case.name + " epoch=1 ")
        beat.wait_log("tick published", 2)
        began_ms = beat_common.now_ms()
    # Nobody knows any more what was missed.
    missed = [beat_common.tick_id(case.entry, due, case.name)
              for due in beat_common.ticks_between(500, gone_ms, gone_ms + 1100)]
    assert not {t.id for t in case.collector.of(case.entry)} & set(missed)
    case.judge(began_ms - 400, began_ms)


def purging_under_a_leader_loses_nothing(case):
    with case.beat() as beat:
        beat.wait_log("tick published")
        from_ms = beat_common.now_ms()
        until = time.monotonic() + 4
        while time.monotonic() < until:
            case.purge()
        beat.wait_log("tick published", 15)
        case.judge(from_ms, beat_common.now_ms() - HEARTBEAT_S * 1000 - 1000)
        assert "no longer leading" not in beat.log(), beat.log()


def a_deleted_queue_is_made_again_with_what_the_leader_knows(case):
    with case.beat() as beat:
        beat.wait_log("tick published", 2)
        from_ms = beat_common.now_ms() - 400
        case.delete()
        beat.wait_log(": leading  beat=", 2)
        beat.wait_log("tick published", 8)
        case.judge(from_ms, beat_common.now_ms() - 600, repeats=1)
    assert json.loads(case.tokens()[0])["epoch"] == 2


def of_two_tokens_the_greater_counts_and_the_other_goes(case):
    case.lead_for_a_while()
    token = json.loads(case.tokens()[0])
    greater = dict(token, epoch=100, seq=3)
    lesser = dict(token, epoch=40, seq=7)
    for body in (greater, lesser):
        case.put(json.dumps(body))
    with case.beat() as beat:
        beat.wait_log(": leading  beat=" + case.name + " epoch=101 ")
        beat.wait_log("tick published", 2)
    tokens = [json.loads(body) for body in case.tokens()]
    assert [t["epoch"] for t in tokens] == [101] and tokens[0]["seq"] >= 2, tokens


def an_unreadable_token_is_kept_for_people_and_replaced(case):
    case.lead_for_a_while()
    case.purge()
    spoilt = '{"version": 1, "epoch": "a lot"}'
    case.put(spoilt)
    with case.beat() as beat:
        beat.wait_log("the token is unreadable: ")
        beat.wait_log(": leading  beat=" + case.name + " epoch=1 ")
        beat.wait_log("tick published", 2)
    coneytest.wait_for(lambda: coneytest.queue_counts()["coney.dead"][0] == 1, "a dead letter")
    letter, = coneytest.letters()
    headers = letter["properties"]["headers"]
    assert letter["payload"] == spoilt, letter
    assert headers["coney-reason"] == "malformed" and headers["coney-queue"] == case.queue, headers
    assert len(case.tokens()) == 1


def a_token_of_a_later_release_stops_this_one(case):
    case.lead_for_a_while()
    later = json.dumps(dict(json.loads(case.tokens()[0]), version=2, epoch=7, news=True))
    case.purge()
    case.put(later)
    before = len(case.collector.of(case.entry))
    with case.beat() as beat:
        beat.wait_log("the token was written by a later release (version 2, here 1)")
        time.sleep(1.5)
        assert not beat.is_leading() and "making one" not in beat.log(), beat.log()
        assert case.tokens() == [later]
    assert len(case.collector.of(case.entry)) == before


def main():
    cases = (a_standby_never_publishes_and_follows_at_once,
             a_token_that_nobody_holds_may_be_purged,
             purging_under_a_leader_loses_nothing,
             a_deleted_queue_is_made_again_with_what_the_leader_knows,
             of_two_tokens_the_greater_counts_and_the_other_goes,
             an_unreadable_token_is_kept_for_people_and_replaced,
             a_token_of_a_later_release_stops_this_one)
    with coneytest.Scratch() as scratch, beat_common.Collector() as collector:
        beat_common.set_heartbeat(scratch, f"{HEARTBEAT_S}s")
        for number, case in enumerate(cases):
            case(Case(scratch, collector, f"case{number}"))
            print(case.__name__.replace("_", " "))


if __name__ == "__main__":
    main()
