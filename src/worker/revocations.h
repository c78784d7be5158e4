/* SPDX-License-Identifier: MIT */
/*
 * revocations.h - which tasks shall not run: ids and stamps, remembered for a time and
 * only so many.
 *
 * Pure. How long a revocation holds is said when it is added, and whether the broker
 * keeps it; what comes again holds longer, never shorter. When there are too many the
 * ones that were added first go.
 */
#ifndef CONEY_WORKER_REVOCATIONS_H
#define CONEY_WORKER_REVOCATIONS_H

#include <coney/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct revocations;

/* NULL when out of memory. */
struct revocations *revocations_new(size_t max);
/* NULL is ignored. */
void revocations_free(struct revocations *r);
/* What is above a lower bound goes with the next addition. */
void revocations_set_max(struct revocations *r, size_t max);

/* A task's id, or a stamp and its value. */
struct revoked {
    const char *id;    /* NULL: a stamp */
    const char *stamp; /* NULL: an id */
    const char *value;
};

/* No time on which the broker took it: it has not. */
#define REVOKED_NOT_KEPT INT64_MIN

/* All times on clock_mono_ms(). */
struct revoked_times {
    int64_t now_ms;
    int64_t until_ms;
    int64_t kept_ms; /* when the broker took it, or REVOKED_NOT_KEPT */
};

/* CONEY_ENOMEM. */
enum coney_rc revocations_add(struct revocations *r, const struct revoked *what,
        const struct revoked_times *times) CONEY_MUST_CHECK;
bool revocations_has(
        const struct revocations *r, const struct revoked *what, int64_t now_ms);
/* Whether the broker has taken it since @since_ms, as far as we know. */
bool revocations_is_kept(
        const struct revocations *r, const struct revoked *what, int64_t since_ms);
/* Whether there may be any stamp at all. */
bool revocations_have_stamps(const struct revocations *r);

/* Each id that holds at @now_ms, the oldest first, with the time it was added. */
typedef void revocation_fn(void *ctx, const char *id, int64_t since_ms);
void revocations_each_id(
        const struct revocations *r, int64_t now_ms, revocation_fn *each, void *ctx);

#endif /* CONEY_WORKER_REVOCATIONS_H */
