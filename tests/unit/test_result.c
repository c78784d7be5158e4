/* SPDX-License-Identifier: MIT */
/* test_result.c - what Python's clients read of a task, and what we read of theirs. */
#include "message/result.h"
#include "unit/messages.h"

#include <stdlib.h>
#include <string.h>

static struct envelope encoded(const struct result *r)
{
    struct envelope e;
    struct coney_error err;
    if (result_encode(r, &e, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return e;
}

static void each_status_has_the_body_celery_writes(void **state)
{
    (void)state;
    json_t *five = json_integer(5);
    json_t *pid = json_pack("{s:i,s:s}", "pid", 1, "hostname", "coney@h");
    json_t *arguments = json_pack("[s,i]", "boom", 7);
    const struct {
        struct result r;
        const char *body;
    } rows[] = {
            {{.task_id = "t", .status = RESULT_SUCCESS, .value = five},
                    "{\"task_id\": \"t\", \"status\": \"SUCCESS\", \"result\": 5, "
                    "\"traceback\": null, \"children\": []}"},
            {{.task_id = "t", .status = RESULT_SUCCESS},
                    "{\"task_id\": \"t\", \"status\": \"SUCCESS\", \"result\": null, "
                    "\"traceback\": null, \"children\": []}"},
            {{.task_id = "t",
                     .status = RESULT_FAILURE,
                     .exc_type = "ValueError",
                     .exc_module = "builtins",
                     .exc_message = arguments,
                     .exc_text = "not used",
                     .traceback = "line 1\nline 2"},
                    "{\"task_id\": \"t\", \"status\": \"FAILURE\", \"result\": {\"exc_type\": "
                    "\"ValueError\", \"exc_message\": [\"boom\", 7], \"exc_module\": "
                    "\"builtins\"}, \"traceback\": \"line 1\\nline 2\", \"children\": []}"},
            {{.task_id = "t", .status = RESULT_RETRY, .exc_text = "503"},
                    "{\"task_id\": \"t\", \"status\": \"RETRY\", \"result\": {\"exc_type\": "
                    "\"TaskError\", \"exc_message\": [\"503\"], \"exc_module\": \"coney\"}, "
                    "\"traceback\": null, \"children\": []}"},
            {{.task_id = "t",
                     .status = RESULT_REVOKED,
                     .exc_type = "TaskRevokedError",
                     .exc_module = "celery.exceptions",
                     .exc_text = "expired"},
                    "{\"task_id\": \"t\", \"status\": \"REVOKED\", \"result\": {\"exc_type\": "
                    "\"TaskRevokedError\", \"exc_message\": [\"expired\"], \"exc_module\": "
                    "\"celery.exceptions\"}, \"traceback\": null, \"children\": []}"},
            {{.task_id = "t", .status = RESULT_FAILURE, .exc_type = "", .value = five},
                    "{\"task_id\": \"t\", \"status\": \"FAILURE\", \"result\": {\"exc_type\": "
                    "\"TaskError\", \"exc_message\": [], \"exc_module\": \"coney\"}, "
                    "\"traceback\": null, \"children\": []}"},
            {{.task_id = "t", .status = RESULT_STARTED, .value = pid},
                    "{\"task_id\": \"t\", \"status\": \"STARTED\", \"result\": {\"pid\": 1, "
                    "\"hostname\": \"coney@h\"}, \"traceback\": null, \"children\": []}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct envelope e = encoded(&rows[i].r);
        assert_string_equal(e.body.data, rows[i].body);
        envelope_fini(&e);
    }
    json_decref(five);
    json_decref(pid);
    json_decref(arguments);
}

static void properties_are_those_of_the_rpc_backend(void **state)
{
    (void)state;
    struct result r = {.task_id = "t", .status = RESULT_SUCCESS};
    struct envelope e = encoded(&r);
    assert_string_equal(e.properties.content_type, "application/json");
    assert_string_equal(e.properties.content_encoding, "utf-8");
    assert_string_equal(e.properties.correlation_id, "t");
    assert_int_equal(e.properties.delivery_mode, DELIVERY_TRANSIENT);
    assert_int_equal(e.properties.priority, 0);
    assert_null(e.properties.expiration);
    assert_int_equal(e.headers.count, 0);
    envelope_fini(&e);
    r.correlation_id = "other";
    e = encoded(&r);
    assert_string_equal(e.properties.correlation_id, "other");
    envelope_fini(&e);
}

static void text_that_is_not_utf8_is_repaired(void **state)
{
    (void)state;
    struct result r = {.task_id = "t\xff",
            .status = RESULT_FAILURE,
            .exc_type = "E\xff",
            .exc_module = "m\xff",
            .exc_text = "cut \xe2\x82",
            .traceback = "\x80"};
    struct envelope e = encoded(&r);
    assert_string_equal(e.body.data,
            "{\"task_id\": \"t\\uFFFD\", \"status\": \"FAILURE\", \"result\": {\"exc_type\": "
            "\"E\\uFFFD\", \"exc_message\": [\"cut \\uFFFD\\uFFFD\"], \"exc_module\": "
            "\"m\\uFFFD\"}, \"traceback\": \"\\uFFFD\", \"children\": []}");
    assert_string_equal(e.properties.correlation_id, "t\xef\xbf\xbd");
    envelope_fini(&e);
}

static void a_value_no_client_can_read_is_refused(void **state)
{
    (void)state;
    struct envelope e;
    struct coney_error err;
    json_t *v = json_pack("[{s:s,s:i}]", "__type__", "money", "__value__", 1);
    struct result r = {.task_id = "t", .status = RESULT_SUCCESS, .value = v};
    assert_int_equal(result_encode(&r, &e, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "money"));
    assert_null(e.arena);
    r = (struct result){.task_id = "t", .status = RESULT_FAILURE, .exc_message = v};
    assert_int_equal(result_encode(&r, &e, &err), CONEY_EINVAL);
    json_decref(v);
}

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    enum { LARGE = 17 << 20 };
    struct envelope e;
    struct coney_error err;
    char *text = malloc(LARGE + 1);
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    struct result r = {.task_id = "t", .status = RESULT_FAILURE, .traceback = text};
    assert_int_equal(result_encode(&r, &e, &err), CONEY_ELIMIT);
    assert_null(e.arena);
    text[256] = '\0';
    r = (struct result){.task_id = text, .status = RESULT_SUCCESS};
    assert_int_equal(result_encode(&r, &e, &err), CONEY_ELIMIT);
    text[255] = '\0';
    assert_int_equal(result_encode(&r, &e, &err), CONEY_OK);
    envelope_fini(&e);
    free(text);
}

static struct envelope with_body(const char *body)
{
    struct envelope e;
    assert_int_equal(envelope_init(&e), CONEY_OK);
    e.properties.content_type = "application/json";
    set_body(&e, body, strlen(body));
    return e;
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    json_t *v = json_pack("{s:[i,f,s]}", "k", 1, 0.5, "h\xc3\xa9");
    struct result r = {
            .task_id = "t", .status = RESULT_SUCCESS, .value = v, .traceback = "x"};
    struct envelope e = encoded(&r);
    struct result_message m;
    assert_int_equal(result_decode(&e, &m, NULL), CONEY_OK);
    assert_string_equal(m.task_id, "t");
    assert_string_equal(m.status, "SUCCESS");
    assert_string_equal(m.traceback, "x");
    assert_true(json_equal(m.value, v));
    result_message_fini(&m);
    envelope_fini(&e);
    json_decref(v);
}

static void celerys_results_are_read_with_any_status(void **state)
{
    (void)state;
    struct envelope e = with_body("{\"status\": \"PROGRESS\", \"result\": {\"n\": NaN}, "
                                  "\"task_id\": \"t\", \"date_done\": null}");
    struct result_message m;
    assert_int_equal(result_decode(&e, &m, NULL), CONEY_OK);
    assert_string_equal(m.status, "PROGRESS");
    assert_string_equal(json_string_value(json_object_get(m.value, "n")), "NaN");
    assert_null(m.traceback);
    result_message_fini(&m);
    envelope_fini(&e);
}

static void a_malformed_result_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "5", "[]", "{}",
            "{\"status\":\"SUCCESS\",\"result\":1}", "{\"task_id\":\"t\",\"result\":1}",
            "{\"task_id\":\"t\",\"status\":\"SUCCESS\"}",
            "{\"task_id\":5,\"status\":\"SUCCESS\",\"result\":1}",
            "{\"task_id\":\"t\",\"status\":null,\"result\":1}",
            "{\"task_id\":\"t\",\"status\":\"SUCCESS\",\"result\":1,\"traceback\":5}",
            "{\"task_id\":\"t\\u0000\",\"status\":\"SUCCESS\",\"result\":1}",
            "{\"task_id\":\"t\",\"status\":\"SUCCESS\",\"result\":1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct envelope e = with_body(bad[i]);
        struct result_message m;
        struct coney_error err = {.text = ""};
        assert_int_equal(result_decode(&e, &m, &err), CONEY_ESYNTAX);
        assert_string_not_equal(err.text, "");
        assert_null(m.task_id);
        assert_null(m.value);
        envelope_fini(&e);
    }
    struct envelope e = with_body("{\"task_id\":\"t\",\"status\":\"S\",\"result\":1}");
    struct result_message m;
    e.properties.content_type = "application/x-python-serialize";
    assert_int_equal(result_decode(&e, &m, NULL), CONEY_ESYNTAX);
    envelope_fini(&e);
}

