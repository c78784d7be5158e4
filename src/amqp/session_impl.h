/* SPDX-License-Identifier: MIT */
/*
 * session_impl.h - what the files that make up the session share.
 *
 * session.c is the state machine; settings.c reads the options once; verbs.c turns calls
 * into methods of the link.
 */
#ifndef CONEY_AMQP_SESSION_IMPL_H
#define CONEY_AMQP_SESSION_IMPL_H

#include "amqp/broker_url.h"
#include "amqp/codec.h"
#include "amqp/link.h"
#include "net/dialer.h"

/* The options with defaults filled in; all memory is the arena's. */
struct settings {
    struct arena *arena;
    struct broker_url *brokers;
    const char *user;     /* NULL: the URL's */
    const char *password; /* NULL: the URL's */
    struct table client_properties;
    struct tls_context *tls; /* owned; NULL when no URL asks for TLS */
    struct dialer_options dialer;
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
