/* SPDX-License-Identifier: MIT */
/*
 * celery_task.h - a task as a Celery worker lists it: "name [rate_limit=10/m ...]", the
 * values as Python prints them. Pure.
 */
#ifndef CONEY_CLI_CELERY_TASK_H
#define CONEY_CLI_CELERY_TASK_H

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What is asked for, as the argument `taskinfoitems`. New; NULL: out of memory. */
json_t *celery_task_items(void);

/* Texts are NULL where the task says nothing. */
struct celery_task {
    const char *name;
    const char *rate_limit;
    const char *time_limit;
    const char *soft_time_limit;
    const char *max_retries;
    const char *default_retry_delay;
    const char *ignore_result;
    const char *acks_late;
    const char *queue;
    const char *serializer;
    const char *priority;
    const char *expires;
    const char *compression;
};

/* Read @text, of what a worker has registered; texts come from @a. CONEY_ENOMEM. */
enum coney_rc celery_task_read(
        const char *text, struct arena *a, struct celery_task *out) CONEY_MUST_CHECK;

/* A number of seconds as a duration of ours, "1m30s" or "1500ms", in @out; false: it is
 * none that we could have. */
bool celery_seconds(double seconds, char *out, size_t size);
/* The same from a text. */
bool celery_seconds_text(const char *text, char *out, size_t size);
/* Celery's "10/m", "0.5/s" or "5" as a rate of ours; false likewise. */
bool celery_rate(const char *text, char *out, size_t size);

#endif /* CONEY_CLI_CELERY_TASK_H */
