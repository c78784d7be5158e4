/* SPDX-License-Identifier: MIT */
/* leader.c - election by a token, and the fences around leadership. */
#include "beat/leader.h"

#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WRITE_AGAIN_MS = 1000,
    LOOK_MS = 1000, /* while a token is held: for fences, and steps of the wall clock */
    LOOKS_PER_HEARTBEAT = 4,
    BODY_MAX = TOKEN_SIZE_MAX + 64 * 1024
};

/* The token that we have published and that is not in force yet. */
struct writing {
    bool is_out;
    bool is_confirmed;
    bool is_outdated; /* a token has come since that it does not take into account */
    uint64_t tag;     /* 0: has not come to us yet */
    struct token_rank rank;
    int64_t since_ms;
    char id[LEADER_ID_SIZE];
};

struct leader {
    struct leader_options options;
    struct agenda *agenda; /* borrowed */
    enum leader_state state;
    struct token_rank known; /* the highest token ever met */
    bool knows;              /* there was one, and the agenda goes by it */

    struct token_rank held_rank;
    uint64_t held_tag; /* 0: none */
    uint64_t acks[LEADER_PREFETCH];
    size_t ack_count;

    struct writing writing;
    unsigned long long writes; /* so far; makes their ids */
    bool wants_write;
    int64_t write_from_ms; /* no sooner: a write was refused */
    int64_t written_ms;    /* when the last one began */
    int64_t seed_ms;       /* when to seed; CLOCK_NEVER */

    int64_t looked_ms;     /* the last leader_act() with a token in hand */
    const char *resigning; /* why; NULL: not */
    bool is_blocked;
    bool is_paused;
    bool is_announced;
    struct buffer body;
};

struct leader *leader_new(const struct leader_options *options, struct agenda *agenda)
{
    struct leader *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->options = *options;
    l->agenda = agenda;
    l->seed_ms = CLOCK_NEVER;
    buffer_init(&l->body, BODY_MAX);
    return l;
}

void leader_free(struct leader *l)
{
    if (!l)
        return;
    buffer_fini(&l->body);
    free(l);
}

enum leader_state leader_state(const struct leader *l)
{
    return l->state;
}

int64_t leader_epoch(const struct leader *l)
{
    return l->known.epoch;
}

static bool has_token(const struct leader *l)
{
    return l->state == LEADER_TAKING || l->state == LEADER_LEADING;
}

/* --- tokens
 * ------------------------------------------------------------------------------------ */

static void push_ack(struct leader *l, uint64_t tag)
{
    assert(l->ack_count < LEADER_PREFETCH); /* the broker sends no more unacked ones */
    l->acks[l->ack_count++] = tag;
}

/* Begin, or begin again, to lead from where @t left off. */
static void take(struct leader *l, const struct token *t, uint64_t tag,
        const struct leader_moment *moment)
{
    if (l->held_tag != 0)
        push_ack(l, l->held_tag);
    l->held_tag = tag;
    l->held_rank = t->rank;
    l->writing.is_outdated = true;
    if (token_rank_compare(t->rank, l->known) > 0)
        l->known = t->rank;
    l->known = (struct token_rank){.epoch = l->known.epoch + 1};
    l->knows = true;
    agenda_resume(l->agenda, t, moment->now_us);
    l->state = LEADER_TAKING;
    l->wants_write = true;
    l->write_from_ms = moment->now_ms;
    l->looked_ms = moment->now_ms;
    l->seed_ms = CLOCK_NEVER;
}

/* Our own token is safe and in our hands: it replaces the one we held. */
static void finish_writing(struct leader *l)
{
    struct writing *w = &l->writing;

    if (!w->is_out || !w->is_confirmed || w->tag == 0)
        return;
    w->is_out = false;
    agenda_saved(l->agenda);
    if (w->is_outdated) {
        push_ack(l, w->tag);
        return;
    }
    push_ack(l, l->held_tag);
    l->held_tag = w->tag;
    l->held_rank = w->rank;
    l->state = LEADER_LEADING;
}

/* A token beside the one we hold. Until we lead, it may know more than that one; once we
 * do, every one from before our time has come, and ours are the greatest. */
