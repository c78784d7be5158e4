/* SPDX-License-Identifier: MIT */
/*
 * rules.c - what several keys must be to each other.
 *
 * A rule is silent where a mistake was taken out of what it compares: it would be about a
 * default that the operator did not mean.
 */
#include "config/rules.h"

#include "base/duration.h"
#include "config/mistakes.h"
#include "config/policy.h"
#include "config/sections.h"
#include "config/source.h"

#include <stdio.h>
#include <string.h>

/* What is looked at, and where the mistakes go. */
struct rules {
    struct config *config;
    struct mistakes *mistakes;
};

/* Where to point to: the one of two values that the operator wrote, @a if both. */
static struct place place_of(const struct node *a, const struct node *b)
{
    return a->at.file ? a->at : b->at;
}

/* --- broker ------------------------------------------------------------------------- */

static const struct node *broker_key(const struct rules *r, const char *path)
{
    return node_find(node_get(r->config->source->root, "broker"), path);
}

static bool uses_tls(const struct config *c)
{
    for (size_t i = 0; i < c->broker.urls.count; i++)
        if (strncmp(c->broker.urls.items[i], "amqps:", 6) == 0)
            return true;
    return false;
}

static enum coney_rc check_tls(const struct rules *r)
{
    const struct broker_config *b = &r->config->broker;
    enum coney_rc rc = CONEY_OK;

    if (b->tls.cert && !b->tls.key)
        rc = mistakes_add(r->mistakes, broker_key(r, "tls.cert")->at,
                "cert: a certificate needs its private key, tls.key");
    if (rc == CONEY_OK && b->tls.key && !b->tls.cert)
        rc = mistakes_add(r->mistakes, broker_key(r, "tls.key")->at,
                "key: a private key needs its certificate, tls.cert");
    if (rc == CONEY_OK && b->external && (!b->tls.cert || !uses_tls(r->config)))
        rc = mistakes_add(r->mistakes, broker_key(r, "auth")->at,
                "auth: external needs amqps:// URLs and a client certificate, tls.cert");
    bool has_files = b->tls.ca || b->tls.cert || b->tls.crl;
    if (rc == CONEY_OK && has_files && !uses_tls(r->config))
        rc = mistakes_add(r->mistakes, broker_key(r, "tls")->at,
                "tls: no URL begins with amqps://, so nothing would be encrypted");
    return rc;
}

static enum coney_rc check_broker(const struct rules *r)
{
    const struct broker_config *b = &r->config->broker;
    if (!is_sound(node_get(r->config->source->root, "broker")))
        return CONEY_OK;

    enum coney_rc rc = check_tls(r);
    const struct node *base = broker_key(r, "backoff.base");
    const struct node *cap = broker_key(r, "backoff.cap");
    if (rc == CONEY_OK && b->backoff_base_ms > b->backoff_cap_ms)
        rc = mistakes_add(r->mistakes, place_of(base, cap),
                "backoff: the first wait, base (%s), is longer than the longest, cap (%s)",
                base->text, cap->text);
    return rc;
}

/* --- results ------------------------------------------------------------------------ */

static const struct node *results_key(const struct rules *r, const char *path)
{
    return node_find(node_get(r->config->source->root, "results"), path);
}

static enum coney_rc check_results(const struct rules *r)
{
    const struct results_config *c = &r->config->results;
    bool is_store = c->url && strncmp(c->url, "redis", 5) == 0;
    bool has_tls = is_store && strncmp(c->url, "rediss:", 7) == 0;
    enum coney_rc rc = CONEY_OK;

    if (!is_sound(node_get(r->config->source->root, "results")))
        return CONEY_OK;
    if (c->tls.cert && !c->tls.key)
        rc = mistakes_add(r->mistakes, results_key(r, "tls.cert")->at,
                "cert: a certificate needs its private key, tls.key");
    if (rc == CONEY_OK && c->tls.key && !c->tls.cert)
        rc = mistakes_add(r->mistakes, results_key(r, "tls.key")->at,
                "key: a private key needs its certificate, tls.cert");
    if (rc == CONEY_OK && (c->tls.ca || c->tls.cert) && !has_tls)
        rc = mistakes_add(r->mistakes, results_key(r, "tls")->at,
                "tls: the URL does not begin with rediss://, so nothing would be "
                "encrypted");
    if (rc == CONEY_OK && c->password_file && !is_store)
        rc = mistakes_add(r->mistakes, results_key(r, "password_file")->at,
                "password_file: only for a redis[s]:// URL");
    return rc;
}

/* --- classes ------------------------------------------------------------------------ */

static enum coney_rc check_reserves(const struct rules *r)
{
    const struct config *c = r->config;
    const struct node *classes = node_get(c->source->root, "classes");
    const struct node *last = NULL;
    const char *unreserved = NULL;
    unsigned sum = 0;

