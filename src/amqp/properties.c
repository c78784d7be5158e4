/* SPDX-License-Identifier: MIT */
/* properties.c - the part of the codec that knows the fourteen properties of a message.
 */
#include "amqp/codec.h"

#include <stddef.h>
#include <string.h>

enum { FLAGS_SIZE = 2 };

/* Where a text lives with us and with rabbitmq-c. */
struct text_property {
    size_t ours;
    size_t theirs;
    amqp_flags_t flag;
};

#define TEXT_PROPERTY(name, bit)                                                        \
    {                                                                                   \
        offsetof(struct properties, name), offsetof(amqp_basic_properties_t, name), bit \
    }

static const struct text_property texts[] = {
        TEXT_PROPERTY(content_type, AMQP_BASIC_CONTENT_TYPE_FLAG),
        TEXT_PROPERTY(content_encoding, AMQP_BASIC_CONTENT_ENCODING_FLAG),
        TEXT_PROPERTY(correlation_id, AMQP_BASIC_CORRELATION_ID_FLAG),
        TEXT_PROPERTY(reply_to, AMQP_BASIC_REPLY_TO_FLAG),
        TEXT_PROPERTY(expiration, AMQP_BASIC_EXPIRATION_FLAG),
        TEXT_PROPERTY(message_id, AMQP_BASIC_MESSAGE_ID_FLAG),
        TEXT_PROPERTY(type, AMQP_BASIC_TYPE_FLAG),
        TEXT_PROPERTY(user_id, AMQP_BASIC_USER_ID_FLAG),
        TEXT_PROPERTY(app_id, AMQP_BASIC_APP_ID_FLAG),
};
enum { TEXT_COUNT = sizeof(texts) / sizeof(texts[0]) };

static enum coney_rc view_texts(
        const struct properties *p, amqp_basic_properties_t *view, size_t *size)
{
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const char *text;
        memcpy(&text, (const char *)p + texts[i].ours, sizeof(text));
        if (!text)
            continue;
        if (codec_check_short(text) != CONEY_OK)
            return CONEY_EINVAL;
        amqp_bytes_t b = codec_text(text);
        memcpy((char *)view + texts[i].theirs, &b, sizeof(b));
        view->_flags |= texts[i].flag;
        *size += 1 + b.len;
    }
    return CONEY_OK;
}

enum coney_rc codec_view_properties(const struct envelope *e, amqp_pool_t *pool,
        amqp_basic_properties_t *view, size_t *size)
{
    const struct properties *p = &e->properties;

    *view = (amqp_basic_properties_t){._flags = 0};
    *size = FLAGS_SIZE;
    enum coney_rc rc = view_texts(p, view, size);
    if (rc != CONEY_OK)
        return rc;
    if (p->delivery_mode >= 0) {
        view->delivery_mode = (uint8_t)p->delivery_mode;
        view->_flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
        *size += 1;
    }
    if (p->priority >= 0) {
        view->priority = (uint8_t)p->priority;
        view->_flags |= AMQP_BASIC_PRIORITY_FLAG;
        *size += 1;
    }
    if (p->timestamp_s >= 0) {
        view->timestamp = (uint64_t)p->timestamp_s;
        view->_flags |= AMQP_BASIC_TIMESTAMP_FLAG;
        *size += 8;
    }
    if (e->headers.count == 0)
        return CONEY_OK;
    view->_flags |= AMQP_BASIC_HEADERS_FLAG;
    return codec_view_table(&e->headers, pool, &view->headers, size);
}

static enum coney_rc copy_texts(struct envelope *e, const amqp_basic_properties_t *view)
{
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        if (!(view->_flags & texts[i].flag))
            continue;
        amqp_bytes_t b;
        memcpy(&b, (const char *)view + texts[i].theirs, sizeof(b));
        const char *text = codec_copy_text(e->arena, b);
        if (!text)
            return CONEY_ENOMEM;
        memcpy((char *)&e->properties + texts[i].ours, &text, sizeof(text));
    }
    return CONEY_OK;
}

static enum coney_rc copy_properties(
        struct envelope *e, const amqp_basic_properties_t *view)
{
    enum coney_rc rc = copy_texts(e, view);
    if (rc != CONEY_OK)
        return rc;
    struct properties *p = &e->properties;
    if (view->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG)
        p->delivery_mode = view->delivery_mode;
    if (view->_flags & AMQP_BASIC_PRIORITY_FLAG)
        p->priority = view->priority;
    if ((view->_flags & AMQP_BASIC_TIMESTAMP_FLAG) && view->timestamp <= INT64_MAX)
        p->timestamp_s = (int64_t)view->timestamp;
    if (view->_flags & AMQP_BASIC_HEADERS_FLAG)
        return codec_copy_table(&e->headers, e->arena, &view->headers);
    return CONEY_OK;
}

/* The list without its headers, so that bad headers do not cost the good properties. */
static enum coney_rc cut_headers(
        struct bytes *data, const struct scan_headers *headers, amqp_pool_t *pool)
{
    uint8_t *copy = amqp_pool_alloc(pool, data->len);
    if (!copy)
        return CONEY_ENOMEM;
    const uint8_t *from = data->data;
    size_t tail = data->len - headers->offset - headers->len;
    memcpy(copy, from, headers->offset);
    memcpy(copy + headers->offset, from + headers->offset + headers->len, tail);
    copy[0] &= (uint8_t) ~(AMQP_BASIC_HEADERS_FLAG >> 8);
    *data = (struct bytes){.data = copy, .len = headers->offset + tail};
    return CONEY_OK;
}

enum coney_rc codec_read_properties(struct bytes data, const struct scan_limits *limits,
        amqp_pool_t *pool, struct envelope *e, enum codec_headers *taken)
{
    struct scan_headers headers;

    *taken = HEADERS_TAKEN;
    e->properties = properties_none();
    if (scan_properties(data, limits, &headers) != CONEY_OK) {
        *taken = HEADERS_REFUSED;
        if (headers.offset == 0)
            return CONEY_OK;
        enum coney_rc rc = cut_headers(&data, &headers, pool);
        if (rc != CONEY_OK)
            return rc;
    }

    union {
        const void *from;
        void *to;
    } bytes = {.from = data.data};
    amqp_bytes_t encoded = {.len = data.len, .bytes = bytes.to};
    void *decoded;
    int status = amqp_decode_properties(AMQP_BASIC_CLASS, pool, encoded, &decoded);
    if (status == AMQP_STATUS_NO_MEMORY)
        return CONEY_ENOMEM;
    if (status < 0) {
        *taken = HEADERS_REFUSED;
        return CONEY_OK;
    }
    return copy_properties(e, decoded);
}
