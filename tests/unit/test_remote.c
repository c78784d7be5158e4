/* SPDX-License-Identifier: MIT */
/* test_remote.c - no request that could harm a worker can be made, and replies are read.
 */
#include "message/remote.h"
#include "test.h"

#include <string.h>

static const int64_t now_us = INT64_C(1795177801899470);

static json_t *body_of(const struct envelope *e)
{
    json_t *body = json_loadb(e->body.data, e->body.len, 0, NULL);
    assert_non_null(body);
    return body;
}

static void a_request_is_what_celery_sends(void **state)
{
    (void)state;
    struct envelope e;
    json_t *arguments = json_pack("{s:s}", "task_id", "t-1");
    const char *nodes[] = {"w1@vm", "coney@vm"};
    const struct remote_request r = {.method = "revoke",
            .arguments = arguments,
            .target = {.nodes = nodes, .node_count = 2},
            .ticket = "5d50f01a",
            .reply_key = "59190691"};

    assert_int_equal(remote_encode(&r, now_us, &e, NULL), CONEY_OK);
    json_t *expected = json_pack("{s:s, s:{s:s}, s:[s,s], s:n, s:n, s:s, s:{s:s, s:s}}",
            "method", "revoke", "arguments", "task_id", "t-1", "destination", "w1@vm",
            "coney@vm", "pattern", "matcher", "ticket", "5d50f01a", "reply_to",
            "exchange", "reply.celery.pidbox", "routing_key", "59190691");
    json_t *body = body_of(&e);
    assert_true(json_equal(body, expected));
    assert_string_equal(e.properties.content_type, "application/json");
    assert_string_equal(e.properties.content_encoding, "utf-8");
    assert_int_equal(e.properties.delivery_mode, DELIVERY_PERSISTENT);
    const struct field *clock = table_find(&e.headers, "clock");
    const struct field *expires = table_find(&e.headers, "expires");
    assert_non_null(clock);
    assert_true(clock->type == FIELD_I32 && clock->value.integer == 1);
    assert_non_null(expires);
    assert_true(expires->type == FIELD_F64);
    assert_true(
            expires->value.number > 1795177802.8 && expires->value.number < 1795177803);
    json_decref(body);
    json_decref(expected);
    json_decref(arguments);
    envelope_fini(&e);
}

static void without_a_ticket_no_reply_is_asked_for(void **state)
{
    (void)state;
    struct envelope e;
    const struct remote_request r = {
            .method = "shutdown", .target = {.pattern = "w*", .matcher = "glob"}};
    assert_int_equal(remote_encode(&r, now_us, &e, NULL), CONEY_OK);
    json_t *body = body_of(&e);
    assert_null(json_object_get(body, "ticket"));
    assert_null(json_object_get(body, "reply_to"));
    assert_true(json_is_null(json_object_get(body, "destination")));
    assert_string_equal(json_string_value(json_object_get(body, "pattern")), "w*");
    assert_int_equal(json_object_size(json_object_get(body, "arguments")), 0);
    json_decref(body);
    envelope_fini(&e);
}

static void what_could_harm_a_worker_is_refused(void **state)
{
    (void)state;
    json_t *list = json_array();
    const char *empty_node[] = {""};
    const char *odd_node[] = {"\xff"};
    const char *node[] = {"w@h"};
    const struct remote_request bad[] = {
            {.method = "election"},
            {.method = "election", .target = {.nodes = node, .node_count = 1}},
            {.method = ""},
            {.method = "Ping"},
            {.method = "ping "},
            {.method = "ping", .arguments = list},
            {.method = "ping", .ticket = "t"},
            {.method = "ping", .reply_key = "k"},
            {.method = "ping", .ticket = "", .reply_key = "k"},
            {.method = "ping", .ticket = "t", .reply_key = ""},
            {.method = "ping", .target = {.nodes = empty_node, .node_count = 1}},
            {.method = "ping", .target = {.nodes = odd_node, .node_count = 1}},
            {.method = "ping", .target = {.pattern = "w*"}},
            {.method = "ping", .target = {.pattern = "w*", .matcher = "regex"}},
            {.method = "ping", .target = {.pattern = "", .matcher = "glob"}},
            {.method = "ping",
                    .target = {.nodes = node,
                            .node_count = 1,
                            .pattern = "w*",
                            .matcher = "glob"}},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct envelope e;
        struct coney_error err = {.rc = CONEY_OK};
        assert_int_equal(remote_encode(&bad[i], now_us, &e, &err), CONEY_EINVAL);
        assert_int_equal(err.rc, CONEY_EINVAL);
        assert_true(err.text[0] != '\0');
    }
    json_decref(list);
}

