/* SPDX-License-Identifier: MIT */
/*
 * outlet.h - the worker's publishing connection: everything leaves confirmed.
 *
 * Two channels: settle for our own objects (levels, dead letters, task queues), foreign
 * for whatever a message named, so that a mistake of others there hurts nothing of ours.
 * What is handed over waits while the connection is down or blocked, and gets exactly one
 * outcome. The outlet never sends anything twice by itself: whether to try again is for
 * the owner to decide, who knows whether the delivery behind it is still his.
 */
#ifndef CONEY_WORKER_OUTLET_H
#define CONEY_WORKER_OUTLET_H

#include "amqp/session.h"

#include <sys/queue.h>
#include <uv.h>

enum outlet_channel { OUTLET_SETTLE, OUTLET_FOREIGN, OUTLET_CHANNELS };
enum outgoing_state { OUTGOING_IDLE, OUTGOING_WAITING, OUTGOING_SENT };

/* One message on its way out; embedded in what it is about. All but entry and state is
 * filled in by the owner. */
struct outgoing {
    TAILQ_ENTRY(outgoing) entry;
    enum outgoing_state state;
    enum outlet_channel channel;
    bool mandatory;
    const char *exchange; /* these two live in the envelope's arena */
    const char *routing_key;
    struct envelope envelope; /* owned until outgoing_fini() */
    void *owner;
};

struct outlet;

struct outlet_callbacks {
    void (*on_published)(void *ctx, struct outgoing *out, enum publish_outcome outcome);
    /* The broker has closed a channel over a publish: an object of ours is gone. */
    void (*on_refused)(void *ctx, const struct coney_error *err);
    void (*on_up)(void *ctx, const struct session *s);
    void (*on_down)(void *ctx, const struct session_event *ev);
    /* After outlet_retire(): nothing is left, free it. Not called from within a call. */
    void (*on_empty)(void *ctx, struct outlet *o);
    void *ctx;
};

struct outlet_options {
    uv_loop_t *loop;                       /* borrowed for the outlet's life, like rng */
    const struct session_options *session; /* read during outlet_new() */
    struct rng *rng;
    struct outlet_callbacks callbacks;
};

enum coney_rc outlet_new(const struct outlet_options *options, struct outlet **out,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Forget what waits or is on its way, without outcomes. NULL is ignored. */
void outlet_free(struct outlet *o);

/* Hand over @out, which is idle. One on_published follows, never during this call. */
void outlet_publish(struct outlet *o, struct outgoing *out);
/* Take back what still waits; false when it has left already. (A message that can't be
 * written as AMQP, such as one whose headers fill more than a frame, counts as returned.)
 */
bool outlet_withdraw(struct outlet *o, struct outgoing *out);
/* What waits here goes to @to; the connection closes when the rest is confirmed. */
void outlet_retire(struct outlet *o, struct outlet *to);
/* What is published to has been declared again: go on after a refusal, which otherwise
 * keeps the channel closed for a while. An exchange that exists but is not bound yet
 * would send what is published meanwhile to the unroutable. */
void outlet_reopen(struct outlet *o);
/* Release the envelope; the outgoing must not be on its way. */
void outgoing_fini(struct outgoing *out);

#endif /* CONEY_WORKER_OUTLET_H */
