/* SPDX-License-Identifier: MIT */
/*
 * adoption_tasks.c - Celery's tasks: all of an application to the bridge, each with the
 * limits that it has of its own, and the routes.
 */
#include "cli/adoption.h"
#include "cli/celery_task.h"
#include "config/texts.h"

#include <stdlib.h>
#include <string.h>

enum { KIB_MIN = 1024, PRIORITY_MAX = 255, LIMIT_SIZE = 64 };

/* What a task has beyond the others; empty texts: nothing. */
struct specifics {
    char rate[LIMIT_SIZE];
    char hard[LIMIT_SIZE];
    char soft[LIMIT_SIZE];
    const char *queue;
    int priority; /* -1: none */
    bool ignores_result;
};

static double seconds_of(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : 0;
}

static double seconds_or(const char *text, double otherwise)
{
    return text ? strtod(text, NULL) : otherwise;
}

/* --- for all of them ---------------------------------------------------------------- */

static void write_common(const struct celery_fleet *f, struct paper *p)
{
    char text[LIMIT_SIZE];
    double hard = seconds_of(fleet_setting(f, "task_time_limit"));
    double soft = seconds_of(fleet_setting(f, "task_soft_time_limit"));
    json_int_t tasks = json_integer_value(fleet_setting(f, "worker_max_tasks_per_child"));
    json_int_t kib = json_integer_value(fleet_setting(f, "worker_max_memory_per_child"));

    paper_put(p,
            "  \"*\":\n    retry: {max: 0}  # what crashes is a dead letter; the tasks' "
            "own retries count for themselves\n");
    if (celery_seconds(hard, text, sizeof(text)))
        paper_put(p, "    time_limit: %s\n", text);
    if ((hard == 0 || soft < hard) && celery_seconds(soft, text, sizeof(text)))
        paper_put(p, "    soft_time_limit: %s\n", text);
    if (tasks > 0)
        paper_put(p, "    max_tasks: %lld\n", (long long)tasks);
    if (kib >= KIB_MIN)
        paper_put(p, "    max_memory: %lldK\n", (long long)kib);
    if (fleet_is_set(f, "task_ignore_result"))
        paper_put(p, "    ignore_result: true\n");
}

/* --- the application ---------------------------------------------------------------- */

static size_t count_tasks_of(
        const struct celery_fleet *f, const char *package, size_t len)
{
    size_t n = 0;
    for (void *at = json_object_iter(f->tasks); at;
            at = json_object_iter_next(f->tasks, at)) {
        const char *name = json_object_iter_key(at);
        n += strncmp(name, package, len) == 0 && name[len] == '.';
    }
    return n;
}

/* The package of most tasks, among those of the modules that have some, as celery -A
 * wants it; NULL: there is none. */
static const char *guess_app(const struct celery_fleet *f, struct paper *p)
{
    const json_t *modules = fleet_setting(f, "include");
    const char *found = NULL;
    size_t found_len = 0;
    size_t most = 0;

    for (size_t i = 0; i < json_array_size(modules); i++) {
        const char *module = json_string_value(json_array_get(modules, i));
        size_t len = module ? strcspn(module, ".") : 0;
        size_t n = len > 0 ? count_tasks_of(f, module, len) : 0;
        if (n <= most || *module == '_')
            continue;
        most = n;
        found = module;
        found_len = len;
    }
    return found ? arena_printf(p->arena, "%.*s", (int)found_len, found) : NULL;
}

static void write_server(
        const struct adoption_options *o, const char *app, struct paper *p)
{
    paper_put(p, "    server: [%s, -A, %s]%s\n", paper_scalar(p, o->bridge),
            app ? paper_scalar(p, app) : "APP",
            o->app ? "" : "  # the application, as in celery -A: a guess");
    if (o->directory)
        paper_put(p, "    directory: %s\n", paper_scalar(p, o->directory));
    else
        paper_put(p, "    # directory: /srv/app  # where it can be imported\n");
    paper_put(p,
            "    # environment: {DJANGO_SETTINGS_MODULE: ...}  # nothing is inherited\n");
}

/* --- routes ------------------------------------------------------------------------- */

