/* SPDX-License-Identifier: MIT */
/*
 * canvas.c - chains, groups and chords of a program, as the signatures that Celery makes
 * of them. What they come to is planned by message/canvas.h, and sent by batch.c.
 */
#include "lib/canvas.h"

#include "base/error.h"
#include "message/canvas.h"
#include "message/task_headers.h"
#include "message/time.h"

#include <stdlib.h>
#include <string.h>

/* --- making and unmaking ---------------------------------------------------------- */

static struct coney_canvas *new_canvas(void)
{
    return calloc(1, sizeof(struct coney_canvas));
}

void coney_canvas_free(struct coney_canvas *canvas)
{
    if (!canvas)
        return;
    json_decref(canvas->signature);
    free(canvas->results);
    free(canvas);
}

const char *coney_canvas_results(const struct coney_canvas *canvas)
{
    return canvas ? canvas->results : NULL;
}

/* The first mistake stays. */
static void spoil(struct coney_canvas *c, enum coney_rc rc, const char *text)
{
    if (c && c->error.rc == CONEY_OK)
        error_set(&c->error, rc, "%s", text);
}

/* What @part is, the caller's; @part is gone, and its mistake is @into's. */
static json_t *take(struct coney_canvas *into, struct coney_canvas *part)
{
    json_t *signature = part ? json_incref(part->signature) : NULL;

    if (!part)
        spoil(into, CONEY_ENOMEM, "out of memory");
    else if (part->error.rc != CONEY_OK)
        spoil(into, part->error.rc, part->error.text);
    coney_canvas_free(part);
    return signature;
}

static json_t *take_all(
        struct coney_canvas *into, struct coney_canvas *const *parts, size_t count)
{
    json_t *all = json_array();

    for (size_t i = 0; i < count; i++) {
        json_t *one = take(into, parts[i]);
        if (one && json_array_append_new(all, one) != 0)
            spoil(into, CONEY_ENOMEM, "out of memory");
    }
    return all;
}

/* @signature is taken over. */
static struct coney_canvas *finish(struct coney_canvas *c, json_t *signature)
{
    if (!c) {
        json_decref(signature);
        return NULL;
    }
    c->signature = signature;
    if (!signature)
        spoil(c, CONEY_ENOMEM, "out of memory");
    return c;
}

/* --- a signature ------------------------------------------------------------------ */

static json_t *seconds(int64_t ms)
{
    return ms % 1000 == 0 ? json_integer(ms / 1000) : json_real((double)ms / 1000);
}

static json_t *moment(int64_t at_us)
{
    char text[TIME_TEXT_SIZE];

    time_format(at_us, text);
    return json_string(text);
}

static json_t *headers_of(const struct coney_message *m, struct coney_canvas *c)
{
    json_t *all = json_object();

    for (size_t i = 0; i < m->header_count; i++) {
        const struct coney_header *h = &m->headers[i];
        if (!h->name || !h->value)
            spoil(c, CONEY_EINVAL, "a header has no name or no value");
        else if (task_headers_is_reserved((struct bytes){h->name, strlen(h->name)}))
            spoil(c, CONEY_EINVAL, "a header has a name that Celery uses itself");
        else if (json_object_set_new(all, h->name, json_string(h->value)) != 0)
            spoil(c, CONEY_EINVAL, "a header is not UTF-8");
    }
    return all;
}

static json_t *options_of(const struct coney_message *m, struct coney_canvas *c)
{
    json_t *eta = m->eta_us != 0 ? moment(m->eta_us) : NULL;
    json_t *countdown = m->countdown_ms > 0 ? seconds(m->countdown_ms) : NULL;
    json_t *expires = m->expires_at_us != 0 ? moment(m->expires_at_us)
                      : m->expires_ms > 0   ? seconds(m->expires_ms)
                                            : NULL;
    json_t *hard = m->time_limit_ms > 0 ? seconds(m->time_limit_ms) : NULL;
    json_t *soft = m->soft_time_limit_ms > 0 ? seconds(m->soft_time_limit_ms) : NULL;
    json_t *priority = m->priority >= 0 ? json_integer(m->priority) : NULL;
    json_t *headers = m->header_count > 0 ? headers_of(m, c) : NULL;

    return json_pack("{s:s*, s:s*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*}", "task_id",
            m->id, "queue", m->queue, "eta", eta, "countdown", countdown, "expires",
            expires, "time_limit", hard, "soft_time_limit", soft, "priority", priority,
            "headers", headers);
}

