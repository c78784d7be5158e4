/* SPDX-License-Identifier: MIT */
/*
 * url.h - the address of a broker: amqp[s]://[user[:password]@]host[:port][/vhost].
 *
 * Percent-decoded (RFC 3986 §2.1); an IPv6 address stands in brackets. No path, or an
 * empty one, is the virtual host "/", which may also be written %2F or as a second slash.
 */
#ifndef CONEY_AMQP_URL_H
#define CONEY_AMQP_URL_H

#include "base/arena.h"

enum url_scheme { URL_AMQP, URL_AMQPS };

struct url {
    enum url_scheme scheme;
    const char *host; /* without brackets */
    const char *port; /* decimal; the scheme's when not given */
    const char *user; /* NULL: not given */
    const char *password;
    const char *vhost;
    const char *label; /* host:port for texts; never more */
};

/* Parse @text into strings in @a. CONEY_EINVAL; the error repeats neither user nor
 * password. CONEY_ENOMEM. */
enum coney_rc url_parse(const char *text, struct arena *a, struct url *url,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_AMQP_URL_H */
