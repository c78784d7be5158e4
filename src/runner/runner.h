/* SPDX-License-Identifier: MIT */
/*
 * runner.h - the process that runs tasks: coney-runner.
 *
 *     coney-runner [--parent PID] [--node NAME] PLUGIN...
 *     coney-runner --list [--parent PID] PLUGIN...
 *
 * The first form is started by a worker with the descriptors that board/board.h names. It
 * becomes a process-group leader, ties its life to its parent's, closes every other
 * descriptor, loads the plugins, calls their init hooks, says that it is ready, and runs
 * jobs from the board, one at a time, until it is told to stop. It knows nothing of the
 * broker, retries or limits. Its environment is what its parent gave it: the parent
 * leaves out whatever a task must not see.
 *
 * The second form needs no board. It loads the plugins without calling a hook and writes
 * what they offer to standard output, as one JSON object on one line; everything that the
 * plugins print goes to standard error:
 *
 *     {"abi": 1, "tasks": [{"name": "demo.add", "plugin": "/usr/lib/demo.so",
 *         "doc": "x + y", "soft_time_limit_ms": null, "time_limit_ms": 5000,
 *         "max_retries": null}]}
 *
 * null: the plugin says nothing; a max_retries of 0: none. What is wrong with a plugin is
 * one line on standard error, "coney-runner: PATH: reason", and RUNNER_EXIT_PLUGIN.
 *
 * Values of --parent: the process that must be the parent still; if it isn't, the runner
 * ends at once, because the worker that wanted it is dead.
 */
#ifndef CONEY_RUNNER_RUNNER_H
#define CONEY_RUNNER_RUNNER_H

/* Exit statuses; most have the value that sysexits(3) gives such a failure. */
enum runner_exit {
    RUNNER_EXIT_OK = 0,      /* asked to stop, or the parent is gone */
    RUNNER_EXIT_USAGE = 64,  /* options that make no sense */
    RUNNER_EXIT_HOOK = 69,   /* an init hook failed */
    RUNNER_EXIT_BOARD = 70,  /* no board, one of another build, or a broken one */
    RUNNER_EXIT_SYSTEM = 71, /* the system refused something */
    RUNNER_EXIT_PLUGIN = 78  /* a plugin doesn't load, or isn't one */
};

/* What coney-runner's main() does; returns its exit status. */
int runner_main(int argc, char **argv);

#endif /* CONEY_RUNNER_RUNNER_H */
