/* SPDX-License-Identifier: MIT */
/*
 * worker.c - the life of the master: start, run, drain, stop.
 *
 * It puts the parts together and listens to signals; everything that happens to a job is
 * in jobs.c, conclude.c and settle.c. The master runs no task code and waits for nothing
 * but its loop.
 */
#include "worker/worker.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "queue/broker.h"
#include "worker/state.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    CLOSE_TIMEOUT_MS = 3000, /* goodbyes to the broker */
    STOP_TIMEOUT_MS =
            5000 /* runners that were killed, until their jobs are handed back */
};

/* --- callbacks of the pool
 * ------------------------------------------------------------------- */

static void on_outcome(void *ctx, void *job, const struct outcome *o)
{
    conclude_outcome(ctx, job, o);
}

static void on_free(void *ctx)
{
    jobs_dispatch(ctx);
}

static void on_log(void *ctx, void *job, enum log_level level, const char *text)
{
    const struct job *j = job;
    (void)ctx;
    const char *task = j ? job_task(j) : "-";
    const char *id = j ? job_id(j) : "-";

    switch (level) {
    case LOG_LEVEL_ERROR:
        log_error("%s  task=%s id=%s", text, task, id);
        break;
    case LOG_LEVEL_WARNING:
        log_warning("%s  task=%s id=%s", text, task, id);
        break;
    case LOG_LEVEL_INFO:
        log_info("%s  task=%s id=%s", text, task, id);
        break;
    case LOG_LEVEL_DEBUG:
        log_debug("%s  task=%s id=%s", text, task, id);
        break;
    }
}

/* --- drain and stop
 * ----------------------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* The pool is gone too: what is left are our own handles. */
static void on_pool_closed(void *ctx)
{
    struct worker *w = ctx;

    w->pool = NULL;
    connect_free(w);
    control_free(w);
    results_free(w);
    close_handle((uv_handle_t *)&w->timer, NULL);
    close_handle((uv_handle_t *)&w->drain_timer, NULL);
    close_handle((uv_handle_t *)&w->wake, NULL);
    close_handle((uv_handle_t *)&w->turn, NULL);
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        close_handle((uv_handle_t *)&w->signals[i], NULL);
}

static void close_pool(struct worker *w)
{
    if (w->closing_pool)
        return;
    w->closing_pool = true;
    uv_timer_stop(&w->drain_timer);
    pool_close(w->pool, on_pool_closed, w);
}

static void on_close_timeout(uv_timer_t *timer)
{
    close_pool(timer->data);
}

/* Every job is settled: say goodbye to the broker, then let the runners go. */
static void begin_stopping(struct worker *w)
{
    w->phase = WORKER_STOPPING;
    connect_retire_outlet(w, w->outlet, NULL);
    w->outlet = NULL;
    control_stop(w);
    uv_timer_start(&w->drain_timer, on_close_timeout, CLOSE_TIMEOUT_MS, 0);
}

/* Copies of orphans no longer reach this worker. */
static void drop_orphans(struct worker *w)
{
    struct job *next;
    for (struct job *j = TAILQ_FIRST(&w->jobs); j; j = next) {
        next = TAILQ_NEXT(j, entry);
        if (j->lane || j->state != JOB_SETTLING || j->abandoned)
            continue;
        log_warning("drained before its copy came; outcome dropped  task=%s id=%s",
                job_task(j), job_id(j));
        orphans_remove(w->orphans, j);
        j->abandoned = true;
        settle_resume(w, j);
    }
}

static void on_stop_timeout(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    log_error("%zu jobs could not be handed back in time; the broker will", w->job_count);
    w->exit_status = EXIT_FAILURE;
    uv_stop(&w->loop);
}

static void stop_now(struct worker *w)
{
    if (pool_busy_count(w->pool) > 0)
        w->exit_status = EXIT_FAILURE;
    pool_kill(w->pool);
    uv_timer_start(&w->drain_timer, on_stop_timeout, STOP_TIMEOUT_MS, 0);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    log_warning("drain timeout; %u running tasks are stopped and handed back",
            pool_busy_count(w->pool));
    stop_now(w);
}

