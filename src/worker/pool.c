/* SPDX-License-Identifier: MIT */
/*
 * pool.c - how many runners there are, and which of them may have a job.
 *
 * Each runner is a member of one list at a time: starting, free, busy, leaving. The first
 * three count towards the size; a leaving one has been asked to end or killed, and its
 * replacement is started without waiting for it. The free list is a stack: who worked
 * last is warmest.
 */
#include "worker/pool.h"

#include "base/clock.h"
#include "base/error.h"
#include "worker/descendants.h"
#include "worker/launch.h"
#include "worker/runner_proc.h"
#include "worker/throttle.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    HELLO_MS = 30 * 1000,
    START_MS = 30 * 1000,
    STOP_MS = 5 * 1000,
    STARTS_PER_TURN = 8, /* a fork is about a millisecond in which nothing else runs */
    ASSIGN_TRIES = 3,
    SWEEPS_DOUBLING = 10, /* 1 ms, 2 ms, ... 512 ms, and then: */
    SWEEP_CAP_MS = 1000,
    SWEEPS_CLEAN = 3,     /* that found nobody, and we believe it */
    SWEEPS_AT_CLOSE = 16, /* about 7 s; what can't be killed by then stays */
    LOG_TEXT_SIZE = 2200  /* a runner's line and a few words around it */
};

enum place { PLACE_STARTING, PLACE_FREE, PLACE_BUSY, PLACE_LEAVING, PLACE_COUNT };

struct member {
    LIST_ENTRY(member) link;   /* in the list of its place */
    LIST_ENTRY(member) of_all; /* from its start until it frees itself */
    struct pool *pool;
    struct runner_proc *proc; /* NULL: dead; it frees itself */
    enum place place;
    unsigned generation;
};

LIST_HEAD(member_list, member);

struct pool {
    uv_loop_t *loop;
    struct pool_callbacks callbacks;
    struct runner_options template; /* for every runner, but its events' context */
    char *node;                     /* owned; NULL: none */
    struct launch launch;
    unsigned generation; /* of the plugins */
    unsigned size;
    struct member_list all;
    struct member_list lists[PLACE_COUNT];
    unsigned counts[PLACE_COUNT];
    struct throttle throttle;
    uv_signal_t child_signal;
    uv_timer_t fill_timer;
    uv_timer_t sweep_timer;
    unsigned sweeps;       /* since the last death */
    unsigned clean_sweeps; /* in a row that found nobody */
    bool sweeping;
    bool closing;
    unsigned handles; /* not yet closed */
    void (*done)(void *ctx);
    void *done_ctx;
};

static void fill(struct pool *p);

unsigned pool_free_count(const struct pool *p)
{
    return p->counts[PLACE_FREE];
}

unsigned pool_busy_count(const struct pool *p)
{
    return p->counts[PLACE_BUSY];
}

unsigned pool_size(const struct pool *p)
{
    return p->size;
}

static unsigned count_staying(const struct pool *p)
{
    return p->counts[PLACE_STARTING] + p->counts[PLACE_FREE] + p->counts[PLACE_BUSY];
}

static unsigned count_all(const struct pool *p)
{
    return count_staying(p) + p->counts[PLACE_LEAVING];
}

static void move(struct member *m, enum place place)
{
    struct pool *p = m->pool;
    LIST_REMOVE(m, link);
    p->counts[m->place]--;
    m->place = place;
    LIST_INSERT_HEAD(&p->lists[place], m, link);
    p->counts[place]++;
}

static void dismiss(struct member *m)
{
    move(m, PLACE_LEAVING);
    runner_proc_stop(m->proc);
}

static void tell_free(struct pool *p)
{
    if (p->counts[PLACE_FREE] > 0 && !p->closing)
        p->callbacks.on_free(p->callbacks.ctx);
}

/* --- orphans ------------------------------------------------------------------------ */

static void finish_closing(struct pool *p);

