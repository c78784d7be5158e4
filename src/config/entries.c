/* SPDX-License-Identifier: MIT */
/*
 * entries.c - schedule: as entries for the schedule room.
 *
 * Each value has been checked by itself; here they are put together.
 */
#include "config/entries.h"

#include "config/mistakes.h"
#include "config/sections.h"
#include "config/source.h"
#include "config/value.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One entry in the making. */
struct filling {
    struct config *config;
    struct mistakes *mistakes;
    const struct member *member;
    struct schedule_entry *entry;
};

static const struct node *get(const struct filling *f, const char *key)
{
    return node_get(f->member->value, key);
}

/* The checked value of schedule.*.@key, or its default. False when there is neither. */
static enum coney_rc read_key(
        const struct filling *f, const char *key, struct value *out, bool *found)
{
    const struct key *k = key_below(key_find("schedule.*"), key);
    const struct node *n = get(f, key);
    struct mistakes none = {0};

    if (!n)
        n = source_fallback(f->config->source, k);
    *found = n != NULL;
    *out = (struct value){0};
    if (!n)
        return CONEY_OK;
    enum coney_rc rc = value_read(k, n, f->config->source->arena, &none, out);
    assert(none.count == 0);
    return rc;
}

static enum coney_rc copy_text(const struct filling *f, const char *key, char **out)
{
    const struct node *n = get(f, key);
    *out = n ? strdup(n->text) : NULL;
    return n && !*out ? CONEY_ENOMEM : CONEY_OK;
}

/* --- when --------------------------------------------------------------------------- */

/* A zone is read once; entries hold references to it. */
static enum coney_rc find_zone(struct filling *f, const char *name)
{
    const struct config *c = f->config;
    for (const struct schedule_entry *e = c->entries; e < f->entry; e++) {
        if (e->zone && strcmp(zone_name(e->zone), name) == 0) {
            f->entry->zone = zone_ref(e->zone);
            return CONEY_OK;
        }
    }
    struct coney_error err = {0};
    enum coney_rc rc = zone_load(NULL, name, &f->entry->zone, &err);
    if (rc == CONEY_OK || rc == CONEY_ENOMEM)
        return rc;
    return mistakes_add(f->mistakes, f->member->at, "timezone: %s", err.text);
}

static enum coney_rc set_days(struct filling *f, const struct node *crontab)
{
    struct coney_error err = {0};
    struct value v;
    bool found;
    enum coney_rc rc = read_key(f, "days", &v, &found);
    if (rc != CONEY_OK)
        return rc;

    enum crontab_days days = !found           ? CRONTAB_DAYS_UNSAID
                             : v.integer == 0 ? CRONTAB_DAYS_BOTH
                                              : CRONTAB_DAYS_EITHER;
    rc = crontab_set_days(&f->entry->crontab, days, &err);
    if (rc == CONEY_OK)
        return rc;
    const struct node *said = get(f, "days");
    return mistakes_add(f->mistakes, said ? said->at : crontab->at, "%s", err.text);
}

static enum coney_rc set_crontab(struct filling *f, const struct node *crontab)
{
    struct coney_error err = {0};
    const struct node *zone = get(f, "timezone");

    enum coney_rc rc = crontab_parse(crontab->text, &f->entry->crontab, &err);
    assert(rc == CONEY_OK); /* it was read before */
    rc = copy_text(f, "crontab", &f->entry->crontab_text);
    if (rc == CONEY_OK)
        rc = find_zone(f, zone ? zone->text : f->config->beat.timezone);
    return rc == CONEY_OK ? set_days(f, crontab) : rc;
}

static enum coney_rc set_when(struct filling *f)
{
    const struct node *crontab = get(f, "crontab");
    const struct node *every = get(f, "every");
    struct value v;
    bool found;

    if (crontab && every)
        return mistakes_add(f->mistakes, every->at,
                "every: the entry has a crontab as well; keep one of them");
    if (!crontab && !every)
        return f->member->value->mended
                       ? CONEY_OK
                       : mistakes_add(f->mistakes, f->member->at,
                                 "schedule: \"%.64s\" says neither crontab nor every",
                                 f->member->name);
    if (crontab)
        return set_crontab(f, crontab);
    enum coney_rc rc = read_key(f, "every", &v, &found);
    f->entry->every_ms = v.integer;
    if (rc == CONEY_OK && get(f, "days"))
        rc = mistakes_add(f->mistakes, get(f, "days")->at, "days: only for a crontab");
    if (rc == CONEY_OK && get(f, "timezone"))
        rc = mistakes_add(f->mistakes, get(f, "timezone")->at,
                "timezone: only for a crontab; an interval counts from 1970 in UTC");
    return rc;
}

