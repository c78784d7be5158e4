/* SPDX-License-Identifier: MIT */
/*
 * rate.h - rate limits: each task name has slots at even distance, and a job reserves
 * one.
 *
 * Reserving ahead, instead of refusing, lets a job be parked once, until just its time.
 */
#ifndef CONEY_WORKER_RATE_H
#define CONEY_WORKER_RATE_H

#include <stdint.h>

struct rates;

/* NULL when out of memory. */
struct rates *rates_new(void);
void rates_free(struct rates *r);

/*
 * Reserve the next slot of @task under @per_hour (> 0) and give its time: @now_us itself
 * when the last slot is long enough ago. When out of memory, @now_us.
 */
int64_t rates_reserve(
        struct rates *r, const char *task, int64_t per_hour, int64_t now_us);

#endif /* CONEY_WORKER_RATE_H */
