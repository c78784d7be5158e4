#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""Events as Celery's own receiver and State take them: tasks from received to their end, the
worker from online over its heartbeats to offline, switched on and off from afar; and what comes
of them when the broker raises an alarm.
"""
import collections
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import celery
import celery.events.state
import kombu

from coneytest import (ENV, Producer, Scratch, Worker, broker, strangers, wait_for,
                       worker_config)

QUEUE = "coney.default"
FIELDS = {
    "task-received": {"uuid", "name", "args", "kwargs", "root_id", "parent_id", "retries", "eta",
                      "expires"},
    "task-started": {"uuid"},
    "task-succeeded": {"uuid", "result", "runtime"},
    "task-failed": {"uuid", "exception", "traceback"},
    "task-retried": {"uuid", "exception", "traceback"},
    "task-revoked": {"uuid", "terminated", "signum", "expired"},
    "task-rejected": {"uuid", "requeue"},
    "worker-online": {"freq", "active", "processed", "loadavg", "sw_ident", "sw_ver", "sw_sys"},
}
FIELDS["worker-heartbeat"] = FIELDS["worker-offline"] = FIELDS["worker-online"]

app = celery.Celery("events", broker=ENV["CONEY_BROKER_PLAIN_AUTH_URL"], backend="rpc://")
app.conf.task_queues = [kombu.Queue(QUEUE, no_declare=True)]


class Watcher(threading.Thread):
    """Celery's receiver with its State behind it."""

    def __init__(self):
        super().__init__(daemon=True)
        self.state = celery.events.state.State()
        self.events = []
        self.is_ready = threading.Event()
        self.ends = threading.Event()

    def run(self):
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": self.take})
            with receiver.consumer_context() as (own, _, _):
                self.is_ready.set()
                while not self.ends.is_set():
                    with contextlib.suppress(socket.timeout):
                        own.drain_events(timeout=0.2)

    def take(self, event):
        if event["hostname"] in strangers():
            return
        self.events.append(event)
        self.state.event(event)

    def __enter__(self):
        self.start()
        assert self.is_ready.wait(20)
        return self

    def __exit__(self, kind, value, trace):
        self.ends.set()
        self.join(10)

    def of(self, identifier):
        return [e["type"] for e in self.events if e.get("uuid") == identifier]

    def types(self):
        return collections.Counter(e["type"] for e in self.events)


def send(task, args=(), **options):
    return app.send_task(task, args, queue=QUEUE, **options)


def wait_state(watcher, result, state):
    def is_it():
        task = watcher.state.tasks.get(result.id)
        return task is not None and task.state == state
    wait_for(is_it, f"{result.id} in {state}; events {watcher.of(result.id)}", 30)
    return watcher.state.tasks[result.id]


def every_end_is_told(watcher, node):
    ends = {
        "SUCCESS": send("quick", [1, "x"], kwargs={"k": None}),
        "FAILURE": send("fails"),
        "RETRY": send("later"),
        "REVOKED": send("quick", expires=-5, countdown=0.3),
    }
    seen = {state: wait_state(watcher, result, state) for state, result in ends.items()}
    refused = send("refuses")
    wait_state(watcher, refused, "FAILURE")
    good = seen["SUCCESS"]
    assert good.name == "quick" and good.args == "(1, 'x')" and good.kwargs == "{'k': None}"
    assert good.worker.hostname == node and 0 <= good.runtime < 5 and good.root_id == good.uuid
    assert good.sent is None and good.received <= good.started <= good.succeeded
    assert "fails" in seen["FAILURE"].name and "status 1" in seen["FAILURE"].exception
    assert watcher.of(ends["SUCCESS"].id) == ["task-received", "task-started", "task-succeeded"]
    assert watcher.of(ends["FAILURE"].id) == ["task-received", "task-started", "task-failed"]
    assert watcher.of(ends["RETRY"].id) == ["task-received", "task-started", "task-retried"]
    assert watcher.of(ends["REVOKED"].id) == ["task-received", "task-revoked"]
    assert watcher.of(refused.id) == ["task-received", "task-started", "task-rejected",
                                      "task-failed"]
    expired = [e for e in watcher.events if e.get("uuid") == ends["REVOKED"].id][-1]
    assert (expired["expired"], expired["terminated"], expired["signum"]) == (True, False, None)
    ended = send("sleeps")
    wait_state(watcher, ended, "STARTED")
    app.control.revoke(ended.id, terminate=True, signal="SIGKILL")
    wait_state(watcher, ended, "REVOKED")
    told = [e for e in watcher.events if e.get("uuid") == ended.id][-1]
    assert (told["expired"], told["terminated"], told["signum"]) == (False, True, 9), told
    print("success, failure, retry, expiry, rejection, termination: State agrees")


