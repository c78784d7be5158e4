#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=120
"""A Celery client, its rpc results and a task in C: add.delay(2, 3).get() is 5, and so on."""
import celery
import celery.exceptions
import kombu

import coneytest

app = celery.Celery("client", broker=coneytest.ENV["CONEY_BROKER_AUTH_URL"].replace("amqps:", "amqp:"),
                    backend="rpc://")
app.conf.update(
    broker_use_ssl=coneytest.celery_ssl(),
    task_queues=[kombu.Queue(f"coney.{name}", no_declare=True)
                 for name in ("high", "default", "low")],
    task_default_queue="coney.default", task_create_missing_queues=False)


@app.task(name="demo.add")
def add(x, y):
    raise NotImplementedError("runs in C")


def main():
    with coneytest.Scratch() as scratch:
        config = scratch.config(coneytest.worker_config(
            plugins=("demo", "ledger"), tasks={"demo.fail": {"retry": {"max": 0}}}))
        with coneytest.Worker(config):
            assert add.delay(2, 3).get(timeout=20) == 5
            assert add.apply_async((20, 22), queue="coney.high").get(timeout=20) == 42
            echo = app.send_task("demo.echo", ("Grüße", None, 1.5), {"k": [True]})
            print("echo:", echo.get(timeout=20))

            begun = coneytest.time.time()
            assert add.apply_async((1, 1), countdown=1.5).get(timeout=20) == 2
            assert coneytest.time.time() - begun >= 1.5, "early"

            failed = app.send_task("demo.fail", ("OddError", "on purpose"))
            try:
                failed.get(timeout=20)
                raise AssertionError("demo.fail succeeded")
            except Exception as error:  # its class is made up from the result
                assert type(error).__name__ == "OddError", repr(error)
                assert "on purpose" in str(error), repr(error)
            assert failed.state == "FAILURE"

            expired = add.apply_async((1, 1), countdown=2, expires=1)
            try:
                expired.get(timeout=20)
                raise AssertionError("an expired task ran")
            except celery.exceptions.TaskRevokedError:
                pass
            path = str(scratch.path / "ledger")
            again = app.send_task("ledger.again", (path, "x", 2))
            assert again.get(timeout=30) == 2
    print("add.delay(2, 3).get() == 5; countdown, failure, expiry and retries as Celery has them")


if __name__ == "__main__":
    main()
