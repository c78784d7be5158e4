/* SPDX-License-Identifier: MIT */
/*
 * revoking.h - the memory of what is revoked, and how it gets into the broker and back.
 *
 * Every worker hears a broadcast and remembers it, but one copy in the stream is enough:
 * each waits for a random moment, and writes only what has not come by meanwhile. The
 * answer comes when the broker has it, or, so that the asker does not give us up, a
 * little later with a word about it; then it is still written as soon as possible.
 */
#ifndef CONEY_WORKER_REVOKING_H
#define CONEY_WORKER_REVOKING_H

#include "amqp/session.h"
#include "worker/revocations.h"

#include <jansson.h>
#include <uv.h>

struct asker;
struct control;
struct job;
struct revoking;
struct worker;

/* By the configuration in force; *@c's link need not be there yet. */
enum coney_rc revoking_start(struct control *c, struct coney_error *err) CONEY_MUST_CHECK;
void revoking_reload(struct control *c);
/* Write what still waits, before the connection is closed. */
void revoking_flush(struct control *c);
/* Everything but the timer, which the caller closes before it frees. */
void revoking_stop(struct control *c);
void revoking_free(struct revoking *r);
uv_timer_t *revoking_timer(struct revoking *r);

/* What happens on the control connection. */
void revoking_handle(struct control *c, struct session_event *ev);

/* What a command revokes. */
struct revoking_order {
    json_t *ids;         /* array of texts; NULL: none; both borrowed */
    json_t *headers;     /* stamp to array of values; NULL: none */
    struct asker *asker; /* NULL: nobody wants an answer */
    json_t *answer_take; /* what to say once it is safe; taken */
    bool is_alone;       /* nobody else has heard it: write at once */
};

void revoking_carry_out(struct control *c, const struct revoking_order *o);
/* One that somebody else knows of: into memory only. */
void revoking_remember(struct control *c, const struct revoked *what);
const struct revocations *revoking_set(const struct control *c);

/* Whether stamps of @j, or its id, are among @ids or @headers (either may be NULL). */
bool revoking_fits(const struct job *j, json_t *ids, json_t *headers);

#endif /* CONEY_WORKER_REVOKING_H */
