#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Coney and Debian's Celery 5.2 as peers: a task sent by `coney send` runs in a Python worker,
on a queue that we declared, and its result comes back.

coney-test: timeout=120

Run with `worker` as argument this file is the Python worker.
"""

import json
import subprocess
import sys
import tempfile

import celery
import kombu

from coneytest import ENV, Scratch, celery_ssl, run_coney, wait_for

TOOL = f"{ENV['CONEY_BUILD_DIR']}/tests/topology_declare"
# Celery 5.2 asks for a prefetch over all consumers of a channel; quorum queues refuse that.
QUEUE = "python"
CONFIG = "queues: {python: {class: default, declare: active, type: classic}}\n" \
         "tasks: {'py.*': {queue: python}}"

app = celery.Celery("py", broker=ENV["CONEY_BROKER_AUTH_URL"], backend="rpc://")
app.conf.update(
    broker_use_ssl=celery_ssl(),
    task_queues=[kombu.Queue(QUEUE, no_declare=True)],
    task_default_queue=QUEUE,
    worker_hijack_root_logger=False,
)


@app.task(name="py.add")
def add(x, y, scale=1):
    return (x + y) * scale


@app.task(name="py.fail")
def fail(text):
    raise ValueError(text)


@app.task(name="py.request", bind=True)
def request(self):
    return {"eta": self.request.eta, "expires": self.request.expires, "id": self.request.id,
            "timelimit": self.request.timelimit, "tenant": self.request.tenant}


@app.task(name="py.flaky", bind=True, max_retries=3)
def flaky(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries


class PythonWorker:
    def __enter__(self):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([sys.executable, __file__, "worker"], stdout=self.log,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        wait_for(self.is_ready, "the Python worker to be ready")
        return self

    def is_ready(self):
        assert self.process.poll() is None, self.text()
        return " ready." in self.text()

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(self.text())


def check_results(config):
    send = ("send", "--config", config, "--wait", "--timeout", "20s")
    out, _ = run_coney(*send, "py.add", "2", "3")
    assert json.loads(out) == 5
    out, _ = run_coney(*send, "py.add", "2", "-3", "--kwargs", '{"scale": 10}')
    assert json.loads(out) == -10
    out, _ = run_coney(*send, "py.add", '"a"', '"\u00e9"')
    assert json.loads(out) == "a\u00e9"
    _, err = run_coney(*send, "py.fail", '"boom"', status=1)
    assert "ValueError: boom" in err, err
    _, err = run_coney(*send, "py.unknown", status=1)
    assert "NotRegistered" in err, err
    out, _ = run_coney(*send, "py.flaky")
    assert json.loads(out) == 2
    _, err = run_coney(*send, "py.add", "1", "1", "--expires", "1ms", "--countdown", "100ms",
                       status=1)
    assert "was revoked" in err and "expired" in err, err


def check_request(config):
    out, _ = run_coney("send", "--config", config, "--wait", "py.request", "--id", "mine-1",
                       "--header", "tenant=42", "--expires", "1h", "--time-limit", "90s",
                       "--soft-time-limit", "60s", "--countdown", "1500ms")
    result = json.loads(out)
    assert result["id"] == "mine-1" and result["tenant"] == "42"
    assert result["timelimit"] == [90, 60]
    assert result["eta"] and result["expires"]


def main():
    with Scratch() as scratch:
        config = scratch.config(CONFIG)
        subprocess.run([TOOL, "declare", config], check=True, stdout=subprocess.DEVNULL)
        with PythonWorker():
            check_results(config)
            check_request(config)


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        app.worker_main(["worker", "--pool=solo", "--concurrency=1", "--loglevel=INFO",
                         "--without-gossip", "--without-mingle", "--hostname=python@test"])
    else:
        main()
