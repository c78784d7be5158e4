/* SPDX-License-Identifier: MIT */
/* time.c - reading and writing ISO 8601; the calendar's arithmetic is base's. */
#include "message/time.h"

#include "base/calendar.h"

#include <stdio.h>

#define SECOND_US INT64_C(1000000)

void time_format(int64_t wall_us, char text[TIME_TEXT_SIZE])
{
    if (wall_us < TIME_MIN_US)
        wall_us = TIME_MIN_US;
    if (wall_us > TIME_MAX_US)
        wall_us = TIME_MAX_US;
    int64_t second = calendar_floor_div(wall_us, SECOND_US);
    int64_t day = calendar_floor_div(second, CALENDAR_DAY_S);
    struct calendar_date date = calendar_date_of(day);
    unsigned clock = (unsigned)(second - day * CALENDAR_DAY_S);

    snprintf(text, TIME_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06u+00:00",
            (unsigned)date.year % 10000, (unsigned)date.month % 100,
            (unsigned)date.day % 100, clock / 3600 % 24, clock / 60 % 60, clock % 60,
            (unsigned)(wall_us - second * SECOND_US) % 1000000);
}

/* Exactly @count digits with a value from @min to @max. */
static bool read_number(const char **text, int count, int min, int max, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        *value = *value * 10 + (**text - '0');
    }
    return *value >= min && *value <= max;
}

static bool read_char(const char **text, char c)
{
    if (**text != c)
        return false;
    (*text)++;
    return true;
}

bool time_read_date(const char **text, struct time_parts *p)
{
    return read_number(text, 4, 1, 9999, &p->year) && read_char(text, '-') &&
           read_number(text, 2, 1, 12, &p->month) && read_char(text, '-') &&
           read_number(text, 2, 1, calendar_month_length(p->year, p->month), &p->day);
}

static bool read_fraction(const char **text, struct time_parts *p)
{
    enum { COUNTED = 6, MOST = 9 };

    p->micros = 0;
    p->fraction_digits = 0;
    if (!read_char(text, '.'))
        return true;
    for (; **text >= '0' && **text <= '9'; (*text)++)
        if (++p->fraction_digits <= COUNTED)
            p->micros = p->micros * 10 + (**text - '0');
    for (int i = p->fraction_digits; i < COUNTED; i++)
        p->micros *= 10;
    return p->fraction_digits >= 1 && p->fraction_digits <= MOST;
}

static bool read_offset(const char **text, struct time_parts *p)
{
    int hours;
    int minutes = 0;
    int sign;

    p->offset = OFFSET_NONE;
    p->offset_s = 0;
    if (read_char(text, 'Z')) {
        p->offset = OFFSET_ZULU;
        return true;
    }
    if (**text != '+' && **text != '-')
        return true;
    sign = *(*text)++ == '-' ? -1 : 1;
    if (!read_number(text, 2, 0, 23, &hours))
        return false;
    p->offset = read_char(text, ':') ? OFFSET_COLON : OFFSET_PLAIN;
    if ((p->offset == OFFSET_COLON || **text != '\0') &&
            !read_number(text, 2, 0, 59, &minutes))
        return false;
    p->offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool time_read_clock(const char **text, struct time_parts *p)
{
    return read_number(text, 2, 0, 23, &p->hour) && read_char(text, ':') &&
           read_number(text, 2, 0, 59, &p->minute) && read_char(text, ':') &&
           read_number(text, 2, 0, 59, &p->second) && read_fraction(text, p) &&
           read_offset(text, p);
}

enum coney_rc time_parse(const char *text, int64_t *wall_us)
{
    struct time_parts p;

    if (!time_read_date(&text, &p) || !(read_char(&text, 'T') || read_char(&text, ' ')) ||
            !time_read_clock(&text, &p) || *text != '\0')
        return CONEY_ESYNTAX;
    int64_t second = calendar_day_of(p.year, p.month, p.day) * CALENDAR_DAY_S +
                     p.hour * 3600 + p.minute * 60 + p.second - p.offset_s;
    *wall_us = second * SECOND_US + p.micros;
    return CONEY_OK;
}
