/* SPDX-License-Identifier: MIT */
/* test_text.c - texts compared, also absent ones. */
#include "base/text.h"
#include "test.h"

static void absent_is_the_same_as_absent_only(void **state)
{
    (void)state;
    char copy[] = "amqps://a";
    assert_true(text_is_same("amqps://a", copy));
    assert_false(text_is_same("amqps://a", "amqps://b"));
    assert_false(text_is_same("a", "ab"));
    assert_true(text_is_same(NULL, NULL));
    assert_false(text_is_same("", NULL));
    assert_false(text_is_same(NULL, ""));
}

static void lists_are_the_same_in_order(void **state)
{
    (void)state;
    static const char *const ab[] = {"a", "b"};
    static const char *const ba[] = {"b", "a"};
    static const char *const ac[] = {"a", "c"};
    assert_true(texts_are_same(ab, 2, ab, 2));
    assert_false(texts_are_same(ab, 2, ba, 2));
    assert_false(texts_are_same(ab, 2, ac, 2));
    assert_true(texts_are_same(ab, 1, ac, 1));
    assert_false(texts_are_same(ab, 2, ab, 1));
    assert_false(texts_are_same(ab, 1, ab, 2));
    assert_true(texts_are_same(NULL, 0, NULL, 0));
}

static void a_text_ends_with_its_end(void **state)
{
    (void)state;
    assert_true(text_ends_with("w1@vm.dq2", ".dq2"));
    assert_true(text_ends_with(".dq2", ".dq2"));
    assert_true(text_ends_with("x", ""));
    assert_false(text_ends_with("dq2", ".dq2"));
    assert_false(text_ends_with("w1.dq2x", ".dq2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(absent_is_the_same_as_absent_only),
            cmocka_unit_test(lists_are_the_same_in_order),
            cmocka_unit_test(a_text_ends_with_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
