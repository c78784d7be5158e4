/* SPDX-License-Identifier: MIT */
/*
 * session_impl.h - what the files that make up the session share.
 *
 * session.c is the state machine; settings.c reads the options once; verbs.c turns calls
 * into methods of the link.
 */
#ifndef CONEY_AMQP_SESSION_IMPL_H
#define CONEY_AMQP_SESSION_IMPL_H

#include "amqp/codec.h"
#include "amqp/link.h"
#include "amqp/resolve.h"
#include "amqp/transport.h"
#include "amqp/url.h"

/* One broker of the list. */
struct endpoint {
    struct url url;
    struct resolve *resolve; /* owned; outlives an attempt that it was too slow for */
};

/* The options with defaults filled in; all memory is the arena's. */
struct settings {
    struct arena *arena;
    struct endpoint *endpoints;
    size_t endpoint_count;
    const char *user;     /* NULL: the URL's */
    const char *password; /* NULL: the URL's */
    struct table client_properties;
    struct tls_context *tls; /* owned; NULL when no URL asks for TLS */
    enum session_mode mode;
    unsigned connect_timeout_ms;
    unsigned backoff_base_ms;
    unsigned backoff_cap_ms;
    struct link_options link; /* but for host, user, password and vhost */
};

/* Copy and check @options. See session_new() for errors. settings_fini() is due in any
 * case. */
enum coney_rc settings_init(struct settings *set, const struct session_options *options,
        struct coney_error *err) CONEY_MUST_CHECK;
void settings_fini(struct settings *set);

/* The link to call on, or NULL when not logged in. */
struct link *session_link(const struct session *s);

#endif /* CONEY_AMQP_SESSION_IMPL_H */
