# SPDX-License-Identifier: MIT
"""What the Python integration tests share: the private broker that with-broker has started, its
management API, coney's programs with a config of the test's own, and waiting with a deadline.

    with coneytest.Scratch() as scratch:
        config = scratch.config("worker: {concurrency: 2}")
        with coneytest.Coney("worker", "--config", config) as worker:
            coneytest.wait_for(lambda: "ready" in worker.log(), "the worker to be ready")
"""

import base64
import collections
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

ENV = os.environ


def wait_for(condition, what, deadline_s=30, interval_s=0.02):
    """The first true value of condition(); AssertionError naming `what` after the deadline."""
    deadline = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {deadline_s} s in vain for {what}"
        time.sleep(interval_s)


def management(path, method="GET", body=None):
    """Ask the broker's management API; JSON back, None for an empty answer or a 404.

    A name in the path is quoted by the caller: quote("coney.v1.delay.00"). "/" is %2F.
    """
    request = urllib.request.Request(f"{ENV['CONEY_MGMT_URL']}/api/{path}", method=method)
    login = f"{ENV['CONEY_BROKER_USER']}:{ENV['CONEY_BROKER_PASSWORD']}".encode()
    request.add_header("Authorization", "Basic " + base64.b64encode(login).decode())
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise
    return json.loads(text) if text else None


def quote(name):
    return urllib.parse.quote(name, safe="")


