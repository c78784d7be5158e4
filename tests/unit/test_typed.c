/* SPDX-License-Identifier: MIT */
/* test_typed.c - kombu's tagged values, written as captured, read from all its versions.
 */
#include "base/rng.h"
#include "message/typed.h"
#include "unit/messages.h"

#include <stdio.h>
#include <stdlib.h>

#define HEX         "0123456789abcdef0123456789abcdef"
#define HEX_UPPER   "0123456789ABCDEF0123456789ABCDEF"
#define UUID(value) "{\"__type__\":\"uuid\",\"__value__\":" value "}"

enum { DEPTH = 20 };

static json_t *parsed(const char *text)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(v);
    return v;
}

/* @v must be the JSON @text, and is released. */
static void assert_json(json_t *v_take, const char *text)
{
    assert_non_null(v_take);
    json_t *expected = parsed(text);
    assert_true(json_equal(v_take, expected));
    assert_int_equal(typed_check(v_take, DEPTH, NULL), CONEY_OK);
    json_decref(expected);
    json_decref(v_take);
}

static void each_kind_is_written_as_kombu_writes_it(void **state)
{
    (void)state;
    assert_json(typed_datetime(1577934245000678),
            "{\"__type__\":\"datetime\","
            "\"__value__\":\"2020-01-02T03:04:05.000678+00:00\"}");
    assert_json(typed_date("2020-01-02"),
            "{\"__type__\":\"date\",\"__value__\":\"2020-01-02\"}");
    assert_json(
            typed_time("01:02:03"), "{\"__type__\":\"time\",\"__value__\":\"01:02:03\"}");
    assert_json(
            typed_decimal("1.10"), "{\"__type__\":\"decimal\",\"__value__\":\"1.10\"}");
    assert_json(typed_uuid("00000000-0000-0000-0000-00000000000A"),
            "{\"__type__\":\"uuid\","
            "\"__value__\":{\"hex\":\"0000000000000000000000000000000a\"}}");
    assert_json(typed_bytes(bytes_of("abc")),
            "{\"__type__\":\"bytes\",\"__value__\":\"abc\"}");
    assert_json(typed_bytes((struct bytes){.data = "\xff\0", .len = 2}),
            "{\"__type__\":\"base64\",\"__value__\":\"/wA=\"}");
    assert_json(typed_bytes((struct bytes){.data = NULL, .len = 0}),
            "{\"__type__\":\"bytes\",\"__value__\":\"\"}");
}

static void what_is_not_of_the_kind_is_not_written(void **state)
{
    (void)state;
    assert_null(typed_datetime(INT64_MAX));
    assert_null(typed_date("2020-02-30"));
    assert_null(typed_date("2020-01-02T00:00:00"));
    assert_null(typed_time("1:02:03"));
    assert_null(typed_time("25:00:00"));
    assert_null(typed_decimal("1,5"));
    assert_null(typed_decimal(""));
    assert_null(typed_uuid("0000"));
    assert_null(typed_uuid("g0000000000000000000000000000000"));
}

static void a_datetime_is_read_tagged_or_plain(void **state)
{
    (void)state;
    static const char *const texts[] = {
            "{\"__type__\":\"datetime\",\"__value__\":\"2020-01-02T03:04:05.000678+00:00\"}",
            "{\"__value__\":\"2020-01-02T03:04:05.000678\",\"__type__\":\"datetime\"}",
            "\"2020-01-02T03:04:05.000678Z\""};
    for (size_t i = 0; i < 3; i++) {
        json_t *v = parsed(texts[i]);
        int64_t us;
        assert_int_equal(typed_read_datetime(v, &us), CONEY_OK);
        assert_true(us == 1577934245000678);
        json_decref(v);
    }
}

static void texts_are_read_tagged_or_plain(void **state)
{
    (void)state;
    const char *text;
    json_t *v =
            parsed("[{\"__type__\":\"date\",\"__value__\":\"2020-01-02\"},\"2020-01-02\","
                   "{\"__type__\":\"time\",\"__value__\":\"01:02:03\"},\"01:02:03.5\","
                   "{\"__type__\":\"decimal\",\"__value__\":\"-1.5E+3\"},\"NaN\"]");
    assert_int_equal(typed_read_date(json_array_get(v, 0), &text), CONEY_OK);
    assert_string_equal(text, "2020-01-02");
    assert_int_equal(typed_read_date(json_array_get(v, 1), &text), CONEY_OK);
    assert_int_equal(typed_read_time(json_array_get(v, 2), &text), CONEY_OK);
    assert_string_equal(text, "01:02:03");
    assert_int_equal(typed_read_time(json_array_get(v, 3), &text), CONEY_ESYNTAX);
    assert_int_equal(typed_read_decimal(json_array_get(v, 4), &text), CONEY_OK);
    assert_string_equal(text, "-1.5E+3");
    assert_int_equal(typed_read_decimal(json_array_get(v, 5), &text), CONEY_OK);
    assert_int_equal(typed_read_date(json_array_get(v, 2), &text), CONEY_ESYNTAX);
    json_decref(v);
}

