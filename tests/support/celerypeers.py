# SPDX-License-Identifier: MIT
"""Real Celery beside Coney: workers and clients of Debian 12's version, 5.2, and of Debian 13's,
5.5, with the application of celeryproj.py. This machine's is one of them. On Debian 12 the other is
in a tree of its own (tests/support/celery55; only as root); on Debian 13 there is no 5.2.

    settings = celerypeers.settings(["python"])
    with celerypeers.PythonWorker("5.2", settings), celerypeers.Client("5.5", settings) as client:
        task = client("send('py.add', (2, 3))")
        assert client(f"outcome({task!r})")["value"] == 5
"""

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import celery
import kombu

from coneytest import ENV, broker, letters, wait_for

SUPPORT = pathlib.Path(__file__).parent
PROJECT = str(SUPPORT / "celeryproj.py")
EXPECTED = re.compile(r"\] (Task \S+ (raised |retry: )|Received unregistered task |"
                      r"Chord \S+ raised: ChordError)")
DIED = ("Traceback", "Unrecoverable error", "CRITICAL")


def own_version():
    """This machine's."""
    found = celery.__version__
    if found.startswith("5.2."):
        return "5.2"
    assert tuple(map(int, found.split(".")[:2])) >= (5, 5), \
        f"Celery {found} is neither Debian 12's nor as new as Debian 13's: use one of these"
    return "5.5"


def versions():
    """Those that can run here."""
    if own_version() == "5.5":
        print(f"5.2: left out; this machine's Celery is {celery.__version__}")
        return ["5.5"]
    if os.geteuid() == 0:
        return ["5.2", "5.5"]
    print("5.5: left out; its tree needs root")
    return ["5.2"]


def python(version):
    """The command that is the Python which has it."""
    if version == own_version():
        return ["/usr/bin/python3"]
    assert version in versions(), f"there is no Celery {version} here"
    return [str(SUPPORT / "celery55"), "python"]


def settings(queues, backend="rpc://", conf=None, broker=None, **more):
    """`queues`: names, or celeryproj's specs; the first is the default. Coney's own queues are
    not declared."""
    specs = [{"name": queue, "no_declare": queue.startswith("coney.")}
             if isinstance(queue, str) else queue for queue in queues]
    return {"broker": broker or ENV["CONEY_BROKER_PLAIN_AUTH_URL"], "backend": backend,
            "queues": specs, "default_queue": specs[0]["name"], "conf": conf or {}, **more}


