/* SPDX-License-Identifier: MIT */
/* revoking.c - orders become memory and records; entries of the stream become memory. */
#include "worker/revoking.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "queue/names.h"
#include "worker/control_state.h"
#include "worker/revoked_log.h"
#include "worker/stamps.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPREAD_MS = 100,        /* for who writes first, among all workers */
    ANSWER_MS = 700,        /* Celery's clients wait one second */
    HEARD_BEFORE_MS = 2000, /* an entry so much older may be of the same broadcast */
    RECORDS_MAX = 10000,
    ID_MAX = 255
};

/* How long the stream keeps an entry. */
#define KEPT_MS (INT64_C(7) * 24 * 3600 * 1000)

/* What one command revokes, until the broker has it. */
struct record {
    TAILQ_ENTRY(record) entry;
    json_t *ids;         /* owned; NULL: none */
    json_t *headers;     /* owned; NULL: none */
    struct asker *asker; /* NULL: answered, or nobody asks */
    json_t *answer;      /* owned */
    int64_t since_ms;
    int64_t write_ms; /* when to write it; CLOCK_NEVER: it is on its way */
    int64_t at_us;
};

TAILQ_HEAD(record_list, record);

struct revoking {
    struct revocations *set;   /* owned */
    struct revoked_log *log;   /* owned; NULL: memory only */
    struct topology *topology; /* owned; the log's */
    struct record_list records;
    size_t record_count;
    uv_timer_t timer;
    bool needs_scan;       /* of the jobs that wait */
    bool has_given_up;     /* tasks have waited long enough for the log */
    int64_t wait_until_ms; /* CLOCK_NEVER: no tasks wait */
};

static void arm(struct control *c);

/* --- the memory --------------------------------------------------------------------- */

static void remember(
        struct control *c, const struct revoked *what, const struct revoked_times *times)
{
    if (revocations_add(c->revoking->set, what, times) != CONEY_OK)
        log_error("revocation forgotten: out of memory  id=%s",
                what->id ? what->id : what->stamp);
}

/* What remembers: one stamp at a time. */
struct remembering {
    struct control *control;
    struct revoked_times times;
};

static bool remember_stamp(void *ctx, const char *name, const char *value)
{
    const struct remembering *r = ctx;
    const struct revoked what = {.stamp = name, .value = value};
    remember(r->control, &what, &r->times);
    return false;
}

static void remember_all(struct remembering *r, json_t *ids, json_t *headers)
{
    size_t i;
    json_t *id;

    json_array_foreach(ids, i, id)
    {
        const struct revoked what = {.id = json_string_value(id)};
        if (what.id && json_string_length(id) <= ID_MAX)
            remember(r->control, &what, &r->times);
    }
    (void)stamps_of_json(headers, remember_stamp, r);
}

void revoking_remember(struct control *c, const struct revoked *what)
{
    int64_t now_ms = clock_mono_ms();
    const struct revoked_times times = {
            .now_ms = now_ms,
            .until_ms = now_ms + c->worker->generation->config->control.revoked_ttl_ms,
            .kept_ms = REVOKED_NOT_KEPT,
    };
    remember(c, what, &times);
    c->revoking->needs_scan = true;
    arm(c);
}

const struct revocations *revoking_set(const struct control *c)
{
    return c->revoking->set;
}

/* --- what is revoked ---------------------------------------------------------------- */

struct question {
    const struct revocations *set;
    int64_t now_ms;
};

static bool is_stamp_revoked(void *ctx, const char *name, const char *value)
{
    const struct question *q = ctx;
    const struct revoked what = {.stamp = name, .value = value};
    return revocations_has(q->set, &what, q->now_ms);
}

bool control_is_revoked(const struct worker *w, const struct job *j)
{
    if (!w->control || !j->request)
        return false;
    struct question q = {.set = w->control->revoking->set, .now_ms = clock_mono_ms()};
    const struct revoked id = {.id = j->request->id};
    if (revocations_has(q.set, &id, q.now_ms))
        return true;
    return revocations_have_stamps(q.set) &&
           stamps_of_headers(&j->delivery.envelope.headers, is_stamp_revoked, &q);
}

