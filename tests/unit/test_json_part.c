/* SPDX-License-Identifier: MIT */
/* test_json_part.c - what is cut out is what was written. */
#include "base/json_part.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static struct bytes of(const char *text)
{
    return (struct bytes){text, strlen(text)};
}

static void assert_part(struct bytes part, const char *wanted)
{
    assert_non_null(part.data);
    assert_int_equal(part.len, strlen(wanted));
    assert_memory_equal(part.data, wanted, part.len);
}

static const char body[] =
        " [ [9223372036854775808, NaN],\n{\"a]\": \"x\\\"}\"} , null ] ";

static void elements_keep_their_spelling(void **state)
{
    (void)state;
    assert_part(json_element(of(body), 0), "[9223372036854775808, NaN]");
    assert_part(json_element(of(body), 1), "{\"a]\": \"x\\\"}\"}");
    assert_part(json_element(of(body), 2), "null");
    assert_null(json_element(of(body), 3).data);
    assert_null(json_element(of("[]"), 0).data);
}

static const char object[] =
        "{\"id\":\"7\", \"not\": {\"value\": 1}, \"value\" : -1e999,\"last\":[{}]}";

static void members_are_found_on_their_own_level(void **state)
{
    (void)state;
    assert_part(json_member(of(object), "id"), "\"7\"");
    assert_part(json_member(of(object), "value"), "-1e999");
    assert_part(json_member(of(object), "last"), "[{}]");
    assert_null(json_member(of(object), "las").data);
    assert_null(json_member(of("{}"), "id").data);
}

static void another_kind_of_value_has_no_parts(void **state)
{
    (void)state;
    assert_null(json_element(of("{\"0\": 1}"), 0).data);
    assert_null(json_member(of("[\"id\", 1]"), "id").data);
    assert_null(json_element(of("7"), 0).data);
    assert_null(json_member(of(""), "id").data);
}

/* Nobody asks about such a text, but a mistake must not become a crash. */
static void a_cut_text_is_never_read_beyond(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(object); len++) {
        char *copy = malloc(len > 0 ? len : 1);
        memcpy(copy, object, len);
        (void)json_member((struct bytes){copy, len}, "last");
        (void)json_element((struct bytes){copy, len}, 7);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(elements_keep_their_spelling),
            cmocka_unit_test(members_are_found_on_their_own_level),
            cmocka_unit_test(another_kind_of_value_has_no_parts),
            cmocka_unit_test(a_cut_text_is_never_read_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
