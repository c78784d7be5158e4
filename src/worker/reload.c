/* SPDX-License-Identifier: MIT */
/*
 * reload.c - from one generation of settings to the next, without losing running work.
 *
 * The files are read and the plugins probed in a thread, for the loop never waits. Then
 * policies, classes and pool change at once; queues and prefetch by new lanes; and what
 * concerns the connection itself, certificates included, by new connections, whose elders
 * drain. A generation with a mistake changes nothing.
 */
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/state.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

struct reload {
    uv_work_t work;
    struct worker *worker;
    struct generation *generation; /* owned until applied */
    struct mistakes mistakes;
    struct coney_error error;
    enum coney_rc rc;
    bool again; /* asked for once more meanwhile */
};

/* --- comparing
 * ------------------------------------------------------------------------------- */

/* Whether a connection made for @a serves @b. Not with TLS: its files may have changed.
 */
static bool is_same_broker(const struct broker_config *a, const struct broker_config *b)
{
    if (a->urls.count != b->urls.count || a->external != b->external ||
            a->heartbeat_s != b->heartbeat_s || !text_is_same(a->user, b->user) ||
            !text_is_same(a->password, b->password))
        return false;
    for (size_t i = 0; i < a->urls.count; i++)
        if (!text_is_same(a->urls.items[i], b->urls.items[i]) ||
                strncmp(a->urls.items[i], "amqps:", 6) == 0)
            return false;
    return true;
}

/* --- changing over
 * ------------------------------------------------------------------------------ */

/* A job that has not started goes by the new policy. */
static void renew_policy(struct worker *w, struct job *j)
{
    const struct policy *policy = config_policy(w->generation->config, job_runs(j));
    if (!policy)
        return; /* out of memory: the old one will do */
    generation_unref(j->generation);
    j->generation = generation_ref(w->generation);
    j->policy = policy;
}

/* Move ready and running jobs into @d, made for the new classes. */
static void refill(struct worker *w, struct dispatcher *d)
{
    struct dispatcher *old = w->dispatcher;
    struct job *next;

    for (struct job *j = TAILQ_FIRST(&w->jobs); j; j = next) {
        next = TAILQ_NEXT(j, entry);
        if (j->state == JOB_READY && !j->alone)
            dispatcher_remove(old, &j->ready);
        bool known = jobs_find_queue(w, j);
        if (j->generation && (j->state == JOB_READY || j->state == JOB_HELD))
            renew_policy(w, j);
        if (j->state == JOB_RUNNING && !j->alone) {
            size_t class =
                    known ? w->generation->config->queues[j->queue_index].class_index : 0;
            j->ready.class_index = (unsigned)class;
            dispatcher_adopt(d, j->ready.class_index);
        } else if (j->state == JOB_READY && !j->alone && known) {
            dispatcher_add(d, &j->ready, j->queue_index, j->ready.since_ms);
        } else if (j->state == JOB_READY && !known) {
            j->state = JOB_NEW; /* handed back when its lane is cancelled */
        }
    }
    w->dispatcher = d;
    dispatcher_free(old);
}

static enum coney_rc change_connections(
        struct worker *w, const struct generation *old, struct coney_error *err)
{
    struct intake *in = NULL;
    struct outlet *out = NULL;

    if (is_same_broker(&old->config->broker, &w->generation->config->broker)) {
        enum coney_rc rc = connect_replan(w, w->generation);
        if (rc == CONEY_OK) {
            generation_unref(w->intake_generation);
            w->intake_generation = generation_ref(w->generation);
        }
        return rc;
    }
    enum coney_rc rc = connect_outlet(w, w->generation, &out, err);
    if (rc == CONEY_OK)
        rc = connect_intake(w, w->generation, &in, err);
    if (rc != CONEY_OK) {
        outlet_free(out);
        return rc;
    }
    connect_retire_outlet(w, w->outlet, out);
    w->outlet = out;
    if (w->next_intake)
        connect_retire_intake(w, w->next_intake, w->next_generation);
    w->next_intake = in;
    w->next_generation = generation_ref(w->generation);
    return CONEY_OK;
}

void reload_finish(struct worker *w)
{
    connect_retire_intake(w, w->intake, w->intake_generation);
    w->intake = w->next_intake;
    w->intake_generation = w->next_generation;
    w->next_intake = NULL;
    w->next_generation = NULL;
}

