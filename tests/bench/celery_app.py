# SPDX-License-Identifier: MIT
"""Celery with what Coney has on: late acks, two processes, the same queue and messages."""
import os
import time

import celery
import kombu

QUEUE = "bench.classic"  # Celery 5.2 cannot consume from quorum queues
app = celery.Celery("bench", broker=os.environ["CONEY_BROKER_PLAIN_AUTH_URL"])
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=32,
                worker_hijack_root_logger=False, task_default_queue=QUEUE,
                task_queues=[kombu.Queue(QUEUE, no_declare=True)])
FILES = {}


@app.task(name="bench.noop")
def noop():
    pass


@app.task(name="bench.stamp")
def stamp(sent_ns, path):
    now = time.monotonic_ns()
    if path not in FILES:
        FILES[path] = open(path, "ab", buffering=0)
    FILES[path].write(b"%d\n" % (now - sent_ns))


if __name__ == "__main__":
    app.worker_main(["worker", "--pool=prefork", "--concurrency=2", "--loglevel=WARNING",
                     "--without-gossip", "--without-mingle", "--without-heartbeat",
                     "--hostname=celery@bench"])
