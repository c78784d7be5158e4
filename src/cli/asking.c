/* SPDX-License-Identifier: MIT */
/* asking.c - a reply queue, requests, and replies until none comes any more. */
#include "cli/asking.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* As Celery's clients declare it, but for one client only: nobody else asks for it. */
enum { QUEUE_EXPIRES_MS = 10000, QUEUE_TTL_MS = 300000 };
/* For the broker to take what we publish, and for all replies together. */
enum { TAKEN_MS = 10000, PATIENCE = 10 };
enum { COOKIE_CONSUMING = 1, COOKIE_PUBLISHED };
enum { QUEUE_NAME_SIZE = UUID_TEXT_SIZE + sizeof(REMOTE_REPLY_EXCHANGE) };

struct asking {
    struct connection *connection;
    struct inquiry *inquiry;
    char key[UUID_TEXT_SIZE];
    size_t unconfirmed;
    int64_t deadline_ms;
    int64_t end_ms;
};

/* --- asking ------------------------------------------------------------------------- */

static enum coney_rc declare(struct asking *a, const char *queue)
{
    struct session *s = wire_session(a->connection->wire);
    struct amqp_channel ch = wire_channel(a->connection->wire);
    struct table arguments = {.count = 0};
    const struct exchange_declare requests = {
            .exchange = REMOTE_EXCHANGE, .type = "fanout"};
    const struct exchange_declare replies = {
            .exchange = REMOTE_REPLY_EXCHANGE, .type = "direct"};
    const struct queue_declare inbox = {.queue = queue,
            .exclusive = true,
            .auto_delete = true,
            .arguments = &arguments};

    enum coney_rc rc = table_set_integer(
            &arguments, a->connection->arena, "x-expires", QUEUE_EXPIRES_MS);
    if (rc == CONEY_OK)
        rc = table_set_integer(
                &arguments, a->connection->arena, "x-message-ttl", QUEUE_TTL_MS);
    if (rc == CONEY_OK)
        rc = session_declare_exchange(s, ch, &requests, 0);
    if (rc == CONEY_OK)
        rc = session_declare_exchange(s, ch, &replies, 0);
    return rc == CONEY_OK ? session_declare_queue(s, ch, &inbox, 0) : rc;
}

static enum coney_rc open_inbox(struct asking *a, struct coney_error *err)
{
    struct session *s = wire_session(a->connection->wire);
    struct amqp_channel ch = wire_channel(a->connection->wire);
    char queue[QUEUE_NAME_SIZE];

    rng_uuid(&a->connection->rng, a->key);
    snprintf(queue, sizeof(queue), "%s." REMOTE_REPLY_EXCHANGE, a->key);
    const struct binding binding = {
            .to = queue, .from = REMOTE_REPLY_EXCHANGE, .key = a->key};
    const struct consume consume = {.queue = queue, .consumer_tag = "", .no_ack = true};

    enum coney_rc rc = declare(a, queue);
    if (rc == CONEY_OK)
        rc = session_bind_queue(s, ch, &binding, 0);
    if (rc == CONEY_OK)
        rc = session_confirm_select(s, ch);
    if (rc == CONEY_OK)
        rc = session_consume(s, ch, &consume, COOKIE_CONSUMING);
    if (rc != CONEY_OK)
        return error_set(err, rc, "can't declare a queue for replies");
    return wire_await(a->connection->wire, COOKIE_CONSUMING, err);
}

static enum coney_rc publish(
        struct asking *a, struct question *q, struct coney_error *err)
{
    struct envelope e;
    const struct publish p = {
            .exchange = REMOTE_EXCHANGE, .routing_key = "", .envelope = &e};
    const struct remote_request request = {.method = q->method,
            .arguments = q->arguments,
            .target = a->inquiry->target,
            .ticket = q->is_silent ? NULL : q->ticket,
            .reply_key = q->is_silent ? NULL : a->key};

    rng_uuid(&a->connection->rng, q->ticket);
    enum coney_rc rc = remote_encode(&request, clock_wall_us(), &e, err);
    if (rc != CONEY_OK)
        return rc;
    rc = session_publish(wire_session(a->connection->wire),
            wire_channel(a->connection->wire), &p, COOKIE_PUBLISHED);
    envelope_fini(&e);
    if (rc != CONEY_OK)
        return error_set(err, rc, "the request can't be published");
    a->unconfirmed++;
    return CONEY_OK;
}

static enum coney_rc publish_all(struct asking *a, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    for (size_t i = 0; i < a->inquiry->count && rc == CONEY_OK; i++) {
        a->inquiry->questions[i].replies = json_object();
        if (!a->inquiry->questions[i].replies)
            return error_set_nomem(err);
        rc = publish(a, &a->inquiry->questions[i], err);
    }
    a->end_ms = clock_mono_ms() + (int64_t)a->inquiry->timeout_ms * PATIENCE;
    a->deadline_ms = clock_mono_ms() + a->inquiry->timeout_ms;
    return rc;
}

