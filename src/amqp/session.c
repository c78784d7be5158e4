/* SPDX-License-Identifier: MIT */
/*
 * session.c - the state machine that brings a connection up, and up again.
 *
 *   WAIT -> RESOLVE -> NEXT_ADDRESS -> CONNECT -> LOGIN -> UP -> CLOSING -> ENDED
 *
 * An address that fails leads to NEXT_ADDRESS, an endpoint without further addresses to
 * WAIT (for the next endpoint at once, after the last with backoff). A descriptor is
 * never closed and another opened in the same step, so that a poller sees every change.
 */
#include "amqp/backoff.h"
#include "amqp/session_impl.h"
#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state {
    STATE_WAIT,    /* until deadline_ms */
    STATE_RESOLVE, /* the endpoint's name is looked up */
    STATE_NEXT_ADDRESS,
    STATE_CONNECT, /* TCP and TLS */
    STATE_LOGIN,
    STATE_UP,
    STATE_CLOSING, /* connection.close is on the way */
    STATE_ENDED
};

enum {
    READ_SIZE = 128 * 1024,
    WRITES_MAX = 4, /* of one step: TLS encrypts in slices */
    /* A connection that lasted so long starts the backoff afresh. */
    STABLE_MS = 5000
};

struct session {
    struct settings settings;
    struct rng *rng; /* borrowed */
    enum state state;
    int64_t deadline_ms; /* of the state; CLOCK_NEVER when it has none */

    size_t endpoint;            /* the one being tried */
    size_t tried;               /* endpoints since the last wait */
    struct backoff backoff;     /* rounds that failed since the last stable connection */
    struct addrinfo *addresses; /* owned */
    struct addrinfo *address;   /* the next one to try */

    struct transport *transport;      /* owned; NULL while nothing is open */
    struct transport *dead_transport; /* owned; see bury_dead() */
    struct resolve *dead_resolve;     /* owned */
    struct link *link; /* owned; also after its end, until its events are taken */
    int64_t up_since_ms;
    struct coney_error failure; /* of the latest attempt */

    uint32_t generation; /* of channels, over all connections */

    bool has_up; /* SESSION_UP is to be told */
    bool has_down;
    struct session_event down;
    bool is_close_wanted;
    unsigned close_timeout_ms;
    char peer[160];
    char broker[64];
};

static struct endpoint *current(const struct session *s)
{
    return &s->settings.endpoints[s->endpoint];
}

static void enter(struct session *s, enum state state, int64_t deadline_ms)
{
    s->state = state;
    s->deadline_ms = deadline_ms;
}

/* --- making and unmaking --------------------------------------------------------------
 */

enum coney_rc session_new(const struct session_options *options, struct rng *rng,
        struct session **out, struct coney_error *err)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return error_set_nomem(err);
    s->rng = rng;
    enum coney_rc rc = settings_init(&s->settings, options, err);
    if (rc != CONEY_OK) {
        session_free(s);
        return rc;
    }
    s->settings.link.generation = &s->generation;
    s->backoff.base_ms = s->settings.backoff_base_ms;
    s->backoff.cap_ms = s->settings.backoff_cap_ms;
    enter(s, STATE_WAIT, 0);
    *out = s;
    return CONEY_OK;
}

static void free_addresses(struct session *s)
{
    if (s->addresses)
        freeaddrinfo(s->addresses);
    s->addresses = NULL;
    s->address = NULL;
}

/*
 * A descriptor is closed one step after session_fd() ceased to give it, when its poller
 * has let go of it. Closed under epoll, it would stay registered for as long as a child
 * between fork and exec has a copy, and be reported under the number of its successor.
 */
static void bury_dead(struct session *s)
{
    transport_free(s->dead_transport);
    s->dead_transport = NULL;
    resolve_free(s->dead_resolve);
    s->dead_resolve = NULL;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    bury_dead(s);
    transport_free(s->transport);
    link_free(s->link);
    free_addresses(s);
    settings_fini(&s->settings);
    free(s);
}

/* --- ends -----------------------------------------------------------------------------
 */

static void disconnect(struct session *s)
{
    if (!s->transport)
        return;
    assert(!s->dead_transport);
    s->dead_transport = s->transport;
    s->transport = NULL;
}

/* Tell the owner, after whatever events the link still has. */
static void announce_down(
        struct session *s, const struct coney_error *why, unsigned code, int64_t retry_ms)
{
    s->down = (struct session_event){
            .type = SESSION_DOWN, .code = code, .error = *why, .retry_ms = retry_ms};
    s->has_down = true;
}

