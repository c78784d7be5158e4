/* SPDX-License-Identifier: MIT */
/*
 * state.h - what the parts of one worker share. Only src/worker looks inside.
 *
 * worker.c starts and stops it all, connect.c keeps its connections, jobs.c moves jobs
 * from arrival to a runner, conclude.c says what an outcome leads to, prepare.c makes the
 * steps of it and settle.c takes them up to the ack, reload.c changes
 * generations.
 */
#ifndef CONEY_WORKER_STATE_H
#define CONEY_WORKER_STATE_H

#include "message/canvas_ends.h"
#include "message/result.h"
#include "queue/chord.h"
#include "worker/consequence.h"
#include "worker/control.h"
#include "worker/events.h"
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

struct note;
TAILQ_HEAD(note_list, note);

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

    struct control *control; /* NULL: none */

    struct store *store;    /* NULL: results go to queues, or nowhere */
    struct note_list notes; /* that a task has started, on their way */
    size_t note_count;

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
/* The runner that got the job has no such task: as if it had never been given one. */
void jobs_disown(struct worker *w, struct job *j);
/* Put @j, which has no outcome yet, into the dispatcher. */
void jobs_make_ready(struct worker *w, struct job *j);
/* Hand back every job of @lane that has not started. */
void jobs_hand_back(struct worker *w, struct lane *lane);
/* End those that wait and are revoked. */
void jobs_revoke_waiting(struct worker *w);
/* The deliveries of @lane are gone: forget what has not started, orphan the rest. */
void jobs_lose_lane(struct worker *w, struct lane *lane);
/* Take @j out of the dispatcher, from among the held, and off its timer. */
void jobs_leave_place(struct worker *w, struct job *j);
/* Take @j out of all lists and free it. */
void jobs_remove(struct worker *w, struct job *j);
/* A job's place in the configuration of now. False: its queue is in it no more. */
bool jobs_find_queue(const struct worker *w, struct job *j);

/* --- timers.c
 * --------------------------------------------------------------------------- */

/* What the clock has brought. */
void jobs_tick(struct worker *w);
/* Set the loop's timer to the next thing the clock will bring. */
void jobs_set_timer(struct worker *w);

/* --- conclude.c
 * ------------------------------------------------------------------------- */

/* A runner is done with @j. */
void conclude_outcome(struct worker *w, struct job *j, const struct outcome *o);
/* A task of Celery's own is answered at once. */
void conclude_builtin(struct worker *w, struct job *j);
/* All items of @j are done. */
void conclude_mapped(struct worker *w, struct job *j);
/* No handler wants it, or nobody can read it: dead letter, with @text as its error. */
void conclude_dead(
        struct worker *w, struct job *j, enum dead_reason reason, const char *text);
/* REVOKED, for one reason or the other; @signum for a termination. */
void conclude_revoked(struct worker *w, struct job *j, enum revoked_why why, int signum);
/* The message once more, not before @until_us, headers as they stand in the job. */
void conclude_put_back(struct worker *w, struct job *j, int64_t until_us);

/* --- prepare.c
 * -------------------------------------------------------------------------- */

/* Address @s, whose envelope is filled in. */
enum coney_rc prepare_address(
        struct step *s, const char *exchange, const char *routing_key) CONEY_MUST_CHECK;
/* To @queue, which is ours: through the levels for whole seconds, else straight. */
enum coney_rc prepare_address_delayed(const struct worker *w, struct step *s,
        const char *queue, int64_t until_us) CONEY_MUST_CHECK;
/* Each adds a step to @j, or none when it fails. */
enum coney_rc prepare_again(const struct worker *w, struct job *j,
        const struct task_again *again) CONEY_MUST_CHECK;
enum coney_rc prepare_dead_letter(const struct worker *w, struct job *j,
        const struct envelope *e, const struct evidence *evidence) CONEY_MUST_CHECK;
/* Whose result it is. NULL: absent. */
struct result_owner {
    const char *task_id;
    const char *reply_to;
    const char *correlation_id;
};
/* If there is anywhere to send it. The ids of @r are @owner's. A result that can't be
 * made is logged. */
void prepare_result_for(const struct worker *w, struct job *j,
        const struct result_owner *owner, const struct result *r);
