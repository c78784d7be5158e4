/* SPDX-License-Identifier: MIT */
/* test_native.c - what a task may ask and say, with a host that is no board. */
#include "base/clock.h"
#include "runner/native.h"
#include "runner/plugin.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct plugins *plugins;
    struct attempt_host host;
    bool is_soft_limit;
    unsigned logged;
    enum log_level wanted_level; /* of what is logged */
    char last_log[RECORD_LOG_MAX];
    struct attempt attempt;
    char result[4096]; /* of the last run, terminated */
};

static bool is_soft_limit(void *ctx)
{
    return ((struct fixture *)ctx)->is_soft_limit;
}

static void keep_log(void *ctx, enum log_level level, const char *text)
{
    struct fixture *f = ctx;
    assert_int_equal(level, f->wanted_level);
    snprintf(f->last_log, sizeof(f->last_log), "%s", text);
    f->logged++;
}

static int setup(void **state)
{
    char path[4096];
    char *paths[] = {path};
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(getenv("CONEY_TEST_PLUGIN_DIR"));
    snprintf(path, sizeof(path), "%s/demo.so", getenv("CONEY_TEST_PLUGIN_DIR"));
    assert_int_equal(plugins_load(paths, 1, &f->plugins, NULL), CONEY_OK);
    f->host = (struct attempt_host){.is_soft_limit = is_soft_limit,
            .log = keep_log,
            .ctx = f,
            .wake_fd = -1,
            .result_max = 1000};
    f->wanted_level = LOG_LEVEL_INFO;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->attempt.arena)
        attempt_fini(&f->attempt);
    plugins_free(f->plugins);
    free(f);
    return 0;
}

static struct record_job job_with(const char *body)
{
    return (struct record_job){.id = "7f3a",
            .task = "demo",
            .soft_ms = RECORD_NONE,
            .hard_ms = RECORD_NONE,
            .body = {body, strlen(body)}};
}

/* Run task demo.NAME; the outcome is valid until the next call. */
static const struct record_outcome *run_job(
        struct fixture *f, const char *name, const struct record_job *job)
{
    char full[64];
    snprintf(full, sizeof(full), "demo.%s", name);
    const struct plugin_task *task = plugins_find(f->plugins, full);
    assert_non_null(task);
    if (f->attempt.arena)
        attempt_fini(&f->attempt);
    assert_int_equal(attempt_init(&f->attempt, job, &f->host), CONEY_OK);
    native_run(&f->attempt, task->def.run);
    const struct record_outcome *o = attempt_finish(&f->attempt);
    snprintf(f->result, sizeof(f->result), "%.*s", (int)o->value.len,
            o->value.len > 0 ? (const char *)o->value.data : "");
    return o;
}

static const struct record_outcome *run(
        struct fixture *f, const char *name, const char *body)
{
    struct record_job job = job_with(body);
    return run_job(f, name, &job);
}

static void assert_error(const struct record_outcome *o, enum record_kind kind,
        const char *type, const char *text)
{
    assert_int_equal(o->kind, kind);
    assert_string_equal(o->error_type, type);
    assert_string_equal(o->error_text, text);
    assert_int_equal(o->value.len, 0);
}

static void a_task_gets_its_arguments_and_returns_a_result(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, "add", "[[2, 40], {}, null]")->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "42");
    assert_int_equal(run(f, "echo", "[[1, \"\\u20ac\"], {\"k\": null}, {}]")->kind,
            RECORD_SUCCESS);
    assert_string_equal(f->result, "[[1, \"\\u20AC\"], {\"k\": null}]");
}

static void without_a_word_the_result_is_null(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, "returns", "[[0], {}, null]")->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "");
}

static void malformed_arguments_are_a_type_error(void **state)
{
    struct fixture *f = *state;
    const char *const bad[] = {
            "", "[", "null", "{}", "[]", "[[]]", "[{}, {}, null]", "[[], [], null]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct record_outcome *o = run(f, "echo", bad[i]);
        assert_int_equal(o->kind, RECORD_FAIL);
        assert_string_equal(o->error_type, "TypeError");
    }
}

