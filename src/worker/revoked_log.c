/* SPDX-License-Identifier: MIT */
/* revoked_log.c - one channel reads the stream, another writes to it. */
#include "worker/revoked_log.h"

#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    REOPEN_MS = 1000,
    REFUSED_REOPEN_MS = 10000,
    PREFETCH = 256, /* a stream's consumer must have one */
    ACK_EVERY = 64,
    WAITING_MAX = 10000
};

/* An entry on its way into the stream. */
struct entry {
    TAILQ_ENTRY(entry) link;
    struct envelope envelope;
    void *owner; /* NULL: nobody asks */
    bool is_sent;
};

TAILQ_HEAD(entry_list, entry);

struct revoked_log {
    struct declarer *declarer; /* owned */
    struct revoked_log_callbacks callbacks;
    struct rng *rng;
    char *queue; /* owned */
    char *node;  /* owned */
    struct amqp_channel reading;
    struct amqp_channel writing;
    struct entry_list waiting;
    size_t waiting_count;
    char marker[UUID_TEXT_SIZE];
    bool is_read;
    size_t entries; /* since the connect */
    unsigned unacked;
    int64_t reopen_ms; /* CLOCK_NEVER: nothing to be done */
};

static bool is_channel(struct amqp_channel a, struct amqp_channel b)
{
    return a.number != 0 && a.number == b.number && a.generation == b.generation;
}

static uint64_t cookie_of(struct entry *e)
{
    return (uint64_t)(uintptr_t)e;
}

/* --- writing ------------------------------------------------------------------------ */

static void drop_entry(struct revoked_log *l, struct entry *e)
{
    TAILQ_REMOVE(&l->waiting, e, link);
    l->waiting_count--;
    envelope_fini(&e->envelope);
    free(e);
}

static void send_waiting(struct revoked_log *l, struct session *s)
{
    struct entry *e;

    if (!session_channel_is_open(s, l->writing) || session_is_blocked(s))
        return;
    TAILQ_FOREACH(e, &l->waiting, link)
    {
        const struct publish p = {
                .exchange = "",
                .routing_key = l->queue,
                .mandatory = true,
                .envelope = &e->envelope,
        };
        if (!e->is_sent && session_publish(s, l->writing, &p, cookie_of(e)) == CONEY_OK)
            e->is_sent = true;
    }
}

static enum coney_rc add_entry(
        struct revoked_log *l, const struct revocation *r, void *owner)
{
    struct entry *e;

    if (l->waiting_count >= WAITING_MAX)
        return CONEY_ELIMIT;
    e = calloc(1, sizeof(*e));
    if (!e)
        return CONEY_ENOMEM;
    enum coney_rc rc = revocation_encode(r, &e->envelope);
    if (rc != CONEY_OK) {
        free(e);
        return rc;
    }
    e->owner = owner;
    TAILQ_INSERT_TAIL(&l->waiting, e, link);
    l->waiting_count++;
    return CONEY_OK;
}

enum coney_rc revoked_log_write(
        struct revoked_log *l, struct session *s, const struct revocation *r, void *owner)
{
    struct revocation mine = *r;
    mine.node = l->node;
    enum coney_rc rc = add_entry(l, &mine, owner);
    if (rc == CONEY_OK)
        send_waiting(l, s);
    return rc;
}

void revoked_log_forget(struct revoked_log *l, const void *owner)
{
    struct entry *e;
    TAILQ_FOREACH(e, &l->waiting, link)
    if (e->owner == owner)
        e->owner = NULL;
}

/* What is not confirmed goes again; twice in the stream is once in effect. */
static void unsend(struct revoked_log *l)
{
    struct entry *e;
    TAILQ_FOREACH(e, &l->waiting, link)
    e->is_sent = false;
}

static void handle_published(struct revoked_log *l, const struct session_event *ev)
{
    struct entry *e;

    TAILQ_FOREACH(e, &l->waiting, link)
    if (cookie_of(e) == ev->cookie)
        break;
    if (!e)
        return;
    if (ev->outcome != PUBLISH_ACKED) {
        e->is_sent = false;
        l->reopen_ms = clock_mono_ms() + REOPEN_MS;
        return;
    }
    void *owner = e->owner;
    drop_entry(l, e);
    if (owner)
        l->callbacks.on_written(l->callbacks.ctx, owner);
}

/* --- reading ------------------------------------------------------------------------ */

static enum coney_rc consume(struct revoked_log *l, struct session *s)
{
    struct arena *a = arena_new(0);
    struct table arguments = {.count = 0};
    const struct consume c = {
            .queue = l->queue, .consumer_tag = "", .arguments = &arguments};
    enum coney_rc rc = a ? session_channel_open(s, &l->reading) : CONEY_ENOMEM;

    if (rc == CONEY_OK)
        rc = session_qos(s, l->reading, PREFETCH);
    if (rc == CONEY_OK)
        rc = table_set_text(&arguments, a, "x-stream-offset", "first");
    if (rc == CONEY_OK)
        rc = session_consume(s, l->reading, &c, 0);
    arena_free(a);
    return rc;
}

static enum coney_rc write_marker(struct revoked_log *l, struct session *s)
{
    const struct revocation marker = {
            .node = l->node, .at_us = clock_wall_us(), .marker = l->marker};

    rng_uuid(l->rng, l->marker);
    enum coney_rc rc = session_channel_open(s, &l->writing);
    if (rc == CONEY_OK)
        rc = session_confirm_select(s, l->writing);
    if (rc == CONEY_OK)
        rc = add_entry(l, &marker, NULL);
    if (rc == CONEY_OK)
        send_waiting(l, s);
    return rc;
}

