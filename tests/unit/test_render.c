/* SPDX-License-Identifier: MIT */
/* test_render.c - replies become readable, and nothing that a terminal would act on. */
#include "cli/columns.h"
#include "cli/render.h"
#include "test.h"

#include <string.h>

static const int64_t now_us = INT64_C(1795176400000000);

static void expect(enum render_style style, const char *json, const char *text)
{
    struct buffer out;
    json_t *reply = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(reply);
    buffer_init(&out, 65536);
    assert_int_equal(render_reply(style, "w1@vm", reply, now_us, &out), CONEY_OK);
    assert_int_equal(buffer_append(&out, "", 1), CONEY_OK);
    assert_string_equal((const char *)buffer_data(&out), text);
    buffer_fini(&out);
    json_decref(reply);
}

static void answers_are_one_line(void **state)
{
    (void)state;
    expect(RENDER_ANSWER, "{\"ok\": \"pong\"}", "w1@vm: pong\n");
    expect(RENDER_ANSWER, "{\"error\": \"unknown task\"}",
            "w1@vm: error: unknown task\n");
    expect(RENDER_ANSWER, "null", "w1@vm: done\n");
    expect(RENDER_ANSWER, "7", "w1@vm: 7\n");
    expect(RENDER_NAMES, "{\"error\": \"KeyError('x')\"}",
            "w1@vm: error: KeyError('x')\n");
}

static void running_tasks_are_a_table(void **state)
{
    (void)state;
    expect(RENDER_ACTIVE, "[]", "w1@vm: no tasks\n");
    expect(RENDER_ACTIVE,
            "[{\"id\": \"a1\", \"name\": \"proj.sleepy\", \"args\": [4], \"kwargs\": {},"
            " \"time_start\": 1795176392.5, \"worker_pid\": 5330}]",
            "w1@vm: 1 task\n"
            "  ID  TASK         ARGUMENTS  RUNNING  PID\n"
            "  a1  proj.sleepy  (4,)       7.5s     5330\n");
    expect(RENDER_RESERVED,
            "[{\"id\": \"a1\", \"name\": \"p\", \"args\": \"(4,)\", \"kwargs\": \"{'a': 1}\","
            " \"time_start\": null, \"worker_pid\": null}, {\"id\": 5}]",
            "w1@vm: 2 tasks\n"
            "  ID  TASK  ARGUMENTS\n"
            "  a1  p     (4,) {'a': 1}\n"
            "  -   -     ()\n");
    expect(RENDER_SCHEDULED,
            "[{\"eta\": \"2026-11-20T12:14:16+00:00\", \"priority\": 6, \"request\":"
            " {\"id\": \"a1\", \"name\": \"p\", \"args\": [], \"kwargs\": {}}}]",
            "w1@vm: 1 task\n"
            "  ID  TASK  ARGUMENTS  ETA\n"
            "  a1  p     ()         2026-11-20T12:14:16+00:00\n");
    expect(RENDER_QUERY,
            "{\"a1\": [\"active\", {\"id\": \"a1\", \"name\": \"p\", \"args\": [1],"
            " \"kwargs\": {}}], \"b2\": 7}",
            "w1@vm: 2 tasks\n"
            "  ID  STATE   TASK  ARGUMENTS\n"
            "  a1  active  p     (1,)\n"
            "  b2  -       -     ()\n");
}

static void queues_show_what_they_are(void **state)
{
    (void)state;
    expect(RENDER_QUEUES,
            "[{\"name\": \"mail\", \"exchange\": {\"name\": \"ex\", \"type\": \"direct\"},"
            " \"routing_key\": \"k\", \"durable\": true, \"queue_arguments\":"
            " {\"x-max-priority\": 5}}]",
            "w1@vm: 1 queue\n"
            "  QUEUE  EXCHANGE    KEY  DURABLE  ARGUMENTS\n"
            "  mail   ex(direct)  k    yes      {\"x-max-priority\":5}\n");
}

static void the_rest_is_a_tree(void **state)
{
    (void)state;
    expect(RENDER_TREE,
            "{\"a\": {\"b\": [1, 2.5, \"x\"], \"c\": []}, \"d\": [{\"e\": null}], \"f\": true,"
            " \"g\": \"\"}",
            "w1@vm:\n"
            "  a:\n"
            "    b: 1, 2.5, x\n"
            "    c: []\n"
            "  d:\n"
            "    -\n"
            "      e: none\n"
            "  f: true\n"
            "  g: \"\"\n");
    expect(RENDER_TEXT, "{\"ok\": \"\\na -> b\\n  c\\n\"}", "w1@vm:\n  a -> b\n    c\n");
    expect(RENDER_NAMES, "[\"proj.add [rate_limit=1/s]\", 5]",
            "w1@vm: 2 tasks\n  proj.add [rate_limit=1/s]\n  5\n");
}

static void an_unexpected_form_is_shown_all_the_same(void **state)
{
    (void)state;
    expect(RENDER_ACTIVE, "{\"a\": 1}", "w1@vm:\n  a: 1\n");
    expect(RENDER_QUEUES, "\"x\"", "w1@vm: x\n");
    expect(RENDER_QUERY, "[[1]]", "w1@vm:\n  -\n    - 1\n");
    expect(RENDER_TEXT, "{\"ok\": 5}", "w1@vm: 5\n");
}

static void nothing_steers_the_terminal(void **state)
{
    (void)state;
    expect(RENDER_ANSWER, "{\"ok\": \"a\\u001b[31mb\\nc\"}", "w1@vm: a?[31mb?c\n");
    expect(RENDER_NAMES, "[\"\\u001b]0;x\\u0007\"]", "w1@vm: 1 task\n  ?]0;x?\n");
    expect(RENDER_TREE, "{\"\\u001b\": {\"\\u0007\": 1}}", "w1@vm:\n  ?:\n    ?: 1\n");
}

static void spans_have_two_units_at_most(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {{0, "0.0s"}, {-5, "0.0s"}, {9.96, "10.0s"}, {12.7, "12s"}, {60, "1m0s"},
            {3599, "59m59s"}, {7325, "2h2m"}, {90000, "1d1h"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[RENDER_SPAN_SIZE];
        render_span(rows[i].seconds, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    json_t *reply = json_loads("[{\"id\": \"a\", \"args\": [1]}]", 0, NULL);
    for (unsigned n = 1;; n++) {
        struct buffer out;
        buffer_init(&out, 65536);
        test_fail_allocation(n);
        enum coney_rc rc = render_reply(RENDER_ACTIVE, "w1@vm", reply, now_us, &out);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        buffer_fini(&out);
        if (!failed)
            break;
        assert_int_equal(rc, CONEY_ENOMEM);
    }
    json_decref(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(answers_are_one_line),
            cmocka_unit_test(running_tasks_are_a_table),
            cmocka_unit_test(queues_show_what_they_are),
            cmocka_unit_test(the_rest_is_a_tree),
            cmocka_unit_test(an_unexpected_form_is_shown_all_the_same),
            cmocka_unit_test(nothing_steers_the_terminal),
            cmocka_unit_test(spans_have_two_units_at_most),
            cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
