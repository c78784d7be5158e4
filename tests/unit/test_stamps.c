/* SPDX-License-Identifier: MIT */
/* test_stamps.c - the stamps of a message and of a command come out as the same texts. */
#include "test.h"
#include "unit/messages.h"
#include "worker/stamps.h"

#include <stdio.h>

static bool note(void *ctx, const char *name, const char *value)
{
    char *text = ctx;
    snprintf(text + strlen(text), 200 - strlen(text), "%s=%s ", name, value);
    return strcmp(value, "stop") == 0;
}

static struct field text_field(const char *key, const char *text)
{
    return (struct field){.key = bytes_of(key),
            .type = FIELD_STRING,
            .value = {.text = bytes_of(text)}};
}

static void stamps_of_a_message_are_texts(void **state)
{
    (void)state;
    char text[200] = "";
    struct envelope e;
    struct field stamps = {.key = bytes_of("stamps"), .type = FIELD_TABLE};
    struct field list = {.key = bytes_of("list"), .type = FIELD_ARRAY};
    struct field number = {
            .key = bytes_of("n"), .type = FIELD_I64, .value = {.integer = 7}};
    struct field yes = {
            .key = bytes_of("b"), .type = FIELD_BOOL, .value = {.boolean = true}};
    struct field nothing = {.key = bytes_of("v"), .type = FIELD_VOID};
    struct field one = text_field("k", "v1");
    struct field item = text_field("", "v2");

    assert_int_equal(envelope_init(&e), CONEY_OK);
    assert_int_equal(table_append(&list.value.table, e.arena, &item), CONEY_OK);
    assert_int_equal(table_append(&list.value.table, e.arena, &number), CONEY_OK);
    const struct field *all[] = {&one, &list, &number, &yes, &nothing};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(table_append(&stamps.value.table, e.arena, all[i]), CONEY_OK);
    assert_false(stamps_of_headers(&e.headers, note, text));
    assert_int_equal(table_append(&e.headers, e.arena, &stamps), CONEY_OK);
    assert_false(stamps_of_headers(&e.headers, note, text));
    assert_string_equal(text, "k=v1 list=v2 list=7 n=7 b=true ");
    envelope_fini(&e);
}

static void stamps_of_a_command_are_the_same_texts(void **state)
{
    (void)state;
    char text[200] = "";
    json_t *v = json_pack(
            "{s:[s,i,b],s:[n,f,s],s:s}", "k", "v1", 7, 1, "l", 0.5, "v2", "none", "x");
    assert_false(stamps_of_json(v, note, text));
    assert_string_equal(text, "k=v1 k=7 k=true l=v2 ");
    assert_false(stamps_of_json(NULL, note, text));
    json_decref(v);
}

static void a_call_can_stop_it(void **state)
{
    (void)state;
    char text[200] = "";
    json_t *v = json_pack("{s:[s,s,s]}", "k", "a", "stop", "b");
    assert_true(stamps_of_json(v, note, text));
    assert_string_equal(text, "k=a k=stop ");
    json_decref(v);
}

static void a_value_too_long_is_none(void **state)
{
    (void)state;
    char text[200] = "";
    char value[STAMP_VALUE_SIZE + 1];
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    json_t *v = json_pack("{s:[s]}", "k", value);
    assert_false(stamps_of_json(v, note, text));
    assert_string_equal(text, "");
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(stamps_of_a_message_are_texts),
            cmocka_unit_test(stamps_of_a_command_are_the_same_texts),
            cmocka_unit_test(a_call_can_stop_it),
            cmocka_unit_test(a_value_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
