/* SPDX-License-Identifier: MIT */
/*
 * consequence.h - what follows from an outcome: a function of the outcome, the policy and
 * how often the task was tried.
 */
#ifndef CONEY_WORKER_CONSEQUENCE_H
#define CONEY_WORKER_CONSEQUENCE_H

#include "base/rng.h"
#include "message/dead_letter.h"
#include "worker/pool.h"

enum consequence_kind {
    CONSEQUENCE_DONE,     /* result, then ack */
    CONSEQUENCE_IGNORED,  /* no result, ack */
    CONSEQUENCE_RETRY,    /* a new message after delay_ms, then ack */
    CONSEQUENCE_DEAD,     /* dead letter and result, then ack */
    CONSEQUENCE_PUT_BACK, /* not counted: for another one, after delay_ms */
    CONSEQUENCE_UNKNOWN,  /* its runner has no such task */
    CONSEQUENCE_RETURN    /* it did not run to an end: again, here or elsewhere */
};

struct consequence {
    enum consequence_kind kind;
    int64_t delay_ms;        /* CONSEQUENCE_RETRY, CONSEQUENCE_PUT_BACK */
    enum dead_reason reason; /* CONSEQUENCE_DEAD */
};

struct consequence consequence_of(const struct outcome *o,
        const struct retry_policy *policy, int64_t retries, struct rng *rng);

#endif /* CONEY_WORKER_CONSEQUENCE_H */
