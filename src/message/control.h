/* SPDX-License-Identifier: MIT */
/*
 * control.h - remote control messages (kombu's pidbox): what a worker is asked, and what
 * it answers.
 *
 * Requests come from whoever may publish, in every state of repair: what can be made
 * sense of is read, the rest is refused with a reason and never matters beyond its own
 * message. A request's expiry is ignored, as Python's workers do: it is one second ahead
 * of the sender's clock, and honouring it would lose commands when clocks differ.
 */
#ifndef CONEY_MESSAGE_CONTROL_H
#define CONEY_MESSAGE_CONTROL_H

#include "base/envelope.h"

#include <jansson.h>

struct control_request {
    json_t *body;       /* owned; the rest is borrowed from it */
    const char *method; /* never NULL */
    json_t *arguments;  /* an object, owned */
    const json_t *destination;
    const char *pattern; /* NULL: none; likewise below */
    const char *matcher;
    const char *ticket;
    const char *reply_exchange; /* both or none: no reply is wanted */
    const char *reply_key;
    int64_t clock; /* the sender's logical clock; 0: unknown */
};

/* Decode @e, which is only read. On success *@out is the caller's, for
 * control_request_free(). CONEY_ESYNTAX, CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc control_decode(const struct envelope *e, struct control_request **out,
        struct coney_error *err) CONEY_MUST_CHECK;
void control_request_free(struct control_request *r);

/*
 * Whether @r is meant for @node: it is in the destinations; else, when there are none,
 * its name fits the pattern; else there is no pattern. A pattern that can't be read fits
 * nobody.
 */
bool control_is_for(const struct control_request *r, const char *node);
/* Whether @node is named itself, and not just one of all. */
bool control_is_named(const struct control_request *r, const char *node);

/*
 * Whether @pattern fits @text by "glob" (Python's fnmatch: * ? [seq] [!seq]) or "pcre"
 * (anchored at the start only). For the latter the C library's extended regular
 * expressions serve, with \d, \D and (?: translated: they cover what people write, and a
 * backtracking engine has no place in a loop that waits for nothing. What they have no
 * form for (lookaround, references, lazy or nested counts) fits nothing.
 */
bool control_pattern_fits(const char *matcher, const char *pattern, const char *text);

/* The reply of @node to a request with @ticket (NULL: null): {"<node>": reply}. @out is
 * the caller's, for envelope_fini(). CONEY_EINVAL: @reply is no JSON that can be written;
 * CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc control_encode_reply(const char *node, const char *ticket, int64_t clock,
        const json_t *reply, struct envelope *out) CONEY_MUST_CHECK;

/* {"error": text}, the caller's; NULL when out of memory. */
json_t *control_error(const char *fmt, ...) CONEY_PRINTF(1, 2);
/* {"ok": text}, likewise. */
json_t *control_ok(const char *fmt, ...) CONEY_PRINTF(1, 2);

#endif /* CONEY_MESSAGE_CONTROL_H */
