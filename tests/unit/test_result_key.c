/* SPDX-License-Identifier: MIT */
/* test_result_key.c - keys and prefixes as Celery makes them. */
#include "message/result_key.h"
#include "test.h"

static void a_prefix_is_set_off_unless_it_does_so_itself(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *key;
    } rows[] = {
            {NULL, "celery-task-meta-t"},
            {"", "celery-task-meta-t"},
            {"app", "app_celery-task-meta-t"},
            {"app_", "app_celery-task-meta-t"},
            {"app:", "app:celery-task-meta-t"},
            {"app-", "app-celery-task-meta-t"},
            {"app.", "app.celery-task-meta-t"},
            {"{app}", "{app}_celery-task-meta-t"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *a = arena_new(0);
        assert_string_equal(result_key_task(a, rows[i].prefix, "t"), rows[i].key);
        arena_free(a);
    }
}

static void a_group_has_parts(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    assert_string_equal(result_key_group(a, NULL, "g", ""), "celery-taskset-meta-g");
    assert_string_equal(result_key_group(a, "p", "g", ".j"), "p_celery-taskset-meta-g.j");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_prefix_is_set_off_unless_it_does_so_itself),
            cmocka_unit_test(a_group_has_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
