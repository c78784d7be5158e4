/* SPDX-License-Identifier: MIT */
/* events.c - events are gathered for a moment, sent in batches, dropped when they can't
 * be. */
#include "worker/events.h"

#include "base/clock.h"
#include "base/log.h"
#include "message/repr.h"
#include "worker/control_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FLUSH_MS = 20, /* how long an event waits for others to go with it */
    BATCH_BYTES_MAX = 256 * 1024,
    TOTALS_MAX = 4096, /* task names; they come from whoever may send */
    REPR_SIZE = 2048
};

/* --- sending ------------------------------------------------------------------------ */

static void drop_first(struct control *c)
{
    struct parcel *p = STAILQ_FIRST(&c->waiting);

    STAILQ_REMOVE_HEAD(&c->waiting, entry);
    c->waiting_count -= p->count;
    envelope_fini(&p->envelope);
    free(p);
}

/* Keep @e, which is taken, until there is a connection; the oldest make room. */
static void keep(struct control *c, struct envelope *e, unsigned count)
{
    const size_t max = c->worker->generation->config->events.buffer;
    struct parcel *p = calloc(1, sizeof(*p));

    if (!p || count > max) {
        c->dropped += count;
        envelope_fini(e);
        free(p);
        return;
    }
    p->envelope = *e;
    p->count = count;
    STAILQ_INSERT_TAIL(&c->waiting, p, entry);
    c->waiting_count += count;
    while (c->waiting_count > max) {
        c->dropped += STAILQ_FIRST(&c->waiting)->count;
        drop_first(c);
    }
}

/* Send @e, which is taken. Without a connection it waits; when the broker is short of
 * memory or we are, it is gone. */
static void dispatch(struct control *c, struct envelope *e, unsigned count)
{
    if (!c->link || !control_link_is_ready(c->link)) {
        keep(c, e, count);
        return;
    }
    if (control_link_event(c->link, EVENT_BATCH_KEY, e) != CONEY_OK)
        c->dropped += count;
    envelope_fini(e);
}

void events_flush(struct control *c)
{
    struct envelope e;
    unsigned count = c->batch.count;

    if (count == 0)
        return;
    if (event_batch_encode(&c->batch, c->worker->node, &e) == CONEY_OK)
        dispatch(c, &e, count);
    else
        c->dropped += count;
}

static void send_waiting(struct control *c)
{
    struct parcel *p;
    while ((p = STAILQ_FIRST(&c->waiting))) {
        if (control_link_event(c->link, EVENT_BATCH_KEY, &p->envelope) != CONEY_OK)
            c->dropped += p->count;
        drop_first(c);
    }
}

static void on_flush(uv_timer_t *timer)
{
    events_flush(timer->data);
}

/* Fill in who and when. */
static struct event about_task(
        struct control *c, enum event_type type, const struct job *j)
{
    return (struct event){
            .type = type,
            .hostname = c->worker->node,
            .pid = getpid(),
            .clock = ++c->clock,
            .at_us = clock_wall_us(),
            .about = {.task = {.id = job_id(j)}},
    };
}

static void tell(struct control *c, const struct event *ev)
{
    enum coney_rc rc = event_batch_add(&c->batch, ev);
    if (rc == CONEY_ELIMIT) {
        events_flush(c);
        rc = event_batch_add(&c->batch, ev);
    }
    if (rc != CONEY_OK)
        c->dropped++;
    else if (!uv_is_active((const uv_handle_t *)&c->flush))
        uv_timer_start(&c->flush, on_flush, FLUSH_MS, 0);
}

static bool is_wanted(const struct worker *w)
{
    return w->control && w->control->tells_of_tasks;
}

/* --- of tasks ----------------------------------------------------------------------- */

void events_received(struct worker *w, const struct job *j)
{
    const struct task_request *r = j->request;
    char eta[TIME_TEXT_SIZE], expires[TIME_TEXT_SIZE];
    struct arena *a;

    if (!is_wanted(w))
        return;
    a = arena_new(0);
    if (!a) {
        w->control->dropped++;
        return;
    }
    struct event ev = about_task(w->control, EVENT_TASK_RECEIVED, j);
    struct event_task *t = &ev.about.task;
    t->name = r->shadow ? r->shadow : r->task;
    t->args = repr_args(r->args, a);
    t->kwargs = repr_kwargs(r->kwargs, a);
    t->root_id = r->root_id;
    t->parent_id = r->parent_id;
    t->retries = r->retries;
    if (r->eta_us != TASK_NO_TIME) {
        time_format(r->eta_us, eta);
        t->eta = eta;
    }
    if (r->expires_us != TASK_NO_TIME) {
        time_format(r->expires_us, expires);
        t->expires = expires;
    }
    tell(w->control, &ev);
    arena_free(a);
}

static void count_start(struct control *c, const char *task)
{
    json_t *total = json_object_get(c->totals, task);

    c->processed++;
    if (total)
        (void)json_integer_set(total, json_integer_value(total) + 1);
    else if (json_object_size(c->totals) < TOTALS_MAX)
        (void)json_object_set_new(c->totals, task, json_integer(1));
}

void events_started(struct worker *w, const struct job *j)
{
    if (w->control)
        count_start(w->control, job_task(j));
    if (!is_wanted(w))
        return;
    const struct event ev = about_task(w->control, EVENT_TASK_STARTED, j);
    tell(w->control, &ev);
}