static void end(struct session *s, const struct coney_error *why, unsigned code)
{
    disconnect(s);
    free_addresses(s);
    enter(s, STATE_ENDED, CLOCK_NEVER);
    announce_down(s, why, code, -1);
}

static void next_endpoint(struct session *s)
{
    s->endpoint = (s->endpoint + 1) % s->settings.endpoint_count;
}

/* The endpoint is out of addresses, or has refused us in a way that others would repeat.
 */
static void endpoint_failed(struct session *s, unsigned code, int64_t now_ms)
{
    bool is_round_over = ++s->tried >= s->settings.endpoint_count;

    free_addresses(s);
    next_endpoint(s);
    if (is_round_over && s->settings.mode == SESSION_ONCE) {
        end(s, &s->failure, code);
        return;
    }
    int64_t retry_ms = 0;
    if (is_round_over) {
        s->tried = 0;
        retry_ms = backoff_next_ms(&s->backoff, s->rng);
    }
    enter(s, STATE_WAIT, now_ms + retry_ms);
    announce_down(s, &s->failure, code, retry_ms);
}

static void address_failed(struct session *s, unsigned code, int64_t now_ms)
{
    disconnect(s);
    if (s->failure.rc == CONEY_EREFUSED || !s->address) {
        endpoint_failed(s, code, now_ms);
        return;
    }
    link_free(s->link);
    s->link = NULL;
    enter(s, STATE_NEXT_ADDRESS, 0);
}

/* A connection that was up is no more. */
static void connection_lost(struct session *s, int64_t now_ms)
{
    const struct coney_error *why = link_error(s->link);
    unsigned code = link_error_code(s->link);

    if (s->state == STATE_CLOSING || s->settings.mode == SESSION_ONCE) {
        end(s, why, code);
        return;
    }
    disconnect(s);
    free_addresses(s);
    next_endpoint(s);
    s->tried = 0;
    if (now_ms - s->up_since_ms >= STABLE_MS)
        backoff_reset(&s->backoff);
    int64_t retry_ms = backoff_next_ms(&s->backoff, s->rng);
    enter(s, STATE_WAIT, now_ms + retry_ms);
    announce_down(s, why, code, retry_ms);
}

/* --- towards a connection -------------------------------------------------------------
 */

static void begin_endpoint(struct session *s, int64_t now_ms)
{
    struct endpoint *e = current(s);

    link_free(s->link);
    s->link = NULL;
    snprintf(s->peer, sizeof(s->peer), "looking up %s", e->url.host);
    if (!e->resolve && resolve_start(e->url.host, e->url.port, &e->resolve,
                               &s->failure) != CONEY_OK) {
        endpoint_failed(s, 0, now_ms);
        return;
    }
    enter(s, STATE_RESOLVE, now_ms + s->settings.connect_timeout_ms);
}

static void continue_resolve(struct session *s, int64_t now_ms)
{
    struct endpoint *e = current(s);

    if (!resolve_is_done(e->resolve)) {
        if (now_ms < s->deadline_ms)
            return;
        error_set(&s->failure, CONEY_ETIMEOUT,
                "%s: the name server has not answered in %u ms", e->url.label,
                s->settings.connect_timeout_ms);
        endpoint_failed(s, 0, now_ms);
        return;
    }
    enum coney_rc rc = resolve_take(e->resolve, &s->addresses, &s->failure);
    s->dead_resolve = e->resolve;
    e->resolve = NULL;
    if (rc != CONEY_OK) {
        endpoint_failed(s, 0, now_ms);
        return;
    }
    s->address = s->addresses;
    enter(s, STATE_NEXT_ADDRESS, 0);
}

static void begin_address(struct session *s, int64_t now_ms)
{
    const struct endpoint *e = current(s);
    struct transport_options options = {
            .tls = e->url.scheme == URL_AMQPS ? s->settings.tls : NULL,
            .host = e->url.host,
            .user_timeout_ms = s->settings.link.heartbeat_s * 2000};
    const struct addrinfo *address = s->address;

    s->address = address->ai_next;
    enter(s, STATE_CONNECT, now_ms + s->settings.connect_timeout_ms);
    if (transport_open(address, &options, &s->transport, &s->failure) != CONEY_OK) {
        error_prefix(&s->failure, "%s", e->url.label);
        address_failed(s, 0, now_ms);
        return;
    }
    snprintf(s->peer, sizeof(s->peer), "connecting to %s", transport_peer(s->transport));
}

