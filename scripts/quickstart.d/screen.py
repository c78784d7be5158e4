# SPDX-License-Identifier: MIT
"""What one sees: a line for each thing that happens for the first time, and, on a terminal, a
status line below that is written anew. Then the tables."""
import os
import re
import shutil
import sys

EVENT = re.compile(r"\S+T(?P<clock>[\d:]{8})\.\d+Z (?P<level>\w+) (?P<program>\w+)\[\d+\]: "
                   r"(?P<text>.*?)(?:  (?P<pairs>.*))?$")
COLOURS = {"error": "31", "warning": "33", "good": "32", "dim": "2", "bold": "1"}


class Screen:
    """Standard output, as a terminal or as a file."""

    def __init__(self):
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.has_status = False
        self.seen = set()

    def paint(self, text, colour):
        return f"\033[{COLOURS[colour]}m{text}\033[0m" if self.live and colour in COLOURS else text

    def say(self, text, colour=""):
        """A line that stays."""
        print(("\r\033[K" if self.has_status else "") + self.paint(text, colour), flush=True)
        self.has_status = False

    def status(self, text):
        """A line that the next one replaces."""
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r\033[K" + self.paint(text[:width], "dim"))
            sys.stdout.flush()
            self.has_status = True

    def event(self, name, line):
        """A line of the log of `name`: shown if nothing like it has been shown yet."""
        match = EVENT.match(line)
        if not match:
            return
        pairs = dict(pair.split("=", 1) for pair in (match["pairs"] or "").split() if "=" in pair)
        task = pairs.get("task", "")
        is_success = match["text"].startswith("task succeeded")
        retry = re.search(r"; retry \d+", match["text"])
        kind = (task or name, re.sub(r"\d", "", match["text"]), retry and retry[0])
        if kind in self.seen or (match["level"] == "info" and not is_success and task):
            return
        self.seen.add(kind)
        text = f"{match['clock']}  {name:<10}  {task + '  ' if task else ''}{match['text']}"
        width = shutil.get_terminal_size().columns - 1 if self.live else 200
        self.say(text[:width], "good" if is_success else match["level"])


def ms(values, share, percentile):
    return f"{percentile(values, share) / 1000:.1f}" if values else "-"


def table(screen, head, rows):
    """The first column to the left, the others to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    for index, row in enumerate([head] + rows):
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        screen.say("  ".join(cells), "bold" if index == 0 else "")
    screen.say("")


def show(screen, verdict, percentile):
    """The three tables of a verdict."""
    table(screen, ["task", "sent", "executed", "retried", "succeeded", "dead letters",
                   "latency p50", "p99 ms"],
          [[*row[:6], ms(row[6], 0.5, percentile), ms(row[6], 0.99, percentile)]
           for row in verdict.tasks])
    table(screen, ["retry", "asked: least", "mean", "most s", "early", "late: p50", "p99",
                   "most ms"],
          [[f"{task} #{n}", *(f"{value / 1e6:.3f}" for value in
                              (min(asked), sum(asked) / len(asked), max(asked))),
            sum(late < 0 for late in lates), ms(lates, 0.5, percentile),
            ms(lates, 0.99, percentile), ms(lates, 1, percentile)]
           for task, n, asked, lates in verdict.retries if asked])
    table(screen, ["scheduled", "every s", "due", "fired", "twice", "late: p50", "most ms"],
          [[*row[:5], ms(row[5], 0.5, percentile), ms(row[5], 1, percentile)]
           for row in verdict.ticks])