    if (!is_sound(classes) || !is_sound(node_get(c->source->root, "worker")))
        return CONEY_OK;
    for (size_t i = 0; i < c->class_count; i++) {
        sum += c->classes[i].reserve;
        if (c->classes[i].reserve > 0)
            last = node_get(classes->members[i].value, "reserve");
        else
            unreserved = c->classes[i].name;
    }
    if (!last)
        return CONEY_OK;
    if (sum > c->worker.concurrency)
        return mistakes_add(r->mistakes, last->at,
                "reserve: all classes together reserve %u runners, of %u (concurrency)",
                sum, c->worker.concurrency);
    if (sum == c->worker.concurrency && unreserved)
        return mistakes_add(r->mistakes, last->at,
                "reserve: all %u runners (concurrency) are reserved, so \"%s\" would "
                "never run",
                sum, unreserved);
    return CONEY_OK;
}

static enum coney_rc check_running(const struct rules *r)
{
    const struct config *c = r->config;
    const struct node *classes = node_get(c->source->root, "classes");
    for (size_t i = 0; i < c->class_count; i++) {
        const struct class_config *class = &c->classes[i];
        const struct node *map = classes->members[i].value;
        if (class->max_running == 0 || class->reserve <= class->max_running ||
                !is_sound(map))
            continue;
        enum coney_rc rc = mistakes_add(r->mistakes, node_get(map, "reserve")->at,
                "reserve: %u runners for \"%s\", which may only use %u (max_running)",
                class->reserve, class->name, class->max_running);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

/* --- queues ------------------------------------------------------------------------- */

/* Whether a queue of ours has a role already: dead letters, delay levels, tokens. */
static bool is_reserved_queue(const struct config *c, const char *queue)
{
    static const char *const names[] = {"dead", "unroutable", "revoked"};
    static const char *const families[] = {"v1.", "beat."};
    size_t len = strlen(c->broker.prefix);

    if (strncmp(queue, c->broker.prefix, len) != 0 || queue[len] != '.')
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(queue + len + 1, names[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (strncmp(queue + len + 1, families[i], strlen(families[i])) == 0)
            return true;
    return false;
}

/* Where the operator wrote what makes this queue: its own entry, else its class. */
static struct place place_of_queue(const struct rules *r, size_t index)
{
    const struct node *root = r->config->source->root;
    const struct member *queue = &node_get(root, "queues")->members[index];
    if (queue->at.file)
        return queue->at;
    size_t class = r->config->queues[index].class_index;
    return node_get(root, "classes")->members[class].at;
}

static enum coney_rc check_queues(const struct rules *r)
{
    const struct config *c = r->config;
    const struct node *queues = node_get(c->source->root, "queues");
    for (size_t i = 0; i < c->queue_count; i++) {
        const struct queue_config *queue = &c->queues[i];
        const struct node *map = queues->members[i].value;
        enum coney_rc rc = CONEY_OK;
        if (is_reserved_queue(c, queue->name))
            rc = mistakes_add(r->mistakes, place_of_queue(r, i),
                    "\"%s\" can't be a task queue: coney keeps that name for itself",
                    queue->name);
        if (rc == CONEY_OK && queue->max_priority > 0 && queue->type == QUEUE_QUORUM &&
                is_sound(map))
            rc = mistakes_add(r->mistakes, node_get(map, "max_priority")->at,
                    "max_priority: only for a classic queue (type: classic)");
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

/* --- tasks -------------------------------------------------------------------------- */

static const struct node *task_key(
        const struct rules *r, const char *task, const char *path)
{
    char row[64];
    snprintf(row, sizeof(row), "tasks.*.%s", path);
    return policy_value(r->config, task, key_find(row), NULL);
}

static enum coney_rc check_limits(const struct rules *r, const struct policy *p)
{
    const struct node *soft = task_key(r, p->task, "soft_time_limit");
    const struct node *hard = task_key(r, p->task, "time_limit");
    const struct node *base = task_key(r, p->task, "retry.base");
    const struct node *cap = task_key(r, p->task, "retry.cap");
    enum coney_rc rc = CONEY_OK;

    if (p->time_limit_ms != CONFIG_NONE && p->soft_time_limit_ms >= p->time_limit_ms)
        rc = mistakes_add(r->mistakes, place_of(soft, hard),
                "soft_time_limit (%s) must be below time_limit (%s) for %.64s",
                soft->text, hard->text, p->task);
    if (rc == CONEY_OK && p->retry.base_ms > p->retry.cap_ms)
        rc = mistakes_add(r->mistakes, place_of(base, cap),
                "retry: base (%s) is above cap (%s) for %.64s: raise cap", base->text,
                cap->text, p->task);
    return rc;
}

static bool has_code(const struct int_list *list, int code)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == code)
            return true;
    return false;
}

static enum coney_rc check_overlap(const struct rules *r, const struct policy *p,
        const char *name, const char *other_name)
{
    const struct node *a = task_key(r, p->task, name);
    const struct node *b = task_key(r, p->task, other_name);
    const struct command_policy *command = &p->command;
    const struct int_list *list =
            strcmp(name, "ok_exit") == 0 ? &command->ok_exit : &command->retry_exit;
    const struct int_list *other = strcmp(other_name, "retry_exit") == 0
                                           ? &command->retry_exit
                                           : &command->reject_exit;

    for (size_t i = 0; i < list->count; i++)
        if (has_code(other, list->items[i]))
            return mistakes_add(r->mistakes, place_of(b, a),
                    "%s and %s of %.64s both hold %d: one exit code, one meaning", name,
                    other_name, p->task, list->items[i]);
    return CONEY_OK;
}

static enum coney_rc check_exit_codes(const struct rules *r, const struct policy *p)
{
    enum coney_rc rc = check_overlap(r, p, "ok_exit", "retry_exit");
    if (rc == CONEY_OK)
        rc = check_overlap(r, p, "ok_exit", "reject_exit");
    if (rc == CONEY_OK)
        rc = check_overlap(r, p, "retry_exit", "reject_exit");
    return rc;
}

/* What only a command or a server has, said of a task that is none. */
static enum coney_rc check_handler(const struct rules *r, const struct policy *p)
{
    static const struct {
        const char *key;
        bool of_command, of_server;
    } keys[] = {{"directory", true, true}, {"environment", true, true},
            {"umask", true, true}, {"ok_exit", true, false}, {"retry_exit", true, false},
            {"reject_exit", true, false}, {"max_output", true, false},
            {"start_timeout", false, true}};
    const struct node *own = policy_own_map(r->config, p->task);

    for (size_t i = 0; own && i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct member *m = node_member(own, keys[i].key);
        bool is_fine = (keys[i].of_command && p->handler == HANDLER_COMMAND) ||
                       (keys[i].of_server && p->handler == HANDLER_SERVER);
        if (!m || is_fine)
            continue;
        const char *whose = !keys[i].of_server    ? "command"
                            : !keys[i].of_command ? "server"
                                                  : "command or server";
        enum coney_rc rc = mistakes_add(r->mistakes, m->at,
                "%s: only for a %s, and %.64s has none", keys[i].key, whose, p->task);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static bool is_given(const struct node *n)
{
    return n && n->kind != NODE_SCALAR; /* none */
}

/* One map may not name both; of two maps the more specific one decides. */
static enum coney_rc check_exclusive(const struct rules *r, const struct member *task)
{
    const struct member *command = node_member(task->value, "command");
    const struct member *server = node_member(task->value, "server");
    if (!command || !server || !is_given(command->value) || !is_given(server->value))
        return CONEY_OK;
    return mistakes_add(r->mistakes, server->at,
            "server: %.64s has a command already (%s:%u), and a task has one handler",
            task->name, command->at.file, command->at.line);
}

static enum coney_rc check_target(const struct rules *r, const struct member *task)
{
    char hint[200];
    const struct node *queue = node_get(task->value, "queue");
    if (!queue || config_queue(r->config, queue->text) ||
            config_allows_target(r->config, queue->text))
        return CONEY_OK;
    queue_hint(r->config, queue->text, hint, sizeof(hint));
    return mistakes_add(r->mistakes, queue->at, "queue: there is no queue \"%.64s\"%s",
            queue->text, hint);
}

/* A pattern is looked at as the name it spells: what it says meets what less specific
 * ones say. */
static enum coney_rc check_tasks(const struct rules *r)
{
    const struct node *tasks = node_get(r->config->source->root, "tasks");
    for (size_t i = 0; tasks && i < tasks->count; i++) {
        enum coney_rc rc = check_target(r, &tasks->members[i]);
        if (rc == CONEY_OK)
            rc = check_exclusive(r, &tasks->members[i]);
        if (rc != CONEY_OK)
            return rc;
        if (!policy_is_sound(r->config, tasks->members[i].name))
            continue;
        struct policy policy;
        rc = policy_resolve(r->config, tasks->members[i].name, &policy);
        policy.task = r->config->task_patterns.items[i];
        if (rc == CONEY_OK)
            rc = check_limits(r, &policy);
        if (rc == CONEY_OK)
            rc = check_exit_codes(r, &policy);
        if (rc == CONEY_OK)
            rc = check_handler(r, &policy);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

enum coney_rc rules_check(struct config *c, struct mistakes *mistakes)
{
    const struct rules r = {.config = c, .mistakes = mistakes};
    enum coney_rc rc = check_broker(&r);
    if (rc == CONEY_OK)
        rc = check_results(&r);
    if (rc == CONEY_OK)
        rc = check_reserves(&r);
    if (rc == CONEY_OK)
        rc = check_running(&r);
    if (rc == CONEY_OK)
        rc = check_queues(&r);
    return rc == CONEY_OK ? check_tasks(&r) : rc;
}
