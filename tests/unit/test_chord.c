/* SPDX-License-Identifier: MIT */
/* What is asked of the store about a chord, and what follows from its answer. */
#include "base/error.h"
#include "message/task.h"
#include "queue/chord.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ONE "[1, \"one\", \"SUCCESS\", 2]"
#define TWO "[1, \"two\", \"SUCCESS\", {\"a\": [1, null]}]"
#define BAD                                                                      \
    "[1, \"bad\", \"FAILURE\", {\"exc_type\": \"ValueError\", \"exc_message\": " \
    "[\"boom\", 7], \"exc_module\": \"builtins\"}]"
#define REVOKED                                                           \
    "[1, \"x\", \"REVOKED\", {\"exc_type\": \"E\", \"exc_message\": [], " \
    "\"exc_module\": \"m\"}]"

struct answer {
    char resp[4096];
    struct chord_end end;
    struct coney_error err;
    enum coney_rc rc;
};

static void put_text(struct answer *a, const char *text)
{
    size_t len = strlen(a->resp);
    if (text)
        snprintf(a->resp + len, sizeof(a->resp) - len, "$%zu\r\n%s\r\n", strlen(text),
                text);
    else
        snprintf(a->resp + len, sizeof(a->resp) - len, "$-1\r\n");
}

/* What the task "two" learns from the script's answer: @last, the saved @shape, @entries.
 */
static void answer(struct answer *a, const char *last, const char *shape, size_t count,
        const char *const *entries)
{
    *a = (struct answer){.resp = "*4\r\n"};
    put_text(a, last);
    strcat(a->resp, ":100\r\n");
    put_text(a, shape);
    snprintf(a->resp + strlen(a->resp), 32, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++)
        put_text(a, entries[i]);
}

static void read_answer(struct answer *a)
{
    struct redis_reader *r = redis_reader_new(65536);
    struct redis_reply *reply = NULL;

    assert_non_null(r);
    assert_int_equal(redis_reader_feed(r, a->resp, strlen(a->resp)), CONEY_OK);
    assert_int_equal(redis_reader_next(r, &reply, &a->err), CONEY_OK);
    assert_non_null(reply);
    a->rc = chord_read(reply, "two", &a->end, &a->err);
    redis_reply_free(reply);
    redis_reader_free(r);
}

static void assert_results(struct answer *a, const char *wanted)
{
    read_answer(a);
    assert_int_equal(a->rc, CONEY_OK);
    assert_true(a->end.is_ours);
    char *text = json_dumps(a->end.results, 0);
    assert_string_equal(text, wanted);
    free(text);
    json_decref(a->end.results);
}

static void assert_failure(struct answer *a, const char *why)
{
    read_answer(a);
    assert_int_equal(a->rc, CONEY_EREFUSED);
    assert_true(a->end.is_ours);
    assert_null(a->end.results);
    assert_string_equal(a->err.text, why);
}

static void nothing_is_to_be_done_until_it_is_ours(void **state)
{
    static const char *const answers[] = {
            "*1\r\n$-1\r\n", "*1\r\n$3\r\none\r\n", "+OK\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct answer a = {.resp = ""};
        strcpy(a.resp, answers[i]);
        read_answer(&a);
        assert_int_equal(a.rc, CONEY_OK);
        assert_false(a.end.is_ours);
        assert_null(a.end.results);
    }
}

static void results_come_in_the_order_of_the_parts(void **state)
{
    static const char *const entries[] = {ONE, TWO};
    struct answer a;
    (void)state;
    answer(&a, "two", NULL, 2, entries);
    assert_results(&a, "[2, {\"a\": [1, null]}]");
    assert_int_equal(a.end.parts, 2);
}

static void a_saved_shape_is_given_back(void **state)
{
    static const char *const entries[] = {ONE, TWO};
    struct answer a;
    (void)state;
    answer(&a, "two",
            "{\"result\": [[\"g\", null], [[[\"i\", null], [[[\"two\", null], null]]], "
            "[[\"one\", [[\"p\", null], null]], null]]]}",
            2, entries);
    assert_results(&a, "[[{\"a\": [1, null]}], 2]");
}

static void a_shape_that_does_not_fit_fails_the_chord(void **state)
{
    static const char *const entries[] = {ONE, TWO};
    static const char *const shapes[] = {
            "{\"result\": [[\"g\", null], [[[\"three\", null], null]]]}", "{}", "{",
            "{\"result\": 5}"};
    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct answer a;
        answer(&a, "two", shapes[i], 2, entries);
        assert_failure(&a, "Join error: the results do not fit their shape");
    }
}

