#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""Canvases over C and Python workers, each with its own queue, begun and judged by a Celery
client with the rpc backend: callbacks, errbacks, chains, groups, and what a failure does to
the rest of a chain. Chords are refused, as Celery refuses them with this backend.

Run with `worker` as argument this file is the Python worker.
"""
import pathlib
import sys

import celery
import kombu
from celery import chain, chord, chunks, group, signature
from celery.canvas import xstarmap
from celery.exceptions import TaskRevokedError

import coneytest

app = celery.Celery("canvas", broker=coneytest.ENV["CONEY_BROKER_AUTH_URL"], backend="rpc://")
app.conf.update(
    broker_use_ssl=coneytest.celery_ssl(), task_create_missing_queues=False,
    task_queues=[kombu.Queue(name, no_declare=True)
                 for name in ("python", "coney.high", "coney.default", "coney.low")],
    task_default_queue="python", worker_hijack_root_logger=False,
    task_routes={"demo.*": {"queue": "coney.default"}, "py.*": {"queue": "python"}})


@app.task(name="py.add")
def add(x, y):
    return x + y


@app.task(name="py.total")
def total(xs):
    return sum(xs)


@app.task(name="py.fail")
def fail(text):
    raise ValueError(text)


@app.task(name="py.note", bind=True)
def note(self, text, path):
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{text} {self.request.parent_id} {self.request.root_id}\n")


CAT = """python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["args"]))'"""


def c(name, *args, **options):
    return signature(name, args=args, app=app).set(**options)


class PythonWorker(coneytest.CeleryProgram):
    def __exit__(self, kind, value, trace):
        self.stop()
        text = self.text()
        super().__exit__(kind, value, trace)
        assert kind is not None or "Unrecoverable" not in text, text


def refused(result, word, kind=Exception):
    try:
        result.get(timeout=20)
    except kind as error:
        assert word in str(error), repr(error)
        return error
    raise AssertionError(f"{result} succeeded")


def lines_of(path, count):
    def read():
        lines = path.read_text().splitlines() if path.exists() else []
        return lines if len(lines) >= count else None
    lines = coneytest.wait_for(read, f"{count} lines in {path}")
    assert len(lines) == count, lines
    return [line.split() for line in lines]


def check_callbacks(scratch):
    path = scratch / "callbacks"
    linked = c("demo.add", 2, 3)
    linked.link(note.s(str(path)))
    one = linked.apply_async()
    assert one.get(timeout=20) == 5
    text, parent, root = lines_of(path, 1)[0]
    assert (text, parent, root) == ("5", one.id, one.id)
    assert len(one.children) == 1 and one.children[0].parent is None

    path = scratch / "callbacks-3"
    linked = c("demo.add", 2, 3)
    for callback in (note.s(str(path)), note.si("b", str(path)), group(note.si("c", str(path)))):
        linked.link(callback)
    three = linked.apply_async()
    assert three.get(timeout=20) == 5
    assert len(lines_of(path, 3)) == 3
    plain = three.children[-1]
    assert len(plain.results) == 2, three.children


def check_errbacks(scratch):
    path = scratch / "errbacks"
    failing = c("demo.fail", "OddError", "on purpose")
    failing.link_error(note.s(str(path)))
    failing.link(note.s(str(scratch / "never")))
    failed = failing.apply_async()
    refused(failed, "on purpose")
    assert lines_of(path, 1)[0] == [failed.id, failed.id, failed.id]
    assert not (scratch / "never").exists()


def check_chains(scratch):
    mixed = chain(c("demo.add", 1, 2), add.s(10), c("demo.add", 100)).apply_async()
    assert mixed.get(timeout=20) == 113
    assert mixed.parent.get(timeout=20) == 13 and mixed.parent.parent.get(timeout=20) == 3
    assert mixed.parent.parent.children[0].id == mixed.parent.id
    assert chain(add.s(1, 2), c("demo.add", 10), add.s(100)).apply_async().get(timeout=20) == 113
    assert chain(c("demo.add", 1, 1), c("demo.echo", 5, immutable=True),
                 c("demo.echo")).apply_async().get(timeout=20) == [[[[5], {}]], {}]

    path = scratch / "chain-errback"
    broken = chain(c("demo.add", 1, 2), c("demo.fail", "OddError", "text", immutable=True), add.s(10),
                   c("demo.add", 100)).on_error(note.s(str(path))).apply_async()
    refused(broken, "text")
    refused(broken.parent, "text")
    refused(broken.parent.parent, "text")
    assert broken.parent.parent.parent.get(timeout=20) == 3
    assert lines_of(path, 1)[0][0] == broken.parent.parent.id

    late = chain(c("demo.add", 1, 2), add.s(5)).apply_async(expires=0.001, countdown=0.5)
    refused(late, "expired", TaskRevokedError)


