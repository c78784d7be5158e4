/* SPDX-License-Identifier: MIT */
/*
 * control_state.h - what the files behind control.h and events.h share.
 *
 * control.c receives commands, control_inspect.c and its siblings carry them out, each
 * about one idea; events.c tells monitors.
 */
#ifndef CONEY_WORKER_CONTROL_STATE_H
#define CONEY_WORKER_CONTROL_STATE_H

#include "message/control.h"
#include "message/event.h"
#include "worker/control.h"
#include "worker/control_link.h"
#include "worker/overrides.h"
#include "worker/revoking.h"
#include "worker/state.h"

/* Events that wait for the connection: one message. */
struct parcel {
    STAILQ_ENTRY(parcel) entry;
    struct envelope envelope;
    unsigned count;
};

STAILQ_HEAD(parcel_line, parcel);

/* Whom to answer, later. */
struct asker {
    LIST_ENTRY(asker) entry;
    char *exchange; /* NULL: nobody; owned, like the next two */
    char *key;
    char *ticket; /* NULL: null */
};

LIST_HEAD(asker_list, asker);

struct control {
    struct worker *worker;
    struct control_link *link; /* owned; NULL: closed */
    bool link_is_closed;       /* to be freed, outside of its own callbacks */
    bool stopping;
    unsigned handles; /* not yet closed, when being freed */
    int64_t clock;    /* logical (Lamport), shared with all of Celery's processes */
    int64_t started_ms;
    unsigned name_tries;
    struct asker_list askers;
    size_t asker_count;
    bool reconnects;             /* the link closes to make room for another */
    struct revoking *revoking;   /* owned */
    struct overrides *overrides; /* owned */
    struct prospect *prospect;   /* owned; a queue that is being added; NULL: none */
    /* events.c */
    bool tells_of_tasks;
    int64_t heartbeat_ms; /* CONFIG_NONE: none */
    uv_timer_t heartbeat;
    uv_timer_t flush;
    struct event_batch batch;
    struct parcel_line waiting;
    size_t waiting_count; /* events in it */
    uint64_t dropped;     /* events, since last told */
    int64_t processed;
    json_t *totals; /* tasks started, by name; owned */
};

/* One command being carried out. */
struct call {
    const struct control_request *request;
    json_t *arguments; /* an object */
    bool is_taken;     /* control_answer() follows */
};

/* The reply, the caller's; NULL: null. */
typedef json_t *command_fn(struct worker *w, struct call *call);

struct command {
    const char *name;
    command_fn *run;
};

/* --- control.c: replies
 * ------------------------------------------------------------------------- */

/* The answer to @call comes later, by control_answer(). NULL when there are too many such
 * or memory is short. */
struct asker *control_answer_later(struct worker *w, struct call *call);
/* Answer @who, and forget it; @reply is taken. */
void control_answer(struct worker *w, struct asker *who, json_t *reply_take);

/* --- events.c
 * ------------------------------------------------------------------------------------ */

void events_init(struct control *c);
void events_fini(struct control *c);
/* By the configuration in force. */
void events_configure(struct control *c);
/* Connected: this worker is there, and what has waited may go. */
void events_connected(struct control *c);
/* worker-online, worker-heartbeat, worker-offline. */
void events_of_worker(struct control *c, enum event_type type);
/* Send what waits, now. */
void events_flush(struct control *c);

/* --- control_consumer.c
 * ------------------------------------------------------------------------ */

void consumer_handle(struct control *c, const struct session_event *ev);
void consumer_stop(struct control *c);

/* --- commands
 * ------------------------------------------------------------------------------------ */

command_fn command_ping;
command_fn command_enable_events;
command_fn command_disable_events;
command_fn command_heartbeat;
command_fn command_shutdown;
command_fn command_active;
command_fn command_reserved;
command_fn command_scheduled;
command_fn command_query_task;
command_fn command_registered;
command_fn command_active_queues;
command_fn command_stats;
command_fn command_clock;
command_fn command_conf;
command_fn command_report;
command_fn command_without_python;
command_fn command_nothing;
command_fn command_revoke;
command_fn command_terminate;
command_fn command_revoke_by_stamps;
command_fn command_revoked;
command_fn command_hello;
command_fn command_rate_limit;
command_fn command_time_limit;
command_fn command_pool_grow;
command_fn command_pool_shrink;
command_fn command_pool_restart;
command_fn command_autoscale;
command_fn command_add_consumer;
command_fn command_cancel_consumer;

#endif /* CONEY_WORKER_CONTROL_STATE_H */