void events_succeeded(struct worker *w, const struct job *j, const struct outcome *o)
{
    struct arena *a;
    json_error_t bad;
    json_t *value;

    if (!is_wanted(w))
        return;
    a = arena_new(0);
    value = o->value.len > 0 ? json_loadb(o->value.data, o->value.len,
                                       JSON_DECODE_ANY | JSON_ALLOW_NUL, &bad)
                             : NULL;
    struct event ev = about_task(w->control, EVENT_TASK_SUCCEEDED, j);
    ev.about.task.result = value && a ? repr_value(value, a) : NULL;
    ev.about.task.runtime_s = (double)o->duration_ms / 1000;
    tell(w->control, &ev);
    json_decref(value);
    arena_free(a);
}

/* "ValueError('boom')", as Python would show it. */
static void tell_exception(struct worker *w, enum event_type type, const struct job *j,
        const struct outcome *o)
{
    char text[REPR_SIZE];
    struct arena *a = arena_new(0);
    json_t *said = json_string(o->error_text ? o->error_text : "");
    const char *quoted = a && said ? repr_value(said, a) : NULL;

    snprintf(text, sizeof(text), "%s(%s)", o->error_type ? o->error_type : "Error",
            quoted ? quoted : "");
    struct event ev = about_task(w->control, type, j);
    ev.about.task.exception = text;
    ev.about.task.traceback = o->traceback;
    tell(w->control, &ev);
    json_decref(said);
    arena_free(a);
}

void events_failed(struct worker *w, const struct job *j, const struct outcome *o)
{
    if (is_wanted(w))
        tell_exception(w, EVENT_TASK_FAILED, j, o);
}

void events_retried(struct worker *w, const struct job *j, const struct outcome *o)
{
    if (is_wanted(w))
        tell_exception(w, EVENT_TASK_RETRIED, j, o);
}

void events_rejected(struct worker *w, const struct job *j)
{
    if (!is_wanted(w))
        return;
    const struct event ev = about_task(w->control, EVENT_TASK_REJECTED, j);
    tell(w->control, &ev);
}

void events_unfit(
        struct worker *w, const struct job *j, enum dead_reason reason, const char *text)
{
    char exception[REPR_SIZE];

    if (!is_wanted(w) || !j->request)
        return;
    if (reason == DEAD_UNKNOWN_TASK)
        snprintf(exception, sizeof(exception), "NotRegistered('%s')", job_task(j));
    else
        snprintf(exception, sizeof(exception), "%s", text);
    struct event ev = about_task(w->control, EVENT_TASK_FAILED, j);
    ev.about.task.exception = exception;
    tell(w->control, &ev);
}

void events_revoked(
        struct worker *w, const struct job *j, enum revoked_why why, int signum)
{
    if (!is_wanted(w))
        return;
    struct event ev = about_task(w->control, EVENT_TASK_REVOKED, j);
    ev.about.task.terminated = why == REVOKED_TERMINATED;
    ev.about.task.signum = why == REVOKED_TERMINATED ? signum : 0;
    ev.about.task.expired = why == REVOKED_EXPIRED;
    tell(w->control, &ev);
}

/* --- of the worker ------------------------------------------------------------------ */

void events_of_worker(struct control *c, enum event_type type)
{
    struct worker *w = c->worker;

    events_flush(c); /* in the order of their clocks */
    struct event ev = {
            .type = type,
            .hostname = w->node,
            .pid = getpid(),
            .clock = ++c->clock,
            .at_us = clock_wall_us(),
            .about = {.worker = {.freq_s = (double)c->heartbeat_ms / 1000,
                              .active = w->pool ? pool_busy_count(w->pool) : 0,
                              .processed = c->processed}},
    };
    struct envelope e;

    if (c->heartbeat_ms == CONFIG_NONE || !c->link || !control_link_is_ready(c->link))
        return;
    (void)getloadavg(ev.about.worker.loadavg, 3);
    if (event_encode(&ev, &e) != CONEY_OK)
        return;
    /* One that can't leave now is soon followed by another. */
    (void)!control_link_event(c->link, event_routing_key(type), &e);
    envelope_fini(&e);
}

static void on_heartbeat(uv_timer_t *timer)
{
    struct control *c = timer->data;

    events_of_worker(c, EVENT_WORKER_HEARTBEAT);
    if (c->dropped == 0)
        return;
    log_warning("events dropped: no connection, a broker alarm or events.buffer is full  "
                "count=%llu",
            (unsigned long long)c->dropped);
    c->dropped = 0;
}

void events_connected(struct control *c)
{
    events_of_worker(c, EVENT_WORKER_ONLINE);
    send_waiting(c);
}

/* --- making and unmaking ------------------------------------------------------------ */

void events_configure(struct control *c)
{
    const struct events_config *config = &c->worker->generation->config->events;

    c->tells_of_tasks = config->enabled;
    c->heartbeat_ms = config->heartbeat_ms;
    uv_timer_stop(&c->heartbeat);
    if (c->heartbeat_ms != CONFIG_NONE)
        uv_timer_start(&c->heartbeat, on_heartbeat, (uint64_t)c->heartbeat_ms,
                (uint64_t)c->heartbeat_ms);
}

void events_init(struct control *c)
{
    STAILQ_INIT(&c->waiting);
    event_batch_init(&c->batch, BATCH_BYTES_MAX);
    c->totals = json_object();
    uv_timer_init(&c->worker->loop, &c->heartbeat);
    uv_timer_init(&c->worker->loop, &c->flush);
    c->heartbeat.data = c;
    c->flush.data = c;
}

void events_fini(struct control *c)
{
    while (!STAILQ_EMPTY(&c->waiting))
        drop_first(c);
    event_batch_fini(&c->batch);
    json_decref(c->totals);
}
