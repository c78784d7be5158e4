# SPDX-License-Identifier: MIT
"""Sidekiq's queue in redis, seen as contenders.Broker sees those of RabbitMQ."""
import json
import os
import secrets
import time

import redis

import source

KEY = "queue:bench"
AT_A_TIME = 1000


class Queue(source.Source):
    def __init__(self):
        self.redis = redis.Redis.from_url(os.environ["CONEY_REDIS_AUTH_URL"])

    def length(self, _queue):
        return self.redis.llen(KEY)

    def consumers(self, _queue):
        return self.redis.scard("processes")

    def fill(self, _queue, count, task, arguments="[]"):
        self.redis.delete(KEY)
        name = "".join(part.capitalize() for part in task.split("."))
        for start in range(0, count, AT_A_TIME):
            now = time.time()
            self.redis.lpush(KEY, *(json.dumps({
                "class": name, "args": json.loads(arguments), "retry": True, "queue": "bench",
                "jid": secrets.token_hex(12), "created_at": now, "enqueued_at": now})
                for _ in range(min(AT_A_TIME, count - start))))
