/* SPDX-License-Identifier: MIT */
/*
 * test_crontab.c - what crontabs say, what is refused, and what daylight saving does.
 *
 * That thousands of them run when they should is tests/contract/crontab_agrees.py.
 */
#include "base/clock.h"
#include "schedule/crontab.h"
#include "test.h"

#include <string.h>
#include <time.h>

#define SECOND_US INT64_C(1000000)

static struct crontab parse(const char *text)
{
    struct crontab c;
    struct coney_error err;
    if (crontab_parse(text, &c, &err) != CONEY_OK)
        fail_msg("%s: %s", text, err.text);
    return c;
}

static struct zone *load(const char *name)
{
    struct zone *z;
    assert_int_equal(zone_load(NULL, name, &z, NULL), CONEY_OK);
    return z;
}

/* "2026-03-29 01:00", UTC; with seconds if there are any. */
static int64_t instant(const char *text)
{
    struct tm tm = {.tm_isdst = 0};
    const char *rest = strptime(text, "%Y-%m-%d %H:%M", &tm);
    assert_non_null(rest);
    if (*rest != '\0')
        assert_non_null(strptime(rest, ":%S", &tm));
    return timegm(&tm) * SECOND_US;
}

static void assert_next(const struct crontab *c, const struct zone *z, int64_t after_us,
        const char *expected)
{
    int64_t next_us = crontab_next(c, z, after_us);
    if (next_us != instant(expected))
        fail_msg("%lld instead of %s", (long long)(next_us / SECOND_US), expected);
}

/* The runs after @after, ended by NULL. All times are UTC. */
static void assert_runs(const char *text, const char *zone, const char *after,
        const char *const *expected)
{
    struct crontab c = parse(text);
    struct zone *z = load(zone);
    int64_t at = instant(after);
    for (; *expected; expected++) {
        assert_next(&c, z, at, *expected);
        at = instant(*expected);
    }
    zone_free(z);
}

#define RUNS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- text -----------------------------------------------------------------------------
 */

static uint64_t bits_of(const struct crontab *c, int field)
{
    const uint64_t fields[] = {c->minutes, c->hours, c->days, c->months, c->weekdays};
    return fields[field];
}

static void fields_are_lists_ranges_and_steps(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int field;
        int values[16]; /* ended by -1 */
    } rows[] = {
            {"*/7 * * * *", 0, {0, 7, 14, 21, 28, 35, 42, 49, 56, -1}},
            {"50-10/5 * * * *", 0, {50, 55, 0, 5, 10, -1}},
            {"10-50/20 * * * *", 0, {10, 30, 50, -1}},
            {"05,7,59 * * * *", 0, {5, 7, 59, -1}},
            {"5-5 * * * *", 0, {5, -1}},
            {"* 22-2 * * *", 1, {22, 23, 0, 1, 2, -1}},
            {"* 20-4/3 * * *", 1, {20, 23, 2, -1}},
            {"* * */3 * *", 2, {1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, -1}},
            {"* * 28-3 * *", 2, {28, 29, 30, 31, 1, 2, 3, -1}},
            {"* * * nov-FEB *", 3, {11, 12, 1, 2, -1}},
            {"* * * */2 *", 3, {1, 3, 5, 7, 9, 11, -1}},
            {"* * * * */2", 4, {0, 2, 4, 6, -1}},
            {"* * * * fri-mon", 4, {5, 6, 0, 1, -1}},
            {"* * * * Sat-Sun", 4, {6, 0, -1}},
            {"* * * * 7", 4, {0, -1}},
            {"* * * * 7-7", 4, {0, -1}},
            {"* * * * 5-7", 4, {5, 6, 0, -1}},
            {"* * * * 7-2", 4, {0, 1, 2, -1}},
            {"* * * * 0-7", 4, {0, 1, 2, 3, 4, 5, 6, -1}},
            {"* * * * 1-7/2", 4, {1, 3, 5, 0, -1}},
            {" \t0  12\t* * mon,wed ", 4, {1, 3, -1}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct crontab c = parse(rows[i].text);
        uint64_t expected = 0;
        for (const int *v = rows[i].values; *v >= 0; v++)
            expected |= UINT64_C(1) << *v;
        if (bits_of(&c, rows[i].field) != expected)
            fail_msg("%s: %llx", rows[i].text,
                    (unsigned long long)bits_of(&c, rows[i].field));
    }
}

