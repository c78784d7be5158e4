/* SPDX-License-Identifier: MIT */
/* test_calendar.c - day numbers and dates are the same thing. */
#include "base/calendar.h"
#include "test.h"

static void division_rounds_down_on_both_sides_of_zero(void **state)
{
    (void)state;
    assert_int_equal(calendar_floor_div(7, 7), 1);
    assert_int_equal(calendar_floor_div(6, 7), 0);
    assert_int_equal(calendar_floor_div(0, 7), 0);
    assert_int_equal(calendar_floor_div(-1, 7), -1);
    assert_int_equal(calendar_floor_div(-7, 7), -1);
    assert_int_equal(calendar_floor_div(-8, 7), -2);
}

static void every_day_of_eight_hundred_years_follows_the_one_before(void **state)
{
    (void)state;
    struct calendar_date d = {.year = 1570, .month = 1, .day = 1};
    int64_t first = calendar_day_of(1570, 1, 1);
    int weekday = 4; /* 400 years are whole weeks, and 1970 began on a Thursday */

    for (int64_t day = first; d.year < 2370; day++) {
        struct calendar_date is = calendar_date_of(day);
        assert_true(is.year == d.year && is.month == d.month && is.day == d.day);
        assert_int_equal(calendar_day_of(d.year, d.month, d.day), day);
        assert_int_equal(calendar_weekday(day), weekday);
        weekday = (weekday + 1) % 7;
        if (d.day++ == calendar_month_length(d.year, d.month)) {
            d.day = 1;
            d.year += d.month == 12;
            d.month = d.month % 12 + 1;
        }
    }
    assert_int_equal(calendar_date_of(0).year, 1970);
    assert_int_equal(calendar_date_of(first + 292194).year, 2370); /* 2 x 146 097 days */
}

static void february_has_29_days_in_leap_years_only(void **state)
{
    (void)state;
    assert_int_equal(calendar_month_length(2000, 2), 29);
    assert_int_equal(calendar_month_length(2028, 2), 29);
    assert_int_equal(calendar_month_length(2026, 2), 28);
    assert_int_equal(calendar_month_length(2100, 2), 28);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(division_rounds_down_on_both_sides_of_zero),
            cmocka_unit_test(every_day_of_eight_hundred_years_follows_the_one_before),
            cmocka_unit_test(february_has_29_days_in_leap_years_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
