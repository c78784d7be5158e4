#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""reports.daily(day): a task that is a program in Python.

The task comes as JSON on standard input; what is printed is its result. Exit status 75 would ask
for another try later.
"""
import json
import os
import sys
import time


def note(task, event):
    line = f"{task['task']} {task['id']} {task['retries']} {event} {time.time_ns() // 1000}\n"
    ledger = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(ledger, line.encode())
    os.close(ledger)


def main():
    task = json.load(sys.stdin)
    day, = task["args"]
    note(task, "started")
    total = sum(n * n for n in range(1000 * day))
    note(task, "done")
    print(json.dumps({"day": day, "total": total}))


main()
