/* SPDX-License-Identifier: MIT */
/*
 * frame.h - the frames of AMQP 0-9-1 (§2.3.5): type, channel, size, payload, end octet.
 *
 * Knows nothing of what the payload means. A frame is checked against the limit from its
 * first seven bytes, before the rest of it is waited for.
 */
#ifndef CONEY_AMQP_FRAME_H
#define CONEY_AMQP_FRAME_H

#include "base/buffer.h"

enum frame_type {
    FRAME_METHOD = 1,
    FRAME_HEADER = 2,
    FRAME_BODY = 3,
    FRAME_HEARTBEAT = 8
};

enum {
    FRAME_OVERHEAD = 8,   /* bytes around a payload; frame_max counts them */
    FRAME_MAX_MIN = 4096, /* the least a peer may ask for (§1.2.1.5, frame-min-size) */
};

struct frame {
    enum frame_type type;
    uint16_t channel;
    struct bytes payload; /* borrowed from the parsed bytes */
};

/*
 * Look at the frame that @data begins with. *@used is its whole length, or 0 while bytes
 * are missing. CONEY_ESYNTAX: unknown type, no end octet, wrong channel or size for its
 * type; CONEY_ELIMIT: larger than @frame_max.
 */
enum coney_rc frame_parse(struct bytes data, size_t frame_max, struct frame *f,
        size_t *used, struct coney_error *err) CONEY_MUST_CHECK;

/* Room for a frame of up to @payload_max bytes at the end of @out; the payload goes to
 * *@payload, and frame_end() completes it. CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc frame_begin(
        struct buffer *out, size_t payload_max, uint8_t **payload) CONEY_MUST_CHECK;
void frame_end(struct buffer *out, enum frame_type type, uint16_t channel, size_t len);
/* A whole frame at once. */
enum coney_rc frame_append(struct buffer *out, enum frame_type type, uint16_t channel,
        struct bytes payload) CONEY_MUST_CHECK;

/* Numbers are big-endian on the wire. */
uint16_t frame_get_u16(const uint8_t *p);
uint32_t frame_get_u32(const uint8_t *p);
uint64_t frame_get_u64(const uint8_t *p);
void frame_put_u16(uint8_t *p, uint16_t value);
void frame_put_u32(uint8_t *p, uint32_t value);
void frame_put_u64(uint8_t *p, uint64_t value);

#endif /* CONEY_AMQP_FRAME_H */
