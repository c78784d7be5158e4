# SPDX-License-Identifier: MIT
"""What quickstart starts, it stops: by pid, and only if that is still the process it started.

Every process is written down in a file with the kernel's start time of its pid, so that a later
`quickstart --stop` finds it, and never takes a stranger with a recycled pid for it.
"""
import os
import pathlib
import signal
import subprocess
import time


def started_at(pid):
    """The kernel's start time of a process that lives; None for one that does not."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


class Processes:
    """Daemons in sessions of their own: a Ctrl-C is ours to pass on, in order."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.children = {}

    def start(self, name, argv, environment):
        """Start `argv` in the directory; what it prints goes to <name>.log."""
        with open(self.directory / f"{name}.log", "w", encoding="utf-8") as log:
            child = subprocess.Popen(argv, cwd=self.directory, env=environment, stdout=log,
                                     stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                     start_new_session=True)
        self.children[name] = child
        (self.directory / f"{name}.pid").write_text(f"{child.pid} {started_at(child.pid)}\n")

    def ended(self):
        """{name: exit status} of those started here that have ended."""
        return {name: child.returncode for name, child in self.children.items()
                if child.poll() is not None}

    def signal(self, name, number):
        """Whether it was there to get the signal."""
        try:
            pid, start = (self.directory / f"{name}.pid").read_text().split()
        except (OSError, ValueError):
            return False
        if name in self.children:
            self.children[name].poll()  # reap it, if it has ended
        if started_at(pid) != start:
            return False
        os.kill(int(pid), number)
        return True

    def stop(self, names, deadline_s=20):
        """Ask them to end, and end them after the deadline. True: all went by themselves."""
        asked = [name for name in names if self.signal(name, signal.SIGTERM)]
        deadline = time.monotonic() + deadline_s
        while any(self.signal(name, 0) for name in asked) and time.monotonic() < deadline:
            time.sleep(0.02)
        killed = [name for name in asked if self.signal(name, signal.SIGKILL)]
        for name in names:
            if name in self.children:
                self.children[name].wait()
            (self.directory / f"{name}.pid").unlink(missing_ok=True)
        return not killed

    def names(self):
        """Of all that were started here and not stopped, by this run or an earlier one."""
        return sorted(path.stem for path in self.directory.glob("*.pid"))


def running_with(variable):
    """Pids of processes that have `variable` ("NAME=value") in their environment."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if variable.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
