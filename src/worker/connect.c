/* SPDX-License-Identifier: MIT */
/* connect.c - the worker's connections: made, watched, replaced and swept away. */
#include "base/error.h"
#include "base/log.h"
#include "queue/broker.h"
#include "worker/state.h"

#include <assert.h>

enum coney_rc connect_options(const struct generation *g, const char *purpose,
        struct arena **a, struct session_options *out, struct coney_error *err)
{
    const struct broker_identity id = {
            .role = "worker",
            .purpose = purpose,
            .instance = g->config->worker.instance,
            .concurrency = g->config->worker.concurrency,
            .with_queues = true,
    };
    *a = arena_new(0);
    enum coney_rc rc = *a ? broker_options(g->config, &id, *a, out) : CONEY_ENOMEM;
    return rc == CONEY_OK ? rc : error_set_nomem(err);
}

static void log_up(const char *what, const struct session *s)
{
    log_info("connected to %s %s  for=%s", session_broker(s), session_peer(s), what);
}

static void log_down(const char *what, const struct session_event *ev)
{
    if (ev->error.rc == CONEY_OK)
        log_info("connection closed  for=%s", what);
    else
        log_error("broker: %s; next attempt in %.1f s  for=%s", ev->error.text,
                (double)ev->retry_ms / 1000, what);
}

/* --- intake
 * -------------------------------------------------------------------------------- */

static void on_declared(void *ctx, struct intake *in)
{
    struct worker *w = ctx;
    (void)in;
    if (w->outlet)
        outlet_reopen(w->outlet);
}

static bool may_consume(void *ctx)
{
    return control_may_consume(ctx);
}

void connect_consume(struct worker *w)
{
    if (w->intake)
        intake_consume(w->intake);
    if (w->next_intake)
        intake_consume(w->next_intake);
}

static void on_ready(void *ctx, struct intake *in)
{
    struct worker *w = ctx;
    if (in == w->next_intake)
        reload_finish(w);
    worker_is_ready(w);
}

static void on_delivery(void *ctx, struct lane *lane, struct delivery *d)
{
    jobs_receive(ctx, lane, d);
}

static void on_lane_cancelled(void *ctx, struct lane *lane)
{
    jobs_hand_back(ctx, lane);
}

static void on_lane_dead(void *ctx, struct lane *lane)
{
    jobs_lose_lane(ctx, lane);
}

static void on_intake_up(void *ctx, const struct session *s)
{
    (void)ctx;
    log_up("consume", s);
}

static void on_intake_down(void *ctx, const struct session_event *ev)
{
    (void)ctx;
    log_down("consume", ev);
}

static void on_intake_refused(void *ctx, const char *queue, const struct coney_error *err)
{
    (void)ctx;
    log_error("broker: %s; tried again  queue=%s", err->text, queue ? queue : "-");
}

static void on_intake_empty(void *ctx, struct intake *in)
{
    struct worker *w = ctx;
    for (size_t i = 0; i < RETIRED_MAX; i++)
        if (w->retired[i].intake == in)
            w->retired[i].empty = true;
    worker_wake(w);
}

static struct intake_plan plan_of(const struct worker *w, const struct generation *s)
{
    const struct worker_config *c = &s->config->worker;
    return (struct intake_plan){
            .config = s->config,
            .topology = s->topology,
            .tag_prefix = w->tag_prefix,
            .extra_prefetch = c->held_max > 0 ? c->held_max : 4 * c->concurrency + 64,
    };
}

enum coney_rc connect_intake(struct worker *w, const struct generation *s,
        struct intake **out, struct coney_error *err)
{
    const struct intake_callbacks callbacks = {
            .on_declared = on_declared,
            .may_consume = may_consume,
            .on_ready = on_ready,
            .on_delivery = on_delivery,
            .on_lane_cancelled = on_lane_cancelled,
            .on_lane_dead = on_lane_dead,
            .on_up = on_intake_up,
            .on_down = on_intake_down,
            .on_refused = on_intake_refused,
            .on_empty = on_intake_empty,
            .ctx = w,
    };
    const struct intake_plan plan = plan_of(w, s);
    struct session_options session;
    const struct intake_options options = {.loop = &w->loop,
            .session = &session,
            .rng = &w->rng,
            .callbacks = callbacks};
    struct arena *a = NULL;
    enum coney_rc rc = connect_options(s, "consume", &a, &session, err);

