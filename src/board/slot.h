/* SPDX-License-Identifier: MIT */
/*
 * slot.h - the state of one posted job, the word that master and runner contend for.
 *
 * The word holds a generation, which no other job on the board has had, and a state.
 * Every step is a compare-and-swap from exactly (generation, state before), so a slot
 * that has been given to another job meanwhile makes the step fail instead of hitting
 * that job. The swaps are sequentially consistent: what was written before a step that
 * succeeded (the start time before running) is seen by whoever sees the new state.
 */
#ifndef CONEY_BOARD_SLOT_H
#define CONEY_BOARD_SLOT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum slot_state { SLOT_POSTED, SLOT_RUNNING, SLOT_DONE, SLOT_WITHDRAWN };

/* In shared memory; a line of its own, because both sides write it. */
struct slot {
    alignas(64) _Atomic uint64_t word;
    _Atomic uint64_t soft_generation; /* the job whose soft limit has passed */
    _Atomic int64_t started_ms;       /* monotonic clock; valid from SLOT_RUNNING on */
};

/* Master: the slot belongs to a new job. @generation is above 0 and below 2^62. */
void slot_post(struct slot *s, uint64_t generation);
/* Master: posted -> withdrawn. False: too late. */
bool slot_withdraw(struct slot *s, uint64_t generation);
/* Runner: posted -> running, started at @now_ms. False: withdrawn. */
bool slot_claim(struct slot *s, uint64_t generation, int64_t now_ms);
/* Runner: running -> done. False: the slot isn't in that state. */
bool slot_finish(struct slot *s, uint64_t generation);
/* The state of @generation; false if the word belongs to another generation. */
bool slot_read(struct slot *s, uint64_t generation, enum slot_state *state);

#endif /* CONEY_BOARD_SLOT_H */
