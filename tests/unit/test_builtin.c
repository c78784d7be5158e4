/* SPDX-License-Identifier: MIT */
/* test_builtin.c - Celery's own tasks, asked as Celery asks them. */
#include "test.h"
#include "worker/builtin.h"

#include <string.h>

#define S "{\"task\": \"t\", \"args\": [1], \"kwargs\": {}, \"options\": {}}"
#define I \
    "{\"task\": \"u\", \"args\": [2], \"kwargs\": {}, \"options\": {}, \"immutable\": true}"

static const struct {
    const char *task;
    const char *args;
    const char *kwargs;
    const char *value;   /* NULL: refused */
    const char *publish; /* NULL: nothing */
} rows[] = {
        {"celery.accumulate", "[1, 2]", "{}", "[1, 2]", NULL},
        {"celery.accumulate", "[1, [2]]", "{\"index\": 1}", "[2]", NULL},
        {"celery.accumulate", "[1, 2]", "{\"index\": -2}", "1", NULL},
        {"celery.accumulate", "[1, 2]", "{\"index\": null}", "[1, 2]", NULL},
        {"celery.accumulate", "[1, 2]", "{\"index\": 2}", NULL, NULL},
        {"celery.accumulate", "[1, 2]", "{\"index\": -3}", NULL, NULL},
        {"celery.backend_cleanup", "[]", "{}", "null", NULL},
        {"celery.chunks", "[]", "{\"task\": " S ", \"it\": [[1], [2]], \"n\": 1}", "null",
                "[{\"task\": \"celery.chunks\", \"kwargs\": {\"task\": " S
                ", \"it\": [[1], "
                "[2]], \"n\": 1}, \"subtask_type\": \"chunks\"}]"},
        {"celery.chunks", "[" S ", [], 0]", "{}", NULL, NULL},
        {"celery.group", "[]",
                "{\"tasks\": [" S ", " I "], \"result\": [5], \"group_id\": \"g\", "
                "\"partial_args\": [9]}",
                "[5]",
                "[{\"task\": \"celery.group\", \"kwargs\": {\"tasks\": [{\"task\": \"t\", "
                "\"args\": [9, 1], \"kwargs\": {}, \"options\": {}}, " I
                "]}, \"options\": {\"task_id\": \"g\"}, \"subtask_type\": \"group\"}]"},
        {"celery.group", "[]", "{}", NULL, NULL},
        {"celery.chord", "[[" S "], " I "]", "{}", "null",
                "[{\"task\": \"celery.chord\", \"args\": [], \"kwargs\": {\"kwargs\": {}, "
                "\"header\": [" S "], \"body\": " I "}, \"subtask_type\": \"chord\"}]"},
        {"celery.chord", "[]", "{}", NULL, NULL},
        {"celery.chain", "[]", "{}", NULL, NULL},
};

static void assert_json(struct bytes got, const char *want)
{
    if (!want) {
        assert_int_equal(got.len, 0);
        return;
    }
    json_t *a = json_loadb(got.data, got.len, JSON_DECODE_ANY, NULL);
    json_t *b = json_loads(want, JSON_DECODE_ANY, NULL);
    assert_non_null(b);
    if (!json_equal(a, b))
        fail_msg("%.*s is not %s", (int)got.len, (const char *)got.data, want);
    json_decref(a);
    json_decref(b);
}

static void each_answers_as_celerys(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena *a = arena_new(0);
        struct outcome o;
        struct task_request r = {.task = rows[i].task};
        r.args = json_loads(rows[i].args, 0, NULL);
        r.kwargs = json_loads(rows[i].kwargs, 0, NULL);
        assert_true(builtin_is(r.task));
        assert_int_equal(builtin_answer(&r, a, &o), CONEY_OK);
        assert_int_equal(o.kind, rows[i].value ? OUTCOME_SUCCESS : OUTCOME_REJECT);
        assert_json(o.value, rows[i].value);
        assert_json(o.publish, rows[i].publish);
        assert_true(rows[i].value || o.error_text);
        json_decref(r.args);
        json_decref(r.kwargs);
        arena_free(a);
    }
}

static void others_are_none_of_ours(void **state)
{
    (void)state;
    assert_false(builtin_is("celery.map"));
    assert_false(builtin_is("celery.chord_unlock"));
    assert_false(builtin_is("proj.accumulate"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_answers_as_celerys),
            cmocka_unit_test(others_are_none_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
