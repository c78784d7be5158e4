/* SPDX-License-Identifier: MIT */
/* retry.c - exponential backoff with jitter, safe for any count of retries. */
#include "queue/retry.h"

/* By squaring: at most 63 steps whatever @n is; beyond the range of a double, infinity.
 */
static double power(double factor, int64_t n)
{
    double result = 1.0;
    for (; n > 0; n >>= 1) {
        if (n & 1)
            result *= factor;
        factor *= factor;
    }
    return result;
}

/* min(cap, base x factor^n), at least 1. */
static int64_t backoff_ms(const struct retry_policy *policy, int64_t n)
{
    int64_t cap = policy->cap_ms > 1 ? policy->cap_ms : 1;
    double d = (double)policy->base_ms * power(policy->factor, n);
    if (d < 1.0)
        return 1;
    /* Compared as doubles before it is made an integer; not a number is the cap too. */
    return d < (double)cap ? (int64_t)d : cap;
}

/* Uniform among the integers in (low, high]. */
static int64_t draw(struct rng *rng, int64_t low, int64_t high)
{
    return low + 1 + (int64_t)rng_below(rng, (uint64_t)(high - low));
}

int64_t retry_delay_ms(const struct retry_policy *policy, int64_t n, struct rng *rng)
{
    int64_t d = backoff_ms(policy, n);
    switch (policy->jitter) {
    case JITTER_FULL:
        return draw(rng, 0, d);
    case JITTER_EQUAL:
        return draw(rng, d / 2, d);
    case JITTER_NONE:
        return d;
    }
    return d;
}
