#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# coney-test: timeout=180
"""Task servers: the example in Perl, and some that nobody should write, under a real worker."""
import json
import os
import signal
import time

import coneytest

ENV = coneytest.ENV
EXAMPLE = f"{ENV['CONEY_SOURCE_DIR']}/config/bridge/example.pl"

# A server whose tasks are lines of Perl; it tells its pid, and where its children are.
EVAL = r"""
use strict; use JSON::PP; $| = 1;
open(my $in, '<&=', 3); open(my $out, '>&=', 4);
my $json = JSON::PP->new->utf8->allow_nonref;
sub hear { read($in, my $h, 4) == 4 or exit 0; read($in, my $t, unpack('N', $h)); $json->decode($t) }
sub say_raw { syswrite($out, $_[0]) }
sub say_json { my $t = $json->encode({@_}); say_raw(pack('N', length $t) . $t) }
hear(); say_json(type => 'ready', protocol => 1);
our $task;
sub answer { say_json(type => 'outcome', id => $task->{id}, @_) }
while ($task = hear()) {
    next if $task->{type} ne 'task';
    my $value = eval $task->{args}[0]; die $@ if $@;
    answer(outcome => 'success', value => $value) if defined $value;
}
"""


def send(config, task, *args, **options):
    """The id of a task sent by `coney send`."""
    flags = [word for name, value in options.items()
             for word in (f"--{name.replace('_', '-')}", value)]
    out, _ = coneytest.run_coney("send", "--config", config, task,
                                 *map(json.dumps, args), *flags)
    return out.strip()


def ask(config, task, *args, status=0):
    """Its result, or what `coney send --wait` says of its failure."""
    out, err = coneytest.run_coney("send", "--config", config, task, *map(json.dumps, args),
                                   "--wait", status=status)
    return json.loads(out) if status == 0 else err


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().split(") ")[1].startswith("Z")


def example(config):
    assert ask(config, "example.greet", "Ama") == "hello, Ama"
    assert ask(config, "example.sum", 1, 2, 3) == 6
    err = ask(config, "example.fail", status=1)
    assert "PerlError: no such thing" in err, err


def one_server(config):
    first = ask(config, "eval.any", "$$")
    assert ask(config, "eval.any", "$$") == first
    err = ask(config, "eval.any", "print STDERR qq(last words\\n); kill 'SEGV', $$; sleep 9",
              status=1)
    assert "WorkerLostError: the server was killed by signal 11 (SEGV)" in err, err
    second = ask(config, "eval.any", "$$")
    assert second != first and is_gone(first)
    os.kill(second, signal.SIGKILL)
    assert ask(config, "eval.any", "$$") not in (first, second)


def outcomes(config, worker):
    retried = ask(config, "eval.retry",
                  "if ($task->{retries} < 2) { answer(outcome => 'retry', delay => 0.2, args => "
                  "[$task->{args}[0], 7], kwargs => {}, max_retries => 5, exception => "
                  "{type => 'SmsError', text => '503'}); undef } else "
                  "{ [$task->{retries}, $task->{args}[1]] }")
    assert retried == [2, 7], retried
    err = ask(config, "eval.retry",
              "answer(outcome => 'retry', delay => 0, max_retries => 1, exception => "
              "{type => 'SmsError', text => '503'}); undef", status=1)
    assert "SmsError: 503" in err, err
    err = ask(config, "eval.any", "answer(outcome => 'reject', exception => {type => 'Never'});"
              "undef", status=1)
    assert "Never" in err, err
    identifier = send(config, "eval.any", "answer(outcome => 'ignore'); undef")
    worker.wait_log(f"task ignored  task=eval.any id={identifier}")
    once = coneytest.ENV["CONEY_SCRATCH"] + "/once"
    back = ask(config, "eval.any",
               f"if (!-e '{once}') {{ open(my $f, '>', '{once}'); answer(outcome => 'reject', "
               "requeue => JSON::PP::true); undef } else { [$task->{retries}, 'came back'] }")
    assert back == [0, "came back"], back
    err = ask(config, "eval.any", "answer(outcome => 'fail', max_retries => 0, exception => "
              "{type => 'Final', text => 'no'}); undef", status=1)
    assert "Final: no" in err, err


