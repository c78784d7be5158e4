/* SPDX-License-Identifier: MIT */
/* send.c - everything going out: methods, calls that expect an answer, and publishes. */
#include "amqp/link_impl.h"

#include <assert.h>
#include <string.h>

enum {
    METHOD_NUMBER_SIZE = 4,
    /* No method has more than five short strings; numbers and bits need little. */
    METHOD_FIXED_MAX = 5 * (SHORT_STRING_MAX + 1) + 64,
    CONTENT_HEADER_SIZE = 12
};

enum coney_rc link_send(struct link *l, uint16_t channel, amqp_method_number_t method,
        void *decoded, size_t size)
{
    uint8_t *p;
    size_t room = METHOD_FIXED_MAX + size;

    enum coney_rc rc = frame_begin(&l->out, METHOD_NUMBER_SIZE + room, &p);
    if (rc != CONEY_OK)
        return rc;
    frame_put_u32(p, method);
    int len = amqp_encode_method(method, decoded,
            (amqp_bytes_t){.len = room, .bytes = p + METHOD_NUMBER_SIZE});
    if (len < 0 || (size_t)len + METHOD_NUMBER_SIZE + FRAME_OVERHEAD > l->frame_max)
        return CONEY_EINVAL;
    frame_end(&l->out, FRAME_METHOD, channel, (size_t)len + METHOD_NUMBER_SIZE);
    return CONEY_OK;
}

void link_send_or_fail(
        struct link *l, uint16_t channel, amqp_method_number_t method, void *decoded)
{
    enum coney_rc rc = link_send(l, channel, method, decoded, 0);
    if (rc != CONEY_OK)
        link_fail(l, rc, 0, "cannot send method 0x%08x (%s)", (unsigned)method,
                coney_rc_name(rc));
}

/* --- calls ----------------------------------------------------------------------------
 */

static struct channel *find(const struct link *l, struct amqp_channel ch)
{
    return l->phase == LINK_UP ? channel_set_find(&l->channels, ch) : NULL;
}

/* What callers may fill; the rest of the buffer is for the link itself. */
static enum coney_rc check_room(const struct link *l, size_t len)
{
    size_t used = buffer_len(&l->out);
    return used < l->options.output_max && len <= l->options.output_max - used
                   ? CONEY_OK
                   : CONEY_ELIMIT;
}

static enum coney_rc call(struct link *l, struct channel *c, const struct link_method *m)
{
    enum coney_rc rc = check_room(l, m->size);
    if (rc == CONEY_OK)
        rc = link_send(l, c->id.number, m->number, m->decoded, m->size);
    if (rc != CONEY_OK || m->answer == LINK_UNANSWERED)
        return rc;
    rc = call_queue_push(&c->pending, m->number, m->cookie);
    if (rc != CONEY_OK)
        link_fail_nomem(l); /* its answer would be taken for another's */
    return rc;
}

enum coney_rc link_call(
        struct link *l, struct amqp_channel ch, const struct link_method *m)
{
    struct channel *c = find(l, ch);
    enum coney_rc rc = c ? call(l, c, m) : CONEY_ECLOSED;
    recycle_amqp_pool(&l->out_pool);
    return rc;
}

amqp_pool_t *link_call_pool(struct link *l)
{
    return &l->out_pool;
}

enum coney_rc link_channel_open(struct link *l, struct amqp_channel *ch)
{
    amqp_channel_open_t open = {.out_of_band = codec_text("")};
    struct channel *c;

    *ch = (struct amqp_channel){.number = 0};
    if (l->phase != LINK_UP)
        return CONEY_ECLOSED;
    enum coney_rc rc = channel_set_add(&l->channels, &c);
    if (rc != CONEY_OK)
        return rc;
    rc = call(l, c,
            &(struct link_method){.number = AMQP_CHANNEL_OPEN_METHOD, .decoded = &open});
    if (rc != CONEY_OK) {
        channel_set_remove(&l->channels, c);
        return rc;
    }
    *ch = c->id;
    return CONEY_OK;
}

enum coney_rc link_channel_close(struct link *l, struct amqp_channel ch)
{
    amqp_channel_close_t close = {
            .reply_code = AMQP_REPLY_SUCCESS, .reply_text = codec_text("")};
    struct channel *c = find(l, ch);
    if (!c)
        return CONEY_ECLOSED;
    enum coney_rc rc = link_send(l, ch.number, AMQP_CHANNEL_CLOSE_METHOD, &close, 0);
    if (rc != CONEY_OK)
        return rc;
    c->state = CHANNEL_CLOSING;
    content_drop(&c->content);
    return CONEY_OK;
}

bool link_channel_is_open(const struct link *l, struct amqp_channel ch)
{
    return find(l, ch) != NULL;
}

size_t link_unconfirmed(const struct link *l, struct amqp_channel ch)
{
    const struct channel *c = find(l, ch);
    return c ? c->confirms.outstanding : 0;
}

