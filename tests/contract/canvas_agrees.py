#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=60 no-broker
"""Our canvas against Celery's own: both are given the same serialized signatures, as a worker
finds them in a message, and must send the same messages, field by field, and set the same
chord sizes. Identifiers differ, of course: they are compared by where they come back.

Celery is put right in three places, where what it does depends on its version or is of no use:

  - A group that stands last in a member of another group gets the other's identifier there, and
    with it sets the size of the other's chord once more, and wrongly: it gets one of its own.
  - A chain that is the body of a chord goes by no name (5.2), or by that of the group (5.5), and
    when the chord fails, nobody who waits for the chain is told: it goes by that of its last task.
  - The members of an inner group count from nought again where no chord waits (5.5): they go on.

Besides, Celery 5.2 numbers the members of chords only, and does not name a chord's group in its
body.
"""
import json
import os
import re
import subprocess

import celery
from celery import chain, chord, group, signature
from celery._state import _task_stack
from celery.backends.redis import RedisBackend
from celery.canvas import _chain
from celery.utils import uuid

TOOL = os.environ["CONEY_TEST_TOOLS"] + "/canvas_plan"
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")

done = []  # what Celery has done


class Recorder(RedisBackend):
    def on_task_call(self, producer, task_id):
        pass

    def add_pending_result(self, result, weak=False, start_drainer=True):
        return result

    def set_chord_size(self, group_id, chord_size):
        done.append({"size": [group_id, chord_size]})

    def save_group(self, group_id, result):
        done.append({"save": json.loads(json.dumps(result.as_tuple()))})


def freeze_with_own_id(self, *args, freeze=group.freeze, **kwargs):
    self.options.setdefault("task_id", uuid())
    return freeze(self, *args, **kwargs)


def prepare_and_name(self, *args, prepare=_chain.prepare_steps, **kwargs):
    steps, results = prepare(self, *args, **kwargs)
    if results:
        self.options["task_id"] = results[0].id
    return steps, results


def prepare_in_one_count(self, *args, prepare=group._prepared, **kwargs):
    for index, prepared in enumerate(prepare(self, *args, **kwargs)):
        if "group_index" in prepared[0].options:
            prepared[0].options["group_index"] = index
        yield prepared


group.freeze = freeze_with_own_id
group._prepared = prepare_in_one_count
_chain.prepare_steps = prepare_and_name
app = celery.Celery("canvas_agrees", broker="memory://", set_as_current=True)
app._local.backend = Recorder(app=app, url="redis://127.0.0.1:1/0")


def record(_producer, name, message, **options):
    if not json.dumps(message.body):
        raise AssertionError
    done.append({"send": {
        "headers": dict(message.headers, **(options.get("headers") or {})),
        "body": json.loads(json.dumps(message.body)),
        "reply_to": message.properties["reply_to"], "queue": getattr(
            options.get("queue"), "name", options.get("queue")),
        "exchange": options.get("exchange"), "routing_key": options.get("routing_key"),
        "priority": options.get("priority")}})


app.amqp.send_task_message = record


@app.task(name="proj.add")
def add(*xs):
    return sum(xs)


@app.task(name="proj.tsum")
def tsum(*xs):
    return sum(xs)


@app.task(name="proj.parent")
def parent(*_):
    pass


def serialized(sig):
    return json.loads(json.dumps(sig))


def by_celery(request):
    """What a Celery worker does with it: as celery.app.trace.trace_task."""
    done.clear()
    parent.push_request(id="parent", root_id="root", called_directly=False,
                        delivery_info={}, children=[])
    _task_stack.push(parent)
    try:
        args = tuple(request.get("args", ()))
        how = {"parent_id": "parent", "root_id": "root", "priority": None}
        callbacks = [signature(s, app=app) for s in request.get("callbacks") or ()]
        if len(callbacks) > 1:
            for sig in callbacks:
                if isinstance(sig, group):
                    sig.apply_async(args, **how)
            others = [sig for sig in callbacks if not isinstance(sig, group)]
            if others:
                group(others, app=app).apply_async(args, **how)
        elif callbacks:
            callbacks[0].apply_async(args, **how)
        if request.get("chain"):
            rest = list(request["chain"])
            signature(rest.pop(), app=app).apply_async(args, chain=rest, **how)
        if request.get("signature"):
            signature(request["signature"], app=app).apply_async(args, **how)
        children = [child.as_tuple() for child in parent.request.children]
    finally:
        _task_stack.pop()
        parent.pop_request()
    return list(done) + [{"children": json.loads(json.dumps(children)) or None}]


