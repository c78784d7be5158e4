/* SPDX-License-Identifier: MIT */
/*
 * embed.h - the third element of a task's body: what follows the task.
 *
 * An object with callbacks, errbacks and chain (arrays of signatures) and chord (one
 * signature), each of which may be null or missing. Running them is the canvas's
 * business; here is only their shape, which a Python worker takes on trust.
 */
#ifndef CONEY_MESSAGE_EMBED_H
#define CONEY_MESSAGE_EMBED_H

#include "base/buffer.h"

#include <jansson.h>

/* Shape for what we read: @embed is an object or null, its lists are lists, its
 * signatures objects that name a task. CONEY_ESYNTAX; text names the place. */
enum coney_rc embed_check_read(
        const json_t *embed, struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Shape for what we write, NULL included: moreover no unknown key, and each signature
 * with args (array), kwargs and options (objects), without which a Python worker fails
 * the task that has already succeeded. CONEY_EINVAL; text names the place.
 */
enum coney_rc embed_check_write(
        const json_t *embed, struct coney_error *err) CONEY_MUST_CHECK;

/* Append @embed with all four keys in Celery's order; NULL: all null. As json_write(). */
enum coney_rc embed_write(const json_t *embed, struct buffer *out) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_EMBED_H */
