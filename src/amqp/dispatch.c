/* SPDX-License-Identifier: MIT */
/* dispatch.c - what each method from the broker means once the link is logged in. */
#include "amqp/link_impl.h"
#include "base/error.h"

#include <string.h>

enum coney_rc dispatch_rc(unsigned code)
{
    switch (code) {
    case AMQP_NOT_FOUND:
        return CONEY_ENOTFOUND;
    case AMQP_ACCESS_REFUSED:
    case AMQP_RESOURCE_LOCKED:
    case AMQP_PRECONDITION_FAILED:
    case AMQP_NOT_ALLOWED:
    case AMQP_NOT_IMPLEMENTED:
        return CONEY_EREFUSED;
    default:
        return CONEY_ECLOSED;
    }
}

void *link_decode(struct link *l, struct bytes payload)
{
    union {
        const void *from;
        uint8_t *to;
    } p = {.from = payload.data};
    amqp_method_number_t method = frame_get_u32(p.to);
    amqp_bytes_t encoded = {.len = payload.len - 4, .bytes = p.to + 4};
    void *decoded;

    int status = amqp_decode_method(method, &l->in_pool, encoded, &decoded);
    if (status == AMQP_STATUS_NO_MEMORY)
        link_fail_nomem(l);
    else if (status < 0)
        link_fail(l, CONEY_ESYNTAX, 0, "protocol violation: malformed method 0x%08x",
                (unsigned)method);
    return status < 0 ? NULL : decoded;
}

static void unexpected(struct link *l, unsigned channel, amqp_method_number_t method)
{
    const char *name = amqp_method_name(method);
    link_fail(l, CONEY_ESYNTAX, 0,
            "protocol violation: unexpected %s (0x%08x) on channel %u",
            name ? name : "method", (unsigned)method, channel);
}

/* --- the connection -------------------------------------------------------------------
 */