static void the_first_failure_is_told_as_python_would(void **state)
{
    static const char *const entries[] = {ONE, BAD, REVOKED};
    struct answer a;
    (void)state;
    answer(&a, "two", NULL, 3, entries);
    assert_failure(&a, "Dependency bad raised ValueError('boom', 7)");
    answer(&a, "two", NULL, 1, &entries[2]);
    assert_failure(&a, "Dependency x raised E()");
}

static void what_is_no_part_fails_the_chord(void **state)
{
    static const char *const wrong[] = {
            "", "{}", "[1, \"two\", \"SUCCESS\"]", "[1, 2, 3, 4]", "nonsense"};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct answer a;
        answer(&a, "two", NULL, 1, &wrong[i]);
        assert_failure(&a, "Join error: a part that can't be read");
    }
}

static void too_many_bytes_are_not_even_asked_for(void **state)
{
    struct answer a = {.resp = "*4\r\n$3\r\ntwo\r\n:99999999\r\n$-1\r\n:7\r\n"};
    (void)state;
    assert_failure(&a,
            "Join error: the results of 7 parts come to 99999999 bytes; at most 16777216 "
            "fit into the body's message");
}

static void assert_has(const struct redis_commands *c, const char *text)
{
    assert_non_null(
            memmem(buffer_data(&c->bytes), buffer_len(&c->bytes), text, strlen(text)));
}

static void a_part_names_its_keys_its_entry_and_its_place(void **state)
{
    const struct chord_keys keys = {.prefix = "shop", .group = "g", .expires_s = 60};
    struct chord_part part = {.task_id = "o\"ne",
            .index = 3,
            .result = {"2", 1},
            .status = "SUCCESS",
            .size = TASK_NONE};
    struct redis_commands c;
    (void)state;

    redis_commands_init(&c);
    assert_int_equal(chord_tell(&keys, &part, &c), CONEY_OK);
    assert_has(&c, "*15\r\n$4\r\nEVAL\r\n");
    assert_has(&c,
            "$28\r\nshop_celery-taskset-meta-g.j\r\n$28\r\nshop_celery-taskset-meta-g.s");
    assert_has(&c,
            "\r\n$1\r\n3\r\n$26\r\n[1, \"o\\\"ne\", \"SUCCESS\", 2]\r\n$4\r\no\"ne\r\n");
    assert_has(&c, "$2\r\n60\r\n$0\r\n\r\n$0\r\n\r\n$8\r\n16777216\r\n");
    redis_commands_fini(&c);

    part.index = TASK_NONE;
    part.size = 9;
    part.again = true;
    redis_commands_init(&c);
    assert_int_equal(chord_tell(&keys, &part, &c), CONEY_OK);
    assert_has(&c, "$4\r\n+inf\r\n");
    assert_has(&c, "$1\r\n9\r\n$13\r\n[1, \"o\\\"ne\", \r\n");
    redis_commands_fini(&c);
}

static void size_shape_and_end_are_single_commands(void **state)
{
    struct chord_keys keys = {.group = "g", .expires_s = 60};
    struct redis_commands c;
    json_t *tuple = json_pack("[[s, n], []]", "g");
    (void)state;

    redis_commands_init(&c);
    assert_int_equal(chord_set_size(&keys, 12, &c), CONEY_OK);
    assert_has(&c, "SETEX\r\n$23\r\ncelery-taskset-meta-g.s\r\n$2\r\n60\r\n$2\r\n12\r\n");
    keys.expires_s = 0;
    assert_int_equal(chord_save_shape(&keys, tuple, &c), CONEY_OK);
    assert_has(&c,
            "SET\r\n$21\r\ncelery-taskset-meta-g\r\n$29\r\n{\"result\": [[\"g\", null], []]}");
    assert_int_equal(chord_forget(&keys, &c), CONEY_OK);
    assert_has(&c, "DEL\r\n$23\r\ncelery-taskset-meta-g.j\r\n");
    assert_int_equal(c.count, 3);
    redis_commands_fini(&c);
    json_decref(tuple);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(nothing_is_to_be_done_until_it_is_ours),
            cmocka_unit_test(results_come_in_the_order_of_the_parts),
            cmocka_unit_test(a_saved_shape_is_given_back),
            cmocka_unit_test(a_shape_that_does_not_fit_fails_the_chord),
            cmocka_unit_test(the_first_failure_is_told_as_python_would),
            cmocka_unit_test(what_is_no_part_fails_the_chord),
            cmocka_unit_test(too_many_bytes_are_not_even_asked_for),
            cmocka_unit_test(a_part_names_its_keys_its_entry_and_its_place),
            cmocka_unit_test(size_shape_and_end_are_single_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
