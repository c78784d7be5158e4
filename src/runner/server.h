/* SPDX-License-Identifier: MIT */
/*
 * server.h - a task that a long-lived program runs: started at first use, asked again and
 * again, watched, and replaced when it dies.
 *
 * The program speaks config/bridge/PROTOCOL.md on its descriptors 3 and 4; its standard
 * output and error are ours. It leads a process group of its own, which is killed with
 * it. The outcome is what it says, or:
 *
 *     it dies under the task         crashed, WorkerLostError, with signal or status
 *     it breaks the protocol         crashed, ServerError; it is killed
 *     it can't be started, or is     requeue: the task waits, uncounted. The next start
 *     not ready in time              is tried after 1 s, doubling to 60 s
 */
#ifndef CONEY_RUNNER_SERVER_H
#define CONEY_RUNNER_SERVER_H

#include "runner/attempt.h"

#include <sys/types.h>

struct server_set;

/* The servers of one runner, none at first. @node is borrowed. NULL: out of memory. */
struct server_set *server_set_new(const char *node);
/* End them: their descriptor 3 closes, and after 3 s they are killed. NULL is ignored. */
void server_set_free(struct server_set *set);

/* Run @a in the server of its command line; @a's outcome says what came of it. */
void server_run(struct server_set *set, struct attempt *a);

/* Somebody has reaped child @pid, of whatever kind. */
void server_set_reaped(struct server_set *set, pid_t pid, int wait_status);

#endif /* CONEY_RUNNER_SERVER_H */
