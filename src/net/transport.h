/* SPDX-License-Identifier: MIT */
/*
 * transport.h - one socket, with or without TLS on it, that never waits.
 *
 * Connects to one address, shakes hands, then moves bytes: one recv() a read, one send()
 * a write as a rule. Knows nothing of AMQP.
 */
#ifndef CONEY_NET_TRANSPORT_H
#define CONEY_NET_TRANSPORT_H

#include "net/tls.h"

#include <netdb.h>

enum transport_phase { TRANSPORT_CONNECTING, TRANSPORT_HANDSHAKING, TRANSPORT_READY };

struct transport;

struct transport_options {
    struct tls_context *tls;  /* borrowed; NULL: without TLS */
    const char *host;         /* for TLS */
    unsigned user_timeout_ms; /* unacknowledged bytes for so long: dead (tcp(7)) */
};

/* Begin to connect to @address. CONEY_EIO (at once refused, for example), … */
enum coney_rc transport_open(const struct addrinfo *address,
        const struct transport_options *options, struct transport **out,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Close at once; a TLS peer is told so if that fits into the socket. */
void transport_free(struct transport *t);

int transport_fd(const struct transport *t);
short transport_wants(const struct transport *t);
enum transport_phase transport_phase(const struct transport *t);
/* "127.0.0.1:5671", or "127.0.0.1:5671 (TLSv1.3)" once ready. */
const char *transport_peer(const struct transport *t);

/* Go on towards TRANSPORT_READY, as poll(2) said in @revents. */
enum coney_rc transport_continue(
        struct transport *t, short revents, struct coney_error *err) CONEY_MUST_CHECK;

/* Bytes are here already, without another recv(). */
bool transport_has_input(struct transport *t);
/* Read up to @len bytes; *@got may be 0. CONEY_ECLOSED: the peer's end. */
enum coney_rc transport_read(struct transport *t, void *data, size_t len, size_t *got,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Whether a write makes sense: the socket was not full, or @revents says that it has room
 * again. */
bool transport_can_write(struct transport *t, short revents);
/* Send what fits of @data; *@taken bytes of it were, the rest is for later. */
enum coney_rc transport_write(struct transport *t, struct bytes data, size_t *taken,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Bytes taken that are not in the socket yet. */
size_t transport_unsent(struct transport *t);

#endif /* CONEY_NET_TRANSPORT_H */
