#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The broker objects on a real broker: their arguments as the management API shows them, what
happens when one is there already, and that delays are never early and end at the right queue.

coney-test: timeout=120
"""

import json
import subprocess
import time

import amqp

from coneytest import ENV, Scratch, broker, management, queue_counts, wait_for

TOOL = f"{ENV['CONEY_BUILD_DIR']}/tests/topology_declare"
LEVELS = 28


def broker_section(prefix="coney", **keys):
    return {"urls": [ENV["CONEY_BROKER_URL"]], "password_file": ENV["CONEY_BROKER_PASSWORD_FILE"],
            "tls": {"ca": ENV["CONEY_CA"]}, "prefix": prefix, **keys}


def declare(directory, config, **environment):
    """Run the declarer; (exit status, output or error)."""
    path = directory / "coney.yaml"
    path.write_text(json.dumps(config))
    done = subprocess.run([TOOL, "declare", str(path)], capture_output=True, text=True,
                          timeout=60, check=False, env=dict(ENV, **environment))
    return done.returncode, done.stdout + done.stderr


def route(seconds, queue, prefix="coney"):
    done = subprocess.run([TOOL, "route", prefix, str(seconds), queue], check=True,
                          capture_output=True, text=True, timeout=10)
    return done.stdout.split("\n")[:2]


def connect():
    connection = amqp.Connection(
        f"{ENV['CONEY_BROKER_HOST']}:{ENV['CONEY_BROKER_PORT']}",
        userid=ENV["CONEY_BROKER_USER"], password=ENV["CONEY_BROKER_PASSWORD"])
    connection.connect()
    return connection


def check_arguments():
    queues = {q["name"]: q["arguments"] for q in management("queues/%2F")}
    exchanges = {x["name"]: x for x in management("exchanges/%2F")}
    for level in range(LEVELS):
        name = f"coney.v1.delay.{level:02d}"
        below = f"coney.v1.delay.{level - 1:02d}" if level else "coney.v1.delayed"
        assert queues[name] == {
            "x-queue-type": "quorum", "x-delivery-limit": 10**9, "x-dead-letter-exchange": below,
            "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
            "x-message-ttl": 2**level * 1000}, (name, queues[name])
        assert exchanges[name]["type"] == "topic" and exchanges[name]["durable"]
        assert exchanges[name]["arguments"] == {"alternate-exchange": "coney.unrouted"}
    for name in ("coney.high", "coney.default", "coney.low"):
        assert queues[name] == {
            "x-queue-type": "quorum", "x-delivery-limit": 1000,
            "x-dead-letter-exchange": "coney.dlx", "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish"}, queues[name]
    for name in ("coney.dead", "coney.unroutable"):
        assert queues[name] == {"x-queue-type": "quorum", "x-delivery-limit": 10**9}
    assert queues["coney.beat.main"] == {
        "x-queue-type": "quorum", "x-delivery-limit": 10**9, "x-single-active-consumer": True}
    assert exchanges["coney.dlx"]["arguments"] == {"alternate-exchange": "coney.unrouted"}
    assert exchanges["coney.unrouted"]["type"] == "fanout"
    assert len([q for q in queues if q.startswith("coney.")]) == LEVELS + 6


def check_twice(directory, config):
    """Declared again, everything is as it was, and it takes no time."""
    begin = time.monotonic()
    status, output = declare(directory, config)
    assert status == 0, output
    print(f"declared again in {time.monotonic() - begin:.3f} s")


def check_other_arguments(directory):
    connection = connect()
    channel = connection.channel()
    channel.queue_declare("odd.v1.delay.03", durable=True, auto_delete=False,
                          arguments={"x-queue-type": "quorum", "x-delivery-limit": 10**9,
                                     "x-dead-letter-exchange": "odd.v1.delay.02",
                                     "x-dead-letter-strategy": "at-least-once",
                                     "x-overflow": "reject-publish", "x-message-ttl": 9000})
    channel.exchange_declare("even.dlx", "fanout", durable=True, auto_delete=False)
    connection.close()

    status, output = declare(directory, {"broker": broker_section("odd")})
    assert status == 1
    assert "queue 'odd.v1.delay.03' exists with x-message-ttl 9000 where 8000 is wanted" in \
        output, output
    assert "declare: passive" in output, output
    status, output = declare(directory, {"broker": broker_section("even")})
    assert status == 1
    assert "exchange 'even.dlx' exists with type fanout where topic is wanted" in output, output


def check_missing_queue(directory, config):
    foreign = {**config, "queues": {"notifications": {"class": "high", "declare": "passive"}}}
    status, output = declare(directory, foreign)
    assert status == 1
    assert "queue 'notifications' does not exist" in output, output
    connection = connect()
    channel = connection.channel()
    channel.queue_declare("notifications", durable=True, auto_delete=False)
    for _ in range(3):
        channel.basic_publish(amqp.Message("x", delivery_mode=2), routing_key="notifications")
    connection.close()
    wait_for(lambda: queue_counts().get("notifications") == (3, 0), "three messages")
    status, output = declare(directory, foreign)
    assert status == 0, output
    assert "notifications 3" in output, output


def check_no_permission(directory, config):
    broker("ctl", "add_user", "limited", "limited")
    broker("ctl", "set_permissions", "limited", "^coney\\.(dlx|unrouted|dead)", ".*", ".*")
    url = ENV["CONEY_BROKER_URL"].replace(ENV["CONEY_BROKER_USER"] + "@", "limited@")
    limited = {"broker": {**config["broker"], "urls": [url]}}
    status, output = declare(directory, limited, CONEY_BROKER_PASSWORD="limited")
    assert status == 1
    assert "user 'limited' lacks the configure" in output, output
    assert "'coney.unroutable'" in output, output


class Delays:
    """Messages on their way through the levels, and all that came out and where."""

    def __init__(self, connection, *queues):
        self.connection = connection
        self.channel = connection.channel()
        self.channel.confirm_select()
        self.arrivals = []
        self.queues = {self.channel.basic_consume(queue, no_ack=True, callback=self.arrived): queue
                       for queue in queues}

    def arrived(self, message):
        sent, address = message.body.split("|")
        queue, delay = address.split("/")
        came_to = self.queues[message.delivery_info["consumer_tag"]]
        self.arrivals.append((queue, came_to, time.time() - float(sent) - int(delay)))

    def publish(self, seconds, queue):
        exchange, key = route(seconds, queue)
        self.channel.basic_publish_confirm(
            amqp.Message(f"{time.time()}|{queue}/{seconds}", delivery_mode=2), exchange, key)

    def drain(self, until):
        deadline = time.monotonic() + 30
        while not until() and time.monotonic() < deadline:
            try:
                self.connection.drain_events(timeout=0.5)
            except TimeoutError:
                pass


def check_delays(connection):
    """1 to 8 s, all at once: never early, once, at the right queue, strays kept."""
    delays = Delays(connection, "coney.low", "x.coney.low", "coney.unroutable")
    seconds = (1, 2, 3, 5, 6, 7, 8)
    for delay in seconds:
        delays.publish(delay, "coney.low")
        delays.publish(delay, "nobody.listens")
    delays.publish(2, "x.coney.low")
    delays.drain(lambda: len(delays.arrivals) >= 2 * len(seconds) + 1)
    end = time.monotonic() + 0.5
    delays.drain(lambda: time.monotonic() > end)

    assert len(delays.arrivals) == 2 * len(seconds) + 1, delays.arrivals
    for queue, came_to, late in delays.arrivals:
        wanted = "coney.unroutable" if queue == "nobody.listens" else queue
        assert came_to == wanted, f"a message for {queue} came to {came_to}"
        assert 0 <= late < 1, f"{late:.3f} s late"
    worst = max(late for _, _, late in delays.arrivals)
    print(f"{len(delays.arrivals)} delays, at most {worst * 1000:.0f} ms late")


def check_longest(connection):
    """8.5 years are accepted, and wait in the highest level."""
    exchange, key = route(2**40, "coney.low")
    channel = connection.channel()
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message("far", delivery_mode=2), exchange, key)
    wait_for(lambda: queue_counts()["coney.v1.delay.27"] == (1, 0), "level 27 to hold it")
    channel.queue_purge("coney.v1.delay.27")


def main():
    config = {"broker": broker_section(), "queues": {
        "x.coney.low": {"class": "low", "declare": "active"}}}
    plain = {"broker": broker_section()}
    with Scratch() as scratch:
        directory = scratch.path
        begin = time.monotonic()
        status, output = declare(directory, plain)
        assert status == 0, output
        print(f"declared in {time.monotonic() - begin:.3f} s")
        check_arguments()
        check_twice(directory, plain)
        check_other_arguments(directory)
        check_missing_queue(directory, plain)
        check_no_permission(directory, plain)
        status, output = declare(directory, config)
        assert status == 0, output
        connection = connect()
        check_delays(connection)
        check_longest(connection)
        connection.close()


if __name__ == "__main__":
    main()
