/* SPDX-License-Identifier: MIT */
/*
 * reader.h - reads what became of tasks out of the result store, and waits for it; and
 * writes what a chord's workers must find there.
 *
 * A waiting caller drives it in its own thread. Two connections: one asks, one hears what
 * is published on a task's key; whatever is missed between the two, or over a loss, is
 * found by asking again once a second. A reader serves one call at a time; a client keeps
 * idle ones for the next.
 */
#ifndef CONEY_LIB_READER_H
#define CONEY_LIB_READER_H

#include "base/rng.h"
#include "config/config.h"
#include "message/result.h"
#include "redis/redis.h"

struct reader {
    struct reader *next; /* among the idle ones of a client */
    struct rng rng;
    uint64_t calls;        /* so far: an answer to an earlier one is not this one's */
    struct redis *asking;  /* owned */
    struct redis *hearing; /* owned; NULL until somebody has to wait */
    const struct results_config *config; /* borrowed */
    struct coney_error why;              /* the store can't be asked; CONEY_OK: it can */
};

/* @config is borrowed; it names a store. Errors as of redis_new(). */
enum coney_rc reader_new(const struct results_config *config, struct reader **out,
        struct coney_error *err) CONEY_MUST_CHECK;
void reader_free(struct reader *r);

/*
 * What the store has of the task @id, by @deadline_ms on clock_mono_ms() at the latest.
 * @out is the caller's, for result_message_fini(); its task_id is NULL when there is
 * nothing. CONEY_ETIMEOUT, CONEY_ECLOSED (not to be reached in time),
 * CONEY_EREFUSED (password), CONEY_ESYNTAX (what is there is no result), CONEY_ENOMEM.
 */
enum coney_rc reader_get(struct reader *r, const char *id, int64_t deadline_ms,
        struct result_message *out, struct coney_error *err) CONEY_MUST_CHECK;
/* The same until the task is through. Not by the deadline: CONEY_ETIMEOUT. */
enum coney_rc reader_wait(struct reader *r, const char *id, int64_t deadline_ms,
        struct result_message *out, struct coney_error *err) CONEY_MUST_CHECK;
/* Delete what the store has of it. Errors as of reader_get(). */
enum coney_rc reader_forget(struct reader *r, const char *id, int64_t deadline_ms,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Carry out @commands, which must bear to be carried out twice. Errors as of
 * reader_get(). */
enum coney_rc reader_write(struct reader *r, const struct redis_commands *commands,
        int64_t deadline_ms, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_LIB_READER_H */