static void leave(struct revoked_log *l, struct session *s, int64_t after_ms)
{
    (void)!session_channel_close(s, l->reading);
    (void)!session_channel_close(s, l->writing);
    l->reading = l->writing = (struct amqp_channel){.number = 0};
    l->is_read = false;
    unsend(l);
    l->reopen_ms = clock_mono_ms() + after_ms;
}

static void open_channels(struct revoked_log *l, struct session *s)
{
    l->reopen_ms = CLOCK_NEVER;
    l->is_read = false;
    l->entries = 0;
    l->unacked = 0;
    enum coney_rc rc = consume(l, s);
    if (rc == CONEY_OK)
        rc = write_marker(l, s);
    if (rc != CONEY_OK)
        leave(l, s, REOPEN_MS);
}

static void take_entry(struct revoked_log *l, const struct envelope *e)
{
    struct revocation r;

    /* Of a later version, or nonsense: not for us. */
    if (revocation_decode(e, &r, NULL) != CONEY_OK)
        return;
    if (!r.marker) {
        l->entries++;
        l->callbacks.on_entry(l->callbacks.ctx, &r);
    } else if (!l->is_read && strcmp(r.marker, l->marker) == 0) {
        l->is_read = true;
        l->callbacks.on_read(l->callbacks.ctx, l->entries);
    }
    revocation_fini(&r);
}

static void handle_delivery(
        struct revoked_log *l, struct session *s, const struct delivery *d)
{
    if (d->flaw == DELIVERY_WHOLE)
        take_entry(l, &d->envelope);
    if (++l->unacked < ACK_EVERY)
        return;
    l->unacked = 0;
    if (session_ack(s, l->reading, d->tag, true) != CONEY_OK)
        leave(l, s, REOPEN_MS);
}

/* --- the session's events ----------------------------------------------------------- */

void revoked_log_start(struct revoked_log *l, struct session *s)
{
    if (declarer_start(l->declarer, s) != CONEY_OK)
        l->reopen_ms = clock_mono_ms() + REOPEN_MS;
}

static void after_declaring(struct revoked_log *l, struct session *s)
{
    switch (declarer_state(l->declarer)) {
    case DECLARER_DONE:
        open_channels(l, s);
        break;
    case DECLARER_FAILED:
        l->callbacks.on_refused(l->callbacks.ctx, declarer_error(l->declarer));
        l->reopen_ms = clock_mono_ms() + REFUSED_REOPEN_MS;
        break;
    case DECLARER_IDLE:
    case DECLARER_BUSY:
        break;
    }
}

static void handle_loss(
        struct revoked_log *l, struct session *s, const struct session_event *ev)
{
    struct coney_error err = ev->error;
    if (ev->type == SESSION_CANCELLED)
        error_set(&err, CONEY_ECLOSED, "the stream %s was deleted or moved", l->queue);
    l->callbacks.on_refused(l->callbacks.ctx, &err);
    leave(l, s, REOPEN_MS);
}

static void handle_down(struct revoked_log *l)
{
    l->reading = l->writing = (struct amqp_channel){.number = 0};
    l->is_read = false;
    l->reopen_ms = CLOCK_NEVER;
    unsend(l);
}

void revoked_log_handle(
        struct revoked_log *l, struct session *s, struct session_event *ev)
{
    if (declarer_handle(l->declarer, s, ev)) {
        after_declaring(l, s);
        return;
    }
    if (ev->type == SESSION_DOWN) {
        handle_down(l);
    } else if (ev->type == SESSION_UNBLOCKED) {
        send_waiting(l, s);
    } else if (ev->type == SESSION_PUBLISHED) {
        handle_published(l, ev);
    } else if (is_channel(ev->channel, l->reading) ||
               is_channel(ev->channel, l->writing)) {
        if (ev->type == SESSION_DELIVERY)
            handle_delivery(l, s, &ev->delivery);
        else if (ev->type == SESSION_CHANNEL_CLOSED || ev->type == SESSION_CANCELLED)
            handle_loss(l, s, ev);
    }
}

int64_t revoked_log_deadline_ms(const struct revoked_log *l)
{
    return l->reopen_ms;
}

void revoked_log_tick(struct revoked_log *l, struct session *s, int64_t now_ms)
{
    if (now_ms < l->reopen_ms)
        return;
    l->reopen_ms = CLOCK_NEVER;
    if (!session_is_up(s))
        return;
    if (session_channel_is_open(s, l->reading) && session_channel_is_open(s, l->writing))
        send_waiting(l, s);
    else
        revoked_log_start(l, s);
}

bool revoked_log_is_read(const struct revoked_log *l)
{
    return l->is_read;
}

/* --- making and unmaking ------------------------------------------------------------ */

struct revoked_log *revoked_log_new(const struct revoked_log_options *options)
{
    struct revoked_log *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    TAILQ_INIT(&l->waiting);
    l->callbacks = options->callbacks;
    l->rng = options->rng;
    l->reopen_ms = CLOCK_NEVER;
    l->queue = strdup(options->queue);
    l->node = strdup(options->node);
    l->declarer = declarer_new(options->topology);
    if (l->queue && l->node && l->declarer)
        return l;
    revoked_log_free(l);
    return NULL;
}

void revoked_log_free(struct revoked_log *l)
{
    if (!l)
        return;
    while (!TAILQ_EMPTY(&l->waiting))
        drop_entry(l, TAILQ_FIRST(&l->waiting));
    declarer_free(l->declarer);
    free(l->queue);
    free(l->node);
    free(l);
}
