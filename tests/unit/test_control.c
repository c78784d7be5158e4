/* SPDX-License-Identifier: MIT */
/* test_control.c - remote control as Celery's client sends it, and as others might. */
#include "base/rng.h"
#include "message/control.h"
#include "unit/messages.h"

static struct envelope request(const char *body)
{
    struct envelope e;
    assert_int_equal(envelope_init(&e), CONEY_OK);
    e.properties.content_type = "application/json";
    e.properties.content_encoding = "utf-8";
    set_body(&e, body, strlen(body));
    return e;
}

static struct control_request *decoded(const char *body)
{
    struct coney_error err;
    struct control_request *r = NULL;
    struct envelope e = request(body);
    set_integer_header(&e, "clock", 12);
    if (control_decode(&e, &r, &err) != CONEY_OK)
        fail_msg("%s: %s", err.text, body);
    envelope_fini(&e);
    return r;
}

static bool is_for(const char *body, const char *node)
{
    struct control_request *r = decoded(body);
    bool is = control_is_for(r, node);
    control_request_free(r);
    return is;
}

static void a_request_of_celerys_is_read(void **state)
{
    (void)state;
    struct control_request *r = decoded(
            "{\"method\": \"ping\", \"arguments\": {\"x\": 1}, \"destination\": null, "
            "\"pattern\": null, \"matcher\": null, \"ticket\": \"5d50\", \"reply_to\": "
            "{\"exchange\": \"reply.celery.pidbox\", \"routing_key\": \"5919\"}}");
    assert_string_equal(r->method, "ping");
    assert_int_equal(json_integer_value(json_object_get(r->arguments, "x")), 1);
    assert_string_equal(r->ticket, "5d50");
    assert_string_equal(r->reply_exchange, "reply.celery.pidbox");
    assert_string_equal(r->reply_key, "5919");
    assert_int_equal(r->clock, 12);
    assert_true(control_is_for(r, "coney@h"));
    assert_false(control_is_named(r, "coney@h"));
    control_request_free(r);
}

static void what_can_be_made_sense_of_is_read(void **state)
{
    (void)state;
    static const char odd[] =
            "{\"method\": \"ping\", \"reply_to\": {\"exchange\": null, \"routing_key\": "
            "\"k\"}, \"destination\": 5, \"pattern\": [], \"matcher\": 1}";
    static const char *const bodies[] = {
            "{\"method\": \"ping\"}",
            "{\"method\": \"ping\", \"arguments\": [1, 2], \"other\": {}}",
            "{\"method\": \"ping\", \"arguments\": null, \"reply_to\": 5}",
            "{\"method\": \"ping\", \"reply_to\": {\"exchange\": \"x\"}, \"ticket\": 7}",
            odd,
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct control_request *r = decoded(bodies[i]);
        assert_string_equal(r->method, "ping");
        assert_int_equal(json_object_size(r->arguments), 0);
        assert_null(r->reply_exchange);
        assert_null(r->reply_key);
        assert_true(control_is_for(r, "coney@h"));
        control_request_free(r);
    }
}

static void the_rest_is_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "not json", "[]", "{}", "\"ping\"", "null",
            "{\"method\": 5}", "{\"method\": \"\"}", "{\"method\": \"a\\u0000b\"}",
            "{\"method\": \"ping\", \"method\": \"pong\"}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct coney_error err;
        struct control_request *r = NULL;
        struct envelope e = request(bodies[i]);
        assert_int_equal(control_decode(&e, &r, &err), CONEY_ESYNTAX);
        assert_null(r);
        envelope_fini(&e);
    }
}

static void a_clock_out_of_all_measure_is_none(void **state)
{
    (void)state;
    struct envelope e = request("{\"method\": \"ping\"}");
    struct control_request *r = NULL;
    set_header(&e, "clock", "12");
    assert_int_equal(control_decode(&e, &r, NULL), CONEY_OK);
    assert_int_equal(r->clock, 0);
    control_request_free(r);
    set_integer_header(&e, "clock", INT64_C(1795177801892363));
    assert_int_equal(control_decode(&e, &r, NULL), CONEY_OK);
    assert_int_equal(r->clock, 0);
    control_request_free(r);
    envelope_fini(&e);
}

static void a_destination_is_a_full_node_name(void **state)
{
    (void)state;
#define TO(destination) "{\"method\": \"ping\", \"destination\": " destination "}"
    assert_true(is_for(TO("[\"a@h\", \"coney@h\"]"), "coney@h"));
    assert_false(is_for(TO("[\"a@h\", \"coney@i\", 5, null]"), "coney@h"));
    assert_true(is_for(TO("[]"), "coney@h"));
    assert_true(is_for(TO("\"coney@h\""), "coney@h"));
    assert_false(is_for(TO("\"coney\""), "coney@h"));
    /* The pattern is not looked at then. */
    assert_false(
            is_for(TO("[\"a@h\"], \"pattern\": \"*\", \"matcher\": \"glob\""), "b@h"));
}

static void a_pattern_decides_for_all_others(void **state)
{
    (void)state;
#define LIKE(p, m) "{\"method\": \"ping\", \"pattern\": " p ", \"matcher\": " m "}"
    assert_true(is_for(LIKE("\"coney*\"", "\"glob\""), "coney@h"));
    assert_false(is_for(LIKE("\"celery*\"", "\"glob\""), "coney@h"));
    assert_true(is_for(LIKE("\"celery*\"", "null"), "coney@h"));
    assert_true(is_for(LIKE("\"\"", "\"glob\""), "coney@h"));
    assert_false(is_for(LIKE("\"*\"", "\"fuzzy\""), "coney@h"));
}

