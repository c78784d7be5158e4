#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""§10.2: every typed value of §1.5 and every codec of §1.6, both ways, and the numbers and texts
that languages disagree about. What we don't take is a dead letter that says why.
"""
import bz2
import gzip
import json
import lzma
import subprocess
import uuid
import zlib

import celerypeers
import coneytest

TOOL = f"{coneytest.ENV['CONEY_BUILD_DIR']}/tests/topology_declare"

# What Python sends (code), and what it gets back from a task in C that returns its argument:
# the value itself (SAME), or another. Celery 5.2 has no typed values: it sends text.
SAME = object()
REFUSED = object()  # by Celery, when it sends
VALUES = {
    "datetime": ("datetime.datetime(2020, 1, 2, 3, 4, 5, 678, datetime.timezone.utc)",
                 "2020-01-02T03:04:05.000678Z", SAME),
    "datetime, naive": ("datetime.datetime(2020, 1, 2, 3, 4, 5)", "2020-01-02T03:04:05", SAME),
    "datetime, east": ("datetime.datetime(2020, 1, 2, 3, 4, 5, 0, datetime.timezone("
                       "datetime.timedelta(hours=5, minutes=30)))",
                       "2020-01-02T03:04:05+05:30", SAME),
    "date": ("datetime.date(2020, 1, 2)", "2020-01-02T00:00:00", SAME),
    "time": ("datetime.time(1, 2, 3)", "01:02:03", SAME),
    "decimal": ("decimal.Decimal('1.10')", "1.10", SAME),
    "uuid": ("uuid.UUID(int=5)", str(uuid.UUID(int=5)), SAME),
    "bytes, UTF-8": ("b'abc'", REFUSED, SAME),
    "bytes, others": (r"b'\xff\x00'", REFUSED, SAME),
    "tuple": ("(1, (2,))", [1, [2]], [1, [2]]),
    "typed, deep inside": ("{'a': [decimal.Decimal('2')]}", {"a": ["2"]}, SAME),
    "non-ASCII": (r"'Gr\u00fc\u00dfe \U0001f600'", SAME, SAME),
    "zero byte": (r"'a\0b'", SAME, SAME),
    "lone surrogate": (r"'\ud800'", "\ufffd", "\ufffd"),
    "NaN": ("float('nan')", "NaN", "NaN"),
    "Infinity": ("float('inf')", "Infinity", "Infinity"),
    "-Infinity": ("-float('inf')", "-Infinity", "-Infinity"),
    "2^63": ("2**63", str(2**63), str(2**63)),
    "2^63-1": ("2**63 - 1", SAME, SAME),
    "-2^63": ("-2**63", SAME, SAME),
    "-2^63-1": ("-2**63 - 1", str(-2**63 - 1), str(-2**63 - 1)),
    "1e308": ("1e308", SAME, SAME),
    "5e-324": ("5e-324", SAME, SAME),
    "-0.0": ("-0.0", SAME, SAME),
    "a float that is whole": ("5.0", SAME, SAME),
    "true": ("True", SAME, SAME),
    "null": ("None", SAME, SAME),
    "empty": ("{}", SAME, SAME),
}


def check_there_and_back(version, client):
    for name, (code, in_52, in_55) in VALUES.items():
        wanted = in_52 if version == "5.2" else in_55
        if wanted is REFUSED:
            try:
                client(f"send('demo.echo', ({code},))")
                raise SystemError(f"Celery {version} sends {name} now: test it")
            except AssertionError as error:
                assert "serializable" in str(error), error
            print(f"{client.celery} {name}: Celery can't send it")
            continue
        if wanted is SAME:
            assert client(f"same({code})"), name
        else:
            got = client(f"there_and_back({code})")
            assert got == wanted, (name, got)
        print(f"{client.celery} {name}: "
              f"{'comes back the same, type and all' if wanted is SAME else repr(wanted)}")
    got = client("outcome(send('demo.echo'))")["value"]
    assert got == [[], {}], got
    print(f"{client.celery} no arguments: {got}")


def check_unknown_tag(client):
    """It runs; that the type can't be read is for whoever reads it."""
    tagged = "{'__type__': 'money', '__value__': 5}"
    assert client(f"outcome(send('demo.info', ({tagged},)))")["state"] == "SUCCESS"
    end = client(f"outcome(send('demo.echo', ({tagged},)))")
    assert end["state"] == "FAILURE" and end["value"]["type"] == "EncodeError", end
    print(f"{client.celery} unknown type tag: runs; a result with it is a failure: "
          f"{end['value']['args']}")


# --- codecs --------------------------------------------------------------------------------

