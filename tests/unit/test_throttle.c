/* SPDX-License-Identifier: MIT */
/* test_throttle.c - made-up failures at made-up times. */
#include "support/test.h"
#include "worker/throttle.h"

static void without_failures_runners_start_at_once(void **state)
{
    (void)state;
    struct throttle t = {0};
    assert_int_equal(throttle_next_ms(&t), 0);
    assert_false(throttle_is_wary(&t));
}

static void delays_double_from_one_second_to_sixty(void **state)
{
    (void)state;
    static const int64_t expected_ms[] = {
            1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct throttle t = {0};
    int64_t now_ms = 5000000;
    for (size_t i = 0; i < sizeof(expected_ms) / sizeof(*expected_ms); i++) {
        throttle_fail(&t, now_ms, now_ms + 10);
        assert_int_equal(throttle_next_ms(&t), now_ms + 10 + expected_ms[i]);
        now_ms = throttle_next_ms(&t);
    }
}

static void runners_that_fail_together_count_once(void **state)
{
    (void)state;
    struct throttle t = {0};
    for (int i = 0; i <= 100; i++)
        throttle_fail(&t, 1900 + i, 2000 + i);
    assert_int_equal(throttle_next_ms(&t), 2000 + THROTTLE_BASE_MS);
    throttle_fail(&t, 3000, 3500);
    assert_int_equal(throttle_next_ms(&t), 3500 + 2 * THROTTLE_BASE_MS);
}

static void a_first_job_done_opens_the_throttle(void **state)
{
    (void)state;
    struct throttle t = {0};
    throttle_fail(&t, 1000, 2000);
    throttle_fail(&t, 3000, 3500);
    assert_true(throttle_is_wary(&t));
    throttle_succeed(&t, 5500);
    assert_false(throttle_is_wary(&t));
    throttle_fail(&t, 6000, 6100);
    assert_int_equal(throttle_next_ms(&t), 6100 + THROTTLE_BASE_MS);
}

static void a_runner_older_than_the_failure_proves_nothing(void **state)
{
    (void)state;
    struct throttle t = {0};
    throttle_fail(&t, 1000, 2000);
    throttle_succeed(&t, 500);
    assert_int_equal(throttle_next_ms(&t), 2000 + THROTTLE_BASE_MS);
}

static void a_failure_long_after_the_last_begins_anew(void **state)
{
    (void)state;
    struct throttle t = {0};
    throttle_fail(&t, 0, 1000);
    throttle_fail(&t, 2000, 2000);
    int64_t later_ms = 2001 + 2 * THROTTLE_CAP_MS;
    throttle_fail(&t, 3000, later_ms);
    assert_int_equal(throttle_next_ms(&t), later_ms + THROTTLE_BASE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(without_failures_runners_start_at_once),
            cmocka_unit_test(delays_double_from_one_second_to_sixty),
            cmocka_unit_test(runners_that_fail_together_count_once),
            cmocka_unit_test(a_first_job_done_opens_the_throttle),
            cmocka_unit_test(a_runner_older_than_the_failure_proves_nothing),
            cmocka_unit_test(a_failure_long_after_the_last_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
