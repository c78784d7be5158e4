/* SPDX-License-Identifier: MIT */
/*
 * intake.h - the worker's consuming connection: from session to deliveries.
 *
 * An intake declares the broker's objects and consumes from every queue, each on a
 * channel of its own, and does so again after each loss. A *lane* is one such channel in
 * one life: a queue has one current lane and any number of draining ones. To change the
 * prefetch, the queues or the connection, a new lane is opened and the old one drained:
 * cancel, hand back what has not started, close after its last job (never a second
 * consumer on one channel, never a nack under a live consumer). A lane whose channel has
 * died takes no more acks; what it delivered comes again.
 */
#ifndef CONEY_WORKER_INTAKE_H
#define CONEY_WORKER_INTAKE_H

#include "amqp/session.h"
#include "config/config.h"
#include "queue/topology.h"

#include <sys/queue.h>
#include <uv.h>

enum lane_state {
    LANE_OPENING, /* consume is on its way */
    LANE_CONSUMING,
    LANE_CANCELLING, /* cancel is on its way; deliveries may still come */
    LANE_DRAINING,   /* no more deliveries; acks still count */
    LANE_DEAD        /* the channel is gone */
};

struct intake;

struct lane {
    TAILQ_ENTRY(lane) entry;
    struct intake *intake; /* NULL when the intake is gone (then LANE_DEAD) */
    enum lane_state state;
    struct amqp_channel channel;
    char *queue; /* owned; the broker's name */
    bool foreign;
    unsigned prefetch;
    bool superseded; /* a later plan has lanes of its own; cancelled once those consume */
    bool broken;     /* a settlement could not be queued */
    char consumer_tag[256];
    int64_t settled_ms; /* the last ack or nack, on clock_mono_ms(); 0: none yet */
    unsigned jobs;      /* deliveries not yet settled; the lane lives as long */
};

struct intake_callbacks {
    /* Every object exists, with its bindings; after each connect and each repair. */
    void (*on_declared)(void *ctx, struct intake *in);
    /* Whether to consume now that all is declared; else intake_consume() will say so. */
    bool (*may_consume)(void *ctx);
    /* Declared, and every queue is consumed from; after each connect. */
    void (*on_ready)(void *ctx, struct intake *in);
    /* @d is the callee's. The lane is held for it until lane_release(). */
    void (*on_delivery)(void *ctx, struct lane *lane, struct delivery *d);
    /* The lane gives no more deliveries: hand back what has not started. */
    void (*on_lane_cancelled)(void *ctx, struct lane *lane);
    /* The lane's channel is gone: nothing of it can be settled any more. */
    void (*on_lane_dead)(void *ctx, struct lane *lane);
    void (*on_up)(void *ctx, const struct session *s);
    void (*on_down)(void *ctx, const struct session_event *ev);
    /* An object could not be declared, or a channel was closed by the broker; tried
     * again. */
    void (*on_refused)(void *ctx, const char *queue, const struct coney_error *err);
    /* After intake_retire(): nothing is left, free it. */
    void (*on_empty)(void *ctx, struct intake *in);
    void *ctx;
};

/* Which queues to consume from, in the configuration's order. */
struct intake_plan {
    const struct config *config;     /* read during the calls only */
    const struct topology *topology; /* borrowed for the intake's life */
    const char *tag_prefix;          /* coney@host:pid */
    unsigned extra_prefetch;         /* for held jobs */
};

struct intake_options {
    uv_loop_t *loop;                       /* borrowed for the intake's life, like rng */
    const struct session_options *session; /* read during intake_new() */
    struct rng *rng;
    struct intake_callbacks callbacks;
};

enum coney_rc intake_new(const struct intake_options *options,
        const struct intake_plan *plan, struct intake **out,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Every lane is dead then; no callbacks. NULL is ignored. */
void intake_free(struct intake *in);

/*
 * Change queues and prefetch on the connection as it is: declare, open a lane for each
 * queue and, once all consume, cancel those of before. on_ready comes again.
 * CONEY_ENOMEM; nothing has changed then. The topology of before is no longer used.
 */
enum coney_rc intake_replan(
        struct intake *in, const struct intake_plan *plan) CONEY_MUST_CHECK;

bool intake_is_consuming(const struct intake *in);
/* Over all queues. */
unsigned intake_prefetch(const struct intake *in);
/* Consume, when that is what it waits for. */
void intake_consume(struct intake *in);
/* Declare everything again soon: an object of ours has vanished. */
void intake_repair(struct intake *in);
/* Consume nothing more; close when every lane has drained. */
void intake_retire(struct intake *in);

/* Settle one delivery of @lane. Nothing happens when the lane is dead. */
void lane_ack(struct lane *lane, uint64_t tag);
void lane_nack(struct lane *lane, uint64_t tag, bool requeue);
/* One delivery of @lane is settled or forgotten; the lane may be freed by this. */
void lane_release(struct lane *lane);
bool lane_is_alive(const struct lane *lane);

#endif /* CONEY_WORKER_INTAKE_H */
