/* SPDX-License-Identifier: MIT */
/*
 * crontab.c - finding the next run, period by period.
 *
 * Within a period of constant offset the wall clock runs straight, so the next run is a
 * search in the calendar: month by month with the days as a bit mask. What daylight
 * saving adds happens where two periods meet. How the text is read stands in
 * crontab_parse.c.
 */
#include "schedule/crontab.h"

#include "base/calendar.h"
#include "base/clock.h"
#include "base/error.h"

#include <assert.h>

enum {
    SECOND_US = 1000000,
    MINUTE_S = 60,
    HOUR_MINUTES = 60,
    DAY_HOURS = 24,
    WEEK = 7,
    MONTHS = 12,
    HORIZON_DAYS = 50 * 366
};

/* No local time: later than every other. */
#define NO_TIME INT64_MAX

/* --- days -----------------------------------------------------------------------------
 */

bool crontab_needs_days(const struct crontab *c)
{
    return !c->any_day && !c->any_weekday;
}

bool crontab_has_date(const struct crontab *c)
{
    static const int longest[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (crontab_needs_days(c) && c->combine != CRONTAB_DAYS_BOTH)
        return true; /* a weekday always comes */
    for (int month = 1; month <= MONTHS; month++) {
        uint32_t days = (uint32_t)((UINT64_C(2) << longest[month - 1]) - 1);
        if ((c->months >> month & 1) && (c->days & days))
            return true;
    }
    return false;
}

enum coney_rc crontab_set_days(
        struct crontab *c, enum crontab_days days, struct coney_error *err)
{
    if (!crontab_needs_days(c))
        return CONEY_OK;
    if (days == CRONTAB_DAYS_UNSAID)
        return error_set(err, CONEY_EINVAL,
                "crontab restricts both day of month and day of week: say \"days: both\" "
                "(as Celery does) or \"days: either\" (as crontab(5) does)");

    struct crontab combined = *c;
    combined.combine = days;
    if (!crontab_has_date(&combined))
        return error_set(err, CONEY_EINVAL,
                "crontab names a date that never comes: no month of its months has such "
                "a day");
    *c = combined;
    return CONEY_OK;
}

/* Bit n: day n of that month matches. */
static uint32_t days_of_month(
        const struct crontab *c, int64_t year, int month, int64_t first_day)
{
    if (!(c->months >> month & 1))
        return 0;

    uint32_t weekdays = 0; /* spread over the month, from the weekday of its first day */
    int weekday = calendar_weekday(first_day);
    for (int day = 1; day <= calendar_month_length(year, month); day++)
        weekdays |= (uint32_t)(c->weekdays >> (weekday + day - 1) % WEEK & 1) << day;
    uint32_t existing =
            (uint32_t)((UINT64_C(2) << calendar_month_length(year, month)) - 2);

    if (c->combine == CRONTAB_DAYS_EITHER)
        return (c->days | weekdays) & existing;
    return c->days & weekdays & existing;
}

/* The first matching day from @from on, NO_TIME if it is not before @to. */
static int64_t next_day(const struct crontab *c, int64_t from, int64_t to)
{
    struct calendar_date date = calendar_date_of(from);
    int64_t first = from - (date.day - 1);

    while (first < to) {
        uint32_t days = days_of_month(c, date.year, date.month, first) >> date.day;
        if (days != 0) {
            int64_t found = first + date.day - 1 + __builtin_ctz(days);
            return found < to ? found : NO_TIME;
        }
        first += calendar_month_length(date.year, date.month);
        date.day = 1;
        date.year += date.month == MONTHS;
        date.month = date.month % MONTHS + 1;
    }
    return NO_TIME;
}

/* --- local times ----------------------------------------------------------------------
 */

/* The first matching minute of a day from @from on, -1 for none. */
static int next_minute(const struct crontab *c, int from)
{
    int hour = from / HOUR_MINUTES;
    if (c->hours >> hour & 1) {
        uint64_t minutes = c->minutes >> from % HOUR_MINUTES;
        if (minutes != 0)
            return from + __builtin_ctzll(minutes);
    }
    uint32_t later = hour + 1 < DAY_HOURS ? c->hours >> (hour + 1) : 0;
    if (later == 0)
        return -1;
    hour += 1 + __builtin_ctz(later);
    return hour * HOUR_MINUTES + __builtin_ctzll(c->minutes);
}

/* The first matching local time in [@from_s, @to_s), NO_TIME for none. */
static int64_t next_local(const struct crontab *c, int64_t from_s, int64_t to_s)
{
    int64_t minute = -calendar_floor_div(-from_s, MINUTE_S); /* rounded up */
    int64_t day = calendar_floor_div(minute, DAY_HOURS * HOUR_MINUTES);
    int of_day = (int)(minute - day * DAY_HOURS * HOUR_MINUTES);
    int64_t end_day = calendar_floor_div(to_s - 1, CALENDAR_DAY_S) + 1;

    int64_t found_day = next_day(c, day, end_day);
    int found = -1;
    if (found_day == day) {
        found = next_minute(c, of_day);
        if (found < 0)
            found_day = next_day(c, day + 1, end_day);
    }
    if (found_day == NO_TIME)
        return NO_TIME;
    if (found < 0)
        found = next_minute(c, 0);
    int64_t local_s = found_day * CALENDAR_DAY_S + (int64_t)found * MINUTE_S;
    return local_s < to_s ? local_s : NO_TIME;
}

/* --- instants -------------------------------------------------------------------------
 */

/* Whether a run is due at the very start of @now because its local time was left out. */
static bool makes_up_for_gap(
        const struct crontab *c, const struct zone *z, const struct zone_period *now)
{
    struct zone_period before;

    if (c->hour_kind == CRONTAB_HOURS_EVERY || now->start_s <= ZONE_SECONDS_MIN)
        return false;
    zone_period_at(z, now->start_s - 1, &before);
    int64_t gap_end_s = now->start_s + now->offset_s;
    int64_t local_s = now->start_s + before.offset_s - 1;
    while (local_s + 1 < gap_end_s) {
        struct zone_local is;
        local_s = next_local(c, local_s + 1, gap_end_s);
        if (local_s == NO_TIME)
            return false;
        /* Rarely, clocks had shown it earlier on, before they were put back. */
        zone_local_to_utc(z, local_s, &is);
        if (is.kind == ZONE_GAP)
            return true;
    }
    return false;
}

/* The first run in [@from_s, @to_s), all of it in the period @now. */
static int64_t next_in_period(const struct crontab *c, const struct zone *z,
        const struct zone_period *now, int64_t from_s, int64_t to_s)
{
    if (from_s == now->start_s && makes_up_for_gap(c, z, now))
        return from_s;

    int64_t end_s = to_s + now->offset_s;
    int64_t local_s = next_local(c, from_s + now->offset_s, end_s);
    while (local_s != NO_TIME) {
        struct zone_local is;
        int64_t utc_s = local_s - now->offset_s;
        if (c->hour_kind != CRONTAB_HOURS_FIXED)
            return utc_s;
        zone_local_to_utc(z, local_s, &is);
        if (is.first_s == utc_s)
            return utc_s;
        local_s = next_local(c, local_s + 1, end_s); /* it has run already */
    }
    return NO_TIME;
}

int64_t crontab_next(const struct crontab *c, const struct zone *z, int64_t after_us)
{
    assert(!crontab_needs_days(c) || c->combine != CRONTAB_DAYS_UNSAID);
    int64_t from_s = calendar_floor_div(after_us, SECOND_US) + 1;
    int64_t limit_s = from_s + (int64_t)HORIZON_DAYS * CALENDAR_DAY_S;

    if (limit_s > ZONE_SECONDS_MAX - CALENDAR_DAY_S * 2)
        return CLOCK_NEVER;
    while (from_s < limit_s) {
        struct zone_period now;
        zone_period_at(z, from_s, &now);
        int64_t to_s = now.end_s < limit_s ? now.end_s : limit_s;
        int64_t found_s = next_in_period(c, z, &now, from_s, to_s);
        if (found_s != NO_TIME)
            return found_s * SECOND_US;
        from_s = to_s;
    }
    return CLOCK_NEVER;
}
