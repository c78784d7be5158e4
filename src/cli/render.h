/* SPDX-License-Identifier: MIT */
/*
 * render.h - what workers answered, for people. Pure: from JSON to text.
 *
 * Whatever a worker sends is shown somehow: a reply of an unexpected form becomes a tree.
 */
#ifndef CONEY_CLI_RENDER_H
#define CONEY_CLI_RENDER_H

#include "base/buffer.h"

#include <jansson.h>

enum render_style {
    RENDER_ANSWER,    /* {"ok": text}, {"error": text} */
    RENDER_ACTIVE,    /* a list of tasks that run */
    RENDER_RESERVED,  /* a list of tasks that wait */
    RENDER_SCHEDULED, /* a list of tasks with their time */
    RENDER_NAMES,     /* a list of texts */
    RENDER_QUEUES,
    RENDER_QUERY, /* id to [state, task] */
    RENDER_TEXT,  /* {"ok": many lines} */
    RENDER_TREE   /* anything */
};

/* Append the @reply of @node, asked at @now_us. CONEY_ENOMEM, CONEY_ELIMIT. */
enum coney_rc render_reply(enum render_style style, const char *node, const json_t *reply,
        int64_t now_us, struct buffer *out) CONEY_MUST_CHECK;

/* Append @value as indented lines, as YAML would have it. */
enum coney_rc render_tree(
        const json_t *value, unsigned indent, struct buffer *out) CONEY_MUST_CHECK;

/* The text of the error that @reply is, borrowed; NULL: it is none. */
const char *render_error(const json_t *reply);

/* "3d4h", "2h5m", "12.5s": two units at most, for @seconds that are not negative. */
enum { RENDER_SPAN_SIZE = 32 };
void render_span(double seconds, char text[RENDER_SPAN_SIZE]);

#endif /* CONEY_CLI_RENDER_H */
