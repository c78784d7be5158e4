/* SPDX-License-Identifier: MIT */
/*
 * control_link.h - the worker's third connection: commands come in, replies and events go
 * out, and nothing on it concerns a task.
 *
 * What is refused here (an exchange that somebody else has made differently, a right that
 * is missing, a node name that is taken) is tried again and hurts no task. The mailbox
 * is exclusive to this connection; after each loss everything is made again. What is
 * published is not confirmed: it leaves or it is dropped, and the caller is told which.
 */
#ifndef CONEY_WORKER_CONTROL_LINK_H
#define CONEY_WORKER_CONTROL_LINK_H

#include "amqp/session.h"

#include <uv.h>

enum control_channel {
    CONTROL_MAILBOX, /* commands come in */
    CONTROL_REPLIES, /* to exchanges that requests name: a 404 closes it */
    CONTROL_EVENTS,
    CONTROL_CHANNELS
};

struct control_link;

struct control_link_callbacks {
    void (*on_up)(void *ctx, const struct session *s);
    void (*on_down)(void *ctx, const struct session_event *ev);
    /* The mailbox is consumed from and events may be published; after each connect. */
    void (*on_ready)(void *ctx);
    void (*on_request)(void *ctx, const struct envelope *e);
    /* The mailbox belongs to somebody else: control_link_rename() for another, else it is
     * tried again. */
    void (*on_name_taken)(void *ctx);
    void (*on_refused)(void *ctx, const struct coney_error *err);
    /* An event of a channel that is not the link's. */
    void (*on_other)(void *ctx, struct session_event *ev);
    /* After control_link_close(): free it. */
    void (*on_closed)(void *ctx);
    void *ctx;
};

struct control_link_options {
    uv_loop_t *loop;                       /* borrowed for the link's life, like rng */
    const struct session_options *session; /* read during control_link_new() */
    struct rng *rng;
    const char *node;     /* copied, like the next three */
    const char *exchange; /* "celery" */
    const char *events_exchange;
    const char *consumer_tag;
    struct control_link_callbacks callbacks;
};

enum coney_rc control_link_new(const struct control_link_options *options,
        struct control_link **out, struct coney_error *err) CONEY_MUST_CHECK;
/* At once, and without callbacks. NULL is ignored. */
void control_link_free(struct control_link *l);
/* Write what is queued, say goodbye; on_closed follows, also without a connection. */
void control_link_close(struct control_link *l);

/* Take another name for the mailbox, now. CONEY_ENOMEM. */
enum coney_rc control_link_rename(
        struct control_link *l, const char *node) CONEY_MUST_CHECK;
/* Whether the mailbox was ours at some time. */
bool control_link_had_mailbox(const struct control_link *l);
bool control_link_is_ready(const struct control_link *l);

/* Publish @e, which stays the caller's. CONEY_ECLOSED: not connected, or a broker alarm
 * is on; CONEY_ELIMIT: too much waits already; CONEY_EINVAL, CONEY_ENOMEM. */
enum coney_rc control_link_reply(struct control_link *l, const char *exchange,
        const char *key, const struct envelope *e) CONEY_MUST_CHECK;
enum coney_rc control_link_event(struct control_link *l, const char *key,
        const struct envelope *e) CONEY_MUST_CHECK;

/* For channels of others on this connection, whose events come as on_other. */
struct session *control_link_session(struct control_link *l);

#endif /* CONEY_WORKER_CONTROL_LINK_H */
