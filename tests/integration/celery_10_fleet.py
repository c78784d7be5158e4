#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=420
"""§10.10: a mixed fleet on one shared queue, Celery's own `celery`: two workers in C, one of
Celery 5.2, one of Celery 5.5, with gossip and mingle, and clients of both. Adds, retries, etas,
failures, chains and tasks that only Python has; first in peace, then while each worker in turn is
restarted, at last with one of ours killed.

Nothing is lost. Nothing runs twice, but what the killed worker had begun; nothing is delivered
twice in peace. No Python process dies or logs a traceback that no task has raised.
"""
import collections
import contextlib
import itertools
import socket

import celerypeers
import coneytest

QUEUE = "celery"
ADDS, RETRIES, ETAS, PYTHONS, FAILURES, CHAINS = 120, 40, 30, 40, 12, 10
RETRY = {"max": 5, "base": "1s", "factor": 1, "jitter": "none"}


class Coney(coneytest.Worker):
    def __init__(self, name, scratch):
        self.name = name
        self.config = scratch.config(coneytest.worker_config(
            plugins=("demo", "ledger"), events={"enabled": True},
            worker={"instance": name, "concurrency": 2, "foreign": [QUEUE]},
            queues={QUEUE: {"class": "default", "declare": "passive"}},
            tasks={"*": {"retry": RETRY}}))
        super().__init__(self.config)

    def done_count(self):
        return self.log().count("task succeeded")


class Wave:
    """Tasks of every kind, sent by every client in turn, and what has to come of them."""

    def __init__(self, name, clients, path):
        self.path = path
        self.name = name
        self.results = collections.defaultdict(dict)
        self.clients = clients
        self.labels = {}
        turn = itertools.cycle(clients)
        for n in range(ADDS):
            self.send(next(turn), "demo.add", (n, 1), n + 1)
            self.send(next(turn), "demo.info", (), None)
        for n in range(RETRIES):
            self.ledger(next(turn), "ledger.again", f"again{n}", n % 3, n % 3)
        for n in range(ETAS):
            self.ledger(next(turn), "ledger.again", f"eta{n}", 0, 0, countdown=1 + n % 3 + 0.3)
        for n in range(PYTHONS):
            self.ledger(next(turn), "py.mark", f"mark{n}")
        for n in range(FAILURES):
            self.send(next(turn), "py.fail", (f"failure {n}",), ("ValueError", [f"failure {n}"]))
        for n in range(CHAINS):
            client = next(turn)
            task = client(f"chain(('demo.add', ({n}, 1)), ('py.add', (10,)), "
                          "('demo.add', (100,)))")
            self.results[client][task] = n + 111

    def send(self, client, name, arguments, wanted, **options):
        task = client(f"send({name!r}, {arguments!r}, **{options!r})")
        self.results[client][task] = wanted
        return task

    def ledger(self, client, name, label, times=None, attempts=0, **options):
        """A task that writes down each of its attempts."""
        label = f"{self.name}-{label}"
        arguments = (self.path, label) + (() if times is None else (times,))
        wanted = label if times is None else times
        self.labels[label] = attempts
        self.send(client, name, arguments, wanted, **options)

    def collect(self):
        """Every result is there and right; returns how many came redelivered."""
        redelivered = 0
        for client, wanted in self.results.items():
            for task, value in wanted.items():
                end = client(f"outcome({task!r}, 90)")
                got = end["value"]
                if isinstance(value, tuple):
                    assert end["state"] == "FAILURE" and got["type"] == value[0] \
                        and got["args"] == value[1], (task, end)
                elif value is None:
                    assert end["state"] == "SUCCESS", (task, end)
                    redelivered += got["redelivered"]
                else:
                    assert (end["state"], got) == ("SUCCESS", value), (task, value, end)
        return redelivered

    def runs(self):
        """How often each attempt ran, beyond once."""
        counted = collections.Counter((line.label, line.retries)
                                      for line in coneytest.ledger(self.path)
                                      if line.label in self.labels)
        missing = [(label, n) for label, attempts in self.labels.items()
                   for n in range(attempts + 1) if (label, n) not in counted]
        assert not missing, f"lost: {missing}"
        return {attempt: count for attempt, count in counted.items() if count > 1}

    def size(self):
        return sum(map(len, self.results.values()))


