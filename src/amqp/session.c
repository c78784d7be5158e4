/* SPDX-License-Identifier: MIT */
/*
 * session.c - a link on whatever connection the dialer brings up, and up again.
 *
 *   DIALLING -> LOGIN -> UP -> CLOSING -> ENDED
 *
 * A login that fails and a connection that is lost lead back to DIALLING.
 */
#include "amqp/session_impl.h"
#include "base/clock.h"
#include "base/error.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state {
    STATE_DIALLING,
    STATE_LOGIN,
    STATE_UP,
    STATE_CLOSING, /* connection.close is on the way */
    STATE_ENDED
};

enum {
    READ_SIZE = 128 * 1024,
    WRITES_MAX = 4, /* of one step: TLS encrypts in slices */
};

struct session {
    struct settings settings;
    struct dialer *dialer; /* owned */
    enum state state;
    int64_t close_deadline_ms;

    /* owned; also after its end, until its events are taken */
    struct link *link;

    uint32_t generation; /* of channels, over all connections */

    bool has_up; /* SESSION_UP is to be told */
    bool has_down;
    struct session_event down;
    bool is_close_wanted;
    unsigned close_timeout_ms;
    char broker[64];
};

static struct transport *transport(const struct session *s)
{
    return dialer_transport(s->dialer);
}

/* --- making and unmaking --------------------------------------------------------------
 */

enum coney_rc session_new(const struct session_options *options, struct rng *rng,
        struct session **out, struct coney_error *err)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return error_set_nomem(err);
    enum coney_rc rc = settings_init(&s->settings, options, err);
    if (rc == CONEY_OK) {
        s->dialer = dialer_new(&s->settings.dialer, rng);
        rc = s->dialer ? CONEY_OK : error_set_nomem(err);
    }
    if (rc != CONEY_OK) {
        session_free(s);
        return rc;
    }
    s->settings.link.generation = &s->generation;
    *out = s;
    return CONEY_OK;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    dialer_free(s->dialer);
    link_free(s->link);
    settings_fini(&s->settings);
    free(s);
}

/* --- ends -----------------------------------------------------------------------------
 */

/* Tell the owner, after whatever events the link still has. */
static void announce_down(struct session *s, const struct coney_error *why, unsigned code)
{
    int64_t retry_ms = dialer_retry_ms(s->dialer);
    s->down = (struct session_event){
            .type = SESSION_DOWN, .code = code, .error = *why, .retry_ms = retry_ms};
    s->has_down = true;
    s->state = retry_ms < 0 ? STATE_ENDED : STATE_DIALLING;
}

static void end(struct session *s, const struct coney_error *why, unsigned code)
{
    dialer_end(s->dialer);
    announce_down(s, why, code);
}

/* A connection that was up is no more. */
static void connection_lost(struct session *s, int64_t now_ms)
{
    if (s->state == STATE_CLOSING)
        dialer_end(s->dialer);
    else
        dialer_lost(s->dialer, now_ms);
    announce_down(s, link_error(s->link), link_error_code(s->link));
}

/* --- towards a connection -------------------------------------------------------------
 */

static void login_failed(
        struct session *s, const struct coney_error *why, unsigned code, int64_t now_ms)
{
    s->state = STATE_DIALLING;
    if (dialer_login_failed(s->dialer, why, now_ms) == DIAL_FAILED)
        announce_down(s, why, code);
}

static void begin_login(struct session *s, int64_t now_ms)
{
    const struct broker_url *broker = &s->settings.brokers[dialer_endpoint(s->dialer)];
    const struct url *url = &broker->url;
    struct link_options options = s->settings.link;
    struct coney_error err;

    options.host = url->label;
    options.user = s->settings.user ? s->settings.user : url->user ? url->user : "guest";
    options.password = s->settings.password            ? s->settings.password
                       : url->password                 ? url->password
                       : s->settings.user || url->user ? ""
                                                       : "guest";
    options.vhost = broker->vhost;
    s->state = STATE_LOGIN;
    if (link_new(&options, now_ms, &s->link) != CONEY_OK) {
        error_set_nomem(&err);
        login_failed(s, &err, 0, now_ms);
    }
}