def every_event_is_complete(watcher, node):
    clocks = [e["clock"] for e in watcher.events]
    for event in watcher.events:
        assert event["hostname"] == node and event["pid"] > 1, event
        assert isinstance(event["timestamp"], float) and "utcoffset" not in event, event
        assert abs(event["timestamp"] - event["local_received"]) < 5, event
        lacking = FIELDS[event["type"]] - set(event)
        assert not lacking, (lacking, event)
    assert all(isinstance(c, int) and 0 < c < 100000 for c in clocks)
    assert clocks == sorted(clocks)
    twice = [c for c, n in collections.Counter(clocks).items() if n > 1]
    assert not twice, [e for e in watcher.events if e["clock"] in twice[:2]]
    print(f"{len(clocks)} events, complete, their clocks in order: {dict(watcher.types())}")


def heartbeats_tell_of_the_load(watcher, node):
    tasks = [send("sleeps") for _ in range(2)]
    for task in tasks:
        wait_state(watcher, task, "STARTED")
    began = len(watcher.events)

    def beats():
        return [e for e in watcher.events[began:] if e["type"] == "worker-heartbeat"]
    wait_for(lambda: len(beats()) >= 4, "heartbeats", 20)
    last = beats()[-1]
    assert last["active"] == 2 and last["processed"] >= 2, last
    assert last["freq"] == 0.5 and isinstance(last["freq"], float), last
    assert len(last["loadavg"]) == 3 and last["sw_ident"] == "coney", last
    times = [e["timestamp"] for e in beats()]
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert watcher.state.workers[node].alive
    app.control.revoke([t.id for t in tasks], terminate=True, signal="SIGKILL")
    for task in tasks:
        wait_state(watcher, task, "REVOKED")
    print(f"heartbeats every {sum(gaps) / len(gaps):.2f} s of 0.5 s, with 2 active tasks")


def they_are_switched_from_afar(watcher):
    def say(command):
        replies = app.control.broadcast(command, reply=True, timeout=1)
        return [reply["ok"] for one in replies for node, reply in one.items()
                if node not in strangers()]
    assert say("enable_events") == ["task events already enabled"]
    assert say("disable_events") == ["task events disabled"]
    assert say("disable_events") == ["task events already disabled"]
    silent = send("quick")
    silent.get(timeout=20)
    assert say("enable_events") == ["task events enabled"]
    heard = send("quick")
    wait_state(watcher, heard, "SUCCESS")
    assert watcher.of(silent.id) == []
    before = watcher.types()["worker-heartbeat"]
    assert app.control.broadcast("heartbeat", reply=True, timeout=0.3)
    assert watcher.types()["worker-heartbeat"] > before
    print("disable_events, enable_events, heartbeat: heard only in between")


def the_program_prints_them(node):
    with tempfile.TemporaryFile("w+") as output:
        dump = subprocess.Popen([sys.executable, "-u", "-m", "celery", "-b",
                                 ENV["CONEY_BROKER_PLAIN_AUTH_URL"], "events", "--dump"],
                                stdout=output, stderr=subprocess.STDOUT, text=True)

        def printed():
            send("quick").get(timeout=20)
            output.seek(0)
            text = output.read()
            return "task succeeded" in text and "heartbeat" in text and text
        try:
            text = wait_for(printed, "lines of celery events --dump", 30, 0.5)
        finally:
            dump.terminate()
            dump.wait(20)
    assert node in text and "Traceback" not in text, text
    print("celery events --dump prints them")


