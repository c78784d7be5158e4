# SPDX-License-Identifier: MIT
"""What must have become of the example application's tasks, and what has. Pure.

Every task has its fate (see config/examples/notify.c and coney.yaml there), so every count is
known beforehand. What differs is a complaint.
"""
import collections
import dataclasses

# How often it runs, why it is a dead letter (None: it succeeds in the last attempt), what its
# dead letter must tell, and between which delays in seconds the policy may choose each retry's.
Fate = collections.namedtuple("Fate", "attempts reason signal stderr delays")

FATES = {
    "notify.send_email": Fate(1, None, None, "", []),
    "notify.send_sms": Fate(3, None, None, "", [(0, 1), (0, 2)]),
    "reports.daily": Fate(1, None, None, "", []),
    "billing.charge": Fate(3, "max_retries", None, "", [(1, 1), (2, 2)]),
    "images.resize": Fate(2, "crashed", 11, "row 7 has no pixels", [(0.25, 0.5)]),
    "video.encode": Fate(1, "timed_out", 9, "a frame that never comes", []),
}
# Scheduled tasks, and the seconds between two ticks, counted from 1970.
PERIODS = {"ops.heartbeat": 2, "ops.cleanup": 5, "ops.rollup": 60}

# A tick so close to the moment when a beat took the lead may belong to either side of it.
EDGE_US = 500_000


@dataclasses.dataclass
class Evidence:
    sent: list
    ledger: list
    asked: list
    letters: list
    queues: dict       # {name: messages}
    led_us: int        # when the first beat took the lead,
    stopped_us: int    # and when the beats were told to stop
    failovers: int     # how often a leader was killed in between
    left_behind: list  # pids of processes that a killed task has started


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0


def by_id(tuples):
    groups = collections.defaultdict(list)
    for item in tuples:
        groups[item.id].append(item)
    return groups


class Verdict:
    """Complaints, and the numbers for the tables."""

    def __init__(self, evidence):
        self.evidence = evidence
        self.complaints = []
        self.lines = by_id(evidence.ledger)
        self.letters = by_id(evidence.letters)
        self.asked = by_id(evidence.asked)
        self.tasks = [self.judge_task(task) for task in FATES]
        self.retries = [self.judge_retries(task, n) for task in FATES
                        for n in range(1, FATES[task].attempts)]
        self.ticks = [self.judge_ticks(task) for task in PERIODS]
        self.judge_strangers()
        self.judge_broker()

    def expect(self, what, wanted, found):
        if wanted != found:
            self.complaints.append(f"{what}: {found}, and must be {wanted}")

    def of(self, task):
        return [sent for sent in self.evidence.sent if sent.task == task]

    def starts(self, identifier):
        """{retries: when} of a task."""
        return {line.retries: line.at_us for line in self.lines[identifier]
                if line.event == "started"}

    def judge_task(self, task):
        fate = FATES[task]
        sent = self.of(task)
        latencies = []
        if not sent:
            self.complaints.append(f"{task}: none was sent")
        for one in sent:
            events = sorted((line.retries, line.event) for line in self.lines[one.id])
            wanted = [(n, "started") for n in range(fate.attempts)]
            if fate.reason is None:
                wanted.append((fate.attempts - 1, "done"))
            self.expect(f"{task} {one.id}: what it did", sorted(wanted), events)
            self.judge_letter(task, one.id)
            latencies += [at - one.at_us for n, at in self.starts(one.id).items() if n == 0]
        lines = [line for line in self.evidence.ledger if line.task == task]
        started = [line for line in lines if line.event == "started"]
        return (task, len(sent), len(started), sum(line.retries > 0 for line in started),
                sum(line.event == "done" for line in lines),
                sum(letter.task == task for letter in self.evidence.letters), latencies)

    def judge_letter(self, task, identifier):
        fate = FATES[task]
        wanted = [] if fate.reason is None else [(fate.reason, fate.attempts, fate.signal, True)]
        found = [(letter.reason, letter.attempts, letter.signal, fate.stderr in letter.stderr)
                 for letter in self.letters[identifier]]
        self.expect(f"{task} {identifier}: its dead letter", wanted, found)

    def judge_retries(self, task, number):
        least, most = FATES[task].delays[number - 1]
        asked_us, late_us = [], []
        for one in self.of(task):
            asked = [a for a in self.asked[one.id] if a.retry == number]
            self.expect(f"{task} {one.id}: times that retry {number} was asked for", 1, len(asked))
            started = self.starts(one.id).get(number)
            if len(asked) == 1 and started:
                asked_us.append(asked[0].delay_us)
                late_us.append(started - asked[0].eta_us)
        early = sum(late < 0 for late in late_us)
        outside = sum(not least * 1e6 <= delay <= most * 1e6 for delay in asked_us)
        self.expect(f"{task}: retries that came early", 0, early)
        self.expect(f"{task}: delays of retry {number} outside {least} to {most} s", 0, outside)
        return task, number, asked_us, late_us

    def judge_ticks(self, task):
        """A tick's time is that of its start, rounded down: it starts within its period."""
        period_us = PERIODS[task] * 1_000_000
        started = [line for line in self.evidence.ledger
                   if line.task == task and line.event == "started"]
        ids = collections.defaultdict(set)
        for line in started:
            ids[line.at_us - line.at_us % period_us].add(line.id)
        first = self.evidence.led_us - self.evidence.led_us % period_us + period_us
        wanted = set(range(first, self.evidence.stopped_us, period_us))
        optional = {at for at in wanted | {first - period_us}
                    if abs(at - self.evidence.led_us) < EDGE_US}
        missing = len(wanted - set(ids) - optional)
        twice = len(started) - len({line.id for line in started})
        self.expect(f"{task}: ticks missing", 0, missing)
        self.expect(f"{task}: ticks nobody asked for", 0, len(set(ids) - wanted - optional))
        self.expect(f"{task}: ticks with more than one id", 0,
                    sum(len(group) > 1 for group in ids.values()))
        if twice > self.evidence.failovers:
            self.complaints.append(f"{task}: {twice} ticks came twice, and may at most once for "
                                   f"each of {self.evidence.failovers} failovers")
        lates = [line.at_us % period_us for line in started]
        return task, PERIODS[task], len(wanted | (optional & set(ids))), len(ids), twice, lates

    def judge_strangers(self):
        """Nothing may run that nobody sent."""
        known = {one.id for one in self.evidence.sent}
        strangers = {line.id for line in self.evidence.ledger
                     if line.id not in known and line.task not in PERIODS}
        strangers |= {letter.id for letter in self.evidence.letters if letter.id not in known}
        self.expect("tasks that nobody sent", 0, len(strangers))
        self.expect("processes that a killed task left behind", [], self.evidence.left_behind)

    def judge_broker(self):
        """At the end only the dead letters and beat's token are left."""
        dead = sum(FATES[one.task].reason is not None for one in self.evidence.sent
                   if one.task in FATES)
        held = {name: count for name, count in self.evidence.queues.items() if count > 0}
        self.expect("messages left in queues", {"coney.beat.main": 1, "coney.dead": dead}, held)
