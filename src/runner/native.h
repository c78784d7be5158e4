/* SPDX-License-Identifier: MIT */
/*
 * native.h - a task that is a function in a plugin: called, and what it says kept.
 *
 * The worker's side of <coney/task.h>.
 */
#ifndef CONEY_RUNNER_NATIVE_H
#define CONEY_RUNNER_NATIVE_H

#include "runner/attempt.h"
#include <coney/task.h>

/* Where hooks run. The public part is first, so that a plugin's pointer is ours. */
struct native_runner {
    struct coney_runner public;
    const char *node; /* borrowed */
    void (*log)(void *ctx, enum log_level level, const char *text);
    void *ctx;
};

void native_runner_init(struct native_runner *r, const char *node,
        void (*log)(void *ctx, enum log_level level, const char *text), void *ctx);

/* Run @a in @function; @a's outcome says what came of it. */
void native_run(struct attempt *a, coney_task_fn *function);

#endif /* CONEY_RUNNER_NATIVE_H */