static void patterns_fit_as_in_python(void **state)
{
    (void)state;
    static const struct {
        const char *matcher, *pattern, *text;
        bool fits;
    } rows[] = {
            {"glob", "*@h", "coney@h", true},
            {"glob", "con?y@*", "coney@h", true},
            {"glob", "[!a-c]*", "coney@h", false},
            {"glob", "[a-c]*", "coney@h", true},
            {"glob", "coney", "coney@h", false},
            {"glob", "coney\\@h", "coney@h", false},
            {"pcre", "coney", "coney@h", true}, /* anchored at its start only */
            {"pcre", "oney", "coney@h", false},
            {"pcre", "^coney@h$", "coney@h", true},
            {"pcre", "coney-\\d+@.*", "coney-12@h", true},
            {"pcre", "coney-\\D+@.*", "coney-12@h", false},
            {"pcre", "(?:celery|coney)@\\w+$", "coney@h", true},
            {"pcre", "x|coney", "coney@h", true},
            {"pcre", "y|oney", "coney@h", false},
            {"pcre", "c.{3}y", "coney@h", true},
            {"pcre", "", "coney@h", true},
            /* what has no form here fits nothing */
            {"pcre", "(?=coney)", "coney@h", false},
            {"pcre", "(c)oney\\1", "coney@hc", false},
            {"pcre", "((c{9}){9}){9}", "coney@h", false},
            {"pcre", "(coney", "coney@h", false},
            {"pcre", "coney\\", "coney@h", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (control_pattern_fits(rows[i].matcher, rows[i].pattern, rows[i].text) !=
                rows[i].fits)
            fail_msg("%s %s %s", rows[i].matcher, rows[i].pattern, rows[i].text);
    char endless[600];
    memset(endless, '*', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    assert_false(control_pattern_fits("glob", endless, "coney@h"));
}

static void a_reply_is_keyed_by_the_node_and_names_its_ticket(void **state)
{
    (void)state;
    struct envelope e;
    int64_t clock = 0;
    json_t *pong = control_ok("pong");
    assert_int_equal(control_encode_reply("coney@h", "5d50", 31, pong, &e), CONEY_OK);
    assert_string_equal(e.body.data, "{\"coney@h\": {\"ok\": \"pong\"}}");
    assert_string_equal(table_text(&e.headers, "ticket").data, "5d50");
    assert_true(table_integer(&e.headers, "clock", &clock));
    assert_int_equal(clock, 31);
    assert_int_equal(e.properties.delivery_mode, DELIVERY_TRANSIENT);
    assert_string_equal(e.properties.content_type, "application/json");
    envelope_fini(&e);
    json_decref(pong);
}

static void an_answer_is_fit_to_print(void **state)
{
    (void)state;
    json_t *o = control_error("KeyError('%s')", "no\nsuch\xff");
    assert_string_equal(
            json_string_value(json_object_get(o, "error")), "KeyError('no?such?')");
    json_decref(o);
}

/* Bytes of a good request changed at random: read or refused, never worse. */
static void no_damage_harms(void **state)
{
    (void)state;
    static const char good[] =
            "{\"method\": \"revoke\", \"arguments\": {\"task_id\": [\"a\", \"b\"]}, "
            "\"destination\": [\"coney@h\"], \"pattern\": \"c*\", \"matcher\": \"pcre\", "
            "\"ticket\": \"t\", \"reply_to\": {\"exchange\": \"x\", \"routing_key\": \"k\"}}";
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 5000; i++) {
        char body[sizeof(good)];
        memcpy(body, good, sizeof(good));
        for (int n = 0; n < 3; n++)
            body[rng_below(&r, sizeof(good) - 1)] = (char)(1 + rng_below(&r, 255));
        struct envelope e = request(body);
        struct control_request *request = NULL;
        if (control_decode(&e, &request, NULL) == CONEY_OK) {
            (void)control_is_for(request, "coney@h");
            assert_true(json_is_object(request->arguments));
        }
        control_request_free(request);
        envelope_fini(&e);
    }
}

static void an_allocation_that_fails_is_an_error(void **state)
{
    (void)state;
    struct envelope e = request("{\"method\": \"ping\", \"ticket\": \"t\"}");
    struct envelope out;
    struct control_request *r = NULL;
    enum coney_rc rc = CONEY_ENOMEM;
    for (unsigned n = 1; rc != CONEY_OK; n++) {
        test_fail_allocation(n);
        rc = control_decode(&e, &r, NULL);
        test_fail_allocation(0);
        assert_true(rc == CONEY_OK || rc == CONEY_ENOMEM);
    }
    rc = CONEY_ENOMEM;
    for (unsigned n = 1; rc != CONEY_OK; n++) {
        test_fail_allocation(n);
        rc = control_encode_reply("coney@h", r->ticket, 1, r->body, &out);
        test_fail_allocation(0);
        assert_true(rc == CONEY_OK || rc == CONEY_ENOMEM);
    }
    envelope_fini(&out);
    control_request_free(r);
    envelope_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_request_of_celerys_is_read),
            cmocka_unit_test(what_can_be_made_sense_of_is_read),
            cmocka_unit_test(the_rest_is_refused),
            cmocka_unit_test(a_clock_out_of_all_measure_is_none),
            cmocka_unit_test(a_destination_is_a_full_node_name),
            cmocka_unit_test(a_pattern_decides_for_all_others),
            cmocka_unit_test(patterns_fit_as_in_python),
            cmocka_unit_test(a_reply_is_keyed_by_the_node_and_names_its_ticket),
            cmocka_unit_test(an_answer_is_fit_to_print),
            cmocka_unit_test(no_damage_harms),
            cmocka_unit_test(an_allocation_that_fails_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
