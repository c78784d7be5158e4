/* SPDX-License-Identifier: MIT */
/*
 * json.h - JSON from and for Python peers, through jansson, with limits in front of it.
 *
 * Python's json module writes more than RFC 8259 allows, and more than C has types for.
 * None of it may be lost or refused, so a text is looked over before it is parsed, and
 * what jansson can't hold becomes a string that shows what was there:
 *
 *     NaN, Infinity, -Infinity                      "NaN", "Infinity", "-Infinity"
 *     an integer beyond 64 bits                     a string of its digits
 *     a real number beyond double (1e999), or one
 *     spelled with more than 511 characters         a string of its spelling
 *     \ud800 without its other half                 \ufffd
 *
 * A string where a number is wanted fails visibly in the handler; null, a rounded double
 * or the largest double would not. Whoever passes a text on passes on the text itself,
 * which is never changed. Strings may hold \u0000: use json_string_length().
 */
#ifndef CONEY_BASE_JSON_H
#define CONEY_BASE_JSON_H

#include "base/buffer.h"

#include <jansson.h>

struct json_limits {
    size_t text_max;    /* bytes */
    size_t values_max;  /* values, keys included: they bound the memory parsing takes */
    unsigned depth_max; /* arrays and objects inside one another */
};

/*
 * Parse @text, one value of any kind. The limits are checked before anything is
 * allocated. An object with the same key twice is refused: two readers of one text might
 * choose differently. On success *@out is the caller's. CONEY_ESYNTAX, with line and
 * column (0 when unknown), never quoting the text; CONEY_ELIMIT; CONEY_ENOMEM.
 */
enum coney_rc json_read(struct bytes text, const struct json_limits *limits, json_t **out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* The text of a member of @object; NULL: it has no such one, or is no object. The
 * object's. */
const char *json_text(const json_t *object, const char *key);

/*
 * Append @value to @out as Python would write it: ", " and ": " between, ASCII only.
 * CONEY_ELIMIT: @out is full; CONEY_EINVAL: not well-formed UTF-8, or a loop;
 * CONEY_ENOMEM. @out may then hold a part of it.
 */
enum coney_rc json_write(const json_t *value, struct buffer *out) CONEY_MUST_CHECK;

#endif /* CONEY_BASE_JSON_H */
