#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=300 unsanitized
"""scripts/bench's measuring, on a small scale: every contender drains and answers, the report has
each of them, and its arithmetic is right. How fast anybody is, is no matter here."""
import json
import os
import pathlib
import subprocess
import sys

import coneytest

SOURCE = pathlib.Path(os.environ["CONEY_SOURCE_DIR"])
os.environ["CONEY_BENCH_BUILD"] = os.environ["CONEY_BUILD_DIR"]
sys.path.insert(0, str(SOURCE / "tests/bench"))

import bench  # noqa: E402
import report  # noqa: E402
import workloads  # noqa: E402


# All but the one that bench_instructions is about.
KEYS = [key for key in bench.WORKLOADS if key != "instructions"]


def check_arithmetic():
    samples = [(10.0, 1000, 1.0, 0.0), (10.1, 950, 1.2, 0.5), (10.3, 50, 2.2, 1.5),
               (10.4, 0, 2.3, 1.6)]
    start = workloads.crossing(samples, 900)
    end = workloads.crossing(samples, 100)
    assert abs(start[0] - (10.1 + 0.2 * 50 / 900)) < 1e-9, start
    assert abs(end[0] - (10.1 + 0.2 * 850 / 900)) < 1e-9, end
    assert abs(end[2] - start[2] - 800 / 900) < 1e-9, (start, end)
    rounds = [{"x": 4.0}, {"x": 1.0}, {"x": 2.0}]
    assert report.median_of(rounds, "x") == 2.0 and report.spread_of(rounds, "x") == 1.5
    measured = {"drain": {"a": [{"tasks/s": x} for x in (4.0, 1.0, 2.0)], "b": [{"tasks/s": 8.0}]}}
    assert bench.speed_ratio(measured, "a", "b") == 0.25
    values = list(range(1000))
    assert [workloads.percentile(values, p) for p in (50, 99, 99.9)] == [500, 990, 999]


def check_report(directory):
    found = json.loads((directory / "report.json").read_text())
    text = (directory / "report.md").read_text()
    for key in KEYS:
        title, names, _how = bench.WORKLOADS[key]
        assert set(found["workloads"][title]) == set(names), found["workloads"][title]
        for name, rounds in found["workloads"][title].items():
            first = next(iter(rounds[0]))
            assert len(rounds) == 1 and rounds[0][first] > 0, (key, name, rounds)
            assert f"| {name} | {report.number(rounds[0][first])} ±0%" in text, (name, text)
            assert f"- {name}: {found['settings'][name]}" in text, name
    drain = found["workloads"][bench.WORKLOADS["drain"][0]]
    first = found["ratios"][0]
    wanted = drain["Coney"][0]["tasks/s"] / drain["bare, acks in batches"][0]["tasks/s"]
    assert abs(first["measured"] - wanted) < 1e-9 and first["wanted"] == ">= 0.65", first
    assert len(found["ratios"]) == len(bench.RATIOS), found["ratios"]
    print(f"{len(KEYS)} workloads, {len(found['settings'])} contenders, {len(found['ratios'])} "
          f"ratios, on {found['machine']['cores']} cores, RabbitMQ "
          f"{found['versions']['rabbitmq-server']}")


def main():
    check_arithmetic()
    with coneytest.Scratch() as scratch, coneytest.Redis() as redis:
        os.environ.update(redis.env)
        subprocess.run(["/usr/bin/python3", SOURCE / "tests/bench/bench.py", "--rounds", "1",
                        "--count", "4000", "--seconds", "1", "--out", scratch.path, "--only",
                        *KEYS], check=True, stdout=subprocess.DEVNULL)
        check_report(scratch.path)


if __name__ == "__main__":
    main()
