/* SPDX-License-Identifier: MIT */
/*
 * json_field.h - a JSON value as a header: for what a signature's options want to be put
 * into the headers of its message.
 *
 * Types are those that every peer reads alike (task_encode.c says which). A text that
 * holds a zero byte stays as it is; whoever takes the field refuses it.
 */
#ifndef CONEY_MESSAGE_JSON_FIELD_H
#define CONEY_MESSAGE_JSON_FIELD_H

#include "base/table.h"

#include <jansson.h>

/* Make *@out, whose key is left empty, of @v. Everything is copied into @a. CONEY_ELIMIT:
 * nested too deep; CONEY_ENOMEM. */
enum coney_rc json_field(json_t *v, struct arena *a, struct field *out) CONEY_MUST_CHECK;

/* The members of the object @v appended to @out. As json_field(). */
enum coney_rc json_fields(json_t *v, struct arena *a, struct table *out) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_JSON_FIELD_H */
