/* SPDX-License-Identifier: MIT */
/*
 * canvas_ends.h - the tasks of a chain that will never run, because one before them did
 * not succeed: somebody may wait for any of them.
 */
#ifndef CONEY_MESSAGE_CANVAS_ENDS_H
#define CONEY_MESSAGE_CANVAS_ENDS_H

#include <coney/error.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Borrowed for the call. NULL, TASK_NONE: not there. */
struct canvas_end {
    const char *id;
    const char *reply_to;
    const char *group;
    int64_t group_index;
    const json_t *chord; /* the body that waits for this one */
    bool ignore_result;
};

typedef void canvas_end_fn(void *ctx, const struct canvas_end *end);

/*
 * Call @each for every task in @chain (signatures in reverse order, as messages carry
 * them; NULL: none) that has an id, in the order in which they would have run. In groups
 * and chords all tasks count; a chord's header, which nobody will ask for its parts, has
 * no chord here. Stops at CANVAS_TASKS_MAX and CANVAS_DEPTH_MAX.
 */
void canvas_ends(const json_t *chain, canvas_end_fn *each, void *ctx);

#endif /* CONEY_MESSAGE_CANVAS_ENDS_H */