static void compare(struct leader *l, const struct token *t, uint64_t tag,
        const struct leader_moment *moment)
{
    if (l->state == LEADER_TAKING && token_rank_compare(t->rank, l->held_rank) > 0)
        take(l, t, tag, moment);
    else if (l->state == LEADER_LEADING && token_rank_compare(t->rank, l->known) > 0)
        l->resigning = "another beat has led meanwhile";
    else
        push_ack(l, tag);
}

enum coney_rc leader_receive(struct leader *l, const struct leader_arrival *arrival,
        const struct leader_moment *moment, struct coney_error *err)
{
    struct token *t = NULL;
    const char *id = arrival->message_id;

    assert(l->state != LEADER_ABSENT);
    if (l->writing.is_out && id && strcmp(id, l->writing.id) == 0) {
        l->writing.tag = arrival->tag;
        finish_writing(l);
        return CONEY_OK;
    }
    enum coney_rc rc = token_decode(arrival->body, &t, err);
    if (rc != CONEY_OK)
        return rc;
    if (has_token(l))
        compare(l, t, arrival->tag, moment);
    else
        take(l, t, arrival->tag, moment);
    token_free(t);
    return CONEY_OK;
}

/* --- the channel
 * ------------------------------------------------------------------------------- */

void leader_opened(struct leader *l, bool is_empty, int64_t now_ms)
{
    assert(l->state == LEADER_ABSENT);
    l->state = LEADER_STANDBY;
    l->seed_ms = is_empty ? now_ms : now_ms + LEADER_SEED_MS;
}

void leader_lost(struct leader *l)
{
    l->state = LEADER_ABSENT;
    l->held_tag = 0;
    l->held_rank = (struct token_rank){.epoch = 0};
    l->ack_count = 0;
    l->writing.is_out = false;
    l->wants_write = false;
    l->seed_ms = CLOCK_NEVER;
    l->resigning = NULL;
    l->is_blocked = false;
    l->is_announced = false;
    agenda_suspend(l->agenda);
}

void leader_buried(struct leader *l, int64_t now_ms)
{
    if (l->state == LEADER_STANDBY)
        l->seed_ms = now_ms;
}

void leader_block(struct leader *l, bool is_blocked, int64_t now_ms)
{
    l->is_blocked = is_blocked;
    l->writing.since_ms = now_ms;
}

/* --- outcomes
 * ---------------------------------------------------------------------------------- */

static void forget_writing(struct leader *l)
{
    l->writing.is_out = false;
    l->wants_write = true;
    agenda_unsaved(l->agenda);
}

void leader_wrote(struct leader *l, enum publish_outcome outcome, int64_t now_ms)
{
    if (!l->writing.is_out)
        return;
    switch (outcome) {
    case PUBLISH_ACKED:
        l->writing.is_confirmed = true;
        l->writing.since_ms = now_ms; /* now it has to come */
        finish_writing(l);
        break;
    case PUBLISH_NACKED:
        forget_writing(l);
        l->write_from_ms = now_ms + WRITE_AGAIN_MS;
        break;
    case PUBLISH_RETURNED:
        l->resigning = "the token's queue is gone";
        break;
    case PUBLISH_UNKNOWN:
        break; /* so is the channel: leader_lost() follows */
    }
}

void leader_seeded(struct leader *l, enum publish_outcome outcome, int64_t now_ms)
{
    if (outcome != PUBLISH_ACKED && l->state == LEADER_STANDBY)
        l->seed_ms = now_ms + WRITE_AGAIN_MS;
}

int64_t leader_published(
        struct leader *l, size_t index, enum publish_outcome outcome, int64_t now_ms)
{
    if (l->state != LEADER_LEADING)
        return 0;
    switch (outcome) {
    case PUBLISH_ACKED:
        agenda_settle(l->agenda, index);
        return 0;
    case PUBLISH_NACKED:
    case PUBLISH_RETURNED:
        return agenda_postpone(l->agenda, index, now_ms);
    case PUBLISH_UNKNOWN:
        return 0;
    }
    return 0;
}

