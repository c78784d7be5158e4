/* SPDX-License-Identifier: MIT */
/*
 * event.h - what a worker tells monitors about itself and its tasks: Celery's events.
 *
 * Written only. An event of the wrong form ends every Python worker that listens (gossip
 * does by default), so the writers can't produce one: type, hostname, timestamp, clock
 * and pid are always there and of the type that Python wants, what a monitor can't do
 * without is demanded, the message always has the header hostname, and only task events
 * ever go out as an array. utcoffset is left out on purpose: Python shifts the timestamp
 * by it, which is in UTC already.
 */
#ifndef CONEY_MESSAGE_EVENT_H
#define CONEY_MESSAGE_EVENT_H

#include "base/envelope.h"

#include <jansson.h>

enum event_type {
    EVENT_WORKER_ONLINE,
    EVENT_WORKER_HEARTBEAT,
    EVENT_WORKER_OFFLINE,
    EVENT_WORKER_ELECT_ACK,
    EVENT_TASK_SENT,
    EVENT_TASK_RECEIVED,
    EVENT_TASK_STARTED,
    EVENT_TASK_SUCCEEDED,
    EVENT_TASK_FAILED,
    EVENT_TASK_RETRIED,
    EVENT_TASK_REVOKED,
    EVENT_TASK_REJECTED,
    EVENT_TYPES
};

/* What a worker says of itself. */
struct event_worker {
    double freq_s; /* seconds between its heartbeats, which monitors rely on */
    int64_t active;
    int64_t processed;
    double loadavg[3];
    const char *sw_version; /* of coney; NULL: this one's */
};

/* What is said of a task. Texts are borrowed; NULL is null, but for the id. */
struct event_task {
    const char *id;   /* required */
    const char *name; /* SENT, RECEIVED, likewise the next nine */
    const char *args; /* as repr.h makes them */
    const char *kwargs;
    const char *root_id;
    const char *parent_id;
    int64_t retries;
    const char *eta; /* ISO 8601 */
    const char *expires;
    const char *queue; /* SENT, likewise the next two */
    const char *exchange;
    const char *routing_key;
    const char *result;    /* SUCCEEDED: its repr */
    double runtime_s;      /* SUCCEEDED */
    const char *exception; /* FAILED, RETRIED: its repr */
    const char *traceback; /* FAILED, RETRIED */
    bool terminated;       /* REVOKED */
    int signum;            /* REVOKED: 0 is null */
    bool expired;          /* REVOKED */
    bool requeue;          /* REJECTED */
};

struct event {
    enum event_type type;
    const char *hostname; /* the node's name; required */
    int64_t pid;
    int64_t clock; /* logical; below 1 counts as 1 */
    int64_t at_us; /* wall time */
    union {
        struct event_worker worker;
        struct event_task task;
        const char *election; /* WORKER_ELECT_ACK: the id; required */
    } about;
};

/* "task-received". */
const char *event_type_name(enum event_type type);
/* "task.received": what it is published under. */
const char *event_routing_key(enum event_type type);
bool event_is_of_task(enum event_type type);

/* Append @ev to @out as a JSON object. Text that is not UTF-8 is repaired, a number that
 * JSON has no form for becomes 0.0. CONEY_EINVAL: something required is missing;
 * CONEY_ELIMIT: @out is full; CONEY_ENOMEM. On failure @out holds what it held. */
enum coney_rc event_write(const struct event *ev, struct buffer *out) CONEY_MUST_CHECK;

/* A message with this one event, for event_routing_key(). @out is initialised here and
 * the caller's, for envelope_fini(). As event_write(). */
enum coney_rc event_encode(const struct event *ev, struct envelope *out) CONEY_MUST_CHECK;

/*
 * Several task events in one message, which goes out under EVENT_BATCH_KEY. A batch
 * collects the JSON texts; events of workers are refused (CONEY_EINVAL): an array on
 * worker.# ends Python workers.
 */
#define EVENT_BATCH_KEY "task.multi"
enum { EVENT_BATCH_MAX = 100 };

struct event_batch {
    struct buffer text; /* without its closing bracket */
    unsigned count;
};

/* @bytes_max bounds one batch. */
void event_batch_init(struct event_batch *b, size_t bytes_max);
void event_batch_fini(struct event_batch *b);
/* CONEY_ELIMIT: it has EVENT_BATCH_MAX events or no room; encode it and try again. */
enum coney_rc event_batch_add(
        struct event_batch *b, const struct event *ev) CONEY_MUST_CHECK;
/* The message of all that was added, which must be something; the batch is empty then,
 * also on failure. */
enum coney_rc event_batch_encode(struct event_batch *b, const char *hostname,
        struct envelope *out) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_EVENT_H */
