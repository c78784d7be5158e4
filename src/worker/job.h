/* SPDX-License-Identifier: MIT */
/*
 * job.h - a delivery on its way through the worker, until it is settled.
 *
 *     HELD -> READY -> RUNNING -> SETTLING -> gone
 *
 * HELD waits for a time, READY for a runner, SETTLING for confirms. A job whose lane has
 * died keeps running or settling as an orphan (lane NULL) and waits for its copy.
 */
#ifndef CONEY_WORKER_JOB_H
#define CONEY_WORKER_JOB_H

#include "base/heap.h"
#include "message/task.h"
#include "worker/dispatcher.h"
#include "worker/generation.h"
#include "worker/intake.h"
#include "worker/mapped.h"
#include "worker/steps.h"

#include <sys/queue.h>

enum job_state { JOB_NEW, JOB_HELD, JOB_READY, JOB_RUNNING, JOB_SETTLING };

/* How the delivery itself ends. */
enum job_end {
    END_ACK,
    END_REQUEUE, /* nack: somebody else, or later */
    END_REJECT   /* nack without requeue: the broker's own dead-lettering */
};

struct job {
    TAILQ_ENTRY(job) entry; /* among all jobs of the worker */
    struct ready ready;     /* READY: in the dispatcher */
    struct heap_node timer; /* HELD: its time; SETTLING: the next try */
    enum job_state state;
    struct lane *lane; /* NULL: orphan */
    uint64_t tag;
    struct delivery delivery; /* owned */
    const char *queue;        /* the broker's name; in the envelope's arena */
    unsigned queue_index;     /* in the configuration of now */
    bool foreign;
    struct task_request *request;  /* owned; NULL: malformed */
    struct generation *generation; /* one reference; NULL: malformed */
    const struct policy *policy;   /* of the generation, for job_runs() */
    struct mapped *mapped;         /* owned; NULL: not begun, or maps nothing */
    int terminated_by;             /* RUNNING: the signal it was sent; 0: none */
    int64_t started_us;            /* RUNNING, wall time */
    int64_t held_until_us;         /* HELD, wall time */
    bool give_back;                /* HELD: nack it then */
    bool paid;                     /* its rate limit slot is reserved */
    bool attached;                 /* a copy has replaced a delivery that was lost */
    bool alone;                    /* suspected to kill workers: runs with no other */
    enum job_end end;
    struct step_list steps; /* what must be done before the end */
    struct orphan *orphan;  /* its entry among the orphans; NULL: none */
    bool abandoned; /* nobody waits for it: freed once nothing of it is on its way */
};

TAILQ_HEAD(job_list, job);

/* A job for @d, which it takes over, held by @lane (whose count already includes it).
 * NULL when out of memory; @d is still the caller's then. */
struct job *job_new(struct lane *lane, struct delivery *d);
/* Release the job and its hold on the lane; it must be in no list, heap or dispatcher. */
void job_free(struct job *j);
/* The job's delivery can no longer be settled. */
void job_orphan(struct job *j);

/* The task that a runner is to run for it, which must have a request: that of the
 * request, or the one that it maps. */
const char *job_runs(const struct job *j);
/* For logs: the request's, else "-". */
const char *job_id(const struct job *j);
const char *job_task(const struct job *j);

#endif /* CONEY_WORKER_JOB_H */