struct pair {
    const char *name;
    const char *value;
};

static bool is_same_stamp(void *ctx, const char *name, const char *value)
{
    const struct pair *p = ctx;
    return strcmp(p->name, name) == 0 && strcmp(p->value, value) == 0;
}

static bool is_stamp_in(void *ctx, const char *name, const char *value)
{
    struct pair p = {.name = name, .value = value};
    return stamps_of_json(ctx, is_same_stamp, &p);
}

bool revoking_fits(const struct job *j, json_t *ids, json_t *headers)
{
    size_t i;
    json_t *id;

    if (!j->request)
        return false;
    json_array_foreach(ids, i,
            id) if (json_is_string(id) &&
                    strcmp(json_string_value(id), j->request->id) == 0) return true;
    return headers &&
           stamps_of_headers(&j->delivery.envelope.headers, is_stamp_in, headers);
}

/* --- records ------------------------------------------------------------------------ */

/* Answer the asker; @note, if any, behind the text. */
static void answer(struct control *c, struct record *r, const char *note)
{
    const char *text = json_string_value(json_object_get(r->answer, "ok"));
    struct asker *asker = r->asker;

    if (!asker)
        return;
    r->asker = NULL;
    if (note && text)
        control_answer(c->worker, asker, control_ok("%.800s; %s", text, note));
    else
        control_answer(c->worker, asker, json_incref(r->answer));
}

static void free_record(struct control *c, struct record *r)
{
    TAILQ_REMOVE(&c->revoking->records, r, entry);
    c->revoking->record_count--;
    json_decref(r->ids);
    json_decref(r->headers);
    json_decref(r->answer);
    free(r);
}

static void finish(struct control *c, struct record *r)
{
    answer(c, r, NULL);
    free_record(c, r);
}

struct kept {
    const struct revocations *set;
    int64_t since_ms;
};

static bool is_stamp_missing(void *ctx, const char *name, const char *value)
{
    const struct kept *k = ctx;
    const struct revoked what = {.stamp = name, .value = value};
    return !revocations_is_kept(k->set, &what, k->since_ms);
}

/* Whether somebody else has written all of it. */
static bool is_kept(const struct control *c, const struct record *r)
{
    struct kept k = {.set = c->revoking->set, .since_ms = r->since_ms - HEARD_BEFORE_MS};
    size_t i;
    json_t *id;

    json_array_foreach(r->ids, i, id)
    {
        const struct revoked what = {.id = json_string_value(id)};
        if (!revocations_is_kept(k.set, &what, k.since_ms))
            return false;
    }
    return !stamps_of_json(r->headers, is_stamp_missing, &k);
}

static void write_record(struct control *c, struct record *r)
{
    const struct revocation entry = {
            .at_us = r->at_us, .ids = r->ids, .headers = r->headers};

    if (is_kept(c, r)) {
        finish(c, r);
        return;
    }
    r->write_ms = CLOCK_NEVER;
    enum coney_rc rc =
            revoked_log_write(c->revoking->log, control_link_session(c->link), &entry, r);
    if (rc == CONEY_OK)
        return;
    log_error("revocation can't be recorded: %s; it holds until this worker stops",
            coney_rc_name(rc));
    answer(c, r, "it could not be recorded");
    free_record(c, r);
}

/* A copy of @o to be written. NULL when there are too many or memory is short. */
static struct record *add_record(struct control *c, const struct revoking_order *o)
{
    struct revoking *v = c->revoking;
    int64_t now_ms = clock_mono_ms();
    struct record *r = v->record_count < RECORDS_MAX ? calloc(1, sizeof(*r)) : NULL;

    if (!r)
        return NULL;
    r->ids = json_incref(o->ids);
    r->headers = json_incref(o->headers);
    r->asker = o->asker;
    r->answer = json_incref(o->answer_take);
    r->since_ms = now_ms;
    r->at_us = clock_wall_us();
    r->write_ms = now_ms;
    if (!o->is_alone)
        r->write_ms += (int64_t)rng_below(&c->worker->rng, SPREAD_MS);
    TAILQ_INSERT_TAIL(&v->records, r, entry);
    v->record_count++;
    return r;
}

