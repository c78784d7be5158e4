/* SPDX-License-Identifier: MIT */
/*
 * attempt.h - one execution of one job in a runner, and the outcome it comes to.
 *
 * The part that native and command tasks share: what the job says, when it began, the
 * outcome under construction and the memory that outcome points into. What an attempt
 * wants of its surroundings (soft limit, log) comes in through an interface, so that it
 * can be tested without a board.
 */
#ifndef CONEY_RUNNER_ATTEMPT_H
#define CONEY_RUNNER_ATTEMPT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "board/record.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct attempt_host {
    bool (*is_soft_limit)(void *ctx);
    void (*log)(void *ctx, enum log_level level, const char *text);
    void *ctx;
    int wake_fd;       /* an eventfd, rung when is_soft_limit() may have changed; or -1 */
    size_t result_max; /* bytes of a result as JSON */
};

struct attempt {
    const struct record_job *job; /* borrowed; likewise the host */
    const struct attempt_host *host;
    struct arena *arena;   /* owned; texts of the outcome */
    struct buffer value;   /* owned; its result */
    struct buffer sent;    /* owned; "[" and the signatures that it wants sent */
    json_t *args, *kwargs; /* owned; NULL until decoded */
    int64_t started_us;    /* wall time */
    int64_t started_ms;    /* monotonic clock */
    struct record_outcome outcome;
};

/* Begin: the clock starts, the outcome is success without a result. CONEY_ENOMEM. */
enum coney_rc attempt_init(struct attempt *a, const struct record_job *job,
        const struct attempt_host *host) CONEY_MUST_CHECK;
/* Set the outcome's times and return it; valid until attempt_fini(). */
const struct record_outcome *attempt_finish(struct attempt *a);
void attempt_fini(struct attempt *a);

/* Decode the arguments in the job's body, which the master has found to be JSON; the rest
 * of it is not parsed. False: they are malformed or memory is short, and the outcome says
 * so. On success *@args is an array and *@kwargs an object, borrowed. */
bool attempt_decode(struct attempt *a, json_t **args, json_t **kwargs) CONEY_MUST_CHECK;

/* When its first limit passes, after the start; RECORD_NONE: none. */
int64_t attempt_first_limit_ms(const struct attempt *a);
/* That as a time, in microseconds since 1970. False: there is no limit. */
bool attempt_deadline(const struct attempt *a, int64_t *deadline_us) CONEY_MUST_CHECK;

/* The outcome is @kind, for an error; both texts are copied and made UTF-8. */
void attempt_set_error(
        struct attempt *a, enum record_kind kind, const char *type, const char *text);
void attempt_set_errorf(struct attempt *a, enum record_kind kind, const char *type,
        const char *fmt, ...) CONEY_PRINTF(4, 5);
/* The outcome is success with a JSON text (copied), or with a value (borrowed; NULL fails
 * as ResultError). */
void attempt_set_json(struct attempt *a, struct bytes json);
void attempt_set_value(struct attempt *a, const json_t *value);

/*
 * Have @signature (borrowed; may be given an id) sent if the outcome is success. The id
 * of its result, valid as long as the attempt; NULL: it can't be, and the log says why.
 * Result and signatures together may have host->result_max bytes.
 */
const char *attempt_send(struct attempt *a, json_t *signature);

#endif /* CONEY_RUNNER_ATTEMPT_H */
