/* SPDX-License-Identifier: MIT */
/*
 * dialer.c - the way to a connection, as a state machine.
 *
 *   WAIT -> RESOLVE -> NEXT_ADDRESS -> CONNECT -> LOGIN -> UP
 *
 * An address that fails leads to NEXT_ADDRESS, an endpoint without further addresses to
 * WAIT (for the next endpoint at once, after the last with backoff).
 */
#include "net/dialer.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/backoff.h"
#include "net/resolve.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum state {
    STATE_WAIT,    /* until deadline_ms */
    STATE_RESOLVE, /* the endpoint's name is looked up */
    STATE_NEXT_ADDRESS,
    STATE_CONNECT, /* TCP and TLS */
    STATE_LOGIN,   /* the owner's, with our deadline */
    STATE_UP,
    STATE_ENDED
};

/* A connection that lasted so long starts the backoff afresh. */
enum { STABLE_MS = 5000 };

struct dialer {
    struct dialer_options options;
    struct rng *rng; /* borrowed */
    enum state state;
    int64_t deadline_ms; /* of the state; CLOCK_NEVER when it has none */

    size_t endpoint;            /* the one being tried */
    size_t tried;               /* endpoints since the last wait */
    struct backoff backoff;     /* rounds that failed since the last stable connection */
    struct resolve **resolves;  /* owned, one an endpoint; outlive an attempt that they
                                   were  too slow for */
    struct addrinfo *addresses; /* owned */
    struct addrinfo *address;   /* the next one to try */

    struct transport *transport;      /* owned; NULL while nothing is open */
    struct transport *dead_transport; /* owned; see dialer_bury() */
    struct resolve *dead_resolve;     /* owned */
    int64_t up_since_ms;
    int64_t retry_ms;
    struct coney_error failure; /* of the latest attempt */
    char peer[160];
};

static const struct url *current(const struct dialer *d)
{
    return d->options.urls[d->endpoint];
}

static void enter(struct dialer *d, enum state state, int64_t deadline_ms)
{
    d->state = state;
    d->deadline_ms = deadline_ms;
}

/* --- making and unmaking --------------------------------------------------------------
 */

struct dialer *dialer_new(const struct dialer_options *options, struct rng *rng)
{
    struct dialer *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->options = *options;
    d->rng = rng;
    d->backoff.base_ms = options->backoff_base_ms;
    d->backoff.cap_ms = options->backoff_cap_ms;
    d->resolves = calloc(options->url_count, sizeof(struct resolve *));
    if (!d->resolves) {
        free(d);
        return NULL;
    }
    enter(d, STATE_WAIT, 0);
    return d;
}

static void free_addresses(struct dialer *d)
{
    if (d->addresses)
        freeaddrinfo(d->addresses);
    d->addresses = NULL;
    d->address = NULL;
}

void dialer_bury(struct dialer *d)
{
    transport_free(d->dead_transport);
    d->dead_transport = NULL;
    resolve_free(d->dead_resolve);
    d->dead_resolve = NULL;
}

void dialer_free(struct dialer *d)
{
    if (!d)
        return;
    dialer_bury(d);
    transport_free(d->transport);
    free_addresses(d);
    for (size_t i = 0; i < d->options.url_count; i++)
        resolve_free(d->resolves[i]);
    free(d->resolves);
    free(d);
}

/* --- ends -----------------------------------------------------------------------------
 */

static void disconnect(struct dialer *d)
{
    if (!d->transport)
        return;
    assert(!d->dead_transport);
    d->dead_transport = d->transport;
    d->transport = NULL;
}

void dialer_end(struct dialer *d)
{
    disconnect(d);
    free_addresses(d);
    d->retry_ms = -1;
    enter(d, STATE_ENDED, CLOCK_NEVER);
}

static void next_endpoint(struct dialer *d)
{
    d->endpoint = (d->endpoint + 1) % d->options.url_count;
}

/* The endpoint is out of addresses, or has refused us in a way that others would repeat.
 */
static enum dial_result endpoint_failed(struct dialer *d, int64_t now_ms)
{
    bool is_round_over = ++d->tried >= d->options.url_count;

    free_addresses(d);
    next_endpoint(d);
    if (is_round_over && d->options.mode == DIAL_ONCE) {
        dialer_end(d);
        return DIAL_FAILED;
    }
    d->retry_ms = 0;
    if (is_round_over) {
        d->tried = 0;
        d->retry_ms = backoff_next_ms(&d->backoff, d->rng);
    }
    enter(d, STATE_WAIT, now_ms + d->retry_ms);
    return DIAL_FAILED;
}

static enum dial_result address_failed(struct dialer *d, int64_t now_ms)
{
    disconnect(d);
    if (d->failure.rc == CONEY_EREFUSED || !d->address)
        return endpoint_failed(d, now_ms);
    enter(d, STATE_NEXT_ADDRESS, 0);
    return DIAL_GOES_ON;
}

enum dial_result dialer_login_failed(
        struct dialer *d, const struct coney_error *why, int64_t now_ms)
{
    d->failure = *why;
    return address_failed(d, now_ms);
}

void dialer_succeeded(struct dialer *d, int64_t now_ms)
{
    d->up_since_ms = now_ms;
    d->tried = 0;
    enter(d, STATE_UP, CLOCK_NEVER);
}

void dialer_lost(struct dialer *d, int64_t now_ms)
{
    if (d->options.mode == DIAL_ONCE) {
        dialer_end(d);
        return;
    }
    disconnect(d);
    free_addresses(d);
    next_endpoint(d);
    d->tried = 0;
    if (now_ms - d->up_since_ms >= STABLE_MS)
        backoff_reset(&d->backoff);
    d->retry_ms = backoff_next_ms(&d->backoff, d->rng);
    enter(d, STATE_WAIT, now_ms + d->retry_ms);
}

