/* SPDX-License-Identifier: MIT */
/* diagnosis_parts.c - queues, tasks and schedule entries, each looked at by itself. */
#include "base/json.h"
#include "base/text.h"
#include "cli/celery_task.h"
#include "cli/celery_when.h"
#include "cli/diagnosis.h"
#include "config/texts.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_SIZE = 200 };

/* --- queues ------------------------------------------------------------------------- */

static void check_arguments(const char *name, const json_t *queue, struct diagnosis *d)
{
    static const struct {
        const char *argument;
        const char *sentence;
    } rows[] = {
            {"x-message-ttl",
                    "tasks that wait longer are dropped, delayed ones included"},
            {"x-expires", "it is deleted when nobody consumes for a while"},
            {"x-max-length", "what does not fit is dropped or refused"},
            {"x-single-active-consumer", "only one worker at a time gets its tasks"},
    };
    const json_t *arguments = json_object_get(queue, "queue_arguments");
    const char *type = json_text(arguments, "x-queue-type");

    if (type && strcmp(type, "stream") == 0)
        diagnosis_add(
                d, FINDING_BLOCKS, "queue %s is a stream: no queue of tasks here", name);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (json_object_get(arguments, rows[i].argument))
            diagnosis_add(d, FINDING_DIFFERS, "queue %s has %s: %s", name,
                    rows[i].argument, rows[i].sentence);
}

static void check_queue(const char *name, const json_t *queue, struct diagnosis *d)
{
    struct coney_error err;
    const char *type = json_text(json_object_get(queue, "exchange"), "type");

    if (text_ends_with(name, ".dq2"))
        diagnosis_add(d, FINDING_BLOCKS,
                "queue %s belongs to one worker (worker_direct): there is no such thing here",
                name);
    else if (type && strcmp(type, "fanout") == 0)
        diagnosis_add(d, FINDING_BLOCKS,
                "queue %s is a broadcast: its tasks stay with Celery's workers", name);
    else if (json_is_true(json_object_get(queue, "exclusive")) ||
             json_is_true(json_object_get(queue, "auto_delete")))
        diagnosis_add(d, FINDING_BLOCKS,
                "queue %s goes with its consumers: a worker here wants one that stays",
                name);
    else if (text_check_queue(name, &err) != CONEY_OK)
        diagnosis_add(d, FINDING_BLOCKS, "queue %s: %s", name, err.text);
    else
        check_arguments(name, queue, d);
}

void diagnose_queues(const struct celery_fleet *f, struct diagnosis *d)
{
    const char *usual = fleet_text(f, "task_default_queue");

    for (void *at = json_object_iter(f->queues); at;
            at = json_object_iter_next(f->queues, at))
        check_queue(json_object_iter_key(at), json_object_iter_value(at), d);
    if (usual && !json_object_get(f->queues, usual))
        diagnosis_add(d, FINDING_DIFFERS,
                "tasks without a route go to the queue %s (task_default_queue), which no "
                "worker consumes",
                usual);
}

/* --- tasks -------------------------------------------------------------------------- */

/* Tasks with something in common: how many, and the first of their names. */
struct group {
    size_t count;
    char names[NAMES_SIZE];
    size_t len;
};

static void add_name(struct group *g, const char *name)
{
    size_t room = sizeof(g->names) - g->len;
    g->count++;
    if (g->len + strlen(name) + 6 > sizeof(g->names))
        return;
    g->len += (size_t)snprintf(
            g->names + g->len, room, "%s%s", g->len > 0 ? ", " : "", name);
}

static void check_task(
        const struct celery_task *t, struct group *early, struct diagnosis *d)
{
    char rate[64];
    if (!t->acks_late || strcmp(t->acks_late, "True") != 0)
        add_name(early, t->name);
    if (t->serializer && strcmp(t->serializer, "json") != 0)
        diagnosis_add(d, FINDING_BLOCKS, "task %s is sent as %s: only JSON is read here",
                t->name, t->serializer);
    if (t->compression && strcmp(t->compression, "gzip") != 0 &&
            strcmp(t->compression, "zlib") != 0)
        diagnosis_add(d, FINDING_BLOCKS,
                "task %s is compressed by %s: only gzip (zlib) is known here", t->name,
                t->compression);
    if (t->rate_limit && strcmp(t->rate_limit, "0") != 0 &&
            !celery_rate(t->rate_limit, rate, sizeof(rate)))
        diagnosis_add(d, FINDING_DIFFERS, "task %s: the rate limit %s can't be had here",
                t->name, t->rate_limit);
    if (t->queue && !*t->queue)
        diagnosis_add(d, FINDING_DIFFERS, "task %s names an empty queue", t->name);
}