NOT_COMPARED = {"chord_size", "lang", "origin", "argsrepr", "kwargsrepr", "stamps", "shadow",
                "replaced_task_nesting", "priority", "add_to_parent"}


def clean(value, key=None):
    """Without nulls, what only differs by version, and what is nobody's business. Whoever
    applies a signature that is inside a message says itself who the parent is."""
    if isinstance(value, dict):
        value = {k: clean(v, k) for k, v in value.items()
                 if v is not None and k not in NOT_COMPARED}
        if key == "options":
            value.pop("root_id", None)
            value.pop("parent_id", None)
        if key == "chord":
            value.get("options", {}).pop("group_id", None)
        if key == "header":  # says again what its members say
            value.get("options", {}).pop("chord", None)
        if "expires" in value:
            value["expires"] = "some time"
        return value
    if isinstance(value, list):
        return [clean(v) for v in value]
    return value


def without_parents(tuples):
    return [[identifier, members and without_parents(members)]
            for (identifier, _), members in tuples]


def by_order(actions, names):
    """Identifiers by the order in which they come: messages first. When a size is set, and a
    shape kept, matters only in that it is before the last message."""

    def rename(value):
        if isinstance(value, dict):
            return {k: rename(value[k]) for k in sorted(value)}
        if isinstance(value, list):
            return [rename(v) for v in value]
        if isinstance(value, str) and UUID.match(value):
            return names.setdefault(value, f"id-{len(names)}")
        return value
    sends = [rename(a) for a in actions if "send" in a]
    children = [rename(without_parents(a["children"])) for a in actions if "children" in a]
    saves = [rename(without_parents([a["save"]])) for a in actions if "save" in a]
    sizes = sorted(rename(a["size"]) for a in actions if "size" in a)
    return {"sends": sends, "children": children, "saves": saves, "sizes": sizes}


def unset(key, value):
    """A default of the app that Celery writes down and we leave out."""
    return (key == "reply_to" and value in (app.thread_oid, "") or
            key == "queue" and value == "celery" or key == "ignore_result" and value is False)


def without_defaults(value):
    if isinstance(value, dict):
        return {k: without_defaults(v) for k, v in value.items() if not unset(k, v)}
    return [without_defaults(v) for v in value] if isinstance(value, list) else value


def comparable(actions):
    return by_order(clean(without_defaults(actions)), {})


def drop_unnumbered(ours, theirs):
    """5.2 leaves group_index out where no chord waits."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if "group_index" not in theirs:
            ours.pop("group_index", None)
        for key in set(ours) & set(theirs):
            drop_unnumbered(ours[key], theirs[key])
    elif isinstance(ours, list) and isinstance(theirs, list):
        for a, b in zip(ours, theirs):
            drop_unnumbered(a, b)


def frozen(sig):
    """The chain a client would put into the first task's message."""
    done.clear()
    sig.apply_async()
    return done[0]["send"]["body"][2]["chain"]


def link(sig, *callbacks, **options):
    for callback in callbacks:
        sig.link(callback)
    return sig.set(**options)


