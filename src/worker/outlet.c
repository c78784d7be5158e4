/* SPDX-License-Identifier: MIT */
/* outlet.c - a line of outgoing messages in front of two confirmed channels. */
#include "worker/outlet.h"

#include "base/error.h"
#include "loop/driver.h"

#include <assert.h>
#include <stdlib.h>

enum {
    WINDOW = 1000,                /* unconfirmed at once, per channel */
    OUTPUT_MAX = 8 * 1024 * 1024, /* bytes waiting in the session */
    CLOSE_TIMEOUT_MS = 2000,
    REOPEN_MS = 10000 /* after the broker closed a channel over a publish */
};

TAILQ_HEAD(outgoing_line, outgoing);

struct outlet {
    struct session *session; /* owned */
    struct driver *driver;   /* owned */
    struct outlet_callbacks callbacks;
    struct amqp_channel channels[OUTLET_CHANNELS];
    struct outgoing_line waiting[OUTLET_CHANNELS];
    struct outgoing_line sent;
    struct outgoing_line unfit; /* can't be written as AMQP; told from the timer */
    size_t count;
    uv_timer_t *timer; /* closed with the outlet; freed by its close callback */
    bool retired;
    bool closing;
};

static void open_channels(struct outlet *o)
{
    for (int i = 0; i < OUTLET_CHANNELS; i++) {
        if (session_channel_is_open(o->session, o->channels[i]))
            continue;
        if (session_channel_open(o->session, &o->channels[i]) != CONEY_OK ||
                session_confirm_select(o->session, o->channels[i]) != CONEY_OK)
            o->channels[i] = (struct amqp_channel){.number = 0};
    }
}

static bool can_send(const struct outlet *o, enum outlet_channel channel)
{
    struct amqp_channel ch = o->channels[channel];
    return session_channel_is_open(o->session, ch) && !session_is_blocked(o->session) &&
           session_unconfirmed(o->session, ch) < WINDOW &&
           session_output_len(o->session) < OUTPUT_MAX;
}

static uint64_t cookie_of(struct outgoing *out)
{
    return (uint64_t)(uintptr_t)out;
}

static struct outgoing *outgoing_of(uint64_t cookie)
{
    return (struct outgoing *)(uintptr_t)cookie;
}

static void move(
        struct outgoing *out, struct outgoing_line *from, struct outgoing_line *to)
{
    TAILQ_REMOVE(from, out, entry);
    TAILQ_INSERT_TAIL(to, out, entry);
}

static void on_timer(uv_timer_t *timer);

/* Send what may leave on one channel. */
static void pump_channel(struct outlet *o, enum outlet_channel channel)
{
    struct outgoing_line *line = &o->waiting[channel];
    struct outgoing *out;

    while ((out = TAILQ_FIRST(line)) && can_send(o, channel)) {
        struct publish p = {
                .exchange = out->exchange,
                .routing_key = out->routing_key,
                .mandatory = out->mandatory,
                .envelope = &out->envelope,
        };
        enum coney_rc rc =
                session_publish(o->session, o->channels[channel], &p, cookie_of(out));
        if (rc == CONEY_EINVAL) {
            out->state = OUTGOING_SENT;
            move(out, line, &o->unfit);
            uv_timer_start(o->timer, on_timer, 0, 0);
        } else if (rc == CONEY_OK) {
            out->state = OUTGOING_SENT;
            move(out, line, &o->sent);
        } else {
            return; /* full or going down: an event will bring us back */
        }
    }
}

static void pump(struct outlet *o)
{
    for (int i = 0; i < OUTLET_CHANNELS; i++)
        pump_channel(o, (enum outlet_channel)i);
}

static void finish_retiring(struct outlet *o)
{
    if (!o->retired || o->count > 0 || o->closing)
        return;
    o->closing = true;
    session_close(o->session, CLOSE_TIMEOUT_MS);
}

static void tell(struct outlet *o, struct outgoing_line *line, struct outgoing *out,
        enum publish_outcome outcome)
{
    TAILQ_REMOVE(line, out, entry);
    out->state = OUTGOING_IDLE;
    o->count--;
    o->callbacks.on_published(o->callbacks.ctx, out, outcome);
}

static void on_timer(uv_timer_t *timer)
{
    struct outlet *o = timer->data;
    struct outgoing *out;

    while ((out = TAILQ_FIRST(&o->unfit)))
        tell(o, &o->unfit, out, PUBLISH_RETURNED);
    outlet_reopen(o);
    finish_retiring(o);
}

