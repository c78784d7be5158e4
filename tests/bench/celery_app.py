# SPDX-License-Identifier: MIT
"""Celery with what Coney has on: late acks, two processes, the same queue and messages."""
import json
import os
import sys
import time

import celery
import kombu

QUEUE = "bench.classic"  # Celery 5.2 cannot consume from quorum queues
app = celery.Celery("bench", broker=os.environ["CONEY_BROKER_PLAIN_AUTH_URL"])
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=32,
                worker_hijack_root_logger=False,
                broker_transport_options={"confirm_publish": True}, task_default_queue=QUEUE,
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


@app.task(name="bench.spin")
def spin(us):
    end = time.thread_time_ns() + us * 1000
    while time.thread_time_ns() < end:
        pass


def send(count):
    start = time.monotonic()
    with app.producer_or_acquire() as producer:
        for _ in range(count):
            app.send_task("bench.noop", producer=producer)
    print(json.dumps({"sent": count, "seconds": time.monotonic() - start}))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(int(sys.argv[2]))
    else:
        app.worker_main(["worker", "--pool=prefork", "--concurrency=2", "--loglevel=WARNING",
                         "--without-gossip", "--without-mingle", "--without-heartbeat",
                         "--hostname=celery@bench"])
