/* SPDX-License-Identifier: MIT */
/* test_json.c - what Python writes is read whole, within limits; the rest is refused. */
#include "base/json.h"
#include "base/rng.h"
#include "test.h"

#include <string.h>

static const struct json_limits limits = {
        .text_max = 1 << 20, .values_max = 10000, .depth_max = 64};

static enum coney_rc read_bytes(
        const char *s, size_t len, json_t **out, struct coney_error *err)
{
    /* An allocation of exactly this size lets the sanitizer see a read beyond it. */
    char *copy = malloc(len + 1);
    memcpy(copy, s, len);
    char *exact = memmove(copy + 1, copy, len);
    enum coney_rc rc =
            json_read((struct bytes){.data = exact, .len = len}, &limits, out, err);
    free(copy);
    return rc;
}

static enum coney_rc read_text(const char *s, json_t **out, struct coney_error *err)
{
    return read_bytes(s, strlen(s), out, err);
}

/* @s as compact JSON after reading; the caller frees. */
static char *through(const char *s)
{
    json_t *v;
    struct coney_error err;
    enum coney_rc rc = read_text(s, &v, &err);
    if (rc != CONEY_OK)
        fail_msg("%s: %s", s, err.text);
    char *out = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    json_decref(v);
    return out;
}

static void plain_json_is_read_as_it_is(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]", "{}", "null", "true", "\"x\"", "0", "-1",
            "[1,2.5,\"a\",{\"b\":[null]}]", "9223372036854775807", "-9223372036854775808",
            "\"\\u0000\"", "[1e-07]", "\"\\\"\\\\\""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *out = through(texts[i]);
        json_t *a = json_loads(texts[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        json_t *b = json_loads(out, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
        free(out);
    }
}

static void what_c_has_no_type_for_becomes_a_string(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } rows[] = {
            {"NaN", "\"NaN\""},
            {"[Infinity, -Infinity]", "[\"Infinity\",\"-Infinity\"]"},
            {"{\"a\": NaN}", "{\"a\":\"NaN\"}"},
            {"9223372036854775808", "\"9223372036854775808\""},
            {"-9223372036854775809", "\"-9223372036854775809\""},
            {"[18446744073709551616]", "[\"18446744073709551616\"]"},
            {"123456789012345678901234567890", "\"123456789012345678901234567890\""},
            {"1e999", "\"1e999\""},
            {"-1.5E+400", "\"-1.5E+400\""},
            {"\"\\ud800\"", "\"\xef\xbf\xbd\""},
            {"\"a\\udfffb\"", "\"a\xef\xbf\xbd"
                              "b\""},
            {"\"\\ud83dx\"", "\"\xef\xbf\xbdx\""},
            {"\"\\ud83d\\ud83d\\ude00\"", "\"\xef\xbf\xbd\xf0\x9f\x98\x80\""},
            {"\"\\uD83D\\uDE00\"", "\"\xf0\x9f\x98\x80\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *out = through(rows[i].from);
        assert_string_equal(out, rows[i].to);
        free(out);
    }
}

static void text_that_only_looks_like_it_stays(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } rows[] = {
            {"\"NaN\"", "\"NaN\""},
            {"\"\\\\ud800\"", "\"\\\\ud800\""},
            {"{\"Infinity\": 1}", "{\"Infinity\":1}"},
            {"[\"[[[[\\\"NaN\"]", "[\"[[[[\\\"NaN\"]"},
            {"1.7976931348623157e308", "1.7976931348623157e308"},
            {"[0.1]", "[0.10000000000000001]"},
            {"[1e-400]", "[0.0]"},
            {"\"99999999999999999999\"", "\"99999999999999999999\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *out = through(rows[i].from);
        assert_string_equal(out, rows[i].to);
        free(out);
    }
}

static void a_real_of_very_many_characters_becomes_a_string(void **state)
{
    (void)state;
    char s[700];
    json_t *v;

    memset(s, '0', sizeof(s));
    s[1] = '.';
    s[sizeof(s) - 1] = '\0';
    assert_int_equal(read_text(s, &v, NULL), CONEY_OK);
    assert_string_equal(json_string_value(v), s);
    json_decref(v);
}

static void what_is_not_json_is_refused_and_never_quoted(void **state)
{
    (void)state;
    static const char *const bad[] = {"", " ", "[", "]", "[1,]", "{\"a\"}", "{a: 1}",
            "nan", "Nan", "NaNs", "+Infinity", "--Infinity", "1NaN", "[NaN NaN]", "01",
            "-", "1.", ".5", "1e", "0x10", "[1] []", "\"open", "\"\\", "\"\\u12\"",
            "\"\\ud800", "\"tab\t\"", "\"\xff\"", "\"\xed\xa0\x80\"", "\xef\xbb\xbf[]",
            "{NaN: 1}", "{99999999999999999999: 1}", "{Infinity : 1}",
            "00000000000000000000001", "000000000000000000000000000000001",
            "{\"secret\": 1, \"secret\": 2}", "{\"a\": {\"k\": 1, \"k\": 1}}",
            "{\"\\u0000\": 1}", "'x'", "[1}", "undefined"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *v;
        struct coney_error err;
        enum coney_rc rc = read_text(bad[i], &v, &err);
        if (rc != CONEY_ESYNTAX)
            fail_msg("%s: %s", bad[i], coney_rc_name(rc));
        assert_null(v);
        assert_null(strstr(err.text, "secret"));
    }
}

static void an_error_says_where(void **state)
{
    (void)state;
    json_t *v;
    struct coney_error err;
    assert_int_equal(read_text("[1,\n  x]", &v, &err), CONEY_ESYNTAX);
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 3);
    assert_int_equal(read_text("[NaN,\n  x]", &v, &err), CONEY_ESYNTAX);
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 0);
    assert_int_equal(read_text("{\"a\":1,\"a\":2}", &v, &err), CONEY_ESYNTAX);
    assert_non_null(strstr(err.text, "twice"));
}

