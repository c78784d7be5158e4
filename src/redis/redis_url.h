/* SPDX-License-Identifier: MIT */
/*
 * redis_url.h - the address of a database: redis[s]://[[user]:password@]host[:port][/db].
 */
#ifndef CONEY_REDIS_REDIS_URL_H
#define CONEY_REDIS_REDIS_URL_H

#include "net/url.h"

struct redis_url {
    struct url url;
    unsigned db;
};

/* As url_parse(). */
enum coney_rc redis_url_parse(const char *text, struct arena *a, struct redis_url *r,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_REDIS_REDIS_URL_H */
