# SPDX-License-Identifier: MIT
"""Coney beside others on one broker in one run: rounds in turn, medians, ratios."""
import argparse
import datetime
import pathlib
import time

import contenders
import instructions
import report
import workloads

ALL = {**contenders.CONTENDERS, **contenders.SPECIAL}
SPEED = "tasks/s"


def drain(share=None, task=None, arguments="[]"):
    """`share`: of all tasks, instead of the contender's own."""
    def measure(source, name, options):
        count = int(options.count * (share or ALL[name].share))
        return workloads.drain(source, ALL[name], count, task, arguments)
    return measure


def latency(rate):
    return lambda source, name, options: workloads.latency(source, ALL[name], rate,
                                                           options.seconds)


def programme(share):
    def measure(_source, name, options):
        command, _settings = contenders.PROGRAMMES[name]
        return workloads.programme(command(int(options.count * share)))
    return measure


# Key: title, who, how.
WORKLOADS = {
    "drain": ("Drain: tasks that do nothing", list(contenders.CONTENDERS), drain()),
    "idle": ("Idle", list(contenders.CONTENDERS),
             lambda source, name, options: workloads.idle(source, ALL[name])),
    "spin": ("Drain: tasks of 1 ms of processor time", ["Coney", "Celery", "Sidekiq"],
             drain(0.05, "bench.spin", "[1000]")),
    "sleep": ("Drain: tasks that sleep for 100 ms", ["Coney, 200 runners", "Sidekiq, 200 threads"],
              drain(0.1, "bench.sleep", "[100]")),
    "16k": ("Drain: bodies of 16 KiB", ["bare, prefetch 16", "Coney"],
            drain(0.1, arguments="#16384")),
    "1m": ("Drain: bodies of 1 MiB", ["bare, prefetch 16", "Coney"],
           drain(0.005, arguments="#1048576")),
    "retried": ("Tasks that are retried once", ["Coney"],
                lambda source, name, options: workloads.retried(
                    source, ALL[name], int(options.count * 0.1))),
    "latency": ("From sending to start, 500 tasks a second", ["Coney", "Coney, TLS", "Celery"],
                latency(500)),
    "latency-5000": ("From sending to start, 5 000 tasks a second", ["Coney", "Coney, TLS"],
                     latency(5000)),
    "publish": ("Publishing with confirms", ["libconey", "Celery, publishing"], programme(0.2)),
    "spawn": ("A program for each task, and nothing else", ["bare posix_spawn"], programme(0.05)),
    "instructions": ("Instructions per task that does nothing", ["Coney", "Coney, TLS"],
                     lambda source, name, options: instructions.per_task(source, ALL[name])),
}


def cpu(rounds):
    return sum(report.median_of(rounds, f"{who}, µs/task") for who in ("master", "children"))


def speed_ratio(measured, ours, theirs, their_workload="drain"):
    return report.median_of(measured["drain"][ours], SPEED) / \
        report.median_of(measured[their_workload][theirs], SPEED)


# What, the workloads that it needs, how, what is wanted.
RATIOS = [
    ("drain / bare consumer, acks in batches", ["drain"],
     lambda m: speed_ratio(m, "Coney", "bare, acks in batches"), ">= 0.65"),
    ("drain / bare consumer, ack each", ["drain"],
     lambda m: speed_ratio(m, "Coney", "bare, ack each"), ">= 1.0"),
    ("drain / Celery", ["drain"], lambda m: speed_ratio(m, "Coney", "Celery"), ">= 12"),
    ("drain / Sidekiq", ["drain"], lambda m: speed_ratio(m, "Coney", "Sidekiq"), ">= 2"),
    ("TLS / plain", ["drain"], lambda m: speed_ratio(m, "Coney, TLS", "Coney"), ">= 0.7"),
    ("with results in redis / without", ["drain"],
     lambda m: speed_ratio(m, "Coney, results", "Coney"), ">= 0.5"),
    ("command tasks / bare posix_spawn", ["drain", "spawn"],
     lambda m: speed_ratio(m, "Coney, command", "bare posix_spawn", "spawn"), ">= 0.9"),
    ("µs of CPU a task, master and runners", ["drain"], lambda m: cpu(m["drain"]["Coney"]), "<= 8"),
    ("CPU of a task retried once / of a plain one", ["drain", "retried"],
     lambda m: cpu(m["retried"]["Coney"]) / cpu(m["drain"]["Coney"]), "<= 2.5"),
    ("ms from sending to start, p99, at 500/s", ["latency"],
     lambda m: report.median_of(m["latency"]["Coney"], "p99, ms"), "<= 1"),
    ("KiB of an idle master with TLS", ["idle"],
     lambda m: report.median_of(m["idle"]["Coney, TLS"], "master, KiB"), "<= 4608"),
    ("KiB of an idle runner", ["idle"],
     lambda m: report.median_of(m["idle"]["Coney, TLS"], "a child, KiB"), "<= 717"),
    ("ms from exec to consuming", ["idle"],
     lambda m: report.median_of(m["idle"]["Coney"], "ready, ms"), "<= 50"),
]


def measure(options):
    """{workload: {contender: [figures of each round]}}"""
    sources = {kind: kind() for kind in {one.source for one in ALL.values()}}
    measured = {key: {name: [] for name in WORKLOADS[key][1]} for key in options.only}
    for number in range(options.rounds):
        for key, found in measured.items():
            for name, rounds in found.items():
                source = sources[ALL[name].source] if name in ALL else None
                rounds.append(WORKLOADS[key][2](source, name, options))
                print(f"round {number + 1}: {key}: {name}: " + ", ".join(
                    f"{what} {report.number(value)}" for what, value in rounds[-1].items()),
                    flush=True)
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=100000, help="tasks of the fastest")
    parser.add_argument("--seconds", type=float, default=10, help="of fixed arrivals")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--out", type=pathlib.Path, default=contenders.BUILD / "report")
    options = parser.parse_args()

    with ALL["Coney"].start() as process:  # declares the queues
        time.sleep(3)
        process.check()
    measured = measure(options)
    settings = {name: one.settings for name, one in ALL.items()}
    settings |= {name: text for name, (_command, text) in contenders.PROGRAMMES.items()}
    written = report.write({
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "rounds": options.rounds, "count": options.count, "machine": report.machine(),
        "versions": report.packages(), "settings": settings,
        "workloads": {WORKLOADS[key][0]: found for key, found in measured.items()},
        "ratios": [{"what": what, "measured": how(measured), "wanted": wanted}
                   for what, needs, how, wanted in RATIOS if set(needs) <= set(measured)]},
        options.out)
    print(written.read_text())


if __name__ == "__main__":
    main()
