/* SPDX-License-Identifier: MIT */
/*
 * names.h - what our broker objects are called and how a delayed message is addressed.
 *
 * The delay levels are design.md's: level NN holds a message for 2^NN seconds, a topic
 * exchange and a queue each; a routing key of 28 binary digits (most significant first),
 * joined by dots, and the target queue's name takes a message through the levels of its
 * set bits and out at <prefix>.v1.delayed (the scheme of NServiceBus and kombu).
 */
#ifndef CONEY_QUEUE_NAMES_H
#define CONEY_QUEUE_NAMES_H

#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

enum { DELAY_LEVELS = 28, AMQP_NAME_SIZE = 256 };
/* The longest delay the levels hold in one go, in seconds; a longer one is parked again.
 */
#define DELAY_MAX_S ((INT64_C(1) << DELAY_LEVELS) - 1)

enum object_name {
    NAME_DEAD_EXCHANGE, /* coney.dlx */
    NAME_DEAD_QUEUE,    /* coney.dead */
    NAME_UNROUTED,      /* coney.unrouted */
    NAME_UNROUTABLE,    /* coney.unroutable */
    NAME_DELAYED,       /* coney.v1.delayed */
    NAME_REVOKED        /* coney.revoked */
};

/* "<prefix>.dlx" and so on. */
void name_of(enum object_name which, const char *prefix, char name[AMQP_NAME_SIZE]);
/* "<prefix>.v1.delay.NN": exchange and queue alike. */
void name_of_level(unsigned level, const char *prefix, char name[AMQP_NAME_SIZE]);
/* What Celery 5.5 calls its own levels, exchange and queue alike, and the exchange where
 * they end; the names are fixed. */
void name_of_celery_level(unsigned level, char name[AMQP_NAME_SIZE]);
#define NAME_CELERY_DELAYED "celery_delayed_delivery"
/* "<prefix>.beat.<name>". */
void name_of_token(const char *beat, const char *prefix, char name[AMQP_NAME_SIZE]);
/* "<queue>.<task>", cut at 255 bytes on a character boundary. */
void dead_letter_key(const char *queue, const char *task, char key[AMQP_NAME_SIZE]);

struct delay_route {
    char exchange[AMQP_NAME_SIZE];
    char routing_key[AMQP_NAME_SIZE];
};

/*
 * Where to publish so that @queue gets the message @delay_s seconds later (clamped to
 * DELAY_MAX_S). CONEY_EINVAL: below 1, or no queue can be addressed by that name: it is
 * empty, over 199 bytes, or has a part between dots that is just * or #.
 */
enum coney_rc delay_route(const char *prefix, int64_t delay_s, const char *queue,
        struct delay_route *out) CONEY_MUST_CHECK;
/* The pattern that binds @queue to <prefix>.v1.delayed: 28 `*` words and the name.
 * CONEY_EINVAL as for delay_route(). */
enum coney_rc delay_binding(const char *queue, char key[AMQP_NAME_SIZE]) CONEY_MUST_CHECK;
/* The same for a routing key that may be a pattern, as Celery's users bind their queues.
 * CONEY_EINVAL: empty, or over 199 bytes. */
enum coney_rc delay_pattern(
        const char *pattern, char key[AMQP_NAME_SIZE]) CONEY_MUST_CHECK;
/*
 * Whole seconds that a message due at @eta_us spends in the levels, when it is @now_us:
 * the floor, so that it comes out before its time and the rest (below 1 s) is held by who
 * receives it. 0: hold it all.
 */
int64_t delay_seconds(int64_t now_us, int64_t eta_us);

#endif /* CONEY_QUEUE_NAMES_H */
