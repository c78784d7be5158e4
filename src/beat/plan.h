/* SPDX-License-Identifier: MIT */
/*
 * plan.h - one generation of what the beat was told: configuration, broker objects, and
 * the agenda made from its schedule.
 */
#ifndef CONEY_BEAT_PLAN_H
#define CONEY_BEAT_PLAN_H

#include "beat/agenda.h"
#include "config/config.h"
#include "queue/topology.h"

enum { PLAN_TLS_FILES = 4 };

/* What tells one content of a file from another without reading it. */
struct plan_file {
    int64_t inode;
    int64_t size;
    int64_t changed_ns;
};

struct plan {
    struct config *config;     /* owned */
    struct topology *topology; /* owned */
    struct agenda *agenda;     /* owned */
    struct plan_file tls[PLAN_TLS_FILES];
};

/* Load the configuration at @path (NULL: the usual places). Mistakes are collected as by
 * config_load(); the caller's for mistakes_fini() in any case. */
enum coney_rc plan_load(const char *path, struct plan **out, struct mistakes *mistakes,
        struct coney_error *err) CONEY_MUST_CHECK;
/* NULL is ignored. */
void plan_free(struct plan *p);

/* Whether a connection made for @a serves @b. */
bool plan_has_same_broker(const struct plan *a, const struct plan *b);

#endif /* CONEY_BEAT_PLAN_H */
