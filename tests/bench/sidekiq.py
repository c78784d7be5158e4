# SPDX-License-Identifier: MIT
"""Sidekiq's queue in redis, seen as contenders.Broker sees those of RabbitMQ."""
import json
import os
import secrets
import time

import redis

POLL_S = 0.02
KEY = "queue:bench"
AT_A_TIME = 1000


class Queue:
    def __init__(self):
        self.redis = redis.Redis.from_url(os.environ["CONEY_REDIS_AUTH_URL"])

    def length(self, _queue):
        return self.redis.llen(KEY)

    def wait_ready(self, process, _queue):
        """Seconds from its start until it has said that it is there."""
        while self.redis.scard("processes") == 0:
            process.check()
            time.sleep(0.002)
        return time.monotonic() - process.started

    def wait_gone(self, _queue):
        while self.redis.scard("processes") > 0:
            time.sleep(POLL_S)

    def fill(self, _queue, count, task, arguments="[]"):
        self.redis.delete(KEY)
        name = "".join(part.capitalize() for part in task.split("."))
        for start in range(0, count, AT_A_TIME):
            now = time.time()
            self.redis.lpush(KEY, *(json.dumps({
                "class": name, "args": json.loads(arguments), "retry": True, "queue": "bench",
                "jid": secrets.token_hex(12), "created_at": now, "enqueued_at": now})
                for _ in range(min(AT_A_TIME, count - start))))