def differences(ours, theirs, path=""):
    """Where the two differ, a line each."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) | set(theirs)):
            yield from differences(ours.get(key), theirs.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (a, b) in enumerate(zip(ours, theirs)):
            yield from differences(a, b, f"{path}[{i}]")
    elif ours != theirs:
        yield f"  {path}: ours {json.dumps(ours)}, Celery's {json.dumps(theirs)}"


def requests():
    one = serialized(add.s(1))
    many = {
        "task": add.s(1), "immutable": add.si(1, 2),
        "options": add.s(1).set(queue="other", expires=60, time_limit=5, soft_time_limit=2.5,
                                priority=3, ignore_result=True, headers={"x-mine": [1, "a"]}),
        "given id": add.s(1).set(task_id="mine", reply_to="somewhere"),
        "links": link(add.s(1), add.s(2), tsum.s()).on_error(parent.si()),
        "group": group(add.s(1), add.s(2), add.si(3, 4)),
        "group in group": group(add.s(1), group(add.s(2), group(add.s(3)), add.s(4))),
        "empty group": group(),
        "chain": chain(add.s(1), add.s(2), add.s(3)),
        "chain of chains": chain(add.s(1), chain(add.s(2), add.s(3))),
        "chain with errback": chain(add.s(1), add.s(2)).on_error(parent.si()),
        "group of chains": group(chain(add.s(1), add.s(2)), chain(add.s(3), add.s(4))),
        "chord": chord([add.s(1), add.s(2)], tsum.s()),
        "chord of one": chord([add.s(1)], tsum.s()),
        "chord of chains": chord([chain(add.s(1), add.s(2)), add.s(3)], tsum.s()),
        "chord in chord": chord([chord([add.s(1), add.s(2)], tsum.s()), add.s(3)], tsum.s()),
        "chord with chain body": chord([add.s(1), add.s(2)], chain(tsum.s(), add.s(5))),
        "chord with group body": chord([add.s(1), add.s(2)], group(tsum.s(), tsum.s())),
        "chord of a chain that ends in a group":
            chord([chain(add.s(1), group(add.s(2), add.s(3))), add.s(4)], tsum.s()),
        "group in chain": chain(add.s(1), group(add.s(2), add.s(3)), tsum.s()),
        "group in chain, more after": chain(add.s(1), group(add.s(2), add.s(3)), tsum.s(),
                                            add.s(9)),
        "group at the end": chain(add.s(1), group(add.s(2), add.s(3))),
        "two groups": chain(group(add.s(2), add.s(3)), group(tsum.s(), tsum.s())),
        "three groups": chain(group(add.s(2), add.s(3)), group(tsum.s(), tsum.s()), tsum.s(),
                              group(add.s(7), add.s(8))),
        "empty header": chord([], tsum.s()),
        "map": add.map([1, 2, 3]), "starmap": add.starmap([(1, 2), (3, 4)]),
        "chunks": add.chunks([(1, 2), (3, 4), (5, 6)], 2),
        "starmaps in a chain": chain(add.s(1), add.starmap([(1, 2)]), tsum.s()),
        "chord of starmaps": chord([add.starmap([(1, 2)]), add.map([1])], tsum.s()),
    }
    for name, sig in many.items():
        yield name, {"signature": serialized(sig), "args": [7]}
        yield f"{name}, as callback", {"callbacks": [serialized(sig)], "args": [7]}
        yield f"{name}, one of three", {"callbacks": [one, serialized(sig), one], "args": [7]}
        if name not in ("empty group", "empty header", "two groups", "three groups"):
            yield f"{name}, next in a chain", {
                "chain": frozen(chain(add.s(0, 0), sig)), "args": [7]}
            yield f"{name}, in the middle of a chain", {
                "chain": frozen(chain(add.s(0, 0), sig, tsum.s(), add.s(8))), "args": [7]}
    yield "no arguments", {"signature": one}
    yield "nothing", {"callbacks": [], "chain": [], "args": [1]}
    yield "groups among the callbacks", {
        "callbacks": [serialized(group(add.s(1), add.s(2))), one,
                      serialized(group(add.s(3), add.s(4)))], "args": [7]}


def main():
    tool = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    count = messages = 0
    wrong = []
    for name, request in requests():
        tool.stdin.write(json.dumps(request) + "\n")
        tool.stdin.flush()
        ours = comparable(json.loads(tool.stdout.readline()))
        theirs = comparable(by_celery(json.loads(json.dumps(request))))
        drop_unnumbered(ours, theirs)
        if ours != theirs:
            wrong += [f"--- {name}", *differences(ours, theirs)]
        count += 1
        messages += len(ours["sends"])
    tool.stdin.close()
    assert tool.wait() == 0
    print("\n".join(wrong))
    assert not wrong, "canvases differ"
    print(f"{count} canvases, {messages} messages, the same as Celery {celery.__version__}'s")


if __name__ == "__main__":
    main()