/* The result of @j itself, if one is wanted. */
void prepare_result(const struct worker *w, struct job *j, const struct result *r);
bool prepare_wants_result(const struct worker *w, const struct job *j);

/* --- follow.c
 * --------------------------------------------------------------------------- */

/* Whether the value of @j is of use to anything but its result. */
bool follow_needs_value(const struct job *j);
/* Add what the task itself wants sent. The result tuples of that; the caller's. */
json_t *follow_publish(struct worker *w, struct job *j, const struct outcome *o);
/* The same, and what is to be sent after a success. The result tuples of all that, for
 * the result of
 * @j; the caller's. */
json_t *follow_success(
        struct worker *w, struct job *j, const struct outcome *o, json_t *value);
/* Add what is to be sent and said after a FAILURE or REVOKED. */
void follow_failure(struct worker *w, struct job *j, const struct result *why);
/* A chord has been completed by @j: its body is sent with all @results; or it has failed,
 * and whoever waits for the body, or for what was to follow it, is told. */
void follow_body(struct worker *w, struct job *j, json_t *body, json_t *results);
void follow_body_failed(
        struct worker *w, struct job *j, const json_t *body, const char *text);

/* --- join.c
 * ----------------------------------------------------------------------------- */

/* The chord of @r's task, if there is one, hears what became of it. */
void join_part(struct worker *w, struct job *j, const struct task_request *r,
        const struct result *result);
/* The same of a task that will never run. */
void join_end(struct worker *w, struct job *j, const struct canvas_end *end,
        const struct result *why);

/* --- settle.c
 * --------------------------------------------------------------------------- */

/* Take the steps of @j, then end its delivery by @end. */
void settle_begin(struct worker *w, struct job *j, enum job_end end);
/* Take no step: end the delivery by @end. */
void settle_end(struct worker *w, struct job *j, enum job_end end);
/* Take (again) the steps that are due; end the delivery when nothing is left. */
void settle_resume(struct worker *w, struct job *j);
/* Take back what has not left yet. */
void settle_withdraw(struct worker *w, struct job *j);
void settle_published(
        struct worker *w, struct outgoing *out, enum publish_outcome outcome);

/* --- results.c
 * ---------------------------------------------------------------------------
 */

/* Open the store that the configuration names; none is no mistake. */
enum coney_rc results_open(struct worker *w, struct coney_error *err) CONEY_MUST_CHECK;
/* The configuration has changed. What the old store has not done is the new one's. */
enum coney_rc results_renew(struct worker *w, const struct config *before,
        struct coney_error *err) CONEY_MUST_CHECK;
void results_free(struct worker *w);
/* Say that @j runs, if anybody wants to know. */
void results_started(struct worker *w, struct job *j);
/* An outgoing without an owner has left, or never will. */
void results_published(struct outgoing *out);

/* --- connect.c
 * -------------------------------------------------------------------------- */

/* A session's options for one purpose; what they point to lives in *@a, which is the
 * caller's to free, also on failure. */
enum coney_rc connect_options(const struct generation *g, const char *purpose,
        struct arena **a, struct session_options *out,
        struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc connect_intake(struct worker *w, const struct generation *s,
        struct intake **out, struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc connect_outlet(struct worker *w, const struct generation *s,
        struct outlet **out, struct coney_error *err) CONEY_MUST_CHECK;
/* Consume, where that waits for control_may_consume(). */
void connect_consume(struct worker *w);
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
/* The configuration in force was changed by command: go by it. CONEY_EREFUSED: not now;
 * nothing has changed then. */
enum coney_rc reload_in_place(struct worker *w, struct coney_error *err) CONEY_MUST_CHECK;
/* The new intake consumes: let go of the old one. */
void reload_finish(struct worker *w);
/* Everything is consumed from. */
void worker_is_ready(struct worker *w);
/* As on SIGTERM; nothing when it is under way. */
void worker_shutdown(struct worker *w);
/* See to it that the loop ends this turn without sleeping: there is something to dispatch
 * or to sweep. Needed because sessions may be stepped just before the loop would sleep.
 */
void worker_wake(struct worker *w);

#endif /* CONEY_WORKER_STATE_H */
