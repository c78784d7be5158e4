/* SPDX-License-Identifier: MIT */
/* test_canvas_ends.c - who is told that a chain has failed. */
#include "message/canvas_ends.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static void note(void *ctx, const struct canvas_end *end)
{
    char *text = ctx;
    sprintf(text + strlen(text), "%s:%s:%d:%s%s ", end->id,
            end->reply_to ? end->reply_to : "-", (int)end->group_index,
            end->chord ? "chord" : "-", end->ignore_result ? ":quiet" : "");
}

static void assert_ends(const char *chain, const char *want)
{
    char text[4096] = "";
    json_t *v = json_loads(chain, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    canvas_ends(v, note, text);
    assert_string_equal(text, want);
    json_decref(v);
}

#define T(id) \
    "{\"task\": \"t\", \"options\": {\"task_id\": \"" id "\", \"reply_to\": \"q\"}}"

static void the_tasks_of_a_chain_in_their_order(void **state)
{
    (void)state;
    assert_ends("[]", "");
    assert_ends("null", "");
    assert_ends("[" T("3") ", " T("2") "]", "2:q:-1:- 3:q:-1:- ");
    assert_ends(
            "[{\"task\": \"t\", \"options\": {\"task_id\": \"3\", \"group_index\": 4, "
            "\"chord\": {\"task\": \"b\"}, \"ignore_result\": true}}]",
            "3:-:4:chord:quiet ");
}

static void all_of_a_chord_but_no_part_of_its_header(void **state)
{
    (void)state;
    assert_ends(
            "[{\"task\": \"celery.chord\", \"subtask_type\": \"chord\", \"options\": "
            "{\"task_id\": \"g\"}, \"kwargs\": {\"header\": {\"task\": \"celery.group\", "
            "\"subtask_type\": \"group\", \"kwargs\": {\"tasks\": [{\"task\": \"t\", "
            "\"options\": {\"task_id\": \"1\", \"chord\": {}}}, " T(
                    "2") "]}}, \"body\": "
                         "{\"task\": \"celery.chain\", \"subtask_type\": \"chain\", \"kwargs\": "
                         "{\"tasks\": [" T(
                                 "3") ", {\"task\": \"t\", \"options\": {\"task_id\": \"4\", "
                                      "\"chord\": {}}}]}}}}]",
            "1:-:-1:- 2:q:-1:- 3:q:-1:- 4:-:-1:chord ");
}

static void nonsense_is_passed_over(void **state)
{
    (void)state;
    assert_ends(
            "[5, null, {}, [], {\"options\": 3}, {\"subtask_type\": \"group\"}, "
            "{\"subtask_type\": \"chord\", \"kwargs\": []}, {\"options\": {\"task_id\": "
            "5}}]",
            "");
}

static void nesting_ends_somewhere(void **state)
{
    (void)state;
    char text[4096] = "";
    json_t *s = json_loads(T("deep"), 0, NULL);
    for (int i = 0; i < 1000; i++)
        s = json_pack("{s:s, s:{s:[o]}}", "subtask_type", "group", "kwargs", "tasks", s);
    json_t *chain = json_pack("[o]", s);
    canvas_ends(chain, note, text);
    assert_string_equal(text, "");
    json_decref(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_tasks_of_a_chain_in_their_order),
            cmocka_unit_test(all_of_a_chord_but_no_part_of_its_header),
            cmocka_unit_test(nonsense_is_passed_over),
            cmocka_unit_test(nesting_ends_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