def check_groups():
    many = group(c("demo.add", i, i) if i % 2 else add.s(i, i) for i in range(20)).apply_async()
    assert many.get(timeout=20) == [2 * i for i in range(20)]
    fan = chain(c("demo.add", 1, 1), group(add.s(10), c("demo.add", 20), group(add.s(30))))
    assert fan.apply_async().get(timeout=20) == [12, 22, 32]


def check_options(scratch):
    """What a signature asks for reaches the message."""
    asked = chain(c("demo.add", 1, 1), c("demo.info", priority=4, queue="coney.low",
                                          headers={"tenant": "42"}, immutable=True))
    info = asked.apply_async().get(timeout=20)
    assert info["queue"] == "coney.low", info
    path = scratch / "delayed"
    delayed = c("demo.add", 1, 2)
    delayed.link(c("demo.append", str(path), "x", immutable=True).set(countdown=1.2))
    begun = coneytest.time.time()
    assert delayed.apply_async().get(timeout=20) == 3
    lines_of(path, 1)
    assert coneytest.time.time() - begun >= 1.2, "early"


def check_children(scratch):
    """What a task in C sends is its child, and goes out once, when it succeeds."""
    def sends(name, ends):
        path = scratch / name
        kids = [dict(note.s(name, str(path))), dict(chain(c("demo.add", 1, 1), note.s(str(path))))]
        return path, app.send_task("demo.sends", (kids, ends), queue="coney.default")
    for ends in ("well", "retry"):
        path, parent = sends(f"children-{ends}", ends)
        ids = parent.get(timeout=20)
        lines = sorted(lines_of(path, 2))
        assert lines[1] == [f"children-{ends}", parent.id, parent.id], lines
        assert lines[0][0] == "2" and lines[0][2] == parent.id, lines
        assert parent.children[0].id == ids[0] and len(parent.children) == 2, parent.children
    path, parent = sends("children-fail", "fail")
    refused(parent, "as asked")
    far, lost = c("py.add", 1, 2, queue="somebody.elses"), [{"task": "py.add", "options": 5}]
    told = app.send_task("demo.sends", ([dict(far)], "well"), queue="coney.default")
    assert len(told.get(timeout=20)) == 1
    told = app.send_task("demo.sends", (lost, "well"), queue="coney.default")
    assert len(told.get(timeout=20)) == 1
    coneytest.wait_for(lambda: coneytest.queue_counts()["coney.dead"][0] >= 2, "dead letters")
    errors = [letter["properties"]["headers"]["coney-error"] for letter in coneytest.letters()]
    assert any("somebody.elses" in error for error in errors), errors
    assert not path.exists()


def check_builtins():
    """Celery's own tasks on our queue; the mapped ones are C, in a plugin and a command."""
    def ask(name, *args, **kwargs):
        return app.send_task(name, args, kwargs, queue="coney.default").get(timeout=20)
    add_c, echo = dict(c("demo.add")), dict(c("demo.echo"))
    assert ask("celery.starmap", task=add_c, it=[[1, 2], [3, 4]]) == [3, 7]
    assert ask("celery.map", task=echo, it=[1, [2]]) == [[[1], {}], [[[2]], {}]]
    assert ask("celery.map", task=echo, it=[]) == []
    assert ask("celery.map", task=dict(c("sh.cat")), it=[1, 2]) == [[1], [2]]
    assert chunks(c("demo.add"), [(i, i) for i in range(5)], 2, app=app).apply_async(
        queue="coney.default").get(timeout=20) == [[0, 2], [4, 6], [8]]
    assert ask("celery.accumulate", 1, 2, 3) == [1, 2, 3]
    assert ask("celery.accumulate", 1, 2, 3, index=1) == 2
    assert ask("celery.backend_cleanup") is None
    failing = app.send_task("celery.map", kwargs={"task": dict(c("demo.fail")), "it": [1, 2]},
                            queue="coney.default")
    refused(failing, "asked to")
    after = chain(c("demo.add", 1, 1), xstarmap(c("demo.add"), [(1, 2)], app=app),
                  c("demo.echo")).apply_async()
    assert after.get(timeout=20) == [[[3]], {}]


