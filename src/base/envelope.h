/* SPDX-License-Identifier: MIT */
/*
 * envelope.h - one AMQP message, taken apart: properties, headers and body.
 *
 * The amqp room fills one in for each delivery and reads one for each publish; the
 * message room knows what Celery puts in it. Neither needs the other.
 */
#ifndef CONEY_BASE_ENVELOPE_H
#define CONEY_BASE_ENVELOPE_H

#include "base/table.h"

enum { DELIVERY_TRANSIENT = 1, DELIVERY_PERSISTENT = 2 };

/* The basic class's properties (AMQP 0-9-1 §1.8). A NULL text or -1 means: not there. */
struct properties {
    const char *content_type;
    const char *content_encoding;
    const char *correlation_id;
    const char *reply_to;
    const char *expiration; /* decimal milliseconds */
    const char *message_id;
    const char *type;
    const char *user_id;
    const char *app_id;
    int64_t timestamp_s; /* -1: not there */
    int delivery_mode;   /* DELIVERY_*, or -1 */
    int priority;        /* 0..255, or -1 */
};

struct envelope {
    struct arena *arena; /* owns every string below; owned by the envelope */
    struct properties properties;
    struct table headers;
    struct bytes body; /* terminated; the zero does not count */
};

/* An empty envelope with an arena, all properties absent. CONEY_ENOMEM. */
enum coney_rc envelope_init(struct envelope *e) CONEY_MUST_CHECK;
/* Free the arena and so everything in @e; a zeroed envelope is fine. */
void envelope_fini(struct envelope *e);
/* A copy that shares nothing with @from. @to is initialised here and on success the
 * caller's, for envelope_fini(). CONEY_ENOMEM. */
enum coney_rc envelope_copy(
        struct envelope *to, const struct envelope *from) CONEY_MUST_CHECK;
/* Properties with nothing set. */
struct properties properties_none(void);
/*
 * Remove what the broker writes into headers and would misread when it comes back:
 * x-death, x-first-death-*, x-last-death-*, x-delivery-count, x-acquired-count; CC and
 * BCC, which would send every copy to all queues again; and the properties expiration and
 * user_id (a publisher may only name itself: 406 otherwise). Every message that is
 * published again passes here.
 */
void envelope_strip_broker_headers(struct envelope *e);

#endif /* CONEY_BASE_ENVELOPE_H */
