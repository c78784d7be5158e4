/* SPDX-License-Identifier: MIT */
/*
 * outbox.h - messages on their way to the broker: which is published next, and when each
 * is decided.
 *
 * It knows neither connection nor clock: whoever drives it tells it what was published,
 * what became of it and what time it is. A message is decided by a confirm, by a refusal,
 * by having been published often enough, or by its time; until then it is published again
 * whenever its fate is unknown, in the order in which messages came.
 *
 * When the broker closes a channel over a publish it does not say which. So what was in
 * flight then goes out one at a time, until the culprit is the only one.
 */
#ifndef CONEY_LIB_OUTBOX_H
#define CONEY_LIB_OUTBOX_H

#include "amqp/session.h"
#include "base/envelope.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

/* Most messages, and bytes of them, that are undecided at a time. */
enum { OUTBOX_MAX = 1024 };
#define OUTBOX_BYTES_MAX ((size_t)64 * 1024 * 1024)

enum outgoing_state { OUTGOING_QUEUED, OUTGOING_SENT, OUTGOING_DECIDED };
/* The worst that is known of a message's publishes so far; unknown: it may have arrived.
 */
enum outgoing_fate { FATE_NEVER_PUBLISHED, FATE_NACKED, FATE_UNKNOWN };
/* Who looks at the outcome: a caller that waits for it, or nobody in particular. */
enum outgoing_owner { OUTGOING_AWAITED, OUTGOING_DETACHED };
enum outgoing_reply { OUTGOING_NO_REPLY, OUTGOING_REPLY };

struct outgoing {
    struct outgoing *next; /* by arrival; the outbox's own, like all fields up to id */
    struct outgoing *previous;
    uint64_t number;
    uint64_t cookie;
    uint32_t generation; /* of the channel it was published on last */
    unsigned attempts;
    int64_t not_before_ms;
    int64_t deadline_ms;
    bool is_suspect;
    enum outgoing_state state;
    enum outgoing_fate fate;  /* of earlier publishes */
    struct coney_error error; /* once decided, with its rc */

    const char *id; /* these are the maker's; the texts in the envelope's arena */
    const char *queue;
    int64_t eta_us;
    enum outgoing_owner owner;
    enum outgoing_reply reply;
    struct envelope envelope; /* owned */
};

/* NULL when out of memory; everything zero but the envelope, which is taken (also then).
 */
struct outgoing *outgoing_new_take(struct envelope *e);
void outgoing_free(struct outgoing *o);

struct outbox {
    struct outgoing *oldest;   /* undecided, by arrival; owned */
    struct outgoing *newest;   /* */
    struct outgoing *unsent;   /* where to look for one to publish */
    struct outgoing *finished; /* decided and detached; owned */
    struct outgoing *last_finished;
    size_t finished_count;
    struct outgoing *sent[OUTBOX_MAX]; /* by cookie */
    uint64_t arrivals;
    uint64_t next_cookie;
    size_t count; /* undecided */
    size_t bytes;
    size_t in_flight;
    size_t suspects;
    size_t detached; /* of the undecided */
    int64_t wake_ms;
    unsigned attempts_max;
    int64_t timeout_ms;
};

void outbox_init(struct outbox *b, unsigned attempts_max, int64_t timeout_ms);
/* Frees what it owns: the undecided, awaited or not, and the finished. */
void outbox_fini(struct outbox *b);

bool outbox_has_room(const struct outbox *b, const struct outgoing *o);
/* Take @o, to be decided within the timeout. */
void outbox_add(struct outbox *b, struct outgoing *o, int64_t now_ms);

/* The next to be published, with the cookie to do it with; NULL: none at @now_ms. Those
 * that want a reply wait for @replies. */
struct outgoing *outbox_next(struct outbox *b, int64_t now_ms, bool replies);
/* It was published on a channel of @generation. */
void outbox_sent(struct outbox *b, struct outgoing *o, uint32_t generation);
/* It can't be published. */
void outbox_reject(struct outbox *b, struct outgoing *o, const struct coney_error *why);

/* What SESSION_PUBLISHED says. An unknown cookie is of a message whose time had passed.
 */
void outbox_outcome(struct outbox *b, uint64_t cookie, enum publish_outcome outcome,
        int64_t now_ms, struct rng *rng);
/* The broker closed the channel of @generation because of a message: @why. */
void outbox_refused(struct outbox *b, uint32_t generation, const struct coney_error *why);
enum outbox_part { OUTBOX_ALL, OUTBOX_REPLIES };
/* What waits to be published can't be: decide all of it, or what wants a reply. */
void outbox_fail(struct outbox *b, enum outbox_part part, const struct coney_error *why);
/* Decide those whose time is up; @why is what kept those that were never published. */
void outbox_expire(struct outbox *b, int64_t now_ms, const struct coney_error *why);
/* When the next one's time is up; CLOCK_NEVER. */
int64_t outbox_deadline_ms(const struct outbox *b);
/* When a message that the last outbox_next() passed over may be published; CLOCK_NEVER.
 */
int64_t outbox_wake_ms(const struct outbox *b);

/* A decided message nobody waits for; the caller's. NULL: none. */
struct outgoing *outbox_take_finished(struct outbox *b);

#endif /* CONEY_LIB_OUTBOX_H */
