/* SPDX-License-Identifier: MIT */
/* request.h - a list of commands on the way to its answers, and queues of them. */
#ifndef CONEY_REDIS_REQUEST_H
#define CONEY_REDIS_REQUEST_H

#include "redis/reply.h"

/* Whose list of commands it is. */
enum request_owner {
    OWNER_CALLER,
    OWNER_LOGIN,
    OWNER_HEARTBEAT,
    OWNER_CHANNEL /* nobody's: something published */
};

/* A list of commands on the way, and of its answers those that have come. */
struct request {
    struct request *next;
    enum request_owner owner;
    uint64_t cookie;
    int64_t since_ms;
    struct redis_reply *replies; /* owned; an array as long as there are commands */
    size_t answered;
};

/* Oldest first. */
struct request_queue {
    struct request *first, *last;
    size_t count;
};

/* Awaits @count replies; none: the caller sets them. NULL when out of memory. */
struct request *request_new(size_t count);
void request_free(struct request *q);

/* @q is taken. */
void request_queue_put(struct request_queue *queue, struct request *q);
/* The oldest, the caller's; NULL when there is none. */
struct request *request_queue_take(struct request_queue *queue);
void request_queue_clear(struct request_queue *queue);

#endif /* CONEY_REDIS_REQUEST_H */
