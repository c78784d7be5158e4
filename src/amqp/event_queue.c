/* SPDX-License-Identifier: MIT */
/* event_queue.c - a ring that grows to its maximum and is given back when it was large.
 */
#include "amqp/event_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 8 };

void event_queue_init(struct event_queue *q)
{
    *q = (struct event_queue){.events = NULL};
}

void event_queue_fini(struct event_queue *q)
{
    struct session_event ev;
    while (event_queue_pop(q, &ev))
        session_event_fini(&ev);
    free(q->events);
    event_queue_init(q);
}

bool event_queue_is_full(const struct event_queue *q)
{
    return q->count >= EVENT_QUEUE_MAX;
}

/* Capacities are powers of two, so that a position wraps with a mask. */
static bool grow(struct event_queue *q)
{
    size_t capacity = q->capacity > 0 ? q->capacity * 2 : FIRST_CAPACITY;
    struct session_event *events = malloc(capacity * sizeof(*events));
    if (!events)
        return false;
    for (size_t i = 0; i < q->count; i++)
        events[i] = q->events[(q->first + i) & (q->capacity - 1)];
    free(q->events);
    q->events = events;
    q->capacity = capacity;
    q->first = 0;
    return true;
}

struct session_event *event_queue_push(
        struct event_queue *q, enum session_event_type type)
{
    assert(!event_queue_is_full(q));
    if (q->count == q->capacity && !grow(q))
        return NULL;
    struct session_event *ev = &q->events[(q->first + q->count) & (q->capacity - 1)];
    *ev = (struct session_event){.type = type};
    q->count++;
    return ev;
}

bool event_queue_pop(struct event_queue *q, struct session_event *ev)
{
    if (q->count == 0)
        return false;
    *ev = q->events[q->first];
    q->first = (q->first + 1) & (q->capacity - 1);
    q->count--;
    return true;
}
