/* SPDX-License-Identifier: MIT */
/*
 * context.h - a message around its body, as JSON: what a task server gets to know beside
 * the arguments.
 *
 *     {"headers": {...}, "properties": {"reply_to": ..., ...},
 *      "delivery_info": {"exchange": "", "routing_key": "coney.high", "priority": null,
 *                        "redelivered": false},
 *      "hostname": "coney@host"}
 *
 * Headers are all there, as they came: Celery's own, the user's, and ours.
 */
#ifndef CONEY_MESSAGE_CONTEXT_H
#define CONEY_MESSAGE_CONTEXT_H

#include "base/envelope.h"

/* Everything is borrowed; a NULL text is null. */
struct context {
    const struct envelope *envelope;
    const char *exchange;
    const char *routing_key;
    const char *hostname;
    bool redelivered;
};

/* Append the object to @out. Text that isn't UTF-8 is repaired; what JSON has no type for
 * becomes a number or a text. CONEY_ENOMEM, CONEY_ELIMIT. */
enum coney_rc context_encode(
        const struct context *c, struct buffer *out) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_CONTEXT_H */
