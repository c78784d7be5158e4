/* SPDX-License-Identifier: MIT */
/* entry.c - the ticks of one entry, what misfire policy leaves of them, and their names.
 */
#include "base/calendar.h"
#include "base/clock.h"
#include "schedule/schedule.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

enum { MS_US = 1000, SECOND_US = 1000000 };

static const int64_t minute_us = INT64_C(60) * SECOND_US;
static const int64_t grace_us = (int64_t)SCHEDULE_GRACE_MS * MS_US;

void schedule_entry_init(struct schedule_entry *e)
{
    *e = (struct schedule_entry){
            .enabled = true,
            .misfire = SCHEDULE_ONCE,
            .misfire_max = SCHEDULE_MISFIRE_MAX,
            .priority = -1,
    };
}

void schedule_entry_fini(struct schedule_entry *e)
{
    free(e->name);
    free(e->task);
    free(e->crontab_text);
    free(e->queue);
    zone_free(e->zone);
    json_decref(e->args);
    json_decref(e->kwargs);
    schedule_entry_init(e);
}

/* --- ticks ----------------------------------------------------------------------------
 */

static int64_t next_multiple(int64_t every_us, int64_t after_us)
{
    int64_t next_us;
    int64_t passed = calendar_floor_div(after_us, every_us);
    if (__builtin_mul_overflow(passed + 1, every_us, &next_us))
        return CLOCK_NEVER;
    return next_us;
}

int64_t schedule_entry_next(const struct schedule_entry *e, int64_t after_us)
{
    if (!e->enabled)
        return CLOCK_NEVER;
    if (e->every_ms == 0)
        return crontab_next(&e->crontab, e->zone, after_us);

    int64_t every_us;
    assert(e->every_ms >= SCHEDULE_EVERY_MIN_MS);
    if (__builtin_mul_overflow(e->every_ms, MS_US, &every_us))
        return CLOCK_NEVER;
    return next_multiple(every_us, after_us);
}

/* The first tick in (@from_us, @to_us], CLOCK_NEVER for none. */
static int64_t first_within(
        const struct schedule_entry *e, int64_t from_us, int64_t to_us)
{
    int64_t tick_us = schedule_entry_next(e, from_us);
    return tick_us <= to_us ? tick_us : CLOCK_NEVER;
}

/* --- misfire policy -------------------------------------------------------------------
 */

/* As newest(), for an interval: by arithmetic. */
static int64_t newest_multiple(
        int64_t every_us, int64_t first_us, int64_t to_us, unsigned count)
{
    int64_t later = (to_us - first_us) / every_us; /* ticks after the first */
    return later < count ? first_us : first_us + (later - count + 1) * every_us;
}

static size_t count_within(const struct schedule_entry *e, int64_t from_us, int64_t to_us)
{
    size_t count = 0;
    int64_t tick_us = first_within(e, from_us, to_us);
    while (tick_us != CLOCK_NEVER) {
        count++;
        tick_us = first_within(e, tick_us, to_us);
    }
    return count;
}

/*
 * As newest(), for a crontab, which only runs forward: look at a stretch before @to_us
 * that doubles until it holds enough. So a year's outage does not mean to walk all the
 * year.
 */
static int64_t newest_run(
        const struct schedule_entry *e, int64_t from_us, int64_t to_us, unsigned count)
{
    int64_t stretch_us = minute_us * count; /* no crontab runs more often */
    int64_t start_us;
    size_t found;

    for (;; stretch_us *= 2) {
        start_us = to_us - from_us > stretch_us ? to_us - stretch_us : from_us;
        found = count_within(e, start_us, to_us);
        if (found >= count || start_us == from_us)
            break;
    }
    int64_t tick_us = schedule_entry_next(e, start_us);
    for (; found > count; found--)
        tick_us = schedule_entry_next(e, tick_us);
    return tick_us;
}

