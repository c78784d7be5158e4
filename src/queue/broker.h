/* SPDX-License-Identifier: MIT */
/*
 * broker.h - from the configuration's broker section to a session's options, and what the
 * connection tells an operator about itself.
 */
#ifndef CONEY_QUEUE_BROKER_H
#define CONEY_QUEUE_BROKER_H

#include "amqp/session.h"
#include "config/config.h"

/* Who connects. NULL or 0: left out of the client properties. */
struct broker_identity {
    const char *role;     /* "worker", "beat", "send" */
    const char *purpose;  /* "consume", "publish"; NULL: none */
    const char *instance; /* worker.instance */
    unsigned concurrency;
    bool with_queues; /* name the queues consumed from */
};

/*
 * Options for a session of @id. What they point to lives in @a or in @c. The connection
 * is named "coney <role>[-<instance>]@<host> [<purpose>]"; the management UI also shows
 * host, pid, concurrency and queues. CONEY_ENOMEM.
 */
enum coney_rc broker_options(const struct config *c, const struct broker_identity *id,
        struct arena *a, struct session_options *out) CONEY_MUST_CHECK;

/* This host's name, cut to fit. */
void broker_host(char *name, size_t size);

#endif /* CONEY_QUEUE_BROKER_H */
