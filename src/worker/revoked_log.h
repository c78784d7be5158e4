/* SPDX-License-Identifier: MIT */
/*
 * revoked_log.h - the stream in which revocations are kept: read from its first entry at
 * each connect, then followed; written with confirms.
 *
 * It lives on channels of its own on somebody else's session. After each connect it
 * publishes a marker; when that comes by, everything that was there before has been read.
 */
#ifndef CONEY_WORKER_REVOKED_LOG_H
#define CONEY_WORKER_REVOKED_LOG_H

#include "message/revocation.h"
#include "queue/declarer.h"

struct revoked_log;

struct revoked_log_callbacks {
    /* An entry that is not a marker. */
    void (*on_entry)(void *ctx, const struct revocation *r);
    /* Up to date, @count entries after the connect. */
    void (*on_read)(void *ctx, size_t count);
    /* The broker has what revoked_log_write() was given for @owner. */
    void (*on_written)(void *ctx, void *owner);
    /* Tried again. */
    void (*on_refused)(void *ctx, const struct coney_error *err);
    void *ctx;
};

struct revoked_log_options {
    const struct topology *topology; /* TOPOLOGY_REVOKED; borrowed for the log's life */
    const char *queue;               /* copied, like node */
    const char *node;
    struct rng *rng; /* borrowed */
    struct revoked_log_callbacks callbacks;
};

/* NULL when out of memory. */
struct revoked_log *revoked_log_new(const struct revoked_log_options *options);
/* Without callbacks; the session may be gone. NULL is ignored. */
void revoked_log_free(struct revoked_log *l);

/* The session is up: read, from the first entry. */
void revoked_log_start(struct revoked_log *l, struct session *s);
/* Look at an event of the session's. */
void revoked_log_handle(
        struct revoked_log *l, struct session *s, struct session_event *ev);
/* When to call revoked_log_tick() at the latest, on clock_mono_ms(); CLOCK_NEVER. */
int64_t revoked_log_deadline_ms(const struct revoked_log *l);
void revoked_log_tick(struct revoked_log *l, struct session *s, int64_t now_ms);

/* Whether everything up to the marker of this connection has been read. */
bool revoked_log_is_read(const struct revoked_log *l);
/* Write @r; one on_written with @owner follows once the broker has it, however long that
 * takes. CONEY_ELIMIT: too many wait; CONEY_EINVAL, CONEY_ENOMEM. */
enum coney_rc revoked_log_write(struct revoked_log *l, struct session *s,
        const struct revocation *r, void *owner) CONEY_MUST_CHECK;
/* @owner wants to hear no more; what it has written is written. */
void revoked_log_forget(struct revoked_log *l, const void *owner);

#endif /* CONEY_WORKER_REVOKED_LOG_H */
