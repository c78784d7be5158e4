/* SPDX-License-Identifier: MIT */
/*
 * signature.h - a signature: a task that somebody wants to be sent, as Celery writes it
 * into messages.
 *
 *     {"task": "proj.mul", "args": [3], "kwargs": {}, "options": {"task_id": "..."},
 *      "subtask_type": null, "immutable": false}
 *
 * Here is what one signature says: its kind, its options, and the message it becomes. How
 * several of them make up a chain, group or chord is canvas.h's business.
 */
#ifndef CONEY_MESSAGE_SIGNATURE_H
#define CONEY_MESSAGE_SIGNATURE_H

#include "base/envelope.h"
#include "base/rng.h"
#include <coney/error.h>

#include <jansson.h>
#include <stdint.h>

enum signature_kind {
    SIGNATURE_TASK, /* map and starmap too: tasks that take no further arguments */
    SIGNATURE_CHAIN,
    SIGNATURE_GROUP,
    SIGNATURE_CHORD,
    SIGNATURE_CHUNKS
};

enum signature_kind signature_kind(const json_t *signature);
/* Whether arguments of a caller are not for it. */
bool signature_is_immutable(const json_t *signature);
/* The text of an option; NULL: absent, null, empty or no text. Borrowed. */
const char *signature_text(const json_t *signature, const char *option);
/* An option that is neither absent nor null, else NULL. Borrowed. */
json_t *signature_option(const json_t *signature, const char *option);

/* Who sends it, and when. */
struct signature_sender {
    const char *origin;   /* "gen<pid>@<host>" */
    const char *reply_to; /* for a signature that names none; NULL: nobody waits */
    int64_t now_us;
    struct rng *rng;
};

/* Where a signature's options want its message to go: a queue, or an exchange and a key.
 * NULL: they don't say. Borrowed from the signature. */
struct signature_route {
    const char *queue;
    const char *exchange;
    const char *routing_key;
    int64_t eta_us; /* TASK_NO_TIME */
};

/*
 * The message of @signature, a SIGNATURE_TASK whose args and options are final: task_id,
 * group_id, chain and so on are in its options. A null option counts as absent;
 * compression is left out, as every reader takes plain text. @out as for task_encode().
 * CONEY_EINVAL (text names the option: one of the wrong type, a serializer other than
 * json), CONEY_ELIMIT, CONEY_ENOMEM.
 */
enum coney_rc signature_encode(const json_t *signature,
        const struct signature_sender *sender, struct envelope *out,
        struct signature_route *route, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_SIGNATURE_H */