static void check_route(const struct celery_fleet *f, const char *task,
        const json_t *route, struct diagnosis *d)
{
    const char *queue =
            json_is_object(route) ? json_text(route, "queue") : json_string_value(route);
    if (queue && !json_object_get(f->queues, queue))
        diagnosis_add(d, FINDING_DIFFERS,
                "the route of %s leads to %s, which no worker consumes", task, queue);
    else if (!queue)
        diagnosis_add(d, FINDING_DIFFERS,
                "the route of %s names no queue: it is for Python's producers, and none "
                "for what is sent from here",
                task);
}

static void check_routes(const struct celery_fleet *f, struct diagnosis *d)
{
    const json_t *routes = fleet_setting(f, "task_routes");
    size_t count = json_is_array(routes) ? json_array_size(routes) : routes ? 1 : 0;

    for (size_t i = 0; i < count; i++) {
        const json_t *map = json_is_array(routes) ? json_array_get(routes, i) : routes;
        json_t *object = (json_t *)(uintptr_t)map;
        if (!json_is_object(map))
            diagnosis_add(d, FINDING_DIFFERS,
                    "task_routes has a rule in Python: it is for Python's producers, and "
                    "none for what is sent from here");
        for (void *at = json_object_iter(object); at;
                at = json_object_iter_next(object, at))
            check_route(f, json_object_iter_key(at), json_object_iter_value(at), d);
    }
}

void diagnose_tasks(const struct celery_fleet *f, struct diagnosis *d)
{
    struct group early = {.count = 0};
    struct arena *a = arena_new(0);

    for (void *at = a ? json_object_iter(f->tasks) : NULL; at;
            at = json_object_iter_next(f->tasks, at)) {
        struct celery_task t;
        const char *text = json_string_value(json_object_iter_value(at));
        if (celery_task_read(text, a, &t) == CONEY_OK)
            check_task(&t, &early, d);
        else
            d->rc = CONEY_ENOMEM;
    }
    if (early.count > 0)
        diagnosis_add(d, FINDING_DIFFERS,
                "%zu task%s acknowledged early over there (acks_late is off) and lost when "
                "a machine dies; here %s again: %s%s",
                early.count, early.count == 1 ? " is" : "s are",
                early.count == 1 ? "it runs" : "they run", early.names,
                early.count > 1 && strlen(early.names) + 40 > NAMES_SIZE ? " ..." : "");
    if (!a)
        d->rc = CONEY_ENOMEM;
    arena_free(a);
    check_routes(f, d);
}

/* --- schedule ----------------------------------------------------------------------- */

void diagnose_schedule(const struct celery_fleet *f, struct diagnosis *d)
{
    json_t *entries = (json_t *)(uintptr_t)fleet_setting(f, "beat_schedule");
    const char *scheduler = fleet_text(f, "beat_scheduler");

    if (scheduler && !strstr(scheduler, "PersistentScheduler"))
        diagnosis_add(d, FINDING_BLOCKS,
                "beat_scheduler is %s: entries that it keeps elsewhere have to be written "
                "down by hand",
                scheduler);
    for (void *at = json_object_iter(entries); at;
            at = json_object_iter_next(entries, at)) {
        struct celery_when when;
        struct coney_error err;
        const char *name = json_object_iter_key(at);
        const json_t *entry = json_object_iter_value(at);
        if (celery_when_read(json_object_get(entry, "schedule"), &when, &err) != CONEY_OK)
            diagnosis_add(d, FINDING_BLOCKS, "schedule %s: %s", name, err.text);
    }
}
