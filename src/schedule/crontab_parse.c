/* SPDX-License-Identifier: MIT */
/* crontab_parse.c - the grammar of crontab.h, one field and one part of a list at a time.
 */
#include "base/error.h"
#include "schedule/crontab.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FIELDS = 5, NAME_LEN = 3, SUNDAY_AGAIN = 7, NUMBER_MAX = 9999 };

enum field_index { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

struct field {
    const char *noun;
    int min, max;             /* of what a star stands for */
    const char *const *names; /* of the values from min on; NULL: numbers only */
    const char *names_shown;
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
        "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {
        "sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const struct field fields[FIELDS] = {
        [MINUTE] = {.noun = "minute", .min = 0, .max = 59},
        [HOUR] = {.noun = "hour", .min = 0, .max = 23},
        [DAY] = {.noun = "day of month", .min = 1, .max = 31},
        [MONTH] = {.noun = "month",
                .min = 1,
                .max = 12,
                .names = month_names,
                .names_shown = " or jan to dec"},
        [WEEKDAY] = {.noun = "day of week",
                .min = 0,
                .max = 6,
                .names = weekday_names,
                .names_shown = ", sun to sat, or 7 for Sunday"},
};

/* The text, how far it is read, and what the current field allows. */
struct scanner {
    const char *text;
    size_t at;
    const struct field *field;
    struct coney_error *err;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool ends_part(char c)
{
    return c == '\0' || c == ',' || is_blank(c);
}

static char peek(const struct scanner *s)
{
    return s->text[s->at];
}

static bool accept(struct scanner *s, char c)
{
    if (peek(s) != c || c == '\0')
        return false;
    s->at++;
    return true;
}

static void skip_blanks(struct scanner *s)
{
    while (is_blank(peek(s)))
        s->at++;
}

/* The part of the list at @at, for an error message. */
static int part_len(const struct scanner *s, size_t at)
{
    size_t len = 0;
    while (len < 32 && !ends_part(s->text[at + len]))
        len++;
    return (int)len;
}

/* "minute: found "61", allowed are 0 to 59" */
static enum coney_rc refuse_value(const struct scanner *s, size_t at)
{
    const struct field *f = s->field;
    int len = part_len(s, at);
    enum coney_rc rc = error_set(s->err, CONEY_ESYNTAX,
            "crontab %s: found %s%.*s%s, allowed are %d to %d%s", f->noun,
            len > 0 ? "\"" : "nothing", len, s->text + at, len > 0 ? "\"" : "", f->min,
            f->max, f->names_shown ? f->names_shown : "");
    error_set_position(s->err, 0, (unsigned)at + 1);
    return rc;
}

/* Digits; some number above NUMBER_MAX stands for all of those. */
static int scan_digits(struct scanner *s)
{
    int value = 0;
    while (is_digit(peek(s))) {
        if (value <= NUMBER_MAX)
            value = value * 10 + (peek(s) - '0');
        s->at++;
    }
    return value;
}

/* -1: not a name of this field. Moves on only past a name. */
static int scan_name(struct scanner *s)
{
    const struct field *f = s->field;

    for (int value = f->min; f->names && value <= f->max; value++) {
        if (strncasecmp(s->text + s->at, f->names[value - f->min], NAME_LEN) == 0) {
            s->at += NAME_LEN;
            return value;
        }
    }
    return -1;
}

static enum coney_rc scan_value(struct scanner *s, int *out)
{
    const struct field *f = s->field;
    size_t start = s->at;
    int max = f == &fields[WEEKDAY] ? SUNDAY_AGAIN : f->max;

    *out = is_digit(peek(s)) ? scan_digits(s) : scan_name(s);
    if (*out < f->min || *out > max)
        return refuse_value(s, start);
    return CONEY_OK;
}

/* A slash and a number, if there is one. */
static enum coney_rc scan_step(struct scanner *s, int *out)
{
    int max = s->field->max - s->field->min;

    *out = 1;
    if (!accept(s, '/'))
        return CONEY_OK;
    size_t start = s->at;
    *out = scan_digits(s);
    if (s->at > start && *out >= 1 && *out <= max)
        return CONEY_OK;
    enum coney_rc rc = error_set(s->err, CONEY_ESYNTAX,
            "crontab %s: the step must be 1 to %d, for it begins anew in each field; for "
            "other intervals use \"every:\"",
            s->field->noun, max);
    error_set_position(s->err, 0, (unsigned)start + 1);
    return rc;
}

static enum coney_rc refuse_step_on_value(const struct scanner *s, size_t at)
{
    enum coney_rc rc = error_set(s->err, CONEY_ESYNTAX,
            "crontab %s: a step needs a range: write \"%.*s-%d%.*s\" if that is meant",
            s->field->noun, (int)(s->at - at), s->text + at, s->field->max,
            part_len(s, s->at), s->text + s->at);
    error_set_position(s->err, 0, (unsigned)s->at + 1);
    return rc;
}

/* The values from @first to @last, round the end of the field if need be. */
static uint64_t spread(const struct field *f, int first, int last, int step)
{
    int span = f->max - f->min + 1;
    bool is_weekday = f == &fields[WEEKDAY];
    uint64_t bits = 0;

    /* A 7 that ends a range (5-7, 0-7) lies beyond Saturday; one that begins it is 0. */
    if (is_weekday && first == SUNDAY_AGAIN) {
        first = 0;
        last = last == SUNDAY_AGAIN ? 0 : last;
    }
    int length = last >= first ? last - first : last + span - first;
    for (int i = 0; i <= length; i += step)
        bits |= UINT64_C(1) << ((first - f->min + i) % span + f->min);
    return bits;
}

/* One part of a list. */
static enum coney_rc scan_part(struct scanner *s, uint64_t *bits)
{
    const struct field *f = s->field;
    size_t start = s->at;
    int first = f->min, last = f->max, step;
    bool is_range = true;
    enum coney_rc rc = CONEY_OK;

