/* SPDX-License-Identifier: MIT */
/*
 * canvas_freeze.h - giving every task of a canvas its identifiers before anything is
 * sent, so that each message can name those after it. Private to the canvas.
 *
 * Works on what canvas_shape() has made, in place. An identifier that a signature has
 * already stays. Results are tuples as Celery writes them: [[id, parent], null], and for
 * a group [[id, parent], [tuple, ...]].
 */
#ifndef CONEY_MESSAGE_CANVAS_FREEZE_H
#define CONEY_MESSAGE_CANVAS_FREEZE_H

#include "base/rng.h"
#include <coney/error.h>

#include <jansson.h>
#include <stdint.h>

/* What all freezing of one canvas shares. Short of memory, rc says so from then on, and
 * what is returned is of no use. */
struct freezer {
    struct rng *rng;
    const char *reply_to; /* NULL: none */
    enum coney_rc rc;
};

/* What the place of a signature in the canvas asks of it. Borrowed; NULL, -1: nothing. */
struct place {
    const char *id;
    const char *group;
    const char *root_id;
    json_t *chord;
    int64_t index;
};

struct place place_none(void);

/* The result tuple of @s, the caller's; NULL when memory is short. */
json_t *canvas_freeze(struct freezer *f, json_t *s, const struct place *place);

/* Both are the caller's, in reverse order, as messages carry steps. */
struct frozen_steps {
    json_t *steps;
    json_t *results;
};

/* Freeze the steps of a chain, groups that something follows made into chords. Each of
 * @errbacks (an array; NULL: none) is linked to every step. */
struct frozen_steps canvas_freeze_steps(
        struct freezer *f, json_t *chain, const struct place *place, json_t *errbacks);

/* Replace groups among the members of @group by their members. */
void canvas_flatten(struct freezer *f, json_t *group);
/* Freeze all members of @group at @place, which gives no id or index; an array of their
 * results, the caller's. */
json_t *canvas_freeze_members(
        struct freezer *f, json_t *group, const struct place *place);

/* The option of @s, made if it is not there: a new UUID. Borrowed. */
const char *canvas_id(struct freezer *f, json_t *s);
/* A tuple for @id, taken over: @members (NULL: a single task). */
json_t *canvas_tuple_take(struct freezer *f, const char *id, json_t *members);
/* What is called when @s succeeds or fails gets one more. */
void canvas_link(struct freezer *f, json_t *s, const char *option, json_t *callback);

/* Set an option to @value, which is taken over. */
void canvas_set_take(struct freezer *f, json_t *s, const char *option, json_t *value);

#endif /* CONEY_MESSAGE_CANVAS_FREEZE_H */
