/* SPDX-License-Identifier: MIT */
/* wire.c - the loop around a session that a verb waits in. */
#include "cli/wire.h"

#include "base/clock.h"
#include "base/error.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum { ANSWER_MS = 10000, GOODBYE_MS = 1000, COOKIE_PUBLISHED = 1 };

struct wire {
    struct session *session; /* owned */
    struct amqp_channel channel;
    sigset_t mask;
    bool has_mask;
};

struct session *wire_session(struct wire *w)
{
    return w->session;
}

struct amqp_channel wire_channel(const struct wire *w)
{
    return w->channel;
}

void wire_set_mask(struct wire *w, const sigset_t *mask)
{
    w->mask = *mask;
    w->has_mask = true;
}

/* --- waiting ------------------------------------------------------------------------ */

/* False when a signal came first. */
static bool wait_and_step(struct wire *w, int64_t deadline_ms)
{
    int64_t session_ms = session_deadline_ms(w->session);
    int64_t until_ms = session_ms < deadline_ms ? session_ms : deadline_ms;
    int64_t now_ms = clock_mono_ms();
    int64_t wait_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    struct timespec span = {
            .tv_sec = (time_t)(wait_ms / 1000), .tv_nsec = wait_ms % 1000 * 1000000};
    struct pollfd fd = {
            .fd = session_fd(w->session), .events = session_wants(w->session)};

    int ready = ppoll(&fd, 1, until_ms == CLOCK_NEVER ? NULL : &span,
            w->has_mask ? &w->mask : NULL);
    session_step(w->session, ready > 0 ? fd.revents : 0, clock_mono_ms());
    return ready >= 0;
}

/* An event, or CONEY_ETIMEOUT. */
static enum coney_rc next_event(
        struct wire *w, int64_t deadline_ms, struct session_event *ev)
{
    /* What was queued by calls leaves with a step, also when an event waits already. */
    session_step(w->session, 0, clock_mono_ms());
    while (!session_next_event(w->session, ev))
        if (clock_mono_ms() >= deadline_ms || !wait_and_step(w, deadline_ms))
            return CONEY_ETIMEOUT;
    return CONEY_OK;
}

static enum coney_rc lost(const struct session_event *ev, struct coney_error *err)
{
    enum coney_rc rc = ev->error.rc == CONEY_OK ? CONEY_ECLOSED : ev->error.rc;
    return error_set(err, rc, "%s", ev->error.text);
}

enum coney_rc wire_next(struct wire *w, int64_t deadline_ms, struct session_event *ev,
        struct coney_error *err)
{
    enum coney_rc rc = next_event(w, deadline_ms, ev);
    while (rc == CONEY_OK &&
            (ev->type == SESSION_BLOCKED || ev->type == SESSION_UNBLOCKED))
        rc = next_event(w, deadline_ms, ev);
    if (rc != CONEY_OK)
        return rc;
    if (ev->type == SESSION_DOWN || ev->type == SESSION_CHANNEL_CLOSED)
        return lost(ev, err);
    if (ev->type == SESSION_CANCELLED)
        return error_set(err, CONEY_ECLOSED, "somebody has deleted our queue");
    return CONEY_OK;
}

enum coney_rc wire_await(struct wire *w, uint64_t cookie, struct coney_error *err)
{
    int64_t deadline_ms = clock_mono_ms() + ANSWER_MS;
    struct session_event ev;

    for (;;) {
        enum coney_rc rc = wire_next(w, deadline_ms, &ev, err);
        if (rc == CONEY_ETIMEOUT)
            return error_set(
                    err, rc, "no answer from the broker in %d s", ANSWER_MS / 1000);
        if (rc != CONEY_OK)
            return rc;
        bool is_it = ev.type == SESSION_REPLY && ev.cookie == cookie;
        session_event_fini(&ev);
        if (is_it)
            return CONEY_OK;
    }
}

/* Nothing is published beside it, so that the next outcome is this one's. */
static enum coney_rc await_outcome(
        struct wire *w, enum publish_outcome *outcome, struct coney_error *err)
{
    int64_t deadline_ms = clock_mono_ms() + ANSWER_MS;
    struct session_event ev;

    for (;;) {
        enum coney_rc rc = wire_next(w, deadline_ms, &ev, err);
        if (rc == CONEY_ETIMEOUT)
            return error_set(err, rc, "the broker takes no messages%s",
                    session_is_blocked(w->session)
                            ? ": it has raised an alarm over its memory or disk"
                            : "");
        if (rc != CONEY_OK)
            return rc;
        bool is_it = ev.type == SESSION_PUBLISHED;
        *outcome = ev.outcome;
        session_event_fini(&ev);
        if (is_it)
            return CONEY_OK;
    }
}

enum coney_rc wire_publish(struct wire *w, const struct publish *p,
        enum publish_outcome *outcome, struct coney_error *err)
{
    enum coney_rc rc = session_confirm_select(w->session, w->channel);
    if (rc == CONEY_OK)
        rc = session_publish(w->session, w->channel, p, COOKIE_PUBLISHED);
    if (rc != CONEY_OK)
        return error_set(err, rc, "the message can't be published");
    return await_outcome(w, outcome, err);
}

/* --- beginning and end -------------------------------------------------------------- */

/* The session has deadlines of its own for each address. */
static enum coney_rc connect_session(struct wire *w, struct coney_error *err)
{
    struct session_event ev;
    enum coney_rc rc = wire_next(w, CLOCK_NEVER, &ev, err);
    if (rc == CONEY_OK)
        rc = session_channel_open(w->session, &w->channel);
    return rc;
}

enum coney_rc wire_open(const struct session_options *options, struct rng *rng,
        struct wire **out, struct coney_error *err)
{
    struct session_options once = *options;
    struct wire *w = calloc(1, sizeof(*w));

    *out = NULL;
    if (!w)
        return error_set_nomem(err);
    once.mode = SESSION_ONCE;
    enum coney_rc rc = session_new(&once, rng, &w->session, err);
    if (rc == CONEY_OK)
        rc = connect_session(w, err);
    if (rc == CONEY_OK) {
        *out = w;
        return CONEY_OK;
    }
    session_free(w->session);
    free(w);
    return rc;
}

void wire_close(struct wire *w)
{
    struct session_event ev;
    int64_t deadline_ms = clock_mono_ms() + GOODBYE_MS;
    bool is_over = !w || !session_is_up(w->session);

    if (!is_over)
        session_close(w->session, GOODBYE_MS);
    while (!is_over && next_event(w, deadline_ms, &ev) == CONEY_OK) {
        is_over = ev.type == SESSION_DOWN;
        session_event_fini(&ev);
    }
    if (w)
        session_free(w->session);
    free(w);
}
