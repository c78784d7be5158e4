/* SPDX-License-Identifier: MIT */
/*
 * reply.h - one answer of redis, or of the part of one.
 */
#ifndef CONEY_REDIS_REPLY_H
#define CONEY_REDIS_REPLY_H

#include "base/buffer.h"

#include <stdbool.h>

enum redis_type {
    REDIS_NIL,
    REDIS_STATUS, /* text, such as OK */
    REDIS_ERROR,  /* text, such as WRONGTYPE Operation against … */
    REDIS_INTEGER,
    REDIS_TEXT, /* any bytes */
    REDIS_ARRAY
};

struct redis_reply {
    enum redis_type type;
    int64_t integer;
    struct bytes text; /* with a terminating zero behind it that does not count */
    size_t count;
    struct redis_reply **items; /* owned; none is NULL in a whole reply */
};

/* With everything in it. NULL is ignored. */
void redis_reply_free(struct redis_reply *r);
/* The text of a status, an error or a text; "" of anything else. */
const char *redis_reply_text(const struct redis_reply *r);
/* Whether it is an error that begins with the word @code ("WRONGPASS"). */
bool redis_reply_is_error(const struct redis_reply *r, const char *code);
/* Whether it is an error that says that the server can't do its work now: it loads its
 * data, is a replica, has no replicas, no memory, no disk, or was told to let us do
 * nothing. */
bool redis_reply_is_ailing(const struct redis_reply *r);

#endif /* CONEY_REDIS_REPLY_H */
