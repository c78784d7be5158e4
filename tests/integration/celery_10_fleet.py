#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=420
"""§10.10: a mixed fleet on one shared queue: adds, retries, etas, failures, chains and tasks that
only Python has; first in peace, then while each worker in turn is restarted, at last with one of
ours killed.

Nothing is lost. Nothing runs twice, but what the killed worker had begun and not settled yet;
nothing is delivered twice in peace. No Python process dies or logs a traceback that no task has raised.
"""
import collections
import time

import coneytest
import mixedfleet


def in_peace(fleet):
    mixedfleet.Wave("in peace", fleet).check_peace()
    workers = collections.Counter(line.event for line in coneytest.ledger(fleet.path))
    shares = {name: fleet.workers[name].done_count() for name in ("coney-a", "coney-b")}
    print(f"who ran the retries, etas and marks: {dict(workers)}; successes of ours: {shares}")
    assert {"started", *(f"{name}@test" for name in fleet.versions)} <= set(workers), workers
    assert all(shares.values()), shares


def through_restarts(fleet):
    """Each worker is asked to stop, in the middle of a wave, and comes back."""
    for name in fleet.names:
        wave = mixedfleet.Wave(f"{name} restarted", fleet)
        fleet.restart(name)
        redelivered = wave.collect()
        twice = wave.runs()
        wave.report(redelivered, twice)
        assert not twice, twice


def through_a_kill(fleet, victim):
    prefetch = fleet.prefetch(victim)
    wave = mixedfleet.Wave(f"{victim} killed", fleet)
    before = time.time_ns() // 1000
    fleet.kill(victim)
    after = time.time_ns() // 1000
    redelivered = wave.collect()
    twice = wave.runs()
    wave.report(redelivered, twice)
    # An attempt that ran twice has asked twice for the next one.
    own = 0
    for (label, retries), lines in twice.items():
        first, again = sorted(lines, key=lambda line: line.at_us)
        assert again.at_us > before, lines
        if (label, retries - 1) not in twice:
            assert first.event == "started" and first.at_us < after, lines
            own += 1
    assert own <= prefetch, f"it can have had {prefetch} in hand"


def main():
    with coneytest.Scratch() as scratch, mixedfleet.Fleet(scratch) as fleet:
        fleet.check_nodes()
        in_peace(fleet)
        through_restarts(fleet)
        pids = fleet.pids()
        through_a_kill(fleet, "coney-b")
        fleet.check_alive(pids, but=["coney-b"])
        coneytest.wait_for(lambda: not coneytest.busy_queues(), "all queues to be empty")
        print(f"Python's pids unchanged but for the restarts asked for, no traceback in "
              f"{', '.join(fleet.versions)}; all queues empty")


if __name__ == "__main__":
    main()
