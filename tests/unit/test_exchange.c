/* SPDX-License-Identifier: MIT */
/* test_exchange.c - frames to and from a task server. */
#include "base/json.h"
#include "base/rng.h"
#include "runner/exchange.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct buffer frames;
    struct arena *arena;
    struct exchange_message m;
    struct coney_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    buffer_init(&f->frames, 1 << 20);
    f->arena = arena_new(0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buffer_fini(&f->frames);
    arena_free(f->arena);
    free(f);
    return 0;
}

static enum coney_rc read_text(struct fixture *f, const char *text)
{
    return exchange_read((struct bytes){text, strlen(text)}, f->arena, &f->m, &f->err);
}

static const struct record_outcome *read_outcome(struct fixture *f, const char *text)
{
    if (read_text(f, text) != CONEY_OK)
        fail_msg("%s: %s", text, f->err.text);
    assert_int_equal(f->m.kind, EXCHANGE_OUTCOME);
    return &f->m.outcome;
}

static void assert_json(struct bytes json, const char *wanted)
{
    assert_int_equal(json.len, strlen(wanted));
    assert_memory_equal(json.data, wanted, json.len);
}

/* --- to the server ------------------------------------------------------------------ */

static const char body[] =
        "[[9223372036854775808, NaN], {\"k\": \"\\ud83d\"}, {\"chain\": null}]";

static void a_task_goes_out_with_its_arguments_as_they_were_spelled(void **state)
{
    struct fixture *f = *state;
    struct attempt_host host = {.result_max = 1000};
    struct record_job job = {.id = "7f3a",
            .task = "core.add",
            .queue = "coney.high",
            .retries = 2,
            .soft_ms = RECORD_NONE,
            .hard_ms = RECORD_NONE,
            .handler = RECORD_SERVER,
            .context = {"{\"eta\": null}", 13},
            .body = {body, sizeof(body) - 1}};
    struct attempt a;
    struct bytes text;
    assert_int_equal(attempt_init(&a, &job, &host), CONEY_OK);
    assert_int_equal(exchange_task(&a, &f->frames), CONEY_OK);
    assert_int_equal(exchange_peek(&f->frames, 1 << 20, &text, &f->err), CONEY_OK);
    assert_json(text,
            "{\"type\": \"task\", \"id\": \"7f3a\", \"task\": \"core.add\", "
            "\"retries\": 2, \"redelivered\": false, \"queue\": \"coney.high\", "
            "\"root_id\": null, \"parent_id\": null, \"deadline\": null, "
            "\"message\": {\"eta\": null}, \"args\": [9223372036854775808, NaN], "
            "\"kwargs\": {\"k\": \"\\ud83d\"}, \"embed\": {\"chain\": null}}");
    exchange_drop(&f->frames, text);
    assert_int_equal(buffer_len(&f->frames), 0);

    job.body = (struct bytes){"[]", 2};
    assert_int_equal(exchange_task(&a, &f->frames), CONEY_EINVAL);
    assert_int_equal(buffer_len(&f->frames), 0);
    attempt_fini(&a);
}

static void hello_and_the_soft_limit_are_frames_too(void **state)
{
    struct fixture *f = *state;
    struct bytes text;
    assert_int_equal(exchange_hello("coney@host", 4096, &f->frames), CONEY_OK);
    assert_int_equal(exchange_soft_limit("7f3a", &f->frames), CONEY_OK);
    assert_int_equal(exchange_peek(&f->frames, 1000, &text, &f->err), CONEY_OK);
    assert_json(text, "{\"type\": \"hello\", \"protocol\": 1, \"node\": \"coney@host\", "
                      "\"frame_max\": 4096}");
    exchange_drop(&f->frames, text);
    assert_int_equal(exchange_peek(&f->frames, 1000, &text, &f->err), CONEY_OK);
    assert_json(text, "{\"type\": \"soft_limit\", \"id\": \"7f3a\"}");
}

/* --- frames ------------------------------------------------------------------------- */

static void a_frame_is_there_only_when_it_is_whole(void **state)
{
    struct fixture *f = *state;
    static const char bytes[] = "\0\0\0\2{}\0\0\0\1";
    struct bytes text;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(exchange_peek(&f->frames, 2, &text, &f->err), CONEY_ENOTFOUND);
        assert_int_equal(buffer_append(&f->frames, bytes + i, 1), CONEY_OK);
    }
    assert_int_equal(buffer_append(&f->frames, bytes + 6, 4), CONEY_OK);
    assert_int_equal(exchange_peek(&f->frames, 2, &text, &f->err), CONEY_OK);
    assert_json(text, "{}");
    exchange_drop(&f->frames, text);
    assert_int_equal(exchange_peek(&f->frames, 2, &text, &f->err), CONEY_ENOTFOUND);
    assert_int_equal(exchange_peek(&f->frames, 0, &text, &f->err), CONEY_ELIMIT);
}

