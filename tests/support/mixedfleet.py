# SPDX-License-Identifier: MIT
"""A mixed fleet on one shared queue, Celery's own `celery`: two workers in C, and one of each
version of Celery, with gossip and mingle, and clients of each; and waves of tasks for it.

    with coneytest.Scratch() as scratch, mixedfleet.Fleet(scratch) as fleet:
        wave = mixedfleet.Wave("first", fleet)
        assert wave.collect() == 0 and not wave.runs()

What is Coney's own there has the prefix `fleet`: a test's worker beside it takes none of it.
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
        super().__init__(scratch.config(coneytest.worker_config(
            plugins=("demo", "ledger"), events={"enabled": True},
            worker={"instance": name, "concurrency": 2, "foreign": [QUEUE]},
            queues={QUEUE: {"class": "default", "declare": "passive"}},
            tasks={"*": {"retry": RETRY}}), prefix="fleet"))

    def done_count(self):
        return self.log().count("task succeeded")


class Fleet:
    """Its workers by name, and its clients; left, every worker must have ended well."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.path = str(scratch.path / "fleet-ledger")
        self.proj = celerypeers.settings([QUEUE], shared=True,
                                         conf={"worker_send_task_events": True})
        self.versions = {f"python{v.replace('.', '')}": v for v in celerypeers.versions()}
        self.names = ["coney-a", "coney-b", *self.versions]
        self.workers, self.stacks = {}, {}
        self.everything = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.clients = [stack.enter_context(celerypeers.Client(v, self.proj))
                            for v in self.versions.values()]
            self.clients[0](f"app.amqp.queues[{QUEUE!r}](app.connection()).declare()")
            for name in self.names:
                self.start(name)
                stack.push(lambda *why, name=name: self.stacks[name].__exit__(*why))
            self.everything = stack.pop_all()
        return self

    def __exit__(self, kind, value, trace):
        return self.everything.__exit__(kind, value, trace)

    def start(self, name):
        if name in self.versions:
            worker = celerypeers.PythonWorker(self.versions[name], self.proj, "-E", name=name,
                                              pool="prefork", share=self.scratch.path)
        else:
            worker = Coney(name.removeprefix("coney-"), self.scratch)
        stack = contextlib.ExitStack()
        self.workers[name] = stack.enter_context(worker)
        self.stacks[name] = stack

    def restart(self, name):
        """Asked to stop, it must end well: with status 0, and no traceback."""
        if name in self.versions:
            self.drain(name)
        self.stacks[name].close()
        self.start(name)

    def drain(self, name):
        """A pool of Celery 5.2 that is stopped at work may never join its processes."""
        node, client = self.node(name), self.clients[0]
        client(f"app.control.cancel_consumer({QUEUE!r}, destination=[{node!r}], reply=True)")
        asked = f"app.control.inspect([{node!r}], timeout=3)"

        def is_idle():
            # In the order in which a task moves on, or it slips through between two answers.
            tasks = client(f"[{asked}.scheduled(), {asked}.reserved(), {asked}.active()]")
            return not any(one[node] for one in tasks)
        coneytest.wait_for(is_idle, f"{name} to have no task", 30)

    def kill(self, name):
        self.workers[name].kill()
        with contextlib.suppress(AssertionError):
            self.stacks[name].close()  # it says that the status is not 0
        self.start(name)

    def node(self, name):
        """Its name as ping and events have it."""
        return f"{name}@{'test' if name in self.versions else socket.gethostname()}"

    def nodes(self):
        return [self.node(name) for name in self.names]

    def prefetch(self, name):
        """How many messages the broker lets it have unsettled."""
        node = self.node(name)
        return self.clients[0](f"app.control.inspect([{node!r}], timeout=3).stats()"
                               )[node]["prefetch_count"]

    def pids(self):
        return {name: worker.process.pid for name, worker in self.workers.items()}

    def check_alive(self, pids, but=()):
        """All are the processes that they were, and Python's logs have no traceback that no task
        asked for."""
        for name, worker in self.workers.items():
            assert name in but or worker.process.pid == pids[name], name
            assert worker.process.poll() is None, name
        troubles = {name: self.workers[name].troubles() for name in self.versions}
        assert not any(troubles.values()), troubles

    def check_nodes(self):
        """Each of them answers, C and Python alike."""
        pongs = {name for reply in self.clients[0]("app.control.ping(timeout=3)")
                 for name in reply}
        print(f"ping is answered by {sorted(pongs)}")
        assert pongs == set(self.nodes()), pongs


class Wave:
    """Tasks of every kind, sent by every client in turn, and what has to come of them."""

    def __init__(self, name, fleet):
        self.path = fleet.path
        self.name = name
        self.results = collections.defaultdict(dict)
        self.labels = {}
        turn = itertools.cycle(fleet.clients)
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
        label = f"{self.name}-{label}".replace(" ", "-")
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
        """{attempt: its lines in the ledger} of those that ran more than once."""
        lines = collections.defaultdict(list)
        for line in coneytest.ledger(self.path):
            if line.label in self.labels:
                lines[line.label, line.retries].append(line)
        missing = [(label, n) for label, attempts in self.labels.items()
                   for n in range(attempts + 1) if (label, n) not in lines]
        assert not missing, f"lost: {missing}"
        return {attempt: rows for attempt, rows in lines.items() if len(rows) > 1}

    def size(self):
        return sum(map(len, self.results.values()))

    def report(self, redelivered, twice):
        print(f"{self.name}: {self.size()} tasks, all results right, "
              f"{sum(self.labels.values())} retries; {redelivered} of {ADDS} asked were "
              f"redelivered, attempts that ran twice: {list(twice)}")

    def check_peace(self):
        redelivered, twice = self.collect(), self.runs()
        self.report(redelivered, twice)
        assert not twice and not redelivered
