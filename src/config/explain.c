/* SPDX-License-Identifier: MIT */
/* explain.c - what is in force for one task, and who said so. */
#include "config/config.h"
#include "config/policy.h"
#include "config/source.h"
#include "config/texts.h"
#include "config/yaml.h"

#include <stdio.h>
#include <string.h>

/* One explanation being written. */
struct explaining {
    struct buffer *out;
    const struct policy *policy;
};

/* Where @n was written and under which pattern; a default has neither. */
static enum coney_rc write_origin(
        struct buffer *out, const struct node *n, const char *pattern)
{
    if (!pattern)
        return buffer_printf(out, "default\n");
    return buffer_printf(out, "%s:%u:%u, tasks: \"%s\"\n", n->at.file, n->at.line,
            n->at.column, pattern);
}

/* "  time_limit            2m" and blanks up to the next column. */
static enum coney_rc write_value(
        struct buffer *out, const char *key, const struct node *n)
{
    enum { KEY_WIDTH = 22, VALUE_END = 56 };
    size_t before = buffer_len(out);
    enum coney_rc rc = buffer_printf(out, "  %-*s ", KEY_WIDTH, key);
    if (rc == CONEY_OK)
        rc = yaml_write_flow(out, n);
    size_t width = buffer_len(out) - before;
    int padding = width < VALUE_END ? (int)(VALUE_END - width) : 2;
    return rc == CONEY_OK ? buffer_printf(out, "%*s", padding, "") : rc;
}

static enum coney_rc explain_key(struct explaining *e, const struct config *c,
        const char *task, const struct key *k)
{
    const char *pattern;
    const char *name = k->path + strlen("tasks.*.");
    const struct node *n = policy_value(c, task, k, &pattern);
    struct node queue = {.kind = NODE_SCALAR, .plain = true, .text = e->policy->queue};

    if (strcmp(name, "queue") == 0) { /* the class's queue, where a class was named */
        queue.at = n ? n->at : queue.at;
        n = &queue;
    }
    if (!n)
        return CONEY_OK;
    enum coney_rc rc = write_value(e->out, name, n);
    return rc == CONEY_OK ? write_origin(e->out, n, pattern) : rc;
}

static enum coney_rc explain_variable(
        void *arg, const struct member *variable, const char *pattern)
{
    struct explaining *e = arg;
    struct node masked = {.kind = NODE_SCALAR, .text = "***", .at = variable->value->at};
    const struct node *shown =
            is_secret_variable(variable->name) ? &masked : variable->value;
    char key[64];

    snprintf(key, sizeof(key), "environment.%s", variable->name);
    enum coney_rc rc = write_value(e->out, key, shown);
    return rc == CONEY_OK ? write_origin(e->out, shown, pattern) : rc;
}

static const char *describe_handler(const struct policy *p)
{
    switch (p->handler) {
    case HANDLER_COMMAND:
        return "a command";
    case HANDLER_SERVER:
        return "a server's task";
    case HANDLER_NATIVE:
        break;
    }
    return p->known ? "a plugin's task" : "not named here; a plugin may have it";
}

enum coney_rc config_explain(struct config *c, const char *task, struct buffer *out)
{
    size_t count;
    const struct key *table = key_table(&count);
    const struct key *tasks = key_find("tasks.*");
    struct explaining e = {.out = out, .policy = config_policy(c, task)};

    if (!e.policy)
        return CONEY_ENOMEM;
    enum coney_rc rc =
            buffer_printf(out, "task %s: %s\n", task, describe_handler(e.policy));
    for (const struct key *k = tasks + 1; rc == CONEY_OK && k < table + count; k++) {
        if (strncmp(k->path, "tasks.*.", strlen("tasks.*.")) != 0)
            break;
        if (k->type == KEY_VARIABLES)
            rc = policy_each_variable(c, task, explain_variable, &e);
        else if (!key_is_section(k))
            rc = explain_key(&e, c, task, k);
    }
    return rc;
}