def broker(verb, *arguments):
    """scripts/broker VERB on this test's node: "restart", "kill", "start", "ctl" ..."""
    command = [ENV["CONEY_SOURCE_DIR"] + "/scripts/broker", verb, ENV["CONEY_BROKER_NAME"]]
    return subprocess.run([*command, *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


class Redis:
    """A redis of this test's own, by scripts/redis: `url` and `tls_url` with the password in
    them, `client` of the redis module. with-broker takes it away at the latest."""

    def __enter__(self):
        self.call("start")
        self.env = dict(line.split("=", 1) for line in self.call("env").splitlines())
        self.url = self.env["CONEY_REDIS_AUTH_URL"]
        self.tls_url = self.env["CONEY_REDIS_TLS_AUTH_URL"]
        import redis  # pylint: disable=import-outside-toplevel
        self.client = redis.Redis.from_url(self.url, decode_responses=True)
        return self

    def __exit__(self, kind, value, trace):
        self.call("remove")

    def call(self, verb, *arguments):
        command = [ENV["CONEY_SOURCE_DIR"] + "/scripts/redis", verb, ENV["CONEY_BROKER_NAME"]]
        return subprocess.run([*command, *arguments], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def signal(self, number):
        """To the server, as it runs now."""
        env = dict(line.split("=", 1) for line in self.call("env").splitlines())
        os.kill(int(env["CONEY_REDIS_PID"]), number)

    def section(self, tls=False, **more):
        """A results section that leads here, with the password in a file."""
        results = {"url": self.env["CONEY_REDIS_TLS_URL" if tls else "CONEY_REDIS_URL"],
                   "password_file": self.env["CONEY_REDIS_PASSWORD_FILE"], **more}
        if tls:
            results["tls"] = {"ca": self.env["CONEY_REDIS_CA"]}
        return results


def celery_ssl():
    """For Celery's broker_use_ssl, with CONEY_BROKER_AUTH_URL as broker."""
    return {"ca_certs": ENV["CONEY_CA"], "cert_reqs": ssl.CERT_REQUIRED}


class Scratch:
    """A directory of the test's own, removed at the end unless the test fails."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="coney-test-"))
        self.count = 0
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            shutil.rmtree(self.path)
        else:
            print(f"files of the failed test: {self.path}")

    def config(self, text="", urls=None, **more):
        """Write a config that reaches the private broker (by TLS unless `urls` says
        otherwise; with `more` keys of `broker`), with `text` after it."""
        self.count += 1
        urls = urls or [ENV["CONEY_BROKER_URL"]]
        path = self.path / f"coney-{self.count}.yaml"
        broker = {"urls": urls, "password_file": ENV["CONEY_BROKER_PASSWORD_FILE"], **more}
        if any(url.startswith("amqps") for url in urls):
            broker["tls"] = {"ca": ENV["CONEY_CA"]}
        path.write_text(f"broker: {json.dumps(broker)}\n{text}\n")
        return path


class Coney:
    """One process of the coney program. Leaving the `with` stops it and wants status 0. A
    variable of `environment` that is None is taken out. Entered when the log has READY."""

    READY = None

    def __init__(self, *arguments, environment=None):
        self.arguments = [ENV["CONEY"], *map(str, arguments)]
        changed = dict(ENV, **(environment or {}))
        self.environment = {key: value for key, value in changed.items() if value is not None}

    def __enter__(self):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.arguments, env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=subprocess.STDOUT)
        try:
            if self.READY:
                self.wait_log(self.READY)
        except BaseException:  # no `with` would end it
            self.kill()
            raise
        return self

    def __exit__(self, kind, value, trace):
        status = self.stop() if kind is None else self.kill()
        if kind is not None or status != 0:
            print(f"--- {' '.join(self.arguments)}: status {status}\n{self.log()}---")
        self.output.close()
        assert kind is not None or status == 0, f"coney ended with status {status}"

    def log(self):
        """All that it has printed so far."""
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), size, 0).decode(errors="replace")

    def wait_log(self, text, count=1, deadline_s=30):
        """Wait until the log has `text` so often."""
        def is_there():
            assert self.process.poll() is None or self.log().count(text) >= count, self.log()
            return self.log().count(text) >= count
        try:
            wait_for(is_there, f"{text!r} in the log, {count} times", deadline_s)
        except AssertionError:
            print(self.log()[-8000:])
            raise

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, deadline_s=60):
        """Ask it to end, if it still runs; its exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self):
        self.process.kill()
        return self.process.wait()


def run_coney(*arguments, status=0, text_in=None, **environment):
    """Run a verb to its end; (stdout, stderr). The exit status must be `status`."""
    done = subprocess.run([ENV["CONEY"], *map(str, arguments)], text=True, input=text_in,
                          capture_output=True, timeout=120, env=dict(ENV, **environment))
    assert done.returncode == status, (done.args, done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


def worker_config(plugins=("ledger",), **sections):
    """The text of a config's sections (dicts) for a worker that loads some of tests/plugins."""
    worker = {"plugins": [f"{ENV['CONEY_TEST_PLUGIN_DIR']}/{name}.so" for name in plugins],
              **sections.pop("worker", {})}
    return "".join(f"{key}: {json.dumps(value)}\n"
                   for key, value in {"worker": worker, **sections}.items())


class CeleryProgram:
    """A Python worker, of the file that the test names; entered when it is ready."""

    def __init__(self, *arguments):
        self.command = [sys.executable, *arguments]

    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL)
        wait_for(self.is_ready, "the Python worker to be ready", 60)
        return self

    def is_ready(self):
        assert self.is_alive(), self.text()
        return " ready." in self.text()

    def is_alive(self):
        return self.process.poll() is None

    def text(self):
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace")

    def stop(self):
        """Its status; one that does not end is killed."""
        if self.is_alive():
            self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is not None:
            print(self.text())
        self.log.close()


class Worker(Coney):
    """`coney worker` on a config file; entered when it consumes."""

    READY = "consuming  node="

    def __init__(self, config, environment=None):
        super().__init__("worker", "--config", config, environment=environment)


def strangers(what="nodes"):
    """The nodes or queues of others on this broker, which a test must bear with: see
    celery_10_suite."""
    return json.loads(ENV.get("CONEY_STRANGERS", "{}")).get(what, [])


def queue_counts():
    """{queue: (ready, unacked)} as the broker itself knows it; the API's figures are late. The
    stream of revocations, which only ever grows, is not among them."""
    rows = broker("ctl", "--quiet", "list_queues", "name", "messages_ready",
                  "messages_unacknowledged")
    fields = [row.split("\t") for row in rows.splitlines()]
    return {f[0]: (int(f[1]), int(f[2])) for f in fields
            if len(f) == 3 and f[1].isdigit() and not f[0].endswith(".revoked")}


def await_queues(*names):
    """Wait until the broker has these, or those of the three usual classes: what was sent to one
    before would be lost."""
    names = names or ("coney.high", "coney.default", "coney.low")
    wait_for(lambda: set(names) <= set(queue_counts()), f"the queues {', '.join(names)}", 60)


def busy_queues(ignore=("coney.dead",)):
    """Those that hold anything."""
    ignore = {*ignore, *strangers("queues")}
    return {name: c for name, c in queue_counts().items() if c != (0, 0) and name not in ignore}


def letters(queue="coney.dead", count=100000):
    """Take the messages off a queue for good."""
    return management(f"queues/%2F/{quote(queue)}/get", "POST", {
        "count": count, "ackmode": "ack_requeue_false", "encoding": "auto"})


Line = collections.namedtuple("Line", "label retries event at_us")


def ledger(path):
    """What the tasks of tests/plugins/ledger.c have written down so far."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as lines:
        rows = [line.split() for line in lines]
    return [Line(row[0], int(row[1]), row[2], int(row[3])) for row in rows]


class Producer:
    """Sends tasks in bulk as a Celery client would, through kombu and without TLS; what it
    has sent is safe once confirm() returns, or at the end of the `with`."""

    def __enter__(self):
        import kombu
        self.connection = kombu.Connection(ENV["CONEY_BROKER_PLAIN_AUTH_URL"])
        channel = self.connection.default_channel
        self.producer = kombu.Producer(channel)
        self.sent = 0
        self.unconfirmed = set()
        channel.confirm_select()
        channel.events["basic_ack"].add(self.on_ack)
        channel.events["basic_return"].add(self.on_return)
        self.returned = []
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.confirm()
        self.connection.release()

    def on_ack(self, tag, multiple):
        done = {t for t in self.unconfirmed if t <= tag} if multiple else {tag}
        self.unconfirmed -= done

    def on_return(self, _why, _exchange, queue, _message):
        self.returned.append(queue)

    def confirm(self):
        """Wait until the broker has taken everything. There must be a queue for all of it."""
        while self.unconfirmed:
            self.connection.drain_events(timeout=60)
        assert not self.returned, f"sent to queues that are not there: {set(self.returned)}"

    def publish(self, queue, body, **properties):
        """Publish these very bytes."""
        if len(self.unconfirmed) >= 500:
            self.confirm()
        self.sent += 1
        self.unconfirmed.add(self.sent)
        self.producer.publish(body, exchange="", routing_key=queue,
                              content_type="application/json", content_encoding="utf-8",
                              delivery_mode=2, mandatory=True, **properties)

    def send(self, queue, task, args, kwargs=None, properties=None, **headers):
        """Publish one task and return its id; headers override Celery's."""
        identifier = headers.pop("id", None) or str(uuid.uuid4())
        self.publish(queue, json.dumps([args, kwargs or {}, {}]), correlation_id=identifier,
                     headers={"task": task, "id": identifier, "lang": "py", "retries": 0,
                              "timelimit": [None, None], **headers},
                     **(properties or {}))
        return identifier