/* --- from the server ---------------------------------------------------------------- */

static void a_value_keeps_its_spelling(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = read_outcome(f,
            "{\"type\": \"outcome\", \"id\": \"7f3a\", \"outcome\": \"success\", "
            "\"value\": [1e400, -Infinity], \"children\": [[[\"c\", null], null]]}");
    assert_string_equal(f->m.id, "7f3a");
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_json(o->value, "[1e400, -Infinity]");
    assert_json(o->children, "[[[\"c\", null], null]]");
    assert_false(o->no_result);
    o = read_outcome(f, "{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"success\","
                        "\"value\":null,\"ignore_result\":true}");
    assert_int_equal(o->value.len, 0);
    assert_true(o->no_result);
}

static void a_retry_brings_delay_limit_and_new_arguments(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = read_outcome(f,
            "{\"type\": \"outcome\", \"id\": \"7f3a\", \"outcome\": \"retry\", "
            "\"delay\": 1.5, \"max_retries\": 3, \"args\": [1E999], \"kwargs\": {}, "
            "\"exception\": {\"type\": \"SmsError\", \"module\": \"shop.errors\", "
            "\"text\": \"503\", \"args\": [503 , null], \"traceback\": \"line 1\"}}");
    assert_int_equal(o->kind, RECORD_RETRY);
    assert_int_equal(o->delay_ms, 1500);
    assert_int_equal(o->max_retries, 3);
    assert_json(o->again, "[[1E999], {}]");
    assert_string_equal(o->error_type, "SmsError");
    assert_string_equal(o->error_module, "shop.errors");
    assert_string_equal(o->error_text, "503");
    assert_json(o->error_args, "[503 , null]");
    assert_string_equal(o->traceback, "line 1");
}

static void what_is_not_said_is_the_policys(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o =
            read_outcome(f, "{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"retry\"}");
    assert_int_equal(o->delay_ms, RECORD_NONE);
    assert_int_equal(o->max_retries, RECORD_NONE);
    assert_int_equal(o->again.len, 0);
    assert_string_equal(o->error_type, "TaskError");
    assert_null(o->traceback);
    o = read_outcome(f, "{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"retry\","
                        "\"max_retries\":null}");
    assert_int_equal(o->max_retries, INT32_MAX);
}

static void the_other_outcomes_are_what_they_say(void **state)
{
    static const struct {
        const char *text;
        enum record_kind kind;
    } cases[] = {{"\"fail\"", RECORD_FAIL}, {"\"reject\"", RECORD_REJECT},
            {"\"reject\",\"requeue\":true", RECORD_REQUEUE},
            {"\"ignore\"", RECORD_IGNORE}, {"\"unknown\"", RECORD_UNKNOWN}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[160];
        snprintf(text, sizeof(text), "{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":%s}",
                cases[i].text);
        assert_int_equal(read_outcome(*state, text)->kind, cases[i].kind);
    }
}

static void ready_says_how_it_wants_to_be_told_of_limits(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_text(f, "{\"type\":\"ready\",\"protocol\":1}"), CONEY_OK);
    assert_int_equal(f->m.kind, EXCHANGE_READY);
    assert_false(f->m.wants_signal);
    assert_int_equal(read_text(f, "{\"type\":\"ready\",\"protocol\":1,\"name\":\"php\","
                                  "\"soft_limit\":\"signal\"}"),
            CONEY_OK);
    assert_true(f->m.wants_signal);
    assert_string_equal(f->m.name, "php");
    assert_int_equal(f->m.tasks.len, 0);
    assert_int_equal(
            read_text(f, "{\"type\":\"ready\",\"protocol\":1,\"tasks\":[\"a\", \"b\"]}"),
            CONEY_OK);
    assert_int_equal(f->m.tasks.len, 10);
    assert_memory_equal(f->m.tasks.data, "[\"a\", \"b\"]", 10);
    assert_int_equal(
            read_text(f, "{\"type\":\"ready\",\"protocol\":1,\"tasks\":{\"a\":1}}"),
            CONEY_ESYNTAX);
}

