/* SPDX-License-Identifier: MIT */
/*
 * event.c - events as JSON, by way of jansson, which writes a real number as one (2.0,
 * never 2: Python's monitors tell them apart).
 */
#include "message/event.h"

#include "base/json.h"
#include "base/utf8.h"
#include "message/body.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    TEXT_MAX = 16 * 1024, /* of a traceback; what is more is cut */
    EVENT_BYTES_MAX = 512 * 1024,
    HOSTNAME_MAX = 255
};

static const struct {
    const char *name;
    const char *key;
} types[EVENT_TYPES] = {
        [EVENT_WORKER_ONLINE] = {"worker-online", "worker.online"},
        [EVENT_WORKER_HEARTBEAT] = {"worker-heartbeat", "worker.heartbeat"},
        [EVENT_WORKER_OFFLINE] = {"worker-offline", "worker.offline"},
        [EVENT_WORKER_ELECT_ACK] = {"worker-elect-ack", "worker.elect.ack"},
        [EVENT_TASK_SENT] = {"task-sent", "task.sent"},
        [EVENT_TASK_RECEIVED] = {"task-received", "task.received"},
        [EVENT_TASK_STARTED] = {"task-started", "task.started"},
        [EVENT_TASK_SUCCEEDED] = {"task-succeeded", "task.succeeded"},
        [EVENT_TASK_FAILED] = {"task-failed", "task.failed"},
        [EVENT_TASK_RETRIED] = {"task-retried", "task.retried"},
        [EVENT_TASK_REVOKED] = {"task-revoked", "task.revoked"},
        [EVENT_TASK_REJECTED] = {"task-rejected", "task.rejected"},
};

const char *event_type_name(enum event_type type)
{
    assert(type < EVENT_TYPES);
    return types[type].name;
}

const char *event_routing_key(enum event_type type)
{
    assert(type < EVENT_TYPES);
    return types[type].key;
}

bool event_is_of_task(enum event_type type)
{
    return type >= EVENT_TASK_SENT;
}

/* --- members ------------------------------------------------------------------------ */

/* An object being filled; after a failure nothing more is put. */
struct writer {
    json_t *object;
    struct arena *arena; /* of repaired texts */
    bool failed;
};

static void put(struct writer *w, const char *key, json_t *value)
{
    if (!value || json_object_set_new_nocheck(w->object, key, value) != 0)
        w->failed = true;
}

static void put_text(struct writer *w, const char *key, const char *text)
{
    if (!text) {
        put(w, key, json_null());
        return;
    }
    struct bytes raw = {.data = text, .len = strlen(text)};
    raw.len = utf8_cut(raw, TEXT_MAX);
    struct bytes fine = utf8_is_valid(raw) ? raw : utf8_repair(w->arena, raw);
    put(w, key, fine.data ? json_stringn_nocheck(fine.data, fine.len) : NULL);
}

static void put_integer(struct writer *w, const char *key, int64_t value)
{
    put(w, key, json_integer(value));
}

static void put_real(struct writer *w, const char *key, double value)
{
    put(w, key, json_real(isfinite(value) ? value : 0.0));
}

static void put_worker(struct writer *w, const struct event_worker *o)
{
    put_real(w, "freq", o->freq_s);
    put_integer(w, "active", o->active);
    put_integer(w, "processed", o->processed);
    json_t *load = json_array();
    for (int i = 0; load && i < 3; i++)
        if (json_array_append_new(
                    load, json_real(isfinite(o->loadavg[i]) ? o->loadavg[i] : 0.0)) != 0)
            w->failed = true;
    put(w, "loadavg", load);
    put_text(w, "sw_ident", "coney");
    put_text(w, "sw_ver", o->sw_version ? o->sw_version : CONEY_VERSION);
    put_text(w, "sw_sys", "Linux");
}

static void put_request(struct writer *w, const struct event_task *t)
{
    put_text(w, "name", t->name);
    put_text(w, "args", t->args);
    put_text(w, "kwargs", t->kwargs);
    put_text(w, "root_id", t->root_id);
    put_text(w, "parent_id", t->parent_id);
    put_integer(w, "retries", t->retries);
    put_text(w, "eta", t->eta);
    put_text(w, "expires", t->expires);
}

static void put_destination(struct writer *w, const struct event_task *t)
{
    put_text(w, "queue", t->queue);
    put_text(w, "exchange", t->exchange);
    put_text(w, "routing_key", t->routing_key);
}

/* Monitors show a traceback only next to its exception, and both as text. */
static void put_failure(struct writer *w, const struct event_task *t)
{
    put_text(w, "exception", t->exception ? t->exception : "");
    put_text(w, "traceback", t->traceback);
}

static void put_revocation(struct writer *w, const struct event_task *t)
{
    put(w, "terminated", json_boolean(t->terminated));
    put(w, "signum", t->signum > 0 ? json_integer(t->signum) : json_null());
    put(w, "expired", json_boolean(t->expired));
}