static void a_uuid_is_read_from_every_version_of_kombu(void **state)
{
    (void)state;
    static const char *const fine[] = {UUID("{\"hex\":\"" HEX "\"}"),
            UUID("{\"hex\":\"" HEX_UPPER "\"}"),
            UUID("{\"hex\":\"" HEX "\",\"version\":4}"),
            "\"01234567-89ab-cdef-0123-456789abcdef\""};
    static const char *const bad[] = {UUID("\"" HEX "\""), UUID("{\"hex\":\"01\"}"),
            UUID("{\"hex\":\"" HEX "\",\"version\":9}"),
            UUID("{\"hex\":\"" HEX "\",\"int\":4}"),
            "{\"__type__\":\"date\",\"__value__\":{\"hex\":\"" HEX "\"}}", "5"};
    char text[TYPED_UUID_SIZE];

    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        json_t *v = parsed(fine[i]);
        assert_int_equal(typed_read_uuid(v, text), CONEY_OK);
        assert_string_equal(text, "01234567-89ab-cdef-0123-456789abcdef");
        json_decref(v);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *v = parsed(bad[i]);
        assert_int_equal(typed_read_uuid(v, text), CONEY_ESYNTAX);
        json_decref(v);
    }
}

static void bytes_of_any_length_and_content_come_back(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 12);
    for (size_t len = 0; len < 200; len++) {
        uint8_t data[200];
        struct arena *a = arena_new(0);
        struct bytes back;
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)(len % 2 ? rng_next(&r) : rng_below(&r, 128));
        json_t *v = typed_bytes((struct bytes){.data = data, .len = len});
        assert_int_equal(typed_check(v, DEPTH, NULL), CONEY_OK);
        assert_int_equal(typed_read_bytes(v, a, &back), CONEY_OK);
        assert_int_equal(back.len, len);
        assert_memory_equal(back.data, data, len);
        json_decref(v);
        arena_free(a);
    }
}

static void broken_base64_is_not_read(void **state)
{
    (void)state;
    static const char *const bad[] = {"A", "AA", "AAA", "A===", "====", "AA=A",
            "AA==AA==", "A*==", " AAAA", "AAAA\\n", "AA\\u0000="};
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[100];
        struct bytes out;
        snprintf(text, sizeof(text), "{\"__type__\":\"base64\",\"__value__\":\"%s\"}",
                bad[i]);
        json_t *v = json_loads(text, JSON_ALLOW_NUL, NULL);
        assert_int_equal(typed_read_bytes(v, a, &out), CONEY_ESYNTAX);
        assert_int_equal(typed_check(v, DEPTH, NULL), CONEY_EINVAL);
        json_decref(v);
    }
    arena_free(a);
}

static void an_unknown_tag_is_a_plain_object_but_is_never_sent(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"__type__\":\"money\",\"__value__\":1}",
            "{\"__type__\":5,\"__value__\":1}", "{\"__type__\":null,\"__value__\":null}",
            "{\"__type__\":\"date\\u0000\",\"__value__\":\"2020-01-02\"}",
            "[[{\"a\":{\"__type__\":\"x\",\"__value__\":1}}]]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *v = json_loads(bad[i], JSON_ALLOW_NUL, NULL);
        assert_int_equal(typed_kind(v), TYPED_NONE);
        assert_int_equal(typed_check(v, DEPTH, NULL), CONEY_EINVAL);
        json_decref(v);
    }
}

static void only_exactly_the_two_keys_make_a_tag(void **state)
{
    (void)state;
    static const char *const fine[] = {"{\"__type__\":\"money\"}",
            "{\"__type__\":\"money\",\"__value__\":1,\"x\":2}", "{\"__value__\":1}",
            "{\"__type__\":\"money\",\"value\":1}", "[\"__type__\",\"__value__\"]"};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        json_t *v = parsed(fine[i]);
        assert_int_equal(typed_kind(v), TYPED_NONE);
        assert_int_equal(typed_check(v, DEPTH, NULL), CONEY_OK);
        json_decref(v);
    }
}

