/* SPDX-License-Identifier: MIT */
/*
 * overrides.h - what a command has said about a task's rate and limits, until the next
 * reload.
 */
#ifndef CONEY_WORKER_OVERRIDES_H
#define CONEY_WORKER_OVERRIDES_H

#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

enum { OVERRIDES_MAX = 4096 };

struct overrides;

/* What was said; values are CONFIG_NONE for none. */
struct override {
    bool has_rate;
    int64_t rate_per_hour;
    bool has_limits;
    int64_t soft_ms;
    int64_t hard_ms;
};

/* NULL when out of memory. */
struct overrides *overrides_new(void);
/* NULL is ignored. */
void overrides_free(struct overrides *o);
/* What was said of @task, or NULL. */
const struct override *overrides_find(const struct overrides *o, const char *task);
/* The same, to be written; made when there is none. NULL: no memory, or OVERRIDES_MAX. */
struct override *overrides_of(struct overrides *o, const char *task);
void overrides_clear(struct overrides *o);

/*
 * "10/m", "0.5/s", "100/h", or a number: per second; below one an hour counts as one.
 * CONFIG_NONE for zero. CONEY_EINVAL: none of these.
 */
enum coney_rc override_parse_rate(const char *text, int64_t *per_hour) CONEY_MUST_CHECK;

#endif /* CONEY_WORKER_OVERRIDES_H */
