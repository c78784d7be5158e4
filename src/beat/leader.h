/* SPDX-License-Identifier: MIT */
/*
 * leader.h - who leads: from what happens on the token's channel to what is to be done.
 *
 * A state machine without a broker and without a clock. The owner tells what happened,
 * then asks leader_act() for one thing to do after another until there is nothing, and
 * comes back when something happens or leader_wait_ms() has passed.
 *
 *     ABSENT -opened-> STANDBY -token-> TAKING -token of the new epoch back-> LEADING
 *
 * To lead is to hold a token without having acked it. A new state of affairs is written
 * as a new token; the one before is acked when the new one is both confirmed and held. So
 * the queue may even be purged at any moment without the token being lost, and by the
 * time our own first token comes round every other one has come as well.
 *
 * It resigns, and nothing more is published, when: nothing is heard from the broker, or
 * the loop stood still, for a heartbeat interval; a token is not confirmed for so long;
 * another turns out to have led meanwhile. A tick's confirm may take longer: that is one
 * queue's trouble and stops one entry only.
 */
#ifndef CONEY_BEAT_LEADER_H
#define CONEY_BEAT_LEADER_H

#include "amqp/session.h"
#include "beat/agenda.h"

enum {
    LEADER_PREFETCH = 8,
    LEADER_REWRITE_MS = 5 * 60 * 1000, /* far below the broker's consumer_timeout */
    LEADER_SEED_MS = 60 * 1000,        /* in standby, in case the token was lost */
    LEADER_ID_SIZE = 96
};

enum leader_state { LEADER_ABSENT, LEADER_STANDBY, LEADER_TAKING, LEADER_LEADING };

enum leader_do {
    LEADER_WAIT,    /* nothing now */
    LEADER_ACK,     /* tag */
    LEADER_WRITE,   /* publish body as message id; tell leader_wrote() */
    LEADER_SEED,    /* likewise; tell leader_seeded() */
    LEADER_PUBLISH, /* tick; tell leader_published(), or leader_unpublished() */
    LEADER_DROPPED, /* tick, of which the misfire policy dropped some; for the log */
    LEADER_REWOUND, /* the wall clock was set back far; for the log */
    LEADER_LEAD,    /* we lead now; for the log */
    LEADER_RESIGN   /* close the channel, then open another; reason */
};

struct leader_action {
    enum leader_do what;
    uint64_t tag;
    struct bytes body;  /* until the next call */
    const char *id;     /* likewise */
    const char *reason; /* static */
    struct schedule_tick tick;
};

struct leader_options {
    int64_t heartbeat_ms;
    const char *writer; /* unique to this process; borrowed */
};

/* What the owner reads off before each action. */
struct leader_moment {
    int64_t now_ms; /* monotonic */
    int64_t now_us; /* wall */
    bool is_silent; /* session_is_silent() */
};

/* A message of the token's queue; borrowed for the call. */
struct leader_arrival {
    uint64_t tag;
    const char *message_id; /* NULL: none */
    struct bytes body;
};

struct leader;

/* @agenda is borrowed until the next leader_set_agenda() or leader_free(). NULL when out
 * of memory. */
struct leader *leader_new(const struct leader_options *options, struct agenda *agenda);
/* NULL is ignored. */
void leader_free(struct leader *l);

enum leader_state leader_state(const struct leader *l);
int64_t leader_epoch(const struct leader *l);

/* --- what happened
 * ----------------------------------------------------------------------------- */

/* We consume from the token's queue. @is_empty: just before nobody else did, and no token
 * was there. */
void leader_opened(struct leader *l, bool is_empty, int64_t now_ms);
/* The channel is gone. */
void leader_lost(struct leader *l);
/*
 * A token came. CONEY_OK: the leader settles it. Otherwise it is the owner's to deal
 * with, as token_decode() says: bury it, or (CONEY_EREFUSED, CONEY_ENOMEM) let go of the
 * channel.
 */
enum coney_rc leader_receive(struct leader *l, const struct leader_arrival *arrival,
        const struct leader_moment *moment, struct coney_error *err) CONEY_MUST_CHECK;
/* What could not be read is out of the way; a seed may be wanted. */
void leader_buried(struct leader *l, int64_t now_ms);
void leader_wrote(struct leader *l, enum publish_outcome outcome, int64_t now_ms);
void leader_seeded(struct leader *l, enum publish_outcome outcome, int64_t now_ms);
/* PUBLISH_ACKED, also for a tick that had better not be published. Otherwise in how many
 * ms its entry is looked at again; 0: leadership is about to go anyway. */
int64_t leader_published(
        struct leader *l, size_t index, enum publish_outcome outcome, int64_t now_ms);
/* A broker alarm: nothing may be published, and no confirm is missing. */
void leader_block(struct leader *l, bool is_blocked, int64_t now_ms);

/* --- what to do
 * -------------------------------------------------------------------------------- */

/* The next thing to do. */
void leader_act(
        struct leader *l, const struct leader_moment *moment, struct leader_action *out);
/* When to ask again at the latest. */
int64_t leader_wait_ms(const struct leader *l, const struct leader_moment *moment);

/* --- changing the schedule, and the end
 * -------------------------------------------------------- */

/* Give out no more ticks, until leader_resume() or leader_set_agenda(). */
void leader_pause(struct leader *l);
void leader_resume(struct leader *l);
/* Whether every tick is confirmed and the token says so. */
bool leader_is_quiet(const struct leader *l);
/* Go on with @agenda, which takes over what the old one knows. CONEY_ENOMEM: with the old
 * one. */
enum coney_rc leader_set_agenda(struct leader *l, struct agenda *agenda,
        const struct leader_moment *moment) CONEY_MUST_CHECK;

#endif /* CONEY_BEAT_LEADER_H */
