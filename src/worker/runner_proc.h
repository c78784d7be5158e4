/* SPDX-License-Identifier: MIT */
/*
 * runner_proc.h - one runner as the master sees it: a process, its board, its jobs.
 *
 * Turns what happens to the process (news on the board, output, time, death) into one
 * outcome for each job it was given. It enforces the limits of its jobs and its own
 * deadlines, and distrusts whatever the runner says. When runners are started, reused or
 * replaced is the pool's business.
 */
#ifndef CONEY_WORKER_RUNNER_PROC_H
#define CONEY_WORKER_RUNNER_PROC_H

#include "worker/pool.h"

#include <sys/types.h>

enum runner_state {
    RUNNER_STARTING, /* no hello yet */
    RUNNER_IDLE,
    RUNNER_BUSY,
    RUNNER_ENDING, /* asked to end, or killed; gets no more jobs */
    RUNNER_GONE    /* reaped */
};

enum runner_kill {
    RUNNER_KILL_NONE,
    RUNNER_KILL_ASKED,      /* by the pool's owner */
    RUNNER_KILL_LIMIT,      /* a job passed its hard limit */
    RUNNER_KILL_NO_HELLO,   /* not ready in time */
    RUNNER_KILL_NO_START,   /* left a job lying */
    RUNNER_KILL_OVERSTAYED, /* didn't end when asked to */
    RUNNER_KILL_BROKEN      /* wrote nonsense on its board */
};

/* How a runner ended; borrowed for the call of on_end. */
struct runner_end {
    int signal;         /* 0: none */
    int exit_status;    /* -1: none */
    bool has_worked;    /* it had begun at least one job */
    unsigned jobs_lost; /* whose outcome is its death */
    const char *text;   /* "killed by signal 11 (SEGV)" */
};

struct runner_proc;

struct runner_events {
    void (*on_ready)(void *ctx);
    /* A job is over. The runner's state is already what it is after it. */
    void (*on_outcome)(void *ctx, void *job, const struct outcome *o);
    void (*on_log)(void *ctx, void *job, enum log_level level, const char *text);
    /* It has been killed for a reason other than RUNNER_KILL_ASKED; on_end follows. */
    void (*on_unfit)(void *ctx);
    /* The process is dead and each of its jobs has had its outcome. */
    void (*on_end)(void *ctx, const struct runner_end *end);
    /* The last call: the runner is freed when it returns. */
    void (*on_gone)(void *ctx);
    void *ctx;
};

struct runner_options {
    uv_loop_t *loop;
    int program_fd;             /* borrowed for the call */
    char *const *argv;          /* likewise */
    char *const *environ;       /* likewise */
    int64_t kill_after_soft_ms; /* CONFIG_NONE: never */
    int64_t hello_ms;
    int64_t start_ms;
    int64_t stop_ms;
    struct runner_events events; /* copied */
};

/* Start a process; on_gone ends its life. No event comes during this call. CONEY_EIO,
 * CONEY_ENOMEM: and no event will come at all. */
enum coney_rc runner_proc_start(const struct runner_options *options,
        struct runner_proc **out, struct coney_error *err) CONEY_MUST_CHECK;

enum runner_state runner_proc_state(const struct runner_proc *r);
pid_t runner_proc_pid(const struct runner_proc *r);
int64_t runner_proc_started_ms(const struct runner_proc *r);
/* Jobs that it has finished. */
unsigned long runner_proc_tasks(const struct runner_proc *r);
/* It has done the number of tasks, or taken the memory, that a policy allows. */
bool runner_proc_is_worn(const struct runner_proc *r);
/* Why it was killed, or RUNNER_KILL_NONE. */
enum runner_kill runner_proc_killed(const struct runner_proc *r);
bool runner_proc_has_job(const struct runner_proc *r, const void *job);

/* Give it a job. CONEY_ELIMIT, CONEY_EINVAL, CONEY_EIO, CONEY_ENOMEM: as board_post(). */
enum coney_rc runner_proc_assign(struct runner_proc *r, const struct assignment *a,
        struct coney_error *err) CONEY_MUST_CHECK;
/* A child of this process has ended: see whether it was this one. */
void runner_proc_reap(struct runner_proc *r);
/* Let it end by itself; killed if that takes longer than stop_ms. It must have no job. */
void runner_proc_stop(struct runner_proc *r);
/* Kill it and its group. Nothing happens when it has been killed before. */
void runner_proc_kill(struct runner_proc *r, enum runner_kill why);

#endif /* CONEY_WORKER_RUNNER_PROC_H */
