/* SPDX-License-Identifier: MIT */
/* test_table.c - typed fields found, replaced, removed and copied. */
#include "base/table.h"
#include "test.h"

#include <string.h>

struct fixture {
    struct arena *a;
    struct table t;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.a = arena_new(0)};
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    arena_free(f->a);
    return 0;
}

static void setting_a_key_again_replaces_it_in_place(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(table_set_text(&f->t, f->a, "a", "one"), CONEY_OK);
    assert_int_equal(table_set_integer(&f->t, f->a, "b", 2), CONEY_OK);
    assert_int_equal(table_set_bool(&f->t, f->a, "a", true), CONEY_OK);
    assert_int_equal(f->t.count, 2);
    assert_int_equal(f->t.fields[0].type, FIELD_BOOL);
    assert_true(f->t.fields[0].value.boolean);
}

static void a_key_is_not_its_prefix(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(table_set_text(&f->t, f->a, "task", "x"), CONEY_OK);
    assert_null(table_find(&f->t, "tas"));
    assert_null(table_find(&f->t, "tasks"));
    assert_null(table_find(&f->t, ""));
    assert_non_null(table_find(&f->t, "task"));
}

static void integers_take_the_width_they_need(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int64_t value;
        enum field_type type;
    } rows[] = {{0, FIELD_I32}, {-1, FIELD_I32}, {INT32_MAX, FIELD_I32},
            {INT32_MIN, FIELD_I32}, {INT32_MAX + INT64_C(1), FIELD_I64},
            {INT32_MIN - INT64_C(1), FIELD_I64}, {INT64_MAX, FIELD_I64},
            {INT64_MIN, FIELD_I64}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 42;
        assert_int_equal(table_set_integer(&f->t, f->a, "n", rows[i].value), CONEY_OK);
        assert_int_equal(table_find(&f->t, "n")->type, rows[i].type);
        assert_true(table_integer(&f->t, "n", &value));
        assert_int_equal(value, rows[i].value);
    }
}

static void only_integers_read_as_integers_and_texts_as_texts(void **state)
{
    struct fixture *f = *state;
    static const char integers[] = "bBsuIil";
    static const char others[] = "VtfdDSxTFA";
    int64_t value;

    for (const char *type = integers; *type; type++) {
        struct field field = {.key = {.data = "k", .len = 1}, .type = (uint8_t)*type};
        field.value.integer = 7;
        assert_int_equal(table_set(&f->t, f->a, &field), CONEY_OK);
        assert_true(table_integer(&f->t, "k", &value));
        assert_int_equal(value, 7);
    }
    for (const char *type = others; *type; type++) {
        struct field field = {.key = {.data = "k", .len = 1}, .type = (uint8_t)*type};
        field.value.text = (struct bytes){.data = "x", .len = 1};
        assert_int_equal(table_set(&f->t, f->a, &field), CONEY_OK);
        assert_false(table_integer(&f->t, "k", &value));
        assert_int_equal(table_text(&f->t, "k").data != NULL, *type == 'S');
    }
    assert_false(table_integer(&f->t, "absent", &value));
    assert_null(table_text(&f->t, "absent").data);
}

static void removing_keeps_the_order_of_the_rest(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"x-a", "b", "x-c", "d", "x-", "x"};

    for (size_t i = 0; i < 6; i++)
        assert_int_equal(table_set_void(&f->t, f->a, keys[i]), CONEY_OK);
    table_remove(&f->t, "nothing");
    table_remove(&f->t, "b");
    assert_int_equal(f->t.count, 5);
    table_remove_prefix(&f->t, "x-");
    assert_int_equal(f->t.count, 2);
    assert_memory_equal(f->t.fields[0].key.data, "d", 1);
    assert_memory_equal(f->t.fields[1].key.data, "x", 1);
}

