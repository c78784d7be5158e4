/* SPDX-License-Identifier: MIT */
/* test_rate.c - slots at even distance, one line of them for each task. */
#include "test.h"
#include "worker/rate.h"

#include <stdio.h>

#define SECOND INT64_C(1000000)

static void slots_stand_at_even_distance(void **state)
{
    (void)state;
    struct rates *r = rates_new();
    for (int i = 0; i < 100; i++)
        assert_int_equal(
                rates_reserve(r, "sms", 600, 1000 * SECOND), (1000 + 6 * i) * SECOND);
    rates_free(r);
}

static void an_idle_time_saves_no_slots(void **state)
{
    (void)state;
    struct rates *r = rates_new();
    assert_int_equal(rates_reserve(r, "sms", 3600, 10 * SECOND), 10 * SECOND);
    assert_int_equal(rates_reserve(r, "sms", 3600, 500 * SECOND), 500 * SECOND);
    assert_int_equal(rates_reserve(r, "sms", 3600, 500 * SECOND), 501 * SECOND);
    rates_free(r);
}

static void tasks_do_not_share_slots(void **state)
{
    (void)state;
    char name[32];
    struct rates *r = rates_new();
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "task.%d", i);
        assert_int_equal(rates_reserve(r, name, 1, SECOND), SECOND);
    }
    assert_int_equal(rates_reserve(r, "task.500", 1, SECOND), 3601 * SECOND);
    rates_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(slots_stand_at_even_distance),
            cmocka_unit_test(an_idle_time_saves_no_slots),
            cmocka_unit_test(tasks_do_not_share_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