static void continue_dialling(struct session *s, short revents, int64_t now_ms)
{
    link_free(s->link);
    s->link = NULL;
    switch (dialer_step(s->dialer, revents, now_ms)) {
    case DIAL_GOES_ON:
        return;
    case DIAL_CONNECTED:
        begin_login(s, now_ms);
        return;
    case DIAL_FAILED:
        announce_down(s, dialer_error(s->dialer), 0);
        return;
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
    rc = transport_read(transport(s), space, READ_SIZE, &got, &err);
    if (rc != CONEY_OK)
        link_input_end(s->link, &err);
    else if (got > 0)
        link_input_commit(s->link, got, now_ms);
}

static bool has_output(const struct session *s)
{
    return link_output(s->link).len > 0 || transport_unsent(transport(s)) > 0;
}

static void write_output(struct session *s, short revents, int64_t now_ms)
{
    struct coney_error err;

    for (int i = 0; i < WRITES_MAX && has_output(s); i++) {
        if (!transport_can_write(transport(s), i == 0 ? revents : 0))
            return;
        size_t taken;
        enum coney_rc rc =
                transport_write(transport(s), link_output(s->link), &taken, &err);
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
           transport_has_input(transport(s)) || now_ms >= link_deadline_ms(s->link);
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
    dialer_succeeded(s->dialer, now_ms);
    s->has_up = true;
    s->state = STATE_UP;
}

static void continue_login(struct session *s, short revents, int64_t now_ms)
{
    struct coney_error err;

    exchange(s, revents, now_ms);
    if (link_phase(s->link) == LINK_UP) {
        logged_in(s, now_ms);
        return;
    }
    if (link_phase(s->link) == LINK_OVER) {
        err = *link_error(s->link);
        login_failed(s, &err, link_error_code(s->link), now_ms);
    } else if (now_ms >= dialer_deadline_ms(s->dialer)) {
        error_set(&err, CONEY_ETIMEOUT, "%s: no answer to the login in %u ms",
                s->settings.brokers[dialer_endpoint(s->dialer)].url.label,
                s->settings.dialer.connect_timeout_ms);
        login_failed(s, &err, 0, now_ms);
    }
}

static void continue_up(struct session *s, short revents, int64_t now_ms)
{
    exchange(s, revents, now_ms);
    if (s->state == STATE_CLOSING && now_ms >= s->close_deadline_ms)
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
        s->state = STATE_CLOSING;
        s->close_deadline_ms = now_ms + s->close_timeout_ms;
    } else if (s->state != STATE_CLOSING && s->state != STATE_ENDED) {
        end(s, &nothing, 0);
    }
}

void session_step(struct session *s, short revents, int64_t now_ms)
{
    dialer_bury(s->dialer);
    if (s->has_down)
        return; /* the owner has not heard of the last end yet */
    if (s->link)
        link_release_names(s->link);
    if (s->is_close_wanted)
        begin_close(s, now_ms);

    switch (s->state) {
    case STATE_DIALLING:
        continue_dialling(s, revents, now_ms);
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
    return dialer_fd(s->dialer);
}

short session_wants(const struct session *s)
{
    short wants = dialer_wants(s->dialer);
    /* Without room for more, readable would only mean awake. */
    if (s->link && transport(s) && !link_wants_input(s->link))
        wants = (short)(wants & ~POLLIN);
    return wants;
}

/* Something that needs no other's doing. */
static bool is_step_due(const struct session *s)
{
    if (s->has_down || s->has_up || s->is_close_wanted)
        return true;
    if (!s->link || !transport(s))
        return false;
    return link_has_work(s->link) || transport_has_input(transport(s)) ||
           (has_output(s) && transport_can_write(transport(s), 0));
}

int64_t session_deadline_ms(const struct session *s)
{
    if (is_step_due(s))
        return 0;
    int64_t deadline_ms = dialer_deadline_ms(s->dialer);
    if (s->state == STATE_CLOSING && s->close_deadline_ms < deadline_ms)
        deadline_ms = s->close_deadline_ms;
    if (s->link && transport(s) && link_deadline_ms(s->link) < deadline_ms)
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

struct session_place session_place(const struct session *s)
{
    const struct broker_url *b = &s->settings.brokers[dialer_endpoint(s->dialer)];
    const char *user = s->settings.user ? s->settings.user : b->url.user;

    return (struct session_place){
            .host = b->url.host,
            .port = b->url.port,
            .user = user ? user : "guest",
            .vhost = b->vhost,
            .tls = b->url.is_tls,
    };
}

const char *session_peer(const struct session *s)
{
    return dialer_peer(s->dialer);
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
    return s->link && transport(s)
                   ? link_output(s->link).len + transport_unsent(transport(s))
                   : 0;
}
