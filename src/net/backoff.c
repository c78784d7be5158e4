/* SPDX-License-Identifier: MIT */
/* backoff.c - exponential backoff with jitter. */
#include "net/backoff.h"

enum { DOUBLINGS_MAX = 20 };

int64_t backoff_next_ms(struct backoff *b, struct rng *r)
{
    unsigned doublings = b->failures < DOUBLINGS_MAX ? b->failures : DOUBLINGS_MAX;
    uint64_t ms = (uint64_t)b->base_ms << doublings;
    if (ms > b->cap_ms)
        ms = b->cap_ms;
    b->failures++;
    return (int64_t)(ms - rng_below(r, ms / 2 + 1));
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