static void handle_down(struct outlet *o, const struct session_event *ev)
{
    if (o->closing && ev->retry_ms < 0) {
        o->callbacks.on_empty(o->callbacks.ctx, o);
        return;
    }
    o->callbacks.on_down(o->callbacks.ctx, ev);
}

static void on_event(void *ctx, struct session_event *ev)
{
    struct outlet *o = ctx;

    switch (ev->type) {
    case SESSION_UP:
        o->callbacks.on_up(o->callbacks.ctx, o->session);
        open_channels(o);
        pump(o);
        break;
    case SESSION_DOWN:
        handle_down(o, ev);
        return; /* the outlet may be gone */
    case SESSION_UNBLOCKED:
        pump(o);
        break;
    case SESSION_PUBLISHED:
        assert(outgoing_of(ev->cookie)->state == OUTGOING_SENT);
        tell(o, &o->sent, outgoing_of(ev->cookie), ev->outcome);
        pump(o);
        finish_retiring(o);
        break;
    case SESSION_CHANNEL_CLOSED:
        o->callbacks.on_refused(o->callbacks.ctx, &ev->error);
        uv_timer_start(o->timer, on_timer, REOPEN_MS, 0);
        break;
    case SESSION_BLOCKED:
    case SESSION_REPLY:
    case SESSION_DELIVERY:
    case SESSION_CANCELLED:
    case SESSION_RETURNED:
        break;
    }
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

enum coney_rc outlet_new(const struct outlet_options *options, struct outlet **out,
        struct coney_error *err)
{
    enum coney_rc rc;
    struct outlet *o = calloc(1, sizeof(*o));

    *out = NULL;
    if (!o)
        return error_set_nomem(err);
    for (int i = 0; i < OUTLET_CHANNELS; i++)
        TAILQ_INIT(&o->waiting[i]);
    TAILQ_INIT(&o->sent);
    TAILQ_INIT(&o->unfit);
    o->callbacks = options->callbacks;
    rc = session_new(options->session, options->rng, &o->session, err);
    if (rc != CONEY_OK)
        goto out;
    rc = CONEY_ENOMEM;
    o->timer = calloc(1, sizeof(*o->timer));
    if (!o->timer)
        goto out;
    uv_timer_init(options->loop, o->timer);
    o->timer->data = o;
    o->driver = driver_new(options->loop, o->session, on_event, o);
    if (!o->driver)
        goto out;
    *out = o;
    return CONEY_OK;
out:
    if (rc == CONEY_ENOMEM)
        error_set_nomem(err);
    outlet_free(o);
    return rc;
}

void outlet_free(struct outlet *o)
{
    if (!o)
        return;
    driver_free(o->driver);
    session_free(o->session);
    if (o->timer)
        uv_close((uv_handle_t *)o->timer, free_timer);
    free(o);
}

void outlet_publish(struct outlet *o, struct outgoing *out)
{
    assert(out->state == OUTGOING_IDLE);
    out->state = OUTGOING_WAITING;
    TAILQ_INSERT_TAIL(&o->waiting[out->channel], out, entry);
    o->count++;
    pump(o);
}

bool outlet_withdraw(struct outlet *o, struct outgoing *out)
{
    if (out->state != OUTGOING_WAITING)
        return out->state == OUTGOING_IDLE;
    TAILQ_REMOVE(&o->waiting[out->channel], out, entry);
    out->state = OUTGOING_IDLE;
    o->count--;
    return true;
}

void outlet_retire(struct outlet *o, struct outlet *to)
{
    for (int i = 0; to && i < OUTLET_CHANNELS; i++) {
        struct outgoing *out;
        while ((out = TAILQ_FIRST(&o->waiting[i]))) {
            move(out, &o->waiting[i], &to->waiting[i]);
            o->count--;
            to->count++;
        }
    }
    if (to)
        pump(to);
    o->retired = true;
    finish_retiring(o);
}

void outlet_reopen(struct outlet *o)
{
    if (!session_is_up(o->session) || o->closing)
        return;
    open_channels(o);
    pump(o);
}

void outgoing_fini(struct outgoing *out)
{
    assert(out->state == OUTGOING_IDLE);
    envelope_fini(&out->envelope);
}
