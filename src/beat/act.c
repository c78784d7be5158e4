/* SPDX-License-Identifier: MIT */
/* act.c - the leader's decisions, carried out on the channel; and what came of them. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "beat/state.h"
#include "beat/tick.h"
#include "message/dead_letter.h"

#include <string.h>
#include <systemd/sd-daemon.h>

/* A cookie: what it is about, and which. A tick's is generation and index of the entry,
 * a burial's the delivery tag. */
#define COOKIE_TICK   (UINT64_C(1) << 62)
#define COOKIE_WRITE  (UINT64_C(2) << 60)
#define COOKIE_SEED   (UINT64_C(3) << 60)
#define COOKIE_BURIAL (UINT64_C(1) << 60)
#define COOKIE_KIND   (UINT64_C(7) << 60)

enum {
    ACTIONS_PER_TURN = 1000,
    GENERATION_BITS = 28, /* of a cookie; the index takes the 32 below */
    RESIGN_MS = 1000,
    LATER_VERSION_MS = 30 * 1000 /* nothing for us until somebody has acted */
};

static struct tick_context tick_context(struct beat *b)
{
    return (struct tick_context){
            .config = b->plan->config,
            .origin = b->origin,
            .rng = &b->rng,
            .now_us = clock_wall_us(),
    };
}

/* --- ticks
 * -------------------------------------------------------------------------------------
 */

static uint64_t tick_cookie(const struct beat *b, size_t index)
{
    uint64_t generation = b->generation & ((UINT64_C(1) << GENERATION_BITS) - 1);
    return COOKIE_TICK | generation << 32 | (uint64_t)index;
}

static double seconds_since(int64_t us)
{
    return (double)(clock_wall_us() - us) / 1e6;
}

static void log_dropped_ticks(const struct schedule_tick *tick)
{
    char due[TIME_TEXT_SIZE];

    if (tick->dropped_us == CLOCK_NEVER)
        return;
    time_format(tick->dropped_us, due);
    log_warning("missed ticks dropped by the misfire policy  entry=%s first=%s",
            tick->entry->name, due);
}

/* @index's tick did not get out; say when it is looked at again. */
static void report_failure(
        struct beat *b, size_t index, const char *why, int64_t pause_ms)
{
    const struct schedule_entry *e = &b->plan->config->entries[index];
    char due[TIME_TEXT_SIZE];

    time_format(agenda_tick_us(b->plan->agenda, index), due);
    log_error("tick not published: %s; tried again in %.0f s  entry=%s task=%s due=%s",
            why, (double)pause_ms / 1000, e->name, e->task, due);
}

static void fail_tick(struct beat *b, size_t index, const char *why)
{
    int64_t pause_ms =
            leader_published(b->leader, index, PUBLISH_NACKED, clock_mono_ms());
    report_failure(b, index, why, pause_ms);
}

/* True: it need not be published any more, and the leader knows. */
static bool skip_expired(
        struct beat *b, const struct tick_context *context, const struct schedule_tick *t)
{
    int64_t expires_us;
    char due[TIME_TEXT_SIZE];

    if (tick_expires(context, t->entry, t->at_us, &expires_us) != CONEY_OK ||
            expires_us == TASK_NO_TIME || expires_us > context->now_us)
        return false;
    time_format(t->at_us, due);
    log_warning("tick dropped: expired before it could be published  entry=%s due=%s",
            t->entry->name, due);
    (void)leader_published(b->leader, t->index, PUBLISH_ACKED, clock_mono_ms());
    return true;
}

static void publish_tick(struct beat *b, const struct schedule_tick *t)
{
    const struct tick_context context = tick_context(b);
    struct coney_error err = {.text = ""};
    struct tick_message m;

    log_dropped_ticks(t);
    if (skip_expired(b, &context, t))
        return;
    enum coney_rc rc = tick_encode(&context, t->entry, t->at_us, &m, &err);
    if (rc != CONEY_OK) {
        fail_tick(b, t->index, err.text);
        return;
    }
    const struct publish p = {.exchange = "",
            .routing_key = m.queue,
            .mandatory = true,
            .envelope = &m.envelope};
    rc = session_publish(b->session, b->channel, &p, tick_cookie(b, t->index));
    envelope_fini(&m.envelope);
    if (rc != CONEY_OK)
        fail_tick(b, t->index,
                rc == CONEY_EINVAL ? "it does not fit into AMQP"
                                   : "the connection takes no more");
}

