/* SPDX-License-Identifier: MIT */
/* test_overrides.c - what commands say about tasks, and rates as Celery writes them. */
#include "config/config.h"
#include "test.h"
#include "worker/overrides.h"

#include <stdio.h>

static void what_was_said_is_found_until_it_is_cleared(void **state)
{
    (void)state;
    struct overrides *o = overrides_new();
    assert_null(overrides_find(o, "a"));
    struct override *said = overrides_of(o, "a");
    said->has_rate = true;
    said->rate_per_hour = 60;
    assert_int_equal(overrides_find(o, "a")->rate_per_hour, 60);
    assert_null(overrides_find(o, "b"));
    assert_ptr_equal(overrides_of(o, "a"), said);
    overrides_clear(o);
    assert_null(overrides_find(o, "a"));
    overrides_free(o);
    overrides_free(NULL);
}

static void there_are_only_so_many(void **state)
{
    (void)state;
    char task[20];
    struct overrides *o = overrides_new();
    for (int i = 0; i < OVERRIDES_MAX; i++) {
        snprintf(task, sizeof(task), "t%d", i);
        assert_non_null(overrides_of(o, task));
    }
    assert_null(overrides_of(o, "one more"));
    assert_non_null(overrides_of(o, "t7"));
    overrides_free(o);
}

static void rates_are_read_as_celery_writes_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum coney_rc rc;
        int64_t per_hour;
    } rows[] = {{"10/m", CONEY_OK, 600}, {"0.5/s", CONEY_OK, 1800},
            {"100/h", CONEY_OK, 100}, {"2", CONEY_OK, 7200}, {"0", CONEY_OK, CONFIG_NONE},
            {"0/m", CONEY_OK, CONFIG_NONE}, {"0.1/h", CONEY_OK, 1},
            {"bogus", CONEY_EINVAL, 0}, {"", CONEY_EINVAL, 0}, {"10/d", CONEY_EINVAL, 0},
            {"-1/s", CONEY_EINVAL, 0}, {"nan", CONEY_EINVAL, 0},
            {"1e300/s", CONEY_EINVAL, 0}, {"/m", CONEY_EINVAL, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t per_hour = 0;
        if (override_parse_rate(rows[i].text, &per_hour) != rows[i].rc ||
                per_hour != rows[i].per_hour)
            fail_msg("%s: %lld", rows[i].text, (long long)per_hour);
    }
}

static void an_allocation_that_fails_changes_nothing(void **state)
{
    (void)state;
    struct overrides *o = overrides_new();
    for (unsigned n = 1; n <= 2; n++) {
        test_fail_allocation(n);
        (void)overrides_of(o, "a");
        if (test_allocation_failed())
            assert_null(overrides_find(o, "a"));
        test_fail_allocation(0);
    }
    overrides_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_was_said_is_found_until_it_is_cleared),
            cmocka_unit_test(there_are_only_so_many),
            cmocka_unit_test(rates_are_read_as_celery_writes_them),
            cmocka_unit_test(an_allocation_that_fails_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
