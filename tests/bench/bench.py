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

DRAIN = "Drain: tasks that do nothing"
IDLE = "Idle"
INSTRUCTIONS = "Instructions per task that does nothing"
LATENCY = "From sending to start, 500 tasks a second"


def ratios(measured):
    """What issue and README promise, as far as it is measured here."""
    drain, late = measured[DRAIN], measured[LATENCY]
    speed = "tasks/s"
    found = [("drain / bare consumer, acks in batches",
              report.ratio(drain, speed, "Coney", "bare, acks in batches"), ">= 0.65"),
             ("drain / bare consumer, ack each",
              report.ratio(drain, speed, "Coney", "bare, ack each"), ">= 1.0"),
             ("drain / Celery", report.ratio(drain, speed, "Coney", "Celery"), ">= 12"),
             ("TLS / plain", report.ratio(drain, speed, "Coney, TLS", "Coney"), ">= 0.7"),
             ("µs of CPU a task, master and runners",
              sum(report.median_of(drain["Coney"], f"{who}, µs/task")
                  for who in ("master", "children")), "<= 8"),
             ("ms from sending to start, p99", report.median_of(late["Coney"], "p99, ms"), "<= 1")]
    return [{"what": what, "measured": value, "wanted": wanted} for what, value, wanted in found]


def measure(broker, options):
    one = contenders.CONTENDERS
    measured = {DRAIN: {name: [] for name in one},
                IDLE: {name: [] for name in one},
                LATENCY: {name: [] for name in ("Coney", "Coney, TLS", "Celery")}}
    for number in range(options.rounds):
        for name, contender in one.items():
            count = int(options.count * contender.share)
            measured[DRAIN][name].append(workloads.drain(broker, contender, count))
            measured[IDLE][name].append(workloads.idle(broker, contender))
            print(f"round {number + 1}: {name}: {measured[DRAIN][name][-1]['tasks/s']:.0f} tasks/s",
                  flush=True)
        for name, rounds in measured[LATENCY].items():
            rounds.append(workloads.latency(broker, one[name], 500, options.seconds))
    measured[INSTRUCTIONS] = {name: [instructions.per_task(broker, one[name])]
                              for name in ("Coney", "Coney, TLS")}
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=100000, help="tasks of the fastest")
    parser.add_argument("--seconds", type=float, default=10, help="of fixed arrivals")
    parser.add_argument("--out", type=pathlib.Path, default=contenders.BUILD / "report")
    options = parser.parse_args()

    broker = contenders.Broker()
    with contenders.CONTENDERS["Coney"].start() as process:  # declares the queues
        time.sleep(3)
        process.check()
    measured = measure(broker, options)
    written = report.write({
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "rounds": options.rounds, "count": options.count, "machine": report.machine(),
        "versions": report.packages(),
        "settings": {name: c.settings for name, c in contenders.CONTENDERS.items()},
        "workloads": measured, "ratios": ratios(measured)}, options.out)
    print(written.read_text())


if __name__ == "__main__":
    main()