static void log_published(struct beat *b, size_t index)
{
    const struct schedule_entry *e = &b->plan->config->entries[index];
    int64_t due_us = agenda_tick_us(b->plan->agenda, index);
    char due[TIME_TEXT_SIZE], id[UUID_TEXT_SIZE];

    if (!log_is_enabled(LOG_LEVEL_INFO))
        return;
    time_format(due_us, due);
    schedule_entry_id(e, b->plan->config->beat.name, due_us, id);
    log_info("tick published  entry=%s task=%s due=%s late=%.3f id=%s", e->name, e->task,
            due, seconds_since(due_us), id);
}

static void tick_published(struct beat *b, uint64_t cookie, enum publish_outcome outcome)
{
    size_t index = cookie & UINT32_MAX;
    int64_t pause_ms;

    if (cookie != tick_cookie(b, index))
        return; /* of an earlier channel or schedule */
    switch (outcome) {
    case PUBLISH_ACKED:
        log_published(b, index);
        (void)leader_published(b->leader, index, outcome, clock_mono_ms());
        break;
    case PUBLISH_NACKED:
    case PUBLISH_RETURNED:
        pause_ms = leader_published(b->leader, index, outcome, clock_mono_ms());
        report_failure(b, index,
                outcome == PUBLISH_NACKED ? "the queue does not take it"
                                          : "there is no such queue",
                pause_ms);
        break;
    case PUBLISH_UNKNOWN:
        break; /* the channel is gone, and so is leadership */
    }
}

/* --- the token
 * --------------------------------------------------------------------------------- */

static void publish_token(
        struct beat *b, const struct leader_action *action, uint64_t cookie)
{
    struct envelope e = {.body = action->body};
    const struct publish p = {.exchange = "",
            .routing_key = b->token_queue,
            .mandatory = true,
            .envelope = &e};

    e.properties = properties_none();
    e.properties.content_type = "application/json";
    e.properties.type = "coney.beat.token";
    e.properties.app_id = "coney-beat";
    e.properties.message_id = action->id;
    e.properties.timestamp_s = clock_wall_us() / 1000000;
    e.properties.delivery_mode = DELIVERY_PERSISTENT;
    if (session_publish(b->session, b->channel, &p, cookie) != CONEY_OK)
        seat_leave(b, RESIGN_MS);
}

/* Keep what can't be read where people look, before it is acked. */
static void bury(struct beat *b, const struct delivery *d, const struct coney_error *why)
{
    const struct evidence evidence = {
            .reason = DEAD_MALFORMED,
            .error = why->text,
            .queue = b->token_queue,
            .dead_at_us = clock_wall_us(),
            .exit_status = -1,
            .max_rss_kib = -1,
    };
    struct envelope letter;
    char exchange[AMQP_NAME_SIZE], key[AMQP_NAME_SIZE];

    log_error("the token is unreadable: %s; copied to the dead letters  queue=%s",
            why->text, b->token_queue);
    name_of(NAME_DEAD_EXCHANGE, b->plan->config->broker.prefix, exchange);
    dead_letter_key(b->token_queue, "token", key);
    enum coney_rc rc = dead_letter_encode(&d->envelope, &evidence, &letter);
    if (rc == CONEY_OK) {
        const struct publish p = {.exchange = exchange,
                .routing_key = key,
                .mandatory = true,
                .envelope = &letter};
        rc = session_publish(b->session, b->channel, &p, COOKIE_BURIAL | d->tag);
        envelope_fini(&letter);
    }
    if (rc != CONEY_OK)
        seat_leave(b, RESIGN_MS);
}

