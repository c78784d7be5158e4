/* SPDX-License-Identifier: MIT */
/*
 * policy.h - which patterns of tasks: speak about a task, and what they say together.
 * Private to the room; others use config_policy().
 */
#ifndef CONEY_CONFIG_POLICY_H
#define CONEY_CONFIG_POLICY_H

#include "config/config.h"
#include "config/keys.h"
#include "config/node.h"

/*
 * At most so many resolved names are remembered, for whoever may send a message chooses
 * the name. Beyond it a policy is shared by all names that the same patterns speak about.
 */
enum { POLICY_NAMES_MAX = 4096 };

/* Whether @pattern, in which "*" stands for any text and "?" for one byte, is @name. */
bool glob_matches(const char *pattern, const char *name);

/* Sort the keys of tasks: by how specific they are. CONEY_ENOMEM. */
enum coney_rc policies_init(struct config *c) CONEY_MUST_CHECK;

/* What the patterns say about @task, its text in the config's arena; nothing is
 * remembered. CONEY_ENOMEM. */
enum coney_rc policy_resolve(
        struct config *c, const char *task, struct policy *out) CONEY_MUST_CHECK;

/* The value of @k (a row below tasks.*) for @task, as it was written or by default, and
 * (may be NULL) the pattern that says so, NULL for a default. NULL: nowhere. */
const struct node *policy_value(const struct config *c, const char *task,
        const struct key *k, const char **pattern);
/* Calls @each for every variable of the environment of @task, the last word on each. */
typedef enum coney_rc (*variable_fn)(
        void *arg, const struct member *variable, const char *pattern);
enum coney_rc policy_each_variable(const struct config *c, const char *task,
        variable_fn each, void *arg) CONEY_MUST_CHECK;
/* The map of @task when one of its own, and no glob, is in tasks:; else NULL. */
const struct node *policy_own_map(const struct config *c, const char *task);
/* Whether a mistake was taken out of any map that speaks about @task. */
bool policy_is_sound(const struct config *c, const char *task);

#endif /* CONEY_CONFIG_POLICY_H */
