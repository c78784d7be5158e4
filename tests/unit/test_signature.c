/* SPDX-License-Identifier: MIT */
/* test_signature.c - each option of a signature reaches its message, or is refused by
 * name. */
#include "message/signature.h"
#include "message/task.h"
#include "unit/messages.h"

#define NOW_US INT64_C(1795179833003744) /* 2026-11-20T13:03:53.003744Z */

static enum coney_rc encode(const char *options, struct envelope *e,
        struct signature_route *route, struct coney_error *err)
{
    struct rng rng;
    static json_t *kept; /* the route borrows from it */
    const struct signature_sender sender = {
            .origin = "gen1@vm", .reply_to = "mine", .now_us = NOW_US, .rng = &rng};
    json_decref(kept);
    kept = json_pack("{s:s, s:[i], s:{s:i}, s:o}", "task", "proj.add", "args", 1,
            "kwargs", "y", 2, "options", json_loads(options, JSON_ALLOW_NUL, NULL));
    assert_non_null(kept);
    rng_seed(&rng, 1);
    enum coney_rc rc = signature_encode(kept, &sender, e, route, err);
    if (rc != CONEY_OK || !route->queue) {
        json_decref(kept);
        kept = NULL;
    }
    return rc;
}

static struct task_request *request_of(const char *options, struct envelope *e)
{
    const struct message_limits limits = message_limits_default();
    struct signature_route route;
    struct task_request *r = NULL;
    struct coney_error err = {.text = ""};
    if (encode(options, e, &route, &err) != CONEY_OK)
        fail_msg("%s: %s", options, err.text);
    assert_int_equal(task_decode(e, &limits, &r, NULL), CONEY_OK);
    return r;
}

static void names_and_limits_reach_the_headers(void **state)
{
    (void)state;
    struct envelope e;
    struct task_request *r = request_of(
            "{\"task_id\": \"t\", \"group_id\": \"g\", \"group_index\": 3, \"root_id\": \"r\","
            " \"parent_id\": \"p\", \"shadow\": \"s\", \"reply_to\": \"q\", \"retries\": 2,"
            " \"time_limit\": 60, \"soft_time_limit\": 1.5, \"priority\": 7,"
            " \"ignore_result\": true, \"replaced_task_nesting\": 4}",
            &e);

    assert_string_equal(r->id, "t");
    assert_string_equal(r->group, "g");
    assert_string_equal(r->root_id, "r");
    assert_string_equal(r->parent_id, "p");
    assert_string_equal(r->shadow, "s");
    assert_string_equal(r->reply_to, "q");
    assert_string_equal(r->origin, "gen1@vm");
    assert_int_equal(r->group_index, 3);
    assert_int_equal(r->retries, 2);
    assert_int_equal(r->time_limit_ms, 60000);
    assert_int_equal(r->soft_time_limit_ms, 1500);
    assert_int_equal(r->ignore_result, TASK_RESULT_IGNORE);
    assert_int_equal(e.properties.priority, 7);
    int64_t nesting = 0;
    assert_true(table_integer(&e.headers, "replaced_task_nesting", &nesting));
    assert_int_equal(nesting, 4);
    task_request_free(r);
    envelope_fini(&e);
}

static void times_are_spans_from_now_or_moments(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        int64_t eta_us;
        int64_t expires_us;
    } rows[] = {
            {"{}", TASK_NO_TIME, TASK_NO_TIME},
            {"{\"eta\": null, \"expires\": null, \"countdown\": null}", TASK_NO_TIME,
                    TASK_NO_TIME},
            {"{\"countdown\": 2.5}", NOW_US + 2500000, TASK_NO_TIME},
            {"{\"countdown\": 1, \"eta\": \"2030-01-01T00:00:00\"}", NOW_US + 1000000,
                    TASK_NO_TIME},
            {"{\"expires\": 60}", TASK_NO_TIME, NOW_US + 60000000},
            {"{\"eta\": \"2026-11-20T13:03:53.003744+00:00\"}", NOW_US, TASK_NO_TIME},
            {"{\"expires\": {\"__type__\": \"datetime\", \"__value__\": "
             "\"2026-11-20T13:03:53.003744+00:00\"}}",
                    TASK_NO_TIME, NOW_US},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct envelope e;
        struct task_request *r = request_of(rows[i].options, &e);
        assert_int_equal(r->eta_us, rows[i].eta_us);
        assert_int_equal(r->expires_us, rows[i].expires_us);
        task_request_free(r);
        envelope_fini(&e);
    }
}

