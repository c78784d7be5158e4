/* SPDX-License-Identifier: MIT */
/*
 * content.c - messages coming in: basic.deliver and basic.return, header and body.
 *
 * A delivery lives in one arena, sized from its header frame so that most need a single
 * page. Memory for a body follows the bytes that have come, never an announcement: a
 * header that promises 16 MiB costs nothing by itself.
 */
#include "amqp/link_impl.h"
#include "base/error.h"

#include <string.h>

enum {
    HEADER_PREFIX = 12, /* class, weight, body size */
    /* The first block of a body may be so many times what its first frame brought. */
    BODY_AHEAD = 8,
    BODY_AHEAD_MIN = 64 * 1024,
    /* Decoded headers are larger than encoded ones by about this factor. */
    HEADERS_SPREAD = 4,
    ARENA_BASE = 512
};

static void copy_short(char to[SHORT_STRING_MAX + 1], amqp_bytes_t from)
{
    memcpy(to, from.bytes, from.len);
    to[from.len] = '\0';
}

void content_begin(
        struct link *l, struct channel *c, enum content_kind kind, struct bytes payload)
{
    struct content *t = &c->content;
    void *decoded = link_decode(l, payload);
    if (!decoded)
        return;

    t->kind = kind;
    t->stage = CONTENT_HEADER;
    t->delivery = (struct delivery){.tag = 0};
    if (kind == CONTENT_DELIVERY) {
        const amqp_basic_deliver_t *deliver = decoded;
        t->delivery.tag = deliver->delivery_tag;
        t->delivery.redelivered = deliver->redelivered != 0;
        copy_short(t->exchange, deliver->exchange);
        copy_short(t->routing_key, deliver->routing_key);
        copy_short(t->tag_or_text, deliver->consumer_tag);
    } else {
        const amqp_basic_return_t *returned = decoded;
        t->code = returned->reply_code;
        copy_short(t->exchange, returned->exchange);
        copy_short(t->routing_key, returned->routing_key);
        copy_short(t->tag_or_text, returned->reply_text);
    }
}

/* --- what a return is recognised by ---------------------------------------------------
 */

/* FNV-1a; what it must tell apart are the publishes that wait on one channel. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return hash_bytes(hash, text, text ? strlen(text) : 0);
}

uint64_t content_route(amqp_bytes_t exchange, amqp_bytes_t routing_key,
        const struct properties *p, uint64_t body_size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    hash = hash_bytes(hash, exchange.bytes, exchange.len);
    hash = hash_bytes(hash, routing_key.bytes, routing_key.len);
    hash = hash_text(hash, p->message_id);
    hash = hash_text(hash, p->correlation_id);
    hash = hash_bytes(hash, &body_size, sizeof(body_size));
    return hash | 1;
}

/* --- a whole message ------------------------------------------------------------------
 */

static void finish_return(struct link *l, struct channel *c)
{
    struct content *t = &c->content;
    uint64_t route = content_route(codec_text(t->exchange), codec_text(t->routing_key),
            &t->delivery.envelope.properties, t->delivery.body_size);
    uint64_t cookie = 0;

    confirms_return(&c->confirms, route, &cookie);
    content_drop(t);
    struct session_event *ev = link_push(l, SESSION_RETURNED);
    if (!ev)
        return;
    ev->channel = c->id;
    ev->cookie = cookie;
    ev->code = t->code;
    error_set(&ev->error, CONEY_EUNROUTABLE,
            "exchange \"%s\", routing key \"%.128s\": %s", t->exchange, t->routing_key,
            t->tag_or_text);
}

static void finish(struct link *l, struct channel *c)
{
    struct content *t = &c->content;

    if (t->kind == CONTENT_RETURN) {
        finish_return(l, c);
        return;
    }
    if (t->body) {
        t->body[t->received] = '\0';
        t->delivery.envelope.body =
                (struct bytes){.data = t->body, .len = (size_t)t->received};
    }
    struct session_event *ev = link_push(l, SESSION_DELIVERY);
    if (!ev)
        return;
    ev->channel = c->id;
    ev->delivery = t->delivery; /* the envelope goes with it */
    t->stage = CONTENT_NONE;
    t->body = NULL;
}

/* --- header ---------------------------------------------------------------------------
 */

