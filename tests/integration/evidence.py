#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""What is left of a task that failed for good: its dead letter tells the story.

A crash (signal, stderr), a hard limit (with children and grandchildren gone, even those that
left for a session of their own), a malformed message (body as it came), an unknown task, a
refused one.
"""
import json
import os
import time

import coneytest


def dead_letter(reason, timeout_s=30):
    """The next dead letter; it must have this reason."""
    found = coneytest.wait_for(lambda: coneytest.letters(count=1), f"a letter: {reason}",
                               timeout_s, 0.2)[0]
    headers = found["properties"]["headers"]
    assert headers["coney-reason"] == reason, headers
    return found, headers


def crash_reports_signal_and_stderr(producer):
    producer.send("coney.default", "demo.abort", [])
    _, headers = dead_letter("crashed")
    assert headers["coney-signal"] == 6, headers
    assert "no ink left in task" in headers["coney-stderr"], headers
    assert headers["coney-attempts"] == 2 and len(headers["coney-history"]) == 2, headers
    assert headers["coney-history"][0]["outcome"] == "crashed", headers
    assert headers["coney-queue"] == "coney.default", headers
    print("crash: signal 6, stderr, 2 attempts in the history")


def pids_of(marker):
    """Processes that have the marker among their arguments."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                if marker.encode() in f.read():
                    found.append(int(entry))
        except OSError:
            pass
    return found


def hard_limit_takes_the_whole_family(producer, marker):
    producer.send("coney.default", "family", [marker])
    coneytest.wait_for(lambda: len(pids_of(marker)) >= 3, "three generations", 20)
    _, headers = dead_letter("timed_out")
    assert not pids_of(marker), pids_of(marker)
    assert "1" in headers["coney-error"], headers
    print("hard limit: command, child and a grandchild of another session are gone")


def malformed_message_keeps_its_body(producer):
    producer.publish("coney.high", b"\x00not json\xff",
                     headers={"task": "demo.add", "id": "m-1"})
    found, headers = dead_letter("malformed")
    payload = found["payload"]
    if found["payload_encoding"] == "base64":
        import base64
        payload = base64.b64decode(payload)
    assert payload == b"\x00not json\xff", payload
    assert headers["task"] == "demo.add" and headers["id"] == "m-1", headers
    assert found["routing_key"] == "coney.high.demo.add", found["routing_key"]
    print("malformed: body and headers as they came")


def unknown_task_waits_then_dies(producer):
    begun = time.monotonic()
    producer.send("coney.low", "nobody.knows", [1, 2])
    found, headers = dead_letter("unknown_task", 40)
    assert time.monotonic() - begun >= 5, "given up too early"
    assert headers["coney-queue"] == "coney.low", headers
    assert json.loads(found["payload"])[0] == [1, 2]
    print("unknown task: tried again until its time was up")


def rejected_task_is_not_retried(producer):
    producer.send("coney.high", "demo.reject", ["no such customer"])
    _, headers = dead_letter("rejected")
    assert headers["coney-attempts"] == 1, headers
    print("rejected: one attempt")


def broker_headers_are_stripped(producer):
    producer.send("coney.high", "demo.reject", ["x"], **{"x-death": [
        {"count": 1, "reason": "expired", "queue": "elsewhere"}], "x-mine": "kept"})
    _, headers = dead_letter("rejected")
    assert "x-death" not in headers and headers["x-mine"] == "kept", headers
    print("x-death of an earlier life is gone, the user's header is kept")


def main():
    with coneytest.Scratch() as scratch:
        marker = f"coney-family-{os.getpid()}"
        family = scratch.path / "family"
        family.write_text("#!/bin/sh\n"
                          f"setsid sh -c 'sleep 300 # {marker} grandchild' &\n"
                          f"sh -c 'sleep 300 & wait # {marker} child' &\n"
                          f"exec sh -c 'sleep 300; : {marker} self'\n")
        family.chmod(0o755)
        config = scratch.config(coneytest.worker_config(
            plugins=("demo",), worker={"concurrency": 2, "unknown_task_ttl": "5s"},
            tasks={"*": {"retry": {"max": 1, "base": "1s", "jitter": "none"}},
                   "family": {"command": [str(family)], "time_limit": "1s",
                              "retry": {"max": 0}}}))
        with coneytest.Worker(config), coneytest.Producer() as producer:
            crash_reports_signal_and_stderr(producer)
            hard_limit_takes_the_whole_family(producer, marker)
            malformed_message_keeps_its_body(producer)
            unknown_task_waits_then_dies(producer)
            rejected_task_is_not_retried(producer)
            broker_headers_are_stripped(producer)
            coneytest.wait_for(lambda: not coneytest.busy_queues(ignore=()), "empty queues")


if __name__ == "__main__":
    main()
