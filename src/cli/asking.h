/* SPDX-License-Identifier: MIT */
/*
 * asking.h - questions to all workers at once, and what they answered.
 *
 * Replies come to an exclusive queue of our own. How many workers there are nobody knows:
 * it is over when all that were named have answered, else when none has for a while.
 */
#ifndef CONEY_CLI_ASKING_H
#define CONEY_CLI_ASKING_H

#include "cli/connection.h"
#include "message/remote.h"

/* How long to wait for a further reply, where nothing else is said. */
enum { ASKING_TIMEOUT_MS = 1000 };

struct question {
    const char *method;
    json_t *arguments; /* owned; NULL: none */
    bool is_silent;    /* no worker answers it: shutdown */
    /* Filled in by ask(): */
    char ticket[UUID_TEXT_SIZE];
    json_t *replies; /* owned: node to reply; the last one of each node */
};

enum { CONTENT_TYPE_SIZE = 64 };

/* Some questions to the same nodes. Everything is borrowed. */
struct inquiry {
    struct remote_target target;
    struct question *questions;
    size_t count;
    unsigned timeout_ms; /* of the wait for the next reply */
    /* Filled in by ask(): of a reply that is no JSON, as Celery sends it where its
     * task_serializer is another; "": there was none. */
    char foreign_type[CONTENT_TYPE_SIZE];
};

/* Ask, and wait for what comes. CONEY_OK also when nobody answers. Once for a connection.
 */
enum coney_rc ask(struct connection *c, struct inquiry *inquiry,
        struct coney_error *err) CONEY_MUST_CHECK;
void questions_fini(struct question *questions, size_t count);

/* The reply of @node, borrowed; NULL: none. */
const json_t *question_reply(const struct question *q, const char *node);

/* Every node that has answered any of them, sorted; NULL when out of memory. Free it. */
const char **question_nodes(
        const struct question *questions, size_t count, size_t *node_count);

#endif /* CONEY_CLI_ASKING_H */