void revoking_carry_out(struct control *c, const struct revoking_order *o)
{
    const int64_t now_ms = clock_mono_ms();
    struct remembering mine = {
            .control = c,
            .times = {.now_ms = now_ms,
                    .until_ms = now_ms +
                                c->worker->generation->config->control.revoked_ttl_ms,
                    .kept_ms = REVOKED_NOT_KEPT},
    };

    remember_all(&mine, o->ids, o->headers);
    jobs_revoke_waiting(c->worker);
    if (c->revoking->log && add_record(c, o))
        arm(c);
    else if (o->asker)
        control_answer(c->worker, o->asker, json_incref(o->answer_take));
    json_decref(o->answer_take);
}

/* --- the log ------------------------------------------------------------------------ */

static void on_entry(void *ctx, const struct revocation *entry)
{
    struct control *c = ctx;
    const int64_t now_ms = clock_mono_ms();
    const int64_t age_ms = (clock_wall_us() - entry->at_us) / 1000;
    struct remembering kept = {
            .control = c,
            .times = {.now_ms = now_ms,
                    .until_ms = now_ms - age_ms + KEPT_MS,
                    .kept_ms = now_ms - age_ms},
    };

    if (age_ms >= KEPT_MS)
        return; /* its segment is not full yet */
    remember_all(&kept, entry->ids, entry->headers);
    c->revoking->needs_scan = true;
    arm(c);
}

static void on_read(void *ctx, size_t count)
{
    struct control *c = ctx;

    log_info("revocations read from the broker  entries=%zu", count);
    c->revoking->has_given_up = false;
    c->revoking->wait_until_ms = CLOCK_NEVER;
    connect_consume(c->worker);
}

static void on_written(void *ctx, void *owner)
{
    finish(ctx, owner);
}

static void on_refused(void *ctx, const struct coney_error *err)
{
    (void)ctx;
    log_error("broker: %s; until then revocations are only remembered  for=control",
            err->text);
}

bool control_may_consume(struct worker *w)
{
    struct control *c = w->control;
    struct revoking *v = c ? c->revoking : NULL;

    if (!v || !v->log || v->has_given_up || revoked_log_is_read(v->log))
        return true;
    if (v->wait_until_ms == CLOCK_NEVER)
        v->wait_until_ms =
                clock_mono_ms() + w->generation->config->control.revoked_wait_ms;
    arm(c);
    return false;
}

static void give_up_waiting(struct control *c)
{
    c->revoking->has_given_up = true;
    c->revoking->wait_until_ms = CLOCK_NEVER;
    log_warning("revocations could not be read in time; tasks start without them  "
                "limit=control.revoked_wait");
    connect_consume(c->worker);
}

void revoking_handle(struct control *c, struct session_event *ev)
{
    struct revoking *v = c->revoking;

    if (!v->log)
        return;
    if (ev->type == SESSION_UP)
        revoked_log_start(v->log, control_link_session(c->link));
    else
        revoked_log_handle(v->log, control_link_session(c->link), ev);
    arm(c);
}

