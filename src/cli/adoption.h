/* SPDX-License-Identifier: MIT */
/*
 * adoption.h - a configuration of ours that does what Celery workers do, as far as it can
 * be said: from their description to YAML with comments. Pure.
 *
 * Nothing is taken away from anybody by it: queues are passive, and entries of the
 * schedule are disabled until somebody says that Celery's beat does not have them any
 * more. What has no counterpart is noted, in the file and in the paper's notes.
 */
#ifndef CONEY_CLI_ADOPTION_H
#define CONEY_CLI_ADOPTION_H

#include "cli/celery_fleet.h"
#include "cli/paper.h"
#include "config/config.h"

/* Everything is borrowed; NULL: not known. */
struct adoption_options {
    const struct broker_config *broker; /* that the workers were reached by */
    const char *url;                    /* instead of the broker's URLs */
    const char *ca;                     /* instead of the broker's */
    const char *app;                    /* as in celery -A */
    const char *directory;              /* where it can be imported */
    const char *bridge;                 /* the program; required */
};

/* Write all of it to @p, whose rc says whether that went well. */
void adoption_write(
        const struct celery_fleet *f, const struct adoption_options *o, struct paper *p);

/* --- the parts, for adoption*.c */

/* The name of the class for high, normal and low (0, 1, 2): our defaults, or others where
 * a queue of Celery's has the name of one. */
const char *adoption_class(const struct celery_fleet *f, unsigned rank);
/* Whether @queue is among those that are written. */
bool adoption_has_queue(const struct celery_fleet *f, const char *queue);

void adoption_write_queues(const struct celery_fleet *f, struct paper *p);
void adoption_write_tasks(
        const struct celery_fleet *f, const struct adoption_options *o, struct paper *p);
void adoption_write_schedule(const struct celery_fleet *f, struct paper *p);

#endif /* CONEY_CLI_ADOPTION_H */
