# SPDX-License-Identifier: MIT
"""What the integration tests in Python share: workers, the broker's management API, ledgers.

Everything a test starts it stops, by its own pid; every wait has a deadline and names what it
waited for.
"""
import base64
import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ENV = os.environ
CONEY = ENV["CONEY"]
PLUGINS = ENV["CONEY_TEST_PLUGIN_DIR"]


def wait_until(condition, timeout_s, what):
    """Poll until condition() is true and return its value; fail by name when it never is."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


class Scratch:
    """A directory of the test's own, gone at the end (kept with CONEY_KEEP=1)."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="coney-test-"))
        return self.path

    def __exit__(self, *exc):
        if not ENV.get("CONEY_KEEP"):
            shutil.rmtree(self.path, ignore_errors=True)


def base_config(**broker):
    """A configuration (as a dict) for the test's broker, over TLS, with the test plugins."""
    return {
        "broker": {
            "urls": [ENV["CONEY_BROKER_URL"]],
            "password_file": ENV["CONEY_BROKER_PASSWORD_FILE"],
            "tls": {"ca": ENV["CONEY_CA"]},
            **broker,
        },
        "worker": {"concurrency": 2, "plugins": [f"{PLUGINS}/ledger.so"]},
    }


class Daemon:
    """`coney VERB` with a configuration of its own; its log is kept in a file."""

    verb = None

    def __init__(self, directory, config, name, prefix_command=()):
        self.directory = pathlib.Path(directory)
        self.name = name
        self.config_path = self.directory / f"{name}.yaml"
        self.log_path = self.directory / f"{name}.log"
        self.prefix_command = list(prefix_command)
        self.process = None
        self.write_config(config)

    def write_config(self, config):
        # JSON is YAML; the password file stands elsewhere, so this may be read by all.
        self.config_path.write_text(json.dumps(config, indent=1))

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix_command, CONEY, self.verb, "--config", str(self.config_path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, text, timeout_s=30, count=1):
        def seen():
            if self.process.poll() is not None and self.log().count(text) < count:
                raise AssertionError(
                    f"{self.name} ended ({self.process.returncode}) before it logged "
                    f"{text!r}:\n{self.log()[-4000:]}")
            return self.log().count(text) >= count
        wait_until(seen, timeout_s, f"{self.name} logs {text!r} {count} times:\n"
                   + self.log()[-2000:])

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout_s=60):
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} still runs after {timeout_s} s:\n{self.log()[-3000:]}") from None

    def stop(self, timeout_s=60):
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            sys.stderr.write(f"--- log of {self.name}, last lines\n{self.log()[-6000:]}\n")


class Worker(Daemon):
    verb = "worker"

    def start(self):
        super().start()
        self.wait_log("consuming  node=")
        return self


class Beat(Daemon):
    verb = "beat"


def send(config_path, task, *args, check=True, timeout_s=60, options=()):
    """`coney send`; the arguments as JSON."""
    command = [CONEY, "send", "--config", str(config_path), *options, task,
               *[json.dumps(a) for a in args]]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout_s, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} -> {done.returncode}: {done.stderr}")
    return done


class Management:
    """The broker's HTTP API."""

    def __init__(self, url=None):
        self.url = url or ENV["CONEY_MGMT_URL"]
        token = f"{ENV['CONEY_BROKER_USER']}:{ENV['CONEY_BROKER_PASSWORD']}"
        self.auth = "Basic " + base64.b64encode(token.encode()).decode()

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.url}/api/{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self.auth, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def get(self, path):
        return self.call("GET", path)

    def queue(self, name):
        return self.get(f"queues/%2F/{urllib.parse.quote(name, safe='')}")

    def letters(self, queue, count=1000):
        """Take messages off a queue for good."""
        return self.call("POST", f"queues/%2F/{urllib.parse.quote(queue, safe='')}/get",
                         {"count": count, "ackmode": "ack_requeue_false",
                          "encoding": "auto"})


def ctl(*args):
    """rabbitmqctl on the test's node."""
    return subprocess.run(
        [f"{ENV['CONEY_SOURCE_DIR']}/scripts/broker", "ctl", ENV["CONEY_BROKER_NAME"], *args],
        check=True, capture_output=True, text=True, timeout=60).stdout


def broker(verb):
    """scripts/broker VERB for the test's node: restart, kill, stop, start."""
    return subprocess.run(
        [f"{ENV['CONEY_SOURCE_DIR']}/scripts/broker", verb, ENV["CONEY_BROKER_NAME"]],
        check=True, capture_output=True, text=True, timeout=120).stdout


def queue_counts():
    """{queue: (ready, unacked)} as the broker itself knows it, not the cached statistics."""
    rows = ctl("--quiet", "list_queues", "name", "messages_ready", "messages_unacknowledged")
    counts = {}
    for row in rows.splitlines():
        fields = row.split("\t")
        if len(fields) == 3 and fields[1].isdigit():
            counts[fields[0]] = (int(fields[1]), int(fields[2]))
    return counts


def busy_queues(ignore=("coney.dead",)):
    return {name: c for name, c in queue_counts().items() if c != (0, 0) and name not in ignore}


Line = collections.namedtuple("Line", "label retries event at_us")


def ledger(path):
    """The lines that tests/plugins/ledger.c wrote."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as lines:
        rows = [line.split() for line in lines]
    return [Line(r[0], int(r[1]), r[2], int(r[3])) for r in rows]


def publisher(queue_names=()):
    """A kombu producer to the default exchange, for bulk: (connection, publish(queue, task,
    args, **headers))."""
    import kombu
    import uuid

    connection = kombu.Connection(ENV["CONEY_BROKER_PLAIN_AUTH_URL"])
    producer = connection.Producer()

    def publish(queue, task, args, kwargs=None, properties=None, **headers):
        identifier = headers.pop("id", None) or str(uuid.uuid4())
        producer.publish(
            json.dumps([args, kwargs or {}, {}]), exchange="", routing_key=queue,
            content_type="application/json", content_encoding="utf-8", delivery_mode=2,
            headers={"task": task, "id": identifier, "lang": "py", "retries": 0,
                     "timelimit": [None, None], **headers},
            correlation_id=identifier, **(properties or {}))
        return identifier

    return connection, publish
