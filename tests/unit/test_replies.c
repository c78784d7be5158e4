/* SPDX-License-Identifier: MIT */
/* test_replies.c - keeping results until somebody asks, and what a result says. */
#include "lib/replies.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

static void put(struct replies *r, const char *id, const char *status, const char *json)
{
    char id_copy[64], status_copy[64];
    snprintf(id_copy, sizeof(id_copy), "%s", id);
    snprintf(status_copy, sizeof(status_copy), "%s", status);
    struct result_message m = {.task_id = id_copy, .status = status_copy};
    m.value = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    assert_int_equal(replies_put(r, &m), CONEY_OK);
    json_decref(m.value);
}

struct expected {
    enum coney_status status;
    const char *value;
    const char *type;
    const char *text;
};

static void assert_result(struct replies *r, const char *id, const struct expected *e)
{
    const char *expected[] = {id, e->value, e->type, e->text};
    struct coney_result *result = replies_take(r, id);
    assert_non_null(result);
    const char *found[] = {
            result->id, result->value, result->error_type, result->error_text};
    assert_int_equal(result->status, e->status);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(found[i] == NULL, expected[i] == NULL);
        if (expected[i])
            assert_string_equal(found[i], expected[i]);
    }
    coney_result_free(result);
    assert_null(replies_take(r, id));
}

static int setup(void **state)
{
    static struct replies r;
    replies_init(&r, 10, 100000);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    replies_fini(*state);
    return 0;
}

static void a_success_is_its_json(void **state)
{
    struct replies *r = *state;
    put(r, "a", "SUCCESS", "5");
    put(r, "b", "SUCCESS", "{\"x\": [1, null]}");
    put(r, "c", "SUCCESS", NULL);
    assert_result(r, "b",
            &(struct expected){CONEY_STATUS_SUCCESS, "{\"x\":[1,null]}", NULL, NULL});
    assert_result(r, "a", &(struct expected){CONEY_STATUS_SUCCESS, "5", NULL, NULL});
    assert_result(r, "c", &(struct expected){CONEY_STATUS_SUCCESS, "null", NULL, NULL});
    assert_int_equal(r->count, 0);
    assert_int_equal(r->bytes, 0);
}

static void a_failure_is_its_type_and_text(void **state)
{
    struct replies *r = *state;
    put(r, "a", "FAILURE",
            "{\"exc_type\": \"ValueError\", \"exc_message\": [\"boom\"], "
            "\"exc_module\": \"builtins\"}");
    put(r, "b", "FAILURE", "{\"exc_type\": \"KeyError\", \"exc_message\": [\"k\", 7]}");
    put(r, "c", "FAILURE",
            "{\"exc_type\": \"SoftTimeLimitExceeded\", \"exc_message\": []}");
    put(r, "d", "REVOKED",
            "{\"exc_type\": \"TaskRevokedError\", \"exc_message\": [\"expired\"]}");
    put(r, "e", "FAILURE", "\"just text\"");
    put(r, "f", "FAILURE", "{\"exc_type\": 3, \"exc_message\": {\"deep\": true}}");
    assert_result(
            r, "a", &(struct expected){CONEY_STATUS_FAILURE, NULL, "ValueError", "boom"});
    assert_result(r, "b",
            &(struct expected){CONEY_STATUS_FAILURE, NULL, "KeyError", "[\"k\",7]"});
    assert_result(r, "c",
            &(struct expected){
                    CONEY_STATUS_FAILURE, NULL, "SoftTimeLimitExceeded", NULL});
    assert_result(r, "d",
            &(struct expected){
                    CONEY_STATUS_REVOKED, NULL, "TaskRevokedError", "expired"});
    assert_result(
            r, "e", &(struct expected){CONEY_STATUS_FAILURE, NULL, NULL, "just text"});
    assert_result(r, "f",
            &(struct expected){CONEY_STATUS_FAILURE, NULL, NULL, "{\"deep\":true}"});
}

static void what_is_not_the_last_word_is_passed_over(void **state)
{
    struct replies *r = *state;
    put(r, "a", "STARTED", "{}");
    put(r, "a", "RETRY", "{\"exc_type\": \"E\", \"exc_message\": []}");
    put(r, "a", "PROGRESS", "50");
    assert_int_equal(r->count, 0);
    put(r, "a", "SUCCESS", "1");
    put(r, "a", "SUCCESS", "2");
    assert_result(r, "a", &(struct expected){CONEY_STATUS_SUCCESS, "1", NULL, NULL});
}

static void too_many_push_out_the_oldest(void **state)
{
    struct replies *r = *state;
    char id[16];
    for (int i = 0; i < 25; i++) {
        snprintf(id, sizeof(id), "task-%d", i);
        put(r, id, "SUCCESS", "1");
    }
    assert_int_equal(r->count, 10);
    assert_null(replies_take(r, "task-14"));
    for (int i = 15; i < 25; i++) {
        snprintf(id, sizeof(id), "task-%d", i);
        assert_result(r, id, &(struct expected){CONEY_STATUS_SUCCESS, "1", NULL, NULL});
    }
}

static void too_many_bytes_push_out_the_oldest_but_never_the_newest(void **state)
{
    struct replies *r = *state;
    static char large[120000];
    memset(large, 'x', sizeof(large) - 1);
    large[0] = '"';
    large[sizeof(large) - 2] = '"';
    put(r, "a", "SUCCESS", "1");
    put(r, "b", "SUCCESS", large);
    assert_null(replies_take(r, "a"));
    assert_int_equal(r->count, 1);
    put(r, "c", "SUCCESS", "3");
    assert_null(replies_take(r, "b"));
    assert_result(r, "c", &(struct expected){CONEY_STATUS_SUCCESS, "3", NULL, NULL});
}

static void running_out_of_memory_keeps_what_is_there(void **state)
{
    struct replies *r = *state;
    char id[] = "b", status[] = "SUCCESS";
    put(r, "a", "SUCCESS", "1");
    struct result_message m = {.task_id = id, .status = status};
    for (unsigned n = 1;; n++) {
        test_fail_allocation(n);
        enum coney_rc rc = replies_put(r, &m);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (!failed)
            break;
        assert_int_equal(rc, CONEY_ENOMEM);
        assert_int_equal(r->count, 1);
    }
    assert_result(r, "b", &(struct expected){CONEY_STATUS_SUCCESS, "null", NULL, NULL});
    assert_result(r, "a", &(struct expected){CONEY_STATUS_SUCCESS, "1", NULL, NULL});
}

#define REPLIES_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            REPLIES_TEST(a_success_is_its_json),
            REPLIES_TEST(a_failure_is_its_type_and_text),
            REPLIES_TEST(what_is_not_the_last_word_is_passed_over),
            REPLIES_TEST(too_many_push_out_the_oldest),
            REPLIES_TEST(too_many_bytes_push_out_the_oldest_but_never_the_newest),
            REPLIES_TEST(running_out_of_memory_keeps_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
