/* SPDX-License-Identifier: MIT */
/* test_commands.c - commands are found, and their words become what workers expect. */
#include "cli/commands.h"
#include "test.h"

#include <string.h>

enum { WORDS_MAX = 8 };

static enum coney_rc read_words(
        enum command_kind kind, const char *line, json_t **out, struct coney_error *err)
{
    char text[256];
    char *words[WORDS_MAX] = {NULL};
    size_t count = 0;
    snprintf(text, sizeof(text), "%s", line);
    for (char *w = strtok(text, " "); w && count < WORDS_MAX; w = strtok(NULL, " "))
        words[count++] = w;
    const struct command *c = command_find(kind, words[0], err);
    assert_non_null(c);
    return command_arguments(c, words + 1, count - 1, out, err);
}

static void words_become_arguments(void **state)
{
    (void)state;
    static const struct {
        enum command_kind kind;
        const char *line;
        const char *json;
    } rows[] = {
            {COMMAND_INSPECT, "active", "{}"},
            {COMMAND_INSPECT, "query_task a b", "{\"ids\": [\"a\", \"b\"]}"},
            {COMMAND_CONTROL, "rate_limit t 10/m",
                    "{\"task_name\": \"t\", \"rate_limit\": \"10/m\"}"},
            {COMMAND_CONTROL, "rate_limit t none",
                    "{\"task_name\": \"t\", \"rate_limit\": 0}"},
            {COMMAND_CONTROL, "time_limit t 10s 1m",
                    "{\"task_name\": \"t\", \"soft\": 10, \"hard\": 60}"},
            {COMMAND_CONTROL, "time_limit t none 1500ms",
                    "{\"task_name\": \"t\", \"soft\": null, \"hard\": 1.5}"},
            {COMMAND_CONTROL, "time_limit t 10s", "{\"task_name\": \"t\", \"soft\": 10}"},
            {COMMAND_CONTROL, "add_consumer q", "{\"queue\": \"q\"}"},
            {COMMAND_CONTROL, "add_consumer q e topic k",
                    "{\"queue\": \"q\", \"exchange\": \"e\", \"exchange_type\": \"topic\","
                    " \"routing_key\": \"k\"}"},
            {COMMAND_CONTROL, "pool_grow", "{}"},
            {COMMAND_CONTROL, "pool_grow 3", "{\"n\": 3}"},
            {COMMAND_CONTROL, "autoscale 3 1", "{\"max\": 3, \"min\": 1}"},
            {COMMAND_CONTROL, "terminate kill a b",
                    "{\"signal\": \"SIGKILL\", \"task_id\": [\"a\", \"b\"]}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct coney_error err;
        json_t *arguments = NULL;
        json_t *expected = json_loads(rows[i].json, 0, NULL);
        assert_int_equal(
                read_words(rows[i].kind, rows[i].line, &arguments, &err), CONEY_OK);
        assert_true(json_equal(arguments, expected));
        json_decref(arguments);
        json_decref(expected);
    }
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum command_kind kind;
        const char *line;
        const char *hint;
    } rows[] = {
            {COMMAND_INSPECT, "active now", "one word too many"},
            {COMMAND_INSPECT, "query_task", "which ID"},
            {COMMAND_CONTROL, "rate_limit t", "which RATE"},
            {COMMAND_CONTROL, "rate_limit t fast", "fast"},
            {COMMAND_CONTROL, "time_limit t 10", "no unit"},
            {COMMAND_CONTROL, "time_limit t 0s", "none"},
            {COMMAND_CONTROL, "pool_grow 0", "from 1"},
            {COMMAND_CONTROL, "pool_grow many", "from 1"},
            {COMMAND_CONTROL, "terminate LOUD a", "no signal"},
            {COMMAND_CONTROL, "terminate TERM", "which ID"},
            {COMMAND_CONTROL, "cancel_consumer \xff", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct coney_error err = {.text = ""};
        json_t *arguments = NULL;
        assert_true(read_words(rows[i].kind, rows[i].line, &arguments, &err) != CONEY_OK);
        assert_null(arguments);
        assert_non_null(strstr(err.text, rows[i].hint));
    }
}

static void a_mistyped_command_is_told_the_nearest(void **state)
{
    (void)state;
    static const struct {
        enum command_kind kind;
        const char *name;
        const char *hint;
    } rows[] = {
            {COMMAND_INSPECT, "stat", "\"stats\""},
            {COMMAND_INSPECT, "actvie", "\"active\""},
            {COMMAND_INSPECT, "shutdown", "coney control"},
            {COMMAND_CONTROL, "ping", "coney inspect"},
            {COMMAND_CONTROL, "ratelimit", "\"rate_limit\""},
            {COMMAND_CONTROL, "revoke", "coney revoke"},
            {COMMAND_CONTROL, "election", "no command"},
            {COMMAND_CONTROL, "", "no command"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct coney_error err = {.text = ""};
        assert_null(command_find(rows[i].kind, rows[i].name, &err));
        assert_non_null(strstr(err.text, rows[i].hint));
    }
}

static void signals_have_names_and_numbers(void **state)
{
    (void)state;
    assert_int_equal(signal_number("TERM"), 15);
    assert_int_equal(signal_number("SIGTERM"), 15);
    assert_int_equal(signal_number("sigkill"), 9);
    assert_int_equal(signal_number("15"), 15);
    assert_int_equal(signal_number("0"), 0);
    assert_int_equal(signal_number("-9"), 0);
    assert_int_equal(signal_number("4096"), 0);
    assert_int_equal(signal_number(""), 0);
    assert_int_equal(signal_number("SIG"), 0);
    assert_int_equal(signal_number("15x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(words_become_arguments),
            cmocka_unit_test(wrong_words_are_refused),
            cmocka_unit_test(a_mistyped_command_is_told_the_nearest),
            cmocka_unit_test(signals_have_names_and_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