static void put_task(struct writer *w, enum event_type type, const struct event_task *t)
{
    put_text(w, "uuid", t->id);
    switch (type) {
    case EVENT_TASK_SENT:
        put_request(w, t);
        put_destination(w, t);
        break;
    case EVENT_TASK_RECEIVED:
        put_request(w, t);
        break;
    case EVENT_TASK_SUCCEEDED:
        put_text(w, "result", t->result ? t->result : "None");
        put_real(w, "runtime", t->runtime_s);
        break;
    case EVENT_TASK_FAILED:
    case EVENT_TASK_RETRIED:
        put_failure(w, t);
        break;
    case EVENT_TASK_REVOKED:
        put_revocation(w, t);
        break;
    case EVENT_TASK_REJECTED:
        put(w, "requeue", json_boolean(t->requeue));
        break;
    case EVENT_TASK_STARTED:
    case EVENT_WORKER_ONLINE:
    case EVENT_WORKER_HEARTBEAT:
    case EVENT_WORKER_OFFLINE:
    case EVENT_WORKER_ELECT_ACK:
    case EVENT_TYPES:
        break;
    }
}

static void put_about(struct writer *w, const struct event *ev)
{
    if (event_is_of_task(ev->type))
        put_task(w, ev->type, &ev->about.task);
    else if (ev->type == EVENT_WORKER_ELECT_ACK)
        put_text(w, "id", ev->about.election);
    else
        put_worker(w, &ev->about.worker);
}

static void put_event(struct writer *w, const struct event *ev)
{
    put_text(w, "hostname", ev->hostname);
    put_integer(w, "pid", ev->pid);
    put_integer(w, "clock", ev->clock > 0 ? ev->clock : 1);
    put_about(w, ev);
    put_real(w, "timestamp", (double)ev->at_us / 1e6);
    put_text(w, "type", event_type_name(ev->type));
}

/* --- one ---------------------------------------------------------------------------- */

static bool is_text(const char *text)
{
    return text && *text;
}

static bool is_complete(const struct event *ev)
{
    if (!is_text(ev->hostname) || strlen(ev->hostname) > HOSTNAME_MAX)
        return false;
    if (event_is_of_task(ev->type))
        return is_text(ev->about.task.id);
    return ev->type != EVENT_WORKER_ELECT_ACK || is_text(ev->about.election);
}

static enum coney_rc append(const json_t *object, struct buffer *out)
{
    struct buffer text;

    buffer_init(&text, EVENT_BYTES_MAX);
    enum coney_rc rc = json_write(object, &text);
    if (rc == CONEY_OK)
        rc = buffer_append(out, buffer_data(&text), buffer_len(&text));
    buffer_fini(&text);
    return rc;
}

enum coney_rc event_write(const struct event *ev, struct buffer *out)
{
    if (!is_complete(ev))
        return CONEY_EINVAL;
    struct writer w = {.object = json_object(), .arena = arena_new(0)};
    enum coney_rc rc = CONEY_ENOMEM;

    if (w.object && w.arena) {
        put_event(&w, ev);
        rc = w.failed ? CONEY_ENOMEM : append(w.object, out);
    }
    arena_free(w.arena);
    json_decref(w.object);
    return rc;
}

/* --- messages ----------------------------------------------------------------------- */

static enum coney_rc encode(
        const char *hostname, const struct buffer *text, struct envelope *out)
{
    enum coney_rc rc = envelope_init(out);
    if (rc != CONEY_OK)
        return rc;
    struct bytes fine = utf8_repair(
            out->arena, (struct bytes){.data = hostname, .len = strlen(hostname)});
    body_set_type(&out->properties);
    out->properties.delivery_mode = DELIVERY_TRANSIENT;
    out->properties.priority = 0;
    rc = fine.data ? table_set_text(&out->headers, out->arena, "hostname", fine.data)
                   : CONEY_ENOMEM;
    if (rc == CONEY_OK)
        rc = body_set(out, text);
    if (rc != CONEY_OK)
        envelope_fini(out);
    return rc;
}

enum coney_rc event_encode(const struct event *ev, struct envelope *out)
{
    struct buffer text;

    buffer_init(&text, EVENT_BYTES_MAX);
    enum coney_rc rc = event_write(ev, &text);
    if (rc == CONEY_OK)
        rc = encode(ev->hostname, &text, out);
    buffer_fini(&text);
    return rc;
}

void event_batch_init(struct event_batch *b, size_t bytes_max)
{
    buffer_init(&b->text, bytes_max);
    b->count = 0;
}

void event_batch_fini(struct event_batch *b)
{
    buffer_fini(&b->text);
}

enum coney_rc event_batch_add(struct event_batch *b, const struct event *ev)
{
    struct buffer text;

    if (!event_is_of_task(ev->type))
        return CONEY_EINVAL;
    if (b->count >= EVENT_BATCH_MAX)
        return CONEY_ELIMIT;
    buffer_init(&text, EVENT_BYTES_MAX);
    enum coney_rc rc = buffer_append(&text, b->count > 0 ? ", " : "[", b->count ? 2 : 1);
    if (rc == CONEY_OK)
        rc = event_write(ev, &text);
    /* The bracket that closes it must fit as well. */
    if (rc == CONEY_OK &&
            buffer_len(&b->text) + buffer_len(&text) + sizeof("]") > b->text.max)
        rc = CONEY_ELIMIT;
    if (rc == CONEY_OK)
        rc = buffer_append(&b->text, buffer_data(&text), buffer_len(&text));
    if (rc == CONEY_OK)
        b->count++;
    buffer_fini(&text);
    return rc;
}

enum coney_rc event_batch_encode(
        struct event_batch *b, const char *hostname, struct envelope *out)
{
    assert(b->count > 0);
    enum coney_rc rc = buffer_append(&b->text, "]", 1);
    if (rc == CONEY_OK)
        rc = encode(hostname, &b->text, out);
    buffer_clear(&b->text);
    b->count = 0;
    return rc;
}
