/* SPDX-License-Identifier: MIT */
/* test_rng.c - the published generators' numbers, and what is made of them. */
#include "base/rng.h"
#include "test.h"

#include <string.h>

static void a_seed_gives_xoshiros_published_sequence(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        uint64_t first[4];
    } rows[] = {{0, {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0,
                            0x6aa594f1262d2d2c}},
            {42, {0x15780b2e0c2ec716, 0x6104d9866d113a7e, 0xae17533239e499a1,
                         0xecb8ad4703b360a1}}};

    for (size_t i = 0; i < 2; i++) {
        struct rng r;
        rng_seed(&r, rows[i].seed);
        for (size_t k = 0; k < 4; k++)
            assert_true(rng_next(&r) == rows[i].first[k]);
    }
}

static void below_is_uniform_and_never_reaches_the_bound(void **state)
{
    (void)state;
    enum { BOUND = 10, DRAWS = 100000 };
    int count[BOUND] = {0};
    struct rng r;

    rng_seed(&r, 1);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t x = rng_below(&r, BOUND);
        assert_true(x < BOUND);
        count[x]++;
    }
    /* Expected 10000 each, standard deviation 95. */
    for (int i = 0; i < BOUND; i++)
        assert_in_range(count[i], 9500, 10500);
    assert_int_equal(rng_below(&r, 0), 0);
    assert_int_equal(rng_below(&r, 1), 0);
}

/* A modulus alone would draw below 2^63 in two of three cases. */
static void a_bound_just_over_half_the_range_is_not_skewed(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    const uint64_t bound = UINT64_C(3) << 62;
    int low = 0;
    struct rng r;

    rng_seed(&r, 2);
    for (int i = 0; i < DRAWS; i++)
        low += rng_below(&r, bound) < bound / 3;
    assert_in_range(low, DRAWS / 3 - 300, DRAWS / 3 + 300);
}

static void the_unit_interval_is_half_open(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    double sum = 0;
    struct rng r;

    rng_seed(&r, 3);
    for (int i = 0; i < DRAWS; i++) {
        double x = rng_unit(&r);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    assert_true(sum / DRAWS > 0.49 && sum / DRAWS < 0.51);
}

static void a_uuid_has_version_four_and_its_variant(void **state)
{
    (void)state;
    char before[UUID_TEXT_SIZE] = "";
    char text[UUID_TEXT_SIZE];
    struct rng r;

    rng_seed(&r, 4);
    for (int i = 0; i < 1000; i++) {
        rng_uuid(&r, text);
        assert_int_equal(strlen(text), 36);
        for (size_t k = 0; k < 36; k++) {
            bool is_hyphen = k == 8 || k == 13 || k == 18 || k == 23;
            assert_non_null(strchr(is_hyphen ? "-" : "0123456789abcdef", text[k]));
        }
        assert_int_equal(text[14], '4');
        assert_non_null(strchr("89ab", text[19]));
        assert_string_not_equal(text, before);
        memcpy(before, text, sizeof(text));
    }
}

static void random_seeds_differ(void **state)
{
    (void)state;
    struct rng a;
    struct rng b;
    rng_seed_random(&a);
    rng_seed_random(&b);
    assert_memory_not_equal(&a, &b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_seed_gives_xoshiros_published_sequence),
            cmocka_unit_test(below_is_uniform_and_never_reaches_the_bound),
            cmocka_unit_test(a_bound_just_over_half_the_range_is_not_skewed),
            cmocka_unit_test(the_unit_interval_is_half_open),
            cmocka_unit_test(a_uuid_has_version_four_and_its_variant),
            cmocka_unit_test(random_seeds_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
