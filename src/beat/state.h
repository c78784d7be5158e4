/* SPDX-License-Identifier: MIT */
/*
 * state.h - what the parts of the beat process share; private to its shell.
 *
 * beat.c is its life, seat.c the connection and the channel it leads from, act.c does
 * what the leader decides, replan.c changes the plan.
 */
#ifndef CONEY_BEAT_STATE_H
#define CONEY_BEAT_STATE_H

#include "beat/leader.h"
#include "beat/plan.h"
#include "queue/declarer.h"
#include "queue/names.h"

#include <uv.h>

enum beat_phase {
    BEAT_RUNNING,
    BEAT_STOPPING, /* no new ticks; those on their way may arrive */
    BEAT_CLOSING   /* saying goodbye to the broker */
};

enum { BEAT_SIGNALS = 3, BEAT_NAME_SIZE = 256, BEAT_PATIENCE_MS = 2000 };

struct driver;
struct replan;

struct beat {
    uv_loop_t loop;
    uv_timer_t timer;  /* only wakes the loop */
    uv_prepare_t turn; /* the end of each turn: all that is to be done */
    uv_signal_t signals[BEAT_SIGNALS];
    enum beat_phase phase;
    int exit_status;
    int64_t patience_ms; /* until when ticks on their way are waited for */

    const char *config_path; /* NULL: the usual places */
    char origin[BEAT_NAME_SIZE];
    char consumer_tag[BEAT_NAME_SIZE];
    char writer[UUID_TEXT_SIZE];
    struct rng rng;
    struct plan *plan;      /* owned */
    struct plan *next_plan; /* owned; of a reload, waits for a quiet moment */
    struct replan *replan;  /* being read; NULL: none */

    struct leader *leader;     /* owned; knows plan->agenda */
    struct session *session;   /* owned */
    struct driver *driver;     /* owned */
    struct declarer *declarer; /* owned; of plan->topology */
    char token_queue[AMQP_NAME_SIZE];
    struct amqp_channel channel; /* number 0: none */
    uint32_t generation;         /* of ticks on their way: of channels and agendas */
    bool is_empty;               /* no consumer and no token before us */
    bool is_reconnecting;        /* to the broker of next_plan */
    int64_t reopen_ms;           /* when to declare and open again; CLOCK_NEVER */
};

struct leader_moment beat_moment(const struct beat *b);
/* Look at everything once more before the loop sleeps. */
void beat_wake(struct beat *b);
/* The connection is closed for good. */
void beat_closed(struct beat *b);

/* --- seat.c
 * ------------------------------------------------------------------------------------ */

/* Connect to the broker of b->plan, with a leader that knows nothing yet. */
enum coney_rc seat_connect(struct beat *b, struct coney_error *err) CONEY_MUST_CHECK;
/* Whether a connection by @plan could at least be begun: its certificates can be read. */
enum coney_rc seat_try(struct beat *b, const struct plan *plan,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Drop connection and leader, at once. */
void seat_disconnect(struct beat *b);
/* Give up the channel, and with it the token; another one in @after_ms. */
void seat_leave(struct beat *b, int64_t after_ms);
/* Declare and open what the clock says. */
void seat_look(struct beat *b);
/* The plan has other broker objects. */
enum coney_rc seat_declare_plan(struct beat *b) CONEY_MUST_CHECK;

/* --- act.c
 * -------------------------------------------------------------------------------------
 */

/* Do what the leader wants done. False: there is more, for the next turn. */
bool act(struct beat *b);
/* A message of the token's queue. */
void act_receive(struct beat *b, const struct delivery *d);
/* An outcome of something that act() published. */
void act_published(struct beat *b, uint64_t cookie, enum publish_outcome outcome);

/* --- replan.c
 * ---------------------------------------------------------------------------------- */

/* Read the configuration anew, in a thread. */
void replan_begin(struct beat *b);
/* Change over to the plan that was read, once the moment is quiet. */
void replan_look(struct beat *b);

#endif /* CONEY_BEAT_STATE_H */