BODY = json.dumps([[20, 22], {}, {}]).encode()
CODECS = {
    "application/x-gzip": zlib.compress(BODY), "gzip": zlib.compress(BODY),
    "zlib": zlib.compress(BODY),
    "application/x-bz2": bz2.compress(BODY), "bzip2": bz2.compress(BODY),
    "application/x-lzma": lzma.compress(BODY), "xz": lzma.compress(BODY),
    "application/x-brotli": b"\x0b\x02\x80abc\x03", "application/zstd": b"\x28\xb5\x2f\xfd",
}


def check_codecs(client):
    for name in ("gzip", "zlib"):
        assert client(f"outcome(send('demo.add', (20, 22), compression={name!r}))")["value"] == 42
        print(f"{client.celery} compression {name}: 42")
    for name in ("bzip2", "lzma"):
        task = client(f"send('demo.add', (20, 22), compression={name!r})")
        letter = celerypeers.letter_of(task)
        assert "compression" in letter["coney-error"], letter
        print(f"{client.celery} compression {name}: {letter['coney-error']}")


def check_codecs_by_hand():
    with coneytest.Producer() as producer, celerypeers.Replies() as replies:
        def send(packed, name):
            task = str(uuid.uuid4())
            producer.publish("coney.default", packed, correlation_id=task, reply_to=replies.queue,
                             headers={"task": "demo.add", "id": task, "compression": name})
            producer.confirm()
            return task

        for name, packed in CODECS.items():
            task = send(packed, name)
            if packed == zlib.compress(BODY):
                assert replies.of(task)["result"] == 42
                print(f"compression {name}: runs")
                continue
            letter = celerypeers.letter_of(task)
            assert letter["coney-reason"] == "malformed", letter
            assert f'compression "{name}"' in letter["coney-error"], letter
            print(f"compression {name}: {letter['coney-error']}")
        letter = celerypeers.letter_of(send(gzip.compress(BODY), "gzip"))
        assert "zlib stream" in letter["coney-error"], letter
        print(f"a real gzip file: {letter['coney-error']}")


# --- from C --------------------------------------------------------------------------------

# An argument of `coney send`, and what each Celery makes of it.
FROM_C = {
    '{"__type__": "datetime", "__value__": "2020-01-02T03:04:05.000678+00:00"}':
        "datetime.datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=datetime.timezone.utc)",
    '{"__type__": "date", "__value__": "2020-01-02"}': "datetime.date(2020, 1, 2)",
    '{"__type__": "time", "__value__": "01:02:03"}': "datetime.time(1, 2, 3)",
    '{"__type__": "decimal", "__value__": "1.10"}': "Decimal('1.10')",
    '{"__type__": "uuid", "__value__": {"hex": "00000000000000000000000000000005"}}':
        f"{uuid.UUID(int=5)!r}",
    '{"__type__": "bytes", "__value__": "abc"}': "b'abc'",
    '{"__type__": "base64", "__value__": "/wA="}': r"b'\xff\x00'",
    '"Gr\u00fc\u00dfe \U0001f600"': "'Gr\u00fc\u00dfe \U0001f600'",
    str(2**63 - 1): str(2**63 - 1), str(-2**63): str(-2**63), "1e308": "1e+308", "5.0": "5.0",
    "null": "None", "[]": "[]",
    # C has no number for these
    "NaN": "'NaN'", str(2**63): f"'{2**63}'",
}


def check_from_c(version, config):
    def send(argument, status=0):
        return coneytest.run_coney("send", "--config", config, "--queue", f"values{version}",
                                   "--wait", "--timeout", "20s", "py.reprs", argument,
                                   status=status)

    for argument, wanted in FROM_C.items():
        if version == "5.2" and "__type__" in argument:
            wanted = repr(json.loads(argument))
        got = json.loads(send(argument)[0])
        assert got == [wanted], (version, argument, got)
        print(f"C -> {version} {argument}: {got[0]}")
    argument = '{"__type__": "money", "__value__": 5}'
    _, err = send(argument, status=1)
    print(f"C -> {version} {argument}: refused: {err.strip()}")


def main():
    versions = celerypeers.versions()
    with coneytest.Scratch() as scratch:
        config = scratch.config(coneytest.worker_config(plugins=("demo",)))
        with coneytest.Worker(config):
            for version in versions:
                proj = celerypeers.settings(["coney.default"])
                with celerypeers.Client(version, proj) as client:
                    check_there_and_back(version, client)
                    check_unknown_tag(client)
                    check_codecs(client)
            check_codecs_by_hand()
        config = scratch.config("queues: " + json.dumps({
            f"values{version}": {"declare": "active", "type": "classic"} for version in versions}))
        subprocess.run([TOOL, "declare", config], check=True, stdout=subprocess.DEVNULL)
        for version in versions:
            proj = celerypeers.settings([{"name": f"values{version}", "no_declare": True}])
            with celerypeers.PythonWorker(version, proj):
                check_from_c(version, config)


if __name__ == "__main__":
    main()
