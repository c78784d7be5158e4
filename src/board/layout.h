/* SPDX-License-Identifier: MIT */
/*
 * layout.h - what lies where in a board's memory. Private to the board room.
 *
 * Both sides are compiled from this file; the header says from which version of it.
 */
#ifndef CONEY_BOARD_LAYOUT_H
#define CONEY_BOARD_LAYOUT_H

#include "board/bell.h"
#include "board/board.h"
#include "board/ring.h"
#include "board/slot.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_MAGIC UINT64_C(0x64616f4279656e43) /* "CneyBoad" */

enum { LAYOUT_VERSION = 4, LAYOUT_RING_SIZE = 64 * 1024, LAYOUT_BUILD_SIZE = 32 };

/* What must be equal on both sides; written once, before the runner exists. */
struct layout_header {
    uint64_t magic;
    uint32_t version;
    uint32_t layout_size;
    uint32_t slots;
    uint32_t ring_size;
    uint64_t record_max;
    char build[LAYOUT_BUILD_SIZE]; /* CONEY_VERSION */
};

struct layout {
    struct layout_header header;
    alignas(64) _Atomic uint32_t master_sleeps_for;
    alignas(64) _Atomic uint32_t runner_sleeps_for;
    _Atomic uint32_t stop; /* master: end when nothing runs */
    struct ring_positions jobs;
    struct ring_positions news;
    struct slot slots[BOARD_SLOTS];
    alignas(64) uint8_t job_bytes[LAYOUT_RING_SIZE];
    uint8_t news_bytes[LAYOUT_RING_SIZE];
};

/* ring_frame.kind on the way to the runner, and back. */
enum layout_job_kind { LAYOUT_JOB = 1 };
enum layout_news_kind { LAYOUT_READY = 1, LAYOUT_LOG = 2, LAYOUT_OUTCOME = 3 };

/*
 * ring_frame.extra: the slot, and whether the record is in the ring or passed. A passed
 * record leaves its length in the ring, 8 bytes.
 */
enum { LAYOUT_SLOT_MASK = 0xffff, LAYOUT_PASSED = 0x10000 };

#endif /* CONEY_BOARD_LAYOUT_H */
