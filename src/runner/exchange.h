/* SPDX-License-Identifier: MIT */
/*
 * exchange.h - what a runner and a task server tell each other, as bytes.
 *
 * config/bridge/PROTOCOL.md is the agreement, for whoever writes a server; here is our
 * side of it, without a descriptor or a clock. A frame is the length of its text, four
 * bytes with the highest first, and the text, one JSON object. Values that are only
 * passed on (arguments, results) keep their spelling both ways. A server is distrusted:
 * sizes, types and ranges are checked.
 */
#ifndef CONEY_RUNNER_EXCHANGE_H
#define CONEY_RUNNER_EXCHANGE_H

#include "runner/attempt.h"

enum { EXCHANGE_PROTOCOL = 1, EXCHANGE_HEAD_SIZE = 4 };

/*
 * Append a frame to @out. CONEY_ELIMIT: more than @out may hold; CONEY_ENOMEM;
 * CONEY_EINVAL: the job's body has no arguments.
 */
enum coney_rc exchange_hello(
        const char *node, size_t frame_max, struct buffer *out) CONEY_MUST_CHECK;
enum coney_rc exchange_task(const struct attempt *a, struct buffer *out) CONEY_MUST_CHECK;
enum coney_rc exchange_soft_limit(const char *id, struct buffer *out) CONEY_MUST_CHECK;

/*
 * The first frame in @in, its text borrowed until exchange_drop(). CONEY_ENOTFOUND: it is
 * not all there yet; CONEY_ELIMIT: it is longer than @max.
 */
enum coney_rc exchange_peek(const struct buffer *in, size_t max, struct bytes *text,
        struct coney_error *err) CONEY_MUST_CHECK;
void exchange_drop(struct buffer *in, struct bytes text);

enum exchange_kind { EXCHANGE_READY, EXCHANGE_LOG, EXCHANGE_OUTCOME };

/* One thing that a server said. */
struct exchange_message {
    enum exchange_kind kind;
    bool wants_signal;             /* EXCHANGE_READY: SIGUSR1 at a soft limit */
    const char *name;              /* EXCHANGE_READY: of itself, for people; NULL: none */
    struct bytes tasks;            /* EXCHANGE_READY: JSON array of names; empty: none */
    enum log_level level;          /* EXCHANGE_LOG */
    const char *text;              /* EXCHANGE_LOG */
    const char *id;                /* EXCHANGE_OUTCOME: of the task */
    struct record_outcome outcome; /* what it says; the rest is zero */
};

/*
 * Read the text of a frame. Texts of the result come from @arena, JSON points into @text.
 * CONEY_ESYNTAX: the server broke the protocol, @err says how; CONEY_ENOMEM.
 */
enum coney_rc exchange_read(struct bytes text, struct arena *arena,
        struct exchange_message *out, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_RUNNER_EXCHANGE_H */
