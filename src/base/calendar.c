/* SPDX-License-Identifier: MIT */
/* calendar.c - libc's calendar in terms of day numbers. */
#include "base/calendar.h"

#include <assert.h>
#include <stdbool.h>
#include <time.h>

enum { TM_YEAR_BASE = 1900, EPOCH_WEEKDAY = 4, WEEK = 7 };

int64_t calendar_floor_div(int64_t dividend, int64_t divisor)
{
    assert(divisor > 0);
    int64_t quotient = dividend / divisor;
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}

struct calendar_date calendar_date_of(int64_t day)
{
    time_t seconds = day * CALENDAR_DAY_S;
    struct tm tm;
    struct tm *known = gmtime_r(&seconds, &tm);
    assert(known);
    return (struct calendar_date){
            .year = (int64_t)tm.tm_year + TM_YEAR_BASE,
            .month = tm.tm_mon + 1,
            .day = tm.tm_mday,
    };
}

int64_t calendar_day_of(int64_t year, int month, int day)
{
    struct tm tm = {
            .tm_year = (int)(year - TM_YEAR_BASE),
            .tm_mon = month - 1,
            .tm_mday = day,
    };
    return calendar_floor_div(timegm(&tm), CALENDAR_DAY_S);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int calendar_month_length(int64_t year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    assert(month >= 1 && month <= 12);
    return lengths[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

int calendar_weekday(int64_t day)
{
    int64_t weekday = (day % WEEK + EPOCH_WEEKDAY) % WEEK;
    return (int)(weekday < 0 ? weekday + WEEK : weekday);
}