static void a_number_that_c_cannot_hold_comes_as_a_string(void **state)
{
    struct fixture *f = *state;
    (void)run(f, "echo", "[[123456789012345678901234567890, NaN], {}, null]");
    assert_string_equal(f->result, "[[\"123456789012345678901234567890\", \"NaN\"], {}]");
}

static void a_task_can_ask_everything_about_itself(void **state)
{
    struct fixture *f = *state;
    struct record_job job = job_with("[[], {}, null]");
    job.task = "alias";
    job.root_id = "root";
    job.queue = "coney.high";
    job.retries = 3;
    job.redelivered = true;
    job.soft_ms = 60000;
    job.hard_ms = 90000;
    int64_t before_us = clock_wall_us();
    assert_int_equal(run_job(f, "info", &job)->kind, RECORD_SUCCESS);
    json_t *v = json_loads(f->result, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(v, "id")), "7f3a");
    assert_string_equal(json_string_value(json_object_get(v, "name")), "alias");
    assert_string_equal(json_string_value(json_object_get(v, "root_id")), "root");
    assert_true(json_is_null(json_object_get(v, "parent_id")));
    assert_string_equal(json_string_value(json_object_get(v, "queue")), "coney.high");
    assert_int_equal(json_integer_value(json_object_get(v, "retries")), 3);
    assert_true(json_is_true(json_object_get(v, "redelivered")));
    assert_true(json_is_true(json_object_get(v, "has_node")));
    assert_in_range(json_integer_value(json_object_get(v, "deadline_us")),
            before_us + 60000000, clock_wall_us() + 60000000);
    assert_in_range(json_integer_value(json_object_get(v, "remaining_ms")), 1, 60000);
    json_decref(v);
}

static void the_first_limit_is_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct record_job job = job_with("[[], {}, null]");
    json_t *v;
    (void)run_job(f, "info", &job);
    v = json_loads(f->result, 0, NULL);
    assert_true(
            json_integer_value(json_object_get(v, "deadline_us")) == CONEY_NO_DEADLINE);
    assert_true(
            json_integer_value(json_object_get(v, "remaining_ms")) == CONEY_NO_DEADLINE);
    json_decref(v);

    job.hard_ms = 5000;
    (void)run_job(f, "info", &job);
    v = json_loads(f->result, 0, NULL);
    assert_in_range(json_integer_value(json_object_get(v, "remaining_ms")), 1, 5000);
    json_decref(v);

    job.soft_ms = 0; /* has passed already */
    (void)run_job(f, "info", &job);
    v = json_loads(f->result, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(v, "remaining_ms")), 0);
    json_decref(v);
}

static void what_a_task_returns_becomes_its_outcome(void **state)
{
    struct fixture *f = *state;
    assert_error(run(f, "fail", "[[\"IOError\", \"disk\"], {}, null]"), RECORD_FAIL,
            "IOError", "disk");
    assert_error(run(f, "reject", "[[], {}, null]"), RECORD_REJECT, "BadNumber",
            "not a telephone number");
    assert_int_equal(run(f, "ignore", "[[], {}, null]")->kind, RECORD_IGNORE);

    const struct record_outcome *o = run(f, "retry", "[[], {}, null]");
    assert_error(o, RECORD_RETRY, "SmsError", "gateway said 503");
    assert_int_equal(o->delay_ms, RECORD_NONE);
    assert_int_equal(run(f, "retry", "[[2500], {}, null]")->delay_ms, 2500);
}

