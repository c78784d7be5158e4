/* SPDX-License-Identifier: MIT */
/*
 * repr.h - a task's arguments as a person reads them in Flower or in a log: Python's
 * notation, control characters escaped, the fourth level and what lies beyond 1024
 * characters left out.
 */
#ifndef CONEY_MESSAGE_REPR_H
#define CONEY_MESSAGE_REPR_H

#include "base/arena.h"

#include <jansson.h>

/* "(2, 'x')" from an array, "{'y': 3}" from an object; terminated, from @a. NULL counts
 * as empty: "()" and "{}". NULL is returned when out of memory. */
const char *repr_args(const json_t *args, struct arena *a);
const char *repr_kwargs(const json_t *kwargs, struct arena *a);
/* The same of one value. */
const char *repr_value(const json_t *value, struct arena *a);

#endif /* CONEY_MESSAGE_REPR_H */