/* --- time --------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void on_timer(uv_timer_t *timer);

static void arm(struct control *c)
{
    struct revoking *v = c->revoking;
    const struct record *r;
    int64_t at_ms = v->needs_scan ? 0 : v->wait_until_ms;

    if (v->log)
        at_ms = earlier(at_ms, revoked_log_deadline_ms(v->log));
    TAILQ_FOREACH(r, &v->records, entry)
    {
        at_ms = earlier(at_ms, r->write_ms);
        if (r->asker)
            at_ms = earlier(at_ms, r->since_ms + ANSWER_MS);
    }
    if (at_ms == CLOCK_NEVER) {
        uv_timer_stop(&v->timer);
        return;
    }
    int64_t wait_ms = at_ms - clock_mono_ms();
    uv_update_time(&c->worker->loop);
    uv_timer_start(&v->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void tend_records(struct control *c, int64_t now_ms)
{
    struct record *next;
    for (struct record *r = TAILQ_FIRST(&c->revoking->records); r; r = next) {
        next = TAILQ_NEXT(r, entry);
        if (r->asker && now_ms >= r->since_ms + ANSWER_MS)
            answer(c, r, "it is not recorded in the broker yet");
        if (now_ms >= r->write_ms)
            write_record(c, r);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct control *c = timer->data;
    struct revoking *v = c->revoking;
    const int64_t now_ms = clock_mono_ms();

    if (v->needs_scan) {
        v->needs_scan = false;
        jobs_revoke_waiting(c->worker);
    }
    if (now_ms >= v->wait_until_ms)
        give_up_waiting(c);
    if (v->log)
        revoked_log_tick(v->log, control_link_session(c->link), now_ms);
    tend_records(c, now_ms);
    arm(c);
}

/* --- making and unmaking ------------------------------------------------------------ */

static void open_log(struct control *c)
{
    const struct config *config = c->worker->generation->config;
    struct revoking *v = c->revoking;
    char queue[AMQP_NAME_SIZE];
    struct coney_error err;

    if (!config->control.record)
        return;
    if (config->broker.queue_type == QUEUE_CLASSIC) {
        log_warning("broker.queue_type is classic, so the broker is taken to have no "
                    "streams: revocations are only remembered by workers that run");
        return;
    }
    if (topology_new(config, TOPOLOGY_REVOKED, &v->topology, &err) != CONEY_OK) {
        log_error("revocations are only remembered: %s", err.text);
        return;
    }
    name_of(NAME_REVOKED, config->broker.prefix, queue);
    const struct revoked_log_options options = {
            .topology = v->topology,
            .queue = queue,
            .node = c->worker->node,
            .rng = &c->worker->rng,
            .callbacks = {.on_entry = on_entry,
                    .on_read = on_read,
                    .on_written = on_written,
                    .on_refused = on_refused,
                    .ctx = c},
    };
    v->log = revoked_log_new(&options);
}

static void close_log(struct revoking *v)
{
    revoked_log_free(v->log);
    v->log = NULL;
    topology_free(v->topology);
    v->topology = NULL;
}

enum coney_rc revoking_start(struct control *c, struct coney_error *err)
{
    struct revoking *v = calloc(1, sizeof(*v));
    if (!v)
        return error_set_nomem(err);
    c->revoking = v;
    TAILQ_INIT(&v->records);
    v->wait_until_ms = CLOCK_NEVER;
    uv_timer_init(&c->worker->loop, &v->timer);
    v->timer.data = c;
    v->set = revocations_new(c->worker->generation->config->control.revoked_max);
    if (!v->set)
        return error_set_nomem(err);
    open_log(c);
    return CONEY_OK;
}

void revoking_flush(struct control *c)
{
    struct record *next;
    for (struct record *r = TAILQ_FIRST(&c->revoking->records); r; r = next) {
        next = TAILQ_NEXT(r, entry);
        if (r->write_ms != CLOCK_NEVER)
            write_record(c, r);
    }
}

void revoking_reload(struct control *c)
{
    struct revoking *v = c->revoking;
    struct record *next;

    revocations_set_max(v->set, c->worker->generation->config->control.revoked_max);
    close_log(v);
    open_log(c);
    for (struct record *r = TAILQ_FIRST(&v->records); r; r = next) {
        next = TAILQ_NEXT(r, entry);
        if (v->log)
            r->write_ms = r->since_ms;
        else
            finish(c, r);
    }
    arm(c);
}

void revoking_stop(struct control *c)
{
    struct revoking *v = c->revoking;
    struct record *next;

    for (struct record *r = TAILQ_FIRST(&v->records); r; r = next) {
        next = TAILQ_NEXT(r, entry);
        free_record(c, r);
    }
    close_log(v);
    revocations_free(v->set);
    v->set = NULL;
}

uv_timer_t *revoking_timer(struct revoking *r)
{
    return &r->timer;
}

void revoking_free(struct revoking *r)
{
    free(r);
}
