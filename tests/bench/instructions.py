# SPDX-License-Identifier: MIT
"""How many instructions a task takes, as callgrind counts them. Unlike seconds they are the same
on every machine with the same compiler and libraries, whatever else it is doing.

Two drains of different length are compared, so that start and end do not count. How many messages
the master finds at a time is left to chance; of several rounds the cheapest says what the code
takes."""
import pathlib
import re
import tempfile

import processes

COUNTS = 1000, 3000
ROUNDS = 3


def totals(directory):
    """Of (the master, all runners), from what callgrind has written of each process."""
    found = {"worker": 0, "--parent": 0}
    for path in directory.glob("callgrind.*"):
        text = path.read_text()
        command = re.search(r"^cmd: *\S+ (\S+)", text, re.M).group(1)
        if command in found:  # else it is the runner that lists the tasks
            found[command] += int(re.search(r"^totals: (\d+)$", text, re.M).group(1))
    assert all(found.values()), found
    return tuple(found.values())


def drain(broker, contender, count):
    broker.fill(contender.queue, count, contender.task)
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        process = processes.Process(
            ["valgrind", "--tool=callgrind", "--trace-children=yes", "-q",
             f"--callgrind-out-file={directory}/callgrind.%p", *contender.command()])
        with process:
            broker.wait_ready(process, contender.queue)
            broker.wait_empty(process, contender.queue)
        broker.wait_gone(contender.queue)
        return totals(directory)


def per_task(broker, contender):
    """{who: instructions a task}"""
    few, many = COUNTS
    rounds = [[drain(broker, contender, count) for count in COUNTS] for _ in range(ROUNDS)]
    return {who: min((long[i] - short[i]) / (many - few) for short, long in rounds)
            for i, who in enumerate(("master", "runners"))}
