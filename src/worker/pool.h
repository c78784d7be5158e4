/* SPDX-License-Identifier: MIT */
/*
 * pool.h - the runners of one worker: spawned, fed, limited, killed and replaced.
 *
 * A pool keeps its runners alive (a runner that fails before its first job throttles the
 * restarts, 1 s doubling to 60 s), gives each assignment to a free runner through its
 * board, tells a job that its soft limit has passed, kills the runner and all it started
 * at the hard limit, and reports exactly one outcome for each assignment. It knows
 * nothing of the broker, queues or retries.
 */
#ifndef CONEY_WORKER_POOL_H
#define CONEY_WORKER_POOL_H

#include "base/buffer.h"
#include "config/config.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct pool;

/* A job for one runner; everything is read during pool_assign() only. */
struct assignment {
    const char *id;
    const char *task;
    const char *root_id; /* NULL: none; likewise parent_id */
    const char *parent_id;
    const char *queue;
    int64_t retries;
    bool redelivered;
    struct bytes body;           /* the JSON text [args, kwargs, embed] */
    struct bytes context;        /* HANDLER_SERVER: a JSON object, see record.h */
    const struct policy *policy; /* handler, command, max_tasks, max_memory */
    int64_t soft_ms;             /* after the start; CONFIG_NONE */
    int64_t hard_ms;
    void *job; /* comes back with the outcome */
};

enum outcome_kind {
    OUTCOME_SUCCESS,
    OUTCOME_RETRY,     /* the task asked for it; delay_ms or -1 for the policy's */
    OUTCOME_FAIL,      /* the task failed; the policy decides about a retry */
    OUTCOME_REJECT,    /* never again: dead letter */
    OUTCOME_IGNORE,    /* done, no result */
    OUTCOME_REQUEUE,   /* the task gave it back: later, not counted as an attempt */
    OUTCOME_CRASHED,   /* the runner or its server died under it: signal or exit_status */
    OUTCOME_TIMED_OUT, /* killed at its hard limit */
    OUTCOME_STOPPED,   /* killed by pool_kill(), or its runner never started it: run it
                          again */
    OUTCOME_UNKNOWN    /* no such task in this runner */
};

/* Borrowed for the call of on_outcome. */
struct outcome {
    enum outcome_kind kind;
    struct bytes value;       /* SUCCESS: JSON text; empty: null */
    const char *error_type;   /* "SmsError"; never NULL for RETRY, FAIL, REJECT, CRASHED,
                                 TIMED_OUT */
    const char *error_text;   /* never NULL for those */
    const char *error_module; /* "shop.errors"; NULL: unknown */
    struct bytes error_args;  /* JSON array of the exception's arguments; empty: none.
                                 This and the JSON below come from the task unchecked */
    const char *traceback;    /* or the last lines of stderr of a command; NULL: none */
    struct bytes children;    /* JSON array of Celery's result tuples; empty: none */
    bool no_result;           /* the task wants none to be stored */
    struct bytes publish; /* JSON array of signatures to send for the task; likewise */
    struct bytes
            tasks; /* JSON array of names that its server knows; empty: told already */
    struct bytes again;       /* RETRY: JSON [args, kwargs] for the next attempt; empty:
                                 those it had */
    int64_t delay_ms;         /* RETRY: -1: the policy's */
    int64_t max_retries;      /* RETRY, FAIL: -1: the policy's */
    int signal;               /* 0: none */
    int exit_status;          /* -1: none */
    int64_t max_rss_kib;      /* -1: unknown */
    struct bytes stderr_tail; /* what the attempt wrote to stderr last; at most 8 KiB */
    int64_t started_us;       /* wall time; 0: never started */
    int64_t duration_ms;
    int runner_pid;
};

struct pool_callbacks {
    void (*on_outcome)(void *ctx, void *job, const struct outcome *o);
    /* A runner has become free: pool_free_count() is above 0. */
    void (*on_free)(void *ctx);
    /* A line a task logged (progress), or a runner's own trouble. */
    void (*on_log)(void *ctx, void *job, enum log_level level, const char *text);
    void *ctx;
};

