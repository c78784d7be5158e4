/* SPDX-License-Identifier: MIT */
/*
 * agenda.c - the schedule, and beside each entry its mark and what becomes of its tick.
 *
 * At rest an entry needs no mark of its own: the watermark, the time at which the
 * schedule was last seen without a due tick, counts for all that were in it at that time.
 * So a mark is only worth something until the entry has been seen at rest once.
 */
#include "beat/agenda.h"

#include "base/clock.h"
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_MIN_MS = 1000, PAUSE_MAX_MS = 60 * 1000 };

enum progress_state {
    PROGRESS_RESTING,  /* the schedule has its next tick */
    PROGRESS_ON_WAY,   /* held in the schedule from here on */
    PROGRESS_SETTLED,  /* confirmed; in no token yet */
    PROGRESS_SAVING,   /* in a token that is on its way */
    PROGRESS_POSTPONED /* to be looked at again */
};

struct progress {
    struct heap_node retry; /* while postponed; at: when, monotonic */
    enum progress_state state;
    char hash[UUID_TEXT_SIZE];
    int64_t seen_us;
    int64_t mark_us;
    int64_t tick_us;   /* on its way */
    uint64_t since;    /* the agenda's count of idle moments when it came to rest */
    unsigned failures; /* of the tick, in a row */
};

struct agenda {
    const struct schedule_entry *entries; /* borrowed */
    size_t count;
    struct progress *progress; /* owned; one for each entry */
    struct schedule *schedule; /* owned */
    struct heap retries;       /* of progress.retry */
    int64_t watermark_us;      /* at the last idle moment */
    uint64_t idle;             /* moments at which nothing was due */
    size_t on_way;
    size_t settled;
};

/* --- life
 * --------------------------------------------------------------------------------------
 */

enum coney_rc agenda_new(
        const struct schedule_entry *entries, size_t count, struct agenda **out)
{
    struct agenda *a = calloc(1, sizeof(*a));
    enum coney_rc rc = CONEY_ENOMEM;

    *out = NULL;
    if (!a)
        return CONEY_ENOMEM;
    a->entries = entries;
    a->count = count;
    a->progress = calloc(count + 1, sizeof(*a->progress));
    if (a->progress)
        rc = schedule_new(entries, count, 0, &a->schedule, NULL);
    /* Room for all in the heap: postponing can't fail. */
    for (size_t i = 0; rc == CONEY_OK && i < count; i++)
        rc = heap_add(&a->retries, &a->progress[i].retry, 0);
    if (rc != CONEY_OK) {
        agenda_free(a);
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        heap_remove(&a->retries, &a->progress[i].retry);
        schedule_entry_hash(&entries[i], a->progress[i].hash);
    }
    *out = a;
    return CONEY_OK;
}

void agenda_free(struct agenda *a)
{
    if (!a)
        return;
    schedule_free(a->schedule);
    heap_fini(&a->retries);
    free(a->progress);
    free(a);
}

size_t agenda_count(const struct agenda *a)
{
    return a->count;
}

/* --- marks
 * -------------------------------------------------------------------------------------
 */

/* Whether the watermark speaks for the entry. A mark beyond it comes from a clock that
 * was, or on another host is, ahead of ours. */
static bool is_covered(const struct agenda *a, const struct progress *p)
{
    return p->state == PROGRESS_RESTING && a->idle > p->since &&
           p->mark_us <= a->watermark_us;
}

static int64_t mark_of(const struct agenda *a, const struct progress *p)
{
    return is_covered(a, p) ? a->watermark_us : p->mark_us;
}

static void rest(struct agenda *a, struct progress *p)
{
    p->state = PROGRESS_RESTING;
    p->since = a->idle;
}

static size_t index_of(const struct agenda *a, const struct progress *p)
{
    return (size_t)(p - a->progress);
}

static void begin_at(struct agenda *a, struct progress *p, int64_t mark_us)
{
    p->mark_us = mark_us;
    p->failures = 0;
    heap_remove(&a->retries, &p->retry);
    rest(a, p);
    schedule_seek(a->schedule, index_of(a, p), mark_us);
}

static void resume_entry(
        struct agenda *a, struct progress *p, const struct token *t, int64_t now_us)
{
    const struct token_entry *e = token_find(t, a->entries[index_of(a, p)].name);
    int64_t mark_us = now_us;

    if (e && strcmp(e->hash, p->hash) == 0) {
        mark_us = e->mark_us != TOKEN_NO_MARK ? e->mark_us : t->watermark_us;
        p->seen_us = e->seen_us;
        if (p->mark_us > mark_us)
            mark_us = p->mark_us;
    } else {
        p->seen_us = now_us;
    }
    if (mark_us > now_us + AGENDA_AHEAD_MAX_US)
        mark_us = now_us;
    begin_at(a, p, mark_us);
}

void agenda_resume(struct agenda *a, const struct token *t, int64_t now_us)
{
    assert(a->on_way == 0);
    agenda_suspend(a);
    for (size_t i = 0; i < a->count; i++)
        resume_entry(a, &a->progress[i], t, now_us);
    a->watermark_us = t->watermark_us <= now_us ? t->watermark_us : now_us;
}

