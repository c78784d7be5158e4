/* SPDX-License-Identifier: MIT */
/*
 * orphans.h - jobs whose delivery was lost under them, by what their copy will look like.
 *
 * The key is (id, retries, queue). A running orphan waits as long as it runs; a finished
 * one for a while, and at most so many of them: the one that finished first goes first.
 */
#ifndef CONEY_WORKER_ORPHANS_H
#define CONEY_WORKER_ORPHANS_H

#include <coney/error.h>

#include <stddef.h>
#include <stdint.h>

struct orphans;
struct job;

/* NULL when out of memory. */
struct orphans *orphans_new(void);
/* The jobs are not touched; there must be none left. */
void orphans_free(struct orphans *o);

/* @job waits for its copy; its orphan field is set. CONEY_ENOMEM; CONEY_EINVAL: a job
 * with this key waits already. */
enum coney_rc orphans_add(struct orphans *o, struct job *job) CONEY_MUST_CHECK;
/* @job has finished and waits until @until_ms at most. */
void orphans_finished(struct orphans *o, struct job *job, int64_t until_ms);
/* The job that waits for this delivery, or NULL. It stays until orphans_remove(). */
struct job *orphans_find(
        const struct orphans *o, const char *id, int64_t retries, const char *queue);
/* Nothing happens when @job is not among them. */
void orphans_remove(struct orphans *o, struct job *job);

/* The finished job that has waited longest, when it has waited enough at @now_ms or when
 * more than @max finished ones wait; NULL: none. */
struct job *orphans_overdue(const struct orphans *o, int64_t now_ms, size_t max);
/* When orphans_overdue() may next give one by time alone; CLOCK_NEVER. */
int64_t orphans_deadline_ms(const struct orphans *o);
size_t orphans_count(const struct orphans *o);

#endif /* CONEY_WORKER_ORPHANS_H */
