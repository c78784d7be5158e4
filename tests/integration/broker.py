#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""scripts/broker keeps its word: several nodes at once, TLS and EXTERNAL, data that survives a
restart and a kill, nothing beyond loopback, nothing left behind.

coney-test: no-broker timeout=180
"""

import os
import pathlib
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import time

import amqp

BROKER = os.environ["CONEY_SOURCE_DIR"] + "/scripts/broker"
# A blank, because somebody's path has one.
ROOT = tempfile.mkdtemp(prefix="coney broker.", dir=os.environ["CONEY_BUILD_DIR"])


def broker(verb, name, *arguments):
    return subprocess.run([BROKER, verb, name, *arguments], check=True, text=True,
                          stdout=subprocess.PIPE, env=dict(os.environ, CONEY_BROKER_DIR=ROOT)).stdout


def environment(name):
    assignments = shlex.split(broker("env", name))
    return dict(assignment.split("=", 1) for assignment in assignments)


def connect(env, ca="CONEY_CA", certificate=None, host="localhost", **options):
    tls = {"ca_certs": env[ca], "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host}
    if certificate:
        tls.update(certfile=env[certificate + "_CERT"], keyfile=env[certificate + "_KEY"])
    connection = amqp.Connection(f"{host}:{env['CONEY_BROKER_TLS_PORT']}", connect_timeout=10,
                                 ssl=tls, **options)
    connection.connect()
    return connection


def as_user(env, **options):
    options.setdefault(
        "password", pathlib.Path(env["CONEY_BROKER_PASSWORD_FILE"]).read_text().strip())
    return connect(env, login_method="PLAIN", userid=env["CONEY_BROKER_USER"], **options)


def by_certificate(env, certificate):
    return connect(env, certificate=certificate, login_method="EXTERNAL", userid="", password="")


def refuses(attempt, *errors):
    try:
        attempt()
    except errors:
        return
    raise AssertionError("a connection was made that must be refused")


def check_connections(env):
    for host in ("localhost", "127.0.0.1"):
        as_user(env, host=host).close()
    by_certificate(env, "CONEY_CLIENT").close()
    refuses(lambda: as_user(env, ca="CONEY_OTHER_CA"), ssl.SSLCertVerificationError)
    refuses(lambda: as_user(env, password="wrong"), amqp.AccessRefused)
    refuses(lambda: by_certificate(env, "CONEY_OTHER_CLIENT"), ssl.SSLError, ConnectionError)


def publish(env, body):
    connection = as_user(env)
    channel = connection.channel()
    channel.queue_declare("kept", durable=True, auto_delete=False)
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message(body, delivery_mode=2), routing_key="kept")
    connection.close()


def take(env):
    connection = as_user(env)
    message = connection.channel().basic_get("kept", no_ack=True)
    connection.close()
    return message.body


def processes():
    """The command lines of all processes that belong to a node below ROOT."""
    found = {}
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if ROOT in directory.joinpath("environ").read_bytes().decode(errors="replace"):
                found[int(directory.name)] = directory.joinpath("cmdline").read_bytes()
        except OSError:
            continue
    found.pop(os.getpid(), None)
    return found


def listening_beyond_loopback(pids):
    """Every address on which one of the processes listens, beside 127.0.0.1 and ::1."""
    lines = subprocess.run(["ss", "-Hltnp"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    ours = [line for line in lines if any(f"pid={pid}," in line for pid in pids)]
    assert len(ours) >= 2 * 5, lines
    return [line for line in ours
            if not line.split()[3].startswith(("127.0.0.1:", "[::1]:"))]


def check_nodes():
    starting = [subprocess.Popen([BROKER, "start", name],
                                 env=dict(os.environ, CONEY_BROKER_DIR=ROOT))
                for name in ("one", "two")]
    assert [process.wait() for process in starting] == [0, 0]
    one, two = environment("one"), environment("two")
    assert one["CONEY_BROKER_TLS_PORT"] != two["CONEY_BROKER_TLS_PORT"]
    check_connections(one)
    assert "coney-two@localhost" in broker("ctl", "two", "cluster_status")
    assert not listening_beyond_loopback(processes())

    publish(one, "first")
    broker("restart", "one")
    restarted = environment("one")
    assert restarted["CONEY_BROKER_TLS_PORT"] == one["CONEY_BROKER_TLS_PORT"]
    assert restarted["CONEY_BROKER_PID"] != one["CONEY_BROKER_PID"]
    assert take(one) == "first"
    publish(one, "second")
    broker("kill", "one")
    refuses(lambda: as_user(one), ConnectionError)
    broker("start", "one")
    assert take(one) == "second"


def main():
    try:
        check_nodes()
    finally:
        broker("stop", "one")
        broker("remove", "two")
    deadline = time.monotonic() + 10  # the helpers of a killed node follow it
    while processes():
        assert time.monotonic() < deadline, processes()
        time.sleep(0.05)
    assert os.listdir(ROOT) == ["one"]
    shutil.rmtree(ROOT)


if __name__ == "__main__":
    sys.exit(main())
