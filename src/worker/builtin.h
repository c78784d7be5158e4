/* SPDX-License-Identifier: MIT */
/*
 * builtin.h - the tasks that every Celery worker knows without being told.
 *
 * On a queue shared with Celery they arrive like any other. Most are answered at once,
 * without a runner:
 *
 *     celery.accumulate                  its arguments, or one of them
 *     celery.backend_cleanup             nothing: our stores forget by themselves
 *     celery.group, .chord, .chunks      what they are made of is sent
 *     celery.chain                       fails, as in Celery
 *
 * celery.map and celery.starmap run another task once for each item (mapped.h).
 */
#ifndef CONEY_WORKER_BUILTIN_H
#define CONEY_WORKER_BUILTIN_H

#include "message/task.h"
#include "worker/pool.h"

/* A success that no runner has had to do with. */
struct outcome outcome_none(void);
/* Whether @task is answered by builtin_answer(). */
bool builtin_is(const char *task);
/* The outcome of @r, for which builtin_is() holds. Its texts come from @a. */
enum coney_rc builtin_answer(const struct task_request *r, struct arena *a,
        struct outcome *out) CONEY_MUST_CHECK;

#endif /* CONEY_WORKER_BUILTIN_H */
