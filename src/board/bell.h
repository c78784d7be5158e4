/* SPDX-License-Identifier: MIT */
/*
 * bell.h - wakes the other side of a board, and only if it sleeps.
 *
 * One shared word says what a side sleeps for (0: it is awake), one eventfd wakes it.
 * Sleeping: set the word, look at the rings once more, block. Waking: change a ring, read
 * the word, and if it asks for that change, clear it and write the eventfd.
 *
 * Why no wake is lost. The four accesses (sleeper: store word, load position; waker:
 * store position, load word) are sequentially consistent, so they have one total order in
 * which a load gives the last store before it. If the sleeper's look comes before the
 * waker's store, its own store of the word comes before that too, and so before the
 * waker's load, which finds it. Otherwise the look finds the change. This is the full
 * fence between store and load on both sides, written in a form that race detectors
 * understand.
 */
#ifndef CONEY_BOARD_BELL_H
#define CONEY_BOARD_BELL_H

#include <stdatomic.h>
#include <stdint.h>

/* What a side sleeps for. */
enum bell_reason { BELL_RECORD = 1, BELL_ROOM = 2 };

struct bell {
    _Atomic uint32_t *sleeps_for; /* shared; borrowed */
    int fd;                       /* eventfd, non-blocking; borrowed */
};

/* Say what the owner of this bell is about to wait for (a set of reasons), and silence
 * it. The owner must look once more before it blocks. */
void bell_sleep(const struct bell *b, uint32_t reasons);
/* The owner doesn't wait any longer. */
void bell_rise(const struct bell *b);
/* Wake the owner if it waits for @reason. Never blocks. */
void bell_ring(const struct bell *b, enum bell_reason reason);
/* Wake whoever polls the descriptor, in any case. */
void bell_strike(const struct bell *b);

#endif /* CONEY_BOARD_BELL_H */
