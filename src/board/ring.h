/* SPDX-License-Identifier: MIT */
/*
 * ring.h - a ring of records in memory shared by one writer and one reader.
 *
 * Either side keeps its own position in private memory and only publishes it; what it
 * reads of the other is checked against what is possible, so that a hostile other side
 * can give it garbage, but can't make it read or write outside the ring. Knows nothing of
 * what the records mean, of sleeping, or of where the memory comes from.
 */
#ifndef CONEY_BOARD_RING_H
#define CONEY_BOARD_RING_H

#include "base/buffer.h"
#include <coney/error.h>

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The shared part. Positions count bytes since the beginning and never wrap. */
struct ring_positions {
    alignas(64) _Atomic uint64_t written; /* stored by the writer only */
    alignas(64) _Atomic uint64_t taken;   /* stored by the reader only */
};

/* One side of a ring. */
struct ring {
    struct ring_positions *shared; /* borrowed */
    uint8_t *bytes;                /* borrowed; @size bytes */
    uint64_t size;                 /* a power of two */
    uint64_t own;                  /* this side's position, the truth */
    uint64_t other;                /* the other side's, when last looked at */
};

/* In front of each record. */
struct ring_frame {
    uint32_t len; /* of the record that follows in the ring */
    uint32_t kind;
    uint64_t tag;
    uint64_t extra;
};

/* One side of a ring that nobody has used yet; the shared positions are zero. */
void ring_init(
        struct ring *r, struct ring_positions *shared, uint8_t *bytes, size_t size);

/* Whether a record of @len bytes fits now, for the writer. CONEY_ELIMIT: not now;
 * CONEY_EINVAL: the reader's position is impossible. */
enum coney_rc ring_check_room(struct ring *r, size_t len) CONEY_MUST_CHECK;
/* Write one record and publish it; returns as ring_check_room(). frame->len says how many
 * bytes @record has. */
enum coney_rc ring_put(struct ring *r, const struct ring_frame *frame,
        const void *record) CONEY_MUST_CHECK;

/* Whether there is something to take (or the writer's position is impossible, which
 * ring_take() will say). */
bool ring_has_record(struct ring *r);
/*
 * Copy the next record into @out, which is cleared before, and its frame into @frame, and
 * give its room back. CONEY_ENOTFOUND: none there; CONEY_EINVAL: the writer's position or
 * the frame is impossible; CONEY_ENOMEM, CONEY_ELIMIT (@out's maximum): nothing taken.
 */
enum coney_rc ring_take(
        struct ring *r, struct ring_frame *frame, struct buffer *out) CONEY_MUST_CHECK;

#endif /* CONEY_BOARD_RING_H */
