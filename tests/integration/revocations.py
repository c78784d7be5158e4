#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""What is revoked does not run: not after a delay, not as a retry, not in a worker that starts
later, not after a restart of the broker; and what runs can be terminated, children included.
"""
import json
import os
import signal
import time
import uuid

import celery
import kombu
from celery.exceptions import TaskRevokedError

import coneytest
from coneytest import ENV, Producer, Scratch, Worker, wait_for, worker_config

QUEUE = "coney.default"
app = celery.Celery("revocations", broker=ENV["CONEY_BROKER_PLAIN_AUTH_URL"], backend="rpc://")
app.conf.task_queues = [kombu.Queue(QUEUE, no_declare=True)]


def control(method, destination=None, **arguments):
    """{node: reply} of all workers."""
    with app.connection_for_write() as connection:  # none of before a restart
        replies = app.control.broadcast(method, arguments=arguments, reply=True, timeout=1,
                                        destination=destination, connection=connection)
    return {node: reply for one in replies or [] for node, reply in one.items()}


def revoke(identifier, method="revoke", **arguments):
    replies = control(method, task_id=identifier, **arguments)
    assert replies and all("ok" in r for r in replies.values()), replies
    assert all("not" not in r["ok"] for r in replies.values()), replies
    return replies


def outcome(result):
    """The text of the TaskRevokedError that it must end with."""
    try:
        value = result.get(timeout=30)
    except TaskRevokedError as error:
        return str(error)
    raise AssertionError(f"not revoked: {value!r}")


def send(task, args=(), **options):
    return app.send_task(task, args, queue=QUEUE, **options)


def lines(scratch, label):
    return [line for line in coneytest.ledger(scratch.path / "ledger") if line.label == label]


def entries():
    """How many entries the stream holds."""
    rows = coneytest.broker("ctl", "--quiet", "list_queues", "name", "messages").splitlines()
    return {r.split("\t")[0]: r.split("\t")[1] for r in rows}["coney.revoked"]


def delayed_tasks_are_revoked(scratch):
    path = str(scratch.path / "ledger")
    results = [send("ledger.sleep", [path, f"d{i}", 0], countdown=3) for i in range(3)]
    revoke([r.id for r in results])
    assert [outcome(r) for r in results] == ["revoked"] * 3
    assert not any(lines(scratch, f"d{i}") for i in range(3))
    print("three delayed tasks, revoked by list: REVOKED, never started")


def a_retry_is_revoked(scratch):
    path = str(scratch.path / "ledger")
    result = send("ledger.again", [path, "tries", 3])
    wait_for(lambda: lines(scratch, "tries"), "the first attempt", 20)
    revoke(result.id)
    assert outcome(result) == "revoked"
    assert [line.retries for line in lines(scratch, "tries")] == [0]
    print("a task between two attempts: REVOKED, no second attempt")


def by_stamp():
    with Producer() as producer:
        replies = control("revoke_by_stamped_headers", headers={"tenant": ["acme", "b"]})
        assert all("ok" in r for r in replies.values()), replies
        reply_to = str(uuid.uuid4())
        channel = producer.connection.default_channel
        queue = kombu.Queue(reply_to, durable=False, auto_delete=True)
        queue(channel).declare()
        for value in ("acme", ["x", "b"], "other"):
            producer.send(QUEUE, "quick", [], properties={"reply_to": reply_to},
                          stamps={"tenant": value}, stamped_headers=["tenant"])
        states = []

        def all_there():
            message = channel.basic_get(reply_to, no_ack=True)
            if message:
                states.append(json.loads(message.body)["status"])
            return len(states) == 3
        wait_for(all_there, "three results", 20)
        assert sorted(states) == ["REVOKED", "REVOKED", "SUCCESS"], states
    print("by stamp, one value or a list: two REVOKED, the third ran")


def pids_of(marker):
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                if entry.isdigit() and marker.encode() in f.read():
                    found.append(int(entry))
        except OSError:
            pass
    return found


def what_runs_is_terminated(marker):
    for name, method, sent, at_most_s in (("SIGTERM", "revoke", {"terminate": True}, 3),
                                          ("KILL", "terminate", {"signal": "KILL"}, 3)):
        result = send("family", [name])
        wait_for(lambda: len(pids_of(marker)) >= 3, "three generations", 20)
        began = time.monotonic()
        replies = revoke(result.id, method, **sent)
        assert f"terminate: {result.id}" in {r["ok"] for r in replies.values()}, replies
        assert outcome(result) == "terminated"
        wait_for(lambda: not pids_of(marker), "the end of the family", 10)
        took = time.monotonic() - began
        print(f"terminated by {name}: command, child and grandchild gone in {took:.1f} s")
        assert took < at_most_s + 5, took
    replies = revoke("nobody", "terminate")
    assert all(r["ok"] == "terminate: tasks unknown" for r in replies.values()), replies
    wrong = control("terminate", task_id="nobody", signal="SIGNONSENSE")
    assert all("error" in r for r in wrong.values()), wrong


def a_lone_worker_may_die_after_its_answer(scratch, config):
    path = str(scratch.path / "ledger")
    with Worker(config) as worker:
        worker.wait_log("revocations read from the broker")
        revoke("later", destination=None)
        worker.kill()
        worker.process.returncode = 0
    with Producer() as producer:
        producer.send(QUEUE, "ledger.sleep", [path, "later", 0], id="later")
        producer.send(QUEUE, "ledger.sleep", [path, "fine", 0], id="fine")
    with Worker(config) as worker:
        wait_for(lambda: lines(scratch, "fine"), "the other task", 20)
        worker.wait_log("task revoked before it could start")
        assert not lines(scratch, "later")
    print("killed right after its answer; a worker that starts later revokes the task")


def several_workers_write_about_once(scratch, config):
    before = int(entries())
    with Worker(config), Worker(config), Worker(config):
        wait_for(lambda: len(control("ping")) == 3, "three workers", 20)
        markers = int(entries()) - before
        for i in range(20):
            assert len(revoke(f"many-{i}")) == 3
        wait_for(lambda: int(entries()) >= before + markers + 20, "20 entries", 10)
        count = int(entries()) - before - markers
    print(f"20 broadcasts to three workers: {count} entries in the stream")
    assert count <= 40, count


def the_brokers_restart_forgets_nothing(scratch, config):
    path = str(scratch.path / "ledger")
    with Worker(config) as worker:
        revoke("survivor")
        coneytest.broker("restart")
        with Producer() as producer:
            producer.send(QUEUE, "ledger.sleep", [path, "survivor", 0], id="survivor")
        worker.wait_log("task revoked before it could start")
        worker.wait_log("revocations read from the broker", 2)
    with Worker(config) as worker, Producer() as producer:
        producer.send(QUEUE, "ledger.sleep", [path, "survivor", 0], id="survivor")
        worker.wait_log("task revoked before it could start")
    assert not lines(scratch, "survivor")
    print("after a restart of the broker, and of the worker: still revoked")


def only_a_week_counts(scratch, config):
    """An entry stays for as long as its segment is not full; its own age decides."""
    path = str(scratch.path / "ledger")
    with Producer() as producer:
        for name, days in (("old", 7.01), ("young", 6.99)):
            body = {"version": 1, "at": time.time() - days * 86400, "ids": [name]}
            producer.publish("coney.revoked", json.dumps(body))
        producer.publish("coney.revoked", '{"version": 2, "at": 5.0, "ids": ["fine2"]}')
        producer.publish("coney.revoked", "nonsense")
        producer.confirm()
        for name in ("old", "young", "fine2"):
            producer.send(QUEUE, "ledger.sleep", [path, name, 0], id=name)
        with Worker(config) as worker:
            worker.wait_log("task revoked before it could start")
            wait_for(lambda: lines(scratch, "old") and lines(scratch, "fine2"), "the others")
            assert not lines(scratch, "young")
    print("an entry of 7.01 days revokes nothing, one of 6.99 days does; nonsense is skipped")


def a_broker_without_streams_is_said(scratch):
    with Worker(scratch.config(worker_config(), queue_type="classic", prefix="plain")) as worker:
        assert "revocations are only remembered" in worker.log()
        reply = revoke("x")
        assert len(reply) == 1
    print("without streams: a warning, and memory only")


def main():
    marker = f"coney-family-{uuid.uuid4()}"
    script = f"setsid sh -c 'sleep 300 # {marker} grandchild' &\n" \
             f"sh -c 'sleep 300 & wait # {marker} child' &\n" \
             f"exec sh -c 'sleep 300; : {marker} self'\n"
    tasks = {"quick": {"command": ["/bin/true"]},
             "ledger.again": {"retry": {"max": 5, "base": "3s", "jitter": "none"}},
             "family": {"command": ["/bin/sh", "-c", script], "time_limit": "60s"}}
    with Scratch() as scratch:
        config = scratch.config(worker_config(worker={"concurrency": 4}, tasks=tasks))
        with Worker(config) as worker:
            worker.wait_log("revocations read from the broker")
            delayed_tasks_are_revoked(scratch)
            a_retry_is_revoked(scratch)
            by_stamp()
            what_runs_is_terminated(marker)
        a_lone_worker_may_die_after_its_answer(scratch, config)
        several_workers_write_about_once(scratch, config)
        the_brokers_restart_forgets_nothing(scratch, config)
        only_a_week_counts(scratch, config)
        a_broker_without_streams_is_said(scratch)


if __name__ == "__main__":
    main()
