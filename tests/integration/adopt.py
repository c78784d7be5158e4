#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`coney adopt`: from a live Celery worker with several queues, limits, routes and a schedule
to a configuration that `coney check` accepts and that runs its tasks through the bridge.

coney-test: timeout=180
"""

import json
import os

import shop
from coneytest import ENV, Scratch, Worker, run_coney

SUPPORT = os.path.dirname(shop.__file__)
BRIDGE = f"{ENV['CONEY_SOURCE_DIR']}/config/bridge/celery"


def check_file(path):
    text = path.read_text()
    assert "coney-secret" not in text
    assert oct(path.stat().st_mode & 0o777) in ("0o640", "0o600"), path.stat()
    out, _ = run_coney("check", "--config", path)
    assert "right" in out and "schedule=3" in out, out

    out, _ = run_coney("schedule", "list", "--config", path)
    assert "remind\tshop.mail\t0 8 * * 1-5\tAfrica/Accra\tdisabled" in out, out
    assert "count\tshop.add\tevery 30s" in out and "every 2h30m" in out, out

    values = {}
    for task in ("shop.mail", "shop.add", "shop.report"):
        out, _ = run_coney("check", "--config", path, "--explain", task)
        values[task] = {line.split()[0]: line.split()[1] for line in out.splitlines()
                        if len(line.split()) > 1}
    mail = values["shop.mail"]
    assert mail["rate_limit"] == "100/m" and mail["time_limit"] == "1m", mail
    assert mail["soft_time_limit"] == "50s" and mail["priority"] == "3", mail
    assert mail["queue"] == "mail", mail
    assert values["shop.add"]["time_limit"] == "5m", values["shop.add"]
    assert values["shop.report"]["queue"] == "reports_low", values["shop.report"]
    assert values["shop.report"]["ignore_result"] == "true", values["shop.report"]

    out, _ = run_coney("check", "--config", path, "--print")
    assert "max_priority: 10" in out and "concurrency: 3" in out, out


def check_bridge(path):
    """Celery's worker is gone: its clients do not notice."""
    assert shop.add.apply_async((20, 22), queue="shop").get(timeout=60) == 42
    assert shop.mail.delay("caf\u00e9").get(timeout=30) == "mailed caf\u00e9"
    assert shop.flaky.apply_async(queue="shop").get(timeout=30) == 2
    out, _ = run_coney("send", "--config", path, "shop.mail", '"Esi"', "--wait")
    assert out == '"mailed Esi"\n', out
    out, _ = run_coney("inspect", "registered", "--json", "--config", path)
    (tasks,) = json.loads(out).values()
    names = [task.split()[0] for task in tasks]
    assert [n for n in names if n.startswith("shop.")] == [
        "shop.add", "shop.flaky", "shop.mail", "shop.report", "shop.sleep"], names
    out, _ = run_coney("status", "--config", path)
    assert "coney@" in out and "mail" in out and "celery" not in out, out


def main():
    with Scratch() as scratch:
        config = scratch.config()
        path = scratch.path / "adopted.yaml"
        adopt = ("adopt", "--config", config, "--app", "shop", "--directory", SUPPORT,
                 "--bridge", BRIDGE, "--output", path)
        _, err = run_coney("adopt", "--config", config, "-t", "200ms", status=69)
        assert "no Celery worker answers" in err, err
        with shop.ShopWorker("w1@shop", "-c", "3") as worker:
            _, err = run_coney(*adopt)
            assert "written to" in err and "put right" not in err, err
            check_file(path)
            _, err = run_coney(*adopt, status=1)
            assert "File exists" in err, err
            out, err = run_coney("adopt", "--config", config)
            assert out.startswith("# Written by coney adopt") and "shop.flaky" in out, out
            for words, hint in ((["x"], "too many"), (["--bridge", "x"], "absolute path"),
                                (["--json"], "no --json")):
                _, err = run_coney("adopt", "--config", config, *words, status=64)
                assert hint in err, err
            assert "Traceback" not in worker.text(), worker.text()
        variables = {name: ENV[name] for name in ("CONEY_BROKER_AUTH_URL", "CONEY_CA", "PYTHONPATH")}
        text = path.read_text()
        hint = "    # environment: {DJANGO_SETTINGS_MODULE: ...}  # nothing is inherited\n"
        assert hint in text, text
        path.write_text(text.replace(hint, f"    environment: {json.dumps(variables)}\n"))
        with Worker(path) as worker:
            check_bridge(path)
            assert "Traceback" not in worker.log(), worker.log()


if __name__ == "__main__":
    main()