static void an_outcome_without_a_reason_says_so(void **state)
{
    struct fixture *f = *state;
    const char *text = "the task gave no reason";
    assert_error(run(f, "returns", "[[1], {}, 0]"), RECORD_RETRY, "TaskError", text);
    assert_error(run(f, "returns", "[[2], {}, 0]"), RECORD_FAIL, "TaskError", text);
    assert_error(run(f, "returns", "[[3], {}, 0]"), RECORD_REJECT, "TaskError", text);
    assert_error(run(f, "returns", "[[99], {}, 0]"), RECORD_FAIL, "InvalidOutcome",
            "the task returned 99, which means nothing");
}

static void the_return_value_decides_over_what_was_said(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = run(f, "wavers", "[[], {}, null]");
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_null(o->error_type);
}

static void a_result_that_cannot_be_kept_fails(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = run(f, "bad_result", "[[], {}, null]");
    assert_error(o, RECORD_FAIL, "ResultError",
            "the result is NULL: out of memory, or not valid UTF-8");
    assert_int_equal(run(f, "huge", "[[998], {}, null]")->kind, RECORD_SUCCESS);
    assert_error(run(f, "huge", "[[999], {}, null]"), RECORD_FAIL, "ResultTooLarge",
            "the result is larger than 1000 bytes");
}

static void assert_published(const struct record_outcome *o, const char *expected)
{
    char text[4096];
    snprintf(text, sizeof(text), "%.*s", (int)o->publish.len,
            o->publish.len > 0 ? (const char *)o->publish.data : "");
    assert_string_equal(text, expected);
}

static void what_a_task_sends_goes_with_its_success(void **state)
{
    struct fixture *f = *state;
    const char *const two =
            "[[[{\"task\": \"a\", \"options\": {\"task_id\": \"x\"}}, {\"task\": \"b\", "
            "\"options\": {\"task_id\": \"y\", \"queue\": \"q\"}}], \"well\"], {}, null]";
    const struct record_outcome *o = run(f, "sends", two);
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "[\"x\", \"y\"]");
    assert_published(o,
            "[{\"task\": \"a\", \"options\": {\"task_id\": \"x\"}}, {\"task\": "
            "\"b\", \"options\": {\"task_id\": \"y\", \"queue\": \"q\"}}]");
    o = run(f, "sends", "[[[{\"task\": \"a\"}], \"fail\"], {}, null]");
    assert_int_equal(o->kind, RECORD_REJECT);
    assert_published(o, "");
}

static void a_child_without_an_id_gets_one(void **state)
{
    struct fixture *f = *state;
    char expected[200];
    const struct record_outcome *o = run(f, "sends", "[[[\"a\"], \"well\"], {}, null]");
    assert_int_equal(strlen(f->result), 36 + 4);
    snprintf(expected, sizeof(expected),
            "[{\"task\": \"a\", \"args\": [], \"kwargs\": {}, \"options\": {\"task_id\": "
            "%.38s}}]",
            f->result + 1);
    assert_published(o, expected);
}

static void what_is_no_signature_is_not_taken(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {
            "{}", "5", "[]", "{\"task\": \"\"}", "{\"task\": 7}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char body[100];
        snprintf(body, sizeof(body), "[[[%s], \"well\"], {}, null]", wrong[i]);
        f->wanted_level = LOG_LEVEL_ERROR;
        const struct record_outcome *o = run(f, "sends", body);
        assert_string_equal(f->result, "[null]");
        assert_published(o, "");
        assert_non_null(strstr(f->last_log, "names a task"));
    }
}

static void children_and_result_share_the_room(void **state)
{
    struct fixture *f = *state;
    char long_text[700], body[1600];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    f->wanted_level = LOG_LEVEL_ERROR;
    snprintf(body, sizeof(body),
            "[[[{\"task\": \"%s\", \"options\": {\"task_id\": \"x\"}}, {\"task\": \"%s\"}], "
            "\"well\"], {}, null]",
            long_text, long_text);
    const struct record_outcome *o = run(f, "sends", body);
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "[\"x\", null]");
    assert_non_null(strstr(f->last_log, "too large"));
    assert_true(o->publish.len + o->value.len <= 1000);
    char ids[300];
    memset(ids, 'i', sizeof(ids) - 1);
    ids[sizeof(ids) - 1] = '\0';
    snprintf(body, sizeof(body),
            "[[[{\"task\": \"%s\", \"options\": {\"task_id\": \"%s\"}}], \"well\"], {}, null]",
            long_text + 200, ids);
    assert_error(run(f, "sends", body), RECORD_FAIL, "ResultTooLarge",
            "the result is larger than 160 bytes");
}