static enum coney_rc read_limited(const char *s, struct json_limits l, const char *word)
{
    json_t *v;
    struct coney_error err = {.text = ""};
    enum coney_rc rc =
            json_read((struct bytes){.data = s, .len = strlen(s)}, &l, &v, &err);
    if (rc != CONEY_OK)
        assert_non_null(strstr(err.text, word));
    else
        json_decref(v);
    return rc;
}

static void each_limit_holds_exactly(void **state)
{
    (void)state;
    struct json_limits l = {.text_max = 100, .values_max = 100, .depth_max = 3};
    assert_int_equal(read_limited("[[[1]]]", l, "deeper than 3"), CONEY_OK);
    assert_int_equal(read_limited("[[{\"a\":[]}]]", l, "deeper than 3"), CONEY_ELIMIT);
    assert_int_equal(read_limited("[\"[[[[[\",[[]]]", l, "deeper than 3"), CONEY_OK);
    assert_int_equal(read_limited("[[[]],[[]],[[]]]", l, "deeper than 3"), CONEY_OK);
    l.values_max = 4;
    assert_int_equal(read_limited("[1,\"a\",null]", l, "than 4"), CONEY_OK);
    assert_int_equal(read_limited("[1,\"a\",null,{}]", l, "than 4"), CONEY_ELIMIT);
    assert_int_equal(read_limited("{\"a\":1,\"b\":2}", l, "than 4"), CONEY_ELIMIT);
    l.text_max = 7;
    assert_int_equal(read_limited("[1,2,3]", l, "than 7"), CONEY_OK);
    assert_int_equal(read_limited("[1,2,3] ", l, "than 7"), CONEY_ELIMIT);
}

/* 2^20 brackets would be a stack overflow in a recursive parser. */
static void depth_is_checked_before_anything_is_parsed(void **state)
{
    (void)state;
    enum { DEEP = 1 << 20 };
    char *s = malloc(DEEP);
    json_t *v;
    memset(s, '[', DEEP);
    assert_int_equal(read_bytes(s, DEEP, &v, NULL), CONEY_ELIMIT);
    for (size_t i = 0; i + 5 <= DEEP; i += 5)
        memcpy(s + i, "{\"a\":", 5);
    assert_int_equal(read_bytes(s, DEEP, &v, NULL), CONEY_ELIMIT);
    free(s);
}

static void any_damage_gets_a_clean_answer(void **state)
{
    (void)state;
    static const char seed[] = "[[1, -2.5e3, NaN, 99999999999999999999, \"\\ud83d\\ude00 "
                               "\\ud800 \\n\"], {\"k\": {\"x\": -Infinity}, \"\\u00e9\": "
                               "true}, null, \"h\xc3\xa9\"]";
    static const char pieces[] = "[]{}\",:\\u0dNIe-+.\xff\x00\x80";
    struct rng r;
    int fine = 0;

    rng_seed(&r, 6);
    for (int i = 0; i < 50000; i++) {
        char s[sizeof(seed)];
        size_t len = sizeof(seed) - 1;
        json_t *v;
        memcpy(s, seed, sizeof(seed));
        for (uint64_t hits = rng_below(&r, 4); hits > 0; hits--)
            s[rng_below(&r, len)] = rng_below(&r, 2)
                                            ? (char)rng_next(&r)
                                            : pieces[rng_below(&r, sizeof(pieces) - 1)];
        if (rng_below(&r, 4) == 0)
            len = rng_below(&r, len + 1);
        enum coney_rc rc = read_bytes(s, len, &v, NULL);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX || rc == CONEY_ELIMIT);
        assert_true((rc == CONEY_OK) == (v != NULL));
        fine += rc == CONEY_OK;
        json_decref(v);
    }
    assert_in_range(fine, 5000, 45000);
}

