/* SPDX-License-Identifier: MIT */
/*
 * outbox.c - one list of what is undecided, by arrival, and a ring of what is in flight.
 *
 * Every message gets the same time, so the oldest is always the first whose time is up.
 * A cookie's place in the ring is found by its remainder: a confirm costs no search.
 */
#include "lib/outbox.h"

#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <stdlib.h>

enum { BACKOFF_BASE_MS = 100, BACKOFF_DOUBLINGS_MAX = 6 };

struct outgoing *outgoing_new_take(struct envelope *e)
{
    struct outgoing *o = calloc(1, sizeof(*o));
    if (o)
        o->envelope = *e;
    else
        envelope_fini(e);
    *e = (struct envelope){.arena = NULL};
    return o;
}

void outgoing_free(struct outgoing *o)
{
    if (!o)
        return;
    envelope_fini(&o->envelope);
    free(o);
}

void outbox_init(struct outbox *b, unsigned attempts_max, int64_t timeout_ms)
{
    *b = (struct outbox){.attempts_max = attempts_max, .timeout_ms = timeout_ms};
    b->next_cookie = 1; /* 0 asks for no confirm */
    b->wake_ms = CLOCK_NEVER;
}

static void free_list(struct outgoing *o)
{
    while (o) {
        struct outgoing *next = o->next;
        outgoing_free(o);
        o = next;
    }
}

void outbox_fini(struct outbox *b)
{
    free_list(b->oldest);
    free_list(b->finished);
    outbox_init(b, 0, 0);
}

/* --- the list --------------------------------------------------------------------- */

static size_t size_of(const struct outgoing *o)
{
    return sizeof(*o) + o->envelope.body.len;
}

bool outbox_has_room(const struct outbox *b, const struct outgoing *o)
{
    if (b->count == 0)
        return true; /* however large it is */
    return b->count < OUTBOX_MAX && b->bytes + size_of(o) <= OUTBOX_BYTES_MAX;
}

void outbox_add(struct outbox *b, struct outgoing *o, int64_t now_ms)
{
    o->number = b->arrivals++;
    o->deadline_ms = now_ms + b->timeout_ms;
    o->state = OUTGOING_QUEUED;
    o->previous = b->newest;
    if (b->newest)
        b->newest->next = o;
    else
        b->oldest = o;
    b->newest = o;
    if (!b->unsent)
        b->unsent = o;
    b->count++;
    b->bytes += size_of(o);
    b->detached += o->owner == OUTGOING_DETACHED;
}

static struct outgoing *skip_sent(struct outgoing *o)
{
    while (o && o->state != OUTGOING_QUEUED)
        o = o->next;
    return o;
}

static void remove_from_list(struct outbox *b, struct outgoing *o)
{
    if (o == b->unsent)
        b->unsent = skip_sent(o->next);
    if (o->previous)
        o->previous->next = o->next;
    else
        b->oldest = o->next;
    if (o->next)
        o->next->previous = o->previous;
    else
        b->newest = o->previous;
    o->next = NULL;
    o->previous = NULL;
}

static void finish(struct outbox *b, struct outgoing *o)
{
    if (b->last_finished)
        b->last_finished->next = o;
    else
        b->finished = o;
    b->last_finished = o;
    b->finished_count++;
}

struct outgoing *outbox_take_finished(struct outbox *b)
{
    struct outgoing *o = b->finished;
    if (!o)
        return NULL;
    b->finished = o->next;
    if (!b->finished)
        b->last_finished = NULL;
    o->next = NULL;
    b->finished_count--;
    return o;
}

/* --- deciding --------------------------------------------------------------------- */

static void land(struct outbox *b, struct outgoing *o)
{
    if (o->state != OUTGOING_SENT)
        return;
    b->sent[o->cookie % OUTBOX_MAX] = NULL;
    b->in_flight--;
    o->state = OUTGOING_QUEUED;
}

static void clear_suspect(struct outbox *b, struct outgoing *o)
{
    if (o->is_suspect)
        b->suspects--;
    o->is_suspect = false;
}

/* Its error is set already. */
static void decide(struct outbox *b, struct outgoing *o)
{
    land(b, o);
    clear_suspect(b, o);
    remove_from_list(b, o);
    b->count--;
    b->bytes -= size_of(o);
    o->state = OUTGOING_DECIDED;
    if (o->owner == OUTGOING_DETACHED) {
        b->detached--;
        finish(b, o);
    }
}

void outbox_reject(struct outbox *b, struct outgoing *o, const struct coney_error *why)
{
    o->error = *why;
    decide(b, o);
}

/* Its time is up, or that of all: say what is known of it. */
static void give_up(struct outbox *b, struct outgoing *o, const struct coney_error *why)
{
    if (o->state == OUTGOING_SENT || o->fate == FATE_UNKNOWN)
        error_set(&o->error, CONEY_ETIMEOUT,
                "published for queue '%.100s' (attempts: %u) but never confirmed: it may "
                "run or not",
                o->queue, o->attempts);
    else if (o->fate == FATE_NACKED)
        error_set(&o->error, CONEY_ENACKED,
                "the broker did not take it for queue '%.100s' (attempts: %u): the queue "
                "is full, or has failed",
                o->queue, o->attempts);
    else if (why)
        o->error = *why;
    else
        error_set(&o->error, CONEY_ECLOSED, "not sent within %lld ms",
                (long long)b->timeout_ms);
    decide(b, o);
}

