/* SPDX-License-Identifier: MIT */
/*
 * inspect.h - the objects that `celery inspect` and Flower want to read in a worker's
 * replies: a task, a queue, the statistics.
 *
 * The members and their types are those of Celery's own workers, all of them, because
 * tools look into them without asking whether they are there. Everything is borrowed and
 * each function returns a new value, the caller's; NULL when out of memory.
 */
#ifndef CONEY_MESSAGE_INSPECT_H
#define CONEY_MESSAGE_INSPECT_H

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct inspect_task {
    const char *id;
    const char *name;     /* shown: the shadow, else the type */
    const char *type;     /* the task's */
    const json_t *args;   /* NULL: [] */
    const json_t *kwargs; /* NULL: {} */
    bool safe;            /* arguments as text, which no reader can stumble over */
    const char *hostname; /* the node */
    int64_t started_us;   /* wall time; 0: not started */
    int64_t pid;          /* of the runner; 0: none */
    const char *exchange;
    const char *routing_key;
    int priority; /* -1: none */
    bool redelivered;
};

json_t *inspect_task(const struct inspect_task *t);
/* {"eta": ..., "priority": 6, "request": task} */
json_t *inspect_scheduled(const struct inspect_task *t, int64_t eta_us);

struct inspect_queue {
    const char *name;
    const char *exchange; /* "": the default one */
    const char *exchange_type;
    const char *routing_key;
    const char *queue_type; /* "quorum"; NULL: not known */
    int64_t max_priority;   /* 0: none */
    bool passive;
};

json_t *inspect_queue(const struct inspect_queue *q);

/* Of getrusage(2). */
struct inspect_usage {
    double utime_s, stime_s;
    int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd,
            msgrcv, nsignals, nvcsw, nivcsw;
};

struct inspect_broker {
    const char *hostname;
    int64_t port;
    const char *user;
    const char *vhost;
    bool tls;
    double heartbeat_s;
    double connect_timeout_s;
    json_t *alternates; /* array of URLs without passwords; NULL: none */
};

struct inspect_stats {
    json_t *totals; /* object: task to count */
    int64_t pid;
    int64_t clock;
    int64_t uptime_s;
    int64_t concurrency;
    json_t *processes; /* array of the runners' process ids */
    int64_t busy;
    int64_t prefetch;
    struct inspect_broker broker;
    struct inspect_usage usage;
};

json_t *inspect_stats(const struct inspect_stats *s);

#endif /* CONEY_MESSAGE_INSPECT_H */
