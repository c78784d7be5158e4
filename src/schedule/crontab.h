/* SPDX-License-Identifier: MIT */
/*
 * crontab.h - the five fields of crontab(5), and when they come round next.
 *
 * Minute, hour, day of month, month, day of week, separated by blanks. Each is a list, by
 * commas, of: a star, a value, a range; a star or a range may have a step (a slash and a
 * number). Ranges wrap (22-2, fri-mon), a step counts on across the wrap. Months and
 * weekdays may be named by three letters in either case; 0 and 7 are both Sunday. Or one
 * of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually.
 *
 * Refused, because two readers would read them differently: a step on a single value
 * (5/15), a step that is longer than its field (a minute of every-90), and days of the
 * month together with days of the week without a word on how they combine.
 *
 * Daylight saving. An hour field that begins with a star is about the passage of time,
 * any other is about the wall clock:
 *  - A time that does not exist runs once, at the first instant after the gap. Not so
 * when the hour field allows every hour ("*"): then the same minute comes round within
 * the real hour anyway, and a run in between would be one too many.
 *  - A time that exists twice runs once, the first time, when the hours are fixed, and
 *    both times when the hour field begins with a star.
 *
 * Pure: text, a zone and an instant go in, an instant comes out.
 */
#ifndef CONEY_SCHEDULE_CRONTAB_H
#define CONEY_SCHEDULE_CRONTAB_H

#include "base/zone.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

/* How day of month and day of week combine when both are restricted. crontab(5) means
 * EITHER, Celery means BOTH. */
enum crontab_days { CRONTAB_DAYS_UNSAID, CRONTAB_DAYS_BOTH, CRONTAB_DAYS_EITHER };

enum crontab_hours {
    CRONTAB_HOURS_FIXED,   /* the field does not begin with a star */
    CRONTAB_HOURS_STEPPED, /* begins with a star, but not every hour: a star and a step */
    CRONTAB_HOURS_EVERY    /* begins with a star, and every hour is in it */
};

/* A plain value: copy it, compare it; nothing to free. */
struct crontab {
    uint64_t minutes; /* bit n: minute n */
    uint32_t hours;   /* bit n: hour n */
    uint32_t days;    /* bit n: day n of the month, 1 to 31 */
    uint16_t months;  /* bit n: month n, 1 to 12 */
    uint8_t weekdays; /* bit n: 0 Sunday to 6 Saturday */
    bool any_day;     /* the field is a star and nothing else */
    bool any_weekday; /* likewise */
    enum crontab_hours hour_kind;
    enum crontab_days combine; /* set by crontab_set_days() */
};

/*
 * Read @text. CONEY_ESYNTAX: @err says what was found and what is allowed, err->column
 * where, if at one place (1-based); *@out is then undefined. A date that never comes (31
 * February) is a mistake, too.
 */
enum coney_rc crontab_parse(
        const char *text, struct crontab *out, struct coney_error *err) CONEY_MUST_CHECK;

/* Whether both kinds of day are restricted (neither field is a bare star), so that
 * crontab_set_days() must come before crontab_next(). */
bool crontab_needs_days(const struct crontab *c);

/* Whether it ever runs: false when none of its months has such a day (31 February). */
bool crontab_has_date(const struct crontab *c);

/*
 * Say how the days combine; without effect where crontab_needs_days() is false.
 * CONEY_EINVAL: CRONTAB_DAYS_UNSAID where it is needed, or a combination that never comes
 * (BOTH, and no such date in those months); @c is unchanged.
 */
enum coney_rc crontab_set_days(struct crontab *c, enum crontab_days days,
        struct coney_error *err) CONEY_MUST_CHECK;

/*
 * The first instant strictly after @after_us at which @c runs in @z, both in microseconds
 * since 1970 UTC; CLOCK_NEVER when none comes within 50 years (the rarest date, a 29
 * February on a given weekday, comes every 40 at worst). Takes time in proportion to the
 * months skipped, not to the minutes.
 */
int64_t crontab_next(const struct crontab *c, const struct zone *z, int64_t after_us);

#endif /* CONEY_SCHEDULE_CRONTAB_H */