enum coney_rc link_confirm_select(struct link *l, struct amqp_channel ch)
{
    amqp_confirm_select_t select = {.nowait = 0};
    struct channel *c = find(l, ch);
    if (!c)
        return CONEY_ECLOSED;
    enum coney_rc rc = call(l, c,
            &(struct link_method){
                    .number = AMQP_CONFIRM_SELECT_METHOD, .decoded = &select});
    if (rc == CONEY_OK)
        c->is_confirming = true;
    return rc;
}

/* --- publish --------------------------------------------------------------------------
 */

/* A publish before it is written: checked, and how long it will be. */
struct outgoing {
    amqp_basic_publish_t method;
    amqp_basic_properties_t properties;
    size_t properties_size;
    struct bytes body;
    size_t total; /* at most so many bytes with all frames */
};

static enum coney_rc prepare(struct link *l, const struct publish *p, struct outgoing *o)
{
    size_t piece = l->frame_max - FRAME_OVERHEAD;

    if (codec_check_short(p->exchange) != CONEY_OK ||
            codec_check_short(p->routing_key) != CONEY_OK)
        return CONEY_EINVAL;
    o->method = (amqp_basic_publish_t){.exchange = codec_text(p->exchange),
            .routing_key = codec_text(p->routing_key),
            .mandatory = p->mandatory};
    enum coney_rc rc = codec_view_properties(
            p->envelope, &l->out_pool, &o->properties, &o->properties_size);
    if (rc != CONEY_OK)
        return rc;
    if (o->properties_size + CONTENT_HEADER_SIZE > piece)
        return CONEY_EINVAL;
    o->body = p->envelope->body;
    size_t frames = 2 + o->body.len / piece + 1;
    o->total = METHOD_NUMBER_SIZE + METHOD_FIXED_MAX + CONTENT_HEADER_SIZE +
               o->properties_size + o->body.len + frames * FRAME_OVERHEAD;
    return check_room(l, o->total);
}

static enum coney_rc write_header(struct link *l, uint16_t channel, struct outgoing *o)
{
    uint8_t *p;
    size_t room = CONTENT_HEADER_SIZE + o->properties_size;

    enum coney_rc rc = frame_begin(&l->out, room, &p);
    if (rc != CONEY_OK)
        return rc;
    frame_put_u16(p, AMQP_BASIC_CLASS);
    frame_put_u16(p + 2, 0);
    frame_put_u64(p + 4, o->body.len);
    int len = amqp_encode_properties(AMQP_BASIC_CLASS, &o->properties,
            (amqp_bytes_t){.len = o->properties_size, .bytes = p + CONTENT_HEADER_SIZE});
    assert(len >= 0 && (size_t)len == o->properties_size);
    frame_end(&l->out, FRAME_HEADER, channel, room);
    return CONEY_OK;
}

static enum coney_rc write_body(struct link *l, uint16_t channel, struct bytes body)
{
    size_t piece = l->frame_max - FRAME_OVERHEAD;
    const uint8_t *p = body.data;

    for (size_t done = 0; done < body.len; done += piece) {
        size_t len = body.len - done < piece ? body.len - done : piece;
        struct bytes part = {.data = p + done, .len = len};
        enum coney_rc rc = frame_append(&l->out, FRAME_BODY, channel, part);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

/* All frames or none: room for the whole is made first. */
static enum coney_rc write_publish(struct link *l, uint16_t channel, struct outgoing *o)
{
    uint8_t *space;
    enum coney_rc rc = buffer_reserve(&l->out, o->total, &space);
    if (rc == CONEY_OK)
        rc = link_send(l, channel, AMQP_BASIC_PUBLISH_METHOD, &o->method, 0);
    if (rc != CONEY_OK)
        return rc;
    rc = write_header(l, channel, o);
    assert(rc == CONEY_OK);
    rc = write_body(l, channel, o->body);
    assert(rc == CONEY_OK);
    return rc;
}

static enum coney_rc publish(
        struct link *l, struct channel *c, const struct publish *p, uint64_t cookie)
{
    struct outgoing o;
    enum coney_rc rc = prepare(l, p, &o);
    if (rc == CONEY_OK && c->is_confirming)
        rc = confirms_reserve(&c->confirms);
    if (rc == CONEY_OK)
        rc = write_publish(l, c->id.number, &o);
    if (rc != CONEY_OK || !c->is_confirming)
        return rc;
    uint64_t route = p->mandatory ? content_route(o.method.exchange, o.method.routing_key,
                                            &p->envelope->properties, o.body.len)
                                  : 0;
    confirms_add(&c->confirms, cookie, route);
    return CONEY_OK;
}

enum coney_rc link_publish(
        struct link *l, struct amqp_channel ch, const struct publish *p, uint64_t cookie)
{
    struct channel *c = find(l, ch);
    enum coney_rc rc = c ? publish(l, c, p, cookie) : CONEY_ECLOSED;
    recycle_amqp_pool(&l->out_pool);
    return rc;
}
