/* SPDX-License-Identifier: MIT */
/* backoff.h - how long to wait before the next attempt to connect. */
#ifndef CONEY_NET_BACKOFF_H
#define CONEY_NET_BACKOFF_H

#include "base/rng.h"

struct backoff {
    unsigned base_ms;
    unsigned cap_ms;
    unsigned failures; /* since the last backoff_reset() */
};

/*
 * The next wait: the base, doubled with each failure up to the cap, and of that something
 * between a half and the whole, so that a hundred clients of a restarted broker do not
 * come back in step.
 */
int64_t backoff_next_ms(struct backoff *b, struct rng *r);
void backoff_reset(struct backoff *b);

#endif /* CONEY_NET_BACKOFF_H */