static void nicknames_stand_for_five_fields(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"@hourly", "0 * * * *"},
            {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
            {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
            {" @annually ", "0 0 1 1 *"}};

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct crontab a = parse(pairs[i][0]), b = parse(pairs[i][1]);
        for (int field = 0; field < 5; field++)
            assert_true(bits_of(&a, field) == bits_of(&b, field));
        assert_int_equal(a.hour_kind, b.hour_kind);
    }
}

static void mistakes_are_refused_with_their_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned column;
        const char *says;
    } rows[] = {
            {"", 1, "found 0 fields, expected 5"},
            {"* * * *", 1, "found 4 fields"},
            {"* * * * * *", 1, "found 6 fields"},
            {"1, 2 * * * *", 1, "found 6 fields"},
            {"60 * * * *", 1, "minute: found \"60\", allowed are 0 to 59"},
            {"99999999999999999999 * * * *", 1, "allowed are 0 to 59"},
            {"* 24 * * *", 3, "hour: found \"24\", allowed are 0 to 23"},
            {"* * 0 * *", 5, "day of month: found \"0\", allowed are 1 to 31"},
            {"* * * 13 *", 7, "month: found \"13\", allowed are 1 to 12 or jan to dec"},
            {"* * * * 8", 9, "allowed are 0 to 6, sun to sat, or 7 for Sunday"},
            {"* * * mon *", 7, "month: found \"mon\""},
            {"* * * * mar", 9, "day of week: found \"mar\""},
            {"mon * * * *", 1, "minute: found \"mon\""},
            {"* * * * monday", 9, "found \"monday\""},
            {"* * * * mo", 9, "found \"mo\""},
            {"1-60 * * * *", 3, "found \"60\""},
            {"5/15 * * * *", 2, "write \"5-59/15\""},
            {"* * * * mon/2", 12, "write \"mon-6/2\""},
            {"*/0 * * * *", 3, "the step must be 1 to 59"},
            {"*/60 * * * *", 3, "use \"every:\""},
            {"* */24 * * *", 5, "the step must be 1 to 23"},
            {"1-5/ * * * *", 5, "the step must be"},
            {"*/x * * * *", 3, "the step must be"},
            {"*/99999999999 * * * *", 3, "the step must be"},
            {"1,,2 * * * *", 3, "found nothing"},
            {"1, * * * *", 3, "found nothing"},
            {",1 * * * *", 1, "found nothing"},
            {"1-5-7 * * * *", 1, "found \"1-5-7\""},
            {"1- * * * *", 3, "found nothing"},
            {"-1 * * * *", 1, "found \"-1\""},
            {"*5 * * * *", 1, "found \"*5\""},
            {"5x * * * *", 1, "found \"5x\""},
            {"* * ? * *", 5, "found \"?\""},
            {"* * L * *", 5, "found \"L\""},
            {"* * 15W * *", 5, "found \"15W\""},
            {"* * * * 5#2", 9, "found \"5#2\""},
            {"@reboot", 1, "found \"@reboot\", allowed are @hourly"},
            {"@daily 5", 1, "allowed are @hourly"},
            {"@dailyx", 1, "allowed are @hourly"},
            {" @Daily", 2, "allowed are @hourly"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct crontab c;
        struct coney_error err = {.text = ""};
        assert_int_equal(crontab_parse(rows[i].text, &c, &err), CONEY_ESYNTAX);
        if (err.column != rows[i].column || !strstr(err.text, rows[i].says))
            fail_msg("\"%s\": %u: %s", rows[i].text, err.column, err.text);
    }
}

