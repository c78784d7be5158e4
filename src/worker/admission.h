/* SPDX-License-Identifier: MIT */
/*
 * admission.h - what to do with a task that has just arrived: a function of the request,
 * its policy and the time. What it says is carried out elsewhere.
 */
#ifndef CONEY_WORKER_ADMISSION_H
#define CONEY_WORKER_ADMISSION_H

#include "config/config.h"
#include "message/task.h"

/* Headers of ours that say how a message has fared; they never outlive their purpose. */
#define HEADER_PAID "coney-paid" /* its rate limit slot is reserved */
#define HEADER_UNKNOWN_SINCE \
    "coney-unknown-since" /* ms since 1970: first met without handler */
#define HEADER_UNKNOWN_COUNT "coney-unknown-count" /* times it was put back for that */

enum admission {
    ADMIT_START,   /* ready now */
    ADMIT_EXPIRED, /* REVOKED */
    ADMIT_LATER,   /* not before until_us */
    ADMIT_UNKNOWN, /* no handler here: put back until until_us, or given to others */
    ADMIT_NOBODY   /* no handler for too long: dead letter */
};

struct admission_facts {
    const struct task_request *request;
    const struct table *headers;
    bool known;                  /* somebody here handles the task */
    int64_t unknown_task_ttl_ms; /* how long to wait for somebody who does */
    int64_t now_us;
};

struct admission_verdict {
    enum admission kind;
    int64_t until_us;         /* ADMIT_LATER, ADMIT_UNKNOWN */
    int64_t unknown_since_ms; /* ADMIT_UNKNOWN: for the headers; likewise the count */
    int64_t unknown_count;
};

struct admission_verdict admission_decide(const struct admission_facts *facts);
/* Whether a task that waited has expired meanwhile. */
bool admission_is_expired(const struct task_request *request, int64_t now_us);

#endif /* CONEY_WORKER_ADMISSION_H */