/* The names and the properties, in an arena of their own. */
static enum coney_rc open_delivery(
        struct link *l, struct content *t, struct bytes properties)
{
    struct scan_limits limits = {
            .depth_max = l->options.headers_depth_max, .fields_max = HEADER_FIELDS_MAX};
    struct delivery *d = &t->delivery;
    size_t body = d->body_size < l->frame_max ? (size_t)d->body_size : 0;
    enum codec_headers taken;

    struct arena *a = arena_new(ARENA_BASE + HEADERS_SPREAD * properties.len + body);
    if (!a)
        return CONEY_ENOMEM;
    d->envelope.arena = a;
    t->stage = CONTENT_BODY; /* from here on content_drop() frees it */
    enum coney_rc rc =
            codec_read_properties(properties, &limits, &l->in_pool, &d->envelope, &taken);
    if (rc != CONEY_OK)
        return rc;
    if (taken == HEADERS_REFUSED)
        d->flaw = DELIVERY_HEADERS_REFUSED;
    d->exchange = arena_strdup(a, t->exchange);
    d->routing_key = arena_strdup(a, t->routing_key);
    d->consumer_tag = arena_strdup(a, t->tag_or_text);
    d->envelope.body = arena_copy(a, (struct bytes){.data = NULL});
    return d->exchange && d->routing_key && d->consumer_tag && d->envelope.body.data
                   ? CONEY_OK
                   : CONEY_ENOMEM;
}

void content_header(struct link *l, struct channel *c, struct bytes payload)
{
    struct content *t = &c->content;
    const uint8_t *p = payload.data;

    if (t->stage != CONTENT_HEADER || frame_get_u16(p) != AMQP_BASIC_CLASS) {
        link_fail(l, CONEY_ESYNTAX, 0,
                "protocol violation: unexpected content header on channel %u",
                c->id.number);
        return;
    }
    t->delivery.body_size = frame_get_u64(p + 4);
    t->received = 0;
    t->body = NULL;
    t->body_capacity = 0;
    struct bytes properties = {
            .data = p + HEADER_PREFIX, .len = payload.len - HEADER_PREFIX};
    if (open_delivery(l, t, properties) != CONEY_OK) {
        link_fail_nomem(l);
        return;
    }
    if (t->delivery.body_size > l->options.body_max)
        t->delivery.flaw = DELIVERY_BODY_TOO_LARGE;
    if (t->delivery.body_size == 0)
        finish(l, c);
}

/* --- body -----------------------------------------------------------------------------
 */

static bool is_body_wanted(const struct content *t)
{
    return t->kind == CONTENT_DELIVERY && t->delivery.flaw != DELIVERY_BODY_TOO_LARGE;
}

/* Room for @len more bytes and the final zero. Blocks left behind stay in the arena: with
 * each twice the one before, they are less than the body. */
static enum coney_rc grow_body(struct content *t, size_t len)
{
    size_t received = (size_t)t->received;
    if (t->body && len <= t->body_capacity - received)
        return CONEY_OK;

    size_t capacity = t->body ? 2 * t->body_capacity : BODY_AHEAD * len;
    if (capacity < BODY_AHEAD_MIN)
        capacity = BODY_AHEAD_MIN;
    if (capacity < received + len)
        capacity = received + len;
    if (capacity > t->delivery.body_size)
        capacity = (size_t)t->delivery.body_size;
    uint8_t *body = arena_alloc(t->delivery.envelope.arena, capacity + 1);
    if (!body)
        return CONEY_ENOMEM;
    if (t->body)
        memcpy(body, t->body, received);
    t->body = body;
    t->body_capacity = capacity;
    return CONEY_OK;
}

void content_body(struct link *l, struct channel *c, struct bytes payload)
{
    struct content *t = &c->content;

    if (t->stage != CONTENT_BODY || payload.len > t->delivery.body_size - t->received) {
        link_fail(l, CONEY_ESYNTAX, 0,
                "protocol violation: unexpected content body on channel %u",
                c->id.number);
        return;
    }
    if (is_body_wanted(t) && payload.len > 0) {
        if (grow_body(t, payload.len) != CONEY_OK) {
            link_fail_nomem(l);
            return;
        }
        memcpy(t->body + t->received, payload.data, payload.len);
    }
    t->received += payload.len;
    if (t->received == t->delivery.body_size)
        finish(l, c);
}
