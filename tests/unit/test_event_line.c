/* SPDX-License-Identifier: MIT */
/* test_event_line.c - events are lines, and what is none is nothing. */
#include "cli/event_line.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t now_us = INT64_C(1795176233500000);

static int set_up(void **state)
{
    struct event_lines *l = malloc(sizeof(*l));
    setenv("TZ", "UTC0", 1);
    tzset();
    assert_int_equal(event_lines_init(l), CONEY_OK);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    event_lines_fini(*state);
    free(*state);
    return 0;
}

static void expect(struct event_lines *l, const char *json, const char *text)
{
    struct buffer out;
    json_t *event = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(event);
    buffer_init(&out, 65536);
    assert_int_equal(event_line(l, event, now_us, &out), CONEY_OK);
    assert_int_equal(buffer_append(&out, "", 1), CONEY_OK);
    assert_string_equal((const char *)buffer_data(&out), text);
    buffer_fini(&out);
    json_decref(event);
}

static void a_task_keeps_its_name(void **state)
{
    struct event_lines *l = *state;
    expect(l,
            "{\"hostname\": \"w56@vm\", \"uuid\": \"a1\", \"name\": \"proj.add\", \"args\":"
            " \"(2, 3)\", \"kwargs\": \"{}\", \"retries\": 0, \"eta\": null, \"timestamp\":"
            " 1795176233.25, \"type\": \"task-received\"}",
            "12:03:53.250 task-received    w56@vm a1 proj.add (2, 3)\n");
    expect(l,
            "{\"hostname\": \"w56@vm\", \"uuid\": \"a1\", \"result\": \"5\", \"runtime\":"
            " 0.25, \"timestamp\": 1795176234, \"type\": \"task-succeeded\"}",
            "12:03:54.000 task-succeeded   w56@vm a1 proj.add = 5 in 250ms\n");
    expect(l,
            "{\"hostname\": \"w\", \"uuid\": \"a1\", \"exception\": \"ValueError('x')\","
            " \"traceback\": \"...\", \"timestamp\": 1795176234, \"type\": \"task-failed\"}",
            "12:03:54.000 task-failed      w a1 proj.add ValueError('x')\n");
    expect(l,
            "{\"hostname\": \"w\", \"uuid\": \"b2\", \"terminated\": true, \"signum\": 9,"
            " \"expired\": false, \"timestamp\": 1795176234, \"type\": \"task-revoked\"}",
            "12:03:54.000 task-revoked     w b2 terminated signal 9\n");
}

static void a_worker_tells_how_it_is(void **state)
{
    expect(*state,
            "{\"hostname\": \"w56@vm\", \"utcoffset\": -1, \"pid\": 6022, \"clock\": 60,"
            " \"freq\": 5, \"active\": 2, \"processed\": 7, \"loadavg\": [0.17, 0.1, 0.1],"
            " \"sw_ident\": \"py-celery\", \"sw_ver\": \"5.6.3\", \"timestamp\":"
            " 1795176395.7792537, \"type\": \"worker-heartbeat\"}",
            "12:06:35.779 worker-heartbeat w56@vm py-celery 5.6.3 pid 6022 active 2 "
            "processed 7 load 0.17\n");
}

static void what_is_missing_or_odd_is_left_out(void **state)
{
    expect(*state, "{\"type\": \"x\"}", "12:03:53.500 x                ?\n");
    expect(*state,
            "{\"type\": \"task-a\\u001b[2J\", \"hostname\": 5, \"uuid\": \"i\\n\", "
            "\"timestamp\": \"now\", \"runtime\": null, \"args\": [1], \"loadavg\": 3}",
            "12:03:53.500 task-a?[2J       ? i?\n");
    expect(*state, "{\"type\": \"task-sent\", \"uuid\": \"\", \"timestamp\": 1e300}",
            "12:03:53.500 task-sent        ?\n");
    expect(*state, "{}", "");
    expect(*state, "[]", "");
    expect(*state, "5", "");
    expect(*state, "{\"type\": 7}", "");
}

static void the_names_of_many_tasks_take_no_more_memory(void **state)
{
    struct event_lines *l = *state;
    struct buffer out;
    buffer_init(&out, 1024 * 1024);
    for (unsigned i = 0; i < 20000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%u", i);
        json_t *event = json_pack(
                "{s:s, s:s, s:s}", "type", "task-received", "uuid", id, "name", "n");
        assert_int_equal(event_line(l, event, now_us, &out), CONEY_OK);
        buffer_clear(&out);
        json_decref(event);
    }
    assert_true(json_object_size(l->names) <= 8192);
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(a_task_keeps_its_name, set_up, tear_down),
            cmocka_unit_test_setup_teardown(a_worker_tells_how_it_is, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    what_is_missing_or_odd_is_left_out, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    the_names_of_many_tasks_take_no_more_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
