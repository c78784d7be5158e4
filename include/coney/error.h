/* SPDX-License-Identifier: MIT */
/*
 * coney/error.h - how every Coney function says that, and why, it failed.
 *
 * The return value says that a call failed and is what code branches on. The optional
 * struct coney_error says why, in one sentence for a person, and is what code prints. It
 * lives on the caller's stack, owns nothing and needs no free. NULL is always accepted.
 */
#ifndef CONEY_ERROR_H
#define CONEY_ERROR_H

#include <coney/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum coney_rc {
    CONEY_OK = 0,
    CONEY_EINVAL = 1,      /* the caller broke the contract; retrying cannot help       */
    CONEY_ENOMEM = 2,      /* out of memory; nothing was changed                        */
    CONEY_EIO = 3,         /* a file or socket failed; text names it                    */
    CONEY_ESYNTAX = 4,     /* input does not parse; line and text locate it             */
    CONEY_ELIMIT = 5,      /* input is larger or deeper than a limit that text names    */
    CONEY_ECLOSED = 6,     /* the broker closed the connection or channel; reconnect    */
    CONEY_ETIMEOUT = 7,    /* the deadline passed; the outcome is unknown               */
    CONEY_EREFUSED = 8,    /* the broker or the TLS peer said no: password, permission,
                              certificate, arguments; retrying unchanged cannot help    */
    CONEY_EUNROUTABLE = 9, /* no queue took the message (basic.return)                  */
    CONEY_ENACKED = 10,    /* the broker did not take the message (basic.nack)          */
    CONEY_ENOTFOUND = 11   /* no such task, entry, key or file; text names it           */
};

struct coney_error {
    enum coney_rc rc;
    unsigned line;   /* 1-based line of the offending input, 0 when not about input */
    unsigned column; /* 1-based column, 0 when unknown                              */
    char text[240];  /* always terminated; truncated rather than allocated          */
};

/* Name of the code, such as "CONEY_EIO". Never NULL; static storage. Since 0.1. */
CONEY_API const char *coney_rc_name(enum coney_rc rc);

#ifdef __cplusplus
}
#endif

#endif /* CONEY_ERROR_H */
