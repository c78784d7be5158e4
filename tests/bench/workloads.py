# SPDX-License-Identifier: MIT
"""What is measured: each function gives figures of one contender, once."""
import json
import os
import resource
import subprocess
import tempfile
import time

import contenders
import source

IDLE_S = 3
QUIET_S = 3  # longer than the delay before a retry
WARM_UP = 500  # tasks whose latency does not count


def crossing(samples, level):
    """The sample when the queue's length fell through `level`, between two that were taken."""
    for before, after in zip(samples, samples[1:]):
        if before[1] >= level > after[1]:
            part = (before[1] - level) / (before[1] - after[1])
            return [a + part * (b - a) for a, b in zip(before, after)]
    raise ValueError(f"never fell through {level}: {samples[:3]} ... {samples[-3:]}")


def sample(broker, contender, process):
    process.check()
    return (time.monotonic(), broker.length(contender.queue), *process.cpu_s())


def drain(broker, contender, count, task=None, arguments="[]"):
    """`count` messages wait when the contender starts. The queue's length is asked for every
    20 ms; what counts is the way from 90 % to 10 % of it, without start and tail; processor time
    is that of the contender's processes on that way."""
    broker.fill(contender.queue, count, task or contender.task, arguments)
    samples = []
    pss = None
    with contender.start() as process:
        while not samples or samples[-1][1] > 0:
            samples.append(sample(broker, contender, process))
            if pss is None and samples[-1][1] < count / 2:
                pss = process.pss_kib()
            time.sleep(source.POLL_S)
    broker.wait_gone(contender.queue)
    start, end = crossing(samples, 0.9 * count), crossing(samples, 0.1 * count)
    tasks = 0.8 * count
    return {"tasks/s": tasks / (end[0] - start[0]),
            "master, µs/task": (end[2] - start[2]) / tasks * 1e6,
            "children, µs/task": (end[3] - start[3]) / tasks * 1e6,
            "master, KiB": pss[0],
            "a child, KiB": sum(pss[1]) / max(1, len(pss[1]))}


def retried(broker, contender, count):
    """Each task fails once and waits for a second. Its processor time, both attempts together,
    from when the first hundredth is on its way until nothing has come for a while."""
    broker.fill(contender.queue, count, "bench.once_more")
    samples = []
    with contender.start() as process:
        quiet_since = None
        while quiet_since is None or time.monotonic() - quiet_since < QUIET_S:
            samples.append(sample(broker, contender, process))
            if samples[-1][1] > 0:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            time.sleep(source.POLL_S)
    broker.wait_gone(contender.queue)
    start, end = crossing(samples, 0.99 * count), samples[-1]
    tasks = 0.99 * count
    return {"master, µs/task": (end[2] - start[2]) / tasks * 1e6,
            "children, µs/task": (end[3] - start[3]) / tasks * 1e6}


def programme(command):
    """Something done again and again by a program that says how often and in what time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = json.loads(done.stdout)
    used_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"tasks/s": said["sent"] / said["seconds"], "µs/task": used_s / said["sent"] * 1e6}


def idle(broker, contender):
    """Nothing to do: how soon it consumes (the broker's objects exist), what it is then."""
    with contender.start() as process:
        ready_s = broker.wait_ready(process, contender.queue)
        time.sleep(1)
        before = sum(process.cpu_s())
        time.sleep(IDLE_S)
        used = sum(process.cpu_s()) - before
        own, others = process.pss_kib()
    broker.wait_gone(contender.queue)
    return {"ready, ms": ready_s * 1e3, "CPU, %": used / IDLE_S * 100, "master, KiB": own,
            "a child, KiB": sum(others) / max(1, len(others))}


def percentile(values, percent):
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def latency(broker, contender, rate, seconds):
    """Fixed arrivals: from the moment of sending to the task's first statement. The sender does
    not wait for anybody; how late it was itself at worst is a figure, too."""
    broker.fill(contender.queue, 0, "bench.stamp")
    with tempfile.TemporaryDirectory() as directory, contender.start() as process:
        path = os.path.join(directory, "latencies")
        broker.wait_ready(process, contender.queue)
        sent = contenders.send(contender.queue, WARM_UP + int(rate * seconds), "bench.stamp",
                               rate, "@" + path)
        broker.wait_empty(process, contender.queue)
        time.sleep(1)
        with open(path, encoding="ascii") as file:
            lines = file.read().splitlines()
    broker.wait_gone(contender.queue)
    assert len(lines) == sent["sent"], (len(lines), sent)
    times = sorted(int(line) / 1e6 for line in lines[WARM_UP:])
    return {"p50, ms": percentile(times, 50), "p99, ms": percentile(times, 99),
            "p99.9, ms": percentile(times, 99.9), "sender's latest, ms": sent["latest_ms"]}