static void a_known_tag_must_have_a_value_that_old_pythons_read(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        const char *value;
        enum coney_rc rc;
    } rows[] = {
            {"datetime", "\"2020-01-02T03:04:05\"", CONEY_OK},
            {"datetime", "\"2020-01-02T03:04:05.123\"", CONEY_OK},
            {"datetime", "\"2020-01-02T03:04:05+02:00\"", CONEY_OK},
            {"datetime", "\"2020-01-02T03:04:05Z\"", CONEY_EINVAL},
            {"datetime", "\"2020-01-02T03:04:05.12\"", CONEY_EINVAL},
            {"datetime", "\"2020-01-02T03:04:05.1234567\"", CONEY_EINVAL},
            {"datetime", "\"2020-01-02T03:04:05+0200\"", CONEY_EINVAL},
            {"datetime", "\"2020-01-02\"", CONEY_EINVAL},
            {"datetime", "1577934245", CONEY_EINVAL},
            {"date", "\"2020-02-29\"", CONEY_OK},
            {"date", "\"2020-2-9\"", CONEY_EINVAL},
            {"time", "\"01:02:03.000004\"", CONEY_OK},
            {"time", "\"01:02\"", CONEY_EINVAL},
            {"decimal", "\"-Infinity\"", CONEY_OK},
            {"decimal", "\"1E+99999999999999999\"", CONEY_OK},
            {"decimal", "\"1E+999999999999999999999\"", CONEY_EINVAL},
            {"decimal", "\"1.2.3\"", CONEY_EINVAL},
            {"decimal", "\"1e\"", CONEY_EINVAL},
            {"decimal", "1.5", CONEY_EINVAL},
            {"bytes", "\"x\"", CONEY_OK},
            {"bytes", "[1]", CONEY_EINVAL},
            {"base64", "\"/wA=\"", CONEY_OK},
            {"base64", "\"/wA\"", CONEY_EINVAL},
            {"uuid", "{\"hex\":\"" HEX "\"}", CONEY_OK},
            {"uuid", "{}", CONEY_EINVAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[200];
        struct coney_error err = {.text = ""};
        snprintf(text, sizeof(text), "{\"__type__\":\"%s\",\"__value__\":%s}",
                rows[i].tag, rows[i].value);
        json_t *v = parsed(text);
        if (typed_check(v, DEPTH, &err) != rows[i].rc)
            fail_msg("%s: %s", text, err.text);
        json_decref(v);
    }
}

static void the_check_reaches_depth_keys_and_texts(void **state)
{
    (void)state;
    json_t *v = parsed("[[[1]]]");
    assert_int_equal(typed_check(v, 3, NULL), CONEY_OK);
    assert_int_equal(typed_check(v, 2, NULL), CONEY_ELIMIT);
    assert_int_equal(json_array_append_new(v, json_string_nocheck("\xff")), 0);
    assert_int_equal(typed_check(v, 3, NULL), CONEY_EINVAL);
    json_decref(v);
    v = json_object();
    assert_int_equal(json_object_set_new_nocheck(v, "\xff", json_null()), 0);
    assert_int_equal(typed_check(v, 3, NULL), CONEY_EINVAL);
    json_decref(v);
    v = json_array();
    json_t *inner = json_array();
    json_array_append(v, inner);
    json_array_append(inner, v); /* a loop ends at the limit */
    assert_int_equal(typed_check(v, DEPTH, NULL), CONEY_ELIMIT);
    json_array_clear(inner);
    json_decref(inner);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(each_kind_is_written_as_kombu_writes_it),
            cmocka_unit_test(what_is_not_of_the_kind_is_not_written),
            cmocka_unit_test(a_datetime_is_read_tagged_or_plain),
            cmocka_unit_test(texts_are_read_tagged_or_plain),
            cmocka_unit_test(a_uuid_is_read_from_every_version_of_kombu),
            cmocka_unit_test(bytes_of_any_length_and_content_come_back),
            cmocka_unit_test(broken_base64_is_not_read),
            cmocka_unit_test(an_unknown_tag_is_a_plain_object_but_is_never_sent),
            cmocka_unit_test(only_exactly_the_two_keys_make_a_tag),
            cmocka_unit_test(a_known_tag_must_have_a_value_that_old_pythons_read),
            cmocka_unit_test(the_check_reaches_depth_keys_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
