/* SPDX-License-Identifier: MIT */
/* test_utf8.c - every code point, every byte pair, and texts that must be made to fit. */
#include "base/rng.h"
#include "base/utf8.h"
#include "test.h"

#include <string.h>

static struct bytes text(const char *s)
{
    return (struct bytes){.data = s, .len = strlen(s)};
}

/* UTF-8 by the definition, written independently of the reader. */
static size_t encode(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[len] | c);
    return len;
}

static void every_code_point_but_surrogates_is_valid(void **state)
{
    (void)state;
    uint8_t s[8];
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        size_t len = encode(c, s);
        bool is_surrogate = c >= 0xd800 && c <= 0xdfff;
        assert_int_equal(
                utf8_is_valid((struct bytes){.data = s, .len = len}), !is_surrogate);
        if (len > 1)
            assert_false(utf8_is_valid((struct bytes){.data = s, .len = len - 1}));
    }
    assert_false(utf8_is_valid((struct bytes){.data = s, .len = encode(0x110000, s)}));
}

static void overlong_forms_and_stray_bytes_are_not(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf",
            "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf5\x80\x80\x80", "\xff", "\xfe",
            "ok\xc3", "\xc3(", "\xe2\x82(", "\xf0\x9f\x98("};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(utf8_is_valid(text(bad[i])));
    assert_true(utf8_is_valid((struct bytes){.data = NULL, .len = 0}));
    assert_true(utf8_is_valid((struct bytes){.data = "\0", .len = 1}));
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    const char *s = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"; /* a é € 😀 z: 1 2 3 4 1 */
    static const size_t expected[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t max = 0; max < sizeof(expected) / sizeof(expected[0]); max++)
        assert_int_equal(utf8_cut(text(s), max), expected[max]);
    assert_int_equal(utf8_cut(text("\x80\x80\x80\x80\x80\x80"), 5), 5);
}

static void repairing_replaces_what_is_broken_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } rows[] = {{"", ""}, {"h\xc3\xa9", "h\xc3\xa9"}, {"\xff", "\xef\xbf\xbd"},
            {"a\xc3", "a\xef\xbf\xbd"}, {"\xc3(", "\xef\xbf\xbd("},
            {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}};
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(utf8_repair(a, text(rows[i].from)).data, rows[i].to);
    arena_free(a);
}

static void whatever_comes_the_repaired_and_the_printable_are_utf8(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 5);
    for (int i = 0; i < 20000; i++) {
        uint8_t s[40];
        char shown[24];
        struct bytes b = {.data = s, .len = rng_below(&r, sizeof(s))};
        struct arena *a = arena_new(256);
        for (size_t k = 0; k < b.len; k++)
            s[k] = (uint8_t)(rng_below(&r, 3) ? 0x80 | rng_next(&r) : rng_next(&r));
        struct bytes fine = utf8_repair(a, b);
        assert_true(utf8_is_valid(fine));
        assert_int_equal(((const char *)fine.data)[fine.len], '\0');
        utf8_printable(shown, 4 + rng_below(&r, sizeof(shown) - 4), b);
        assert_true(utf8_is_valid(text(shown)));
        for (const char *c = shown; *c; c++)
            assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
        arena_free(a);
    }
}

static void a_log_line_stays_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
    } rows[] = {{"plain", "plain"}, {"a\nb\x1b[1m\x7f", "a?b?[1m?"},
            {"\xc2\x9b"
             "1m",
                    "?1m"},
            {"\xc2\xa0", "\xc2\xa0"}, {"ex\xffy", "ex?y"}, {"exactly 11!", "exactly 11!"},
            {"longer than 11", "longer t..."},
            {"1234567\xe2\x82\xac"
             "89",
                    "1234567..."}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char shown[12];
        utf8_printable(shown, sizeof(shown), text(rows[i].from));
        assert_string_equal(shown, rows[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_code_point_but_surrogates_is_valid),
            cmocka_unit_test(overlong_forms_and_stray_bytes_are_not),
            cmocka_unit_test(a_cut_never_splits_a_character),
            cmocka_unit_test(repairing_replaces_what_is_broken_and_nothing_else),
            cmocka_unit_test(whatever_comes_the_repaired_and_the_printable_are_utf8),
            cmocka_unit_test(a_log_line_stays_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
