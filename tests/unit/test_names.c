/* SPDX-License-Identifier: MIT */
/* test_names.c - names of broker objects, and the way through the delay levels. */
#include "queue/names.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#define DIGITS_0 "0.0.0.0.0.0.0."
#define WORDS_7  "*.*.*.*.*.*.*."

static void objects_are_called_as_in_the_design(void **state)
{
    (void)state;
    char name[AMQP_NAME_SIZE];
    name_of(NAME_DEAD_EXCHANGE, "coney", name);
    assert_string_equal(name, "coney.dlx");
    name_of(NAME_DEAD_QUEUE, "coney", name);
    assert_string_equal(name, "coney.dead");
    name_of(NAME_UNROUTED, "coney", name);
    assert_string_equal(name, "coney.unrouted");
    name_of(NAME_UNROUTABLE, "coney", name);
    assert_string_equal(name, "coney.unroutable");
    name_of(NAME_DELAYED, "shop", name);
    assert_string_equal(name, "shop.v1.delayed");
    name_of_level(3, "coney", name);
    assert_string_equal(name, "coney.v1.delay.03");
    name_of_level(27, "coney", name);
    assert_string_equal(name, "coney.v1.delay.27");
    name_of_token("main", "coney", name);
    assert_string_equal(name, "coney.beat.main");
}

static void a_delay_starts_at_the_level_of_its_highest_bit(void **state)
{
    (void)state;
    struct delay_route r;
    assert_int_equal(delay_route("coney", 1, "coney.low", &r), CONEY_OK);
    assert_string_equal(r.exchange, "coney.v1.delay.00");
    assert_string_equal(
            r.routing_key, DIGITS_0 DIGITS_0 DIGITS_0 "0.0.0.0.0.0.1.coney.low");

    assert_int_equal(delay_route("coney", 10, "q", &r), CONEY_OK);
    assert_string_equal(r.exchange, "coney.v1.delay.03");
    assert_string_equal(r.routing_key, DIGITS_0 DIGITS_0 DIGITS_0 "0.0.0.1.0.1.0.q");

    assert_int_equal(delay_route("coney", INT64_C(1) << 27, "q", &r), CONEY_OK);
    assert_string_equal(r.exchange, "coney.v1.delay.27");
    assert_string_equal(r.routing_key, "1.0.0.0.0.0.0." DIGITS_0 DIGITS_0 DIGITS_0 "q");
}

static void a_delay_beyond_the_levels_takes_all_of_them(void **state)
{
    (void)state;
    struct delay_route longest, longer;
    assert_int_equal(delay_route("coney", DELAY_MAX_S, "q", &longest), CONEY_OK);
    assert_int_equal(delay_route("coney", DELAY_MAX_S + 1, "q", &longer), CONEY_OK);
    assert_string_equal(longest.exchange, "coney.v1.delay.27");
    assert_string_equal(longer.exchange, longest.exchange);
    assert_string_equal(longer.routing_key, longest.routing_key);
    assert_null(strchr(longer.routing_key, '0'));
    assert_int_equal(delay_route("coney", INT64_MAX, "q", &longer), CONEY_OK);
    assert_string_equal(longer.routing_key, longest.routing_key);
}

static void no_delay_is_no_route(void **state)
{
    (void)state;
    struct delay_route r;
    assert_int_equal(delay_route("coney", 0, "q", &r), CONEY_EINVAL);
    assert_int_equal(delay_route("coney", -5, "q", &r), CONEY_EINVAL);
}

static void a_queue_name_of_199_bytes_still_fits_a_key(void **state)
{
    (void)state;
    struct delay_route r;
    char key[AMQP_NAME_SIZE], queue[AMQP_NAME_SIZE];
    memset(queue, 'q', sizeof(queue));
    queue[199] = '\0';
    assert_int_equal(delay_route("coney", 1, queue, &r), CONEY_OK);
    assert_int_equal(strlen(r.routing_key), 255);
    assert_int_equal(delay_binding(queue, key), CONEY_OK);
    assert_int_equal(strlen(key), 255);

    strcpy(queue + 199, "q");
    assert_int_equal(delay_route("coney", 1, queue, &r), CONEY_EINVAL);
    assert_int_equal(delay_binding(queue, key), CONEY_EINVAL);
    assert_int_equal(delay_route("coney", 1, "", &r), CONEY_EINVAL);
}

static void a_queue_is_bound_by_28_words_and_its_name(void **state)
{
    (void)state;
    char key[AMQP_NAME_SIZE];
    assert_int_equal(delay_binding("coney.low", key), CONEY_OK);
    assert_string_equal(key, WORDS_7 WORDS_7 WORDS_7 WORDS_7 "coney.low");
}

static void a_queue_name_that_is_a_pattern_is_refused(void **state)
{
    (void)state;
    static const char *const patterns[] = {"#", "*", "a.#", "#.a", "a.*.b", "*.a"};
    static const char *const names[] = {"a#", "a*b", "##", "a..b", "a.", "**.x"};
    char key[AMQP_NAME_SIZE];
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        assert_int_equal(delay_binding(patterns[i], key), CONEY_EINVAL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(delay_binding(names[i], key), CONEY_OK);
}

static void a_dead_letter_key_is_cut_between_characters(void **state)
{
    (void)state;
    char key[AMQP_NAME_SIZE], task[300];
    dead_letter_key("coney.high", "sms.send", key);
    assert_string_equal(key, "coney.high.sms.send");

    memset(task, 'x', sizeof(task));
    task[299] = '\0';
    dead_letter_key("q", task, key);
    assert_int_equal(strlen(key), 255);

    /* "q." and 252 x leave one byte, too few for a character of two or three. */
    strcpy(task + 252, "é");
    dead_letter_key("q", task, key);
    assert_int_equal(strlen(key), 254);
    strcpy(task + 251, "€");
    dead_letter_key("q", task, key);
    assert_int_equal(strlen(key), 253);
    strcpy(task + 250, "€");
    dead_letter_key("q", task, key);
    assert_string_equal(key + 252, "€");
}

static void a_delay_is_whole_seconds_and_never_too_many(void **state)
{
    (void)state;
    const int64_t now = INT64_C(1795000000000000);
    assert_int_equal(delay_seconds(now, now), 0);
    assert_int_equal(delay_seconds(now, now - 1), 0);
    assert_int_equal(delay_seconds(now, INT64_MIN), 0);
    assert_int_equal(delay_seconds(now, now + 999999), 0);
    assert_int_equal(delay_seconds(now, now + 1000000), 1);
    assert_int_equal(delay_seconds(now, now + 1999999), 1);
    assert_int_equal(delay_seconds(-now, now), 2 * now / 1000000);
    assert_int_equal(delay_seconds(INT64_MIN, INT64_MAX), INT64_C(18446744073709));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(objects_are_called_as_in_the_design),
            cmocka_unit_test(a_delay_starts_at_the_level_of_its_highest_bit),
            cmocka_unit_test(a_delay_beyond_the_levels_takes_all_of_them),
            cmocka_unit_test(no_delay_is_no_route),
            cmocka_unit_test(a_queue_name_of_199_bytes_still_fits_a_key),
            cmocka_unit_test(a_queue_is_bound_by_28_words_and_its_name),
            cmocka_unit_test(a_queue_name_that_is_a_pattern_is_refused),
            cmocka_unit_test(a_dead_letter_key_is_cut_between_characters),
            cmocka_unit_test(a_delay_is_whole_seconds_and_never_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
