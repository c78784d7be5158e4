/* SPDX-License-Identifier: MIT */
/*
 * typed.h - values that JSON has no form for, in kombu's form (5.3 and later):
 *
 *     {"__type__": "datetime", "__value__": "2020-01-02T03:04:05.000678+00:00"}
 *
 * An object with exactly these two keys is such a value wherever it stands. A tag that a
 * Python reader does not know, or a value it can't read, makes it drop the whole message,
 * so the encoders refuse both (typed_check()); in what we read, an unknown tag is an
 * object like any other.
 */
#ifndef CONEY_MESSAGE_TYPED_H
#define CONEY_MESSAGE_TYPED_H

#include "base/arena.h"
#include <coney/error.h>

#include <jansson.h>
#include <stdint.h>

enum typed_kind {
    TYPED_NONE, /* plain JSON, and every unknown tag */
    TYPED_DATETIME,
    TYPED_DATE,
    TYPED_TIME,
    TYPED_DECIMAL,
    TYPED_UUID,
    TYPED_BYTES,
    TYPED_BASE64
};

/* What @v is by its tag; its value may still be unreadable. */
enum typed_kind typed_kind(const json_t *v);

/* Each returns a new value for its kind, the caller's; NULL when the argument is not of
 * that kind or memory is short. */
json_t *typed_datetime(int64_t wall_us);
json_t *typed_date(const char *text);    /* "2020-01-02" */
json_t *typed_time(const char *text);    /* "01:02:03", "01:02:03.000004" */
json_t *typed_decimal(const char *text); /* "1.10" */
json_t *typed_uuid(const char *text);    /* with or without hyphens */
json_t *typed_bytes(struct bytes b); /* TYPED_BYTES if it is UTF-8, else TYPED_BASE64 */

/*
 * The readers also take the plain string that kombu 5.2 writes instead, except for bytes.
 * CONEY_ESYNTAX: not of that kind. Texts are borrowed from @v.
 */
enum coney_rc typed_read_datetime(const json_t *v, int64_t *wall_us) CONEY_MUST_CHECK;
enum coney_rc typed_read_date(const json_t *v, const char **text) CONEY_MUST_CHECK;
enum coney_rc typed_read_time(const json_t *v, const char **text) CONEY_MUST_CHECK;
enum coney_rc typed_read_decimal(const json_t *v, const char **text) CONEY_MUST_CHECK;
/* 36 characters in lower case, terminated. */
enum { TYPED_UUID_SIZE = 37 };
enum coney_rc typed_read_uuid(
        const json_t *v, char text[TYPED_UUID_SIZE]) CONEY_MUST_CHECK;
/* The bytes come from @a. Also CONEY_ENOMEM. */
enum coney_rc typed_read_bytes(
        const json_t *v, struct arena *a, struct bytes *out) CONEY_MUST_CHECK;

/*
 * Whether Python peers can read @v and everything in it: known tags with readable values,
 * well-formed UTF-8, at most @depth_max levels. CONEY_EINVAL, CONEY_ELIMIT; text names
 * what was found, for the caller to prefix with where.
 */
enum coney_rc typed_check(
        const json_t *v, unsigned depth_max, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_TYPED_H */