static void what_follows_goes_into_the_body(void **state)
{
    (void)state;
    struct envelope e;
    struct task_request *r = request_of(
            "{\"link\": {\"task\": \"a\"}, \"link_error\": [{\"task\": \"b\", \"args\": [1],"
            " \"chord_size\": 3}], \"chain\": [], \"chord\": {\"task\": \"c\"}}",
            &e);
    json_t *want = json_loads(
            "{\"callbacks\": [{\"task\": \"a\", \"args\": [], \"kwargs\": {}, \"options\": {}}],"
            " \"errbacks\": [{\"task\": \"b\", \"args\": [1], \"kwargs\": {}, \"options\": {},"
            " \"chord_size\": 3}], \"chain\": [],"
            " \"chord\": {\"task\": \"c\", \"args\": [], \"kwargs\": {}, \"options\": {}}}",
            0, NULL);

    assert_true(json_equal(r->embed, want));
    json_decref(want);
    task_request_free(r);
    envelope_fini(&e);
}

static void headers_and_stamps_are_merged(void **state)
{
    (void)state;
    struct envelope e;
    struct task_request *r = request_of(
            "{\"headers\": {\"tenant\": [1, 2.5, \"x\", null, true, {\"k\": 5000000000}],"
            " \"id\": \"not this\"}, \"stamped_headers\": [\"run\", \"gone\"],"
            " \"run\": [\"r1\"]}",
            &e);
    const struct field *tenant = table_find(&e.headers, "tenant");
    const struct field *stamps = table_find(&e.headers, "stamps");

    assert_string_not_equal(r->id, "not this");
    assert_int_equal(tenant->type, FIELD_ARRAY);
    assert_int_equal(tenant->value.table.count, 6);
    assert_int_equal(tenant->value.table.fields[1].type, FIELD_F64);
    assert_int_equal(tenant->value.table.fields[5].value.table.fields[0].type, FIELD_I64);
    assert_int_equal(stamps->value.table.count, 1);
    assert_non_null(table_find(&stamps->value.table, "run"));
    assert_int_equal(table_find(&e.headers, "stamped_headers")->value.table.count, 1);
    task_request_free(r);
    envelope_fini(&e);
}

static void a_wrong_option_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
            {"{\"serializer\": \"pickle\"}", "serializer"},
            {"{\"priority\": \"high\"}", "priority"},
            {"{\"priority\": 256}", "priority"},
            {"{\"retries\": 1.5}", "retries"},
            {"{\"time_limit\": -1}", "time_limit"},
            {"{\"soft_time_limit\": \"5\"}", "soft_time_limit"},
            {"{\"countdown\": \"soon\"}", "countdown"},
            {"{\"countdown\": 1e300}", "countdown"},
            {"{\"eta\": \"tomorrow\"}", "eta"},
            {"{\"eta\": 5}", "eta"},
            {"{\"expires\": true}", "expires"},
            {"{\"task_id\": 5}", "task_id"},
            {"{\"queue\": {\"name\": \"q\"}}", "queue"},
            {"{\"ignore_result\": 1}", "ignore_result"},
            {"{\"headers\": []}", "headers"},
            {"{\"headers\": {\"x\": \"\\u0000\"}}", "x"},
            {"{\"stamped_headers\": \"k\"}", "stamped_headers"},
            {"{\"link\": 5}", "link"},
            {"{\"link\": [5]}", "callbacks"},
            {"{\"chain\": [{}]}", "chain"},
            {"{\"chord\": []}", "chord"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct envelope e;
        struct signature_route route;
        struct coney_error err = {.text = ""};
        assert_int_equal(encode(rows[i][0], &e, &route, &err), CONEY_EINVAL);
        if (!strstr(err.text, rows[i][1]))
            fail_msg("\"%s\" does not name %s", err.text, rows[i][1]);
        assert_null(e.arena);
    }
}

static void the_route_is_what_the_options_say(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        const char *queue;
    } rows[] = {
            {"{\"queue\": \"q\"}", "q"},
            {"{\"exchange\": \"\", \"routing_key\": \"k\"}", "k"},
            {"{\"queue\": \"q\", \"exchange\": \"\", \"routing_key\": \"k\"}", "q"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct envelope e;
        struct signature_route route;
        assert_int_equal(encode(rows[i].options, &e, &route, NULL), CONEY_OK);
        assert_string_equal(route.queue, rows[i].queue);
        assert_null(route.exchange);
        envelope_fini(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(names_and_limits_reach_the_headers),
            cmocka_unit_test(times_are_spans_from_now_or_moments),
            cmocka_unit_test(what_follows_goes_into_the_body),
            cmocka_unit_test(headers_and_stamps_are_merged),
            cmocka_unit_test(a_wrong_option_is_refused_by_name),
            cmocka_unit_test(the_route_is_what_the_options_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
