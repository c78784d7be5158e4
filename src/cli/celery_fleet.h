/* SPDX-License-Identifier: MIT */
/*
 * celery_fleet.h - the Celery workers that run, as they describe themselves: settings,
 * tasks, queues. What adopt and doctor both look at. Pure, but for the asking.
 */
#ifndef CONEY_CLI_CELERY_FLEET_H
#define CONEY_CLI_CELERY_FLEET_H

#include "cli/asking.h"

enum fleet_question {
    FLEET_CONF,
    FLEET_DEFAULTS,
    FLEET_TASKS,
    FLEET_QUEUES,
    FLEET_STATS,
    FLEET_HELD,
    FLEET_QUESTIONS
};

struct celery_fleet {
    const char **nodes; /* owned; of Celery's, sorted */
    size_t node_count;
    const char *incomplete; /* one that has not answered everything; NULL: none */
    const char *model;      /* whose settings are taken: the first node */
    const json_t *conf; /* its settings that are no defaults; borrowed, likewise below */
    const json_t *all;  /* all of them */
    json_t *tasks;      /* owned: name to its text; of all nodes */
    json_t *queues;     /* owned: name to what it is; of all nodes */
    json_t *held;       /* owned: all tasks that workers hold for their time */
    unsigned concurrency; /* of all nodes on the model's host */
};

/* The questions whose answers describe a fleet. questions_fini() later. CONEY_ENOMEM. */
enum coney_rc fleet_questions(
        struct question questions[FLEET_QUESTIONS]) CONEY_MUST_CHECK;

/* How long they may take: half a description would be a wrong one. */
enum { FLEET_TIMEOUT_MS = 3000 };

/*
 * Put the answers together; Coney's own workers are left out. @questions must outlive @f.
 * For fleet_fini() in any case. CONEY_ENOTFOUND: there is no Celery worker among them;
 * CONEY_ETIMEOUT: one has not answered everything; CONEY_ENOMEM.
 */
enum coney_rc fleet_learn(const struct question questions[FLEET_QUESTIONS],
        struct celery_fleet *f, struct coney_error *err) CONEY_MUST_CHECK;
void fleet_fini(struct celery_fleet *f);

/* A setting of the model; NULL when it is not there or null. */
const json_t *fleet_setting(const struct celery_fleet *f, const char *name);
/* Its text; NULL where it is none. */
const char *fleet_text(const struct celery_fleet *f, const char *name);
bool fleet_is_set(const struct celery_fleet *f, const char *name);

#endif /* CONEY_CLI_CELERY_FLEET_H */
