# SPDX-License-Identifier: MIT
"""Who is measured, on what broker, with which settings."""
import json
import os
import pathlib
import subprocess
import sys
import time

import amqp

import processes
import sidekiq
import source

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ["CONEY_BENCH_BUILD"])
PROGRAMS = BUILD / "tests/bench"
CONEY = BUILD / "bin/coney"
ENV = os.environ
QUORUM = "bench"
CLASSIC = "bench.classic"


class Broker(source.Source):
    """Queues of RabbitMQ."""

    def __init__(self):
        self.connection = amqp.Connection(
            host=f"{ENV['CONEY_BROKER_HOST']}:{ENV['CONEY_BROKER_PORT']}",
            userid=ENV["CONEY_BROKER_USER"], password=ENV["CONEY_BROKER_PASSWORD"])
        self.connection.connect()
        self.channel = self.connection.channel()

    def length(self, queue):
        return self.channel.queue_declare(queue, passive=True).message_count

    def consumers(self, queue):
        return self.channel.queue_declare(queue, passive=True).consumer_count

    def fill(self, queue, count, task, arguments="[]"):
        self.channel.queue_purge(queue)
        send(queue, count, task, arguments=arguments)
        while self.length(queue) < count:
            time.sleep(source.POLL_S)


def send(queue, count, task, rate=0, arguments="[]"):
    done = subprocess.run([PROGRAMS / "bench_send", config_file("sender"), queue, task,
                           str(count), str(rate), arguments], check=True, capture_output=True,
                          text=True)
    return json.loads(done.stdout)


def config_file(name, tls=False, results=False, events=False, **worker):
    """Coney's configuration, its path; both queues are declared by it."""
    config = {
        "broker": {"urls": [ENV["CONEY_BROKER_URL" if tls else "CONEY_BROKER_PLAIN_URL"]],
                   "password_file": ENV["CONEY_BROKER_PASSWORD_FILE"],
                   **({"tls": {"ca": ENV["CONEY_CA"]}} if tls else {})},
        "worker": {"plugins": [str(PROGRAMS / "bench_tasks.so")], "concurrency": 2,
                   "log_level": "warning", **worker},
        "results": {"url": ENV["CONEY_REDIS_URL"],
                    "password_file": ENV["CONEY_REDIS_PASSWORD_FILE"]} if results
        else {"url": "none"},
        "events": {"enabled": events},
        "queues": {QUORUM: {"declare": "active", "type": "quorum"},
                   CLASSIC: {"declare": "active", "type": "classic"}},
        "tasks": {"*": {"retry": {"max": 1, "base": "1s", "jitter": "none"}},
                  "bench.command": {"command": ["/bin/true"]}},
    }
    path = BUILD / f"{name}.yaml"
    path.write_text(json.dumps(config))
    return path


class Contender:
    """`share`: of the tasks that a drain gives the fastest. `source`: what has its queue."""

    def __init__(self, command, settings, queue=QUORUM, share=1.0, task="bench.noop",
                 source=Broker):
        self.command = command
        self.settings = settings
        self.queue = queue
        self.share = share
        self.task = task
        self.source = source

    def start(self):
        return processes.Process(self.command())


def coney(name, **options):
    return lambda: [CONEY, "worker", "--config", config_file(name, **options)]


def bare(prefetch, batch):
    return lambda: [PROGRAMS / "bare_consumer", ENV["CONEY_BROKER_HOST"], ENV["CONEY_BROKER_PORT"],
                    ENV["CONEY_BROKER_USER"], ENV["CONEY_BROKER_PASSWORD"], QUORUM, prefetch, batch]


def ruby(threads):
    return lambda: ["env", f"REDIS_URL={ENV['CONEY_REDIS_AUTH_URL']}", "sidekiq", "-q", "bench",
                    "-r", HERE / "sidekiq_app.rb", "-c", threads]


CONTENDERS = {
    "bare, acks in batches": Contender(
        bare(1024, 64), "rabbitmq-c, blocking, one ack for 64 messages, prefetch 1024"),
    "bare, ack each": Contender(
        bare(1024, 1), "rabbitmq-c, blocking, an ack for each message, prefetch 1024"),
    "Coney": Contender(coney("plain"), "2 runners, late acks, native task, no TLS", share=0.5),
    "Coney, TLS": Contender(coney("tls", tls=True), "the same with TLS", share=0.5),
    "Coney, prefetch 256": Contender(coney("deep", prefetch=256), "the same without TLS",
                                     share=0.5),
    "Coney, results": Contender(coney("results", results=True),
                                "as it comes, results kept in redis on the same machine",
                                share=0.2),
    "Coney, events": Contender(coney("events", events=True), "as it comes, events on", share=0.2),
    "Coney, command": Contender(coney("command"), "2 runners, /bin/true for each task",
                                share=0.05, task="bench.command"),
    "Celery": Contender(
        lambda: [sys.executable, HERE / "celery_app.py", "work"],
        "prefork, 2 processes, late acks, prefetch 64, no results, classic queue",
        queue=CLASSIC, share=0.2),
    "Sidekiq": Contender(ruby(10), "one process of 10 threads, redis, a task is lost with it",
                         share=0.4, source=sidekiq.Queue),
}
# Those of workloads that want many at a time, or few: what fits into a prefetch is gone from the
# queue at once.
SPECIAL = {
    "bare, prefetch 16": Contender(
        bare(16, 1), "rabbitmq-c, blocking, an ack for each message, prefetch 16"),
    "Coney, 200 runners": Contender(coney("wide", concurrency=200), "as it comes, 200 runners"),
    "Sidekiq, 200 threads": Contender(ruby(200), "one process of 200 threads",
                                      source=sidekiq.Queue),
}
# Those that do a number of things and say how long it took.
PROGRAMMES = {
    "libconey": (lambda count: [PROGRAMS / "bench_send", config_file("sender"), QUORUM,
                                "bench.noop", count, 0],
                 "coney_send_async, all confirmed at the end, quorum queue"),
    "Celery, publishing": (lambda count: [sys.executable, HERE / "celery_app.py", "send", count],
                           "send_task with confirm_publish, classic queue"),
    "bare posix_spawn": (lambda count: [PROGRAMS / "bare_spawn", count, 2, "/bin/true"],
                         "posix_spawn and wait, two at a time"),
}
