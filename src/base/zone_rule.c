/* SPDX-License-Identifier: MIT */
/* zone_rule.c - reading a POSIX TZ string, and the changes it asks for in each year. */
#include "base/zone_rule.h"

#include "base/calendar.h"
#include "base/error.h"

#include <string.h>

enum {
    HOUR_S = 3600,
    MINUTE_S = 60,
    OFFSET_HOURS_MAX = 24,
    CHANGE_HOURS_MAX = 167,
    DEFAULT_CHANGE_S = 2 * HOUR_S, /* POSIX: at 02:00 */
    ABBREV_MIN = 3,
    LAST_WEEK = 5,
    WEEK = 7
};

/* --- reading --------------------------------------------------------------------------
 */

struct scanner {
    const char *text;
    size_t len;
    size_t at;
    struct coney_error *err;
};

static enum coney_rc refuse(const struct scanner *s, const char *expected)
{
    enum coney_rc rc =
            error_set(s->err, CONEY_ESYNTAX, "time zone rule: expected %s", expected);
    error_set_position(s->err, 0, (unsigned)s->at + 1);
    return rc;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* '\0' at the end: it is not a character of the grammar. */
static char peek(const struct scanner *s)
{
    return s->at < s->len ? s->text[s->at] : '\0';
}

static bool accept(struct scanner *s, char c)
{
    if (peek(s) != c || s->at == s->len)
        return false;
    s->at++;
    return true;
}

static enum coney_rc scan_number(
        struct scanner *s, int min, int max, const char *expected, int *out)
{
    int value = 0;
    size_t start = s->at;

    while (is_digit(peek(s)) && value <= max) {
        value = value * 10 + (peek(s) - '0');
        s->at++;
    }
    if (s->at == start || value < min || value > max) {
        s->at = start;
        return refuse(s, expected);
    }
    *out = value;
    return CONEY_OK;
}

/* CEST, or <+0530> where it is not made of letters alone. */
static enum coney_rc scan_abbrev(struct scanner *s, char out[ZONE_ABBREV_MAX + 1])
{
    bool quoted = accept(s, '<');
    size_t start = s->at;

    while (is_letter(peek(s)) ||
            (quoted && (is_digit(peek(s)) || peek(s) == '+' || peek(s) == '-')))
        s->at++;
    size_t len = s->at - start;
    if (len < ABBREV_MIN || len > ZONE_ABBREV_MAX)
        return refuse(s, "an abbreviation of 3 to 31 characters");
    memcpy(out, s->text + start, len);
    out[len] = '\0';
    if (quoted && !accept(s, '>'))
        return refuse(s, "'>' after the abbreviation");
    return CONEY_OK;
}

/* [+-]hh[:mm[:ss]], in seconds. */
static enum coney_rc scan_time(struct scanner *s, int hours_max, int32_t *out)
{
    int sign = 1, hours = 0, minutes = 0, seconds = 0;

    if (accept(s, '-'))
        sign = -1;
    else
        accept(s, '+');
    enum coney_rc rc = scan_number(s, 0, hours_max, "hours", &hours);
    if (rc == CONEY_OK && accept(s, ':')) {
        rc = scan_number(s, 0, 59, "minutes from 0 to 59", &minutes);
        if (rc == CONEY_OK && accept(s, ':'))
            rc = scan_number(s, 0, 59, "seconds from 0 to 59", &seconds);
    }
    *out = sign * (hours * HOUR_S + minutes * MINUTE_S + seconds);
    return rc;
}

static enum coney_rc scan_month_day(struct scanner *s, struct zone_change *c)
{
    c->kind = ZONE_DAY_OF_MONTH;
    enum coney_rc rc = scan_number(s, 1, 12, "a month from 1 to 12", &c->month);
    if (rc != CONEY_OK)
        return rc;
    if (!accept(s, '.'))
        return refuse(s, "'.' and a week");
    rc = scan_number(s, 1, LAST_WEEK, "a week from 1 to 5", &c->week);
    if (rc != CONEY_OK)
        return rc;
    if (!accept(s, '.'))
        return refuse(s, "'.' and a weekday");
    return scan_number(s, 0, WEEK - 1, "a weekday from 0 to 6", &c->weekday);
}

static enum coney_rc scan_change(struct scanner *s, struct zone_change *c)
{
    enum coney_rc rc;

    *c = (struct zone_change){.time_s = DEFAULT_CHANGE_S};
    if (!accept(s, ','))
        return refuse(s, "',' and a date");
    if (accept(s, 'M')) {
        rc = scan_month_day(s, c);
    } else if (accept(s, 'J')) {
        c->kind = ZONE_DAY_JULIAN;
        rc = scan_number(s, 1, 365, "a day from J1 to J365", &c->day);
    } else {
        c->kind = ZONE_DAY_OF_YEAR;
        rc = scan_number(s, 0, 365, "M, J or a day from 0 to 365", &c->day);
    }
    if (rc == CONEY_OK && accept(s, '/'))
        rc = scan_time(s, CHANGE_HOURS_MAX, &c->time_s);
    return rc;
}

/* The string counts its offsets westward; we, like TZif, eastward. */
static enum coney_rc scan_std(struct scanner *s, struct zone_rule_type *std)
{
    int32_t west_s = 0;
    enum coney_rc rc = scan_abbrev(s, std->abbrev);
    if (rc == CONEY_OK)
        rc = scan_time(s, OFFSET_HOURS_MAX, &west_s);
    std->offset_s = -west_s;
    return rc;
}

static enum coney_rc scan_dst(struct scanner *s, struct zone_rule *r)
{
    enum coney_rc rc = scan_abbrev(s, r->dst.abbrev);
    if (rc != CONEY_OK)
        return rc;

