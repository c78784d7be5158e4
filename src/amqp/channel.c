/* SPDX-License-Identifier: MIT */
/* channel.c - the table of channels and the queue of calls that each one awaits. */
#include "amqp/channel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CALLS = 8, FIRST_SLOTS = 16 };

void content_drop(struct content *c)
{
    if (c->stage == CONTENT_BODY)
        envelope_fini(&c->delivery.envelope);
    c->stage = CONTENT_NONE;
    c->body = NULL;
}

static void channel_free(struct channel *c)
{
    if (!c)
        return;
    content_drop(&c->content);
    confirms_fini(&c->confirms);
    free(c->pending.calls);
    free(c);
}

void channel_set_init(struct channel_set *set, uint32_t *generation)
{
    *set = (struct channel_set){.generation = generation};
}

void channel_set_fini(struct channel_set *set)
{
    for (size_t i = 0; i < set->capacity; i++)
        channel_free(set->slots[i]);
    free(set->slots);
    channel_set_init(set, set->generation);
}

static enum coney_rc reach(struct channel_set *set, size_t number)
{
    if (number < set->capacity)
        return CONEY_OK;
    size_t capacity = set->capacity > 0 ? set->capacity : FIRST_SLOTS;
    while (capacity <= number)
        capacity *= 2;
    struct channel **slots = realloc(set->slots, capacity * sizeof(struct channel *));
    if (!slots)
        return CONEY_ENOMEM;
    memset(slots + set->capacity, 0,
            (capacity - set->capacity) * sizeof(struct channel *));
    set->slots = slots;
    set->capacity = capacity;
    return CONEY_OK;
}

/* 0 when all are taken. Low numbers first would bring a number back at once. */
static uint16_t free_number(const struct channel_set *set)
{
    unsigned number = set->newest;
    for (unsigned tries = 0; tries < set->max; tries++) {
        number = number >= set->max ? 1 : number + 1;
        if (!channel_set_at(set, number))
            return (uint16_t)number;
    }
    return 0;
}

enum coney_rc channel_set_add(struct channel_set *set, struct channel **out)
{
    uint16_t number = free_number(set);
    if (number == 0)
        return CONEY_ELIMIT;
    enum coney_rc rc = reach(set, number);
    if (rc != CONEY_OK)
        return rc;
    struct channel *c = calloc(1, sizeof(*c));
    if (!c)
        return CONEY_ENOMEM;
    c->id.number = number;
    c->id.generation = ++*set->generation;
    confirms_init(&c->confirms);
    set->slots[number] = c;
    set->newest = number;
    *out = c;
    return CONEY_OK;
}

void channel_set_remove(struct channel_set *set, struct channel *c)
{
    assert(set->slots[c->id.number] == c);
    set->slots[c->id.number] = NULL;
    channel_free(c);
}

struct channel *channel_set_at(const struct channel_set *set, unsigned number)
{
    return number < set->capacity ? set->slots[number] : NULL;
}

struct channel *channel_set_find(const struct channel_set *set, struct amqp_channel id)
{
    struct channel *c = channel_set_at(set, id.number);
    return c && c->id.generation == id.generation && c->state == CHANNEL_OPEN ? c : NULL;
}

struct channel *channel_set_any(const struct channel_set *set)
{
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i])
            return set->slots[i];
    return NULL;
}

enum coney_rc call_queue_push(
        struct call_queue *q, amqp_method_number_t method, uint64_t cookie)
{
    if (q->count == q->capacity) {
        size_t capacity = q->capacity > 0 ? q->capacity * 2 : FIRST_CALLS;
        struct pending_call *calls = malloc(capacity * sizeof(*calls));
        if (!calls)
            return CONEY_ENOMEM;
        for (size_t i = 0; i < q->count; i++)
            calls[i] = q->calls[(q->first + i) & (q->capacity - 1)];
        free(q->calls);
        q->calls = calls;
        q->capacity = capacity;
        q->first = 0;
    }
    q->calls[(q->first + q->count) & (q->capacity - 1)] =
            (struct pending_call){.method = method, .cookie = cookie};
    q->count++;
    return CONEY_OK;
}

const struct pending_call *call_queue_first(const struct call_queue *q)
{
    return q->count > 0 ? &q->calls[q->first] : NULL;
}

void call_queue_pop(struct call_queue *q)
{
    assert(q->count > 0);
    q->first = (q->first + 1) & (q->capacity - 1);
    q->count--;
}
