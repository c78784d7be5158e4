#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240 unsanitized
"""A task that does nothing takes no more instructions than tests/bench/baseline.json allows, which
has a line for each Debian release: its compiler and libraries count. Whoever makes a task cheaper,
or dearer with a reason, writes down there what this prints."""
import json
import os
import pathlib
import platform
import sys

import coneytest

BENCH = pathlib.Path(os.environ["CONEY_SOURCE_DIR"]) / "tests/bench"
GROWTH_MAX = 1.10
os.environ["CONEY_BENCH_BUILD"] = os.environ["CONEY_BUILD_DIR"]
sys.path.insert(0, str(BENCH))

import contenders  # noqa: E402
import instructions  # noqa: E402


def main():
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    contender = contenders.CONTENDERS["Coney, prefetch 256"]
    with contender.start() as process:  # declares the queues
        coneytest.await_queues(contender.queue)
        process.check()
    figures = instructions.per_task(contenders.Broker(), contender)
    print(f"instructions a task on {release}: "
          + ", ".join(f"{who} {count:.0f}" for who, count in figures.items()))
    baseline = json.loads((BENCH / "baseline.json").read_text())
    assert release in baseline, f"{BENCH}/baseline.json has no line for {release}"
    for who, count in figures.items():
        limit = GROWTH_MAX * baseline[release][who]
        assert count <= limit, f"{who}: {count:.0f}, more than {limit:.0f}"


if __name__ == "__main__":
    main()