/* The first of the newest @count ticks in (@from_us, @to_us], CLOCK_NEVER for none. */
static int64_t newest(
        const struct schedule_entry *e, int64_t from_us, int64_t to_us, unsigned count)
{
    int64_t first_us = first_within(e, from_us, to_us);

    if (first_us == CLOCK_NEVER || count == 0)
        return CLOCK_NEVER;
    if (e->every_ms != 0)
        return newest_multiple(e->every_ms * MS_US, first_us, to_us, count);
    return newest_run(e, from_us, to_us, count);
}

/* The oldest instant, less one, whose tick the deadline still allows. */
static int64_t deadline_from(const struct schedule_entry *e, int64_t now_us)
{
    int64_t age_us;
    int64_t age_ms = e->deadline_ms;

    if (age_ms == 0 && e->misfire == SCHEDULE_SKIP)
        age_ms = SCHEDULE_GRACE_MS;
    if (age_ms == 0 || __builtin_mul_overflow(age_ms, MS_US, &age_us) || age_us > now_us)
        return 0;
    return now_us - age_us - 1;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t schedule_entry_due(
        const struct schedule_entry *e, int64_t watermark_us, int64_t now_us)
{
    int64_t from_us = later(watermark_us, deadline_from(e, now_us));
    int64_t late_from_us = later(from_us, now_us - grace_us - 1);
    int64_t late_us = first_within(e, late_from_us, now_us);
    int64_t missed_us = CLOCK_NEVER;

    switch (e->misfire) {
    case SCHEDULE_ONCE:
        if (late_us == CLOCK_NEVER)
            missed_us = newest(e, from_us, late_from_us, 1);
        break;
    case SCHEDULE_SKIP:
    case SCHEDULE_ALL:
        missed_us = newest(e, from_us, late_from_us, e->misfire_max);
        break;
    }
    return earlier(missed_us, late_us);
}

/* --- names ----------------------------------------------------------------------------
 */

/* @name in the name space @id, in place of it. */
static void derive(uuid_t id, const char *name)
{
    uuid_t space;
    uuid_copy(space, id);
    uuid_generate_sha1(id, space, name, strlen(name));
}

static void start_id(uuid_t id)
{
    int rc = uuid_parse(SCHEDULE_NAMESPACE, id);
    assert(rc == 0);
}

/* RFC 3339 with milliseconds: no tick is finer. */
static void format_due(int64_t due_us, char *out, size_t size)
{
    time_t seconds = calendar_floor_div(due_us, SECOND_US);
    int ms = (int)(due_us - seconds * SECOND_US) / MS_US;
    char date[64];
    struct tm tm;

    struct tm *known = gmtime_r(&seconds, &tm);
    assert(known);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, size, "%s.%03dZ", date, ms);
}

void schedule_entry_id(const struct schedule_entry *e, const char *beat, int64_t due_us,
        char text[UUID_TEXT_SIZE])
{
    uuid_t id;
    char due[80];

    format_due(due_us, due, sizeof(due));
    start_id(id);
    derive(id, beat);
    derive(id, e->name);
    derive(id, due);
    uuid_unparse_lower(id, text);
}

void schedule_entry_hash(const struct schedule_entry *e, char text[UUID_TEXT_SIZE])
{
    uuid_t id;
    char when[160];
    const struct crontab *c = &e->crontab;

    if (e->every_ms != 0)
        snprintf(when, sizeof(when), "every %lld", (long long)e->every_ms);
    else
        snprintf(when, sizeof(when), "crontab %llx %lx %lx %x %x %d %d",
                (unsigned long long)c->minutes, (unsigned long)c->hours,
                (unsigned long)c->days, (unsigned)c->months, (unsigned)c->weekdays,
                (int)c->hour_kind, (int)c->combine);
    start_id(id);
    derive(id, e->task);
    derive(id, e->enabled ? "enabled" : "disabled");
    derive(id, when);
    if (e->every_ms == 0) /* an interval knows no zone */
        derive(id, zone_name(e->zone));
    uuid_unparse_lower(id, text);
}
