/* SPDX-License-Identifier: MIT */
/*
 * ring.c - a ring of records with one writer and one reader.
 *
 * Memory order. Every access to a position is sequentially consistent. That contains
 * what the bytes need: the writer's copy is sequenced before its store of `written`,
 * which synchronizes with the reader's load, so the reader sees whole records; the
 * reader's copy is sequenced before its store of `taken`, which synchronizes with the
 * writer's load, so no byte is written again before it has been copied. It also contains
 * what sleeping needs, see bell.h. Release and acquire would do for the first half, but
 * save nothing on x86 (the store before reading the bell must be a full barrier in any
 * case) and a store-release/load-acquire pair less on ARM.
 */
#include "board/ring.h"

#include <assert.h>
#include <string.h>

enum { ALIGNMENT = 8 };

void ring_init(struct ring *r, struct ring_positions *shared, uint8_t *bytes, size_t size)
{
    assert(size >= sizeof(struct ring_frame) && (size & (size - 1)) == 0);
    *r = (struct ring){.shared = shared, .bytes = bytes, .size = size};
}

static uint64_t space_for(uint64_t len)
{
    uint64_t size = sizeof(struct ring_frame) + len;
    return (size + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

/* The part of @len bytes at @position that lies before the end of the ring. */
static size_t before_end(const struct ring *r, uint64_t position, size_t len)
{
    uint64_t left = r->size - (position & (r->size - 1));
    return left < len ? (size_t)left : len;
}

static void copy_in(struct ring *r, uint64_t position, const void *from, size_t len)
{
    size_t first = before_end(r, position, len);
    memcpy(r->bytes + (position & (r->size - 1)), from, first);
    memcpy(r->bytes, (const uint8_t *)from + first, len - first);
}

static void copy_out(const struct ring *r, uint64_t position, void *to, size_t len)
{
    size_t first = before_end(r, position, len);
    memcpy(to, r->bytes + (position & (r->size - 1)), first);
    memcpy((uint8_t *)to + first, r->bytes, len - first);
}

enum coney_rc ring_check_room(struct ring *r, size_t len)
{
    if (len > r->size)
        return CONEY_ELIMIT;
    uint64_t taken = atomic_load(&r->shared->taken);
    if (taken < r->other || taken > r->own)
        return CONEY_EINVAL;
    r->other = taken;
    return space_for(len) <= r->size - (r->own - taken) ? CONEY_OK : CONEY_ELIMIT;
}

enum coney_rc ring_put(struct ring *r, const struct ring_frame *frame, const void *record)
{
    enum coney_rc rc = ring_check_room(r, frame->len);
    if (rc != CONEY_OK)
        return rc;

    copy_in(r, r->own, frame, sizeof(*frame));
    if (frame->len > 0)
        copy_in(r, r->own + sizeof(*frame), record, frame->len);
    r->own += space_for(frame->len);
    atomic_store(&r->shared->written, r->own);
    return CONEY_OK;
}

bool ring_has_record(struct ring *r)
{
    return atomic_load(&r->shared->written) != r->own;
}

enum coney_rc ring_take(struct ring *r, struct ring_frame *frame, struct buffer *out)
{
    uint64_t written = atomic_load(&r->shared->written);
    if (written < r->other || written < r->own || written - r->own > r->size)
        return CONEY_EINVAL;
    r->other = written;
    if (written == r->own)
        return CONEY_ENOTFOUND;

    uint64_t available = written - r->own;
    if (available < sizeof(*frame))
        return CONEY_EINVAL;
    copy_out(r, r->own, frame, sizeof(*frame));
    if (space_for(frame->len) > available)
        return CONEY_EINVAL;

    uint8_t *space;
    buffer_clear(out);
    if (frame->len > 0) {
        enum coney_rc rc = buffer_reserve(out, frame->len, &space);
        if (rc != CONEY_OK)
            return rc;
        copy_out(r, r->own + sizeof(*frame), space, frame->len);
        buffer_commit(out, frame->len);
    }
    r->own += space_for(frame->len);
    atomic_store(&r->shared->taken, r->own);
    return CONEY_OK;
}
