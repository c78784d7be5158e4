#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=240
"""§10.1: what Celery sends, Coney runs: .delay(), send_task and every option of §1.1, from each
Celery; what Coney sends, each Celery runs; and the two messages are the same, field by field.
"""
import json
import pathlib
import subprocess

import celerypeers
import coneytest

TOOL = f"{coneytest.ENV['CONEY_BUILD_DIR']}/tests/topology_declare"
CONEY = [f"coney.{name}" for name in ("default", "high", "low")]

# An option, as Python code, and what the task that it is sent to must say.
OPTIONS = {
    "no option": ("", {"retries": 0, "redelivered": False, "queue": "coney.default"}),
    "task_id": ("task_id='mine-%s'", {"id": "mine-%s", "root_id": "mine-%s"}),
    "queue": ("queue='coney.high'", {"queue": "coney.high"}),
    "countdown": ("countdown=1.2", {"retries": 0}),
    "eta": ("eta=now(seconds=1)", {"retries": 0}),
    "expires": ("expires=100", {"retries": 0}),
    "expires, a time": ("expires=now(minutes=5)", {"retries": 0}),
    "time_limit": ("time_limit=60", {"limited": True}),
    "soft_time_limit": ("time_limit=60, soft_time_limit=50", {"limited": True}),
    "priority": ("priority=5", {"retries": 0}),
    "shadow": ("shadow='my.alias'", {"name": "demo.info"}),
    "header": ("headers={'x-custom': 'v1'}", {"retries": 0}),
    "compression": ("compression='gzip'", {"retries": 0}),
    "group": ("group_id='g-1', group_index=3", {"retries": 0}),
    "root and parent": ("root_id='r-1', parent_id='p-1'", {"root_id": "r-1", "parent_id": "p-1"}),
    "retries": ("retries=2", {"retries": 2}),
    "ignore_result=False": ("ignore_result=False", {"retries": 0}),
    "protocol 1": ("protocol=1", {"retries": 0}),
    "all": ("countdown=1, expires=100, time_limit=60, soft_time_limit=50, priority=5, "
            "shadow='my.alias', headers={'x-custom': 'v1'}, task_id='all-%s', queue='coney.low', "
            "compression='zlib'",
            {"id": "all-%s", "queue": "coney.low", "limited": True}),
}


def check_info(version, client, firehose, option):
    code, wanted = OPTIONS[option]
    if code == "protocol=1":
        client("app.conf.update(task_protocol=1)")
        client("app.amqp.__dict__.pop('create_task_message', None)")
        code = ""
    code = code.replace("%s", version)
    task = client(f"send('demo.info', (), {{}}, {code})")
    if option == "protocol 1":
        client("app.conf.update(task_protocol=2)")
        client("app.amqp.__dict__.pop('create_task_message', None)")
        sent = [m for m in firehose.seen() if m.properties.get("correlation_id") == task][0]
        assert "task" not in sent.headers and json.loads(sent.body)["utc"], sent
    end = client(f"outcome({task!r})")
    assert end["state"] == "SUCCESS", (option, end)
    got = end["value"]
    got["limited"] = 40e3 < got["remaining_ms"] <= 60e3
    for key, value in wanted.items():
        value = value.replace("%s", version) if isinstance(value, str) else value
        assert got[key] == value, (option, key, got)
    print(f"Celery {client.celery} -> C, {option}: {wanted}")


def check_celery_to_c(version, firehose):
    with celerypeers.Client(version, celerypeers.settings(CONEY)) as client:
        client("stub('demo.add')")
        assert client("outcome(app.tasks['demo.add'].delay(2, 3).id)")["value"] == 5
        print(f"Celery {client.celery} -> C, .delay(2, 3): 5")
        assert client("outcome(app.tasks['demo.add'].s(2).apply_async((3,)).id)")["value"] == 5
        echo = client("outcome(send('demo.echo', ('Gr\\u00fc\\u00dfe', None, 1.5), {'k': [True]}))")
        assert echo["value"] == [["Gr\u00fc\u00dfe", None, 1.5], {"k": [True]}], echo
        for option in OPTIONS:
            check_info(version, client, firehose, option)
        failed = client("outcome(send('demo.fail', ('OddError', 'on purpose')))")
        assert failed["value"] == {"type": "OddError", "args": ["on purpose"]}, failed
        assert failed["state"] == "FAILURE"
        check_ignored(client, firehose)


def check_ignored(client, firehose):
    """No result for a task whose sender wants none; the one after it shows that it has run."""
    ignored = client("send('demo.info', ignore_result=True)")
    assert client("outcome(send('demo.add', (1, 1)))")["value"] == 2
    answers = [m for m in firehose.seen() if m.properties.get("correlation_id") == ignored
               and not m.headers.get("task")]
    assert not answers, answers
    print(f"Celery {client.celery} -> C, ignore_result=True: no result")


# --- the other way -------------------------------------------------------------------------

