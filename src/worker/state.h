/* SPDX-License-Identifier: MIT */
/*
 * state.h - what the parts of one worker share. Only src/worker looks inside.
 *
 * worker.c starts and stops it all, connect.c keeps its connections, jobs.c moves jobs
 * from arrival to a runner, settle.c from an outcome to the ack, reload.c changes
 * generations.
 */
#ifndef CONEY_WORKER_STATE_H
#define CONEY_WORKER_STATE_H

#include "message/result.h"
#include "worker/consequence.h"
#include "worker/job.h"
#include "worker/orphans.h"
#include "worker/rate.h"

#include <uv.h>

enum worker_phase {
    WORKER_STARTING, /* nothing consumed yet */
    WORKER_RUNNING,
    WORKER_DRAINING, /* nothing new; what runs may end */
    WORKER_STOPPING  /* everything is being closed */
};

enum { NODE_NAME_SIZE = 256, RETIRED_MAX = 64, SIGNAL_COUNT = 3 };

/* A connection that ends by itself once what is on it is settled: one of the two. */
struct retired {
    struct intake *intake;
    struct outlet *outlet;
    struct generation *generation; /* of the intake; one reference */
    bool empty;                    /* to be freed, outside of its own callbacks */
};

struct worker {
    uv_loop_t loop;
    uv_timer_t timer;       /* the earliest of timers and the orphans' deadline */
    uv_timer_t drain_timer; /* running jobs may take no longer */
    uv_check_t turn;        /* the end of each turn of the loop: dispatch, sweep */
    uv_timer_t wake;        /* active while a turn must not sleep */
    uv_signal_t signals[SIGNAL_COUNT];
    enum worker_phase phase;
    int exit_status;
    bool closing_pool;

    const char *config_path;              /* NULL: the usual places */
    char *runner_path;                    /* owned */
    char node[NODE_NAME_SIZE];            /* coney@host */
    char tag_prefix[NODE_NAME_SIZE + 16]; /* coney@host:pid */
    struct rng rng;
    struct generation *generation; /* one reference */
    struct reload *reload;         /* under way; NULL: none */

    struct intake *intake;
    struct intake *next_intake; /* of a reload: takes over once it consumes */
    struct outlet *outlet;
    struct generation *intake_generation; /* whose topology it borrows; one reference */
    struct generation *next_generation;   /* likewise of next_intake */
    struct retired retired[RETIRED_MAX];

    struct pool *pool;
    struct dispatcher *dispatcher;
    struct rates *rates;
    struct orphans *orphans;
    struct job_list jobs;
    size_t job_count;
    size_t held_count;
    struct heap timers; /* of struct job.timer, on clock_mono_ms() */
    struct job *alone;  /* the one job that runs with no other; NULL: none */
};

/* --- jobs.c
 * ----------------------------------------------------------------------------- */

/* A delivery of @lane, whose count includes it; @d is taken over. */
void jobs_receive(struct worker *w, struct lane *lane, struct delivery *d);
/* Start what may start. */
void jobs_dispatch(struct worker *w);
/* Hold @j, which is in no list but that of all jobs, until @until_us at least. */
void jobs_hold(struct worker *w, struct job *j, int64_t until_us);
/* Admit @j (again): start it, hold it, put it back or let it go. */
void jobs_admit(struct worker *w, struct job *j);
/* Put @j, which has no outcome yet, into the dispatcher. */
void jobs_make_ready(struct worker *w, struct job *j);
/* Hand back every job of @lane that has not started. */
void jobs_hand_back(struct worker *w, struct lane *lane);
/* The deliveries of @lane are gone: forget what has not started, orphan the rest. */
void jobs_lose_lane(struct worker *w, struct lane *lane);
/* Take @j out of all lists and free it. */
void jobs_remove(struct worker *w, struct job *j);
/* What the clock has brought. */
void jobs_tick(struct worker *w);
/* Set the loop's timer to the next thing the clock will bring. */
void jobs_set_timer(struct worker *w);
/* A job's place in the configuration of now. False: its queue is in it no more. */
bool jobs_find_queue(const struct worker *w, struct job *j);

/* --- settle.c
 * --------------------------------------------------------------------------- */

void settle_outcome(struct worker *w, struct job *j, const struct outcome *o);
/* No handler wants it, or nobody can read it: dead letter, with @text as its error. */
void settle_dead(
        struct worker *w, struct job *j, enum dead_reason reason, const char *text);
/* REVOKED: expired before it could start. */
void settle_expired(struct worker *w, struct job *j);
/* The message once more, not before @until_us, headers as they stand in the job. */
void settle_put_back(struct worker *w, struct job *j, int64_t until_us);
/* Nothing to publish: end the delivery by @end. */
void settle_end(struct worker *w, struct job *j, enum job_end end);
/* Publish (again) what is not confirmed yet; end the delivery when nothing is left. */
void settle_resume(struct worker *w, struct job *j);
void settle_published(
        struct worker *w, struct outgoing *out, enum publish_outcome outcome);

/* --- connect.c
 * -------------------------------------------------------------------------- */

enum coney_rc connect_intake(struct worker *w, const struct generation *s,
        struct intake **out, struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc connect_outlet(struct worker *w, const struct generation *s,
        struct outlet **out, struct coney_error *err) CONEY_MUST_CHECK;
/* Change queues and prefetch on the connection that there is. */
enum coney_rc connect_replan(
        struct worker *w, const struct generation *s) CONEY_MUST_CHECK;
/* Whether one more intake and one more outlet can be retired. */
bool connect_has_room(const struct worker *w);
/* Let a connection end by itself; @s is the reference that goes with the intake. */
void connect_retire_intake(struct worker *w, struct intake *in, struct generation *s);
void connect_retire_outlet(struct worker *w, struct outlet *o, struct outlet *to);
/* Free what has become empty. */
void connect_sweep(struct worker *w);
/* Nothing that was retired is left. */
bool connect_is_closed(const struct worker *w);
/* Free every connection, at once. */
void connect_free(struct worker *w);

/* --- reload.c, worker.c
 * ----------------------------------------------------------------- */

/* Load a new generation in a thread, then change over to it. */
void reload_begin(struct worker *w);
/* The new intake consumes: let go of the old one. */
void reload_finish(struct worker *w);
/* Everything is consumed from. */
void worker_is_ready(struct worker *w);
/* See to it that the loop ends this turn without sleeping: there is something to dispatch
 * or to sweep. Needed because sessions may be stepped just before the loop would sleep.
 */
void worker_wake(struct worker *w);

#endif /* CONEY_WORKER_STATE_H */