static void begin_login(struct session *s, int64_t now_ms)
{
    const struct url *url = &current(s)->url;
    struct link_options options = s->settings.link;
    int64_t deadline_ms = s->deadline_ms;

    options.host = url->label;
    options.user = s->settings.user ? s->settings.user : url->user ? url->user : "guest";
    options.password = s->settings.password            ? s->settings.password
                       : url->password                 ? url->password
                       : s->settings.user || url->user ? ""
                                                       : "guest";
    options.vhost = url->vhost;
    snprintf(s->peer, sizeof(s->peer), "%s", transport_peer(s->transport));
    enum coney_rc rc = link_new(&options, now_ms, &s->link);
    if (rc != CONEY_OK) {
        error_set_nomem(&s->failure);
        address_failed(s, 0, now_ms);
        return;
    }
    enter(s, STATE_LOGIN, deadline_ms); /* one deadline for TCP, TLS and login */
}

static void continue_connect(struct session *s, short revents, int64_t now_ms)
{
    const char *label = current(s)->url.label;
    enum coney_rc rc = transport_continue(s->transport, revents, &s->failure);

    if (rc == CONEY_OK && transport_phase(s->transport) == TRANSPORT_READY) {
        begin_login(s, now_ms);
        return;
    }
    if (rc != CONEY_OK) {
        error_prefix(&s->failure, "%s", label);
        address_failed(s, 0, now_ms);
    } else if (now_ms >= s->deadline_ms) {
        error_set(&s->failure, CONEY_ETIMEOUT, "%s: no %s with %s in %u ms", label,
                transport_phase(s->transport) == TRANSPORT_CONNECTING ? "connection"
                                                                      : "TLS handshake",
                transport_peer(s->transport), s->settings.connect_timeout_ms);
        address_failed(s, 0, now_ms);
    }
}

/* --- bytes of a connection ------------------------------------------------------------
 */

static void read_input(struct session *s, int64_t now_ms)
{
    uint8_t *space;
    size_t got;
    struct coney_error err;

    enum coney_rc rc = link_input_reserve(s->link, READ_SIZE, &space);
    if (rc != CONEY_OK) {
        error_set_nomem(&err);
        link_abort(s->link, &err);
        return;
    }
    rc = transport_read(s->transport, space, READ_SIZE, &got, &err);
    if (rc != CONEY_OK)
        link_input_end(s->link, &err);
    else if (got > 0)
        link_input_commit(s->link, got, now_ms);
}

static bool has_output(const struct session *s)
{
    return link_output(s->link).len > 0 || transport_unsent(s->transport) > 0;
}

static void write_output(struct session *s, short revents, int64_t now_ms)
{
    struct coney_error err;

    for (int i = 0; i < WRITES_MAX && has_output(s); i++) {
        if (!transport_can_write(s->transport, i == 0 ? revents : 0))
            return;
        size_t taken;
        enum coney_rc rc =
                transport_write(s->transport, link_output(s->link), &taken, &err);
        if (rc != CONEY_OK) {
            /* What the broker said before may explain it. */
            if (link_wants_input(s->link))
                read_input(s, now_ms);
            link_input_end(s->link, &err);
            return;
        }
        if (taken > 0)
            link_output_sent(s->link, taken, now_ms);
    }
}

/* After a pause of the whole machine, bytes may be waiting that prove the peer alive. */
static bool is_input_due(const struct session *s, short revents, int64_t now_ms)
{
    if (!link_wants_input(s->link))
        return false;
    return (revents & (POLLIN | POLLHUP | POLLERR)) ||
           transport_has_input(s->transport) || now_ms >= link_deadline_ms(s->link);
}

static void exchange(struct session *s, short revents, int64_t now_ms)
{
    if (is_input_due(s, revents, now_ms))
        read_input(s, now_ms);
    link_process(s->link);
    link_tick(s->link, now_ms);
    write_output(s, revents, now_ms);
}

/* --- a connection ---------------------------------------------------------------------
 */

static void logged_in(struct session *s, int64_t now_ms)
{
    snprintf(s->broker, sizeof(s->broker), "%s", link_broker(s->link));
    s->up_since_ms = now_ms;
    s->tried = 0;
    s->has_up = true;
    enter(s, STATE_UP, CLOCK_NEVER);
}

static void continue_login(struct session *s, short revents, int64_t now_ms)
{
    exchange(s, revents, now_ms);
    if (link_phase(s->link) == LINK_UP) {
        logged_in(s, now_ms);
        return;
    }
    if (link_phase(s->link) == LINK_OVER) {
        s->failure = *link_error(s->link);
        address_failed(s, link_error_code(s->link), now_ms);
    } else if (now_ms >= s->deadline_ms) {
        error_set(&s->failure, CONEY_ETIMEOUT, "%s: no answer to the login in %u ms",
                current(s)->url.label, s->settings.connect_timeout_ms);
        address_failed(s, 0, now_ms);
    }
}