    r->has_dst = true;
    r->dst.is_dst = true;
    r->dst.offset_s = r->std.offset_s + HOUR_S;
    if (peek(s) != ',') {
        int32_t west_s = 0;
        rc = scan_time(s, OFFSET_HOURS_MAX, &west_s);
        if (rc != CONEY_OK)
            return rc;
        r->dst.offset_s = -west_s;
    }
    rc = scan_change(s, &r->to_dst);
    if (rc == CONEY_OK)
        rc = scan_change(s, &r->to_std);
    return rc;
}

enum coney_rc zone_rule_parse(
        struct bytes text, struct zone_rule *out, struct coney_error *err)
{
    struct scanner s = {.text = text.data, .len = text.len, .err = err};

    *out = (struct zone_rule){.has_dst = false};
    enum coney_rc rc = scan_std(&s, &out->std);
    if (rc == CONEY_OK && s.at < s.len)
        rc = scan_dst(&s, out);
    if (rc == CONEY_OK && s.at < s.len)
        rc = refuse(&s, "the end");
    return rc;
}

/* --- reckoning ------------------------------------------------------------------------
 */

static int64_t month_day(const struct zone_change *c, int64_t year)
{
    int64_t first = calendar_day_of(year, c->month, 1);
    int64_t ahead = (c->weekday - calendar_weekday(first) + WEEK) % WEEK;
    int64_t day = ahead + (c->week - 1) * WEEK;
    if (day >= calendar_month_length(year, c->month)) /* there is no fifth: the last */
        day -= WEEK;
    return first + day;
}

static int64_t change_day(const struct zone_change *c, int64_t year)
{
    switch (c->kind) {
    case ZONE_DAY_JULIAN: {
        bool is_leap = calendar_month_length(year, 2) == 29;
        bool after_february = c->day > 31 + 28;
        return calendar_day_of(year, 1, 1) + c->day - 1 + (is_leap && after_february);
    }
    case ZONE_DAY_OF_YEAR:
        return calendar_day_of(year, 1, 1) + c->day;
    case ZONE_DAY_OF_MONTH:
        break;
    }
    return month_day(c, year);
}

struct change_at {
    int64_t utc_s;
    const struct zone_rule_type *type; /* in force from then on */
};

/* The time of a change is by the clock that the change ends. */
static struct change_at dst_begins(const struct zone_rule *r, int64_t year)
{
    int64_t local_s = change_day(&r->to_dst, year) * CALENDAR_DAY_S + r->to_dst.time_s;
    return (struct change_at){.utc_s = local_s - r->std.offset_s, .type = &r->dst};
}

static struct change_at dst_ends(const struct zone_rule *r, int64_t year)
{
    int64_t local_s = change_day(&r->to_std, year) * CALENDAR_DAY_S + r->to_std.time_s;
    return (struct change_at){.utc_s = local_s - r->dst.offset_s, .type = &r->std};
}

/* What holds at an instant, and from when to when. */
struct holding {
    const struct zone_rule_type *type;
    int64_t start_s;
    int64_t end_s;
};

/* Of two changes at one instant the later to be considered counts. */
static void consider(struct holding *h, struct change_at change, int64_t utc_s)
{
    if (change.utc_s > utc_s) {
        if (change.utc_s < h->end_s)
            h->end_s = change.utc_s;
    } else if (change.utc_s >= h->start_s) {
        h->start_s = change.utc_s;
        h->type = change.type;
    }
}

const struct zone_rule_type *zone_rule_at(
        const struct zone_rule *r, int64_t utc_s, int64_t *start_s, int64_t *end_s)
{
    /* A time of day of up to a week carries a change into a neighbouring year, so two
     * years to each side hold the changes around any instant. */
    enum { YEARS_AROUND = 2 };
    struct holding h = {.type = &r->std, .start_s = INT64_MIN, .end_s = INT64_MAX};
    int64_t year = calendar_date_of(calendar_floor_div(utc_s, CALENDAR_DAY_S)).year;

    /* The end before the beginning: daylight saving all year ends and begins anew with
     * the year (RFC 9636 §3.3.2). */
    for (int64_t y = year - YEARS_AROUND; r->has_dst && y <= year + YEARS_AROUND; y++) {
        consider(&h, dst_ends(r, y), utc_s);
        consider(&h, dst_begins(r, y), utc_s);
    }
    *start_s = h.start_s;
    *end_s = h.end_s;
    return h.type;
}