static void connection_closed(struct link *l, const amqp_connection_close_t *close)
{
    amqp_connection_close_ok_t ok = {.dummy = 0};

    link_send_or_fail(l, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    if (l->phase == LINK_LOGIN)
        login_closed(l, close);
    else if (l->phase == LINK_CLOSING)
        l->phase = LINK_OVER;
    else
        link_fail(l, dispatch_rc(close->reply_code), close->reply_code,
                "the broker closed the connection (%u): %.*s", close->reply_code,
                (int)close->reply_text.len, (const char *)close->reply_text.bytes);
}

static void connection_blocked(struct link *l, const amqp_connection_blocked_t *blocked)
{
    l->is_blocked = true;
    struct session_event *ev = link_push(l, SESSION_BLOCKED);
    if (ev)
        error_set(&ev->error, CONEY_ELIMIT, "%.*s", (int)blocked->reason.len,
                (const char *)blocked->reason.bytes);
}

static void connection_method(
        struct link *l, amqp_method_number_t method, struct bytes payload)
{
    void *decoded;

    switch (method) {
    case AMQP_CONNECTION_CLOSE_METHOD:
        decoded = link_decode(l, payload);
        if (decoded)
            connection_closed(l, decoded);
        return;
    case AMQP_CONNECTION_CLOSE_OK_METHOD:
        if (l->phase == LINK_CLOSING) {
            l->phase = LINK_OVER;
            return;
        }
        break;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        decoded = link_decode(l, payload);
        if (decoded)
            connection_blocked(l, decoded);
        return;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        l->is_blocked = false;
        link_push(l, SESSION_UNBLOCKED);
        return;
    default:
        if (l->phase == LINK_LOGIN) {
            login_method(l, method, payload);
            return;
        }
        break;
    }
    unexpected(l, 0, method);
}

/* --- channels -------------------------------------------------------------------------
 */

/* Give up what is unconfirmed on @c, then forget it, then tell of @after if there is one.
 */
static void channel_gone(
        struct link *l, struct channel *c, const struct session_event *after)
{
    content_drop(&c->content);
    c->state = CHANNEL_GONE;
    l->drain =
            (struct drain){.channel = c, .upto = UINT64_MAX, .outcome = PUBLISH_UNKNOWN};
    if (after) {
        l->drain.after = *after;
        l->drain.has_after = true;
    }
}

static void channel_closed(
        struct link *l, struct channel *c, const amqp_channel_close_t *close)
{
    struct session_event ev = {
            .type = SESSION_CHANNEL_CLOSED, .channel = c->id, .code = close->reply_code};
    amqp_method_number_t method =
            (amqp_method_number_t)close->class_id << 16 | close->method_id;
    amqp_channel_close_ok_t ok = {.dummy = 0};

    link_send_or_fail(l, c->id.number, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    if (c->state == CHANNEL_CLOSING)
        return; /* the two closes have crossed; ours is answered as well */
    const struct pending_call *call = call_queue_first(&c->pending);
    if (call && call->method == method)
        ev.cookie = call->cookie;
    error_set(&ev.error, dispatch_rc(close->reply_code), "%.*s",
            (int)close->reply_text.len, (const char *)close->reply_text.bytes);
    channel_gone(l, c, &ev);
}

static void settle_one(
        struct link *l, struct channel *c, uint64_t number, enum publish_outcome outcome)
{
    struct confirm settled;

    if (!confirms_settle(&c->confirms, number, &settled) || settled.cookie == 0)
        return;
    struct session_event *ev = link_push(l, SESSION_PUBLISHED);
    if (!ev)
        return;
    ev->channel = c->id;
    ev->cookie = settled.cookie;
    ev->outcome =
            outcome == PUBLISH_ACKED && settled.is_returned ? PUBLISH_RETURNED : outcome;
}

enum settle_scope { SETTLE_ONE, SETTLE_UPTO };

static void confirmed(struct link *l, struct channel *c, uint64_t number,
        enum settle_scope scope, enum publish_outcome outcome)
{
    /* Number 0 stands for all so far (§ basic.ack.delivery-tag). */
    if (scope == SETTLE_UPTO && number == 0)
        number = c->confirms.next - 1;
    if (!c->is_confirming || (number > 0 && !confirms_knows(&c->confirms, number)))
        link_fail(l, CONEY_ESYNTAX, 0,
                "protocol violation: confirm of %llu on channel %u, which was not published",
                (unsigned long long)number, c->id.number);
    else if (scope == SETTLE_UPTO)
        l->drain = (struct drain){.channel = c, .upto = number, .outcome = outcome};
    else
        settle_one(l, c, number, outcome);
}

static void consumer_cancelled(
        struct link *l, struct channel *c, const amqp_basic_cancel_t *cancel)
{
    if (!cancel->nowait) {
        amqp_basic_cancel_ok_t ok = {.consumer_tag = cancel->consumer_tag};
        link_send_or_fail(l, c->id.number, AMQP_BASIC_CANCEL_OK_METHOD, &ok);
    }
    const char *name = link_keep_name(l, cancel->consumer_tag);
    struct session_event *ev = name ? link_push(l, SESSION_CANCELLED) : NULL;
    if (!ev)
        return;
    ev->channel = c->id;
    ev->name = name;
}

/* --- answers --------------------------------------------------------------------------
 */

/* What the answer to @method brings, beside having come. */
static bool read_answer(struct link *l, amqp_method_number_t method, const void *decoded,
        struct session_event *ev)
{
    const amqp_queue_declare_ok_t *declare_ok = decoded;
    const amqp_basic_consume_ok_t *consume_ok = decoded;
    const amqp_basic_cancel_ok_t *cancel_ok = decoded;
    const amqp_queue_delete_ok_t *delete_ok = decoded;
    const amqp_queue_purge_ok_t *purge_ok = decoded;

    switch (method) {
    case AMQP_QUEUE_DECLARE_OK_METHOD:
        ev->message_count = declare_ok->message_count;
        ev->consumer_count = declare_ok->consumer_count;
        ev->name = link_keep_name(l, declare_ok->queue);
        return ev->name != NULL;
    case AMQP_BASIC_CONSUME_OK_METHOD:
        ev->name = link_keep_name(l, consume_ok->consumer_tag);
        return ev->name != NULL;
    case AMQP_BASIC_CANCEL_OK_METHOD:
        ev->name = link_keep_name(l, cancel_ok->consumer_tag);
        return ev->name != NULL;
    case AMQP_QUEUE_DELETE_OK_METHOD:
        ev->message_count = delete_ok->message_count;
        return true;
    case AMQP_QUEUE_PURGE_OK_METHOD:
        ev->message_count = purge_ok->message_count;
        return true;
    default:
        return true;
    }
}

static void answered(struct link *l, struct channel *c, amqp_method_number_t method,
        struct bytes payload)
{
    const struct pending_call *call = call_queue_first(&c->pending);
    /* In AMQP 0-9-1 an answer has its question's number plus one, in all that we ask. */
    if (!call || call->method + 1 != method) {
        unexpected(l, c->id.number, method);
        return;
    }
    struct session_event ev = {
            .type = SESSION_REPLY, .channel = c->id, .cookie = call->cookie};
    call_queue_pop(&c->pending);
    if (ev.cookie == 0)
        return;
    void *decoded = link_decode(l, payload);
    if (!decoded || !read_answer(l, method, decoded, &ev))
        return;
    struct session_event *out = link_push(l, SESSION_REPLY);
    if (out)
        *out = ev;
}

/* --- methods of a channel -------------------------------------------------------------
 */

static void confirm_method(struct link *l, struct channel *c, amqp_method_number_t method,
        struct bytes payload)
{
    void *decoded = link_decode(l, payload);
    if (!decoded)
        return;
    if (method == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = decoded;
        confirmed(l, c, ack->delivery_tag, ack->multiple ? SETTLE_UPTO : SETTLE_ONE,
                PUBLISH_ACKED);
    } else {
        const amqp_basic_nack_t *nack = decoded;
        confirmed(l, c, nack->delivery_tag, nack->multiple ? SETTLE_UPTO : SETTLE_ONE,
                PUBLISH_NACKED);
    }
}

static void channel_method(struct link *l, struct channel *c, amqp_method_number_t method,
        struct bytes payload)
{
    void *decoded;

    switch (method) {
    case AMQP_BASIC_DELIVER_METHOD:
        content_begin(l, c, CONTENT_DELIVERY, payload);
        return;
    case AMQP_BASIC_RETURN_METHOD:
        content_begin(l, c, CONTENT_RETURN, payload);
        return;
    case AMQP_BASIC_ACK_METHOD:
    case AMQP_BASIC_NACK_METHOD:
        confirm_method(l, c, method, payload);
        return;
    case AMQP_BASIC_CANCEL_METHOD:
        decoded = link_decode(l, payload);
        if (decoded)
            consumer_cancelled(l, c, decoded);
        return;
    case AMQP_CHANNEL_CLOSE_METHOD:
        decoded = link_decode(l, payload);
        if (decoded)
            channel_closed(l, c, decoded);
        return;
    default:
        answered(l, c, method, payload);
        return;
    }
}

/* Between our close and its answer only confirms and a crossing close still count. */
static void closing_method(struct link *l, struct channel *c, amqp_method_number_t method,
        struct bytes payload)
{
    switch (method) {
    case AMQP_BASIC_ACK_METHOD:
    case AMQP_BASIC_NACK_METHOD:
    case AMQP_CHANNEL_CLOSE_METHOD:
        channel_method(l, c, method, payload);
        return;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        channel_gone(l, c, NULL);
        return;
    default:
        return;
    }
}

void dispatch_method(struct link *l, const struct frame *f)
{
    amqp_method_number_t method = frame_get_u32(f->payload.data);

    if (f->channel == 0) {
        connection_method(l, method, f->payload);
        return;
    }
    struct channel *c = channel_set_at(&l->channels, f->channel);
    if (!c)
        unexpected(l, f->channel, method);
    else if (c->state == CHANNEL_CLOSING)
        closing_method(l, c, method, f->payload);
    else if (c->content.stage != CONTENT_NONE)
        unexpected(l, f->channel, method); /* in the middle of content */
    else
        channel_method(l, c, method, f->payload);
}
