/* SPDX-License-Identifier: MIT */
/* bell.c - one shared word and one eventfd; the argument stands in bell.h. */
#include "board/bell.h"

#include <unistd.h>

void bell_sleep(const struct bell *b, uint32_t reasons)
{
    /* Silenced first: a ring after the store below must stay audible. */
    uint64_t count;
    ssize_t n = read(b->fd, &count, sizeof(count));
    (void)n; /* EAGAIN: it was silent */
    atomic_store(b->sleeps_for, reasons);
}

void bell_rise(const struct bell *b)
{
    atomic_store(b->sleeps_for, 0);
}

void bell_strike(const struct bell *b)
{
    uint64_t one = 1;
    ssize_t n = write(b->fd, &one, sizeof(one));
    (void)n; /* EAGAIN: it rings already, 2^64 - 2 times */
}

void bell_ring(const struct bell *b, enum bell_reason reason)
{
    if ((atomic_load(b->sleeps_for) & (uint32_t)reason) == 0)
        return;
    /* One write for each sleep, however many changes follow it. */
    if (atomic_exchange(b->sleeps_for, 0) != 0)
        bell_strike(b);
}
