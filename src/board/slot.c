/* SPDX-License-Identifier: MIT */
/* slot.c - compare-and-swap on (generation, state). */
#include "board/slot.h"

#include <assert.h>

enum { STATE_BITS = 2, STATE_MASK = (1 << STATE_BITS) - 1 };

static uint64_t word_of(uint64_t generation, enum slot_state state)
{
    return generation << STATE_BITS | (uint64_t)state;
}

static bool step(
        struct slot *s, uint64_t generation, enum slot_state from, enum slot_state to)
{
    uint64_t expected = word_of(generation, from);
    return atomic_compare_exchange_strong(&s->word, &expected, word_of(generation, to));
}

void slot_post(struct slot *s, uint64_t generation)
{
    assert(generation > 0 && generation >> (64 - STATE_BITS) == 0);
    atomic_store(&s->word, word_of(generation, SLOT_POSTED));
}

bool slot_withdraw(struct slot *s, uint64_t generation)
{
    return step(s, generation, SLOT_POSTED, SLOT_WITHDRAWN);
}

bool slot_claim(struct slot *s, uint64_t generation, int64_t now_ms)
{
    /* Before the step, so that whoever sees "running" sees it. If the job has been
     * withdrawn, the slot's next job overwrites it before it runs. */
    atomic_store(&s->started_ms, now_ms);
    return step(s, generation, SLOT_POSTED, SLOT_RUNNING);
}

bool slot_finish(struct slot *s, uint64_t generation)
{
    return step(s, generation, SLOT_RUNNING, SLOT_DONE);
}

bool slot_read(struct slot *s, uint64_t generation, enum slot_state *state)
{
    uint64_t word = atomic_load(&s->word);
    *state = (enum slot_state)(word & STATE_MASK);
    return word >> STATE_BITS == generation;
}