class Peer:
    """A process of celeryproj.py; `share` is a directory that it can see."""

    def __init__(self, version, proj, *arguments, share=None, **pipes):
        command = ["setpriv", "--pdeathsig", "KILL", *python(version)]
        if version != own_version():
            subprocess.run([SUPPORT / "celery55", "make"], check=True, stdin=subprocess.DEVNULL)
        environment = dict(ENV, CELERYPROJ=json.dumps(proj), PYTHONDONTWRITEBYTECODE="1")
        if share:
            environment["CELERY55_BIND"] = str(share)
        self.version = version
        self.log_file = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([*command, PROJECT, *arguments], env=environment,
                                        stderr=self.log_file, text=True, **pipes)

    def log(self):
        size = os.fstat(self.log_file.fileno()).st_size
        return os.pread(self.log_file.fileno(), size, 0).decode(errors="replace")

    def stop(self, deadline_s=60):
        """Its exit status; if it hangs, its threads' stacks are in its log (SIGUSR1, Celery's
        cry for help), and it is killed."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(3)
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is not None:
            print(f"--- Celery {self.version}:\n{self.log()[-8000:]}---")
        self.log_file.close()


class Client(Peer):
    """Evaluates expressions in celeryproj's client: client("send('demo.add', (2, 3))")."""

    def __init__(self, version, proj, share=None):
        super().__init__(version, proj, "client", share=share, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
        self.celery = json.loads(self.process.stdout.readline())["value"]

    def __call__(self, code):
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client died at {code}\n{self.log()}"
        answer = json.loads(line)
        assert "error" not in answer, f"{code}\n{answer['error']}"
        return answer["value"]

    def stop(self, deadline_s=60):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        return super().stop(deadline_s)


class PythonWorker(Peer):
    """Entered when it is ready; left, it must have ended well and without a traceback, but for
    what its tasks have raised."""

    def __init__(self, version, proj, *arguments, name="python", share=None, pool="solo"):
        self.name = name
        super().__init__(version, proj, "worker", f"--pool={pool}", "--concurrency=2",
                         "--loglevel=INFO", f"--hostname={name}@test", *arguments, share=share,
                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def __enter__(self):
        def is_ready():
            assert self.process.poll() is None, self.log()
            return f"{self.name}@test ready." in self.log()
        wait_for(is_ready, f"{self.name} to be ready", 90)
        return self

    def troubles(self):
        """What the log has of tracebacks and the like that no task has asked for."""
        entries = re.split(r"^(?=\[\d{4}-)", self.log(), flags=re.MULTILINE)
        return [entry for entry in entries
                if any(word in entry for word in DIED) and not EXPECTED.search(entry)]

    def __exit__(self, kind, value, trace):
        assert kind is not None or self.process.poll() is None, f"it died:\n{self.log()}"
        status = self.stop()
        troubles = self.troubles()
        if troubles or status != 0:
            print(self.log())
        super().__exit__(kind, value, trace)
        assert kind is not None or (status == 0 and not troubles), (self.name, status, troubles)


class Replies:
    """A reply queue for messages made by hand."""

    def __enter__(self):
        self.connection = kombu.Connection(ENV["CONEY_BROKER_PLAIN_AUTH_URL"])
        self.queue = f"replies-{os.getpid()}"
        self.bound = kombu.Queue(self.queue, channel=self.connection, durable=False,
                                 auto_delete=True)
        self.bound.declare()
        self.metas = []
        return self

    def __exit__(self, kind, value, trace):
        self.bound.delete()
        self.connection.release()

    def of(self, task_id):
        """The next result of the task, waited for."""
        def find():
            while message := self.bound.get(no_ack=True, accept=["json"]):
                self.metas.append(message.decode())
            return [meta for meta in self.metas if meta["task_id"] == task_id]
        found = wait_for(find, f"the result of {task_id}")[0]
        self.metas.remove(found)
        return found


DEAD = []


def letter_of(task_id, deadline_s=30):
    """The headers of the task's dead letter, once it is there; it is taken off the queue."""
    def find():
        DEAD.extend(letter["properties"]["headers"] | {"body": letter["payload"]}
                    for letter in letters())
        return [letter for letter in DEAD if letter.get("id") == task_id]
    found = wait_for(find, f"the dead letter of {task_id}", deadline_s, 0.1)
    assert len(found) == 1, found
    return found[0]


class Firehose:
    """What is published on the broker while the `with` lasts, as it left the publisher."""

    Message = collections.namedtuple("Message", "exchange key properties headers body")

    def __enter__(self):
        broker("ctl", "--quiet", "trace_on")
        self.connection = kombu.Connection(ENV["CONEY_BROKER_PLAIN_AUTH_URL"])
        self.queue = kombu.Queue(f"firehose-{os.getpid()}", channel=self.connection,
                                 exchange=kombu.Exchange("amq.rabbitmq.trace", type="topic"),
                                 routing_key="publish.#", durable=False, auto_delete=True)
        self.queue.declare()
        self.messages = []
        return self

    def __exit__(self, kind, value, trace):
        self.queue.delete()
        self.connection.release()
        broker("ctl", "--quiet", "trace_off")

    def seen(self):
        """All so far."""
        while message := self.queue.get(no_ack=True):
            headers = message.headers
            properties = dict(headers["properties"])
            self.messages.append(self.Message(
                headers["exchange_name"], headers["routing_keys"][0], properties,
                properties.pop("headers", {}), message.body))
        return self.messages

    def of_task(self, task_id):
        return [m for m in self.seen() if m.headers.get("id") == task_id]
