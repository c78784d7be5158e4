/* SPDX-License-Identifier: MIT */
/*
 * broker_url.h - the address of a broker:
 * amqp[s]://[user[:password]@]host[:port][/vhost].
 *
 * No path, or an empty one, is the virtual host "/", which may also be written %2F or as
 * a second slash.
 */
#ifndef CONEY_AMQP_BROKER_URL_H
#define CONEY_AMQP_BROKER_URL_H

#include "net/url.h"

struct broker_url {
    struct url url;
    const char *vhost;
};

/* As url_parse(). */
enum coney_rc broker_url_parse(const char *text, struct arena *a, struct broker_url *b,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_AMQP_BROKER_URL_H */
