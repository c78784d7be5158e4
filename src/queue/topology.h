/* SPDX-License-Identifier: MIT */
/*
 * topology.h - the list of broker objects a process needs, with their exact arguments.
 *
 * Pure data made from the configuration, in the order of declaration. The arguments are
 * design.md's and never depend on the broker's version.
 */
#ifndef CONEY_QUEUE_TOPOLOGY_H
#define CONEY_QUEUE_TOPOLOGY_H

#include "base/table.h"
#include "config/config.h"

enum declaration_kind { DECLARE_EXCHANGE, DECLARE_QUEUE, BIND_QUEUE, BIND_EXCHANGE };

struct declaration {
    enum declaration_kind kind;
    enum declare_mode mode;
    const char *name;   /* exchange or queue; of a binding: the destination */
    const char *type;   /* of an exchange */
    const char *source; /* of a binding */
    const char *key;    /* of a binding */
    struct table arguments;
};

struct topology {
    struct arena *arena; /* owns everything, this struct too */
    struct declaration *items;
    size_t count;
};

/* Which part of the objects a process needs. */
enum topology_part {
    TOPOLOGY_TASKS = 1,  /* task queues, levels, dead letters, unroutable */
    TOPOLOGY_TOKEN = 2,  /* the token queue of config.beat.name */
    TOPOLOGY_REVOKED = 4 /* the stream of revocations */
};

/* @parts is an or of topology_part. CONEY_ENOMEM, CONEY_EINVAL (a name too long, or a
 * queue's with a part that is just * or #; @err says which). */
enum coney_rc topology_new(const struct config *c, unsigned parts, struct topology **out,
        struct coney_error *err) CONEY_MUST_CHECK;
void topology_free(struct topology *t);

#endif /* CONEY_QUEUE_TOPOLOGY_H */