static void writing_is_pythons_spacing_in_ascii(void **state)
{
    (void)state;
    json_t *v = json_pack(
            "{s:[i,f,n,b],s:s}", "a", 1, 0.5, 1, "b", "h\xc3\xa9\xf0\x9f\x98\x80\n");
    struct buffer b;
    buffer_init(&b, 1000);
    assert_int_equal(json_write(v, &b), CONEY_OK);
    assert_int_equal(buffer_append(&b, "", 1), CONEY_OK);
    assert_string_equal((char *)buffer_data(&b),
            "{\"a\": [1, 0.5, null, true], \"b\": \"h\\u00E9\\uD83D\\uDE00\\n\"}");
    buffer_fini(&b);
    json_decref(v);
}

static void writing_tells_a_full_buffer_from_a_bad_value(void **state)
{
    (void)state;
    json_t *v = json_pack("[s]", "0123456789");
    json_t *bad = json_string_nocheck("\xff");
    json_t *loop = json_array();
    struct buffer b;

    buffer_init(&b, 10);
    assert_int_equal(json_write(v, &b), CONEY_ELIMIT);
    assert_int_equal(json_write(bad, &b), CONEY_EINVAL);
    buffer_clear(&b);
    assert_int_equal(json_array_append(loop, v), 0);
    assert_int_equal(json_array_append(v, loop), 0);
    b.max = 1000;
    assert_int_equal(json_write(loop, &b), CONEY_EINVAL);
    json_array_clear(v);
    buffer_fini(&b);
    json_decref(v);
    json_decref(bad);
    json_decref(loop);
}

static void reading_says_when_memory_is_short(void **state)
{
    (void)state;
    json_t *v;
    test_fail_allocation(1);
    assert_int_equal(
            json_read((struct bytes){.data = "NaN", .len = 3}, &limits, &v, NULL),
            CONEY_ENOMEM);
    assert_null(v);
}

static unsigned allocations_left;

static void *malloc_until(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return malloc(size);
}

static void janssons_lack_of_memory_is_mostly_told_from_bad_syntax(void **state)
{
    (void)state;
    static const char text[] = "[\"x\", {\"k\": [1, 2.5, null]}]";
    json_malloc_t old_malloc;
    json_free_t old_free;
    enum coney_rc rc = CONEY_ENOMEM;
    unsigned told = 0;
    unsigned n;

    json_get_alloc_funcs(&old_malloc, &old_free);
    for (n = 0; rc != CONEY_OK && n < 100; n++) {
        json_t *v;
        allocations_left = n;
        json_set_alloc_funcs(malloc_until, free);
        rc = json_read(
                (struct bytes){.data = text, .len = sizeof(text) - 1}, &limits, &v, NULL);
        json_decref(v);
        json_set_alloc_funcs(old_malloc, old_free);
        assert_true(rc == CONEY_OK || rc == CONEY_ENOMEM || rc == CONEY_ESYNTAX);
        told += rc == CONEY_ENOMEM;
    }
    assert_int_equal(rc, CONEY_OK);
    assert_in_range(n, 10, 99);
    /* Inside a string or a number jansson calls it a syntax error. */
    assert_true(told > n / 2);
}

static void a_member_that_is_no_text_is_none(void **state)
{
    (void)state;
    json_t *object = json_pack("{s:s, s:i, s:n}", "name", "mail", "size", 3, "none");
    assert_string_equal(json_text(object, "name"), "mail");
    assert_null(json_text(object, "size"));
    assert_null(json_text(object, "none"));
    assert_null(json_text(object, "other"));
    assert_null(json_text(json_object_get(object, "size"), "name"));
    assert_null(json_text(NULL, "name"));
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(plain_json_is_read_as_it_is),
            cmocka_unit_test(what_c_has_no_type_for_becomes_a_string),
            cmocka_unit_test(text_that_only_looks_like_it_stays),
            cmocka_unit_test(a_real_of_very_many_characters_becomes_a_string),
            cmocka_unit_test(what_is_not_json_is_refused_and_never_quoted),
            cmocka_unit_test(an_error_says_where),
            cmocka_unit_test(each_limit_holds_exactly),
            cmocka_unit_test(depth_is_checked_before_anything_is_parsed),
            cmocka_unit_test(any_damage_gets_a_clean_answer),
            cmocka_unit_test(writing_is_pythons_spacing_in_ascii),
            cmocka_unit_test(writing_tells_a_full_buffer_from_a_bad_value),
            cmocka_unit_test(reading_says_when_memory_is_short),
            cmocka_unit_test(janssons_lack_of_memory_is_mostly_told_from_bad_syntax),
            cmocka_unit_test(a_member_that_is_no_text_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
