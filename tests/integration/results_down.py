#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""A redis that is killed, hangs, refuses the password or takes no writes: what becomes of tasks
and their results, by results.when_down. Nothing is lost but the results that the policy gives
up, no task waits longer than it says, and each outage is told once.
"""
import json
import signal
import time

import coneytest
from coneytest import wait_for

RETRY_FOR_S = 2


def statuses(redis, ids):
    texts = redis.client.mget([f"celery-task-meta-{identifier}" for identifier in ids])
    return [json.loads(text)["status"] if text else None for text in texts]


def runs(path):
    """How often each label was done."""
    counts = {}
    for line in coneytest.ledger(path):
        if line.event == "done":
            counts[line.label] = counts.get(line.label, 0) + 1
    return counts


def unsettled():
    """Tasks that the broker still has, as it counts them: some moments late."""
    rows = coneytest.broker("ctl", "list_queues", "-q", "--formatter", "json", "name", "messages")
    return sum(row["messages"] for row in json.loads(rows) if row["name"] == "coney.default")


class Case:
    """A worker, a redis that is up, and a ledger of what has run."""

    def __init__(self, scratch, redis, name, **results):
        self.redis = redis
        self.path = str(scratch.path / name)
        self.sent = 0
        section = redis.section(**{"retry_for": f"{RETRY_FOR_S}s", **results})
        config = scratch.config(coneytest.worker_config(
            worker={"concurrency": 2, "prefetch": 4}, results=section))
        self.worker = coneytest.Worker(config)

    def __enter__(self):
        self.worker.__enter__()
        self.producer = coneytest.Producer().__enter__()
        return self

    def __exit__(self, *error):
        self.producer.__exit__(*error)
        self.worker.__exit__(*error)

    def send(self, count):
        """Their ids; each has a label of its own."""
        ids = []
        for _ in range(count):
            self.sent += 1
            ids.append(self.producer.send("coney.default", "ledger.sleep",
                                          [self.path, str(self.sent), 1]))
        self.producer.confirm()
        return ids

    def await_stored(self, ids, what):
        wait_for(lambda: set(statuses(self.redis, ids)) == {"SUCCESS"}, what)

    def await_done(self, deadline_s=30):
        wait_for(lambda: len(runs(self.path)) == self.sent, "all tasks to run", deadline_s)
        wait_for(lambda: unsettled() == 0, "all to be settled", deadline_s)

    def says(self, text, count=1):
        found = self.worker.log().count(text)
        assert found == count, f"{found} times, not {count}: {text}\n{self.worker.log()}"

    def judge(self):
        assert set(runs(self.path).values()) == {1}, runs(self.path)
        assert len(runs(self.path)) == self.sent


def a_short_outage_loses_no_result(scratch, redis):
    with Case(scratch, redis, "short", retry_for="60s") as case:
        before = case.send(20)
        case.await_stored(before, "results before")
        redis.call("kill")
        during = case.send(20)
        case.worker.wait_log("result store: ")
        redis.call("start")
        case.await_stored(during, "the results of the outage")
        case.await_done()
        case.says("results are kept for 60.0 s")
        case.says("result store is back")
        case.says("lost=0")
        case.judge()


def ack_ends_tasks_without_a_result(scratch, redis):
    with Case(scratch, redis, "ack") as case:
        case.await_stored(case.send(10), "results before")
        case.await_done()
        redis.call("kill")
        during = case.send(40)
        begun = time.monotonic()
        case.worker.wait_log("tasks end without a result", deadline_s=10)
        took = time.monotonic() - begun
        case.await_done()
        assert took < RETRY_FOR_S + 2, f"40 tasks took {took:.1f} s"
        late = time.monotonic()
        during += case.send(40)
        case.await_done()
        assert time.monotonic() - late < 5, "given up once, tasks wait no more"
        redis.call("start")
        case.worker.wait_log("result store is back", deadline_s=20)
        case.await_stored(case.send(10), "results after")
        case.says("results are kept for 2.0 s")
        case.says("tasks end without a result until it is back")
        case.says("result store is back")
        case.says("lost=80")
        assert set(statuses(redis, during)) == {None}
        case.judge()
        return took


def hold_keeps_tasks_until_it_is_back(scratch, redis):
    with Case(scratch, redis, "hold", when_down="hold") as case:
        case.await_stored(case.send(10), "results before")
        case.await_done()
        redis.call("kill")
        during = case.send(400)
        case.worker.wait_log("tasks are held until it is back")
        assert len(runs(case.path)) < case.sent, "prefetch bounds what is held"
        # Nothing goes on, and nothing goes round.
        held = len(runs(case.path))
        time.sleep(1)
        assert len(runs(case.path)) == held
        wait_for(lambda: unsettled() == 400, "the broker to have counted all 400", 10)
        redis.call("start")
        case.await_stored(during, "the results of what was held")
        case.await_done()
        case.says("tasks are held until it is back")
        case.says("result store is back")
        case.says("lost=0")
        case.judge()
        return held


def a_redis_that_hangs_blocks_nothing(scratch, redis):
    with Case(scratch, redis, "hang") as case:
        case.await_stored(case.send(10), "results before")
        redis.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            case.send(40)
            case.worker.wait_log("tasks end without a result", deadline_s=10)
            took = time.monotonic() - begun
            case.await_done()
        finally:
            redis.signal(signal.SIGCONT)
        assert took < RETRY_FOR_S + 5, f"40 tasks took {took:.1f} s"
        case.worker.wait_log("result store is back", deadline_s=20)
        case.await_stored(case.send(10), "results after")
        case.says("no answer in 1000 ms; results are kept")
        case.judge()


def a_redis_without_its_replicas_is_down(scratch, redis):
    with Case(scratch, redis, "replicas", retry_for="60s") as case:
        case.await_stored(case.send(10), "results before")
        redis.client.config_set("min-replicas-to-write", 1)
        during = case.send(20)
        case.worker.wait_log("NOREPLICAS")
        time.sleep(1.5)  # some attempts, all in vain
        redis.client.config_set("min-replicas-to-write", 0)
        case.await_stored(during, "the results of the outage")
        case.await_done()
        case.says("result store: ")
        case.says("result store is back")
        case.judge()


def a_wrong_password_is_told_and_kept_secret(scratch, redis):
    wrong = scratch.path / "wrong-password"
    wrong.write_text("not-the-password\n")
    wrong.chmod(0o600)
    with Case(scratch, redis, "password", password_file=str(wrong)) as case:
        case.worker.wait_log("the login is refused: WRONGPASS")
        case.send(10)
        case.await_done()
        case.says("WRONGPASS")
        assert "not-the-password" not in case.worker.log()
        case.judge()


def main():
    with coneytest.Scratch() as scratch, coneytest.Redis() as redis:
        a_short_outage_loses_no_result(scratch, redis)
        took = ack_ends_tasks_without_a_result(scratch, redis)
        held = hold_keeps_tasks_until_it_is_back(scratch, redis)
        a_redis_that_hangs_blocks_nothing(scratch, redis)
        a_redis_without_its_replicas_is_down(scratch, redis)
        a_wrong_password_is_told_and_kept_secret(scratch, redis)
    print(f"redis down: ack let 40 tasks end after {took:.1f} s (retry_for {RETRY_FOR_S} s), hold "
          f"kept {held - 10} that had run and 400 in all; each task ran once, each outage was "
          "told once")


if __name__ == "__main__":
    main()