void outbox_expire(struct outbox *b, int64_t now_ms, const struct coney_error *why)
{
    while (b->oldest && b->oldest->deadline_ms <= now_ms)
        give_up(b, b->oldest, why);
}

void outbox_fail(struct outbox *b, enum outbox_part part, const struct coney_error *why)
{
    struct outgoing *next;
    for (struct outgoing *o = b->oldest; o; o = next) {
        next = o->next;
        if (o->state != OUTGOING_QUEUED)
            continue;
        if (part == OUTBOX_ALL || o->reply == OUTGOING_REPLY)
            give_up(b, o, why);
    }
}

int64_t outbox_deadline_ms(const struct outbox *b)
{
    return b->oldest ? b->oldest->deadline_ms : CLOCK_NEVER;
}

int64_t outbox_wake_ms(const struct outbox *b)
{
    return b->wake_ms;
}

/* --- publishing ------------------------------------------------------------------- */

static bool may_publish(const struct outbox *b)
{
    if (b->sent[b->next_cookie % OUTBOX_MAX])
        return false;
    return b->suspects == 0 || b->in_flight == 0;
}

struct outgoing *outbox_next(struct outbox *b, int64_t now_ms, bool replies)
{
    struct outgoing *next;
    b->wake_ms = CLOCK_NEVER;
    if (!may_publish(b))
        return NULL;
    for (struct outgoing *o = b->unsent; o; o = next) {
        next = skip_sent(o->next);
        if (o->attempts >= b->attempts_max) {
            give_up(b, o, NULL);
        } else if (o->not_before_ms > now_ms) {
            if (o->not_before_ms < b->wake_ms)
                b->wake_ms = o->not_before_ms;
        } else if (o->reply == OUTGOING_NO_REPLY || replies) {
            o->cookie = b->next_cookie;
            return o;
        }
    }
    return NULL;
}

void outbox_sent(struct outbox *b, struct outgoing *o, uint32_t generation)
{
    assert(o->cookie == b->next_cookie);
    b->sent[o->cookie % OUTBOX_MAX] = o;
    b->next_cookie++;
    b->in_flight++;
    o->generation = generation;
    o->attempts++;
    o->state = OUTGOING_SENT;
    if (o == b->unsent)
        b->unsent = skip_sent(o->next);
}

/* Back to where it was in the order. */
static void put_back(struct outbox *b, struct outgoing *o)
{
    land(b, o);
    if (!b->unsent || o->number < b->unsent->number)
        b->unsent = o;
}

/* 100 ms doubled each time up to 6.4 s, less up to half of it. */
static int64_t backoff_ms(unsigned attempts, struct rng *rng)
{
    unsigned doublings = attempts - 1;
    if (doublings > BACKOFF_DOUBLINGS_MAX)
        doublings = BACKOFF_DOUBLINGS_MAX;
    uint64_t d = (uint64_t)BACKOFF_BASE_MS << doublings;
    return (int64_t)(d - rng_below(rng, d / 2));
}

static void take_nack(
        struct outbox *b, struct outgoing *o, int64_t now_ms, struct rng *rng)
{
    if (o->fate == FATE_NEVER_PUBLISHED)
        o->fate = FATE_NACKED;
    o->generation = 0;
    clear_suspect(b, o);
    put_back(b, o);
    o->not_before_ms = now_ms + backoff_ms(o->attempts, rng);
    if (o->attempts >= b->attempts_max)
        give_up(b, o, NULL);
}

/* Even if it was the last attempt it is not given up here: that the broker refused just
 * this message may be the next thing we hear. */
static void take_unknown(struct outbox *b, struct outgoing *o)
{
    o->fate = FATE_UNKNOWN;
    put_back(b, o);
}

void outbox_outcome(struct outbox *b, uint64_t cookie, enum publish_outcome outcome,
        int64_t now_ms, struct rng *rng)
{
    struct outgoing *o = b->sent[cookie % OUTBOX_MAX];
    if (!o || o->cookie != cookie)
        return;
    switch (outcome) {
    case PUBLISH_ACKED:
        decide(b, o);
        return;
    case PUBLISH_RETURNED:
        error_set(&o->error, CONEY_EUNROUTABLE, "there is no queue '%.150s'", o->queue);
        decide(b, o);
        return;
    case PUBLISH_NACKED:
        take_nack(b, o, now_ms, rng);
        return;
    case PUBLISH_UNKNOWN:
        take_unknown(b, o);
        return;
    }
}

void outbox_refused(struct outbox *b, uint32_t generation, const struct coney_error *why)
{
    struct outgoing *culprit = NULL;
    size_t count = 0;
    for (struct outgoing *o = b->oldest; o; o = o->next) {
        if (o->attempts == 0 || o->generation != generation)
            continue;
        culprit = o;
        count++;
        if (!o->is_suspect)
            b->suspects++;
        o->is_suspect = true;
    }
    if (count == 1)
        outbox_reject(b, culprit, why);
}