/* --- towards a connection -------------------------------------------------------------
 */

static enum dial_result begin_endpoint(struct dialer *d, int64_t now_ms)
{
    const struct url *url = current(d);
    struct resolve **resolve = &d->resolves[d->endpoint];

    snprintf(d->peer, sizeof(d->peer), "looking up %s", url->host);
    if (!*resolve &&
            resolve_start(url->host, url->port, resolve, &d->failure) != CONEY_OK)
        return endpoint_failed(d, now_ms);
    enter(d, STATE_RESOLVE, now_ms + d->options.connect_timeout_ms);
    return DIAL_GOES_ON;
}

static enum dial_result continue_resolve(struct dialer *d, int64_t now_ms)
{
    struct resolve **resolve = &d->resolves[d->endpoint];

    if (!resolve_is_done(*resolve)) {
        if (now_ms < d->deadline_ms)
            return DIAL_GOES_ON;
        error_set(&d->failure, CONEY_ETIMEOUT,
                "%s: the name server has not answered in %u ms", current(d)->label,
                d->options.connect_timeout_ms);
        return endpoint_failed(d, now_ms);
    }
    enum coney_rc rc = resolve_take(*resolve, &d->addresses, &d->failure);
    d->dead_resolve = *resolve;
    *resolve = NULL;
    if (rc != CONEY_OK)
        return endpoint_failed(d, now_ms);
    d->address = d->addresses;
    enter(d, STATE_NEXT_ADDRESS, 0);
    return DIAL_GOES_ON;
}

static enum dial_result begin_address(struct dialer *d, int64_t now_ms)
{
    const struct url *url = current(d);
    struct transport_options options = {.tls = url->is_tls ? d->options.tls : NULL,
            .host = url->host,
            .user_timeout_ms = d->options.user_timeout_ms};
    const struct addrinfo *address = d->address;

    d->address = address->ai_next;
    enter(d, STATE_CONNECT, now_ms + d->options.connect_timeout_ms);
    if (transport_open(address, &options, &d->transport, &d->failure) != CONEY_OK) {
        error_prefix(&d->failure, "%s", url->label);
        return address_failed(d, now_ms);
    }
    snprintf(d->peer, sizeof(d->peer), "connecting to %s", transport_peer(d->transport));
    return DIAL_GOES_ON;
}

static enum dial_result continue_connect(struct dialer *d, short revents, int64_t now_ms)
{
    const char *label = current(d)->label;
    enum coney_rc rc = transport_continue(d->transport, revents, &d->failure);

    if (rc == CONEY_OK && transport_phase(d->transport) == TRANSPORT_READY) {
        snprintf(d->peer, sizeof(d->peer), "%s", transport_peer(d->transport));
        enter(d, STATE_LOGIN, d->deadline_ms);
        return DIAL_CONNECTED;
    }
    if (rc != CONEY_OK) {
        error_prefix(&d->failure, "%s", label);
        return address_failed(d, now_ms);
    }
    if (now_ms < d->deadline_ms)
        return DIAL_GOES_ON;
    error_set(&d->failure, CONEY_ETIMEOUT, "%s: no %s with %s in %u ms", label,
            transport_phase(d->transport) == TRANSPORT_CONNECTING ? "connection"
                                                                  : "TLS handshake",
            transport_peer(d->transport), d->options.connect_timeout_ms);
    return address_failed(d, now_ms);
}

enum dial_result dialer_step(struct dialer *d, short revents, int64_t now_ms)
{
    switch (d->state) {
    case STATE_WAIT:
        return now_ms >= d->deadline_ms ? begin_endpoint(d, now_ms) : DIAL_GOES_ON;
    case STATE_RESOLVE:
        return continue_resolve(d, now_ms);
    case STATE_NEXT_ADDRESS:
        return begin_address(d, now_ms);
    case STATE_CONNECT:
        return continue_connect(d, revents, now_ms);
    case STATE_LOGIN:
    case STATE_UP:
    case STATE_ENDED:
        break;
    }
    return DIAL_GOES_ON;
}

/* --- what the owner sees --------------------------------------------------------------
 */

int dialer_fd(const struct dialer *d)
{
    if (d->transport)
        return transport_fd(d->transport);
    return d->state == STATE_RESOLVE ? resolve_fd(d->resolves[d->endpoint]) : -1;
}

short dialer_wants(const struct dialer *d)
{
    if (d->transport)
        return transport_wants(d->transport);
    return d->state == STATE_RESOLVE ? POLLIN : 0;
}

int64_t dialer_deadline_ms(const struct dialer *d)
{
    if (d->dead_transport || d->dead_resolve || d->state == STATE_NEXT_ADDRESS)
        return 0;
    if (d->state == STATE_RESOLVE && resolve_is_done(d->resolves[d->endpoint]))
        return 0;
    return d->deadline_ms;
}

struct transport *dialer_transport(const struct dialer *d)
{
    return d->state == STATE_LOGIN || d->state == STATE_UP ? d->transport : NULL;
}

size_t dialer_endpoint(const struct dialer *d)
{
    return d->endpoint;
}

const char *dialer_peer(const struct dialer *d)
{
    return d->peer;
}

const struct coney_error *dialer_error(const struct dialer *d)
{
    return &d->failure;
}

int64_t dialer_retry_ms(const struct dialer *d)
{
    return d->retry_ms;
}