static void texts_are_made_printable(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = run(f, "fail", "[[\"\", \"caf\\u00e9\"], {}, null]");
    assert_error(o, RECORD_FAIL, "TaskError", "caf\xc3\xa9");

    attempt_set_error(&f->attempt, RECORD_FAIL, "E", "broken \xff byte");
    assert_string_equal(
            attempt_finish(&f->attempt)->error_text, "broken \xef\xbf\xbd byte");
}

static void progress_reaches_the_host(void **state)
{
    struct fixture *f = *state;
    (void)run(f, "log", "[[3], {}, null]");
    assert_int_equal(f->logged, 3);
    assert_string_equal(f->last_log, "line 3 of 3");
}

static enum coney_outcome tell_soft_limit(
        struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)args;
    (void)kwargs;
    return coney_succeed(task, json_boolean(coney_is_soft_limit_passed(task)));
}

static void a_task_sees_whether_its_soft_limit_has_passed(void **state)
{
    struct fixture *f = *state;
    struct record_job job = job_with("[[], {}, null]");
    for (int passed = 0; passed <= 1; passed++) {
        struct attempt a;
        f->is_soft_limit = passed;
        assert_int_equal(attempt_init(&a, &job, &f->host), CONEY_OK);
        native_run(&a, tell_soft_limit);
        const struct record_outcome *o = attempt_finish(&a);
        assert_memory_equal(o->value.data, passed ? "true" : "false", o->value.len);
        attempt_fini(&a);
    }
}

static void an_attempt_survives_every_failing_allocation(void **state)
{
    struct fixture *f = *state;
    struct record_job job = job_with("[[\"IOError\", \"disk\"], {}, null]");
    const struct plugin_task *task = plugins_find(f->plugins, "demo.fail");
    for (unsigned n = 1;; n++) {
        struct attempt a;
        test_fail_allocation(n);
        enum coney_rc rc = attempt_init(&a, &job, &f->host);
        if (rc == CONEY_OK)
            native_run(&a, task->def.run);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (rc == CONEY_OK)
            assert_int_equal(attempt_finish(&a)->kind, RECORD_FAIL);
        else
            assert_int_equal(rc, CONEY_ENOMEM);
        attempt_fini(&a);
        if (!failed)
            return;
    }
}

#define FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            FIXTURE(a_task_gets_its_arguments_and_returns_a_result),
            FIXTURE(without_a_word_the_result_is_null),
            FIXTURE(malformed_arguments_are_a_type_error),
            FIXTURE(a_number_that_c_cannot_hold_comes_as_a_string),
            FIXTURE(a_task_can_ask_everything_about_itself),
            FIXTURE(the_first_limit_is_the_deadline),
            FIXTURE(what_a_task_returns_becomes_its_outcome),
            FIXTURE(an_outcome_without_a_reason_says_so),
            FIXTURE(the_return_value_decides_over_what_was_said),
            FIXTURE(a_result_that_cannot_be_kept_fails),
            FIXTURE(what_a_task_sends_goes_with_its_success),
            FIXTURE(a_child_without_an_id_gets_one),
            FIXTURE(what_is_no_signature_is_not_taken),
            FIXTURE(children_and_result_share_the_room),
            FIXTURE(texts_are_made_printable),
            FIXTURE(progress_reaches_the_host),
            FIXTURE(a_task_sees_whether_its_soft_limit_has_passed),
            FIXTURE(an_attempt_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
