/* SPDX-License-Identifier: MIT */
/*
 * store.c - requests that wait, requests that were sent, and outages.
 *
 * An outage begins when the backend is down, and is over with the next request that is
 * carried out, not with the next connection: a server that takes logins and no writes is
 * of no use. Only when nothing waits is the first connection taken for a good sign.
 */
#include "worker/store.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>

enum { META_MAX = 32 * 1024 * 1024 };

enum outage {
    OUTAGE_NONE,
    OUTAGE_WAITED_OUT, /* requests are kept */
    OUTAGE_TOO_LONG    /* the policy decides */
};

struct store {
    struct store_options options;
    struct store_backend *backend; /* owned */
    struct store_requests waiting; /* oldest first */
    struct store_requests sent;
    size_t waiting_count, sent_count;
    enum outage outage;
    int64_t down_since_ms;
    size_t given_up; /* in this outage */
    unsigned ups;    /* in this outage, and nothing was carried out */
    bool is_up;
};

/* --- requests ------------------------------------------------------------------------
 */

void store_request_init(struct store_request *q, enum store_kind kind)
{
    *q = (struct store_request){.kind = kind};
    buffer_init(&q->meta, META_MAX);
    redis_commands_init(&q->commands);
}

void store_request_fini(struct store_request *q)
{
    assert(q->state == STORE_IDLE);
    free(q->id);
    q->id = NULL;
    buffer_fini(&q->meta);
    redis_commands_fini(&q->commands);
    redis_reply_free(q->reply);
    q->reply = NULL;
}

static void unlist(struct store *s, struct store_request *q)
{
    if (q->state == STORE_WAITING) {
        TAILQ_REMOVE(&s->waiting, q, entry);
        s->waiting_count--;
    } else if (q->state == STORE_SENT) {
        TAILQ_REMOVE(&s->sent, q, entry);
        s->sent_count--;
    }
    q->state = STORE_IDLE;
}

static void make_wait(struct store *s, struct store_request *q)
{
    q->state = STORE_WAITING;
    TAILQ_INSERT_TAIL(&s->waiting, q, entry);
    s->waiting_count++;
}

static void finish(struct store *s, struct store_request *q, enum store_outcome outcome)
{
    unlist(s, q);
    if (outcome == STORE_GIVEN_UP && !q->fleeting)
        s->given_up++;
    q->on_done(q->ctx, q, outcome);
}

/* --- making and unmaking -------------------------------------------------------------
 */

struct store *store_new(const struct store_options *options)
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->options = *options;
    TAILQ_INIT(&s->waiting);
    TAILQ_INIT(&s->sent);
    return s;
}

void store_set_backend(struct store *s, struct store_backend *backend)
{
    s->backend = backend;
}

static void forget(struct store_requests *list)
{
    struct store_request *q;
    while ((q = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, q, entry);
        q->state = STORE_IDLE;
    }
}

void store_free(struct store *s)
{
    if (!s)
        return;
    forget(&s->waiting);
    forget(&s->sent);
    if (s->backend)
        s->backend->ops->free(s->backend);
    free(s);
}

/* --- outages -------------------------------------------------------------------------
 */

static bool gives_up(const struct store *s)
{
    return s->outage == OUTAGE_TOO_LONG && s->options.when_down == DOWN_ACK;
}

/* An answer that did not come has been waited for already. */
static int64_t oldest_ms(const struct store *s, int64_t now_ms)
{
    const struct store_request *sent = TAILQ_FIRST(&s->sent);
    const struct store_request *waiting = TAILQ_FIRST(&s->waiting);
    if (sent && sent->since_ms < now_ms)
        now_ms = sent->since_ms;
    if (waiting && waiting->since_ms < now_ms)
        now_ms = waiting->since_ms;
    return now_ms;
}

static void begin_outage(struct store *s, const char *why, int64_t now_ms)
{
    if (s->outage != OUTAGE_NONE)
        return;
    s->outage = OUTAGE_WAITED_OUT;
    s->down_since_ms = oldest_ms(s, now_ms);
    s->given_up = 0;
    s->ups = 0;
    log_error("result store: %s; results are kept for %.1f s", why,
            (double)s->options.retry_for_ms / 1000);
}

static void end_outage(struct store *s, int64_t now_ms)
{
    if (s->outage == OUTAGE_NONE)
        return;
    s->outage = OUTAGE_NONE;
    log_info("result store is back after %.1f s  lost=%zu waiting=%zu",
            (double)(now_ms - s->down_since_ms) / 1000, s->given_up, s->waiting_count);
}

