/* SPDX-License-Identifier: MIT */
/*
 * remote.h - remote control (kombu's pidbox) as the asking side has it: requests written,
 * replies read. Works for Python's workers and ours alike.
 *
 * A request goes to every worker there is. The encoder can't make one that harms any: the
 * method is a plain word and never "election", which ends the Python process that is
 * asked alone; arguments are an object, destinations texts, and whoever wants a reply
 * says where to in full.
 */
#ifndef CONEY_MESSAGE_REMOTE_H
#define CONEY_MESSAGE_REMOTE_H

#include "base/envelope.h"

#include <jansson.h>
#include <stdbool.h>

/* Where replies go, and where requests do; both declared by whoever comes first. */
#define REMOTE_EXCHANGE       "celery.pidbox"
#define REMOTE_REPLY_EXCHANGE "reply.celery.pidbox"

/* Which nodes are meant: all, unless it names some or says what their names look like. */
struct remote_target {
    const char *const *nodes;
    size_t node_count;
    const char *pattern; /* NULL: none; only where no node is named */
    const char *matcher; /* "glob" or "pcre" */
};

/* Everything is borrowed. */
struct remote_request {
    const char *method;
    const json_t *arguments; /* object; NULL: {} */
    struct remote_target target;
    const char *ticket;    /* NULL: no reply is wanted */
    const char *reply_key; /* in REMOTE_REPLY_EXCHANGE; with a ticket only */
};

/* Whether @target can be asked for. CONEY_EINVAL, and @err says what is wrong. */
enum coney_rc remote_check_target(
        const struct remote_target *target, struct coney_error *err) CONEY_MUST_CHECK;

/*
 * The message for REMOTE_EXCHANGE. @out is initialised here and the caller's, for
 * envelope_fini(). CONEY_EINVAL: it might do harm, or is no request (text says why);
 * CONEY_ELIMIT, CONEY_ENOMEM.
 */
enum coney_rc remote_encode(const struct remote_request *request, int64_t now_us,
        struct envelope *out, struct coney_error *err) CONEY_MUST_CHECK;

/* Whether @e answers the request with @ticket. */
bool remote_answers(const struct envelope *e, const char *ticket);

/* What @e says: an object, node name to its reply, mostly of one. The caller's.
 * CONEY_ESYNTAX, CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc remote_decode(
        const struct envelope *e, json_t **out, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_REMOTE_H */