def a_loss_is_made_up_for(worker, watcher_of, node):
    """After the broker's restart everything is there again: mailbox, bindings, heartbeats."""
    broker("restart")
    worker.wait_log("remote control and events are on", 2, 60)
    with watcher_of() as watcher:
        task = wait_state(watcher, send("quick"), "SUCCESS")
        assert task.worker.hostname == node
        wait_for(lambda: watcher.types()["worker-heartbeat"] > 1, "heartbeats", 20)
    print("after a restart of the broker: events again")


def an_alarm_drops_events_and_no_task(worker):
    """While the broker is short of memory nothing may be published; tasks that need no
    publishing run on, and the events of that time are gone."""
    with Producer() as producer:
        ids = [producer.send(QUEUE, "sleeps1", [n]) for n in range(6)]
        producer.confirm()
    broker("ctl", "--quiet", "set_vm_memory_high_watermark", "0.0000001")
    try:
        wait_for(lambda: all(f"id={i} retries" in worker.log() for i in ids), "the tasks", 60)
        worker.wait_log("events dropped", 1, 60)
    finally:
        broker("ctl", "--quiet", "set_vm_memory_high_watermark", "0.4")
    replies = wait_for(lambda: app.control.ping(timeout=1), "a reply after the alarm", 30)
    assert replies
    print("in an alarm: tasks run, events are dropped and counted; then replies again")


def ten_thousand(watcher):
    """None is lost on the way when nothing is wrong."""
    count = 3000
    with Producer() as producer:
        ids = {producer.send(QUEUE, "ledger.sleep", [os.devnull, "x", 0]) for _ in range(count)}
    began = time.monotonic()

    def all_told():
        types = collections.Counter(e["type"] for e in list(watcher.events)
                                    if e.get("uuid") in ids)
        return min(types["task-received"], types["task-started"],
                   types["task-succeeded"]) == count
    wait_for(all_told, f"three events of each of {count} tasks", 60, 0.5)
    print(f"{count} tasks: {3 * count} events, none missing, {time.monotonic() - began:.1f} s")


def main():
    tasks = {"quick": {"command": ["/bin/true"]},
             "fails": {"command": ["/bin/false"], "retry": {"max": 0}},
             "later": {"command": ["/bin/sh", "-c", "exit 75"],
                       "retry": {"max": 3, "base": "100s", "jitter": "none"}},
             "refuses": {"command": ["/bin/sh", "-c", "exit 3"], "reject_exit": [3]},
             "sleeps1": {"command": ["/bin/sleep", "1"]},
             "sleeps": {"command": ["/bin/sleep", "100"]}}
    with Scratch() as scratch:
        config = scratch.config(worker_config(
            worker={"concurrency": 4}, tasks=tasks, classes={"default": {"weight": 1}},
            events={"enabled": True, "heartbeat": "500ms"}))
        with Watcher() as watcher:
            with Worker(config) as worker:
                worker.wait_log("remote control and events are on")
                wait_for(lambda: watcher.types()["worker-online"], "worker-online", 20)
                node = watcher.events[0]["hostname"]
                every_end_is_told(watcher, node)
                heartbeats_tell_of_the_load(watcher, node)
                they_are_switched_from_afar(watcher)
                ten_thousand(watcher)
                the_program_prints_them(node)
            wait_for(lambda: watcher.types()["worker-offline"], "worker-offline", 20)
            assert not watcher.state.workers[node].alive
            every_event_is_complete(watcher, node)
            print("worker-offline at the end: not alive any more")
        if strangers():
            print("the broker's restart and its alarm: not beside others")
            return
        with Worker(config) as worker:
            worker.wait_log("remote control and events are on")
            a_loss_is_made_up_for(worker, Watcher, node)
            an_alarm_drops_events_and_no_task(worker)


if __name__ == "__main__":
    main()