/* Those that came meanwhile are not among them: on_done may submit. */
static void give_up_waiting(struct store *s)
{
    size_t count = s->waiting_count;
    struct store_request *q;
    while (count-- > 0 && (q = TAILQ_FIRST(&s->waiting)))
        finish(s, q, STORE_GIVEN_UP);
}

int64_t store_deadline_ms(const struct store *s)
{
    return s->outage == OUTAGE_WAITED_OUT ? s->down_since_ms + s->options.retry_for_ms
                                          : CLOCK_NEVER;
}

void store_tick(struct store *s, int64_t now_ms)
{
    if (now_ms < store_deadline_ms(s))
        return;
    s->outage = OUTAGE_TOO_LONG;
    log_error("result store is down for %.1f s; %s until it is back  waiting=%zu",
            (double)(now_ms - s->down_since_ms) / 1000,
            s->options.when_down == DOWN_ACK ? "tasks end without a result"
                                             : "tasks are held",
            s->waiting_count);
    if (gives_up(s))
        give_up_waiting(s);
}

/* --- sending -------------------------------------------------------------------------
 */

/* True unless it has to wait. */
static bool send_now(struct store *s, struct store_request *q, int64_t now_ms)
{
    if (!s->is_up || s->backend->ops->send(s->backend, q, now_ms) != CONEY_OK)
        return false;
    q->state = STORE_SENT;
    TAILQ_INSERT_TAIL(&s->sent, q, entry);
    s->sent_count++;
    return true;
}

static void send_waiting(struct store *s, int64_t now_ms)
{
    struct store_request *q;
    while ((q = TAILQ_FIRST(&s->waiting))) {
        unlist(s, q);
        if (send_now(s, q, now_ms))
            continue;
        q->state = STORE_WAITING;
        TAILQ_INSERT_HEAD(&s->waiting, q, entry);
        s->waiting_count++;
        return;
    }
}

bool store_submit(struct store *s, struct store_request *q, int64_t now_ms)
{
    assert(q->state == STORE_IDLE);
    q->since_ms = now_ms;
    q->phase = 0;
    redis_reply_free(q->reply);
    q->reply = NULL;
    /* Behind those that wait already, so that results of one task stay in their order. */
    if (TAILQ_EMPTY(&s->waiting) && send_now(s, q, now_ms))
        return true;
    if (q->fleeting)
        return false;
    if (gives_up(s)) {
        s->given_up++;
        return false;
    }
    make_wait(s, q);
    return true;
}

bool store_withdraw(struct store *s, struct store_request *q)
{
    if (q->state == STORE_SENT)
        return false;
    unlist(s, q);
    return true;
}

void store_move(struct store *s, struct store *to, int64_t now_ms)
{
    struct store_request *q;
    while ((q = TAILQ_FIRST(&s->sent)) || (q = TAILQ_FIRST(&s->waiting))) {
        unlist(s, q);
        q->phase = 0;
        make_wait(to, q);
    }
    send_waiting(to, now_ms);
}

void store_give_up(struct store *s)
{
    struct store_request *q;
    while ((q = TAILQ_FIRST(&s->sent)) || (q = TAILQ_FIRST(&s->waiting)))
        finish(s, q, STORE_GIVEN_UP);
}

size_t store_pending(const struct store *s)
{
    return s->waiting_count + s->sent_count;
}

/* --- the backend's reports -----------------------------------------------------------
 */

void store_is_up(struct store *s, const char *peer, int64_t now_ms)
{
    s->is_up = true;
    if (s->outage == OUTAGE_NONE)
        log_info("connected to redis %s  for=results", peer);
    if (TAILQ_EMPTY(&s->waiting) && s->ups == 0)
        end_outage(s, now_ms);
    s->ups++;
    send_waiting(s, now_ms);
}

void store_is_down(struct store *s, const struct coney_error *why, int64_t now_ms)
{
    s->is_up = false;
    begin_outage(s, why->text, now_ms);
}

void store_answered(struct store *s, struct store_request *q, enum store_verdict verdict,
        int64_t now_ms)
{
    switch (verdict) {
    case VERDICT_DONE:
        end_outage(s, now_ms);
        finish(s, q, STORE_DONE);
        break;
    case VERDICT_REFUSED:
        end_outage(s, now_ms);
        finish(s, q, STORE_REFUSED);
        break;
    case VERDICT_LOST:
        if (q->fleeting || gives_up(s)) {
            finish(s, q, STORE_GIVEN_UP);
            break;
        }
        unlist(s, q);
        q->phase = 0;
        make_wait(s, q);
        break;
    }
    if (s->is_up && verdict != VERDICT_LOST)
        send_waiting(s, now_ms);
}
