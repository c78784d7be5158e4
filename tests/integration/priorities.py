#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""The order of starts on a real broker: strict, weighted, reserve and ageing.

While one long task occupies the only runner, the queues are filled; from then on the ledger's
order is the dispatcher's.
"""
import collections
import time

import coneytest

CLASSES = ("high", "default", "low")


def starts(path):
    return [line.label for line in coneytest.ledger(path) if line.event == "started"]


def fill(producer, path, counts):
    for name, count in counts.items():
        for _ in range(count):
            producer.send(f"coney.{name}", "ledger.sleep", [path, name, 0])


def run(scratch, name, counts, worker=None, classes=None, prefetch=2000, wait_s=1):
    """Fill the queues behind one task, which ends `wait_s` after the rest has reached the worker;
    the labels in the order of their starts."""
    path, gate = str(scratch.path / name), scratch.path / f"{name}.gate"
    sections = {"worker": {"concurrency": 1, "prefetch": prefetch, "log_level": "warning",
                           **(worker or {})}}
    if classes:
        sections["classes"] = classes
    config = scratch.config(coneytest.worker_config(**sections))
    with coneytest.Coney("worker", "--config", config), coneytest.Producer() as producer:
        coneytest.await_queues()
        producer.send("coney.high", "ledger.wait", [path, "first", str(gate)])
        coneytest.wait_for(lambda: starts(path) == ["first"], "the long task to start")
        fill(producer, path, counts)
        total = sum(counts.values())
        coneytest.wait_for(
            lambda: sum(u for _, u in coneytest.queue_counts().values()) == total + 1,
            "all of it prefetched", 60)
        time.sleep(wait_s)
        gate.touch()
        coneytest.wait_for(lambda: len(starts(path)) == total + 1, "every start", 60)
    return starts(path)[1:]


def strict_starts_no_low_before_high_is_empty(scratch):
    order = run(scratch, "strict", {"low": 100, "high": 100},
                {"priority": "strict"}, {"high": {}, "default": {}, "low": {}})
    assert order == ["high"] * 100 + ["low"] * 100, order
    print("strict: 100 high, then 100 low")


def weighted_shares_hold_in_every_thousand(scratch):
    order = run(scratch, "weighted", {"high": 1300, "default": 700, "low": 300},
                {"priority": "weighted"}, {
                    "high": {"weight": 6}, "default": {"weight": 3}, "low": {"weight": 1}})
    # While all classes are full: until the first of them has started its last.
    last = min(len(order) - 1 - order[::-1].index(name) for name in CLASSES)
    worst = 0
    for begin in range(0, last - 1000):
        shares = collections.Counter(order[begin:begin + 1000])
        for name, share in zip(CLASSES, (600, 300, 100)):
            worst = max(worst, abs(shares[name] - share) / share)
    assert last > 1500 and worst <= 0.05, (last, worst)
    print(f"weighted: {last} starts, worst deviation in any 1000: {worst:.1%}")


def reserve_lets_high_start_at_once(scratch):
    path, gate = str(scratch.path / "reserve"), scratch.path / "reserve.gate"
    config = scratch.config(coneytest.worker_config(
        worker={"concurrency": 8, "log_level": "warning"},
        classes={"high": {"reserve": 1}, "default": {}, "low": {}}))
    with coneytest.Coney("worker", "--config", config), coneytest.Producer() as producer:
        coneytest.await_queues()
        for _ in range(100):
            producer.send("coney.low", "ledger.wait", [path, "low", str(gate)])
        coneytest.wait_for(lambda: len(starts(path)) == 7, "seven long low tasks")
        fill(producer, path, {"high": 1})
        coneytest.wait_for(lambda: "high" in starts(path), "high to start beside them")
        assert starts(path) == ["low"] * 7 + ["high"], starts(path)
        gate.touch()
        coneytest.wait_for(lambda: len(starts(path)) == 101, "the rest")
    print("reserve: the eighth runner was kept for high")


def ageing_lets_low_through(scratch):
    order = run(scratch, "ageing", {"high": 400, "low": 3}, {"priority": "strict"},
                {"high": {}, "default": {}, "low": {"ageing": "1500ms"}}, wait_s=4)
    # Two periods of waiting have brought low level with high, and it is older than them.
    assert order[:3] == ["low"] * 3, order[:10]
    print("ageing: low came first after two periods")


def main():
    with coneytest.Scratch() as scratch:
        strict_starts_no_low_before_high_is_empty(scratch)
        weighted_shares_hold_in_every_thousand(scratch)
        reserve_lets_high_start_at_once(scratch)
        ageing_lets_low_through(scratch)


if __name__ == "__main__":
    main()
