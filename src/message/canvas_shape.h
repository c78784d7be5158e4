/* SPDX-License-Identifier: MIT */
/*
 * canvas_shape.h - a signature in the one shape that the canvas works on. Private to
 * canvas.c, canvas_freeze.c and the like.
 */
#ifndef CONEY_MESSAGE_CANVAS_SHAPE_H
#define CONEY_MESSAGE_CANVAS_SHAPE_H

#include "message/signature.h"

/*
 * A copy of @signature, the caller's, of which holds, all the way down: every signature
 * is an object that names a task and has args (array), kwargs and options (objects); no
 * option is null; the tasks of chains and groups are arrays of signatures; a chord's
 * header is a group and its body a signature; chunks have become groups. *@tasks grows by
 * the tasks in it. CONEY_EINVAL; CONEY_ELIMIT: more than @tasks_max, or too deep;
 * CONEY_ENOMEM.
 */
enum coney_rc canvas_shape(const json_t *signature, size_t tasks_max, size_t *tasks,
        json_t **out, struct coney_error *err) CONEY_MUST_CHECK;

/* The signatures of a chain or group; a chord's header and body. Borrowed. */
json_t *canvas_tasks(const json_t *signature);
json_t *canvas_header(const json_t *chord);
json_t *canvas_body(const json_t *chord);

/* How often a chord around @signature hears of it: once for a task, for a chain as often
 * as for its last step, for a group as for all members together, for a chord as for its
 * body. */
size_t canvas_parts(const json_t *signature);

#endif /* CONEY_MESSAGE_CANVAS_SHAPE_H */
