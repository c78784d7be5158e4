/* SPDX-License-Identifier: MIT */
/*
 * dead_letter.h - the evidence in the headers of a message that failed for good.
 *
 * Body and task headers stay as they came; what is added begins with coney- and takes at
 * most 16 KiB: the oldest history goes first, then long texts are cut. Headers travel in
 * one frame: of a message that came with 100 KiB and more of them less evidence is kept,
 * and if even the core does not fit beside them, the largest headers go.
 */
#ifndef CONEY_MESSAGE_DEAD_LETTER_H
#define CONEY_MESSAGE_DEAD_LETTER_H

#include "base/envelope.h"
#include <coney/error.h>

enum dead_reason {
    DEAD_MAX_RETRIES,
    DEAD_FAILED,
    DEAD_CRASHED,
    DEAD_TIMED_OUT,
    DEAD_MALFORMED,
    DEAD_UNKNOWN_TASK,
    DEAD_REJECTED,
    DEAD_FORBIDDEN
};

enum { DEAD_EVIDENCE_MAX = 16 * 1024, DEAD_HISTORY_MAX = 10 };

/* "max_retries" and so on. */
const char *dead_reason_name(enum dead_reason reason);

/* One finished attempt, for the history that travels with a task from retry to retry. */
struct attempt {
    int64_t at_us; /* when it ended, wall time */
    int64_t duration_ms;
    const char *node;    /* coney@host */
    const char *outcome; /* "retry", "failed", "crashed", "timed_out" */
    const char *error;   /* type and text, cut at 300 bytes; NULL: none */
};

struct evidence {
    enum dead_reason reason;
    const char *error; /* "SmsError: gateway said 503"; may be NULL */
    const char *queue; /* where it was delivered from */
    int64_t attempts;
    int64_t dead_at_us;
    const struct attempt *last; /* appended to the history; NULL: nothing ran */
    int signal;                 /* 0: none */
    int exit_status;            /* -1: none */
    int64_t max_rss_kib;        /* -1: unknown */
    struct bytes stderr_tail;   /* the last lines; empty: none */
};

/*
 * Append @last to the coney-history header of @headers (an array of tables; newest last,
 * at most DEAD_HISTORY_MAX). For retries. CONEY_ENOMEM.
 */
enum coney_rc history_append(struct table *headers, struct arena *a,
        const struct attempt *last) CONEY_MUST_CHECK;

/*
 * The dead letter made from @e. Persistent; the broker's own headers and the expiration
 * are gone. @out is the caller's, for envelope_fini(). CONEY_ENOMEM.
 */
enum coney_rc dead_letter_encode(const struct envelope *e,
        const struct evidence *evidence, struct envelope *out) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_DEAD_LETTER_H */
