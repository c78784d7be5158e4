#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""§10.7: chords over C and Python workers with results in redis, begun and judged by clients of
every version of Celery: headers and bodies in either language, in a chain, nested, failing; and
what a worker of ours does that dies with a part told and not acked.
"""
import contextlib
import json
import signal
import subprocess
import time

import celerypeers
import coneytest

TOOL = coneytest.ENV["CONEY_TEST_TOOLS"] + "/chord_tell"
ROUTES = {"task_routes": {"py.*": {"queue": "python"}, "*": {"queue": "coney.default"}}}


def settings(redis):
    return celerypeers.settings(["coney.default", "python"], backend=redis.url, conf=ROUTES)


def chord(body, *header):
    return f"celery.chord([{', '.join(header)}], {body})"


def add(n, language="demo"):
    return f"task('{language}.add', {n}, {n})"


def value(client, canvas):
    end = client(f"outcome(run({canvas}), 60)")
    assert end["state"] == "SUCCESS", (canvas, end)
    return end["value"]


def chord_keys(redis):
    return redis.client.keys("celery-taskset-meta-*")


def check_values(client, redis):
    assert value(client, chord("task('demo.total')", *map(add, range(10)))) == 90
    assert value(client, chord("task('demo.echo')", *map(add, range(100)))) == [
        [[2 * n for n in range(100)]], {}]
    assert value(client, chord("task('demo.total', ignore_result=False)",
                               "task('demo.add', 1, 1, ignore_result=True)", add(2))) == 6
    coneytest.wait_for(lambda: not chord_keys(redis), "no key of a chord to be left")
    assert value(client, chord("task('py.total')", *map(add, range(5)))) == 20
    assert value(client, chord("task('demo.total')", *(add(n, "py") for n in range(5)))) == 20
    mixed = [add(n, "py" if n % 3 else "demo") for n in range(20)]
    for body in ("demo.echo", "py.echo"):
        assert value(client, chord(f"task('{body}')", *mixed)) == [[[2 * n for n in range(20)]], {}]
    print(f"Celery {client.celery}: 10 and 100 parts, headers and bodies of C and Python, in order")


def check_shapes(client):
    """What Python alone makes of a canvas, C and Python make of it together."""
    def both(canvas):
        alone = value(client, canvas.replace("demo.", "py."))
        ours = value(client, canvas)
        together = value(client, canvas.replace("demo.add', 1", "py.add', 1"))
        assert ours == together == alone, (canvas, ours, together, alone)
        return ours
    fan = "celery.group(task('demo.add', 10), task('demo.add', 20))"
    assert both(f"celery.chain(task('demo.add', 1, 1), {fan}, task('demo.total'), "
                "task('demo.add', 100))") == 134
    inner = chord("task('demo.total')", add(1), add(2))
    assert both(chord("task('demo.total')", inner, add(3))) == 12
    assert both(chord("task('demo.total')", f"celery.chain({add(1)}, task('demo.add', 5))",
                      add(3))) == 13
    assert both(f"celery.chain({add(1)}, {fan}, task('demo.total'), {fan}, task('demo.total'))"
                ) == 34 + 34 + 30
    # The id of what a task in C sends is that of its result.
    for canvas, wanted in ((f"celery.chain({add(1)}, task('demo.add', 5))", 7), (inner, 6)):
        kid, = value(client, f"task('demo.sends', [dict({canvas})], 'well')")
        assert client(f"outcome({kid!r}, 60)")["value"] == wanted
    # Celery 5.2 waits for itself here.
    assert value(client, chord("task('demo.echo')", f"celery.chain({add(1)}, {fan})", add(3))
                 ) == [[[[12, 22], 6]], {}]
    print(f"Celery {client.celery}: in chains, of chains, nested: as Python alone")


def check_failures(client, scratch):
    def failure(canvas):  # of the body itself: Celery's own result would raise a part's
        end = client(f"outcome({canvas}.apply_async().id, 60)")
        assert (end["state"], end["value"]["type"]) == ("FAILURE", "ChordError"), (canvas, end)
        return end["value"]["args"][0]
    fails = "task('demo.fail', 'OddError', 'on purpose')"
    path = str(scratch.path / f"errbacks-{client.version}")
    told = f"task('demo.total').on_error(task('py.join', {path!r}))"
    for header in ([add(1), fails, add(2)], [add(1, "py"), fails, add(2)],
                   ["task('py.fail', 'boom')", add(1)]):
        text = failure(chord(told, *header))
        assert text.startswith("Dependency ") and (
            text.endswith(" raised OddError('on purpose')") or
            text.endswith(" raised ValueError('boom')")), text
    coneytest.wait_for(lambda: len(coneytest.ledger(path)) == 3, "three errbacks")
    assert "on purpose" in failure(chord(told, f"celery.chain({fails}, task('demo.add', 5))", add(1)))
    inner = chord("task('demo.total')", fails, add(2))
    assert "ChordError" in failure(chord("task('demo.total')", inner, add(3)))
    assert "on purpose" in failure(f"celery.chain({chord(told, fails, add(1))}, task('demo.add', 5))")
    big = chord("task('demo.echo')", *["task('demo.huge', 6000000)"] * 3)
    text = failure(big)
    assert "come to 18" in text, text
    print(f"Celery {client.celery}: ChordError names the part, errbacks are called, what follows "
          "fails too; 18 MB of results are refused")


def check_the_script(redis):
    """Only the part that makes the count full is ever told all of them, however often."""
    connection = redis.client.connection_pool.get_connection("EVAL")

    def tell(group, *part):
        """Whose part was the last, and the entries."""
        words = subprocess.run([TOOL, group, *part], check=True, stdout=subprocess.PIPE).stdout
        connection.send_packed_command([words])
        last, *rest = connection.read_response()
        return last, rest and [json.loads(entry)[1:] for entry in rest[2]]
    first, second = ["a", "SUCCESS", 1], ["b", "SUCCESS", 2]
    redis.client.set("celery-taskset-meta-ours.s", 2)
    assert tell("ours", "a", "0", "1") == (None, [])
    assert tell("ours", "a", "0", "1", "again") == (None, [])
    assert tell("ours", "b", "1", "2") == ("b", [first, second])
    assert tell("ours", "a", "0", "1", "again") == ("b", [])
    assert tell("ours", "a", "0", "7", "again") == ("b", [])
    assert tell("ours", "b", "1", "8", "again") == ("b", [["a", "SUCCESS", 7], ["b", "SUCCESS", 8]])
    # As a Python worker does it: it adds the last part, and sends the body itself.
    redis.client.set("celery-taskset-meta-theirs.s", 2)
    assert tell("theirs", "a", "0", "1") == (None, [])
    redis.client.zadd("celery-taskset-meta-theirs.j", {json.dumps([1, *second]): 1})
    assert tell("theirs", "a", "0", "1", "again") == (None, [])
    # Members that were added later, and a sender that is not done.
    redis.client.set("celery-taskset-meta-more.t", 1)
    assert tell("more", "a", "0", "1") == (None, [])
    redis.client.set("celery-taskset-meta-more.s", 1)
    assert tell("more", "b", "1", "2") == ("b", [first, second])
    assert 0 < redis.client.ttl("celery-taskset-meta-more.j") <= 60
    redis.client.connection_pool.release(connection)
    redis.client.flushall()
    print("told twice, told by Python, told too early: one part is the last, and stays it")


def check_a_death(client, redis, start, scratch):
    """With its part told, and never heard that it was the last: the next attempt has another
    result, and the body gets one of each part, and runs once."""
    path = str(scratch.path / f"death-{client.version}")
    stack = start()
    header = ["task('demo.info', countdown=2, ignore_result=True)", add(1)]
    body = client(f"run({chord(f'task({chr(39)}py.join{chr(39)}, {path!r})', *header)})")
    coneytest.wait_for(lambda: redis.client.keys("celery-taskset-meta-*.j"), "the first part")
    redis.signal(signal.SIGSTOP)
    time.sleep(3)
    stack.worker.kill()
    with contextlib.suppress(AssertionError):
        stack.close()
    redis.signal(signal.SIGCONT)
    coneytest.wait_for(lambda: redis.client.keys("celery-taskset-meta-*.c"), "the second part")
    stack = start()
    end = client(f"outcome({body!r}, 60)")
    first, second = end["value"]
    assert first["redelivered"] is True and second == 2, end
    coneytest.wait_for(lambda: not chord_keys(redis), "no key of a chord to be left")
    stack.close()
    assert len(coneytest.ledger(path)) == 1
    print(f"Celery {client.celery}: a worker killed with its part told: its second result counts, body once")


def check_kills(client, start, scratch):
    """Two workers, one killed at work."""
    path = str(scratch.path / f"kills-{client.version}")
    stacks = [start("one"), start("two")]
    bodies = [client("run(" + chord(f"task('py.join', {path!r})",
                                    *(f"task('demo.add', {n}, {k})" for n in range(50))) + ")")
              for k in range(8)]
    time.sleep(0.3)
    stacks[1].worker.kill()
    with contextlib.suppress(AssertionError):
        stacks[1].close()
    for k, body in enumerate(bodies):
        end = client(f"outcome({body!r}, 60)")
        assert end["value"] == [n + k for n in range(50)], end
    stacks[0].close()
    runs = len(coneytest.ledger(path))
    print(f"Celery {client.celery}: 8 chords of 50 parts over a kill: all right, {runs} bodies run")
    assert 8 <= runs <= 9, runs


def main():
    with coneytest.Scratch() as scratch, coneytest.Redis() as redis, \
            contextlib.ExitStack() as everything:
        def start(instance="one"):
            config = scratch.config(coneytest.worker_config(
                plugins=("demo",), results=redis.section(expires="1h"),
                worker={"foreign": ["python"], "instance": f"chord-{instance}"},
                tasks={"*": {"retry": {"max": 0}}, "py.*": {"queue": "python"}}))
            stack = contextlib.ExitStack()
            everything.callback(stack.close)
            stack.worker = stack.enter_context(coneytest.Worker(config))
            return stack
        check_the_script(redis)
        proj = settings(redis)
        for version in celerypeers.versions():
            with celerypeers.PythonWorker(version, proj, "-Q", "python",
                                          share=scratch.path), \
                    celerypeers.Client(version, proj) as client:
                with start():
                    check_values(client, redis)
                    check_shapes(client)
                    check_failures(client, scratch)
                redis.client.flushall()
                check_a_death(client, redis, start, scratch)
                check_kills(client, start, scratch)
                redis.client.flushall()
    print("chords over C and Python: every result as it must be")


if __name__ == "__main__":
    main()
