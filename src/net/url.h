/* SPDX-License-Identifier: MIT */
/*
 * url.h - the address of a server: SCHEME://[user[:password]@]host[:port][/path].
 *
 * Percent-decoded (RFC 3986 §2.1), but for the path, whose meaning is the protocol's; an
 * IPv6 address stands in brackets.
 */
#ifndef CONEY_NET_URL_H
#define CONEY_NET_URL_H

#include "base/arena.h"

#include <stdbool.h>

/* A protocol's schemes, with TLS and without, and their ports. Static storage. */
struct url_schemes {
    const char *tls, *tls_port;
    const char *plain, *plain_port;
};

struct url {
    bool is_tls;
    const char *host; /* without brackets */
    const char *port; /* decimal; the scheme's when not given */
    const char *user; /* NULL: not given */
    const char *password;
    const char *path;  /* undecoded, without its first slash; NULL: not given */
    const char *label; /* host:port for texts; never more */
};

/* Parse @text into strings in @a. CONEY_EINVAL; the error repeats neither user nor
 * password. CONEY_ENOMEM. */
enum coney_rc url_parse(const char *text, const struct url_schemes *schemes,
        struct arena *a, struct url *url, struct coney_error *err) CONEY_MUST_CHECK;

/* Decode a piece of a path. CONEY_EINVAL: a bad escape or a control character;
 * CONEY_ENOMEM. */
enum coney_rc url_decode(
        const char *text, struct arena *a, const char **out) CONEY_MUST_CHECK;

#endif /* CONEY_NET_URL_H */
