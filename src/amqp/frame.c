/* SPDX-License-Identifier: MIT */
/* frame.c - reading and writing frames in place, without a copy. */
#include "amqp/frame.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

enum { PREFIX_SIZE = 7, END_OCTET = 0xce };

uint16_t frame_get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t frame_get_u32(const uint8_t *p)
{
    return (uint32_t)frame_get_u16(p) << 16 | frame_get_u16(p + 2);
}

uint64_t frame_get_u64(const uint8_t *p)
{
    return (uint64_t)frame_get_u32(p) << 32 | frame_get_u32(p + 4);
}

void frame_put_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

void frame_put_u32(uint8_t *p, uint32_t value)
{
    frame_put_u16(p, (uint16_t)(value >> 16));
    frame_put_u16(p + 2, (uint16_t)value);
}

void frame_put_u64(uint8_t *p, uint64_t value)
{
    frame_put_u32(p, (uint32_t)(value >> 32));
    frame_put_u32(p + 4, (uint32_t)value);
}

static enum coney_rc check_prefix(unsigned type, unsigned channel, size_t size,
        size_t frame_max, struct coney_error *err)
{
    switch (type) {
    case FRAME_METHOD:
        if (size < 4)
            return error_set(err, CONEY_ESYNTAX, "method frame of %zu bytes", size);
        break;
    case FRAME_HEADER:
        if (size < 14)
            return error_set(err, CONEY_ESYNTAX, "header frame of %zu bytes", size);
        break;
    case FRAME_BODY:
        break;
    case FRAME_HEARTBEAT:
        if (size != 0 || channel != 0)
            return error_set(err, CONEY_ESYNTAX, "heartbeat of %zu bytes on channel %u",
                    size, channel);
        break;
    default:
        return error_set(err, CONEY_ESYNTAX, "frame of unknown type %u", type);
    }
    if (type != FRAME_METHOD && type != FRAME_HEARTBEAT && channel == 0)
        return error_set(err, CONEY_ESYNTAX, "content on channel 0");
    if (size > frame_max - FRAME_OVERHEAD)
        return error_set(err, CONEY_ELIMIT, "frame of %zu bytes, above frame_max %zu",
                size + FRAME_OVERHEAD, frame_max);
    return CONEY_OK;
}

enum coney_rc frame_parse(struct bytes data, size_t frame_max, struct frame *f,
        size_t *used, struct coney_error *err)
{
    const uint8_t *p = data.data;

    *used = 0;
    if (data.len < PREFIX_SIZE)
        return CONEY_OK;
    unsigned type = p[0];
    uint16_t channel = frame_get_u16(p + 1);
    size_t size = frame_get_u32(p + 3);
    enum coney_rc rc = check_prefix(type, channel, size, frame_max, err);
    if (rc != CONEY_OK)
        return rc;
    if (data.len < size + FRAME_OVERHEAD)
        return CONEY_OK;
    if (p[PREFIX_SIZE + size] != END_OCTET)
        return error_set(err, CONEY_ESYNTAX, "frame ends with 0x%02x instead of 0xce",
                p[PREFIX_SIZE + size]);

    f->type = (enum frame_type)type;
    f->channel = channel;
    f->payload = (struct bytes){.data = p + PREFIX_SIZE, .len = size};
    *used = size + FRAME_OVERHEAD;
    return CONEY_OK;
}

enum coney_rc frame_begin(struct buffer *out, size_t payload_max, uint8_t **payload)
{
    uint8_t *space;
    enum coney_rc rc = buffer_reserve(out, payload_max + FRAME_OVERHEAD, &space);
    if (rc == CONEY_OK)
        *payload = space + PREFIX_SIZE;
    return rc;
}

void frame_end(struct buffer *out, enum frame_type type, uint16_t channel, size_t len)
{
    assert(len <= UINT32_MAX);
    uint8_t *p = out->data + out->end;
    p[0] = (uint8_t)type;
    frame_put_u16(p + 1, channel);
    frame_put_u32(p + 3, (uint32_t)len);
    p[PREFIX_SIZE + len] = END_OCTET;
    buffer_commit(out, len + FRAME_OVERHEAD);
}

enum coney_rc frame_append(
        struct buffer *out, enum frame_type type, uint16_t channel, struct bytes payload)
{
    uint8_t *p;
    enum coney_rc rc = frame_begin(out, payload.len, &p);
    if (rc != CONEY_OK)
        return rc;
    if (payload.len > 0)
        memcpy(p, payload.data, payload.len);
    frame_end(out, type, channel, payload.len);
    return CONEY_OK;
}
