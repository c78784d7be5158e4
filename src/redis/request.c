/* SPDX-License-Identifier: MIT */
/* request.c - requests and their queues. */
#include "redis/request.h"

#include <stdlib.h>

void request_free(struct request *q)
{
    if (!q)
        return;
    redis_reply_free(q->replies);
    free(q);
}

struct request *request_new(size_t count)
{
    struct request *q = calloc(1, sizeof(*q));
    if (!q || count == 0)
        return q;
    q->replies = calloc(1, sizeof(*q->replies));
    if (q->replies)
        q->replies->items = calloc(count, sizeof(struct redis_reply *));
    if (!q->replies || !q->replies->items) {
        request_free(q);
        return NULL;
    }
    q->replies->type = REDIS_ARRAY;
    q->replies->count = count;
    return q;
}

void request_queue_put(struct request_queue *queue, struct request *q)
{
    q->next = NULL;
    if (queue->last)
        queue->last->next = q;
    else
        queue->first = q;
    queue->last = q;
    queue->count++;
}

struct request *request_queue_take(struct request_queue *queue)
{
    struct request *q = queue->first;
    if (!q)
        return NULL;
    queue->first = q->next;
    if (!queue->first)
        queue->last = NULL;
    queue->count--;
    return q;
}

void request_queue_clear(struct request_queue *queue)
{
    struct request *q;
    while ((q = request_queue_take(queue)))
        request_free(q);
}
