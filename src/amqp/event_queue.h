/* SPDX-License-Identifier: MIT */
/* event_queue.h - events between the link that makes them and the owner who takes them.
 */
#ifndef CONEY_AMQP_EVENT_QUEUE_H
#define CONEY_AMQP_EVENT_QUEUE_H

#include "amqp/session.h"

/* A full queue stops the link from reading on; so many events wait at most. */
enum { EVENT_QUEUE_MAX = 512 };

struct event_queue {
    struct session_event *events; /* owned; a ring */
    size_t capacity;
    size_t first;
    size_t count;
};

void event_queue_init(struct event_queue *q);
/* Also releases what waiting events own. */
void event_queue_fini(struct event_queue *q);

bool event_queue_is_full(const struct event_queue *q);
/* A zeroed event of @type at the end, to be filled in; NULL when out of memory. The queue
 * must not be full. */
struct session_event *event_queue_push(
        struct event_queue *q, enum session_event_type type);
bool event_queue_pop(struct event_queue *q, struct session_event *ev);

#endif /* CONEY_AMQP_EVENT_QUEUE_H */