/* The queue and priority that @route, of task_routes, leads to. What else it says is
 * noted. */
static void read_route(const struct celery_fleet *f, const char *task,
        const json_t *route, struct specifics *s, struct paper *p)
{
    json_t *options = (json_t *)(uintptr_t)route;
    const char *queue = json_string_value(route);

    for (void *at = json_object_iter(options); at;
            at = json_object_iter_next(options, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        json_int_t n = json_integer_value(value);
        if (strcmp(name, "queue") == 0)
            queue = json_string_value(
                    json_is_object(value) ? json_object_get(value, "name") : value);
        else if (strcmp(name, "priority") == 0 && n >= 0 && n <= PRIORITY_MAX)
            s->priority = (int)n;
        else
            paper_note(p, "route of %s: %s: %s", task, name, paper_json(p, value));
    }
    if (queue && adoption_has_queue(f, queue))
        s->queue = queue;
    else if (queue)
        paper_note(p, "route of %s to %s: no worker consumes from it", task, queue);
}

/* task_routes where they are a map; they may be a list of maps, of which the first that
 * has a task counts. */
static const json_t *routes_of(const struct celery_fleet *f, size_t i)
{
    const json_t *routes = fleet_setting(f, "task_routes");
    if (json_is_array(routes))
        return json_array_get(routes, i);
    return i == 0 ? routes : NULL;
}

static const json_t *find_route(const struct celery_fleet *f, const char *task)
{
    const json_t *map;
    for (size_t i = 0; (map = routes_of(f, i)); i++) {
        const json_t *route = json_object_get(map, task);
        if (route)
            return route;
    }
    return NULL;
}

static void write_where(const struct specifics *s, struct paper *p)
{
    if (s->queue)
        paper_put(p, "    queue: %s\n", paper_scalar(p, s->queue));
    if (s->priority >= 0)
        paper_put(p, "    priority: %d\n", s->priority);
}

/* --- one task ----------------------------------------------------------------------- */

/* Celery lets a soft limit stand behind a hard one, where it does nothing. */
static void read_limits(
        const struct celery_fleet *f, const struct celery_task *t, struct specifics *s)
{
    double hard =
            seconds_or(t->time_limit, seconds_of(fleet_setting(f, "task_time_limit")));
    double soft = seconds_or(
            t->soft_time_limit, seconds_of(fleet_setting(f, "task_soft_time_limit")));

    if (t->time_limit)
        (void)celery_seconds(hard, s->hard, sizeof(s->hard));
    if (hard > 0 && soft >= hard)
        snprintf(s->soft, sizeof(s->soft), "none");
    else if (t->soft_time_limit)
        (void)celery_seconds(soft, s->soft, sizeof(s->soft));
}

static void read_specifics(const struct celery_fleet *f, const struct celery_task *t,
        struct specifics *s, struct paper *p)
{
    const json_t *route = find_route(f, t->name);
    bool all_ignore = fleet_is_set(f, "task_ignore_result");

    *s = (struct specifics){.priority = -1};
    read_limits(f, t, s);
    if (t->rate_limit && strtod(t->rate_limit, NULL) > 0 &&
            !celery_rate(t->rate_limit, s->rate, sizeof(s->rate)))
        paper_note(p, "task %s: rate_limit %s", t->name, t->rate_limit);
    s->ignores_result =
            t->ignore_result && strcmp(t->ignore_result, "True") == 0 && !all_ignore;
    if (t->priority && strtol(t->priority, NULL, 10) <= PRIORITY_MAX)
        s->priority = (int)strtol(t->priority, NULL, 10);
    if (t->queue && adoption_has_queue(f, t->queue))
        s->queue = t->queue;
    else if (t->queue)
        paper_note(p, "task %s: queue %s: no worker consumes from it", t->name, t->queue);
    if (route)
        read_route(f, t->name, route, s, p);
    if (t->expires)
        paper_note(p, "task %s: expires %s", t->name, t->expires);
}

static bool has_specifics(const struct specifics *s)
{
    return s->rate[0] || s->hard[0] || s->soft[0] || s->queue || s->priority >= 0 ||
           s->ignores_result;
}

static void write_specifics(const struct specifics *s, struct paper *p)
{
    if (s->rate[0])
        paper_put(p, "    rate_limit: %s\n", s->rate);
    if (s->hard[0])
        paper_put(p, "    time_limit: %s\n", s->hard);
    if (s->soft[0])
        paper_put(p, "    soft_time_limit: %s\n", s->soft);
    if (s->ignores_result)
        paper_put(p, "    ignore_result: true\n");
    write_where(s, p);
}

static void write_task(const struct celery_fleet *f, const struct adoption_options *o,
        const char *app, const char *text, struct paper *p)
{
    struct celery_task t;
    struct specifics s;
    struct coney_error err;

    if (p->rc == CONEY_OK)
        p->rc = celery_task_read(text, p->arena, &t);
    if (p->rc != CONEY_OK)
        return;
    if (text_check_task(t.name, &err) != CONEY_OK) {
        paper_note(p, "task %s: %s", t.name, err.text);
        return;
    }
    bool has_server = strchr(t.name, '.') != NULL;
    read_specifics(f, &t, &s, p);
    if (has_server && !has_specifics(&s)) {
        /* Named all the same: `inspect registered` knows it then. */
        paper_put(p, "  %s: {}\n", paper_scalar(p, t.name));
        return;
    }
    paper_put(p, "  %s:\n", paper_scalar(p, t.name));
    if (!has_server)
        write_server(o, app, p);
    write_specifics(&s, p);
}

/* --- all tasks ---------------------------------------------------------------------- */

/* Whether a task before @name begins with the same word, up to the first dot. */
static bool is_first_of_group(json_t *tasks, const char *name)
{
    size_t len = strcspn(name, ".") + 1;
    for (void *at = json_object_iter(tasks); at; at = json_object_iter_next(tasks, at)) {
        const char *other = json_object_iter_key(at);
        if (strcmp(other, name) == 0)
            return true;
        if (strncmp(other, name, len) == 0)
            return false;
    }
    return true;
}

/* "shop.*" for "shop.mail". */
static void write_group(const struct adoption_options *o, const char *app,
        const char *name, struct paper *p)
{
    const char *pattern = arena_printf(p->arena, "%.*s.*", (int)strcspn(name, "."), name);
    paper_put(p, "  %s:\n", paper_scalar(p, pattern ? pattern : ""));
    write_server(o, app, p);
}

/* Routes of patterns; those of tasks stand with their tasks. */
static void write_routes(const struct celery_fleet *f, struct paper *p)
{
    const json_t *map;
    for (size_t i = 0; (map = routes_of(f, i)); i++) {
        json_t *routes = (json_t *)(uintptr_t)map;
        if (!json_is_object(map))
            paper_note(p, "task_routes: %s", paper_json(p, map));
        for (void *at = json_object_iter(routes); at;
                at = json_object_iter_next(routes, at)) {
            const char *pattern = json_object_iter_key(at);
            struct specifics s = {.priority = -1};
            if (json_object_get(f->tasks, pattern))
                continue;
            read_route(f, pattern, json_object_iter_value(at), &s, p);
            if (!s.queue && s.priority < 0)
                continue;
            paper_put(p, "  %s:\n", paper_scalar(p, pattern));
            write_where(&s, p);
        }
    }
}

void adoption_write_tasks(
        const struct celery_fleet *f, const struct adoption_options *o, struct paper *p)
{
    const char *app = o->app ? o->app : guess_app(f, p);

    paper_put(p,
            "\n# The bridge runs them in Celery's own application; limits, priorities "
            "and evidence\n# are ours.\ntasks:\n");
    write_common(f, p);
    for (void *at = json_object_iter(f->tasks); at;
            at = json_object_iter_next(f->tasks, at)) {
        const char *name = json_object_iter_key(at);
        if (strchr(name, '.') && is_first_of_group(f->tasks, name))
            write_group(o, app, name, p);
        write_task(f, o, app, json_string_value(json_object_iter_value(at)), p);
    }
    write_routes(f, p);
    if (!app)
        paper_note(p, "the application's name: put it where APP stands");
}