struct pool_options {
    unsigned size;
    const char *runner_path; /* opened once, executed by descriptor from then on */
    const struct string_list *plugins;
    const char *node;           /* coney@host, for the runners' environment */
    int64_t kill_after_soft_ms; /* unused limits are CONFIG_NONE */
    int64_t hello_ms;           /* for a runner to become ready; 0: 30 s */
    int64_t start_ms; /* for a runner to begin a job that it was given; 0: 30 s */
    int64_t stop_ms;  /* for a runner to end when it is asked to; 0: 5 s */
    struct pool_callbacks callbacks;
};

/* One task that the plugins offer, with the policy its plugin asks for. */
struct offered_task {
    char *name;
    int64_t soft_time_limit_ms; /* CONFIG_NONE: says nothing; likewise below */
    int64_t time_limit_ms;
    int64_t max_retries;
};

struct offered_tasks {
    struct offered_task *items;
    size_t count;
};

/* Whether this process has runners: then what a plugin leaves behind is for the pool's
 * next sweep, for one of the probe's own might take a runner started meanwhile. */
enum probe_time { PROBE_BEFORE_POOL, PROBE_BESIDE_POOL };

/*
 * Load the plugins in a short-lived runner and list what they offer: the master runs no
 * task code, not even a constructor. Blocks for at most 30 s. CONEY_EINVAL: a plugin
 * doesn't load; text has its path and the reason. CONEY_EIO: no runner.
 */
enum coney_rc pool_probe(const char *runner_path, const struct string_list *plugins,
        enum probe_time when, struct offered_tasks *out,
        struct coney_error *err) CONEY_MUST_CHECK;
void offered_tasks_fini(struct offered_tasks *t);

/*
 * Start @options->size runners. Options are copied, the loop is borrowed. One pool in a
 * process: every child in a session other than ours that is not its runner is taken for
 * something that a dead runner has left, and killed.
 */
enum coney_rc pool_new(uv_loop_t *loop, const struct pool_options *options,
        struct pool **out, struct coney_error *err) CONEY_MUST_CHECK;

/* Runners that could start a job now, without waiting. */
unsigned pool_free_count(const struct pool *p);
unsigned pool_busy_count(const struct pool *p);
unsigned pool_size(const struct pool *p);

/* The process that has @job; 0: none. */
pid_t pool_job_pid(const struct pool *p, const void *job);
/* The processes of all runners that take jobs; at most @max. Returns how many. */
size_t pool_pids(const struct pool *p, pid_t *pids, size_t max);

/* Give a job to a free runner. Exactly one on_outcome follows, never during this call.
 * CONEY_ELIMIT: no free runner; CONEY_ENOMEM, CONEY_EIO. */
enum coney_rc pool_assign(struct pool *p, const struct assignment *a,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Grow at once; shrink as jobs end. */
void pool_resize(struct pool *p, unsigned size);
/* Replace every runner, each after its job, by ones with these plugins. */
enum coney_rc pool_reload(
        struct pool *p, const struct string_list *plugins) CONEY_MUST_CHECK;
/* Kill the runner of @job: its outcome is OUTCOME_STOPPED. */
void pool_kill_job(struct pool *p, void *job);
/* Kill a runner that may have left something behind, and have it replaced. */
void pool_kill_runner(struct pool *p, pid_t pid);
/* Kill every runner and what they started; each running job gets OUTCOME_STOPPED. The
 * size is 0 then: no runner is started again before pool_resize(). */
void pool_kill(struct pool *p);
/* End the idle runners and free when the last one is reaped; calls @done then. No jobs
 * may be running (pool_kill() first). */
void pool_close(struct pool *p, void (*done)(void *ctx), void *ctx);

#endif /* CONEY_WORKER_POOL_H */
