/* SPDX-License-Identifier: MIT */
/*
 * confirms.h - the publishes of one channel that the broker has not yet answered for.
 *
 * The first publish after confirm.select is number 1, and each next one counts (§
 * RabbitMQ publisher confirms). Answers come in any order, for one number or for all up
 * to one; a basic.return comes before the answer and names no number, only the message.
 */
#ifndef CONEY_AMQP_CONFIRMS_H
#define CONEY_AMQP_CONFIRMS_H

#include <coney/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many publishes wait on one channel at most. */
enum { CONFIRMS_MAX = 1 << 20 };

struct confirm {
    uint64_t cookie;
    uint64_t route; /* what a basic.return is recognised by; 0 when none can come */
    bool is_settled;
    bool is_returned;
};

struct confirms {
    struct confirm *ring; /* owned; capacity is a power of two */
    size_t capacity;
    uint64_t first;     /* every lower number is settled */
    uint64_t next;      /* number of the next publish */
    uint64_t returned;  /* returns come in order: the next one is looked for from here */
    size_t outstanding; /* not settled */
};

void confirms_init(struct confirms *c);
void confirms_fini(struct confirms *c);

/* Make sure that the next confirms_add() has room. CONEY_ENOMEM, CONEY_ELIMIT. */
enum coney_rc confirms_reserve(struct confirms *c) CONEY_MUST_CHECK;
/* Count one publish. */
void confirms_add(struct confirms *c, uint64_t cookie, uint64_t route);

/* A basic.return for @route: the cookie of the publish it belongs to; false when there is
 * none. */
bool confirms_return(struct confirms *c, uint64_t route, uint64_t *cookie);

/* Whether @number was ever given to a publish. */
bool confirms_knows(const struct confirms *c, uint64_t number);
/* Settle @number; false when it was settled before. */
bool confirms_settle(struct confirms *c, uint64_t number, struct confirm *settled);
/* Settle the oldest publish up to @number; false when all of them are settled. */
bool confirms_settle_first(struct confirms *c, uint64_t number, struct confirm *settled);

#endif /* CONEY_AMQP_CONFIRMS_H */
