/* SPDX-License-Identifier: MIT */
/* test_time.c - moments as text, in every form Celery's peers write. */
#include "base/rng.h"
#include "message/time.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void a_moment_is_written_with_six_digits_and_an_offset(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {{0, "1970-01-01T00:00:00.000000+00:00"},
            {1795179833003744, "2026-11-20T13:03:53.003744+00:00"},
            {-1, "1969-12-31T23:59:59.999999+00:00"},
            {951782400000000, "2000-02-29T00:00:00.000000+00:00"},
            {TIME_MIN_US, "0001-01-01T00:00:00.000000+00:00"},
            {TIME_MAX_US, "9999-12-31T23:59:59.999999+00:00"},
            {INT64_MIN, "0001-01-01T00:00:00.000000+00:00"},
            {INT64_MAX, "9999-12-31T23:59:59.999999+00:00"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[TIME_TEXT_SIZE];
        time_format(rows[i].us, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 8);
    for (int i = 0; i < 100000; i++) {
        char text[TIME_TEXT_SIZE];
        int64_t us = TIME_MIN_US +
                     (int64_t)rng_below(&r, (uint64_t)(TIME_MAX_US - TIME_MIN_US) + 1);
        int64_t read;
        time_format(us, text);
        assert_int_equal(time_parse(text, &read), CONEY_OK);
        assert_true(read == us);
    }
}

/* libc's calendar, so that two independent ones agree. */
static void the_calendar_is_libcs(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 9);
    for (int i = 0; i < 20000; i++) {
        time_t second = (time_t)rng_below(&r, 253402300800);
        char expected[64];
        char text[TIME_TEXT_SIZE];
        struct tm tm;
        gmtime_r(&second, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000000+00:00", &tm);
        time_format((int64_t)second * 1000000, text);
        assert_string_equal(text, expected);
    }
}

static void every_spelling_of_the_peers_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
            {"2030-01-02T03:04:05", 1893553445000000},
            {"2030-01-02 03:04:05", 1893553445000000},
            {"2030-01-02T03:04:05Z", 1893553445000000},
            {"2030-01-02T03:04:05+00:00", 1893553445000000},
            {"2030-01-02T03:04:05-00:00", 1893553445000000},
            {"2030-01-02T03:04:05+02:00", 1893546245000000},
            {"2030-01-02T03:04:05+0200", 1893546245000000},
            {"2030-01-02T03:04:05+02", 1893546245000000},
            {"2030-01-02T03:04:05-05:30", 1893573245000000},
            {"2030-01-02T03:04:05.6Z", 1893553445600000},
            {"2030-01-02T03:04:05.678+00:00", 1893553445678000},
            {"2030-01-02T03:04:05.678901+02:00", 1893546245678901},
            {"2030-01-02T03:04:05.6789012", 1893553445678901},
            {"2030-01-02T03:04:05.999999999", 1893553445999999},
            {"2028-02-29T00:00:00", 1835395200000000},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t us = -1;
        if (time_parse(rows[i].text, &us) != CONEY_OK || us != rows[i].us)
            fail_msg("%s", rows[i].text);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "now", "2030", "2030-01-02", "2030-01-02T03:04",
            "2030-01-02T03:04:05.", "2030-01-02T03:04:05.1234567890",
            "2030-01-02T03:04:05 ", " 2030-01-02T03:04:05", "2030-01-02t03:04:05",
            "2030-01-02T03:04:05z", "2030-13-02T03:04:05", "2030-00-02T03:04:05",
            "2030-01-32T03:04:05", "2030-01-00T03:04:05", "2029-02-29T03:04:05",
            "2030-04-31T03:04:05", "2030-01-02T24:00:00", "2030-01-02T03:60:05",
            "2030-01-02T03:04:60", "0000-01-02T03:04:05", "10000-01-02T03:04:05",
            "-030-01-02T03:04:05", "2030-1-2T3:4:5", "2030-01-02T03:04:05+24:00",
            "2030-01-02T03:04:05+02:60", "2030-01-02T03:04:05+2",
            "2030-01-02T03:04:05+02:", "2030-01-02T03:04:05+02:0",
            "2030-01-02T03:04:05+020", "2030-01-02T03:04:05ZZ",
            "2030-01-02T03:04:05+02:00:00", "2030/01/02T03:04:05", "1893553445"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t us;
        if (time_parse(bad[i], &us) != CONEY_ESYNTAX)
            fail_msg("\"%s\" is read as a time", bad[i]);
    }
}

static void any_text_gets_a_clean_answer(void **state)
{
    (void)state;
    static const char seed[] = "2030-01-02T03:04:05.678901+02:00";
    static const char pieces[] = "0123456789-:+.TZ \0";
    struct rng r;
    rng_seed(&r, 10);
    for (int i = 0; i < 100000; i++) {
        char *text = strdup(seed);
        int64_t us;
        for (int hits = 0; hits < 3; hits++)
            text[rng_below(&r, sizeof(seed))] = pieces[rng_below(&r, sizeof(pieces))];
        text[sizeof(seed) - 1] = '\0';
        enum coney_rc rc = time_parse(text, &us);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_moment_is_written_with_six_digits_and_an_offset),
            cmocka_unit_test(what_is_written_is_read_back),
            cmocka_unit_test(the_calendar_is_libcs),
            cmocka_unit_test(every_spelling_of_the_peers_is_read),
            cmocka_unit_test(what_is_no_time_is_refused),
            cmocka_unit_test(any_text_gets_a_clean_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