static void buried(struct beat *b, uint64_t tag, enum publish_outcome outcome)
{
    if (outcome != PUBLISH_ACKED ||
            session_ack(b->session, b->channel, tag, false) != CONEY_OK) {
        log_error("the unreadable token could not be copied; tried again");
        seat_leave(b, LATER_VERSION_MS);
        return;
    }
    leader_buried(b->leader, clock_mono_ms());
}

void act_receive(struct beat *b, const struct delivery *d)
{
    struct coney_error err = {.text = ""};
    const struct leader_moment moment = beat_moment(b);
    const struct leader_arrival arrival = {
            .tag = d->tag,
            .message_id = d->envelope.properties.message_id,
            .body = d->envelope.body,
    };

    enum coney_rc rc = leader_receive(b->leader, &arrival, &moment, &err);
    switch (rc) {
    case CONEY_OK:
        break;
    case CONEY_EREFUSED:
        log_error("%s; this beat does not lead: update it, or delete queue %s", err.text,
                b->token_queue);
        seat_leave(b, LATER_VERSION_MS);
        break;
    case CONEY_ENOMEM:
        log_error("out of memory for the token");
        seat_leave(b, RESIGN_MS);
        break;
    case CONEY_EINVAL:
    case CONEY_EIO:
    case CONEY_ESYNTAX:
    case CONEY_ELIMIT:
    case CONEY_ECLOSED:
    case CONEY_ETIMEOUT:
    case CONEY_EUNROUTABLE:
    case CONEY_ENACKED:
    case CONEY_ENOTFOUND:
        bury(b, d, &err);
        break;
    }
}

/* --- all of it
 * --------------------------------------------------------------------------------- */

void act_published(struct beat *b, uint64_t cookie, enum publish_outcome outcome)
{
    uint64_t kind = cookie & COOKIE_KIND;

    if (kind == COOKIE_TICK)
        tick_published(b, cookie, outcome);
    else if (kind == COOKIE_WRITE)
        leader_wrote(b->leader, outcome, clock_mono_ms());
    else if (kind == COOKIE_SEED)
        leader_seeded(b->leader, outcome, clock_mono_ms());
    else if (kind == COOKIE_BURIAL)
        buried(b, cookie & ~COOKIE_KIND, outcome);
}

static void announce(struct beat *b)
{
    const char *name = b->plan->config->beat.name;

    log_info("leading  beat=%s epoch=%lld entries=%zu", name,
            (long long)leader_epoch(b->leader), b->plan->config->entry_count);
    (void)sd_notifyf(0, "STATUS=leading, beat %s, %zu entries", name,
            b->plan->config->entry_count);
}

static void do_action(struct beat *b, const struct leader_action *action)
{
    switch (action->what) {
    case LEADER_WAIT:
        break;
    case LEADER_ACK:
        if (session_ack(b->session, b->channel, action->tag, false) != CONEY_OK)
            seat_leave(b, RESIGN_MS);
        break;
    case LEADER_WRITE:
        publish_token(b, action, COOKIE_WRITE);
        break;
    case LEADER_SEED:
        log_info("no token found; making one  queue=%s", b->token_queue);
        publish_token(b, action, COOKIE_SEED);
        break;
    case LEADER_PUBLISH:
        publish_tick(b, &action->tick);
        break;
    case LEADER_DROPPED:
        log_dropped_ticks(&action->tick);
        break;
    case LEADER_REWOUND:
        log_warning("the wall clock was set back by more than an hour; the schedule goes "
                    "on from now");
        break;
    case LEADER_LEAD:
        announce(b);
        break;
    case LEADER_RESIGN:
        log_warning("%s; the token is handed back", action->reason);
        seat_leave(b, RESIGN_MS);
        break;
    }
}

bool act(struct beat *b)
{
    struct leader_action action = {.what = LEADER_ACK};

    for (int i = 0; action.what != LEADER_WAIT; i++) {
        if (i == ACTIONS_PER_TURN)
            return false;
        const struct leader_moment moment = beat_moment(b);
        leader_act(b->leader, &moment, &action);
        do_action(b, &action);
    }
    return true;
}