def check_refusals(worker):
    """What a message may not want: it ends as a dead letter, and whoever waits is told."""
    far = chain(c("demo.add", 1, 1), c("demo.add", 1, queue="coney.high"),
                add.s(1).set(queue="somebody.elses"), add.s(2)).apply_async()
    refused(far, "worker.foreign")
    assert far.parent.parent.get(timeout=20) == 3
    gone = chain(c("demo.add", 1, 1), add.s(1).set(queue="py.gone")).apply_async()
    refused(gone, "no queue takes it")
    reasons = [letter["properties"]["headers"]["coney-reason"] for letter in coneytest.letters()
               if letter["properties"]["headers"]["task"].startswith("py.")]
    assert sorted(reasons) == ["forbidden", "forbidden"], reasons
    assert worker.log().count("follow-up refused") == 2

    odd = c("demo.add", 1, 1)
    odd.link(add.s(1).set(serializer="pickle"))
    odd.link(add.s(1).set(priority="high"))
    assert odd.apply_async().get(timeout=20) == 2
    coneytest.wait_for(lambda: coneytest.queue_counts()["coney.dead"][0] == 1, "a dead letter")
    letter = coneytest.letters()[0]["properties"]["headers"]
    assert letter["coney-reason"] == "forbidden" and "serializer" in letter["coney-error"], letter


def check_chords(worker):
    try:
        chord([c("demo.add", 1, 1), c("demo.add", 2, 2)], total.s()).apply_async()
        raise AssertionError("the client sent a chord without a store for it")
    except NotImplementedError:
        pass
    linked = c("demo.add", 1, 1)
    linked.link(signature({
        "task": "celery.chord", "args": [], "options": {}, "subtask_type": "chord",
        "kwargs": {"kwargs": {}, "header": [dict(add.s(1, 1))], "body": dict(total.s())}}))
    assert linked.apply_async().get(timeout=20) == 2
    coneytest.wait_for(lambda: coneytest.queue_counts()["coney.dead"][0] == 1, "a dead letter")
    letter = coneytest.letters()[0]["properties"]["headers"]
    assert "redis" in letter["coney-error"], letter
    # A part that comes all the same runs, and the log says that its chord will not be completed.
    part = app.send_task("demo.add", (1, 1), queue="coney.default", group_id="nobodys",
                         chord=dict(total.s()))
    assert part.get(timeout=20) == 2
    worker.wait_log(f"results are not kept in redis  group=nobodys id={part.id}")


def main():
    with coneytest.Scratch() as scratch:
        config = scratch.config(coneytest.worker_config(
            plugins=("demo",), worker={"foreign": ["py*"]},
            tasks={"*": {"retry": {"max": 0}}, "py.*": {"queue": "python"},
                   "demo.sends": {"retry": {"max": 1}},
                   "sh.cat": {"command": ["/bin/sh", "-c", CAT]}}))
        kombu.Connection(coneytest.ENV["CONEY_BROKER_PLAIN_AUTH_URL"]).channel().queue_declare(
            "python", durable=True, auto_delete=False)
        with coneytest.Worker(config) as worker, PythonWorker(__file__, "worker"):
            where = pathlib.Path(scratch.path)
            check_callbacks(where)
            check_errbacks(where)
            check_chains(where)
            check_groups()
            check_options(where)
            check_builtins()
            coneytest.letters()
            check_refusals(worker)
            check_chords(worker)
            check_children(where)
            coneytest.wait_for(lambda: not coneytest.busy_queues(), "all queues to be empty")
    print("callbacks, errbacks, chains and groups over C and Python; refusals told and kept")


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        app.worker_main(["worker", "--pool=solo", "--concurrency=1", "--loglevel=INFO",
                         "--without-gossip", "--without-mingle", "--hostname=python@test",
                         "-Q", "python"])
    else:
        main()