static void a_log_line_has_a_level(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
            read_text(f, "{\"type\":\"log\",\"level\":\"warning\",\"text\":\"half\"}"),
            CONEY_OK);
    assert_int_equal(f->m.kind, EXCHANGE_LOG);
    assert_int_equal(f->m.level, LOG_LEVEL_WARNING);
    assert_string_equal(f->m.text, "half");
}

static void what_breaks_the_protocol_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *text, *word;
    } cases[] = {{"", "empty"}, {"[]", "type nothing"}, {"{\"type\":\"howdy\"}", "howdy"},
            {"{\"type\":\"ready\",\"protocol\":2}", "protocol 2"},
            {"{\"type\":\"ready\"}", "protocol 0"},
            {"{\"type\":\"log\"}", "without a text"},
            {"{\"type\":\"outcome\",\"outcome\":\"fail\"}", "without an id"},
            {"{\"type\":\"outcome\",\"id\":\"7\"}", "outcome is nothing"},
            {"{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"done\"}", "done"},
            {"{\"type\":\"outcome\",\"id\":7,\"outcome\":\"fail\"}", "id is not a text"},
            {"{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"retry\",\"delay\":-1}",
                    "delay"},
            {"{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"retry\",\"delay\":\"1\"}",
                    "delay"},
            {"{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"retry\",\"max_retries\":-1}",
                    "max_retries"},
            {"{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"retry\",\"args\":[]}",
                    "together"},
            {"{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"success\",\"children\":{}}",
                    "children"},
            {"{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"fail\",\"exception\":[]}",
                    "exception"},
            {"{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"fail\","
             "\"exception\":{\"args\":1}}",
                    "args"},
            {"{\"type\":\"log\",\"text\":\"a\"", "ends too early"}};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_text(f, cases[i].text), CONEY_ESYNTAX);
        if (!strstr(f->err.text, cases[i].word))
            fail_msg("\"%s\" does not say %s", f->err.text, cases[i].word);
    }
}

static void a_long_traceback_loses_its_beginning(void **state)
{
    struct fixture *f = *state;
    size_t size = 100 * 1024;
    char *text = malloc(size);
    int n = snprintf(text, size,
            "{\"type\":\"outcome\",\"id\":\"7\",\"outcome\":\"fail\","
            "\"exception\":{\"traceback\":\"");
    while ((size_t)n < size - 20) {
        memcpy(text + n, "\xc3\xa4", 2); /* two bytes, so that a cut may fall between */
        n += 2;
    }
    snprintf(text + n, size - (size_t)n, "xend\"}}");
    const struct record_outcome *o = read_outcome(f, text);
    free(text);
    assert_true(strlen(o->traceback) <= 24 * 1024);
    assert_memory_equal(o->traceback, "\xc3\xa4", 2);
    assert_string_equal(o->traceback + strlen(o->traceback) - 4, "xend");
}

static void garbled_frames_are_refused_or_harmless(void **state)
{
    static const char whole[] =
            "{\"type\": \"outcome\", \"id\": \"7f3a\", \"outcome\": \"retry\", "
            "\"delay\": 1.5, \"max_retries\": 3, \"args\": [1], \"kwargs\": {}, "
            "\"exception\": {\"type\": \"SmsError\", \"args\": [503]}}";
    struct fixture *f = *state;
    struct rng rng;
    unsigned refused = 0;
    rng_seed(&rng, 7);
    for (int i = 0; i < 5000; i++) {
        char text[sizeof(whole)];
        memcpy(text, whole, sizeof(whole));
        for (uint64_t n = rng_below(&rng, 3) + 1; n > 0; n--)
            text[rng_below(&rng, sizeof(whole) - 1)] = (char)rng_next(&rng);
        enum coney_rc rc = exchange_read(
                (struct bytes){text, sizeof(whole) - 1}, f->arena, &f->m, &f->err);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX);
        refused += rc == CONEY_ESYNTAX;
    }
    assert_true(refused > 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(a_task_goes_out_with_its_arguments_as_they_were_spelled),
            TEST(hello_and_the_soft_limit_are_frames_too),
            TEST(a_frame_is_there_only_when_it_is_whole),
            TEST(a_value_keeps_its_spelling),
            TEST(a_retry_brings_delay_limit_and_new_arguments),
            TEST(what_is_not_said_is_the_policys),
            TEST(the_other_outcomes_are_what_they_say),
            TEST(ready_says_how_it_wants_to_be_told_of_limits),
            TEST(a_log_line_has_a_level),
            TEST(what_breaks_the_protocol_is_refused_with_a_reason),
            TEST(a_long_traceback_loses_its_beginning),
            TEST(garbled_frames_are_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
