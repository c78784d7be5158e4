/* SPDX-License-Identifier: MIT */
/* test_task_decode.c - what a task message says, and why a malformed one is refused. */
#include "message/task.h"
#include "unit/messages.h"

#include <stdlib.h>

static struct task_request *decoded(const struct envelope *e)
{
    struct message_limits limits = message_limits_default();
    struct task_request *r;
    struct coney_error err;
    if (task_decode(e, &limits, &r, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return r;
}

static enum coney_rc refusal(const struct envelope *e, struct coney_error *err)
{
    struct message_limits limits = message_limits_default();
    struct task_request *r;
    enum coney_rc rc = task_decode(e, &limits, &r, err);
    assert_true((rc == CONEY_OK) == (r != NULL));
    task_request_free(r);
    return rc;
}

static void the_captured_message_is_read_whole(void **state)
{
    (void)state;
    static const char id[] = "bab6b8bb-b4ec-4335-8d5b-3c727a42b4c0";
    struct envelope e = captured_task();
    struct task_request *r = decoded(&e);

    envelope_fini(&e); /* the request stands on its own */
    assert_string_equal(r->id, id);
    assert_string_equal(r->task, "proj.add");
    assert_null(r->shadow);
    assert_string_equal(r->root_id, id);
    assert_null(r->parent_id);
    assert_null(r->group);
    assert_string_equal(r->origin, "gen4659@vm");
    assert_string_equal(r->reply_to, "aae37a60-bf8c-3134-9636-7460aa7000ea");
    assert_string_equal(r->correlation_id, id);
    assert_int_equal(r->group_index, TASK_NONE);
    assert_int_equal(r->retries, 0);
    assert_true(r->eta_us == TASK_NO_TIME);
    assert_true(r->expires_us == TASK_NO_TIME);
    assert_int_equal(r->time_limit_ms, TASK_NONE);
    assert_int_equal(r->soft_time_limit_ms, TASK_NONE);
    assert_int_equal(r->ignore_result, TASK_RESULT_KEEP);
    assert_string_equal(r->body.data, PLAIN_BODY);
    assert_int_equal(r->body.len, strlen(PLAIN_BODY));
    assert_int_equal(json_integer_value(json_array_get(r->args, 1)), 3);
    assert_int_equal(json_object_size(r->kwargs), 0);
    assert_int_equal(json_object_size(r->embed), 4);
    task_request_free(r);
    task_request_free(NULL);
}

static void task_and_id_are_enough(void **state)
{
    (void)state;
    struct envelope e;
    assert_int_equal(envelope_init(&e), CONEY_OK);
    e.properties.content_type = "application/json";
    set_header(&e, "task", "t");
    set_header(&e, "id", "not a uuid");
    set_body(&e, "[[],{},null]", 12);
    struct task_request *r = decoded(&e);
    assert_string_equal(r->correlation_id, "not a uuid");
    assert_null(r->reply_to);
    assert_null(r->root_id);
    assert_int_equal(r->retries, 0);
    assert_int_equal(r->ignore_result, TASK_RESULT_DEFAULT);
    assert_true(json_is_null(r->embed));
    task_request_free(r);
    envelope_fini(&e);
}

static void options_are_read(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct field limits[2] = {{.type = FIELD_I32}, {.type = FIELD_F64}};
    limits[0].value.integer = 60;
    limits[1].value.number = 50.5;
    set_array_header(&e, "timelimit", limits, 2);
    set_header(&e, "shadow", "my.alias");
    set_header(&e, "eta", "2030-01-02T03:04:05.678901+02:00");
    set_header(&e, "expires", "2030-01-03T00:00:00");
    set_header(&e, "group", "g");
    set_integer_header(&e, "group_index", 7);
    set_integer_header(&e, "retries", 3);
    set_header(&e, "parent_id", "p");
    assert_int_equal(
            table_set_bool(&e.headers, e.arena, "ignore_result", true), CONEY_OK);
    e.properties.correlation_id = "other";
    e.properties.reply_to = "";
    struct task_request *r = decoded(&e);
    assert_string_equal(r->shadow, "my.alias");
    assert_true(r->eta_us == 1893546245678901);
    assert_true(r->expires_us == 1893628800000000);
    assert_string_equal(r->group, "g");
    assert_int_equal(r->group_index, 7);
    assert_int_equal(r->retries, 3);
    assert_int_equal(r->time_limit_ms, 60000);
    assert_int_equal(r->soft_time_limit_ms, 50500);
    assert_string_equal(r->parent_id, "p");
    assert_int_equal(r->ignore_result, TASK_RESULT_IGNORE);
    assert_string_equal(r->correlation_id, "other");
    assert_null(r->reply_to);
    task_request_free(r);
    envelope_fini(&e);
}

static void numbers_c_cannot_hold_keep_their_spelling_and_the_body_its_text(void **state)
{
    (void)state;
    static const char body[] = "[[NaN, -Infinity, 123456789012345678901234567890, 1], "
                               "{\"s\": \"\\ud800\"}, {}]";
    struct envelope e = captured_task();
    set_body(&e, body, strlen(body));
    struct task_request *r = decoded(&e);
    assert_string_equal(json_string_value(json_array_get(r->args, 0)), "NaN");
    assert_string_equal(json_string_value(json_array_get(r->args, 1)), "-Infinity");
    assert_string_equal(json_string_value(json_array_get(r->args, 2)),
            "123456789012345678901234567890");
    assert_int_equal(json_integer_value(json_array_get(r->args, 3)), 1);
    assert_string_equal(
            json_string_value(json_object_get(r->kwargs, "s")), "\xef\xbf\xbd");
    assert_string_equal(r->body.data, body);
    task_request_free(r);
    envelope_fini(&e);
}

static void unknown_tags_stay_plain_objects(void **state)
{
    (void)state;
    static const char body[] = "[[{\"__type__\": \"money\", \"__value__\": 5}], {}, {}]";
    struct envelope e = captured_task();
    set_body(&e, body, strlen(body));
    struct task_request *r = decoded(&e);
    assert_int_equal(json_object_size(json_array_get(r->args, 0)), 2);
    task_request_free(r);
    envelope_fini(&e);
}

static void a_bad_body_is_refused_and_the_reason_named(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *word;
    } rows[] = {{"", "empty"}, {"[[],{}]", "array of three"}, {"[]", "array of three"},
            {"[[],{},{},{}]", "array of three"}, {"null", "array of three"},
            {"{\"task\": \"t\", \"id\": \"i\", \"args\": []}", "array of three"},
            {"[null,{},{}]", "args"}, {"[{},{},{}]", "args"}, {"[\"\",{},{}]", "args"},
            {"[[],null,{}]", "kwargs"}, {"[[],[],{}]", "kwargs"}, {"[[],{},[]]", "embed"},
            {"[[],{},5]", "embed"}, {"[[],{},{\"callbacks\":{}}]", "callbacks"},
            {"[[],{},{}", "not JSON"}, {"[[],{},{}]]", "not JSON"},
            {"[[\"\xff\"],{},{}]", "UTF-8"}, {"[[],{\"a\":1,\"a\":2},{}]", "twice"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct envelope e = captured_task();
        struct coney_error err;
        set_body(&e, rows[i].body, strlen(rows[i].body));
        assert_int_equal(refusal(&e, &err), CONEY_ESYNTAX);
        if (!strstr(err.text, rows[i].word) || !strstr(err.text, "task=proj.add id=bab6"))
            fail_msg("%s: %s", rows[i].body, err.text);
        envelope_fini(&e);
    }
}

static void limits_are_the_callers(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct message_limits limits = message_limits_default();
    struct task_request *r;
    struct coney_error err;

    limits.body_max = strlen(PLAIN_BODY) - 1;
    assert_int_equal(task_decode(&e, &limits, &r, &err), CONEY_ELIMIT);
    assert_non_null(strstr(err.text, "id=bab6"));
    limits = message_limits_default();
    limits.name_max = strlen("proj.add");
    assert_int_equal(task_decode(&e, &limits, &r, &err), CONEY_ELIMIT);
    assert_non_null(strstr(err.text, "header id"));
    limits = message_limits_default();
    limits.depth_max = 2;
    assert_int_equal(task_decode(&e, &limits, &r, &err), CONEY_OK);
    task_request_free(r);
    limits.depth_max = 1;
    assert_int_equal(task_decode(&e, &limits, &r, &err), CONEY_ELIMIT);
    envelope_fini(&e);
}

static void values_are_limited_by_the_size_of_a_body(void **state)
{
    (void)state;
    enum { VALUES = 5000 };
    struct envelope e = captured_task();
    struct message_limits limits = message_limits_default();
    struct task_request *r;
    char *body = malloc(VALUES * 2 + 16);
    char *to = body;

    *to++ = '[';
    *to++ = '[';
    for (int i = 0; i < VALUES; i++) {
        *to++ = '1';
        *to++ = i + 1 < VALUES ? ',' : ']';
    }
    memcpy(to, ",{},{}]", 8);
    set_body(&e, body, strlen(body));
    limits.body_max = 64 * 1024;
    assert_int_equal(task_decode(&e, &limits, &r, NULL), CONEY_ELIMIT);
    limits.body_max = (VALUES + 10) * 16;
    assert_int_equal(task_decode(&e, &limits, &r, NULL), CONEY_OK);
    task_request_free(r);
    free(body);
    envelope_fini(&e);
}

static void hostile_names_do_not_break_the_error(void **state)
{
    (void)state;
    char name[256];
    struct envelope e = captured_task();
    struct coney_error err;

    memset(name, 'n', sizeof(name) - 1);
    memcpy(name, "line\nbreak\x1b[31m", 15);
    name[255] = '\0';
    set_header(&e, "task", name);
    set_header(&e, "id", name);
    set_body(&e, "[]", 2);
    assert_int_equal(refusal(&e, &err), CONEY_ESYNTAX);
    assert_memory_equal(
            err.text, "body is not an array of three  task=line?break?[31m", 51);
    assert_null(strchr(err.text, '\n'));
    assert_non_null(strstr(err.text, " id=line?break"));
    envelope_fini(&e);
}

static void decoding_says_when_memory_is_short(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct message_limits limits = message_limits_default();
    char *body = malloc(20000);

    memset(body, ' ', 20000);
    memcpy(body, "[[NaN],{},{}]", 13);
    set_body(&e, body, 20000);
    for (unsigned n = 1;; n++) {
        struct task_request *r;
        test_fail_allocation(n);
        enum coney_rc rc = task_decode(&e, &limits, &r, NULL);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        task_request_free(r);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        if (!has_failed) {
            assert_true(n > 3);
            break;
        }
    }
    free(body);
    envelope_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(the_captured_message_is_read_whole),
            cmocka_unit_test(task_and_id_are_enough),
            cmocka_unit_test(options_are_read),
            cmocka_unit_test(
                    numbers_c_cannot_hold_keep_their_spelling_and_the_body_its_text),
            cmocka_unit_test(unknown_tags_stay_plain_objects),
            cmocka_unit_test(a_bad_body_is_refused_and_the_reason_named),
            cmocka_unit_test(limits_are_the_callers),
            cmocka_unit_test(values_are_limited_by_the_size_of_a_body),
            cmocka_unit_test(hostile_names_do_not_break_the_error),
            cmocka_unit_test(decoding_says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