static void an_expression_that_python_would_refuse_is_refused_here(void **state)
{
    (void)state;
    const char *bad[] = {"*", "+x", "?", "{2}", "w[", "w(", "w)", "w(a))", "\\", "w\\"};
    const char *good[] = {
            "w.*", "w[0-9]+@(a|b)", "w\\(", "w[)(]", "[(]x", "w\\d+", "\\\\", "a\\[b"};
    struct remote_target t = {.matcher = "pcre"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        t.pattern = bad[i];
        assert_int_equal(remote_check_target(&t, NULL), CONEY_EINVAL);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        t.pattern = good[i];
        assert_int_equal(remote_check_target(&t, NULL), CONEY_OK);
    }
}

static void a_failed_allocation_is_reported(void **state)
{
    (void)state;
    const struct remote_request r = {
            .method = "ping", .ticket = "ticket", .reply_key = "key"};
    for (unsigned n = 1;; n++) {
        struct envelope e;
        test_fail_allocation(n);
        enum coney_rc rc = remote_encode(&r, now_us, &e, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (rc == CONEY_OK)
            envelope_fini(&e);
        if (!failed)
            break;
        assert_int_equal(rc, CONEY_ENOMEM);
    }
}

static void make_reply(struct envelope *e, const char *body, const char *ticket)
{
    assert_int_equal(envelope_init(e), CONEY_OK);
    e->properties.content_type = "application/json";
    e->properties.content_encoding = "utf-8";
    e->body = (struct bytes){.data = body, .len = strlen(body)};
    if (ticket)
        assert_int_equal(
                table_set_text(&e->headers, e->arena, "ticket", ticket), CONEY_OK);
}

static void a_reply_is_known_by_its_ticket(void **state)
{
    (void)state;
    struct envelope e;
    json_t *reply = NULL;
    make_reply(&e, "{\"w56@vm\": {\"ok\": \"pong\"}}", "t-1");
    assert_true(remote_answers(&e, "t-1"));
    assert_false(remote_answers(&e, "t-10"));
    assert_false(remote_answers(&e, "t-"));
    assert_int_equal(remote_decode(&e, &reply, NULL), CONEY_OK);
    assert_non_null(json_object_get(reply, "w56@vm"));
    json_decref(reply);
    envelope_fini(&e);
    make_reply(&e, "{}", NULL);
    assert_false(remote_answers(&e, "t-1"));
    envelope_fini(&e);
}

static void a_reply_in_disrepair_is_refused(void **state)
{
    (void)state;
    const char *bad[] = {"", "[]", "null", "\"x\"", "{", "{\"a\": 1, \"a\": 2}", "\xff"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct envelope e;
        json_t *reply = NULL;
        make_reply(&e, bad[i], "t");
        assert_int_equal(remote_decode(&e, &reply, NULL), CONEY_ESYNTAX);
        assert_null(reply);
        envelope_fini(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_request_is_what_celery_sends),
            cmocka_unit_test(without_a_ticket_no_reply_is_asked_for),
            cmocka_unit_test(what_could_harm_a_worker_is_refused),
            cmocka_unit_test(an_expression_that_python_would_refuse_is_refused_here),
            cmocka_unit_test(a_failed_allocation_is_reported),
            cmocka_unit_test(a_reply_is_known_by_its_ticket),
            cmocka_unit_test(a_reply_in_disrepair_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