/* Kill what dead runners have left; returns how many there were. */
static size_t sweep(struct pool *p)
{
    size_t count = 0;
    struct member *m;
    pid_t *known = calloc(count_all(p) + 1, sizeof(*known));
    if (!known)
        return 1; /* can't tell them apart now */

    LIST_FOREACH(m, &p->all, of_all)
    if (m->proc)
        known[count++] = runner_proc_pid(m->proc);
    size_t found = descendants_sweep(known, count);
    free(known);
    return found;
}

static void report_undead(struct pool *p, size_t count)
{
    char text[LOG_TEXT_SIZE];
    snprintf(text, sizeof(text),
            "processes left by runners do not die; trying on  count=%zu signal=9", count);
    p->callbacks.on_log(p->callbacks.ctx, NULL, LOG_LEVEL_WARNING, text);
}

static void on_sweep(uv_timer_t *timer)
{
    struct pool *p = timer->data;
    size_t found = sweep(p);

    p->clean_sweeps = found > 0 ? 0 : p->clean_sweeps + 1;
    if (found > 0 && p->sweeps == SWEEPS_DOUBLING)
        report_undead(p, found);
    if (p->clean_sweeps < SWEEPS_CLEAN && !(p->closing && p->sweeps >= SWEEPS_AT_CLOSE)) {
        uint64_t wait_ms =
                p->sweeps < SWEEPS_DOUBLING ? UINT64_C(1) << p->sweeps : SWEEP_CAP_MS;
        p->sweeps++;
        uv_timer_start(timer, on_sweep, wait_ms, 0);
        return;
    }
    p->sweeping = false;
    finish_closing(p);
}

/* Not in the middle of a death: in the next turn, once for all that died in this one. */
static void sweep_soon(struct pool *p)
{
    p->sweeping = true;
    p->sweeps = 0;
    p->clean_sweeps = 0;
    uv_timer_start(&p->sweep_timer, on_sweep, 0, 0);
}

/* --- what runners tell us ----------------------------------------------------------- */

static void on_log(void *ctx, void *job, enum log_level level, const char *text)
{
    struct member *m = ctx;
    struct pool *p = m->pool;
    char space[LOG_TEXT_SIZE];

    if (!job) {
        snprintf(space, sizeof(space), "runner[%ld]: %s", (long)runner_proc_pid(m->proc),
                text);
        text = space;
    }
    p->callbacks.on_log(p->callbacks.ctx, job, level, text);
}

/* A runner has nothing to do: let it wait for a job, or go. */
static void place_idle(struct member *m)
{
    struct pool *p = m->pool;
    if (m->place == PLACE_LEAVING)
        return;
    if (p->closing || m->generation != p->generation || count_staying(p) > p->size ||
            runner_proc_is_worn(m->proc))
        dismiss(m);
    else
        move(m, PLACE_FREE);
}

static void on_ready(void *ctx)
{
    struct member *m = ctx;
    struct pool *p = m->pool;
    place_idle(m);
    fill(p);
    tell_free(p);
}

static void on_outcome(void *ctx, void *job, const struct outcome *o)
{
    struct member *m = ctx;
    struct pool *p = m->pool;

    switch (runner_proc_state(m->proc)) {
    case RUNNER_IDLE:
        if (runner_proc_tasks(m->proc) == 1)
            throttle_succeed(&p->throttle, runner_proc_started_ms(m->proc));
        place_idle(m);
        fill(p);
        break;
    case RUNNER_ENDING:
    case RUNNER_GONE:
        if (m->place != PLACE_LEAVING)
            move(m, PLACE_LEAVING);
        break;
    case RUNNER_STARTING:
    case RUNNER_BUSY:
        break;
    }
    p->callbacks.on_outcome(p->callbacks.ctx, job, o);
    tell_free(p);
}

/* --- deaths ------------------------------------------------------------------------- */

/* It has been killed for a reason of its own. */
static void on_unfit(void *ctx)
{
    struct member *m = ctx;
    if (m->place != PLACE_LEAVING)
        move(m, PLACE_LEAVING);
}