static void dates_that_never_come_are_refused(void **state)
{
    (void)state;
    static const char *const never[] = {
            "0 0 30 feb *", "0 0 31 2,4,6,9,11 *", "0 0 30-31 2 *"};
    struct crontab c;
    struct coney_error err;

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        assert_int_equal(crontab_parse(never[i], &c, &err), CONEY_ESYNTAX);
        assert_non_null(strstr(err.text, "never comes"));
    }
    parse("0 0 29 2 *");
    parse("0 0 31 2,3 *");

    c = parse("0 0 31 2 mon"); /* may still mean each Monday of February */
    assert_int_equal(crontab_set_days(&c, CRONTAB_DAYS_BOTH, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "never comes"));
    assert_int_equal(c.combine, CRONTAB_DAYS_UNSAID);
    assert_int_equal(crontab_set_days(&c, CRONTAB_DAYS_EITHER, &err), CONEY_OK);
}

static void both_kinds_of_days_need_a_word_on_how_they_combine(void **state)
{
    (void)state;
    static const char *const without[] = {"0 0 13 * *", "0 0 * * fri", "0 0 * * *"};
    static const char *const with[] = {"0 0 13 * fri", "0 0 */2 * fri", "0 0 1-31 * fri",
            "0 0 13 * */2", "0 0 13 * 0-6", "0 0 *,13 * fri"};
    struct coney_error err;

    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        struct crontab c = parse(without[i]);
        assert_false(crontab_needs_days(&c));
        assert_int_equal(crontab_set_days(&c, CRONTAB_DAYS_UNSAID, &err), CONEY_OK);
    }
    for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++) {
        struct crontab c = parse(with[i]);
        assert_true(crontab_needs_days(&c));
        assert_int_equal(crontab_set_days(&c, CRONTAB_DAYS_UNSAID, &err), CONEY_EINVAL);
        assert_non_null(strstr(err.text, "\"days: both\""));
        assert_non_null(strstr(err.text, "\"days: either\""));
    }
}

/* --- time -----------------------------------------------------------------------------
 */

static void friday_the_13th_is_both_and_more_is_either(void **state)
{
    (void)state;
    struct zone *z = load("UTC");
    struct crontab c = parse("0 8 13 * fri");

    assert_int_equal(crontab_set_days(&c, CRONTAB_DAYS_BOTH, NULL), CONEY_OK);
    assert_next(&c, z, instant("2026-04-01 00:00"), "2026-11-13 08:00");
    assert_int_equal(crontab_set_days(&c, CRONTAB_DAYS_EITHER, NULL), CONEY_OK);
    assert_next(&c, z, instant("2026-04-11 00:00"), "2026-04-13 08:00");
    assert_next(&c, z, instant("2026-04-13 08:00"), "2026-04-17 08:00");
    zone_free(z);
}

static void the_next_run_is_strictly_after(void **state)
{
    (void)state;
    struct zone *z = load("UTC");
    struct crontab c = parse("*/15 * * * *");
    int64_t at = instant("2026-01-01 00:15");

    assert_true(crontab_next(&c, z, at - 1) == at);
    assert_true(crontab_next(&c, z, at) == instant("2026-01-01 00:30"));
    assert_true(crontab_next(&c, z, at + 1) == instant("2026-01-01 00:30"));
    assert_true(crontab_next(&c, z, -1) == 0);
    assert_true(crontab_next(&c, z, -2 * SECOND_US * 60 * 15 - 1) == -SECOND_US * 1800);
    zone_free(z);
}

static void rare_dates_are_found_across_the_years(void **state)
{
    (void)state;
    struct zone *z = load("UTC");
    struct crontab c = parse("59 23 31 12 *");
    assert_next(&c, z, instant("2026-12-31 23:59"), "2027-12-31 23:59");
    c = parse("0 0 29 2 *"); /* 2100 is no leap year */
    assert_next(&c, z, instant("2096-02-29 00:00"), "2104-02-29 00:00");
    c = parse("0 0 29 2 sun");
    assert_int_equal(crontab_set_days(&c, CRONTAB_DAYS_BOTH, NULL), CONEY_OK);
    assert_next(&c, z, instant("2088-02-29 00:00"), "2128-02-29 00:00");
    zone_free(z);
}

