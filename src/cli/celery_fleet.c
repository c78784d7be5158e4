/* SPDX-License-Identifier: MIT */
/* celery_fleet.c - from the answers of many workers to one description. */
#include "cli/celery_fleet.h"

#include "base/error.h"
#include "cli/celery_task.h"

#include <stdlib.h>
#include <string.h>

enum { CONCURRENCY_MAX = 4096 };

enum coney_rc fleet_questions(struct question questions[FLEET_QUESTIONS])
{
    static const char *const methods[FLEET_QUESTIONS] = {[FLEET_CONF] = "conf",
            [FLEET_DEFAULTS] = "conf",
            [FLEET_TASKS] = "registered",
            [FLEET_QUEUES] = "active_queues",
            [FLEET_STATS] = "stats",
            [FLEET_HELD] = "scheduled"};
    for (size_t i = 0; i < FLEET_QUESTIONS; i++)
        questions[i] = (struct question){.method = methods[i]};
    questions[FLEET_DEFAULTS].arguments = json_pack("{s:b}", "with_defaults", 1);
    questions[FLEET_TASKS].arguments =
            json_pack("{s:o}", "taskinfoitems", celery_task_items());
    bool is_complete =
            questions[FLEET_DEFAULTS].arguments && questions[FLEET_TASKS].arguments;
    return is_complete ? CONEY_OK : CONEY_ENOMEM;
}

/* --- putting together --------------------------------------------------------------- */

/* By a setting that every version of Celery has, and nobody else. */
static bool is_celery(const struct question *questions, const char *node)
{
    const json_t *conf = question_reply(&questions[FLEET_DEFAULTS], node);
    return json_object_get(conf, "worker_hijack_root_logger") != NULL;
}

static bool is_complete(const struct question *questions, const char *node)
{
    for (size_t i = 0; i < FLEET_QUESTIONS; i++)
        if (!question_reply(&questions[i], node))
            return false;
    return true;
}

static enum coney_rc add_tasks(struct celery_fleet *f, const json_t *registered)
{
    for (size_t i = 0; i < json_array_size(registered); i++) {
        const char *text = json_string_value(json_array_get(registered, i));
        char name[256];
        if (!text)
            continue;
        const char *open = strstr(text, " [");
        size_t len = open ? (size_t)(open - text) : strlen(text);
        if (len == 0 || len >= sizeof(name) || strncmp(text, "celery.", 7) == 0)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)len, text);
        if (!json_object_get(f->tasks, name) &&
                json_object_set_new(f->tasks, name, json_string(text)) != 0)
            return CONEY_ENOMEM;
    }
    return CONEY_OK;
}

static enum coney_rc add_queues(struct celery_fleet *f, const json_t *queues)
{
    for (size_t i = 0; i < json_array_size(queues); i++) {
        json_t *queue = json_array_get(queues, i);
        const char *name = json_string_value(json_object_get(queue, "name"));
        if (name && !json_object_get(f->queues, name) &&
                json_object_set(f->queues, name, queue) != 0)
            return CONEY_ENOMEM;
    }
    return CONEY_OK;
}

static const char *host_of(const char *node)
{
    const char *at = strrchr(node, '@');
    return at ? at + 1 : node;
}

/* A pool that grows counts as grown. */
static unsigned concurrency_of(const json_t *stats)
{
    const json_t *pool = json_object_get(stats, "pool");
    json_int_t n = json_integer_value(json_object_get(pool, "max-concurrency"));
    json_int_t most = json_integer_value(
            json_object_get(json_object_get(stats, "autoscaler"), "max"));
    n = most > n ? most : n;
    if (n < 1)
        return 1;
    return n > CONCURRENCY_MAX ? CONCURRENCY_MAX : (unsigned)n;
}

static enum coney_rc add_node(
        struct celery_fleet *f, const struct question *questions, const char *node)
{
    if (!f->model) {
        f->model = node;
        f->conf = question_reply(&questions[FLEET_CONF], node);
        f->all = question_reply(&questions[FLEET_DEFAULTS], node);
    }
    if (strcmp(host_of(node), host_of(f->model)) == 0)
        f->concurrency += concurrency_of(question_reply(&questions[FLEET_STATS], node));
    const json_t *held = question_reply(&questions[FLEET_HELD], node);
    for (size_t i = 0; i < json_array_size(held); i++)
        if (json_array_append(f->held, json_array_get(held, i)) != 0)
            return CONEY_ENOMEM;
    enum coney_rc rc = add_tasks(f, question_reply(&questions[FLEET_TASKS], node));
    return rc == CONEY_OK ? add_queues(f, question_reply(&questions[FLEET_QUEUES], node))
                          : rc;
}

enum coney_rc fleet_learn(const struct question questions[FLEET_QUESTIONS],
        struct celery_fleet *f, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    size_t count;

    *f = (struct celery_fleet){
            .tasks = json_object(), .queues = json_object(), .held = json_array()};
    f->nodes = question_nodes(questions, FLEET_QUESTIONS, &count);
    if (!f->nodes || !f->tasks || !f->queues || !f->held)
        rc = CONEY_ENOMEM;
    for (size_t i = 0; i < count && rc == CONEY_OK; i++) {
        if (!is_celery(questions, f->nodes[i]))
            continue;
        if (!is_complete(questions, f->nodes[i]))
            f->incomplete = f->nodes[i];
        f->nodes[f->node_count++] = f->nodes[i];
        rc = add_node(f, questions, f->nodes[i]);
    }
    if (f->concurrency > CONCURRENCY_MAX)
        f->concurrency = CONCURRENCY_MAX;
    if (rc == CONEY_OK && f->incomplete)
        return error_set(err, CONEY_ETIMEOUT,
                "%.100s has not answered everything in time: try --timeout 10s",
                f->incomplete);
    if (rc == CONEY_OK && f->node_count == 0)
        return error_set(err, CONEY_ENOTFOUND, "no Celery worker answers on this broker");
    return rc == CONEY_OK ? rc : error_set_nomem(err);
}

void fleet_fini(struct celery_fleet *f)
{
    free(f->nodes);
    json_decref(f->tasks);
    json_decref(f->queues);
    json_decref(f->held);
}

/* --- reading ------------------------------------------------------------------------ */

const json_t *fleet_setting(const struct celery_fleet *f, const char *name)
{
    const json_t *value = json_object_get(f->all, name);
    if (!value)
        value = json_object_get(f->conf, name);
    return json_is_null(value) ? NULL : value;
}

const char *fleet_text(const struct celery_fleet *f, const char *name)
{
    return json_string_value(fleet_setting(f, name));
}

bool fleet_is_set(const struct celery_fleet *f, const char *name)
{
    return json_is_true(fleet_setting(f, name));
}