/* Dismissed before, and so no sign of what the next one will meet. */
static bool was_dismissed(const struct member *m)
{
    enum runner_kill why = runner_proc_killed(m->proc);
    return m->place == PLACE_LEAVING &&
           (why == RUNNER_KILL_NONE || why == RUNNER_KILL_OVERSTAYED);
}

/* Whether there is nothing to say: we wanted it, or its job's outcome says it. */
static bool is_explained(const struct member *m, const struct runner_end *end)
{
    enum runner_kill why = runner_proc_killed(m->proc);
    return why == RUNNER_KILL_ASKED || why == RUNNER_KILL_LIMIT || end->jobs_lost > 0 ||
           (was_dismissed(m) && end->exit_status == 0);
}

static void log_end(struct member *m, const struct runner_end *end)
{
    struct pool *p = m->pool;
    char text[LOG_TEXT_SIZE];
    char next[64] = "replaced";
    int64_t wait_ms = throttle_next_ms(&p->throttle) - clock_mono_ms();

    if (wait_ms > 0)
        snprintf(next, sizeof(next), "next start in %.1f s", (double)wait_ms / 1000);
    snprintf(text, sizeof(text), "runner[%ld] %s%s; %s  tasks=%lu",
            (long)runner_proc_pid(m->proc), end->text,
            end->has_worked ? "" : " before its first job", next,
            runner_proc_tasks(m->proc));
    p->callbacks.on_log(p->callbacks.ctx, NULL, LOG_LEVEL_WARNING, text);
}

static void on_end(void *ctx, const struct runner_end *end)
{
    struct member *m = ctx;
    enum runner_kill why = runner_proc_killed(m->proc);
    if (!end->has_worked && !was_dismissed(m) && why != RUNNER_KILL_ASKED)
        throttle_fail(
                &m->pool->throttle, runner_proc_started_ms(m->proc), clock_mono_ms());
    if (!is_explained(m, end))
        log_end(m, end);
    if (m->place != PLACE_LEAVING)
        move(m, PLACE_LEAVING);
    m->proc = NULL;
    sweep_soon(m->pool);
    fill(m->pool);
}

static void on_gone(void *ctx)
{
    struct member *m = ctx;
    struct pool *p = m->pool;
    LIST_REMOVE(m, link);
    LIST_REMOVE(m, of_all);
    p->counts[m->place]--;
    free(m);
    finish_closing(p);
}

/*
 * SIGCHLD, and not a pidfd for each runner: signals merge, so all are asked, but that is
 * once for a death and not for a task; and it is heard under valgrind 3.19 too.
 */
static void on_child(uv_signal_t *signal, int number)
{
    struct pool *p = signal->data;
    struct member *m;
    (void)number;
    /* Outcomes may start members, which come before us in the list, but free none. */
    LIST_FOREACH(m, &p->all, of_all)
    if (m->proc)
        runner_proc_reap(m->proc);
}

/* --- starts ------------------------------------------------------------------------- */

static enum coney_rc start_member(struct pool *p, struct coney_error *err)
{
    struct member *m = calloc(1, sizeof(*m));
    if (!m)
        return error_set_nomem(err);

    struct runner_options options = p->template;
    options.argv = p->launch.argv;
    options.events.ctx = m;
    enum coney_rc rc = runner_proc_start(&options, &m->proc, err);
    if (rc != CONEY_OK) {
        free(m);
        return rc;
    }
    m->pool = p;
    m->generation = p->generation;
    m->place = PLACE_STARTING;
    LIST_INSERT_HEAD(&p->all, m, of_all);
    LIST_INSERT_HEAD(&p->lists[PLACE_STARTING], m, link);
    p->counts[PLACE_STARTING]++;
    return CONEY_OK;
}

static void report_failed_start(struct pool *p, const struct coney_error *err)
{
    char text[LOG_TEXT_SIZE];
    int64_t now_ms = clock_mono_ms();
    throttle_fail(&p->throttle, now_ms, now_ms);
    snprintf(text, sizeof(text), "cannot start a runner: %s; next try in %.1f s",
            err->text, (double)p->throttle.delay_ms / 1000);
    p->callbacks.on_log(p->callbacks.ctx, NULL, LOG_LEVEL_ERROR, text);
}

