/* SPDX-License-Identifier: MIT */
/*
 * channel.h - the channels of one connection: what each awaits and what it is receiving.
 *
 * A number is used again only after the broker has forgotten it, and a generation never:
 * whoever holds an old pair of them cannot reach the channel that came after.
 */
#ifndef CONEY_AMQP_CHANNEL_H
#define CONEY_AMQP_CHANNEL_H

#include "amqp/codec.h"
#include "amqp/confirms.h"
#include "amqp/session.h"

enum channel_state {
    CHANNEL_OPEN,
    CHANNEL_CLOSING, /* our close is on the way; only its answer and confirms count */
    CHANNEL_GONE     /* closed; kept until its publishes have been given up */
};

/* A call whose answer has not come yet. */
struct pending_call {
    amqp_method_number_t method;
    uint64_t cookie;
};

struct call_queue {
    struct pending_call *calls; /* owned; a ring, capacity a power of two */
    size_t capacity;
    size_t first;
    size_t count;
};

enum content_stage { CONTENT_NONE, CONTENT_HEADER, CONTENT_BODY };
enum content_kind { CONTENT_DELIVERY, CONTENT_RETURN };

/* A message on its way in: basic.deliver or basic.return, then header, then body. */
struct content {
    enum content_stage stage;
    enum content_kind kind;
    unsigned code; /* of a return; its text is in @tag_or_text */
    char exchange[SHORT_STRING_MAX + 1];
    char routing_key[SHORT_STRING_MAX + 1];
    char tag_or_text[SHORT_STRING_MAX + 1];
    struct delivery delivery; /* owned while the stage is CONTENT_BODY */
    uint64_t received;        /* bytes of body so far */
    uint8_t *body;            /* in the envelope's arena; NULL when the body is skipped */
    size_t body_capacity;
};

struct channel {
    struct amqp_channel id;
    enum channel_state state;
    bool is_confirming;
    struct confirms confirms;
    struct call_queue pending;
    struct content content;
};

struct channel_set {
    struct channel **slots; /* owned, by number; NULL where there is none */
    size_t capacity;
    uint16_t max;    /* highest number allowed */
    uint16_t newest; /* numbers are given out in turn, so that one rests before reuse */
    uint32_t *generation; /* borrowed; counts all channels that ever were */
};

void channel_set_init(struct channel_set *set, uint32_t *generation);
void channel_set_fini(struct channel_set *set);
/* An open channel with a free number. CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc channel_set_add(
        struct channel_set *set, struct channel **out) CONEY_MUST_CHECK;
void channel_set_remove(struct channel_set *set, struct channel *c);
/* NULL when there is none of that number. */
struct channel *channel_set_at(const struct channel_set *set, unsigned number);
/* NULL unless it is that very channel and it is open. */
struct channel *channel_set_find(const struct channel_set *set, struct amqp_channel id);
/* Some channel, or NULL when there is none. */
struct channel *channel_set_any(const struct channel_set *set);

enum coney_rc call_queue_push(struct call_queue *q, amqp_method_number_t method,
        uint64_t cookie) CONEY_MUST_CHECK;
/* The oldest call, or NULL. */
const struct pending_call *call_queue_first(const struct call_queue *q);
void call_queue_pop(struct call_queue *q);

/* Forget a message that is half received. */
void content_drop(struct content *c);

#endif /* CONEY_AMQP_CHANNEL_H */
