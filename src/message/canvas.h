/* SPDX-License-Identifier: MIT */
/*
 * canvas.h - what signatures that hold one another come to: chains, groups and chords, as
 * Celery 5 applies them.
 *
 * Applying a signature gives a plan: the messages to be sent, in order, and what must be
 * written into the result store in between. Nothing is sent here, and time and broker
 * are unknown; identifiers come from a generator that a test can seed. Signatures come
 * from anybody, so size and depth are bounded.
 *
 *     group followed by a task    a chord with that task as body
 *     group within a group        its members belong to the outer one
 *     chain within a chain        its steps belong to the outer one
 *     group of one                its member
 *     chunks                      a group of starmaps
 *     chord                       its header's tasks, each with the body in its message
 */
#ifndef CONEY_MESSAGE_CANVAS_H
#define CONEY_MESSAGE_CANVAS_H

#include "base/rng.h"
#include "message/signature.h"
#include <coney/error.h>

#include <jansson.h>
#include <stddef.h>

enum {
    CANVAS_TASKS_MAX = 10000, /* in all signatures of one plan */
    CANVAS_DEPTH_MAX = 16     /* chains, groups and chords inside one another */
};

enum canvas_kind {
    CANVAS_SEND,       /* publish the message of a signature */
    CANVAS_SET_SIZE,   /* the chord of a group completes after so many parts */
    CANVAS_SAVE_GROUP, /* keep the shape of a group's results */
};

struct canvas_action {
    enum canvas_kind kind;
    json_t *value; /* owned. SEND: a signature for signature_encode(); SET_SIZE: the
                      chord's body; SAVE_GROUP: the group's result tuple */
    char *group;   /* owned. SET_SIZE, SAVE_GROUP: its id */
    size_t size;   /* SET_SIZE */
};

struct canvas_plan {
    struct canvas_action *actions; /* owned */
    size_t count;
    size_t capacity;
    size_t tasks;     /* in the signatures so far */
    json_t *children; /* owned; the result tuples of what is sent, for a parent's result
                       */
};

void canvas_plan_init(struct canvas_plan *p);
void canvas_plan_fini(struct canvas_plan *p);
/* Whether @p needs a result store that knows chords. */
bool canvas_plan_has_chord(const struct canvas_plan *p);

/* On whose behalf. Everything is borrowed; NULL: none. */
struct canvas_context {
    const char *parent_id;
    const char *root_id;
    const char *reply_to; /* for whatever names none */
    struct rng *rng;
};

/* Everything is borrowed; NULL: none. */
struct canvas_call {
    const json_t *signature;
    json_t *args;    /* an array */
    json_t *options; /* an object; these beat the signature's own, but for group_id */
};

/*
 * Append what @call comes to. Its result tuple goes into *@result (NULL: not wanted), the
 * caller's: for a chain the last task's, for a chord the body's. On failure @p is as
 * before. CONEY_EINVAL: text says what is wrong with it; CONEY_ELIMIT; CONEY_ENOMEM.
 */
enum coney_rc canvas_apply(struct canvas_plan *p, const struct canvas_context *c,
        const struct canvas_call *call, json_t **result,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Several signatures with the same arguments: one by itself; of more the groups one by
 * one, then all others as one new group. As canvas_apply(). */
enum coney_rc canvas_apply_list(struct canvas_plan *p, const struct canvas_context *c,
        const json_t *signatures, json_t *args, struct coney_error *err) CONEY_MUST_CHECK;

/* The last of @chain (an array in reverse order), which passes on what is left of it. As
 * canvas_apply(); an empty chain is fine. */
enum coney_rc canvas_apply_next(struct canvas_plan *p, const struct canvas_context *c,
        const json_t *chain, json_t *args, struct coney_error *err) CONEY_MUST_CHECK;

/* Add @what to the @option (link, link_error) of @signature: of a group's members, of a
 * chord's body. Twice is once. CONEY_ENOMEM. */
enum coney_rc canvas_attach(
        json_t *signature, const char *option, json_t *what) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_CANVAS_H */
