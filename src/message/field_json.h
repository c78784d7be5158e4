/* SPDX-License-Identifier: MIT */
/* field_json.h - a header's value as JSON: the other way from json_field.h. */
#ifndef CONEY_MESSAGE_FIELD_JSON_H
#define CONEY_MESSAGE_FIELD_JSON_H

#include "base/table.h"

#include <jansson.h>

/* A new value, the caller's. What JSON has no type for (bytes, times, what is no number
 * to JSON or no UTF-8) is null, and what can be no key is left out. NULL: out of memory,
 * or nested too deep. */
json_t *field_json(const struct field *f);

#endif /* CONEY_MESSAGE_FIELD_JSON_H */