static void begin_draining(struct worker *w)
{
    int64_t timeout_ms = w->generation->config->worker.drain_timeout_ms;

    w->phase = WORKER_DRAINING;
    log_info("draining: no new tasks; up to %.0f s for the running ones  running=%u "
             "waiting=%zu",
            (double)timeout_ms / 1000, pool_busy_count(w->pool),
            w->job_count - pool_busy_count(w->pool));
    (void)sd_notifyf(
            0, "STOPPING=1\nSTATUS=draining, %u running", pool_busy_count(w->pool));
    uv_timer_start(&w->drain_timer, on_drain_timeout, (uint64_t)timeout_ms, 0);
    if (w->next_intake)
        connect_retire_intake(w, w->next_intake, w->next_generation);
    w->next_intake = NULL;
    w->next_generation = NULL;
    connect_retire_intake(w, w->intake, w->intake_generation);
    w->intake = NULL;
    w->intake_generation = NULL;
}

/* What the end of a turn may have brought about in a drain. */
static void advance_shutdown(struct worker *w)
{
    if (w->phase == WORKER_DRAINING) {
        drop_orphans(w);
        if (w->job_count == 0 && !w->reload)
            begin_stopping(w);
    }
    if (w->phase == WORKER_STOPPING && connect_is_closed(w) && control_is_closed(w))
        close_pool(w);
}

void worker_shutdown(struct worker *w)
{
    if (w->phase < WORKER_DRAINING)
        begin_draining(w);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct worker *w = handle->data;

    if (number == SIGHUP) {
        reload_begin(w);
        return;
    }
    switch (w->phase) {
    case WORKER_STARTING:
    case WORKER_RUNNING:
        begin_draining(w);
        break;
    case WORKER_DRAINING:
        log_warning("stopping at once; running tasks are handed back  running=%u",
                pool_busy_count(w->pool));
        stop_now(w);
        break;
    case WORKER_STOPPING:
        uv_stop(&w->loop);
        break;
    }
}

static void on_turn(uv_check_t *check)
{
    struct worker *w = check->data;

    connect_sweep(w);
    control_sweep(w);
    if (w->phase < WORKER_DRAINING)
        jobs_dispatch(w);
    else
        advance_shutdown(w);
}

static void on_timer(uv_timer_t *timer)
{
    jobs_tick(timer->data);
}

static void on_wake(uv_timer_t *timer)
{
    (void)timer; /* it has done its work by being due */
}

void worker_wake(struct worker *w)
{
    if (!uv_is_active((const uv_handle_t *)&w->wake))
        uv_timer_start(&w->wake, on_wake, 0, 0);
}

void worker_is_ready(struct worker *w)
{
    if (w->phase >= WORKER_DRAINING)
        return;
    w->phase = WORKER_RUNNING;
    log_info("consuming  node=%s runners=%u queues=%zu", w->node, pool_size(w->pool),
            w->generation->config->queue_count);
    (void)sd_notifyf(0, "READY=1\nSTATUS=consuming from %zu queues with %u runners",
            w->generation->config->queue_count, pool_size(w->pool));
}

/* --- start
 * ----------------------------------------------------------------------------------------
 */

static void print_mistakes(const struct mistakes *m, const struct coney_error *err)
{
    for (size_t i = 0; i < m->count; i++)
        fprintf(stderr, "%s:%u:%u: %s\n", m->items[i].file, m->items[i].line,
                m->items[i].column, m->items[i].text);
    if (m->count == 0)
        fprintf(stderr, "coney worker: %s\n", err->text);
    else
        fprintf(stderr, "coney worker: %zu mistake%s in the configuration; not started\n",
                m->count, m->count == 1 ? "" : "s");
}

static void name_node(struct worker *w)
{
    const char *instance = w->generation->config->worker.instance;
    char host[NODE_NAME_SIZE / 2];

    broker_host(host, sizeof(host));
    snprintf(w->node, sizeof(w->node), "coney%s%.100s@%s", instance ? "-" : "",
            instance ? instance : "", host);
    snprintf(w->tag_prefix, sizeof(w->tag_prefix), "%s:%d", w->node, (int)getpid());
}

/* Beside this program in a build tree, else where it was installed. */
static char *find_runner(const char *path)
{
    char self[4096];
    char *found = NULL;

    if (path)
        return strdup(path);
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len > 0) {
        self[len] = '\0';
        char *slash = strrchr(self, '/');
        if (slash && asprintf(&found, "%.*s/coney-runner", (int)(slash - self), self) < 0)
            return NULL;
        if (found && access(found, X_OK) == 0)
            return found;
        free(found);
    }
    return strdup(CONEY_LIBEXECDIR "/coney/coney-runner");
}

static void init_handles(struct worker *w)
{
    static const int numbers[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGHUP};

    uv_timer_init(&w->loop, &w->timer);
    uv_timer_init(&w->loop, &w->drain_timer);
    uv_timer_init(&w->loop, &w->wake);
    uv_check_init(&w->loop, &w->turn);
    w->timer.data = w;
    w->timer.timer_cb = on_timer;
    w->drain_timer.data = w;
    w->turn.data = w;
    uv_check_start(&w->turn, on_turn);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&w->loop, &w->signals[i]);
        w->signals[i].data = w;
        uv_signal_start(&w->signals[i], on_signal, numbers[i]);
    }
}

