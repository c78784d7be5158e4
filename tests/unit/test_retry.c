/* SPDX-License-Identifier: MIT */
/* test_retry.c - how long a retry waits, and how the waits are spread. */
#include "queue/retry.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 10000, SEED = 20261120 };
/* Kolmogorov's critical value for a significance of 1 %: 1.628 / sqrt(n). */
static const double critical = 1.628 / 100.0;

static struct retry_policy policy_of(enum jitter jitter)
{
    return (struct retry_policy){
            .max = 3, .base_ms = 1000, .factor = 2.0, .cap_ms = 600000, .jitter = jitter};
}

static int64_t delay(const struct retry_policy *p, int64_t n)
{
    struct rng rng;
    rng_seed(&rng, SEED);
    return retry_delay_ms(p, n, &rng);
}

static void without_jitter_the_delay_doubles_up_to_the_cap(void **state)
{
    (void)state;
    static const int64_t expected[] = {
            1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 512000, 600000};
    struct retry_policy p = policy_of(JITTER_NONE);
    for (size_t n = 0; n < sizeof(expected) / sizeof(expected[0]); n++)
        assert_int_equal(delay(&p, (int64_t)n), expected[n]);
}

static void any_factor_and_base_follow_the_formula(void **state)
{
    (void)state;
    static const double factors[] = {1.0, 1.1, 1.5, 2.0, 3.0, 10.0};
    struct retry_policy p = policy_of(JITTER_NONE);
    p.base_ms = 700;
    for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
        double exact = 700.0;
        p.factor = factors[i];
        for (int64_t n = 0; n < 100; n++) {
            double d = exact < 600000.0 ? exact : 600000.0;
            assert_in_range(delay(&p, n), (uintmax_t)d - 1, (uintmax_t)d + 1);
            exact *= factors[i];
        }
    }
}

static void no_count_of_retries_overflows(void **state)
{
    (void)state;
    static const enum jitter jitters[] = {JITTER_FULL, JITTER_EQUAL, JITTER_NONE};
    static const int64_t counts[] = {62, 63, 64, 1023, 1024, 1000000, INT64_MAX};
    for (size_t j = 0; j < sizeof(jitters) / sizeof(jitters[0]); j++) {
        struct retry_policy p = policy_of(jitters[j]);
        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            assert_in_range(delay(&p, counts[i]), 1, 600000);
            p.factor = 1.0;
            assert_in_range(delay(&p, counts[i]), 1, 1000);
            p.factor = 1e300;
            assert_in_range(delay(&p, counts[i]), 1, 600000);
            p.factor = 2.0;
        }
        p.cap_ms = INT64_MAX;
        assert_in_range(delay(&p, INT64_MAX), 1, INT64_MAX);
    }
}

static void a_delay_is_never_below_one_nor_above_the_cap(void **state)
{
    (void)state;
    static const enum jitter jitters[] = {JITTER_FULL, JITTER_EQUAL, JITTER_NONE};
    for (size_t j = 0; j < sizeof(jitters) / sizeof(jitters[0]); j++) {
        struct retry_policy p = policy_of(jitters[j]);
        p.base_ms = 0;
        assert_int_equal(delay(&p, 5), 1);
        p.base_ms = 1;
        assert_int_equal(delay(&p, 0), 1);
        p.base_ms = 5000;
        p.cap_ms = 0;
        assert_int_equal(delay(&p, 5), 1);
        p.cap_ms = 3;
        for (uint64_t seed = 0; seed < 100; seed++) {
            struct rng rng;
            rng_seed(&rng, seed);
            assert_in_range(retry_delay_ms(&p, 2, &rng), 1, 3);
        }
    }
}

static void the_whole_of_each_range_is_drawn_from(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, SEED);
    struct retry_policy p = policy_of(JITTER_FULL);
    p.base_ms = 10;
    unsigned full[11] = {0}, equal[11] = {0};
    for (int i = 0; i < 1000; i++) {
        p.jitter = JITTER_FULL;
        full[retry_delay_ms(&p, 0, &rng)]++;
        p.jitter = JITTER_EQUAL;
        equal[retry_delay_ms(&p, 0, &rng)]++;
    }
    assert_int_equal(full[0], 0);
    for (int d = 1; d <= 10; d++) {
        assert_true(full[d] > 0);
        assert_int_equal(equal[d] > 0, d > 5);
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The largest distance between the samples' distribution and U(0,1]. */
static double distance_from_uniform(double *samples, size_t count)
{
    double distance = 0.0;
    qsort(samples, count, sizeof(*samples), compare_doubles);
    for (size_t i = 0; i < count; i++) {
        double above = (double)(i + 1) / (double)count - samples[i];
        double below = samples[i] - (double)i / (double)count;
        distance = above > distance ? above : distance;
        distance = below > distance ? below : distance;
    }
    return distance;
}

/* Delays of the first ten retries in turn, each as a part of its own d. */
static double distance_of(enum jitter jitter)
{
    static double samples[SAMPLES];
    struct retry_policy exact = policy_of(JITTER_NONE), p = policy_of(jitter);
    struct rng rng;
    rng_seed(&rng, SEED);
    for (int i = 0; i < SAMPLES; i++) {
        int64_t d = retry_delay_ms(&exact, i % 10, &rng);
        samples[i] = (double)retry_delay_ms(&p, i % 10, &rng) / (double)d;
    }
    return distance_from_uniform(samples, SAMPLES);
}

static void full_jitter_passes_a_kolmogorov_smirnov_test_for_uniform(void **state)
{
    (void)state;
    double distance = distance_of(JITTER_FULL);
    print_message("distance %.4f, critical %.4f\n", distance, critical);
    assert_true(distance < critical);
}

static void equal_jitter_and_none_fail_that_test(void **state)
{
    (void)state;
    assert_true(distance_of(JITTER_EQUAL) > critical);
    assert_true(distance_of(JITTER_NONE) > critical);
}

static void a_seed_gives_the_same_delays_again(void **state)
{
    (void)state;
    struct retry_policy p = policy_of(JITTER_FULL);
    struct rng a, b, other;
    rng_seed(&a, SEED);
    rng_seed(&b, SEED);
    rng_seed(&other, SEED + 1);
    unsigned differ = 0;
    for (int64_t n = 0; n < 20; n++) {
        int64_t d = retry_delay_ms(&p, n, &a);
        assert_int_equal(d, retry_delay_ms(&p, n, &b));
        differ += d != retry_delay_ms(&p, n, &other);
    }
    assert_true(differ > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(without_jitter_the_delay_doubles_up_to_the_cap),
            cmocka_unit_test(any_factor_and_base_follow_the_formula),
            cmocka_unit_test(no_count_of_retries_overflows),
            cmocka_unit_test(a_delay_is_never_below_one_nor_above_the_cap),
            cmocka_unit_test(the_whole_of_each_range_is_drawn_from),
            cmocka_unit_test(full_jitter_passes_a_kolmogorov_smirnov_test_for_uniform),
            cmocka_unit_test(equal_jitter_and_none_fail_that_test),
            cmocka_unit_test(a_seed_gives_the_same_delays_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
