/* SPDX-License-Identifier: MIT */
/* compose.c - from what a caller says about a task to the message that asks for it. */
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/json.h"
#include "lib/client_impl.h"
#include "message/task.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- checks ----------------------------------------------------------------------- */

static enum coney_rc check_span(const char *name, int64_t ms, struct coney_error *err)
{
    if (ms < 0 || ms > DURATION_MAX_MS)
        return error_set(err, CONEY_EINVAL, "%s is %lld: it may be 0 to %lld", name,
                (long long)ms, (long long)DURATION_MAX_MS);
    return CONEY_OK;
}

static enum coney_rc check(const struct coney_message *m, struct coney_error *err)
{
    if (!m->task)
        return error_set(err, CONEY_EINVAL, "no task is named");
    if (m->countdown_ms != 0 && m->eta_us != 0)
        return error_set(err, CONEY_EINVAL, "countdown_ms and eta_us: only one of both");
    if (m->expires_ms != 0 && m->expires_at_us != 0)
        return error_set(
                err, CONEY_EINVAL, "expires_ms and expires_at_us: only one of both");
    enum coney_rc rc = check_span("countdown_ms", m->countdown_ms, err);
    if (rc == CONEY_OK)
        rc = check_span("expires_ms", m->expires_ms, err);
    if (rc == CONEY_OK)
        rc = check_span("time_limit_ms", m->time_limit_ms, err);
    if (rc == CONEY_OK)
        rc = check_span("soft_time_limit_ms", m->soft_time_limit_ms, err);
    return rc;
}

/* A message of a program that was built against an older header is shorter. */
enum coney_rc compose_read_message(const struct coney_message *from,
        struct coney_message *to, struct coney_error *err)
{
    coney_message_init(to, NULL);
    if (from->size == 0 || from->size > sizeof(*to))
        return error_set(err, CONEY_EINVAL,
                "message.size is %zu: begin with coney_message_init(), and build against "
                "the header of this library",
                from->size);
    memcpy(to, from, from->size);
    return check(to, err);
}

/* --- parts ------------------------------------------------------------------------ */

enum coney_rc compose_read_json(
        const char *text, const char *name, json_t **out, struct coney_error *err)
{
    if (!text)
        return CONEY_OK;
    struct message_limits limits = message_limits_default();
    struct json_limits json_limits = message_json_limits(&limits);
    struct bytes bytes = {.data = text, .len = strlen(text)};
    enum coney_rc rc = json_read(bytes, &json_limits, out, err);
    if (rc != CONEY_OK)
        error_prefix(err, "%s", name);
    return rc;
}

/* Keys and values stay the caller's; encoding copies them. */
static enum coney_rc read_headers(const struct coney_message *m, struct arena *a,
        struct table *out, struct coney_error *err)
{
    for (size_t i = 0; i < m->header_count; i++) {
        const struct coney_header *h = &m->headers[i];
        if (!h->name || !h->value)
            return error_set(
                    err, CONEY_EINVAL, "header %zu has no name or no value", i + 1);
        if (table_find(out, h->name))
            return error_set(
                    err, CONEY_EINVAL, "header '%.100s' is given twice", h->name);
        if (table_set_text(out, a, h->name, h->value) != CONEY_OK)
            return error_set_nomem(err);
    }
    return CONEY_OK;
}

const char *compose_queue(const struct coney_client *c, const char *name)
{
    const struct queue_config *q = config_queue(c->config, name);
    return q ? q->name : name;
}

void compose_seed(struct coney_client *c, struct rng *rng)
{
    pthread_mutex_lock(&c->lock);
    rng_seed(rng, rng_next(&c->rng));
    pthread_mutex_unlock(&c->lock);
}

enum coney_rc compose_defaults(struct coney_client *c, const struct coney_message *m,
        struct defaults *out, struct coney_error *err)
{
    pthread_mutex_lock(&c->lock);
    const struct policy *p = config_policy(c->config, m->task);
    if (p)
        *out = (struct defaults){
                .queue = m->queue ? compose_queue(c, m->queue) : p->queue,
                .priority = p->priority,
                .expires_ms = p->expires_ms};
    if (m->reply == CONEY_REPLY_WANTED)
        c->wants_replies = true;
    pthread_mutex_unlock(&c->lock);
    if (!p)
        return error_set_nomem(err);