/* --- what to do
 * -------------------------------------------------------------------------------- */

static enum coney_rc encode_token(struct leader *l, struct token *t)
{
    buffer_clear(&l->body);
    enum coney_rc rc = token_encode(t, &l->body);
    snprintf(l->writing.id, sizeof(l->writing.id), "%s/%llu", l->options.writer,
            ++l->writes);
    return rc;
}

static struct leader_action writing_action(const struct leader *l, enum leader_do what)
{
    return (struct leader_action){
            .what = what,
            .body = {.data = buffer_data(&l->body), .len = buffer_len(&l->body)},
            .id = l->writing.id,
    };
}

/* What we know, at the rank we know it by; or a blank one. */
static enum coney_rc make_seed(struct leader *l, int64_t now_us, struct token **out)
{
    if (l->knows)
        return agenda_save(l->agenda, l->known, out);
    enum coney_rc rc = token_new(0, out);
    if (rc == CONEY_OK)
        (*out)->watermark_us = now_us;
    return rc;
}

static void seed(
        struct leader *l, const struct leader_moment *moment, struct leader_action *out)
{
    struct token *t = NULL;

    l->seed_ms = moment->now_ms + LEADER_SEED_MS;
    enum coney_rc rc = make_seed(l, moment->now_us, &t);
    if (rc == CONEY_OK)
        rc = encode_token(l, t);
    if (rc == CONEY_OK)
        *out = writing_action(l, LEADER_SEED);
    token_free(t);
}

static void write_token(
        struct leader *l, const struct leader_moment *moment, struct leader_action *out)
{
    struct token *t = NULL;
    struct token_rank rank = {.epoch = l->known.epoch, .seq = l->known.seq + 1};

    enum coney_rc rc = agenda_save(l->agenda, rank, &t);
    if (rc == CONEY_OK)
        rc = encode_token(l, t);
    token_free(t);
    if (rc != CONEY_OK) {
        agenda_unsaved(l->agenda);
        l->resigning = rc == CONEY_ELIMIT ? "the token would be too large"
                                          : "out of memory for the token";
        return;
    }
    l->known = rank;
    l->wants_write = false;
    l->written_ms = moment->now_ms;
    l->writing.is_out = true;
    l->writing.is_confirmed = false;
    l->writing.is_outdated = false;
    l->writing.tag = 0;
    l->writing.rank = rank;
    l->writing.since_ms = moment->now_ms;
    *out = writing_action(l, LEADER_WRITE);
}

/* Why leadership is no longer certain; NULL: it is. */
static const char *doubt(struct leader *l, const struct leader_moment *moment)
{
    int64_t still_ms = moment->now_ms - l->looked_ms;
    int64_t waited_ms = moment->now_ms - l->writing.since_ms;

    l->looked_ms = moment->now_ms;
    if (still_ms > l->options.heartbeat_ms)
        return "this process stood still for longer than a heartbeat";
    if (moment->is_silent)
        return "nothing heard from the broker for a heartbeat";
    if (l->writing.is_out && !l->writing.is_confirmed && !l->is_blocked &&
            waited_ms > l->options.heartbeat_ms)
        return "the broker does not confirm the token";
    return NULL;
}

static bool is_time_to_write(const struct leader *l, int64_t now_ms)
{
    return !l->writing.is_out && now_ms >= l->write_from_ms &&
           (l->wants_write || agenda_is_dirty(l->agenda) ||
                   now_ms - l->written_ms >= LEADER_REWRITE_MS);
}

/* Confirmed, yet it does not come: somebody has purged the queue. */
static bool is_writing_lost(const struct leader *l, int64_t now_ms)
{
    return l->writing.is_out && l->writing.is_confirmed && l->writing.tag == 0 &&
           now_ms - l->writing.since_ms > l->options.heartbeat_ms;
}

static void give_tick(
        struct leader *l, const struct leader_moment *moment, struct leader_action *out)
{
    if (agenda_rewind(l->agenda, moment->now_us)) {
        out->what = LEADER_REWOUND;
        return;
    }
    switch (agenda_next(l->agenda, moment->now_us, moment->now_ms, &out->tick)) {
    case SCHEDULE_NOTHING:
        break;
    case SCHEDULE_DUE:
        out->what = LEADER_PUBLISH;
        break;
    case SCHEDULE_DROPPED:
        out->what = LEADER_DROPPED;
        break;
    }
}