def report(what, wave, redelivered, twice):
    print(f"{what}: {wave.size()} tasks, all results right, {sum(wave.labels.values())} retries; "
          f"{redelivered} of {ADDS} asked were redelivered, attempts that ran twice: {twice}")


def in_peace(clients, path, coneys):
    wave = Wave("peace", clients, path)
    redelivered = wave.collect()
    twice = wave.runs()
    report("in peace", wave, redelivered, twice)
    assert not twice and not redelivered
    workers = collections.Counter(line.event for line in coneytest.ledger(path))
    shares = {coney.name: coney.done_count() for coney in coneys}
    print(f"who ran the retries, etas and marks: {dict(workers)}; successes of ours: {shares}")
    assert {"python52@test", "python55@test", "started"} <= set(workers), workers
    assert all(shares.values()), shares


def through_restarts(clients, path, stacks, start):
    """Each worker is asked to stop, in the middle of a wave, and comes back."""
    for name in list(stacks):
        wave = Wave(f"restart-{name}", clients, path)
        stacks[name].close()  # wants status 0, and no traceback
        stacks[name] = start(name)
        redelivered = wave.collect()
        twice = wave.runs()
        report(f"{name} restarted", wave, redelivered, twice)
        assert not twice, twice


def through_a_kill(clients, path, stacks, start, victim, workers):
    wave = Wave("kill", clients, path)
    workers[victim].kill()
    with contextlib.suppress(AssertionError):
        stacks[victim].close()  # it says that the status is not 0
    stacks[victim] = start(victim)
    redelivered = wave.collect()
    twice = wave.runs()
    report(f"{victim} killed", wave, redelivered, twice)
    assert sum(twice.values()) - len(twice) <= 4, "more than its runners can have had in hand"


def check_nodes(client, names):
    """Each node of the fleet answers, C and Python alike."""
    pongs = {name for reply in client("app.control.ping(timeout=3)") for name in reply}
    print(f"ping is answered by {sorted(pongs)}")
    assert pongs == set(names), pongs


def main():
    versions = celerypeers.versions()
    with coneytest.Scratch() as scratch, contextlib.ExitStack() as everything:
        path = str(scratch.path / "ledger")
        proj = celerypeers.settings([QUEUE], shared=True,
                                    conf={"worker_send_task_events": True})
        clients = [everything.enter_context(celerypeers.Client(v, proj)) for v in versions]
        clients[0](f"app.amqp.queues[{QUEUE!r}](app.connection()).declare()")
        workers, stacks = {}, {}

        def start(name):
            if name.startswith("coney"):
                worker = Coney(name.removeprefix("coney-"), scratch)
            else:
                version = {"python52": "5.2", "python55": "5.5"}[name]
                worker = celerypeers.PythonWorker(version, proj, "-E", name=name, pool="prefork",
                                                  share=scratch.path)
            stack = contextlib.ExitStack()
            workers[name] = stack.enter_context(worker)
            return stack

        names = ["coney-a", "coney-b"] + [f"python{v.replace('.', '')}" for v in versions]
        for name in names:
            stacks[name] = start(name)
            everything.callback(lambda name=name: stacks[name].close())
        pids = {name: worker.process.pid for name, worker in workers.items()}
        host = socket.gethostname()
        check_nodes(clients[0], [f"{n}@{host}" if n.startswith("coney") else f"{n}@test"
                                 for n in names])
        in_peace(clients, path, [workers["coney-a"], workers["coney-b"]])
        through_restarts(clients, path, stacks, start)
        pids = {name: worker.process.pid for name, worker in workers.items()}
        through_a_kill(clients, path, stacks, start, "coney-b", workers)
        for name, worker in workers.items():
            assert name == "coney-b" or worker.process.pid == pids[name], name
            assert worker.process.poll() is None, name
        troubles = {name: worker.troubles() for name, worker in workers.items()
                    if name.startswith("python")}
        assert not any(troubles.values()), troubles
        coneytest.wait_for(lambda: not coneytest.busy_queues(), "all queues to be empty")
        print(f"Python's pids unchanged but for the restarts asked for, no traceback in "
              f"{', '.join(troubles)}; all queues empty")


if __name__ == "__main__":
    main()