/* --- what --------------------------------------------------------------------------- */

static enum coney_rc set_task(struct filling *f)
{
    if (!get(f, "task") && !f->member->value->mended)
        return mistakes_add(f->mistakes, f->member->at,
                "schedule: \"%.64s\" names no task", f->member->name);
    return copy_text(f, "task", &f->entry->task);
}

static enum coney_rc set_arguments(struct filling *f)
{
    const struct node *args = get(f, "args");
    const struct node *kwargs = get(f, "kwargs");
    f->entry->args = args ? node_json(args) : NULL;
    f->entry->kwargs = kwargs ? node_json(kwargs) : NULL;
    return (args && !f->entry->args) || (kwargs && !f->entry->kwargs) ? CONEY_ENOMEM
                                                                      : CONEY_OK;
}

static enum coney_rc set_queue(struct filling *f)
{
    char hint[200];
    const struct node *n = get(f, "queue");
    if (!n)
        return CONEY_OK;
    const struct queue_config *queue = config_queue(f->config, n->text);
    if (queue) {
        f->entry->queue = strdup(queue->name);
        return f->entry->queue ? CONEY_OK : CONEY_ENOMEM;
    }
    queue_hint(f->config, n->text, hint, sizeof(hint));
    return mistakes_add(
            f->mistakes, n->at, "queue: there is no queue \"%.64s\"%s", n->text, hint);
}

/* --- how ---------------------------------------------------------------------------- */

static enum coney_rc set_policy(struct filling *f)
{
    struct schedule_entry *e = f->entry;
    struct value v;
    bool found;

    enum coney_rc rc = read_key(f, "enabled", &v, &found);
    e->enabled = v.integer != 0;
    if (rc == CONEY_OK)
        rc = read_key(f, "expires", &v, &found);
    e->expires_ms = found ? v.integer : 0;
    if (rc == CONEY_OK)
        rc = read_key(f, "deadline", &v, &found);
    e->deadline_ms = v.is_word ? 0 : v.integer;
    if (rc == CONEY_OK)
        rc = read_key(f, "priority", &v, &found);
    e->priority = found ? (int)v.integer : -1;
    if (rc == CONEY_OK)
        rc = read_key(f, "misfire", &v, &found);
    if (rc == CONEY_OK) {
        e->misfire = (enum schedule_misfire)v.integer;
        e->misfire_max = (unsigned)v.most;
    }
    return rc;
}

/* --- all of them -------------------------------------------------------------------- */

static enum coney_rc fill_entry(struct filling *f)
{
    f->entry->name = strdup(f->member->name);
    if (!f->entry->name)
        return CONEY_ENOMEM;
    enum coney_rc rc = set_task(f);
    if (rc == CONEY_OK)
        rc = set_when(f);
    if (rc == CONEY_OK)
        rc = set_arguments(f);
    if (rc == CONEY_OK)
        rc = set_queue(f);
    return rc == CONEY_OK ? set_policy(f) : rc;
}

enum coney_rc entries_fill(struct config *c, struct mistakes *mistakes)
{
    const struct node *schedule = node_get(c->source->root, "schedule");
    if (!schedule || schedule->count == 0)
        return CONEY_OK;

    c->entries = calloc(schedule->count, sizeof(*c->entries));
    if (!c->entries)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < schedule->count; i++) {
        struct filling f = {.config = c,
                .mistakes = mistakes,
                .member = &schedule->members[i],
                .entry = &c->entries[i]};
        schedule_entry_init(f.entry);
        c->entry_count++; /* from here on there is something to release */
        enum coney_rc rc = fill_entry(&f);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

void entries_free(struct config *c)
{
    for (size_t i = 0; i < c->entry_count; i++)
        schedule_entry_fini(&c->entries[i]);
    free(c->entries);
    c->entries = NULL;
    c->entry_count = 0;
}