static void act_with_token(
        struct leader *l, const struct leader_moment *moment, struct leader_action *out)
{
    if (is_writing_lost(l, moment->now_ms))
        forget_writing(l);
    if (is_time_to_write(l, moment->now_ms)) {
        write_token(l, moment, out);
    } else if (l->state == LEADER_LEADING && !l->is_announced) {
        l->is_announced = true;
        out->what = LEADER_LEAD;
    } else if (l->state == LEADER_LEADING && !l->is_paused) {
        give_tick(l, moment, out);
    }
}

void leader_act(
        struct leader *l, const struct leader_moment *moment, struct leader_action *out)
{
    *out = (struct leader_action){.what = LEADER_WAIT};
    if (l->state == LEADER_ABSENT)
        return;
    if (has_token(l) && !l->resigning)
        l->resigning = doubt(l, moment);
    if (!l->resigning && l->ack_count > 0) {
        out->what = LEADER_ACK;
        out->tag = l->acks[--l->ack_count];
        return;
    }
    if (!l->resigning && !l->is_blocked) {
        if (has_token(l))
            act_with_token(l, moment, out);
        else if (moment->now_ms >= l->seed_ms && !l->is_paused)
            seed(l, moment, out);
    }
    if (l->resigning) {
        out->what = LEADER_RESIGN;
        out->reason = l->resigning;
    }
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t leader_wait_ms(const struct leader *l, const struct leader_moment *moment)
{
    int64_t wait_ms = LOOK_MS;

    if (l->state == LEADER_ABSENT)
        return LEADER_SEED_MS;
    if (!has_token(l))
        return l->seed_ms <= moment->now_ms
                       ? 0
                       : sooner(l->seed_ms - moment->now_ms, LEADER_SEED_MS);
    wait_ms = sooner(wait_ms, l->options.heartbeat_ms / LOOKS_PER_HEARTBEAT);
    if (l->is_blocked)
        return wait_ms;
    if (l->wants_write && !l->writing.is_out)
        wait_ms = sooner(wait_ms, l->write_from_ms - moment->now_ms);
    if (l->state == LEADER_LEADING && !l->is_paused) {
        int64_t next_us = agenda_next_us(l->agenda);
        int64_t retry_ms = agenda_retry_ms(l->agenda);
        if (next_us <=
                moment->now_us + wait_ms * 1000) /* else: never, without overflow */
            wait_ms = sooner(wait_ms, (next_us - moment->now_us + 999) / 1000);
        if (retry_ms <= moment->now_ms + wait_ms)
            wait_ms = sooner(wait_ms, retry_ms - moment->now_ms);
    }
    return wait_ms > 0 ? wait_ms : 0;
}

/* --- changing the schedule
 * --------------------------------------------------------------------- */

void leader_pause(struct leader *l)
{
    l->is_paused = true;
}

void leader_resume(struct leader *l)
{
    l->is_paused = false;
}

bool leader_is_quiet(const struct leader *l)
{
    return l->state == LEADER_ABSENT || l->state == LEADER_STANDBY ||
           (!l->writing.is_out && l->ack_count == 0 && agenda_on_way(l->agenda) == 0 &&
                   !agenda_is_dirty(l->agenda));
}

enum coney_rc leader_set_agenda(
        struct leader *l, struct agenda *agenda, const struct leader_moment *moment)
{
    struct token *t = NULL;
    enum coney_rc rc = CONEY_OK;

    if (l->knows) {
        agenda_suspend(l->agenda);
        rc = agenda_save(l->agenda, l->known, &t);
    }
    if (rc != CONEY_OK)
        return rc;
    if (t) {
        token_sort(t);
        agenda_resume(agenda, t, moment->now_us);
    }
    token_free(t);
    l->agenda = agenda;
    l->is_paused = false;
    l->wants_write = has_token(l);
    return CONEY_OK;
}
