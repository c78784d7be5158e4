# SPDX-License-Identifier: MIT
"""From figures of several rounds to a report: medians, spread, ratios; Markdown and JSON."""
import json
import os
import pathlib
import platform
import statistics
import subprocess


def packages():
    names = ["rabbitmq-server", "librabbitmq4", "libuv1", "python3-celery", "python3-amqp",
             "redis-server", "ruby-sidekiq"]
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *names],
                          capture_output=True, text=True, check=False)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def machine():
    cpu = [line.split(":", 1)[1].strip()
           for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
           if line.startswith("model name")]
    return {"cpu": cpu[0] if cpu else platform.machine(), "cores": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


def median_of(rounds, figure):
    return statistics.median(one[figure] for one in rounds)


def spread_of(rounds, figure):
    """How far the rounds are apart, as a part of their median."""
    values = [one[figure] for one in rounds]
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(results):
    """{contender: [figures of each round]} as Markdown."""
    figures = list(next(iter(results.values()))[0])
    lines = ["| | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for name, rounds in results.items():
        cells = [f"{number(median_of(rounds, one))} ±{spread_of(rounds, one) * 50:.0f}%"
                 for one in figures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def markdown(report):
    facts = {**report["machine"], **report["versions"]}
    parts = [f"# Coney beside others\n\n{report['date']}, {report['rounds']} rounds in turn; medians"
             ", ± half of the spread between the rounds.\n",
             "".join(f"- {name}: {value}\n" for name, value in facts.items()),
             "## Settings\n\n" + "".join(f"- {name}: {text}\n"
                                         for name, text in report["settings"].items())]
    for title, results in report["workloads"].items():
        parts.append(f"## {title}\n\n{table(results)}\n")
    parts.append("## Ratios\n\n| | measured | wanted |\n|---|---|---|\n" + "".join(
        f"| {row['what']} | {row['measured']:.3g} | {row['wanted']} |\n"
        for row in report["ratios"]))
    return "\n".join(parts)


def write(report, directory):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    (directory / "report.md").write_text(markdown(report))
    return directory / "report.md"
