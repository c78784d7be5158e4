#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=300
"""Tasks by the thousand with their results in redis: none is missing, each is right, and in
between a redis that is killed and comes back loses none. The number may be given as argument.
"""
import json
import sys
import time

import coneytest

CHUNK = 1000


def metas(redis, ids):
    for begin in range(0, len(ids), CHUNK):
        keys = [f"celery-task-meta-{identifier}" for identifier in ids[begin:begin + CHUNK]]
        yield from redis.client.mget(keys)


def judge(redis, ids):
    """What is missing or wrong."""
    wrong = []
    for n, text in enumerate(metas(redis, ids)):
        meta = json.loads(text) if text else {}
        if (meta.get("status"), meta.get("result"), meta.get("task_id")) != (
                "SUCCESS", n + 1, ids[n]):
            wrong.append((n, ids[n], text))
    return wrong


def main(tasks=None):
    tasks = tasks or (int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    deadline_s = 60 + tasks // 200
    with coneytest.Scratch() as scratch, coneytest.Redis() as redis:
        config = scratch.config(coneytest.worker_config(
            plugins=("demo",), worker={"concurrency": 4, "log_level": "warning", "prefetch": 200},
            results=redis.section(retry_for="60s")))
        with coneytest.Coney("worker", "--config", config):
            coneytest.await_queues()
            begun = time.monotonic()
            ids = []
            with coneytest.Producer() as producer:
                for n in range(tasks):
                    ids.append(producer.send("coney.default", "demo.add", [n, 1]))
            sent = time.monotonic()
            redis.call("kill")
            redis.call("start")
            coneytest.wait_for(lambda: redis.client.dbsize() >= tasks,
                               f"{tasks} results", deadline_s, 0.2)
            done = time.monotonic()
        wrong = judge(redis, ids)
        assert not wrong, f"{len(wrong)} of {tasks} results are missing or wrong: {wrong[:3]}"
        assert redis.client.dbsize() == tasks, redis.client.dbsize()
    print(f"{tasks} tasks sent in {sent - begun:.1f} s; {tasks} results in redis after "
          f"{done - begun:.1f} s, {tasks / (done - begun):.0f} a second, none missing, over a "
          "kill -9 of redis")


if __name__ == "__main__":
    main()
