/* SPDX-License-Identifier: MIT */
/*
 * command.h - a task that is a program: what it is told, and how its end is read.
 *
 * On standard input it gets one JSON object and a newline:
 *
 *     {"id": "7f3a…", "task": "reports.weekly", "args": [], "kwargs": {}, "retries": 0,
 *      "redelivered": false, "queue": "coney.low", "root_id": null, "parent_id": null,
 *      "deadline": 1732110242.123456}
 *
 * deadline is when its first limit passes, in seconds since 1970, or null. The
 * environment is the one configured, PATH (if that has none) and:
 *
 *     CONEY_ID, CONEY_TASK, CONEY_RETRIES   as above
 *     CONEY_DEADLINE                        in whole seconds, rounded down; only if there
 *                                           is a limit
 *
 * Nothing else is inherited. At the soft limit it gets SIGTERM, once.
 *
 * The outcome, by exit status (the lists are configuration, the defaults in brackets):
 *
 *     ok_exit [0]       success. Standard output without white space around it is the
 *                       result: one JSON value, or else a text; nothing: null
 *     retry_exit [75]   retry, CommandRetry
 *     reject_exit []    reject, CommandRejected
 *     any other         fail, CommandFailed; after a SIGTERM for its soft limit
 *                       SoftTimeLimitExceeded
 *     a signal          fail, CommandCrashed; likewise
 *     not started       fail, CommandNotStarted
 *     too much output   fail, OutputTooLarge: it got SIGTERM, and its output was closed
 *
 * The last line of its standard error ends the text of an error; the last 8 KiB are the
 * traceback. Standard error is also forwarded to ours.
 */
#ifndef CONEY_RUNNER_COMMAND_H
#define CONEY_RUNNER_COMMAND_H

#include "runner/attempt.h"

/* Run @a's command; @a's outcome says what came of it. */
void command_run(struct attempt *a);

#endif /* CONEY_RUNNER_COMMAND_H */
