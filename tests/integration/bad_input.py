#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=120
"""Bad input gets one clear line that names it, and nothing is started or lost."""
import re
import subprocess

import coneytest

ENV = coneytest.ENV


def started_and_ended(config):
    """Run a worker that is expected to end by itself: (status, output)."""
    done = subprocess.run([ENV["CONEY"], "worker", "--config", str(config)], text=True,
                          capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def write(scratch, name, text):
    path = scratch.path / name
    path.write_text(text)
    return path


def every_mistake_is_listed(scratch):
    path = write(scratch, "bad.yaml", """broker:
  urls: ["amqps://coney@localhost/"]
  pasword_file: /nowhere
worker:
  concurrency: many
  plugins: [relative.so]
tasks:
  a.b: {retry: {max: -1, base: 60}, queue: hihg}
""")
    status, output = started_and_ended(path)
    assert status == 78, (status, output)
    places = re.findall(r"bad\.yaml:(\d+):\d+: ", output)
    assert set(places) >= {"3", "5", "6", "8"}, output
    assert "password_file" in output and "high" in output, output
    assert "started  node" not in output, output
    print(f"bad config: {len(places)} mistakes listed at once, status 78")


def broken_yaml_stops_at_its_line(scratch):
    status, output = started_and_ended(write(scratch, "broken.yaml", "broker:\n  urls: [a\nx: ]]"))
    assert status == 78 and "broken.yaml:3" in output, (status, output)


def refused(scratch, what, pattern, **change):
    """The worker keeps trying, with one line for each attempt that matches the pattern."""
    broker = {"urls": [ENV["CONEY_BROKER_URL"]],
              "password_file": ENV["CONEY_BROKER_PASSWORD_FILE"],
              "tls": {"ca": ENV["CONEY_CA"]}, **change}
    config = write(scratch, f"{what}.yaml", coneytest.worker_config(broker=broker))
    without = {"CONEY_BROKER_PASSWORD": None}  # it would go before the file
    with coneytest.Coney("worker", "--config", config, environment=without) as worker:
        lines = coneytest.wait_for(
            lambda: [l for l in worker.log().splitlines()
                     if "for=consume" in l and "next attempt" in l][:2][1:], f"{what}: backoff")
        assert re.search(pattern, lines[0]), (what, lines)
        assert ENV["CONEY_BROKER_PASSWORD"] not in worker.log()
        assert "consuming" not in worker.log()
    print(f"{what}: {re.search('broker: .*', lines[0])[0][:150]}")


def plugin_that_does_not_load(scratch):
    broken = write(scratch, "broken.so", "this is no shared object")
    config = write(scratch, "plugin.yaml", coneytest.worker_config(
        broker={"urls": ["amqp://localhost:1/"]}, worker={"plugins": [str(broken)]}))
    status, output = started_and_ended(config)
    assert status == 78 and str(broken) in output, (status, output)
    print(f"plugin: {output.strip()[:150]}")


def main():
    with coneytest.Scratch() as scratch:
        every_mistake_is_listed(scratch)
        broken_yaml_stops_at_its_line(scratch)
        plugin_that_does_not_load(scratch)
        wrong = scratch.path / "wrong-password"
        wrong.write_text("not-the-password\n")
        wrong.chmod(0o600)
        refused(scratch, "password", "password|ACCESS_REFUSED", password_file=str(wrong))
        refused(scratch, "certificate", "certificate", tls={"ca": ENV["CONEY_OTHER_CA"]})
        refused(scratch, "host-name", "other.example",
                tls={"ca": ENV["CONEY_CA"], "server_name": "other.example"})
        refused(scratch, "closed-port", "refused", urls=["amqps://localhost:1/"])
        refused(scratch, "vhost", "vhost", urls=[ENV["CONEY_BROKER_URL"] + "no-such-vhost"])


if __name__ == "__main__":
    main()