static void apply(struct worker *w, struct generation *s)
{
    struct coney_error err = {.text = ""};
    struct generation *old = w->generation;
    const struct worker_config *c = &s->config->worker;
    struct dispatcher *d = dispatcher_new(s->config, c->concurrency);

    if (!d) {
        log_error("reload: out of memory; nothing has changed");
        generation_unref(s);
        return;
    }
    generation_inherit(s, old);
    w->generation = s;
    refill(w, d);
    log_set_level(c->log_level);
    pool_resize(w->pool, c->concurrency);
    if (pool_reload(w->pool, &c->plugins) != CONEY_OK)
        log_error("reload: out of memory; the runners keep their plugins");
    if (change_connections(w, old, &err) != CONEY_OK)
        log_error("reload: %s; the connections stay as they are", err.text);
    if (results_renew(w, old->config, &err) != CONEY_OK)
        log_error("reload: %s; results go where they went", err.text);
    control_reload(
            w, old->config, is_same_broker(&old->config->broker, &s->config->broker));
    generation_unref(old);
    log_info("reloaded  concurrency=%u queues=%zu tasks=%zu", c->concurrency,
            s->config->queue_count, s->offered.count);
}

enum coney_rc reload_in_place(struct worker *w, struct coney_error *err)
{
    struct generation *g = w->generation;
    const unsigned runners = g->config->worker.concurrency;
    struct topology *old = g->topology;
    struct topology *topology = NULL;
    struct dispatcher *d = NULL;

    if (w->phase >= WORKER_DRAINING)
        return error_set(err, CONEY_EREFUSED, "this worker is being stopped");
    if (w->reload || w->next_intake || w->intake_generation != g)
        return error_set(err, CONEY_EREFUSED, "a reload is under way; try again");
    enum coney_rc rc = topology_new(g->config, TOPOLOGY_TASKS, &topology, err);
    if (rc != CONEY_OK)
        return rc;
    d = dispatcher_new(g->config, runners);
    g->topology = topology;
    if (!d || connect_replan(w, g) != CONEY_OK) {
        g->topology = old;
        topology_free(topology);
        dispatcher_free(d);
        return error_set_nomem(err);
    }
    topology_free(old);
    refill(w, d);
    pool_resize(w->pool, runners);
    return CONEY_OK;
}

/* --- loading
 * --------------------------------------------------------------------------------------
 */

static void load(uv_work_t *work)
{
    struct reload *r = work->data;
    const struct generation_source from = {.config_path = r->worker->config_path,
            .runner_path = r->worker->runner_path,
            .when = PROBE_BESIDE_POOL};
    r->rc = generation_load(&from, &r->generation, &r->mistakes, &r->error);
}

static void log_mistakes(const struct reload *r)
{
    for (size_t i = 0; i < r->mistakes.count; i++) {
        const struct mistake *m = &r->mistakes.items[i];
        log_error("%s:%u:%u: %s", m->file, m->line, m->column, m->text);
    }
    if (r->mistakes.count == 0)
        log_error("%s", r->error.text);
    log_error("reload refused; the worker goes on as before  mistakes=%zu",
            r->mistakes.count);
}

static void after_load(uv_work_t *work, int status)
{
    struct reload *r = work->data;
    struct worker *w = r->worker;

    w->reload = NULL;
    if (status == 0 && r->rc == CONEY_OK && w->phase < WORKER_DRAINING) {
        apply(w, r->generation);
        r->generation = NULL;
    } else if (r->rc != CONEY_OK) {
        log_mistakes(r);
    }
    (void)sd_notify(0, "READY=1");
    if (r->again)
        reload_begin(w);
    generation_unref(r->generation);
    mistakes_fini(&r->mistakes);
    free(r);
}

void reload_begin(struct worker *w)
{
    if (w->phase >= WORKER_DRAINING)
        return;
    if (w->reload) {
        w->reload->again = true; /* what it has read may be older than this signal */
        return;
    }
    if (!connect_has_room(w)) {
        log_error("reload refused: too many connections of earlier reloads still drain");
        return;
    }
    struct reload *r = calloc(1, sizeof(*r));
    if (!r) {
        log_error("reload: out of memory; nothing has changed");
        return;
    }
    r->worker = w;
    r->work.data = r;
    w->reload = r;
    (void)sd_notify(0, "RELOADING=1");
    log_info("reloading");
    if (uv_queue_work(&w->loop, &r->work, load, after_load) != 0) {
        w->reload = NULL;
        free(r);
    }
}