static void both_ways_say_when_memory_is_short(void **state)
{
    (void)state;
    char *large = malloc(5001);
    memset(large, '\xff', 5000);
    large[5000] = '\0';
    struct result r = {.task_id = "t", .status = RESULT_FAILURE, .exc_text = large};
    struct envelope whole = encoded(&r);
    for (unsigned n = 1;; n++) {
        struct envelope e;
        struct result_message m;
        test_fail_allocation(n);
        enum coney_rc rc = result_encode(&r, &e, NULL);
        bool has_failed = test_allocation_failed();
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        envelope_fini(&e);
        test_fail_allocation(n);
        rc = result_decode(&whole, &m, NULL);
        has_failed = has_failed || test_allocation_failed();
        assert_int_equal(rc, test_allocation_failed() ? CONEY_ENOMEM : CONEY_OK);
        test_fail_allocation(0);
        result_message_fini(&m);
        if (!has_failed) {
            assert_true(n > 3);
            break;
        }
    }
    envelope_fini(&whole);
    free(large);
}

/* --- metas ------------------------------------------------------------------------- */

static char *meta_of(const struct result *r)
{
    struct buffer b;
    struct coney_error err;
    buffer_init(&b, 100000);
    if (result_write_meta(r, &b, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    assert_int_equal(buffer_append(&b, "", 1), CONEY_OK);
    char *text = strdup((char *)buffer_data(&b));
    buffer_fini(&b);
    return text;
}

static void assert_meta(const struct result *r, const char *expected)
{
    char *text = meta_of(r);
    assert_string_equal(text, expected);
    free(text);
}

/* As Celery 5.6 was seen to write them into redis. */
static void a_meta_is_what_celery_stores(void **state)
{
    (void)state;
    json_t *pid = json_pack("{s:i,s:s}", "pid", 7354, "hostname", "w56@vm");
    json_t *two = json_integer(2);
    json_t *children = json_loads("[[[\"a\", null], null]]", 0, NULL);
    struct result r = {.task_id = "04cd",
            .status = RESULT_STARTED,
            .value = pid,
            .group_id = "9848"};
    assert_meta(&r, "{\"status\": \"STARTED\", \"result\": {\"pid\": 7354, \"hostname\": "
                    "\"w56@vm\"}, \"traceback\": null, \"children\": [], \"date_done\": "
                    "null, \"group_id\": \"9848\", \"task_id\": \"04cd\"}");

    r = (struct result){.task_id = "04cd",
            .status = RESULT_SUCCESS,
            .value = two,
            .children = children,
            .done_us = 1795176555322689,
            .group_id = "9848",
            .parent_id = "p-1"};
    assert_meta(&r, "{\"status\": \"SUCCESS\", \"result\": 2, \"traceback\": null, "
                    "\"children\": [[[\"a\", null], null]], \"date_done\": "
                    "\"2026-11-20T12:09:15.322689+00:00\", \"group_id\": \"9848\", "
                    "\"parent_id\": \"p-1\", \"task_id\": \"04cd\"}");
    json_decref(pid);
    json_decref(two);
    json_decref(children);
}

static void a_meta_tells_the_request_when_it_is_to(void **state)
{
    (void)state;
    json_t *five = json_integer(5);
    struct field word = {.type = FIELD_STRING, .value.text = {"v", 1}};
    struct field stamps[] = {{.key = {"k", 1}, .type = FIELD_ARRAY},
            {.key = {"status", 6}, .type = FIELD_STRING, .value.text = {"no", 2}}};
    stamps[0].value.table = (struct table){.fields = &word, .count = 1};
    const struct field all = {
            .type = FIELD_TABLE, .value.table = {.fields = stamps, .count = 2}};
    struct result_request q = {.name = "proj.add",
            .args = {"[1, NaN]", 8},
            .kwargs = {"{\"a\": 1}", 8},
            .worker = "w@h",
            .queue = "celery",
            .stamps = &all};
    const struct result r = {
            .task_id = "t-int", .status = RESULT_SUCCESS, .value = five, .request = &q};
    /* As they are spelled, and no stamp takes the place of what the meta itself says. */
    assert_meta(&r, "{\"status\": \"SUCCESS\", \"result\": 5, \"traceback\": null, "
                    "\"children\": [], \"date_done\": null, \"name\": \"proj.add\", "
                    "\"args\": [1, NaN], \"kwargs\": {\"a\": 1}, \"worker\": \"w@h\", "
                    "\"retries\": 0, \"queue\": \"celery\", \"stamped_headers\": [\"k\", "
                    "\"status\"], \"k\": [\"v\"], \"task_id\": \"t-int\"}");
    q.stamps = NULL;
    q.args = q.kwargs = (struct bytes){NULL, 0};
    assert_meta(&r,
            "{\"status\": \"SUCCESS\", \"result\": 5, \"traceback\": null, "
            "\"children\": [], \"date_done\": null, \"name\": \"proj.add\", "
            "\"args\": null, \"kwargs\": null, \"worker\": \"w@h\", \"retries\": 0, "
            "\"queue\": \"celery\", \"task_id\": \"t-int\"}");
    json_decref(five);
}

static void a_meta_is_read_back(void **state)
{
    (void)state;
    const struct result r = {.task_id = "t",
            .status = RESULT_FAILURE,
            .exc_type = "ValueError",
            .exc_text = "boom",
            .traceback = "there"};
    struct result_message m;
    char *text = meta_of(&r);
    struct bytes bytes = {text, strlen(text)};
    assert_int_equal(result_read_meta(bytes, &m, NULL), CONEY_OK);
    assert_string_equal(m.task_id, "t");
    assert_string_equal(m.status, "FAILURE");
    assert_string_equal(m.traceback, "there");
    assert_true(json_is_null(json_object_get(m.root, "date_done")));
    result_message_fini(&m);
    bytes.len /= 2;
    assert_int_equal(result_read_meta(bytes, &m, NULL), CONEY_ESYNTAX);
    free(text);
}

static void a_meta_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct field stamp = {.key = {"k", 1}, .type = FIELD_BOOL};
    const struct field all = {
            .type = FIELD_TABLE, .value.table = {.fields = &stamp, .count = 1}};
    const struct result_request q = {.name = "n", .stamps = &all};
    const struct result r = {
            .task_id = "t", .status = RESULT_FAILURE, .exc_text = "x", .request = &q};
    for (unsigned n = 1;; n++) {
        struct buffer b;
        buffer_init(&b, 100000);
        test_fail_allocation(n);
        enum coney_rc rc = result_write_meta(&r, &b, NULL);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        buffer_fini(&b);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        if (!has_failed)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_meta_is_what_celery_stores),
            cmocka_unit_test(a_meta_tells_the_request_when_it_is_to),
            cmocka_unit_test(a_meta_is_read_back),
            cmocka_unit_test(a_meta_survives_every_failed_allocation),
            cmocka_unit_test(each_status_has_the_body_celery_writes),
            cmocka_unit_test(properties_are_those_of_the_rpc_backend),
            cmocka_unit_test(text_that_is_not_utf8_is_repaired),
            cmocka_unit_test(a_value_no_client_can_read_is_refused),
            cmocka_unit_test(what_is_too_large_is_refused),
            cmocka_unit_test(what_is_encoded_is_decoded),
            cmocka_unit_test(celerys_results_are_read_with_any_status),
            cmocka_unit_test(a_malformed_result_is_refused),
            cmocka_unit_test(both_ways_say_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
