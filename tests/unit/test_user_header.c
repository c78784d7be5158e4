/* SPDX-License-Identifier: MIT */
/* test_user_header.c - every field type becomes one that all peers read, or is refused.
 */
#include "message/user_header.h"
#include "unit/messages.h"

static void types_are_normalised_or_refused(void **state)
{
    (void)state;
    static const struct {
        char from;
        char to; /* 0: refused */
    } rows[] = {{'V', 'V'}, {'t', 't'}, {'b', 'I'}, {'B', 'I'}, {'s', 'I'}, {'u', 'I'},
            {'I', 'I'}, {'i', 'I'}, {'l', 'I'}, {'f', 'd'}, {'d', 'd'}, {'S', 'S'},
            {'F', 'F'}, {'A', 'A'}, {'D', 0}, {'x', 0}, {'T', 0}};
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct field f = {.key = bytes_of("k"), .type = (uint8_t)rows[i].from};
        struct field copy;
        enum coney_rc rc = user_header_copy(&f, a, &copy, NULL);
        assert_int_equal(rc, rows[i].to ? CONEY_OK : CONEY_EINVAL);
        if (rc == CONEY_OK)
            assert_int_equal(copy.type, rows[i].to);
    }
    arena_free(a);
}

static void values_survive(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct field f = {.key = bytes_of("k"), .type = FIELD_U32};
    struct field copy;
    f.value.integer = UINT32_MAX;
    assert_int_equal(user_header_copy(&f, a, &copy, NULL), CONEY_OK);
    assert_int_equal(copy.type, FIELD_I64);
    assert_int_equal(copy.value.integer, UINT32_MAX);
    f.type = FIELD_F32;
    f.value.number = 0.5;
    assert_int_equal(user_header_copy(&f, a, &copy, NULL), CONEY_OK);
    assert_true(copy.value.number == 0.5);
    arena_free(a);
}

static void names_and_texts_are_checked_at_every_level(void **state)
{
    (void)state;
    char large[256];
    memset(large, 'k', sizeof(large));
    const struct field bad[] = {{.key = {.data = large, .len = 256}, .type = FIELD_VOID},
            {.key = {.data = "a\0b", .len = 3}, .type = FIELD_VOID},
            {.key = bytes_of("\xff"), .type = FIELD_VOID},
            {.key = bytes_of("k"), .type = FIELD_STRING, .value.text = bytes_of("\xff")},
            {.key = bytes_of("k"),
                    .type = FIELD_STRING,
                    .value.text = {.data = "a\0b", .len = 3}},
            {.key = bytes_of("k"), .type = FIELD_BYTES}};
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct field copy;
        struct field inner = {.key = bytes_of("t"), .type = FIELD_TABLE};
        struct field outer = {.key = bytes_of("a"), .type = FIELD_ARRAY};
        assert_int_equal(user_header_copy(&bad[i], a, &copy, NULL), CONEY_EINVAL);
        assert_int_equal(table_append(&inner.value.table, a, &bad[i]), CONEY_OK);
        assert_int_equal(user_header_copy(&inner, a, &copy, NULL), CONEY_EINVAL);
        assert_int_equal(table_append(&outer.value.table, a, &inner), CONEY_OK);
        assert_int_equal(user_header_copy(&outer, a, &copy, NULL), CONEY_EINVAL);
    }
    arena_free(a);
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct field f = {.key = bytes_of("k"), .type = FIELD_TABLE};
    struct field copy;
    enum coney_rc rc = CONEY_OK;
    int depth;

    for (depth = 1; rc == CONEY_OK && depth < 100; depth++) {
        rc = user_header_copy(&f, a, &copy, NULL);
        struct field outer = {.key = bytes_of("k"), .type = FIELD_TABLE};
        assert_int_equal(table_append(&outer.value.table, a, &f), CONEY_OK);
        f = outer;
    }
    assert_int_equal(rc, CONEY_ELIMIT);
    assert_int_equal(depth, 18); /* 16 levels were fine */
    arena_free(a);
}

static void a_copy_outlives_its_source(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    char key[] = "key";
    char text[] = "text";
    struct field f = {.key = bytes_of(key), .type = FIELD_STRING};
    struct field copy;
    f.value.text = bytes_of(text);
    assert_int_equal(user_header_copy(&f, a, &copy, NULL), CONEY_OK);
    memset(key, 'x', 3);
    memset(text, 'x', 4);
    assert_memory_equal(copy.key.data, "key", 3);
    assert_memory_equal(copy.value.text.data, "text", 4);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(types_are_normalised_or_refused),
            cmocka_unit_test(values_survive),
            cmocka_unit_test(names_and_texts_are_checked_at_every_level),
            cmocka_unit_test(nesting_has_a_limit),
            cmocka_unit_test(a_copy_outlives_its_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