static void on_fill(uv_timer_t *timer)
{
    fill(timer->data);
}

/* Start what is missing, as far as the throttle and this turn allow. */
static void fill(struct pool *p)
{
    for (unsigned started = 0; count_staying(p) < p->size && !p->closing; started++) {
        struct coney_error err;
        int64_t wait_ms = throttle_next_ms(&p->throttle) - clock_mono_ms();
        if (wait_ms > 0 || started == STARTS_PER_TURN) {
            uv_timer_start(
                    &p->fill_timer, on_fill, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
            return;
        }
        if (throttle_is_wary(&p->throttle) && p->counts[PLACE_STARTING] > 0)
            return; /* its hello, or its end, brings us back */
        if (start_member(p, &err) != CONEY_OK)
            report_failed_start(p, &err);
    }
}

/* --- the public side ---------------------------------------------------------------- */

static struct runner_options make_template(
        const struct pool *p, const struct pool_options *o)
{
    return (struct runner_options){
            .loop = p->loop,
            .program_fd = p->launch.program_fd,
            .environ = p->launch.environ,
            .kill_after_soft_ms = o->kill_after_soft_ms,
            .hello_ms = o->hello_ms ? o->hello_ms : HELLO_MS,
            .start_ms = o->start_ms ? o->start_ms : START_MS,
            .stop_ms = o->stop_ms ? o->stop_ms : STOP_MS,
            .events = {.on_ready = on_ready,
                    .on_outcome = on_outcome,
                    .on_log = on_log,
                    .on_unfit = on_unfit,
                    .on_end = on_end,
                    .on_gone = on_gone},
    };
}

static enum coney_rc open_handles(struct pool *p, struct coney_error *err)
{
    int rc = uv_signal_init(p->loop, &p->child_signal);
    if (rc != 0)
        return error_set(err, CONEY_EIO, "SIGCHLD: %s", uv_strerror(rc));
    uv_timer_init(p->loop, &p->fill_timer);
    uv_timer_init(p->loop, &p->sweep_timer);
    p->child_signal.data = p->fill_timer.data = p->sweep_timer.data = p;
    p->handles = 3;
    return CONEY_OK;
}

enum coney_rc pool_new(uv_loop_t *loop, const struct pool_options *options,
        struct pool **out, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    struct pool *p = calloc(1, sizeof(*p));
    if (!p)
        return error_set_nomem(err);

    p->launch.program_fd = -1;
    p->loop = loop;
    p->callbacks = options->callbacks;
    p->size = options->size;
    if (options->node && !(p->node = strdup(options->node)))
        rc = error_set_nomem(err);
    if (rc == CONEY_OK)
        rc = launch_init(&p->launch, options->runner_path, err);
    if (rc == CONEY_OK &&
            launch_set_arguments(&p->launch, NULL, p->node, options->plugins) != CONEY_OK)
        rc = error_set_nomem(err);
    if (rc == CONEY_OK)
        rc = descendants_adopt(err);
    if (rc == CONEY_OK)
        rc = open_handles(p, err);
    if (rc != CONEY_OK)
        goto out;

    p->template = make_template(p, options);
    uv_signal_start(&p->child_signal, on_child, SIGCHLD);
    sweep_soon(p); /* what a probe may have left */
    fill(p);
    *out = p;
    p = NULL;
out:
    if (p) {
        launch_fini(&p->launch);
        free(p->node);
        free(p);
    }
    return rc;
}

enum coney_rc pool_assign(
        struct pool *p, const struct assignment *a, struct coney_error *err)
{
    enum coney_rc rc = error_set(err, CONEY_ELIMIT, "no free runner");
    for (unsigned i = 0; i < ASSIGN_TRIES && p->counts[PLACE_FREE] > 0; i++) {
        struct member *m = LIST_FIRST(&p->lists[PLACE_FREE]);
        rc = runner_proc_assign(m->proc, a, err);
        if (rc == CONEY_OK)
            move(m, PLACE_BUSY);
        if (rc != CONEY_EIO)
            break;
        dismiss(m); /* its board is broken, or we are short of descriptors */
    }
    return rc;
}

/* Dismiss those of @place: all, or as many as are above the size. */
static void dismiss_excess(struct pool *p, enum place place)
{
    while (p->counts[place] > 0 && count_staying(p) > p->size)
        dismiss(LIST_FIRST(&p->lists[place]));
}

void pool_resize(struct pool *p, unsigned size)
{
    p->size = size;
    dismiss_excess(p, PLACE_STARTING);
    dismiss_excess(p, PLACE_FREE);
    fill(p);
}

enum coney_rc pool_reload(struct pool *p, const struct string_list *plugins)
{
    enum coney_rc rc = launch_set_arguments(&p->launch, NULL, p->node, plugins);
    if (rc != CONEY_OK)
        return rc;
    p->generation++;
    while (p->counts[PLACE_STARTING] > 0)
        dismiss(LIST_FIRST(&p->lists[PLACE_STARTING]));
    while (p->counts[PLACE_FREE] > 0)
        dismiss(LIST_FIRST(&p->lists[PLACE_FREE]));
    fill(p);
    return CONEY_OK;
}

static void kill_member(struct member *m)
{
    if (m->place != PLACE_LEAVING)
        move(m, PLACE_LEAVING);
    runner_proc_kill(m->proc, RUNNER_KILL_ASKED);
}

static struct member *find_worker(const struct pool *p, const void *job)
{
    struct member *m;
    LIST_FOREACH(m, &p->lists[PLACE_BUSY], link)
    if (runner_proc_has_job(m->proc, job))
        return m;
    return NULL;
}

void pool_kill_job(struct pool *p, void *job)
{
    struct member *m = find_worker(p, job);
    if (m)
        kill_member(m);
    fill(p);
}

void pool_kill_runner(struct pool *p, pid_t pid)
{
    struct member *m;
    LIST_FOREACH(m, &p->all, of_all)
    if (m->proc && runner_proc_pid(m->proc) == pid)
        kill_member(m);
    fill(p);
}

pid_t pool_job_pid(const struct pool *p, const void *job)
{
    const struct member *m = find_worker(p, job);
    return m ? runner_proc_pid(m->proc) : 0;
}

size_t pool_pids(const struct pool *p, pid_t *pids, size_t max)
{
    const struct member *m;
    size_t count = 0;

    LIST_FOREACH(m, &p->all, of_all)
    if (m->proc && m->place != PLACE_LEAVING && count < max)
        pids[count++] = runner_proc_pid(m->proc);
    return count;
}

void pool_kill(struct pool *p)
{
    p->size = 0;
    struct member *m;
    LIST_FOREACH(m, &p->all, of_all)
    if (m->proc)
        kill_member(m);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct pool *p = handle->data;
    if (--p->handles > 0)
        return;
    void (*done)(void *ctx) = p->done;
    void *ctx = p->done_ctx;
    launch_fini(&p->launch);
    free(p->node);
    free(p);
    done(ctx);
}

static void finish_closing(struct pool *p)
{
    if (!p->closing || p->sweeping || uv_is_closing((uv_handle_t *)&p->fill_timer) ||
            count_all(p) > 0)
        return;
    uv_close((uv_handle_t *)&p->child_signal, on_handle_closed);
    uv_close((uv_handle_t *)&p->fill_timer, on_handle_closed);
    uv_close((uv_handle_t *)&p->sweep_timer, on_handle_closed);
}

void pool_close(struct pool *p, void (*done)(void *ctx), void *ctx)
{
    assert(p->counts[PLACE_BUSY] == 0 && !p->done);
    p->done = done;
    p->done_ctx = ctx;
    p->size = 0;
    dismiss_excess(p, PLACE_STARTING);
    dismiss_excess(p, PLACE_FREE);
    p->closing = true;
    sweep_soon(p); /* and see whether there is anything to wait for */
}
