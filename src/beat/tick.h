/* SPDX-License-Identifier: MIT */
/* tick.h - the message that a tick becomes. */
#ifndef CONEY_BEAT_TICK_H
#define CONEY_BEAT_TICK_H

#include "config/config.h"
#include "message/task.h"

struct tick_context {
    struct config *config; /* borrowed; asked for the task's policy */
    const char *origin;    /* "gen<pid>@<host>" */
    struct rng *rng;
    int64_t now_us;
};

struct tick_message {
    struct envelope envelope; /* the caller's, for envelope_fini() */
    const char *queue;        /* lives as long as the configuration */
};

/* When it is too late to start the task: the entry's expiry, else the task's, after the
 * due time. TASK_NO_TIME: never. CONEY_ENOMEM. */
enum coney_rc tick_expires(const struct tick_context *context,
        const struct schedule_entry *entry, int64_t due_us,
        int64_t *expires_us) CONEY_MUST_CHECK;

/*
 * The message for the tick of @entry at @due_us, and the queue it goes to. The same tick
 * has the same id on every beat. CONEY_EINVAL, CONEY_ELIMIT: the entry can't be made a
 * message; CONEY_ENOMEM.
 */
enum coney_rc tick_encode(const struct tick_context *context,
        const struct schedule_entry *entry, int64_t due_us, struct tick_message *out,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_BEAT_TICK_H */