    struct delay_route route;
    if (delay_route(c->config->broker.prefix, 1, out->queue, &route) != CONEY_OK)
        return error_set(err, CONEY_EINVAL,
                "queue '%.100s': a name has 1 to 199 bytes and no part between dots that "
                "is just * or #",
                out->queue);
    return CONEY_OK;
}

static int64_t time_or(int64_t at_us, int64_t span_ms, int64_t now_us)
{
    if (at_us != 0)
        return at_us;
    return span_ms > 0 ? now_us + span_ms * 1000 : TASK_NO_TIME;
}

/* Everything but arguments and headers. */
static struct task_spec spec_of(const struct coney_client *c,
        const struct coney_message *m, const struct defaults *d, int64_t now_us)
{
    struct task_spec spec = task_spec_none();
    int64_t expires_ms = m->expires_ms;
    if (expires_ms == 0 && d->expires_ms != CONFIG_NONE)
        expires_ms = d->expires_ms;
    spec.id = m->id;
    spec.task = m->task;
    spec.eta_us = time_or(m->eta_us, m->countdown_ms, now_us);
    spec.expires_us = time_or(m->expires_at_us, expires_ms, now_us);
    if (m->time_limit_ms > 0)
        spec.time_limit_ms = m->time_limit_ms;
    if (m->soft_time_limit_ms > 0)
        spec.soft_time_limit_ms = m->soft_time_limit_ms;
    if (m->reply == CONEY_REPLY_WANTED)
        spec.reply_to = c->reply_queue;
    spec.priority = m->priority >= 0 ? m->priority : d->priority;
    return spec;
}

/* --- the whole -------------------------------------------------------------------- */

enum coney_rc compose_wrap(struct envelope *e, const struct defaults *d,
        const struct coney_message *m, struct outgoing **out, struct coney_error *err)
{
    const char *queue = arena_strdup(e->arena, d->queue);
    struct outgoing *o = queue ? outgoing_new_take(e) : NULL;
    if (!o) {
        envelope_fini(e);
        return error_set_nomem(err);
    }
    /* A broker that drops the expired tells nobody, and one that lets go of them early
     * breaks a delay. The expires header says the same to the worker, who answers. */
    o->envelope.properties.expiration = NULL;
    o->id = o->envelope.properties.message_id;
    o->queue = queue;
    o->reply = m->reply == CONEY_REPLY_WANTED ? OUTGOING_REPLY : OUTGOING_NO_REPLY;
    *out = o;
    return CONEY_OK;
}

enum coney_rc compose(struct coney_client *c, const struct coney_message *message,
        enum outgoing_owner owner, struct outgoing **out, struct coney_error *err)
{
    struct coney_message m;
    struct defaults defaults = {.queue = NULL};
    struct table headers = {.count = 0};
    struct envelope e = {.arena = NULL};
    struct rng rng;
    json_t *args = NULL, *kwargs = NULL;
    struct arena *a = NULL;
    char origin[sizeof(c->host) + 32];
    int64_t now_us = clock_wall_us();

    enum coney_rc rc = compose_read_message(message, &m, err);
    if (rc != CONEY_OK)
        return rc;
    if (stored_is_used(c))
        m.reply = CONEY_REPLY_NONE; /* it goes to the store, unasked */
    a = arena_new(0);
    rc = a ? read_headers(&m, a, &headers, err) : error_set_nomem(err);
    if (rc == CONEY_OK)
        rc = compose_read_json(m.args, "args", &args, err);
    if (rc == CONEY_OK)
        rc = compose_read_json(m.kwargs, "kwargs", &kwargs, err);
    if (rc == CONEY_OK)
        rc = compose_defaults(c, &m, &defaults, err);
    if (rc != CONEY_OK)
        goto out;
    compose_seed(c, &rng);

    snprintf(origin, sizeof(origin), "gen%d@%s", (int)getpid(), c->host);
    struct task_spec spec = spec_of(c, &m, &defaults, now_us);
    spec.args = args;
    spec.kwargs = kwargs;
    spec.headers = &headers;
    spec.origin = origin;
    rc = task_encode(&spec, now_us, &rng, &e, err);
    if (rc == CONEY_OK)
        rc = compose_wrap(&e, &defaults, &m, out, err);
    if (rc == CONEY_OK) {
        (*out)->owner = owner;
        (*out)->eta_us = spec.eta_us;
    }

out:
    json_decref(args);
    json_decref(kwargs);
    arena_free(a);
    return rc;
}