def limits(config):
    started = time.monotonic()
    told = ask(config, "eval.soft", "hear()->{type}")
    assert told == "soft_limit" and time.monotonic() - started < 15
    path = ENV["CONEY_SCRATCH"] + "/grandchild"
    err = ask(config, "eval.hard", f"my $p = fork // die; if (!$p) {{ setpgrp; open(my $f, '>', "
              f"'{path}'); print $f $$; close $f; sleep 60; exit }} sleep 60; 1", status=1)
    assert "TimeLimitExceeded" in err, err
    with open(path, encoding="ascii") as pid_file:
        pid = int(pid_file.read())
    coneytest.wait_for(lambda: is_gone(pid), "the grandchild's end")


def worn_out(config):
    pids = [ask(config, "eval.worn", "$$") for _ in range(4)]
    assert pids[0] == pids[1] and pids[2] == pids[3] and pids[1] != pids[2], pids
    big = ask(config, "eval.big", "our $x = 'x' x 60_000_000; $$")
    assert ask(config, "eval.big", "$$") != big


def nonsense(config, worker):
    err = ask(config, "eval.any", "say_raw('nonsense'); sleep 60; 1", status=1)
    assert "ServerError: the server was killed: a frame of" in err, err
    assert ask(config, "eval.any", "5") == 5
    send(config, "mute.x")
    worker.wait_log("server can't be started: it was not ready within 0.5 s; task put back")
    worker.wait_log("server can't be started", count=2)
    send(config, "broken.x")
    worker.wait_log("it exited with status 3 before it was ready")
    assert "cannot go on" in worker.log(), "what it says before its end is logged"


def unknown(config):
    err = ask(config, "example.nobody", status=1)
    assert "NotRegistered" in err, err


def main():
    with coneytest.Scratch() as scratch:
        ENV["CONEY_SCRATCH"] = str(scratch.path)
        script = scratch.path / "eval.pl"
        script.write_text(EVAL)
        server = ["/usr/bin/perl", str(script)]
        none = {"max": 0}
        tasks = {
            "example.*": {"server": [EXAMPLE], "retry": none},
            "eval.*": {"server": server, "retry": none},
            "eval.soft": {"soft_time_limit": "1s", "time_limit": "20s"},
            "eval.hard": {"time_limit": "2s"},
            "eval.worn": {"server": [*server, "worn"], "max_tasks": 2},
            "eval.big": {"server": [*server, "big"], "max_memory": "50M"},
            "mute.*": {"server": ["/bin/sleep", "60"], "start_timeout": "500ms"},
            "broken.*": {"server": ["/bin/sh", "-c", "echo cannot go on >&2; exit 3"]},
        }
        config = scratch.config(coneytest.worker_config(
            plugins=(), worker={"concurrency": 1, "unknown_task_ttl": "3s"}, tasks=tasks))
        with coneytest.Worker(config) as worker:
            example(config)
            one_server(config)
            outcomes(config, worker)
            limits(config)
            worn_out(config)
            unknown(config)
            nonsense(config, worker)
        # A delay level lets go of a message only when its queue has it.
        coneytest.wait_for(lambda: sum(map(sum, coneytest.busy_queues().values())) == 2,
                           "the two that wait for their server to be all that is left")
    evidence = {}
    for letter in coneytest.letters():
        headers = letter["properties"]["headers"]
        evidence.setdefault(headers["coney-reason"], []).append(headers)
    crash = next(h for h in evidence["crashed"] if "SEGV" in h["coney-error"])
    assert crash["coney-signal"] == 11 and crash["coney-max-rss-kib"] > 1000, crash
    assert "last words" in crash["coney-stderr"], crash
    print({reason: len(found) for reason, found in evidence.items()})


if __name__ == "__main__":
    main()
