/* SPDX-License-Identifier: MIT */
/* test_backoff.c - waits double, stay below the cap, and differ between clients. */
#include "net/backoff.h"
#include "test.h"

static void waits_double_up_to_the_cap_and_spread_over_their_upper_half(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (int round = 0; round < 1000; round++) {
        struct backoff b = {.base_ms = 500, .cap_ms = 30000};
        int64_t whole = 500;
        for (int i = 0; i < 100; i++) {
            int64_t wait_ms = backoff_next_ms(&b, &r);
            assert_in_range(wait_ms, whole / 2, whole);
            whole = whole * 2 > 30000 ? 30000 : whole * 2;
        }
    }
}

static void both_ends_of_the_spread_are_reached(void **state)
{
    (void)state;
    struct rng r;
    bool seen[11] = {false};
    rng_seed(&r, 1);
    for (int round = 0; round < 1000; round++) {
        struct backoff b = {.base_ms = 10, .cap_ms = 10};
        seen[backoff_next_ms(&b, &r)] = true;
    }
    for (int ms = 0; ms <= 10; ms++)
        assert_int_equal(seen[ms], ms >= 5);
}

static void a_stable_connection_starts_it_afresh(void **state)
{
    (void)state;
    struct rng r;
    struct backoff b = {.base_ms = 100, .cap_ms = 100000};
    rng_seed(&r, 1);
    for (int i = 0; i < 8; i++)
        backoff_next_ms(&b, &r);
    assert_true(backoff_next_ms(&b, &r) > 10000);
    backoff_reset(&b);
    assert_true(backoff_next_ms(&b, &r) <= 100);
}

static void a_cap_of_nothing_waits_for_nothing(void **state)
{
    (void)state;
    struct rng r;
    struct backoff b = {.base_ms = 500, .cap_ms = 0};
    rng_seed(&r, 1);
    assert_int_equal(backoff_next_ms(&b, &r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(waits_double_up_to_the_cap_and_spread_over_their_upper_half),
            cmocka_unit_test(both_ends_of_the_spread_are_reached),
            cmocka_unit_test(a_stable_connection_starts_it_afresh),
            cmocka_unit_test(a_cap_of_nothing_waits_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
