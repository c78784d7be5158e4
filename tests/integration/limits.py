#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""Limits of a task: rate, eta, expiry, held jobs, tasks per runner, soft limit, and a message
that has brought its worker down too often."""
import datetime
import json
import time

import coneytest


def iso(seconds_from_now):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
        seconds=seconds_from_now)
    return moment.isoformat(timespec="microseconds")


def started(path):
    return sorted(line.at_us for line in coneytest.ledger(path) if line.event == "started")


def a_rate_limit_spaces_the_starts(scratch, producer, path):
    count, per_second = 31, 5
    for n in range(count):
        producer.send("coney.default", "ledger.sleep", [path, str(n), 0])
    coneytest.wait_for(lambda: len(started(path)) == count, "every start", 30)
    times = started(path)
    gaps = [(b - a) / 1e6 for a, b in zip(times, times[1:])]
    # Slots are reserved at even distance, so no window holds more than its share; a start may
    # be late (the next one then seems close), never early.
    for i, at_us in enumerate(times):
        assert at_us - times[0] >= i * 1_000_000 / per_second - 1000 * (i > 0) * 50, (i, gaps)
    took = (times[-1] - times[0]) / 1e6
    assert took >= (count - 1) / per_second - 0.05, took
    print(f"rate limit {per_second}/s: {count} starts in {took:.2f} s")


def an_eta_is_kept_and_an_expired_task_does_not_run(scratch, producer, path):
    due = {}
    for n, delay in enumerate((0.05, 0.4, 0.999, 1.0, 1.7, 3.3)):
        eta = iso(delay)
        due[f"eta{n}"] = datetime.datetime.fromisoformat(eta).timestamp() * 1e6
        producer.send("coney.high", "ledger.again", [path, f"eta{n}", 0], eta=eta)
    producer.send("coney.high", "ledger.again", [path, "expired", 0], eta=iso(2),
                  expires=iso(1))
    producer.send("coney.high", "ledger.again", [path, "past", 0], expires=iso(-1))
    coneytest.wait_for(lambda: len(started(path)) == len(due), "every eta", 20)
    for line in coneytest.ledger(path):
        assert line.at_us >= due[line.label] - 1, (line, due[line.label])
    coneytest.wait_for(lambda: not coneytest.busy_queues(ignore=()), "nothing left", 20)
    assert {line.label for line in coneytest.ledger(path)} == set(due)
    print("eta: never early; what had expired did not run")


def more_than_may_be_held_goes_through_the_levels(scratch, producer, path):
    due = time.time() + 0.9
    eta = iso(0.9)
    for n in range(60):
        producer.send("coney.low", "ledger.again", [path, str(n), 0], eta=eta)
    coneytest.wait_for(lambda: len(started(path)) == 60, "all of them", 20)
    assert min(started(path)) >= due * 1e6 - 20_000
    late = sum(at_us > (due + 0.5) * 1e6 for at_us in started(path))
    assert late >= 30, f"only {late} went through the levels, although 10 may be held"
    print(f"held_max 10: {late} of 60 went through the levels, none early")


def a_runner_is_replaced_after_max_tasks(scratch, producer, worker):
    for _ in range(12):
        producer.send("coney.default", "demo.echo", [])
    worker.wait_log("task=demo.echo", 12)
    pids = [line.rsplit("pid=", 1)[1] for line in worker.log().splitlines()
            if "task succeeded" in line and "task=demo.echo" in line]
    assert max(pids.count(pid) for pid in pids) <= 3, pids
    print(f"max_tasks 3: 12 tasks in {len(set(pids))} runners")


def a_soft_limit_is_told(scratch, producer, worker):
    producer.send("coney.default", "demo.sleep", [20000], timelimit=[10, 0.5])
    worker.wait_log("task failed for good: SoftTimeLimitExceeded", deadline_s=15)
    coneytest.wait_for(lambda: coneytest.letters(count=1), "its letter", 10, 0.2)
    print("soft limit: told, long before the hard one")


def a_message_that_ends_its_worker_too_often_is_dead(scratch, producer, config, path):
    producer.send("coney.high", "ledger.sleep", [path, "poison", 60000])
    for number in range(1, 4):
        with coneytest.Coney("worker", "--config", config) as worker:
            coneytest.wait_for(lambda n=number: len(started(path)) == n, f"start {number}")
            worker.kill()
            worker.process.returncode = 0
    with coneytest.Worker(config):
        letter = coneytest.wait_for(lambda: coneytest.letters(count=1), "the letter", 20, 0.2)[0]
    headers = letter["properties"]["headers"]
    assert headers["coney-reason"] == "crashed", headers
    assert "too often" in headers["coney-error"], headers
    assert json.loads(letter["payload"])[0] == [path, "poison", 60000], letter["payload"]
    print("poison_limit 2: three starts, then a dead letter")


def main():
    with coneytest.Scratch() as scratch, coneytest.Producer() as producer:
        paths = [str(scratch.path / f"ledger{n}") for n in range(4)]
        config = scratch.config(coneytest.worker_config(
            plugins=("ledger", "demo"),
            worker={"concurrency": 4, "held_max": 10, "poison_limit": 2},
            tasks={"ledger.sleep": {"rate_limit": "5/s"}, "demo.echo": {"max_tasks": 3},
                   "demo.sleep": {"retry": {"max": 0}}}))
        with coneytest.Worker(config) as worker:
            a_rate_limit_spaces_the_starts(scratch, producer, paths[0])
            an_eta_is_kept_and_an_expired_task_does_not_run(scratch, producer, paths[1])
            more_than_may_be_held_goes_through_the_levels(scratch, producer, paths[2])
            a_runner_is_replaced_after_max_tasks(scratch, producer, worker)
            a_soft_limit_is_told(scratch, producer, worker)
        a_message_that_ends_its_worker_too_often_is_dead(scratch, producer, config, paths[3])


if __name__ == "__main__":
    main()