    if (rc == CONEY_OK)
        rc = intake_new(&options, &plan, out, err);
    arena_free(a);
    return rc;
}

enum coney_rc connect_replan(struct worker *w, const struct generation *s)
{
    const struct intake_plan plan = plan_of(w, s);
    return intake_replan(w->intake, &plan);
}

/* --- outlet
 * -------------------------------------------------------------------------------- */

static void on_published(void *ctx, struct outgoing *out, enum publish_outcome outcome)
{
    if (out->owner)
        settle_published(ctx, out, outcome);
    else
        results_published(out);
}

static void on_outlet_refused(void *ctx, const struct coney_error *err)
{
    struct worker *w = ctx;
    log_error("broker: %s; objects are declared again", err->text);
    if (w->intake)
        intake_repair(w->intake);
}

static void on_outlet_up(void *ctx, const struct session *s)
{
    (void)ctx;
    log_up("publish", s);
}

static void on_outlet_down(void *ctx, const struct session_event *ev)
{
    (void)ctx;
    log_down("publish", ev);
}

static void on_outlet_empty(void *ctx, struct outlet *o)
{
    struct worker *w = ctx;
    for (size_t i = 0; i < RETIRED_MAX; i++)
        if (w->retired[i].outlet == o)
            w->retired[i].empty = true;
    worker_wake(w);
}

enum coney_rc connect_outlet(struct worker *w, const struct generation *s,
        struct outlet **out, struct coney_error *err)
{
    const struct outlet_callbacks callbacks = {
            .on_published = on_published,
            .on_refused = on_outlet_refused,
            .on_up = on_outlet_up,
            .on_down = on_outlet_down,
            .on_empty = on_outlet_empty,
            .ctx = w,
    };
    struct session_options session;
    const struct outlet_options options = {.loop = &w->loop,
            .session = &session,
            .rng = &w->rng,
            .callbacks = callbacks};
    struct arena *a = NULL;
    enum coney_rc rc = connect_options(s, "publish", &a, &session, err);

    if (rc == CONEY_OK)
        rc = outlet_new(&options, out, err);
    arena_free(a);
    return rc;
}

/* --- letting go
 * -------------------------------------------------------------------------------- */

/* A reload retires an outlet, an intake and perhaps an intake that never got ready. */
bool connect_has_room(const struct worker *w)
{
    unsigned places = 0;
    for (size_t i = 0; i < RETIRED_MAX; i++)
        places += !w->retired[i].intake && !w->retired[i].outlet;
    return places >= 6; /* and as many again for the drain at the end */
}

static struct retired *free_place(struct worker *w)
{
    for (size_t i = 0; i < RETIRED_MAX; i++)
        if (!w->retired[i].intake && !w->retired[i].outlet)
            return &w->retired[i];
    return NULL;
}

void connect_retire_intake(struct worker *w, struct intake *in, struct generation *s)
{
    struct retired *place = free_place(w);
    assert(place); /* connect_has_room() was asked */
    *place = (struct retired){.intake = in, .generation = s};
    intake_retire(in);
}

void connect_retire_outlet(struct worker *w, struct outlet *o, struct outlet *to)
{
    struct retired *place = free_place(w);
    assert(place);
    *place = (struct retired){.outlet = o};
    outlet_retire(o, to);
}

static void free_retired(struct retired *r)
{
    intake_free(r->intake);
    outlet_free(r->outlet);
    generation_unref(r->generation);
    *r = (struct retired){.intake = NULL};
}

void connect_sweep(struct worker *w)
{
    for (size_t i = 0; i < RETIRED_MAX; i++)
        if (w->retired[i].empty)
            free_retired(&w->retired[i]);
}

bool connect_is_closed(const struct worker *w)
{
    for (size_t i = 0; i < RETIRED_MAX; i++)
        if (w->retired[i].intake || w->retired[i].outlet)
            return false;
    return true;
}

void connect_free(struct worker *w)
{
    for (size_t i = 0; i < RETIRED_MAX; i++)
        free_retired(&w->retired[i]);
    intake_free(w->next_intake);
    intake_free(w->intake);
    outlet_free(w->outlet);
    generation_unref(w->intake_generation);
    generation_unref(w->next_generation);
}
