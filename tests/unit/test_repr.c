/* SPDX-License-Identifier: MIT */
/* test_repr.c - arguments as a person reads them, and never too many. */
#include "base/utf8.h"
#include "message/repr.h"
#include "test.h"

#include <string.h>

static void arguments_look_like_pythons(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } rows[] = {{"[]", "()"}, {"[2]", "(2,)"}, {"[2,3]", "(2, 3)"},
            {"[null,true,false,-1,0.5]", "(None, True, False, -1, 0.5)"},
            {"[\"it's \\\\ \\n \\t \\u007f h\\u00e9\"]",
                    "('it\\'s \\\\ \\n \\x09 \\x7f h\xc3\xa9',)"},
            {"[\"\", \"a\\u0000b\"]", "('', 'a\\x00b')"},
            {"[{\"a\":[1,{\"b\":{\"c\":1}}]}]", "({'a': [1, {...}]},)"},
            {"[[[[]]],[[[1]]]]", "([[[]]], [[[...]]])"}, {"[{},[]]", "({}, [])"}};
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *v = json_loads(rows[i].json, JSON_ALLOW_NUL, NULL);
        assert_non_null(v);
        assert_string_equal(repr_args(v, a), rows[i].text);
        json_decref(v);
    }
    assert_string_equal(repr_args(NULL, a), "()");
    arena_free(a);
}

static void keyword_arguments_too(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    json_t *v = json_loads("{\"y\": 3, \"o'k\": [\"x\"]}", 0, NULL);
    assert_string_equal(repr_kwargs(v, a), "{'y': 3, 'o\\'k': ['x']}");
    assert_string_equal(repr_kwargs(NULL, a), "{}");
    json_decref(v);
    arena_free(a);
}

static void a_long_text_is_cut_at_a_character(void **state)
{
    (void)state;
    static char text[9000];
    struct arena *a = arena_new(0);

    for (size_t pad = 0; pad < 4; pad++) {
        size_t len = pad;
        memset(text, 'x', pad);
        for (; len + 3 < sizeof(text); len += 3)
            memcpy(text + len, "\xe2\x82\xac", 3);
        json_t *v = json_pack("[s%,s%]", text, len, text, len);
        const char *repr = repr_args(v, a);
        assert_in_range(strlen(repr), 1020, 1027);
        assert_string_equal(repr + strlen(repr) - 3, "...");
        assert_true(utf8_is_valid((struct bytes){.data = repr, .len = strlen(repr)}));
        json_decref(v);
    }
    arena_free(a);
}

static void many_arguments_are_cut_too(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    json_t *v = json_array();
    for (int i = 0; i < 200000; i++)
        json_array_append_new(v, json_integer(i));
    const char *repr = repr_args(v, a);
    assert_memory_equal(repr, "(0, 1, 2, ", 10);
    assert_in_range(strlen(repr), 1024, 1027);
    json_decref(v);
    arena_free(a);
}

static void one_value_as_well(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    json_t *v = json_pack("[s,i]", "x", 2);
    assert_string_equal(repr_value(v, a), "['x', 2]");
    json_decref(v);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(arguments_look_like_pythons),
            cmocka_unit_test(keyword_arguments_too),
            cmocka_unit_test(one_value_as_well),
            cmocka_unit_test(a_long_text_is_cut_at_a_character),
            cmocka_unit_test(many_arguments_are_cut_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
