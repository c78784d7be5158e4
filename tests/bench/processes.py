# SPDX-License-Identifier: MIT
"""What is measured, as processes: started, ready, what they have used, stopped."""
import os
import pathlib
import subprocess
import tempfile
import time

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
GONE = (FileNotFoundError, ProcessLookupError)  # what /proc says of a process that has ended


def children_of(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def tree_of(pid):
    """`pid` first, then all below it."""
    found = [pid]
    for one in found:
        try:
            found += children_of(one)
        except GONE:
            pass
    return found


def cpu_s(pid):
    """Of a process and those that it has waited for; 0: it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except GONE:
        return 0.0
    return sum(map(int, fields[11:15])) * TICK_S


def pss_kib(pid):
    """0: it is gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except GONE:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


class Process:
    """A program and those below it; entered when it has been started."""

    def __init__(self, command):
        self.command = list(map(str, command))

    def __enter__(self):
        self.output = tempfile.TemporaryFile("w+")
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=self.output, stderr=subprocess.STDOUT)
        return self

    def check(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.command[0]} has ended: {self.process.returncode}")

    def text(self):
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), size, 0).decode(errors="replace")

    def cpu_s(self):
        """(of the process itself, of those below it)"""
        own, *others = tree_of(self.process.pid)
        return cpu_s(own), sum(map(cpu_s, others))

    def pss_kib(self):
        """(of the process itself, of each of those below it)"""
        own, *others = tree_of(self.process.pid)
        return pss_kib(own), [kib for kib in map(pss_kib, others) if kib > 0]

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(f"--- {' '.join(self.command)}\n{self.text()[-4000:]}---")
        self.output.close()