    if (!accept(s, '*')) {
        rc = scan_value(s, &first);
        last = first;
        is_range = accept(s, '-');
        if (rc == CONEY_OK && is_range)
            rc = scan_value(s, &last);
    }
    if (rc != CONEY_OK)
        return rc;
    if (!is_range && peek(s) == '/')
        return refuse_step_on_value(s, start);
    rc = scan_step(s, &step);
    if (rc != CONEY_OK)
        return rc;
    if (!ends_part(peek(s)))
        return refuse_value(s, start);
    *bits |= spread(f, first, last, step);
    return CONEY_OK;
}

static enum coney_rc scan_field(
        struct scanner *s, const struct field *f, uint64_t *bits, bool *is_any)
{
    size_t start = s->at;
    enum coney_rc rc;

    s->field = f;
    *bits = 0;
    do {
        rc = scan_part(s, bits);
    } while (rc == CONEY_OK && accept(s, ','));
    *is_any = s->text[start] == '*' && s->at == start + 1;
    return rc;
}

static enum coney_rc refuse_count(const struct scanner *s, size_t found)
{
    enum coney_rc rc = error_set(s->err, CONEY_ESYNTAX,
            "crontab: found %zu field%s, expected %d: minute, hour, day of month, month, "
            "day of week",
            found, found == 1 ? "" : "s", FIELDS);
    error_set_position(s->err, 0, (unsigned)s->at + 1);
    return rc;
}

static size_t count_fields(const char *text)
{
    size_t count = 0;
    for (const char *p = text; *p != '\0'; p++)
        count += !is_blank(*p) && (p == text || is_blank(p[-1]));
    return count;
}

static enum coney_rc scan_fields(struct scanner *s, struct crontab *out)
{
    uint64_t bits[FIELDS];
    bool is_any[FIELDS];
    size_t found = count_fields(s->text);

    skip_blanks(s);
    if (found != FIELDS)
        return refuse_count(s, found);
    size_t hour_at = 0;
    for (size_t i = 0; i < FIELDS; i++) {
        if (i == HOUR)
            hour_at = s->at;
        enum coney_rc rc = scan_field(s, &fields[i], &bits[i], &is_any[i]);
        if (rc != CONEY_OK)
            return rc;
        skip_blanks(s);
    }
    *out = (struct crontab){
            .minutes = bits[MINUTE],
            .hours = (uint32_t)bits[HOUR],
            .days = (uint32_t)bits[DAY],
            .months = (uint16_t)bits[MONTH],
            .weekdays = (uint8_t)bits[WEEKDAY],
            .any_day = is_any[DAY],
            .any_weekday = is_any[WEEKDAY],
    };
    bool is_every = out->hours == (UINT32_C(1) << (fields[HOUR].max + 1)) - 1;
    if (s->text[hour_at] == '*')
        out->hour_kind = is_every ? CRONTAB_HOURS_EVERY : CRONTAB_HOURS_STEPPED;
    return CONEY_OK;
}

/* What "@daily" and its like stand for; NULL: no such name. */
static const char *expand_nickname(const char *name, size_t len)
{
    static const struct {
        const char *name, *fields;
    } nicknames[] = {
            {"@hourly", "0 * * * *"},
            {"@daily", "0 0 * * *"},
            {"@midnight", "0 0 * * *"},
            {"@weekly", "0 0 * * 0"},
            {"@monthly", "0 0 1 * *"},
            {"@yearly", "0 0 1 1 *"},
            {"@annually", "0 0 1 1 *"},
    };

    for (size_t i = 0; i < sizeof(nicknames) / sizeof(nicknames[0]); i++) {
        if (strlen(nicknames[i].name) == len &&
                strncmp(nicknames[i].name, name, len) == 0)
            return nicknames[i].fields;
    }
    return NULL;
}

static enum coney_rc scan_nickname(struct scanner *s, struct crontab *out)
{
    size_t start = s->at;
    size_t len = strcspn(s->text + start, " \t");
    const char *expanded = expand_nickname(s->text + start, len);

    if (!expanded || count_fields(s->text) != 1) {
        enum coney_rc rc = error_set(s->err, CONEY_ESYNTAX,
                "crontab: found \"%.32s\", allowed are @hourly, @daily, @midnight, @weekly, "
                "@monthly, @yearly and @annually",
                s->text + start);
        error_set_position(s->err, 0, (unsigned)start + 1);
        return rc;
    }
    struct scanner fields_of = {.text = expanded, .err = s->err};
    return scan_fields(&fields_of, out);
}

enum coney_rc crontab_parse(
        const char *text, struct crontab *out, struct coney_error *err)
{
    struct scanner s = {.text = text, .err = err};

    skip_blanks(&s);
    enum coney_rc rc = peek(&s) == '@' ? scan_nickname(&s, out) : scan_fields(&s, out);
    if (rc == CONEY_OK && !crontab_has_date(out))
        rc = error_set(err, CONEY_ESYNTAX,
                "crontab names a date that never comes: none of its months has such a day");
    return rc;
}