/* --- answers ------------------------------------------------------------------------ */

static void note_foreign(struct asking *a, const char *type)
{
    if (type && strcmp(type, "application/json") != 0)
        utf8_printable(a->inquiry->foreign_type, CONTENT_TYPE_SIZE,
                (struct bytes){.data = type, .len = strlen(type)});
}

/* What can't be read, or answers nothing of ours, is passed over. */
static void take_reply(struct asking *a, const struct session_event *ev)
{
    const struct envelope *e = &ev->delivery.envelope;
    json_t *reply = NULL;
    int64_t now_ms = clock_mono_ms();

    if (ev->delivery.flaw != DELIVERY_WHOLE)
        return;
    for (size_t i = 0; i < a->inquiry->count; i++) {
        struct question *q = &a->inquiry->questions[i];
        if (!remote_answers(e, q->ticket))
            continue;
        if (remote_decode(e, &reply, NULL) != CONEY_OK) {
            note_foreign(a, e->properties.content_type);
            continue;
        }
        (void)json_object_update(q->replies, reply);
        json_decref(reply);
        a->deadline_ms = now_ms + a->inquiry->timeout_ms;
    }
    if (a->deadline_ms > a->end_ms)
        a->deadline_ms = a->end_ms;
}

static bool is_answered(const struct asking *a)
{
    for (size_t i = 0; i < a->inquiry->count; i++) {
        const struct question *q = &a->inquiry->questions[i];
        if (q->is_silent)
            continue;
        if (a->inquiry->target.node_count == 0 ||
                json_object_size(q->replies) < a->inquiry->target.node_count)
            return false;
    }
    return true;
}

static enum coney_rc take_event(
        struct asking *a, const struct session_event *ev, struct coney_error *err)
{
    if (ev->type == SESSION_DELIVERY)
        take_reply(a, ev);
    if (ev->type != SESSION_PUBLISHED)
        return CONEY_OK;
    a->unconfirmed--;
    return ev->outcome == PUBLISH_ACKED
                   ? CONEY_OK
                   : error_set(err, CONEY_ENACKED, "the broker did not take the request");
}

static enum coney_rc not_taken(struct asking *a, struct coney_error *err)
{
    bool is_blocked = session_is_blocked(wire_session(a->connection->wire));
    return error_set(err, CONEY_ETIMEOUT, "the broker takes no messages%s",
            is_blocked ? ": it has raised an alarm over its memory or disk" : "");
}

static enum coney_rc collect(struct asking *a, struct coney_error *err)
{
    int64_t taken_by_ms = clock_mono_ms() + TAKEN_MS;
    struct session_event ev;
    enum coney_rc rc = CONEY_OK;

    while (rc == CONEY_OK && (a->unconfirmed > 0 || !is_answered(a))) {
        int64_t until_ms = a->unconfirmed > 0 ? taken_by_ms : a->deadline_ms;
        rc = wire_next(a->connection->wire, until_ms, &ev, err);
        if (rc == CONEY_ETIMEOUT)
            return a->unconfirmed > 0 ? not_taken(a, err) : CONEY_OK;
        if (rc != CONEY_OK)
            return rc;
        rc = take_event(a, &ev, err);
        session_event_fini(&ev);
    }
    return rc;
}

enum coney_rc ask(struct connection *c, struct inquiry *inquiry, struct coney_error *err)
{
    struct asking a = {.connection = c, .inquiry = inquiry};

    enum coney_rc rc = open_inbox(&a, err);
    if (rc == CONEY_OK)
        rc = publish_all(&a, err);
    return rc == CONEY_OK ? collect(&a, err) : rc;
}

/* --- reading ------------------------------------------------------------------------ */

void questions_fini(struct question *questions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_decref(questions[i].arguments);
        json_decref(questions[i].replies);
    }
}

const json_t *question_reply(const struct question *q, const char *node)
{
    return json_object_get(q->replies, node);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **question_nodes(
        const struct question *questions, size_t count, size_t *node_count)
{
    size_t total = 0;
    size_t kept = 0;
    const char *name;
    json_t *reply;

    *node_count = 0;
    for (size_t i = 0; i < count; i++)
        total += json_object_size(questions[i].replies);
    const char **names = calloc(total + 1, sizeof(*names));
    if (!names)
        return NULL;
    total = 0;
    for (size_t i = 0; i < count; i++)
        json_object_foreach(questions[i].replies, name, reply) names[total++] = name;
    qsort(names, total, sizeof(*names), compare_names);
    for (size_t i = 0; i < total; i++)
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    *node_count = kept;
    return names;
}
