/* SPDX-License-Identifier: MIT */
/*
 * redis_login.h - the first commands of a connection, and what their answers mean.
 *
 * The last is a PING, so that a server that takes the password but is still loading its
 * data is not taken for one that works.
 */
#ifndef CONEY_REDIS_REDIS_LOGIN_H
#define CONEY_REDIS_REDIS_LOGIN_H

#include "redis/codec.h"

/* Borrowed strings. */
struct redis_login {
    const char *user;     /* NULL or "": the default user */
    const char *password; /* NULL: no AUTH */
    const char *name;     /* of the connection; NULL: none */
    unsigned db;
};

/* CONEY_ENOMEM. */
enum coney_rc redis_login_compose(
        const struct redis_login *l, struct redis_commands *c) CONEY_MUST_CHECK;
/* @replies answer what was composed. CONEY_EREFUSED: what the server said; CONEY_EIO: it
 * can't work now. */
enum coney_rc redis_login_judge(const struct redis_login *l,
        const struct redis_reply *replies, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_REDIS_REDIS_LOGIN_H */
