#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""§10.7: canvases that a C program sends through the library, for workers of ours and of every
version of Celery: chains, groups, chords, callbacks and errbacks, with results in redis and by rpc.
"""
import json
import subprocess

import celerypeers
import coneytest

TOOL = coneytest.ENV["CONEY_TEST_TOOLS"] + "/canvas_send"
TASKS = {"*": {"retry": {"max": 0}}, "py.*": {"queue": "python"}}


def t(name, *args, **more):
    return {"task": name, "args": list(args), **more}


class Program:
    def __init__(self, config):
        self.config = str(config)

    def __call__(self, canvas, *arguments, status=0):
        """What it printed, each line as a value; or what it said in vain."""
        done = subprocess.run([TOOL, *arguments], input=json.dumps(canvas), text=True, check=False,
                              capture_output=True, timeout=90,
                              env=dict(coneytest.ENV, CONEY_CONFIG=self.config))
        assert done.returncode == status, (canvas, done.stdout, done.stderr)
        return done.stderr if status else [json.loads(line) for line in done.stdout.splitlines()]

    def value(self, canvas):
        return self(canvas, "wait")[2]


def check_values(send, path):
    """By any store; where a queue is named, by its class or by its own name."""
    fan = {"group": [t("demo.add", 10), t("py.add", 20)]}
    assert send.value(t("demo.add", 2, 3)) == 5
    assert send.value({"chain": [t("demo.add", 1, 2), t("py.add", 10),
                                 t("demo.add", 100, queue="high"),
                                 t("py.add", 1000, queue="python")]}) == 1113
    assert send.value({"chain": [t("demo.add", 1, 2), t("demo.echo", 7, immutable=True)]}
                      ) == [[7], {}]
    sent, results = send({"group": [t("demo.add", n, n, id=f"{path.name}-{n}")
                                    for n in range(3)]})
    assert results == [[sent, None], [[[f"{path.name}-{n}", None], None] for n in range(3)]]
    linked = t("demo.add", 1, 1, link=t("py.join", str(path)))
    assert send.value(linked) == 2
    failing = {"chain": [t("demo.fail", "OddError", "on purpose"), t("py.add", 1)],
               "link_error": t("py.join", str(path))}
    assert send.value(failing) == "OddError: on purpose"
    coneytest.wait_for(lambda: len(coneytest.ledger(path)) == 2, "callback and errback")
    return fan


def check_chords(send, fan, redis):
    parts = [t("demo.add", n, n) if n % 2 else t("py.add", n, n) for n in range(20)]
    for body in ("demo.total", "py.total"):
        assert send.value({"chord": parts, "body": t(body)}) == 380
    assert send.value({"chain": [t("demo.add", 1, 1), fan, t("demo.total"),
                                 t("py.add", 100)]}) == 134
    inner = {"chord": parts, "body": t("demo.total")}
    assert send.value({"chord": [inner, t("demo.add", 1, 1)], "body": t("demo.total")}) == 382
    assert send.value({"chord": [], "body": t("demo.echo")}) == [[[]], {}]
    broken = {"chord": [t("demo.fail", "OddError", "on purpose"), t("demo.add", 1, 1)],
              "body": t("demo.total")}
    assert send.value(broken).endswith("raised OddError('on purpose')")
    redis.client.config_set("maxmemory", 1)
    said = send({"chord": parts, "body": t("py.total")}, status=1)
    redis.client.config_set("maxmemory", 0)
    assert "OOM" in said, said


def check_refusals(send):
    assert "args is not a JSON array" in send(
        {"chain": [t("demo.add", 1, 1), {"task": "x", "args": {}}]}, status=1)
    assert "no queue 'nowhere'" in send(t("demo.add", 1, 1, queue="nowhere"), status=1)
    deep = t("demo.add", 1, 1)
    for _ in range(20):
        deep = {"chord": [deep], "body": t("demo.total")}
    assert "deeper than" in send(deep, status=1)


def main():
    with coneytest.Scratch() as scratch, coneytest.Redis() as redis:
        backends = {"redis": redis.section(expires="1h"), "rpc": {"url": "rpc://"}}
        for version in celerypeers.versions():
            for name, results in backends.items():
                config = scratch.config(coneytest.worker_config(
                    worker={"instance": "library", "foreign": ["python"]}, results=results, plugins=("demo",), tasks=TASKS))
                proj = celerypeers.settings(
                    ["python"], backend=redis.url if name == "redis" else "rpc://",
                    conf={"task_routes": {"demo.*": {"queue": "coney.default"}}})
                proj["queues"] += [{"name": f"coney.{c}", "no_declare": True}
                                   for c in ("high", "default")]
                send = Program(config)
                path = scratch.path / f"{name}-{version}"
                with coneytest.Worker(config), celerypeers.PythonWorker(
                        version, proj, "-Q", "python", share=scratch.path):
                    fan = check_values(send, path)
                    if name == "redis":
                        check_chords(send, fan, redis)
                    else:
                        said = send({"chord": [t("demo.add", 1, 1)], "body": t("x")}, status=1)
                        assert "results.url" in said, said
                    check_refusals(send)
                print(f"Celery {version}, {name}: chains, groups, links"
                      f"{', chords' if name == 'redis' else ''} of a C program")


if __name__ == "__main__":
    main()
