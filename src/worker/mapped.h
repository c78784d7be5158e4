/* SPDX-License-Identifier: MIT */
/*
 * mapped.h - celery.map and celery.starmap: one message that runs another task once for
 * each of its items, one after the other, and whose result is the list of theirs.
 *
 * Here is only where it stands. Each item is given to a runner like a job of its own, so
 * that tasks of every kind can be mapped; the first that does not succeed decides about
 * the whole.
 */
#ifndef CONEY_WORKER_MAPPED_H
#define CONEY_WORKER_MAPPED_H

#include "message/task.h"

struct mapped;

/* The task that @r maps; NULL: it maps none. Borrowed from @r. */
const char *mapped_name(const struct task_request *r);
/* Begin with the first item of @r, which maps a task and must outlive the result.
 * CONEY_EINVAL: there are no items; CONEY_ENOMEM. */
enum coney_rc mapped_new(
        const struct task_request *r, struct mapped **out) CONEY_MUST_CHECK;
void mapped_free(struct mapped *m);

bool mapped_is_done(const struct mapped *m);
/* The body of the next item's task; valid until the next call. CONEY_ELIMIT,
 * CONEY_ENOMEM. */
enum coney_rc mapped_body(struct mapped *m, struct bytes *out) CONEY_MUST_CHECK;
/* The item has succeeded with @value, JSON text (empty: null). CONEY_ELIMIT: the results
 * are too many for one; CONEY_ENOMEM. */
enum coney_rc mapped_add(struct mapped *m, struct bytes value) CONEY_MUST_CHECK;
/* The list of all values so far, as JSON text; valid until the next call. CONEY_ENOMEM.
 */
enum coney_rc mapped_value(struct mapped *m, struct bytes *out) CONEY_MUST_CHECK;

#endif /* CONEY_WORKER_MAPPED_H */
