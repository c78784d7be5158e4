/* SPDX-License-Identifier: MIT */
/* test_mapped.c - the items of a map, one body after the other. */
#include "test.h"
#include "worker/mapped.h"

#include <string.h>

static struct task_request request_of(const char *task, const char *kwargs)
{
    struct task_request r = {.task = task};
    r.kwargs = json_loads(kwargs, 0, NULL);
    assert_non_null(r.kwargs);
    return r;
}

static void assert_text(struct bytes got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
}

static void only_maps_map(void **state)
{
    (void)state;
    static const char *const tasks[] = {"celery.map", "celery.starmap", "proj.map"};
    for (size_t i = 0; i < 3; i++) {
        struct task_request r =
                request_of(tasks[i], "{\"task\": {\"task\": \"proj.add\"}, \"it\": []}");
        if (i < 2)
            assert_string_equal(mapped_name(&r), "proj.add");
        else
            assert_null(mapped_name(&r));
        json_decref(r.kwargs);
    }
    struct task_request r = request_of("celery.map", "{\"task\": 5}");
    assert_null(mapped_name(&r));
    struct mapped *m;
    assert_int_equal(mapped_new(&r, &m), CONEY_EINVAL);
    assert_null(m);
    json_decref(r.kwargs);
}

static void each_item_is_a_body_and_the_values_a_list(void **state)
{
    (void)state;
    struct task_request r = request_of("celery.map", "{\"it\": [1, [2, 3], \"x\"]}");
    struct mapped *m;
    struct bytes text;

    assert_int_equal(mapped_new(&r, &m), CONEY_OK);
    assert_int_equal(mapped_body(m, &text), CONEY_OK);
    assert_text(text, "[[1], {}, {}]");
    assert_int_equal(mapped_add(m, (struct bytes){.data = "10", .len = 2}), CONEY_OK);
    assert_int_equal(mapped_body(m, &text), CONEY_OK);
    assert_text(text, "[[[2, 3]], {}, {}]");
    assert_int_equal(mapped_add(m, (struct bytes){.data = NULL}), CONEY_OK);
    assert_false(mapped_is_done(m));
    assert_int_equal(mapped_add(m, (struct bytes){.data = "[]", .len = 2}), CONEY_OK);
    assert_true(mapped_is_done(m));
    assert_int_equal(mapped_value(m, &text), CONEY_OK);
    assert_text(text, "[10, null, []]");
    mapped_free(m);
    json_decref(r.kwargs);
}

static void a_starmap_spreads_its_items(void **state)
{
    (void)state;
    struct task_request r = request_of("celery.starmap", "{\"it\": [[1, 2], 3]}");
    struct mapped *m;
    struct bytes text;

    assert_int_equal(mapped_new(&r, &m), CONEY_OK);
    assert_int_equal(mapped_body(m, &text), CONEY_OK);
    assert_text(text, "[[1, 2], {}, {}]");
    assert_int_equal(mapped_add(m, (struct bytes){.data = "3", .len = 1}), CONEY_OK);
    assert_int_equal(mapped_body(m, &text), CONEY_OK);
    assert_text(text, "[[3], {}, {}]");
    mapped_free(m);
    json_decref(r.kwargs);
}

static void a_map_of_nothing_is_done_at_once(void **state)
{
    (void)state;
    struct task_request r = request_of("celery.map", "{\"it\": []}");
    struct mapped *m;
    struct bytes text;

    assert_int_equal(mapped_new(&r, &m), CONEY_OK);
    assert_true(mapped_is_done(m));
    assert_int_equal(mapped_value(m, &text), CONEY_OK);
    assert_text(text, "[]");
    mapped_free(m);
    mapped_free(NULL);
    json_decref(r.kwargs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(only_maps_map),
            cmocka_unit_test(each_item_is_a_body_and_the_values_a_list),
            cmocka_unit_test(a_starmap_spreads_its_items),
            cmocka_unit_test(a_map_of_nothing_is_done_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