static enum coney_rc start_parts(struct worker *w, struct coney_error *err)
{
    const struct worker_config *c = &w->generation->config->worker;
    const struct pool_options options = {
            .size = c->concurrency,
            .runner_path = w->runner_path,
            .plugins = &c->plugins,
            .node = w->node,
            .kill_after_soft_ms = CONFIG_NONE,
            .callbacks =
                    {
                            .on_outcome = on_outcome,
                            .on_free = on_free,
                            .on_log = on_log,
                            .ctx = w,
                    },
    };

    w->dispatcher = dispatcher_new(w->generation->config, c->concurrency);
    w->rates = rates_new();
    w->orphans = orphans_new();
    if (!w->dispatcher || !w->rates || !w->orphans)
        return error_set_nomem(err);
    enum coney_rc rc = pool_new(&w->loop, &options, &w->pool, err);
    if (rc == CONEY_OK)
        rc = connect_outlet(w, w->generation, &w->outlet, err);
    if (rc == CONEY_OK)
        rc = results_open(w, err);
    if (rc == CONEY_OK)
        rc = connect_intake(w, w->generation, &w->intake, err);
    if (rc == CONEY_OK)
        w->intake_generation = generation_ref(w->generation);
    return rc == CONEY_OK ? control_start(w, err) : rc;
}

/* What a stop in the middle has left; after a drain there is nothing. */
static void free_jobs(struct worker *w)
{
    struct job *j;
    while ((j = TAILQ_FIRST(&w->jobs))) {
        TAILQ_REMOVE(&w->jobs, j, entry);
        orphans_remove(w->orphans, j);
        heap_remove(&w->timers, &j->timer);
        steps_forget(j);
        job_free(j);
    }
}

static void worker_fini(struct worker *w)
{
    results_free(w);
    free_jobs(w);
    if (w->pool)
        connect_free(w); /* else on_pool_closed() did */
    control_free(w);
    uv_walk(&w->loop, close_handle, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_loop_close(&w->loop);
    dispatcher_free(w->dispatcher);
    rates_free(w->rates);
    orphans_free(w->orphans);
    heap_fini(&w->timers);
    generation_unref(w->generation);
    free(w->runner_path);
}

static int run(struct worker *w)
{
    struct coney_error err;

    name_node(w);
    rng_seed_random(&w->rng);
    if (uv_loop_init(&w->loop) != 0) {
        log_error("no event loop: out of memory or descriptors");
        return EX_OSERR;
    }
    init_handles(w);
    enum coney_rc rc = start_parts(w, &err);
    if (rc == CONEY_OK) {
        log_info("coney %s started  node=%s pid=%d runners=%u", CONEY_VERSION, w->node,
                (int)getpid(), pool_size(w->pool));
        uv_run(&w->loop, UV_RUN_DEFAULT);
        log_info("stopped  status=%d", w->exit_status);
    } else {
        log_error("%s", err.text);
        w->exit_status =
                rc == CONEY_EINVAL || rc == CONEY_EREFUSED ? EX_CONFIG : EX_OSERR;
    }
    return w->exit_status;
}

int worker_run(const struct worker_options *options)
{
    struct coney_error err = {.text = ""};
    struct mistakes mistakes = {.items = NULL};
    struct worker *w = calloc(1, sizeof(*w));
    int status = EX_CONFIG;

    if (!w)
        return EX_OSERR;
    TAILQ_INIT(&w->jobs);
    TAILQ_INIT(&w->notes);
    w->config_path = options->config_path;
    w->runner_path = find_runner(options->runner_path);
    (void)signal(SIGPIPE, SIG_IGN);
    const struct generation_source from = {.config_path = w->config_path,
            .runner_path = w->runner_path,
            .when = PROBE_BEFORE_POOL};
    enum coney_rc rc = w->runner_path
                               ? generation_load(&from, &w->generation, &mistakes, &err)
                               : error_set_nomem(&err);
    if (rc != CONEY_OK) {
        print_mistakes(&mistakes, &err);
        free(w->runner_path);
        goto out;
    }
    assert(w->generation);
    log_open("worker", w->generation->config->worker.log_level);
    status = run(w);
    worker_fini(w);
    log_close();
out:
    mistakes_fini(&mistakes);
    free(w);
    return status;
}
