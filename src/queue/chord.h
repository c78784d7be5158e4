/* SPDX-License-Identifier: MIT */
/*
 * chord.h - a chord in redis, as Celery keeps it: what a part asks of the store, and what
 * the answer means.
 *
 *     celery-taskset-meta-<group>.j    what the parts came to, by their index
 *     celery-taskset-meta-<group>.s    how many there will be
 *     celery-taskset-meta-<group>.t    how many more were added later
 *     celery-taskset-meta-<group>      the shape of the results, if it is not flat
 *     celery-taskset-meta-<group>.c    whose part was the last (ours alone)
 *
 * Source: celery/backends/redis.py, on_chord_part_return(). There the part that makes the
 * count full sends the body. Our requests may be carried out twice, and the second time
 * the count is full whoever has filled it; so it is written down whose part did, in the
 * same script that adds the part. That part sends the body each time it is asked, all
 * others never do.
 *
 * Pure: bytes and JSON.
 */
#ifndef CONEY_QUEUE_CHORD_H
#define CONEY_QUEUE_CHORD_H

#include "config/config.h"
#include "redis/codec.h"

#include <jansson.h>

/* Where the keys are. Borrowed. */
struct chord_keys {
    const char *prefix; /* NULL: none */
    const char *group;
    int64_t expires_s; /* 0: never */
};

/* Those of @group, borrowed, in the store of @c. */
struct chord_keys chord_keys_of(const struct results_config *c, const char *group);

/* Everything is borrowed. */
struct chord_part {
    const char *task_id;
    int64_t index;       /* in the group; TASK_NONE: after all others */
    struct bytes result; /* what it came to: JSON text */
    const char *status;
    int64_t size; /* of the chord, if the store does not know; TASK_NONE: unknown */
    bool again;   /* the task may have run before, and come to something else */
};

/*
 * Each appends to @out. CONEY_ENOMEM, CONEY_ELIMIT.
 *
 * The part is there, once for its task however often it is told.
 */
enum coney_rc chord_tell(const struct chord_keys *k, const struct chord_part *p,
        struct redis_commands *out) CONEY_MUST_CHECK;
enum coney_rc chord_set_size(const struct chord_keys *k, size_t size,
        struct redis_commands *out) CONEY_MUST_CHECK;
/* @tuple: of the group's results, groups within it kept. */
enum coney_rc chord_save_shape(const struct chord_keys *k, const json_t *tuple,
        struct redis_commands *out) CONEY_MUST_CHECK;
enum coney_rc chord_forget(
        const struct chord_keys *k, struct redis_commands *out) CONEY_MUST_CHECK;

/* What is to be done after a part was told. */
struct chord_end {
    bool is_ours;    /* it was the last; else nothing is to be done */
    json_t *results; /* owned: of all parts, for the body; NULL: the chord has failed */
    size_t parts;
};

/* @reply: what chord_tell()'s command was answered. When the chord has failed, @err says
 * why (CONEY_EREFUSED) as Celery's ChordError would. CONEY_ENOMEM. */
enum coney_rc chord_read(const struct redis_reply *reply, const char *task_id,
        struct chord_end *end, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_QUEUE_CHORD_H */