static void the_end_of_time_has_no_next_run(void **state)
{
    (void)state;
    struct zone *z = load("Europe/Paris");
    struct crontab c = parse("* * * * *");
    assert_true(crontab_next(&c, z, INT64_MAX) == CLOCK_NEVER);
    assert_true(crontab_next(&c, z, INT64_MIN) != CLOCK_NEVER);
    zone_free(z);
}

static void a_time_that_does_not_exist_runs_once_just_after_the_gap(void **state)
{
    (void)state;
    assert_runs("30 2 * * *", "Europe/Paris", "2026-03-28 00:00",
            RUNS("2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"));
    /* six times fall into the gap: still one run */
    assert_runs("*/10 2 * * *", "Europe/Paris", "2026-03-28 01:50",
            RUNS("2026-03-29 01:00", "2026-03-30 00:00"));
    /* the run in the gap and that of three o'clock are one */
    assert_runs("0 2,3 * * *", "Europe/Paris", "2026-03-28 02:00",
            RUNS("2026-03-29 01:00", "2026-03-30 00:00"));
    /* at midnight, when clocks are put forward there: no day without its run */
    assert_runs("0 0 * * *", "Asia/Beirut", "2026-03-27 22:00",
            RUNS("2026-03-28 22:00", "2026-03-29 21:00"));
    /* a whole day */
    assert_runs("0 8 30 12 *", "Pacific/Apia", "2011-01-01 00:00",
            RUNS("2011-12-30 10:00", "2012-12-29 18:00"));
}

static void the_gap_itself_ends_before_its_last_instant(void **state)
{
    (void)state;
    assert_runs("0 3 * * *", "Europe/Paris", "2026-03-28 02:00",
            RUNS("2026-03-29 01:00", "2026-03-30 01:00"));
    assert_runs("59 1 * * *", "Europe/Paris", "2026-03-28 02:00",
            RUNS("2026-03-29 00:59", "2026-03-29 23:59"));
}

static void a_time_that_comes_twice_runs_once_at_fixed_hours(void **state)
{
    (void)state;
    assert_runs("30 2 * * *", "Europe/Paris", "2026-10-24 00:30",
            RUNS("2026-10-25 00:30", "2026-10-26 01:30"));
    assert_runs("*/30 1-3 * * *", "Europe/Paris", "2026-10-24 23:30",
            RUNS("2026-10-25 00:00", "2026-10-25 00:30", "2026-10-25 02:00"));
    /* from within the repeated hour */
    assert_runs(
            "30 2 * * *", "Europe/Paris", "2026-10-25 01:10", RUNS("2026-10-26 01:30"));
}

static void a_star_in_the_hours_goes_by_real_time(void **state)
{
    (void)state;
    assert_runs("15 * * * *", "Europe/Paris", "2026-03-28 23:30",
            RUNS("2026-03-29 00:15", "2026-03-29 01:15", "2026-03-29 02:15"));
    assert_runs("*/30 * * * *", "Europe/Paris", "2026-03-29 00:00",
            RUNS("2026-03-29 00:30", "2026-03-29 01:00", "2026-03-29 01:30"));
    assert_runs("15 * * * *", "Europe/Paris", "2026-10-24 23:30",
            RUNS("2026-10-25 00:15", "2026-10-25 01:15", "2026-10-25 02:15"));
}

static void a_step_over_hours_loses_no_run_to_the_gap(void **state)
{
    (void)state;
    assert_runs("0 */2 * * *", "Europe/Paris", "2026-03-28 22:00",
            RUNS("2026-03-28 23:00", "2026-03-29 01:00", "2026-03-29 02:00"));
    assert_runs("0 */2 * * *", "Europe/Paris", "2026-10-24 21:00",
            RUNS("2026-10-24 22:00", "2026-10-25 00:00", "2026-10-25 01:00",
                    "2026-10-25 03:00"));
}

