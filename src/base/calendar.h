/* SPDX-License-Identifier: MIT */
/*
 * calendar.h - days, months and years of the Gregorian calendar, without time zones.
 *
 * A day is a number, counted from 1970-01-01. The arithmetic is libc's (gmtime_r,
 * timegm).
 */
#ifndef CONEY_BASE_CALENDAR_H
#define CONEY_BASE_CALENDAR_H

#include <stdint.h>

enum { CALENDAR_DAY_S = 86400 };

struct calendar_date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

/* @dividend / @divisor rounded down, for a positive @divisor. */
int64_t calendar_floor_div(int64_t dividend, int64_t divisor);

/* The date of day @day, which must lie within the range of a wall time in microseconds.
 */
struct calendar_date calendar_date_of(int64_t day);
/* The day of a date in such a year. */
int64_t calendar_day_of(int64_t year, int month, int day);
/* 28 to 31. */
int calendar_month_length(int64_t year, int month);
/* 0 Sunday to 6 Saturday. */
int calendar_weekday(int64_t day);

#endif /* CONEY_BASE_CALENDAR_H */