static void array_elements_have_no_keys_and_never_replace_each_other(void **state)
{
    struct fixture *f = *state;
    struct field element = {.type = FIELD_VOID};
    for (int i = 0; i < 20; i++)
        assert_int_equal(table_append(&f->t, f->a, &element), CONEY_OK);
    assert_int_equal(f->t.count, 20);
    assert_ptr_equal(table_find(&f->t, ""), &f->t.fields[0]);
    table_remove(&f->t, "x");
    assert_int_equal(f->t.count, 20);
}

/* A table with one of each owning kind: { s: "text", t: { b: <bytes> }, a: [ "e" ] }. */
static void build_nested(struct fixture *f)
{
    struct field inner = {.key = {.data = "b", .len = 1}, .type = FIELD_BYTES};
    struct field element = {.type = FIELD_STRING};
    struct field t = {.key = {.data = "t", .len = 1}, .type = FIELD_TABLE};
    struct field array = {.key = {.data = "a", .len = 1}, .type = FIELD_ARRAY};

    inner.value.text = (struct bytes){.data = "\0\1", .len = 2};
    element.value.text = (struct bytes){.data = "e", .len = 1};
    assert_int_equal(table_append(&t.value.table, f->a, &inner), CONEY_OK);
    assert_int_equal(table_append(&array.value.table, f->a, &element), CONEY_OK);
    assert_int_equal(table_set_text(&f->t, f->a, "s", "text"), CONEY_OK);
    assert_int_equal(table_set(&f->t, f->a, &t), CONEY_OK);
    assert_int_equal(table_set(&f->t, f->a, &array), CONEY_OK);
}

static void a_deep_copy_outlives_its_source(void **state)
{
    struct fixture *f = *state;
    struct arena *a = arena_new(0);
    struct table copy;

    build_nested(f);
    assert_int_equal(table_copy_deep(&copy, a, &f->t), CONEY_OK);
    arena_free(f->a);
    f->a = NULL;
    assert_string_equal(table_text(&copy, "s").data, "text");
    const struct table *inner = &table_find(&copy, "t")->value.table;
    assert_memory_equal(table_find(inner, "b")->value.text.data, "\0\1", 2);
    const struct table *array = &table_find(&copy, "a")->value.table;
    assert_memory_equal(array->fields[0].value.text.data, "e", 1);
    arena_free(a);
}

static void a_shallow_copy_changes_without_its_source(void **state)
{
    struct fixture *f = *state;
    struct table copy;
    build_nested(f);
    assert_int_equal(table_copy(&copy, f->a, &f->t), CONEY_OK);
    table_remove(&copy, "s");
    assert_int_equal(table_set_void(&copy, f->a, "new"), CONEY_OK);
    assert_non_null(table_find(&f->t, "s"));
    assert_null(table_find(&f->t, "new"));
}

static void copying_says_when_memory_is_short(void **state)
{
    struct fixture *f = *state;
    build_nested(f);
    for (unsigned n = 1;; n++) {
        struct arena *a = arena_new(1);
        struct table copy;
        test_fail_allocation(n);
        enum coney_rc rc = table_copy_deep(&copy, a, &f->t);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        arena_free(a);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        if (!has_failed) {
            assert_true(n > 10);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(setting_a_key_again_replaces_it_in_place),
            cmocka_unit_test(a_key_is_not_its_prefix),
            cmocka_unit_test(integers_take_the_width_they_need),
            cmocka_unit_test(only_integers_read_as_integers_and_texts_as_texts),
            cmocka_unit_test(removing_keeps_the_order_of_the_rest),
            cmocka_unit_test(array_elements_have_no_keys_and_never_replace_each_other),
            cmocka_unit_test(a_deep_copy_outlives_its_source),
            cmocka_unit_test(a_shallow_copy_changes_without_its_source),
            cmocka_unit_test(copying_says_when_memory_is_short),
    };
    struct CMUnitTest with_table[sizeof(tests) / sizeof(tests[0])];
    memcpy(with_table, tests, sizeof(tests));
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        with_table[i].setup_func = set_up;
        with_table[i].teardown_func = tear_down;
    }
    return cmocka_run_group_tests(with_table, NULL, NULL);
}
