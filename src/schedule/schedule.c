/* SPDX-License-Identifier: MIT */
/*
 * schedule.c - the queue of next ticks of all entries.
 *
 * What one entry's ticks are, and which of them the misfire policy lets through, stands
 * in entry.c.
 */
#include "schedule/schedule.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

struct slot {
    struct heap_node node; /* at: the next tick to consider; in no heap: none to come */
    int64_t approved_us;   /* ticks up to here have passed the misfire policy */
    int64_t dropped_us;    /* first tick dropped before node.at; CLOCK_NEVER: none */
    int64_t held_us;       /* node.at while the entry is held; CLOCK_NEVER: not held, or
                              nothing to come */
};

struct schedule {
    const struct schedule_entry *entries; /* borrowed */
    size_t count;
    struct slot *slots; /* owned; one for each entry */
    struct heap heap;   /* of the slots' nodes */
};

enum coney_rc schedule_new(const struct schedule_entry *entries, size_t count,
        int64_t watermark_us, struct schedule **out, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    struct schedule *s = calloc(1, sizeof(*s));

    *out = NULL;
    if (s)
        s->slots = calloc(count + 1, sizeof(*s->slots)); /* never nothing: calloc(0) */
    if (!s || !s->slots) {
        rc = error_set_nomem(err);
        goto out;
    }
    s->entries = entries;
    s->count = count;
    /* Each node once, so that the heap has room for all and move_to() cannot fail. */
    for (size_t i = 0; i < count; i++) {
        rc = heap_add(&s->heap, &s->slots[i].node, CLOCK_NEVER);
        if (rc != CONEY_OK) {
            error_set_nomem(err);
            goto out;
        }
    }
    for (size_t i = 0; i < count; i++)
        schedule_seek(s, i, watermark_us);
    *out = s;
    s = NULL;
out:
    schedule_free(s);
    return rc;
}

void schedule_free(struct schedule *s)
{
    if (!s)
        return;
    heap_fini(&s->heap);
    free(s->slots);
    free(s);
}

static void move_to(struct schedule *s, struct slot *slot, int64_t next_us)
{
    heap_remove(&s->heap, &slot->node);
    if (next_us == CLOCK_NEVER)
        return;
    enum coney_rc rc = heap_add(&s->heap, &slot->node, next_us);
    assert(rc == CONEY_OK);
}

void schedule_seek(struct schedule *s, size_t index, int64_t watermark_us)
{
    assert(index < s->count);
    struct slot *slot = &s->slots[index];
    slot->approved_us = watermark_us;
    slot->dropped_us = CLOCK_NEVER;
    slot->held_us = CLOCK_NEVER;
    move_to(s, slot, schedule_entry_next(&s->entries[index], watermark_us));
}

void schedule_hold(struct schedule *s, size_t index)
{
    assert(index < s->count);
    struct slot *slot = &s->slots[index];
    if (!heap_has(&slot->node))
        return;
    slot->held_us = slot->node.at;
    heap_remove(&s->heap, &slot->node);
}

void schedule_release(struct schedule *s, size_t index)
{
    assert(index < s->count);
    struct slot *slot = &s->slots[index];
    if (slot->held_us != CLOCK_NEVER)
        move_to(s, slot, slot->held_us);
    slot->held_us = CLOCK_NEVER;
}

int64_t schedule_next(const struct schedule *s)
{
    const struct heap_node *first = heap_first(&s->heap);
    return first ? first->at : CLOCK_NEVER;
}

/* The tick that stands first, with what was dropped before it. */
static struct schedule_tick first_tick(const struct schedule *s)
{
    const struct slot *slot = (const struct slot *)heap_first(&s->heap);
    size_t index = (size_t)(slot - s->slots);
    return (struct schedule_tick){
            .entry = &s->entries[index],
            .index = index,
            .at_us = slot->node.at,
            .dropped_us = slot->dropped_us,
    };
}

/*
 * Apply the misfire policy at @now_us to the ticks from @tick on: move its slot to the
 * first that may be published, or beyond now if none may. True: none may.
 */
static bool drop_missed(
        struct schedule *s, const struct schedule_tick *tick, int64_t now_us)
{
    struct slot *slot = &s->slots[tick->index];
    int64_t first_us = schedule_entry_due(tick->entry, tick->at_us - 1, now_us);

    slot->approved_us = now_us;
    if (first_us == tick->at_us)
        return false;
    if (first_us == CLOCK_NEVER) {
        move_to(s, slot, schedule_entry_next(tick->entry, now_us));
        return true;
    }
    slot->dropped_us = tick->at_us;
    move_to(s, slot, first_us);
    return false;
}

enum schedule_popped schedule_pop(
        struct schedule *s, int64_t now_us, struct schedule_tick *out)
{
    while (heap_first(&s->heap) && schedule_next(s) <= now_us) {
        *out = first_tick(s);
        struct slot *slot = &s->slots[out->index];
        if (out->at_us <= slot->approved_us) {
            slot->dropped_us = CLOCK_NEVER;
            move_to(s, slot, schedule_entry_next(out->entry, out->at_us));
            return SCHEDULE_DUE;
        }
        if (drop_missed(s, out, now_us)) {
            out->dropped_us = out->at_us;
            out->at_us = CLOCK_NEVER;
            return SCHEDULE_DROPPED;
        }
        /* Another entry's tick may stand first now: look again. */
    }
    return SCHEDULE_NOTHING;
}