def check_c_to_celery(version, config, queue):
    send = ("send", "--config", config, "--queue", queue, "--wait", "--timeout", "20s")

    def result(*arguments):
        return json.loads(coneytest.run_coney(*send, *arguments)[0])

    assert result("py.add", "2", "3") == 5
    assert result("py.add", "2", "-3", "--kwargs", '{"scale": 10}') == -10
    assert result("py.add", '"a"', '"\u00e9"') == "a\u00e9"
    assert result("py.flaky") == 2
    _, err = coneytest.run_coney(*send, "py.fail", '"boom"', status=1)
    assert "ValueError: boom" in err, err
    _, err = coneytest.run_coney(*send, "py.unknown", status=1)
    assert "NotRegistered" in err, err
    got = result("py.request", "--id", f"c-{version}", "--header", "tenant=42", "--expires", "1h",
                 "--time-limit", "90s", "--soft-time-limit", "60s", "--countdown", "1500ms")
    wanted = {"id": f"c-{version}", "root_id": f"c-{version}", "tenant": "42",
              "timelimit": [90, 60], "retries": 0, "group": None, "parent_id": None,
              "shadow": None, "correlation_id": f"c-{version}", "argsrepr": "()"}
    assert {key: got[key] for key in wanted} == wanted, got
    assert got["eta"] and got["expires"]
    print(f"C -> Celery {version}: results, failures, {wanted}")


# --- field by field ------------------------------------------------------------------------

# What may differ, and what ours must look like.
DIFFERENT = {
    "lang": lambda ours, theirs: (ours, theirs) == ("c", "py"),
    "origin": lambda ours, theirs: ours.split("@")[1] == theirs.split("@")[1],
    "eta": lambda ours, theirs: len(ours) == len(theirs) == 32 and ours.endswith("+00:00"),
    "expires": lambda ours, theirs: len(ours) == len(theirs) == 32 and ours.endswith("+00:00"),
    "ignore_result": lambda ours, theirs: ours is None and theirs is False,
    "reply_to": lambda ours, theirs: ours == "" and theirs,
    # a header decides, so that a worker sees it expire and says so, instead of the broker
    "expiration": lambda ours, theirs: ours is None and theirs,
    # 5.2 does not know them
    "replaced_task_nesting": lambda ours, theirs: ours == 0 and theirs is None,
    "stamps": lambda ours, theirs: ours == {} and theirs is None,
    # for people who look at queues
    "priority": lambda ours, theirs: ours is None and theirs == 0,
    "app_id": lambda ours, theirs: ours == "coney" and theirs is None,
    "message_id": lambda ours, theirs: ours and theirs is None,
    "timestamp": lambda ours, theirs: ours and theirs is None,
    "type": lambda ours, theirs: ours == "demo.add" and theirs is None,
}


def compare(what, ours, theirs):
    equal = 0
    for key in sorted(set(ours) | set(theirs)):
        mine, other = ours.get(key), theirs.get(key)
        if type(mine) is type(other) and mine == other:
            equal += 1
            continue
        assert key in DIFFERENT and DIFFERENT[key](mine, other), (what, key, mine, other)
        print(f"  {what} {key}: {mine!r} where Celery has {other!r}")
    return equal


def check_fields(version, client, config, firehose):
    cases = {
        "plain": (["2", "3"], "(2, 3)", ""),
        "expires": (["2", "3", "--expires", "100s"], "(2, 3)", "expires=100"),
        "options": (["2", "--kwargs", '{"y": 3}', "--time-limit", "60s", "--soft-time-limit", "50s",
                     "--countdown", "1h", "--expires", "2h", "--priority", "5", "--header",
                     "x-custom=v1"],
                    "(2,), {'y': 3}", "countdown=3600, expires=7200, time_limit=60, "
                    "soft_time_limit=50, priority=5, headers={'x-custom': 'v1'}"),
    }
    for name, (arguments, code, options) in cases.items():
        task = f"{name}-{version}"
        coneytest.run_coney("send", "--config", config, "--queue", "fields", "demo.add",
                            *arguments, "--id", task)
        client(f"send('demo.add', {code}, queue='fields', task_id={task!r}, {options})"
               .replace(", )", ")"))
        ours, theirs = firehose.of_task(task)
        if ours.properties.get("app_id") != "coney":
            ours, theirs = theirs, ours
        assert json.loads(ours.body) == json.loads(theirs.body), (ours.body, theirs.body)
        assert ours.body == theirs.body, (ours.body, theirs.body)
        print(f"fields, {name}, Celery {client.celery}: body the same to the byte")
        equal = compare("property", ours.properties, theirs.properties)
        equal += compare("header", ours.headers, theirs.headers)
        print(f"  and {equal} fields equal in type and value")


def main():
    versions = celerypeers.versions()
    with coneytest.Scratch() as scratch, celerypeers.Firehose() as firehose:
        queues = {f"python{version}": {"class": "default", "declare": "active",
                                       "type": "classic" if version == "5.2" else "quorum"}
                  for version in versions}
        config = scratch.config(coneytest.worker_config(
            plugins=("demo",), tasks={"demo.fail": {"retry": {"max": 0}}}))
        senders = scratch.config("queues: " + json.dumps(
            dict(queues, fields={"declare": "active", "type": "classic"})))
        subprocess.run([TOOL, "declare", senders], check=True, stdout=subprocess.DEVNULL)
        with coneytest.Worker(config):
            for version in versions:
                check_celery_to_c(version, firehose)
        for version in versions:
            queue = {"name": f"python{version}", "no_declare": True,
                     "arguments": {"x-queue-type": queues[f"python{version}"]["type"]}}
            with celerypeers.PythonWorker(version, celerypeers.settings([queue])):
                check_c_to_celery(version, senders, queue["name"])
            fields = celerypeers.settings([{"name": "fields", "no_declare": True}])
            with celerypeers.Client(version, fields) as client:
                check_fields(version, client, senders, firehose)
    print(f"all options from and to {', '.join(versions)}; "
          f"{pathlib.Path(__file__).stem}: every case as it must be")


if __name__ == "__main__":
    main()
