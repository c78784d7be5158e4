/* SPDX-License-Identifier: MIT */
/*
 * user_header.h - a header somebody else made up, in a form every peer reads alike.
 *
 * Of RabbitMQ's field types Python's client misreads five and dies of one (a 16-bit
 * integer looks like a short string to it), and of a key that is not UTF-8. Integers
 * become 32 or 64 bits wide, floats double; bytes, decimals and times are refused.
 */
#ifndef CONEY_MESSAGE_USER_HEADER_H
#define CONEY_MESSAGE_USER_HEADER_H

#include "base/table.h"
#include <coney/error.h>

/* A deep copy of @from in *@to. CONEY_EINVAL, CONEY_ELIMIT (nested too deep),
 * CONEY_ENOMEM; text says what, not which. */
enum coney_rc user_header_copy(const struct field *from, struct arena *a,
        struct field *to, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_USER_HEADER_H */
