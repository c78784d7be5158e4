/* SPDX-License-Identifier: MIT */
/*
 * dialer.h - gets a connected transport, and after a loss another one.
 *
 * It tries its URLs and their addresses in turn, each with a deadline, and after a round
 * that failed waits with backoff and jitter. It never blocks. What is said on the
 * connection, the login to begin with, is its owner's, who tells the dialer how it went:
 * an address whose login fails leads to the next one like one that refuses to connect.
 *
 * A descriptor is closed one step after dialer_fd() ceased to give it, when its poller
 * has let go of it, and never is one closed and another opened in the same step. Closed
 * under epoll, it would stay registered for as long as a child between fork and exec has
 * a copy, and be reported under the number of its successor.
 */
#ifndef CONEY_NET_DIALER_H
#define CONEY_NET_DIALER_H

#include "base/rng.h"
#include "net/transport.h"
#include "net/url.h"

/* Whether a dialer that has failed, or whose connection is lost, tries again. */
enum dial_mode { DIAL_FOREVER, DIAL_ONCE };

/* All pointers are borrowed for the dialer's life. */
struct dialer_options {
    const struct url *const *urls;
    size_t url_count;
    struct tls_context *tls; /* NULL when no URL asks for it */
    enum dial_mode mode;
    unsigned connect_timeout_ms; /* per address: TCP, TLS and login together */
    unsigned backoff_base_ms;
    unsigned backoff_cap_ms;
    unsigned user_timeout_ms; /* as in struct transport_options */
};

enum dial_result {
    DIAL_GOES_ON,   /* nothing to tell */
    DIAL_CONNECTED, /* dialer_transport() is ready for the login, until the deadline */
    DIAL_FAILED     /* an endpoint has: dialer_error(), dialer_retry_ms() */
};

struct dialer;

/* Connecting starts with the first step. NULL when out of memory. */
struct dialer *dialer_new(const struct dialer_options *options, struct rng *rng);
/* Close at once. NULL is ignored. */
void dialer_free(struct dialer *d);

/* Before anything else of a step: close what an earlier one has given up. */
void dialer_bury(struct dialer *d);
/* Go on towards a connection. Only to be called while there is none. */
enum dial_result dialer_step(
        struct dialer *d, short revents, int64_t now_ms) CONEY_MUST_CHECK;
/* What to poll for POLLIN on the way, or the transport's; -1: nothing. */
int dialer_fd(const struct dialer *d);
short dialer_wants(const struct dialer *d);
/* When to step at the latest, 0 for at once; until the login has succeeded also when it
 * has taken too long. */
int64_t dialer_deadline_ms(const struct dialer *d);

/* NULL while there is none. Borrowed until one of the verdicts below, or the end. */
struct transport *dialer_transport(const struct dialer *d);
/* Which of the URLs is being tried, or connected to. */
size_t dialer_endpoint(const struct dialer *d);
/* "127.0.0.1:5671 (TLSv1.3)" or where the attempt stands; for logs. */
const char *dialer_peer(const struct dialer *d);
/* Why the last attempt failed. */
const struct coney_error *dialer_error(const struct dialer *d);
/* After DIAL_FAILED: until the next attempt; -1: none will be made. */
int64_t dialer_retry_ms(const struct dialer *d);

/* The owner's verdicts on a connection. */
void dialer_succeeded(struct dialer *d, int64_t now_ms);
/* DIAL_GOES_ON: another address is tried. A refusal (CONEY_EREFUSED) would be repeated by
 * the endpoint's other addresses. */
enum dial_result dialer_login_failed(
        struct dialer *d, const struct coney_error *why, int64_t now_ms) CONEY_MUST_CHECK;
/* It was up and is lost: dialer_retry_ms() says what comes. */
void dialer_lost(struct dialer *d, int64_t now_ms);
/* Let go of the connection or the attempt, for good. */
void dialer_end(struct dialer *d);

#endif /* CONEY_NET_DIALER_H */
