/* SPDX-License-Identifier: MIT */
/* adoption_schedule.c - the schedule of Celery's beat, disabled until it is moved. */
#include "base/zone.h"
#include "cli/adoption.h"
#include "cli/celery_task.h"
#include "cli/celery_when.h"
#include "config/texts.h"

#include <string.h>

enum { PRIORITY_MAX = 255 };

static void write_when(const struct celery_when *when, struct paper *p)
{
    char every[64];
    if (when->crontab[0]) {
        paper_put(p, "    crontab: \"%s\"\n", when->crontab);
        if (when->needs_days)
            paper_put(p, "    days: both\n");
        return;
    }
    if (celery_seconds((double)when->every_ms / 1000, every, sizeof(every)))
        paper_put(p, "    every: %s%s\n", every,
                when->is_rounded ? "  # as Celery shows it, rounded: look it up" : "");
}

static void write_arguments(const json_t *entry, struct paper *p)
{
    const json_t *args = json_object_get(entry, "args");
    const json_t *kwargs = json_object_get(entry, "kwargs");
    if (json_array_size(args) > 0)
        paper_put(p, "    args: %s\n", paper_json(p, args));
    if (json_object_size(kwargs) > 0)
        paper_put(p, "    kwargs: %s\n", paper_json(p, kwargs));
}

static void write_option(const struct celery_fleet *f, const char *entry,
        const char *name, const json_t *value, struct paper *p)
{
    char text[64];
    const char *word = json_string_value(value);
    json_int_t n = json_integer_value(value);

    if (strcmp(name, "queue") == 0 && word && adoption_has_queue(f, word))
        paper_put(p, "    queue: %s\n", paper_scalar(p, word));
    else if (strcmp(name, "priority") == 0 && json_is_integer(value) && n >= 0 &&
             n <= PRIORITY_MAX)
        paper_put(p, "    priority: %d\n", (int)n);
    else if (strcmp(name, "expires") == 0 && json_is_number(value) &&
             celery_seconds(json_number_value(value), text, sizeof(text)))
        paper_put(p, "    expires: %s\n", text);
    else if (!json_is_null(value))
        paper_note(p, "schedule %s: option %s: %s", entry, name, paper_json(p, value));
}

static void write_options(const struct celery_fleet *f, const char *name,
        const json_t *entry, struct paper *p)
{
    json_t *options = json_object_get(entry, "options");
    for (void *at = json_object_iter(options); at;
            at = json_object_iter_next(options, at))
        write_option(f, name, json_object_iter_key(at), json_object_iter_value(at), p);
}

static void write_entry(const struct celery_fleet *f, const char *name,
        const json_t *entry, struct paper *p)
{
    struct celery_when when;
    struct coney_error err = {.text = ""};
    const char *task = json_string_value(json_object_get(entry, "task"));

    if (!task || text_check_task(task, &err) != CONEY_OK ||
            text_check_task(name, &err) != CONEY_OK) {
        paper_note(p, "schedule %s: it names no task", name);
        return;
    }
    if (celery_when_read(json_object_get(entry, "schedule"), &when, &err) != CONEY_OK) {
        paper_note(p, "schedule %s: %s", name, err.text);
        return;
    }
    paper_put(p, "  %s:\n    task: %s\n", paper_scalar(p, name), paper_scalar(p, task));
    write_when(&when, p);
    write_arguments(entry, p);
    write_options(f, name, entry, p);
    paper_put(p, "    enabled: false\n");
    if (when.is_rounded)
        paper_note(p, "schedule %s: its interval is shown rounded", name);
}

static bool is_zone(const char *name)
{
    struct zone *zone = NULL;
    bool is_known = zone_load(NULL, name, &zone, NULL) == CONEY_OK;
    zone_free(zone);
    return is_known;
}

void adoption_write_schedule(const struct celery_fleet *f, struct paper *p)
{
    const char *zone = fleet_text(f, "timezone");
    json_t *entries = (json_t *)(uintptr_t)fleet_setting(f, "beat_schedule");
    const char *scheduler = fleet_text(f, "beat_scheduler");

    if (scheduler && strstr(scheduler, "PersistentScheduler") == NULL)
        paper_note(p, "beat_scheduler %s: entries that are kept elsewhere are not known",
                scheduler);
    if (zone && is_zone(zone))
        paper_put(p, "\nbeat:\n  timezone: %s\n", paper_scalar(p, zone));
    else if (zone)
        paper_note(p, "timezone: %s is not known here", zone);
    if (json_object_size(entries) == 0)
        return;
    paper_put(p,
            "\n# Each is sent by us once it is enabled: take it out of Celery's beat "
            "first.\nschedule:\n");
    for (void *at = json_object_iter(entries); at;
            at = json_object_iter_next(entries, at))
        write_entry(f, json_object_iter_key(at), json_object_iter_value(at), p);
}