static void zones_off_the_hour_run_by_their_own_minutes(void **state)
{
    (void)state;
    assert_runs(
            "0 12 * * *", "Asia/Kolkata", "2026-01-01 00:00", RUNS("2026-01-01 06:30"));
    assert_runs("0 12 * * *", "Pacific/Chatham", "2026-06-01 00:00",
            RUNS("2026-06-01 23:15"));
    /* Lord Howe's gap is half an hour: 02:00 to 02:30 */
    assert_runs("10 2 * * *", "Australia/Lord_Howe", "2026-10-02 16:00",
            RUNS("2026-10-03 15:30", "2026-10-04 15:10"));
}

/*
 * A zone, two hours east, that goes back to one hour at midnight and forward again after
 * half an hour: 01:00 to 01:30 comes twice, and of 01:30 to 02:30, left out by the second
 * change, the first half had been on the clock before the first.
 */
static struct zone *load_back_and_forth(int64_t midnight_s)
{
    uint8_t file[256] = "TZif";
    size_t len = 44;
    struct zone *z;

    file[35] = 2; /* transitions, types, bytes of abbreviations */
    file[39] = 2;
    file[43] = 4;
    for (int i = 0; i < 2; i++) {
        for (int shift = 24; shift >= 0; shift -= 8)
            file[len++] = (uint8_t)((midnight_s + i * 1800) >> shift);
    }
    static const uint8_t rest[] = {1, 0, 0, 0, 7200 >> 8, 7200 & 0xff, 0, 0, 0, 0,
            3600 >> 8, 3600 & 0xff, 0, 0, 'A', 'B', 'C', '\0'};
    memcpy(file + len, rest, sizeof(rest));
    len += sizeof(rest);
    assert_int_equal(
            zone_load_bytes("made", (struct bytes){.data = file, .len = len}, &z, NULL),
            CONEY_OK);
    return z;
}

static void a_time_left_out_that_had_been_shown_before_runs_once(void **state)
{
    (void)state;
    struct zone *z = load_back_and_forth(instant("2026-06-01 00:00") / SECOND_US);
    struct crontab c = parse("45 1 * * *");

    assert_next(&c, z, instant("2026-05-31 00:00"), "2026-05-31 23:45");
    assert_next(&c, z, instant("2026-05-31 23:45"), "2026-06-01 23:45");
    c = parse("0 2 * * *"); /* in the gap only */
    assert_next(&c, z, instant("2026-05-31 00:00"), "2026-06-01 00:30");
    zone_free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(fields_are_lists_ranges_and_steps),
            cmocka_unit_test(nicknames_stand_for_five_fields),
            cmocka_unit_test(mistakes_are_refused_with_their_column),
            cmocka_unit_test(dates_that_never_come_are_refused),
            cmocka_unit_test(both_kinds_of_days_need_a_word_on_how_they_combine),
            cmocka_unit_test(friday_the_13th_is_both_and_more_is_either),
            cmocka_unit_test(the_next_run_is_strictly_after),
            cmocka_unit_test(rare_dates_are_found_across_the_years),
            cmocka_unit_test(the_end_of_time_has_no_next_run),
            cmocka_unit_test(a_time_that_does_not_exist_runs_once_just_after_the_gap),
            cmocka_unit_test(the_gap_itself_ends_before_its_last_instant),
            cmocka_unit_test(a_time_that_comes_twice_runs_once_at_fixed_hours),
            cmocka_unit_test(a_star_in_the_hours_goes_by_real_time),
            cmocka_unit_test(a_step_over_hours_loses_no_run_to_the_gap),
            cmocka_unit_test(zones_off_the_hour_run_by_their_own_minutes),
            cmocka_unit_test(a_time_left_out_that_had_been_shown_before_runs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
