/* SPDX-License-Identifier: MIT */
/* throttle.c - exponential back-off with one state for the whole pool. */
#include "worker/throttle.h"

/* After so long without a failure the next one is a new story, not the old one's end. */
enum { FORGET_MS = 2 * THROTTLE_CAP_MS };

void throttle_fail(struct throttle *t, int64_t started_ms, int64_t now_ms)
{
    if (t->delay_ms > 0 && started_ms <= t->failed_ms)
        return;

    if (t->delay_ms == 0 || now_ms - t->failed_ms > FORGET_MS)
        t->delay_ms = THROTTLE_BASE_MS;
    else if (t->delay_ms < THROTTLE_CAP_MS / 2)
        t->delay_ms *= 2;
    else
        t->delay_ms = THROTTLE_CAP_MS;
    t->failed_ms = now_ms;
}

void throttle_succeed(struct throttle *t, int64_t started_ms)
{
    if (started_ms > t->failed_ms)
        t->delay_ms = 0;
}

int64_t throttle_next_ms(const struct throttle *t)
{
    return t->delay_ms > 0 ? t->failed_ms + t->delay_ms : 0;
}

bool throttle_is_wary(const struct throttle *t)
{
    return t->delay_ms > 0;
}
