/* SPDX-License-Identifier: MIT */
/*
 * stamps.h - the stamps of a task (Celery 5.3 and later): names with one or several
 * values, set by the sender, by which whole groups of tasks are revoked.
 *
 * Values are compared as texts: a text as it stands, numbers and booleans as JSON writes
 * them; what is neither is no value.
 */
#ifndef CONEY_WORKER_STAMPS_H
#define CONEY_WORKER_STAMPS_H

#include "base/table.h"

#include <jansson.h>

enum { STAMP_VALUE_SIZE = 256 };

/* Return true to stop. */
typedef bool stamp_fn(void *ctx, const char *name, const char *value);

/* Each stamp in the headers of a message, or in an object of arrays. Whether one call
 * stopped it. */
bool stamps_of_headers(const struct table *headers, stamp_fn *each, void *ctx);
bool stamps_of_json(json_t *stamps, stamp_fn *each, void *ctx);

#endif /* CONEY_WORKER_STAMPS_H */
