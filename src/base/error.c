/* SPDX-License-Identifier: MIT */
/* error.c - the sentences behind the return codes. */
#include "base/error.h"

#include <coney/version.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

CONEY_PRINTF(3, 0)
static void set_text(
        struct coney_error *err, enum coney_rc rc, const char *fmt, va_list ap)
{
    err->rc = rc;
    err->line = 0;
    err->column = 0;
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
}

enum coney_rc error_set(struct coney_error *err, enum coney_rc rc, const char *fmt, ...)
{
    if (!err)
        return rc;

    int saved_errno = errno;
    va_list ap;
    va_start(ap, fmt);
    set_text(err, rc, fmt, ap);
    va_end(ap);
    errno = saved_errno;
    return rc;
}

enum coney_rc error_set_errno(struct coney_error *err, const char *fmt, ...)
{
    int saved_errno = errno;
    enum coney_rc rc = saved_errno == ENOMEM ? CONEY_ENOMEM : CONEY_EIO;
    if (!err)
        return rc;

    va_list ap;
    va_start(ap, fmt);
    set_text(err, rc, fmt, ap);
    va_end(ap);

    size_t len = strlen(err->text);
    char reason[128];
    snprintf(err->text + len, sizeof(err->text) - len, ": %s",
            strerror_r(saved_errno, reason, sizeof(reason)));
    errno = saved_errno;
    return rc;
}

enum coney_rc error_set_nomem(struct coney_error *err)
{
    return error_set(err, CONEY_ENOMEM, "out of memory");
}

void error_prefix(struct coney_error *err, const char *fmt, ...)
{
    if (!err)
        return;

    char text[sizeof(err->text)];
    int saved_errno = errno;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);

    size_t len = strlen(text);
    snprintf(text + len, sizeof(text) - len, ": %s", err->text);
    memcpy(err->text, text, sizeof(text));
    errno = saved_errno;
}

void error_set_position(struct coney_error *err, unsigned line, unsigned column)
{
    if (!err)
        return;
    err->line = line;
    err->column = column;
}

const char *coney_rc_name(enum coney_rc rc)
{
    switch (rc) {
    case CONEY_OK:
        return "CONEY_OK";
    case CONEY_EINVAL:
        return "CONEY_EINVAL";
    case CONEY_ENOMEM:
        return "CONEY_ENOMEM";
    case CONEY_EIO:
        return "CONEY_EIO";
    case CONEY_ESYNTAX:
        return "CONEY_ESYNTAX";
    case CONEY_ELIMIT:
        return "CONEY_ELIMIT";
    case CONEY_ECLOSED:
        return "CONEY_ECLOSED";
    case CONEY_ETIMEOUT:
        return "CONEY_ETIMEOUT";
    case CONEY_EREFUSED:
        return "CONEY_EREFUSED";
    case CONEY_EUNROUTABLE:
        return "CONEY_EUNROUTABLE";
    case CONEY_ENACKED:
        return "CONEY_ENACKED";
    case CONEY_ENOTFOUND:
        return "CONEY_ENOTFOUND";
    }
    return "unknown";
}

const char *coney_version(void)
{
    return CONEY_VERSION;
}
