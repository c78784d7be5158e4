/* SPDX-License-Identifier: MIT */
/* retry.h - when a failed task runs again: a function of its policy and how often it ran.
 */
#ifndef CONEY_QUEUE_RETRY_H
#define CONEY_QUEUE_RETRY_H

#include "base/rng.h"
#include "config/config.h"

#include <stdint.h>

/*
 * Milliseconds that retry number @n (0 for the first) waits: d = min(cap, base x
 * factor^n), then jitter: full uniform in (0, d], equal d/2 + uniform in (0, d/2], none
 * d. Never below 1, never above the cap. (Exponential backoff and jitter, AWS
 * architecture blog, 2015.)
 */
int64_t retry_delay_ms(const struct retry_policy *policy, int64_t n, struct rng *rng);

#endif /* CONEY_QUEUE_RETRY_H */
