/* SPDX-License-Identifier: MIT */
/* test_context.c - a message around its body, as a task server sees it. */
#include "message/context.h"
#include "unit/messages.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static json_t *encode(const struct context *c)
{
    struct buffer text;
    json_error_t bad;
    buffer_init(&text, 1 << 20);
    assert_int_equal(context_encode(c, &text), CONEY_OK);
    json_t *v = json_loadb((char *)buffer_data(&text), buffer_len(&text), 0, &bad);
    assert_non_null(v);
    buffer_fini(&text);
    return v;
}

static const char *text_at(const json_t *v, const char *part, const char *key)
{
    return json_string_value(json_object_get(json_object_get(v, part), key));
}

static void all_of_the_message_but_its_body_is_there(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct context c = {.envelope = &e,
            .exchange = "",
            .routing_key = "coney.high",
            .hostname = "coney@host",
            .redelivered = true};
    set_header(&e, "x-custom", "v\xffz");
    e.properties.priority = 7;
    json_t *v = encode(&c);
    assert_string_equal(
            text_at(v, "headers", "task"), table_text(&e.headers, "task").data);
    assert_string_equal(text_at(v, "headers", "id"), table_text(&e.headers, "id").data);
    assert_string_equal(text_at(v, "headers", "x-custom"), "v\xef\xbf\xbdz");
    assert_true(
            json_is_array(json_object_get(json_object_get(v, "headers"), "timelimit")));
    assert_string_equal(text_at(v, "properties", "reply_to"), e.properties.reply_to);
    assert_string_equal(text_at(v, "delivery_info", "routing_key"), "coney.high");
    json_t *info = json_object_get(v, "delivery_info");
    assert_true(json_is_true(json_object_get(info, "redelivered")));
    assert_int_equal(json_integer_value(json_object_get(info, "priority")), 7);
    assert_string_equal(json_string_value(json_object_get(v, "hostname")), "coney@host");
    json_decref(v);
    envelope_fini(&e);
}

static void what_json_has_no_type_for_becomes_what_comes_near(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct context c = {.envelope = &e};
    struct field nan = {
            .key = bytes_of("nan"), .type = FIELD_F64, .value = {.number = NAN}};
    struct field price = {.key = bytes_of("price"),
            .type = FIELD_DECIMAL,
            .value = {.decimal = {.scale = 2, .digits = 950}}};
    struct field when = {.key = bytes_of("when"),
            .type = FIELD_TIME,
            .value = {.integer = 1700000000}};
    assert_int_equal(table_set(&e.headers, e.arena, &nan), CONEY_OK);
    assert_int_equal(table_set(&e.headers, e.arena, &price), CONEY_OK);
    assert_int_equal(table_set(&e.headers, e.arena, &when), CONEY_OK);
    json_t *v = encode(&c);
    json_t *headers = json_object_get(v, "headers");
    assert_true(json_is_null(json_object_get(headers, "nan")));
    assert_true(fabs(json_real_value(json_object_get(headers, "price")) - 9.5) < 1e-9);
    assert_int_equal(json_integer_value(json_object_get(headers, "when")), 1700000000);
    assert_true(json_is_null(json_object_get(v, "hostname")));
    json_decref(v);
    envelope_fini(&e);
}

static void too_little_room_is_said(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct context c = {.envelope = &e};
    struct buffer text;
    buffer_init(&text, 100);
    assert_int_equal(context_encode(&c, &text), CONEY_ELIMIT);
    buffer_fini(&text);
    envelope_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(all_of_the_message_but_its_body_is_there),
            cmocka_unit_test(what_json_has_no_type_for_becomes_what_comes_near),
            cmocka_unit_test(too_little_room_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