struct coney_canvas *coney_signature(const struct coney_message *message)
{
    struct coney_canvas *c = new_canvas();
    struct coney_message m;
    json_t *args = NULL, *kwargs = NULL;

    if (!c)
        return NULL;
    enum coney_rc rc = compose_read_message(message, &m, &c->error);
    if (rc == CONEY_OK)
        rc = compose_read_json(m.args, "args", &args, &c->error);
    if (rc == CONEY_OK && args && !json_is_array(args))
        rc = error_set(&c->error, CONEY_EINVAL, "args is not a JSON array");
    if (rc == CONEY_OK)
        rc = compose_read_json(m.kwargs, "kwargs", &kwargs, &c->error);
    if (rc == CONEY_OK && kwargs && !json_is_object(kwargs))
        rc = error_set(&c->error, CONEY_EINVAL, "kwargs is not a JSON object");
    if (rc != CONEY_OK) {
        json_decref(args);
        json_decref(kwargs);
        return c;
    }
    json_t *options = options_of(&m, c);
    if (!options)
        spoil(c, CONEY_EINVAL, "id, queue or header: not UTF-8");
    return finish(c,
            json_pack("{s:s, s:o, s:o, s:o, s:n, s:b}", "task", m.task, "args",
                    args ? args : json_array(), "kwargs", kwargs ? kwargs : json_object(),
                    "options", options ? options : json_object(), "subtask_type",
                    "immutable", 0));
}

void coney_immutable(struct coney_canvas *canvas)
{
    if (canvas && json_object_set_new(canvas->signature, "immutable", json_true()) != 0)
        spoil(canvas, CONEY_ENOMEM, "out of memory");
}

/* --- several of them -------------------------------------------------------------- */

static json_t *compound(const char *type, json_t *kwargs)
{
    char task[32] = "celery.";

    strncat(task, type, sizeof(task) - sizeof("celery."));
    return json_pack("{s:s, s:[], s:o, s:{}, s:s, s:b}", "task", task, "args", "kwargs",
            kwargs, "options", "subtask_type", type, "immutable", 0);
}

static struct coney_canvas *sequence(
        const char *type, struct coney_canvas *const *parts, size_t count)
{
    struct coney_canvas *c = new_canvas();
    json_t *tasks = take_all(c, parts, count);

    if (count == 0)
        spoil(c, CONEY_EINVAL, "a chain or group of nothing");
    return finish(c, compound(type, json_pack("{s:o}", "tasks", tasks)));
}

struct coney_canvas *coney_chain(struct coney_canvas *const *steps, size_t count)
{
    return sequence("chain", steps, count);
}

struct coney_canvas *coney_group(struct coney_canvas *const *members, size_t count)
{
    return sequence("group", members, count);
}

struct coney_canvas *coney_chord(
        struct coney_canvas *const *header, size_t count, struct coney_canvas *body)
{
    struct coney_canvas *c = new_canvas();
    json_t *tasks = take_all(c, header, count);
    json_t *last = take(c, body);

    return finish(c, compound("chord", json_pack("{s:o, s:o?, s:{}}", "header", tasks,
                                               "body", last, "kwargs")));
}

static void attach(
        struct coney_canvas *canvas, const char *option, struct coney_canvas *what)
{
    json_t *signature = take(canvas, what);

    if (canvas && signature && canvas->error.rc == CONEY_OK &&
            canvas_attach(canvas->signature, option, signature) != CONEY_OK)
        spoil(canvas, CONEY_ENOMEM, "out of memory");
    json_decref(signature);
}

void coney_link(struct coney_canvas *canvas, struct coney_canvas *callback)
{
    attach(canvas, "link", callback);
}

void coney_link_error(struct coney_canvas *canvas, struct coney_canvas *errback)
{
    attach(canvas, "link_error", errback);
}