void agenda_suspend(struct agenda *a)
{
    for (size_t i = 0; i < a->count; i++) {
        struct progress *p = &a->progress[i];
        p->mark_us = mark_of(a, p);
        heap_remove(&a->retries, &p->retry);
        rest(a, p);
    }
    a->on_way = 0;
    a->settled = 0;
}

bool agenda_rewind(struct agenda *a, int64_t now_us)
{
    if (a->watermark_us <= now_us + AGENDA_AHEAD_MAX_US)
        return false;
    a->watermark_us = now_us;
    for (size_t i = 0; i < a->count; i++) {
        struct progress *p = &a->progress[i];
        p->mark_us = now_us;
        p->tick_us = now_us;
        schedule_seek(a->schedule, i, now_us);
        if (p->state != PROGRESS_RESTING)
            schedule_hold(a->schedule, i);
    }
    return true;
}

/* --- ticks
 * -------------------------------------------------------------------------------------
 */

/* The pauses that are over: the misfire policy decides anew, from the mark on. */
static void end_pauses(struct agenda *a, int64_t now_ms)
{
    while (agenda_retry_ms(a) <= now_ms) {
        struct progress *p = (struct progress *)heap_first(&a->retries);
        heap_remove(&a->retries, &p->retry);
        rest(a, p);
        schedule_seek(a->schedule, index_of(a, p), p->mark_us);
    }
}

enum schedule_popped agenda_next(
        struct agenda *a, int64_t now_us, int64_t now_ms, struct schedule_tick *out)
{
    end_pauses(a, now_ms);
    enum schedule_popped popped = schedule_pop(a->schedule, now_us, out);
    if (popped == SCHEDULE_NOTHING && now_us >= a->watermark_us) {
        a->idle++;
        a->watermark_us = now_us;
    } else if (popped == SCHEDULE_DUE) {
        struct progress *p = &a->progress[out->index];
        assert(p->state == PROGRESS_RESTING);
        schedule_hold(a->schedule, out->index);
        p->state = PROGRESS_ON_WAY;
        p->tick_us = out->at_us;
        p->mark_us = out->at_us - 1;
        a->on_way++;
    }
    return popped;
}

static struct progress *arrive(struct agenda *a, size_t index)
{
    assert(index < a->count);
    struct progress *p = &a->progress[index];
    assert(p->state == PROGRESS_ON_WAY);
    a->on_way--;
    return p;
}

void agenda_settle(struct agenda *a, size_t index)
{
    struct progress *p = arrive(a, index);
    p->state = PROGRESS_SETTLED;
    p->mark_us = p->tick_us;
    p->failures = 0;
    a->settled++;
}

int64_t agenda_postpone(struct agenda *a, size_t index, int64_t now_ms)
{
    struct progress *p = arrive(a, index);
    int64_t pause_ms = PAUSE_MIN_MS;

    for (unsigned i = 0; i < p->failures && pause_ms < PAUSE_MAX_MS; i++)
        pause_ms *= 2;
    if (pause_ms > PAUSE_MAX_MS)
        pause_ms = PAUSE_MAX_MS;
    p->failures++;
    p->state = PROGRESS_POSTPONED;
    enum coney_rc rc = heap_add(&a->retries, &p->retry, now_ms + pause_ms);
    assert(rc == CONEY_OK);
    return pause_ms;
}

int64_t agenda_tick_us(const struct agenda *a, size_t index)
{
    assert(index < a->count);
    return a->progress[index].tick_us;
}

size_t agenda_on_way(const struct agenda *a)
{
    return a->on_way;
}

int64_t agenda_next_us(const struct agenda *a)
{
    return schedule_next(a->schedule);
}

int64_t agenda_retry_ms(const struct agenda *a)
{
    const struct heap_node *first = heap_first(&a->retries);
    return first ? first->at : CLOCK_NEVER;
}

/* --- saving
 * ------------------------------------------------------------------------------------ */

bool agenda_is_dirty(const struct agenda *a)
{
    return a->settled > 0;
}

enum coney_rc agenda_save(struct agenda *a, struct token_rank rank, struct token **out)
{
    enum coney_rc rc = token_new(a->count, out);
    if (rc != CONEY_OK)
        return rc;
    struct token *t = *out;
    t->rank = rank;
    t->watermark_us = a->watermark_us;
    for (size_t i = 0; i < a->count; i++) {
        struct progress *p = &a->progress[i];
        struct token_entry *e = &t->entries[i];
        e->name = a->entries[i].name;
        memcpy(e->hash, p->hash, sizeof(e->hash));
        e->seen_us = p->seen_us;
        e->mark_us = is_covered(a, p) ? TOKEN_NO_MARK : p->mark_us;
        if (p->state == PROGRESS_SETTLED)
            p->state = PROGRESS_SAVING;
    }
    a->settled = 0;
    return CONEY_OK;
}

void agenda_saved(struct agenda *a)
{
    for (size_t i = 0; i < a->count; i++) {
        struct progress *p = &a->progress[i];
        if (p->state != PROGRESS_SAVING)
            continue;
        rest(a, p);
        schedule_release(a->schedule, i);
    }
}

void agenda_unsaved(struct agenda *a)
{
    for (size_t i = 0; i < a->count; i++) {
        struct progress *p = &a->progress[i];
        if (p->state != PROGRESS_SAVING)
            continue;
        p->state = PROGRESS_SETTLED;
        a->settled++;
    }
}
