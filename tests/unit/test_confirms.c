/* SPDX-License-Identifier: MIT */
/* test_confirms.c - each publish is settled once, in whatever order answers come. */
#include "amqp/confirms.h"
#include "base/rng.h"
#include "test.h"

#include <stdlib.h>

static void publish(struct confirms *c, uint64_t cookie, uint64_t route)
{
    assert_int_equal(confirms_reserve(c), CONEY_OK);
    confirms_add(c, cookie, route);
}

static void publish_many(struct confirms *c, uint64_t count)
{
    for (uint64_t n = 1; n <= count; n++)
        publish(c, 1000 + n, 0);
}

static void answers_out_of_order_settle_their_own_publish(void **state)
{
    (void)state;
    struct confirms c;
    struct confirm settled;

    confirms_init(&c);
    publish_many(&c, 5);
    static const uint64_t order[] = {3, 1, 5, 2, 4};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(c.outstanding, 5 - i);
        assert_true(confirms_settle(&c, order[i], &settled));
        assert_int_equal(settled.cookie, 1000 + order[i]);
        assert_false(confirms_settle(&c, order[i], &settled));
    }
    assert_int_equal(c.outstanding, 0);
    assert_true(c.first == c.next);
    confirms_fini(&c);
}

static void an_answer_for_many_skips_those_that_had_theirs(void **state)
{
    (void)state;
    struct confirms c;
    struct confirm settled;

    confirms_init(&c);
    publish_many(&c, 6);
    assert_true(confirms_settle(&c, 2, &settled));
    assert_true(confirms_settle(&c, 5, &settled));
    static const uint64_t expected[] = {1, 3, 4};
    for (size_t i = 0; i < 3; i++) {
        assert_true(confirms_settle_first(&c, 5, &settled));
        assert_int_equal(settled.cookie, 1000 + expected[i]);
    }
    assert_false(confirms_settle_first(&c, 5, &settled));
    assert_int_equal(c.outstanding, 1);
    assert_true(confirms_settle_first(&c, UINT64_MAX, &settled));
    assert_int_equal(settled.cookie, 1006);
    assert_false(confirms_settle_first(&c, UINT64_MAX, &settled));
    confirms_fini(&c);
}

static void numbers_never_given_are_not_known(void **state)
{
    (void)state;
    struct confirms c;
    struct confirm settled;

    confirms_init(&c);
    assert_false(confirms_settle_first(&c, UINT64_MAX, &settled));
    assert_false(confirms_knows(&c, 0));
    assert_false(confirms_knows(&c, 1));
    publish_many(&c, 1);
    assert_true(confirms_knows(&c, 1));
    assert_false(confirms_knows(&c, 2));
    assert_false(confirms_settle(&c, 0, &settled));
    assert_false(confirms_settle(&c, 2, &settled));
    confirms_fini(&c);
}

static void a_return_finds_its_publish_among_equals_in_order(void **state)
{
    (void)state;
    struct confirms c;
    uint64_t cookie;
    struct confirm settled;

    confirms_init(&c);
    publish(&c, 1, 77);
    publish(&c, 2, 88);
    publish(&c, 3, 77);
    publish(&c, 4, 0);
    assert_true(confirms_return(&c, 77, &cookie));
    assert_int_equal(cookie, 1);
    assert_true(confirms_return(&c, 77, &cookie));
    assert_int_equal(cookie, 3);
    assert_false(confirms_return(&c, 77, &cookie));
    /* Behind the last one that came: still found. */
    assert_true(confirms_return(&c, 88, &cookie));
    assert_int_equal(cookie, 2);
    assert_true(confirms_settle(&c, 1, &settled));
    assert_true(settled.is_returned);
    assert_true(confirms_settle(&c, 4, &settled));
    assert_false(settled.is_returned);
    confirms_fini(&c);
}

static void a_settled_publish_takes_no_return(void **state)
{
    (void)state;
    struct confirms c;
    uint64_t cookie;
    struct confirm settled;

    confirms_init(&c);
    publish(&c, 1, 77);
    publish(&c, 2, 77);
    assert_true(confirms_settle(&c, 1, &settled));
    assert_true(confirms_return(&c, 77, &cookie));
    assert_int_equal(cookie, 2);
    confirms_fini(&c);
}

static void waiting_publishes_are_bounded(void **state)
{
    (void)state;
    struct confirms c;
    struct confirm settled;

    confirms_init(&c);
    publish_many(&c, CONFIRMS_MAX);
    assert_int_equal(confirms_reserve(&c), CONEY_ELIMIT);
    assert_true(confirms_settle(&c, 1, &settled));
    assert_int_equal(confirms_reserve(&c), CONEY_OK);
    confirms_fini(&c);
}

/* A plain array is the model; operations are drawn at random. */
static void any_history_settles_each_publish_exactly_once(void **state)
{
    (void)state;
    enum { PUBLISHES = 3000 };
    static bool is_settled[PUBLISHES + 1];
    struct rng r;

    for (uint64_t seed = 0; seed < 20; seed++) {
        struct confirms c;
        uint64_t published = 0;
        size_t left = 0;
        rng_seed(&r, seed);
        confirms_init(&c);
        for (int i = 0; i <= PUBLISHES; i++)
            is_settled[i] = false;
        while (published < PUBLISHES || left > 0) {
            struct confirm settled;
            uint64_t number = published > 0 ? 1 + rng_below(&r, published) : 0;
            if (published < PUBLISHES && rng_below(&r, 2) == 0) {
                publish(&c, ++published, 0);
                left++;
            } else if (rng_below(&r, 20) == 0) {
                while (confirms_settle_first(&c, number, &settled)) {
                    assert_false(is_settled[settled.cookie]);
                    assert_true(settled.cookie <= number);
                    is_settled[settled.cookie] = true;
                    left--;
                }
                for (uint64_t n = 1; n <= number; n++)
                    assert_true(is_settled[n]);
            } else if (number > 0) {
                bool did = confirms_settle(&c, number, &settled);
                assert_int_equal(did, !is_settled[number]);
                is_settled[number] = true;
                left -= did ? 1 : 0;
            }
            assert_int_equal(c.outstanding, left);
        }
        confirms_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(answers_out_of_order_settle_their_own_publish),
            cmocka_unit_test(an_answer_for_many_skips_those_that_had_theirs),
            cmocka_unit_test(numbers_never_given_are_not_known),
            cmocka_unit_test(a_return_finds_its_publish_among_equals_in_order),
            cmocka_unit_test(a_settled_publish_takes_no_return),
            cmocka_unit_test(waiting_publishes_are_bounded),
            cmocka_unit_test(any_history_settles_each_publish_exactly_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
