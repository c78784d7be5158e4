/* SPDX-License-Identifier: MIT */
/*
 * task_headers.h - the headers and properties of a task message, read and checked.
 *
 * Shared by the decoder and by whoever sends a message round again: what passes here is
 * safe to hand to a Python worker.
 */
#ifndef CONEY_MESSAGE_TASK_HEADERS_H
#define CONEY_MESSAGE_TASK_HEADERS_H

#include "message/task.h"

/*
 * Fill in all of @r but body, args, kwargs and embed; the strings come from @r->arena. On
 * failure id and task are set if they could be read. CONEY_ESYNTAX, CONEY_ELIMIT (a name
 * longer than @name_max), CONEY_ENOMEM.
 */
enum coney_rc task_headers_read(const struct envelope *e, size_t name_max,
        struct task_request *r, struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Whether a user's header may not have the name @key: Celery's own headers, everything
 * its request object is made of (a header of such a name would shadow an attribute or a
 * method there), what the broker writes or acts on, and the keys of compression.
 */
bool task_headers_is_reserved(struct bytes key);

/* The longest time limit, about 31 years: far beyond sense, far below overflow. */
#define TASK_TIME_LIMIT_MAX_MS INT64_C(1000000000000)

#endif /* CONEY_MESSAGE_TASK_HEADERS_H */
