/* SPDX-License-Identifier: MIT */
/* error.h - filling in a struct coney_error. Internal; nothing here is installed. */
#ifndef CONEY_BASE_ERROR_H
#define CONEY_BASE_ERROR_H

#include <coney/error.h>

/*
 * Record why a call failed and hand back @rc, so that a failing branch is one line:
 *     return error_set(err, CONEY_EINVAL, "queue name is empty");
 * Every function here accepts a NULL @err and leaves errno alone.
 */
enum coney_rc error_set(struct coney_error *err, enum coney_rc rc, const char *fmt, ...)
        CONEY_PRINTF(3, 4);

/* As error_set(), with ": <strerror(errno)>" appended; ENOMEM maps to CONEY_ENOMEM, the
 * rest to CONEY_EIO. */
enum coney_rc error_set_errno(struct coney_error *err, const char *fmt, ...)
        CONEY_PRINTF(2, 3);

/* "out of memory", CONEY_ENOMEM. */
enum coney_rc error_set_nomem(struct coney_error *err);

/* Put "<prefix>: " before the text already in @err, to say where it happened. */
void error_prefix(struct coney_error *err, const char *fmt, ...) CONEY_PRINTF(2, 3);

/* Say which place of the input the error already in @err is about. */
void error_set_position(struct coney_error *err, unsigned line, unsigned column);

#endif /* CONEY_BASE_ERROR_H */