static void continue_up(struct session *s, short revents, int64_t now_ms)
{
    exchange(s, revents, now_ms);
    if (s->state == STATE_CLOSING && now_ms >= s->deadline_ms)
        link_close(s->link);
    if (link_phase(s->link) == LINK_OVER)
        connection_lost(s, now_ms);
}

static void begin_close(struct session *s, int64_t now_ms)
{
    static const struct coney_error nothing = {.rc = CONEY_OK};

    s->is_close_wanted = false;
    if (s->state == STATE_UP) {
        link_close(s->link);
        enter(s, STATE_CLOSING, now_ms + s->close_timeout_ms);
    } else if (s->state != STATE_CLOSING && s->state != STATE_ENDED) {
        end(s, &nothing, 0);
    }
}

void session_step(struct session *s, short revents, int64_t now_ms)
{
    bury_dead(s);
    if (s->has_down)
        return; /* the owner has not heard of the last end yet */
    if (s->link)
        link_release_names(s->link);
    if (s->is_close_wanted)
        begin_close(s, now_ms);

    switch (s->state) {
    case STATE_WAIT:
        if (now_ms >= s->deadline_ms)
            begin_endpoint(s, now_ms);
        break;
    case STATE_RESOLVE:
        continue_resolve(s, now_ms);
        break;
    case STATE_NEXT_ADDRESS:
        begin_address(s, now_ms);
        break;
    case STATE_CONNECT:
        continue_connect(s, revents, now_ms);
        break;
    case STATE_LOGIN:
        continue_login(s, revents, now_ms);
        break;
    case STATE_UP:
    case STATE_CLOSING:
        continue_up(s, revents, now_ms);
        break;
    case STATE_ENDED:
        break;
    }
}

void session_close(struct session *s, unsigned timeout_ms)
{
    s->is_close_wanted = true;
    s->close_timeout_ms = timeout_ms;
}

/* --- what the owner sees --------------------------------------------------------------
 */

bool session_next_event(struct session *s, struct session_event *ev)
{
    if (s->has_up) {
        s->has_up = false;
        *ev = (struct session_event){.type = SESSION_UP};
        return true;
    }
    if (s->link && link_next_event(s->link, ev))
        return true;
    if (!s->has_down)
        return false;
    s->has_down = false;
    *ev = s->down;
    return true;
}

void session_event_fini(struct session_event *ev)
{
    if (ev->type == SESSION_DELIVERY)
        envelope_fini(&ev->delivery.envelope);
}

int session_fd(const struct session *s)
{
    if (s->transport)
        return transport_fd(s->transport);
    if (s->state == STATE_RESOLVE)
        return resolve_fd(current(s)->resolve);
    return -1;
}

short session_wants(const struct session *s)
{
    if (!s->transport)
        return s->state == STATE_RESOLVE ? POLLIN : 0;
    short wants = transport_wants(s->transport);
    /* Without room for more, readable would only mean awake. */
    if (s->link && !link_wants_input(s->link))
        wants = (short)(wants & ~POLLIN);
    return wants;
}

/* Something that needs no other's doing. */
static bool is_step_due(const struct session *s)
{
    if (s->has_down || s->has_up || s->is_close_wanted || s->dead_transport ||
            s->dead_resolve || s->state == STATE_NEXT_ADDRESS)
        return true;
    if (s->state == STATE_RESOLVE)
        return resolve_is_done(current(s)->resolve);
    if (!s->link || !s->transport)
        return false;
    return link_has_work(s->link) || transport_has_input(s->transport) ||
           (has_output(s) && transport_can_write(s->transport, 0));
}

int64_t session_deadline_ms(const struct session *s)
{
    if (is_step_due(s))
        return 0;
    int64_t deadline_ms = s->deadline_ms;
    if (s->link && s->transport && link_deadline_ms(s->link) < deadline_ms)
        deadline_ms = link_deadline_ms(s->link);
    return deadline_ms;
}

struct link *session_link(const struct session *s)
{
    return s->state == STATE_UP ? s->link : NULL;
}

bool session_is_up(const struct session *s)
{
    return s->state == STATE_UP;
}

const char *session_peer(const struct session *s)
{
    return s->peer;
}

const char *session_broker(const struct session *s)
{
    return s->broker;
}

bool session_is_blocked(const struct session *s)
{
    return s->state == STATE_UP && link_is_blocked(s->link);
}

bool session_is_silent(const struct session *s, int64_t now_ms)
{
    return s->state == STATE_UP && link_is_silent(s->link, now_ms);
}

size_t session_output_len(const struct session *s)
{
    return s->link && s->transport
                   ? link_output(s->link).len + transport_unsent(s->transport)
                   : 0;
}
