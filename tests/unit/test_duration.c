/* SPDX-License-Identifier: MIT */
/* test_duration.c - durations, sizes and rates: what is read, what is refused, and why.
 */
#include "base/duration.h"
#include "base/rng.h"
#include "support/test.h"

#include <stdio.h>
#include <string.h>

static int64_t ms_of(const char *text)
{
    int64_t ms = -1;
    struct coney_error err = {0};
    if (duration_parse(text, &ms, &err) != CONEY_OK)
        fail_msg("%s: %s", text, err.text);
    return ms;
}

static int64_t bytes_of(const char *text)
{
    int64_t bytes = -1;
    struct coney_error err = {0};
    if (size_parse(text, &bytes, &err) != CONEY_OK)
        fail_msg("%s: %s", text, err.text);
    return bytes;
}

static int64_t rate_of(const char *text)
{
    int64_t rate = -1;
    struct coney_error err = {0};
    if (rate_parse(text, &rate, &err) != CONEY_OK)
        fail_msg("%s: %s", text, err.text);
    return rate;
}

typedef enum coney_rc (*parser)(const char *, int64_t *, struct coney_error *);

/* @text is refused with @rc, and the reason holds @hint. */
static void assert_refused(
        parser parse, const char *text, enum coney_rc rc, const char *hint)
{
    int64_t out = -7;
    struct coney_error err = {0};
    assert_int_equal(parse(text, &out, &err), rc);
    assert_int_equal(out, -7);
    if (!strstr(err.text, hint))
        fail_msg("\"%s\": expected \"%s\" in \"%s\"", text, hint, err.text);
}

static void every_unit_of_a_duration_is_read(void **state)
{
    (void)state;
    assert_int_equal(ms_of("500ms"), 500);
    assert_int_equal(ms_of("10s"), 10000);
    assert_int_equal(ms_of("5m"), 300000);
    assert_int_equal(ms_of("2h"), 7200000);
    assert_int_equal(ms_of("1d"), 86400000);
    assert_int_equal(ms_of("1w"), 604800000);
    assert_int_equal(ms_of("0s"), 0);
    assert_int_equal(ms_of("007s"), 7000);
}

static void several_terms_add_up(void **state)
{
    (void)state;
    assert_int_equal(ms_of("1h30m"), 5400000);
    assert_int_equal(ms_of("1w2d3h4m5s6ms"),
            604800000 + 2 * 86400000 + 3 * 3600000 + 4 * 60000 + 5 * 1000 + 6);
}

static void a_bare_number_is_refused_with_what_it_could_mean(void **state)
{
    (void)state;
    assert_refused(duration_parse, "10", CONEY_ESYNTAX, "write 10ms, 10s, 10m");
    assert_refused(duration_parse, "1h30", CONEY_ESYNTAX, "no unit");
    assert_refused(size_parse, "300", CONEY_ESYNTAX, "write 300M");
    assert_refused(rate_parse, "10", CONEY_ESYNTAX, "10/s, 10/m or 10/h");
}

static void what_is_no_duration_is_refused_with_a_remedy(void **state)
{
    (void)state;
    assert_refused(duration_parse, "", CONEY_ESYNTAX, "as in 1h30m");
    assert_refused(duration_parse, "s", CONEY_ESYNTAX, "is no duration");
    assert_refused(duration_parse, "-5s", CONEY_ESYNTAX, "is no duration");
    assert_refused(duration_parse, " 5s", CONEY_ESYNTAX, "is no duration");
    assert_refused(duration_parse, "5s ", CONEY_ESYNTAX, "is no duration");
    assert_refused(duration_parse, "5 s", CONEY_ESYNTAX, "is no duration");
    assert_refused(duration_parse, "5sec", CONEY_ESYNTAX, "ms, s, m, h, d or w");
    assert_refused(duration_parse, "5M", CONEY_ESYNTAX, "M is mebibytes");
    assert_refused(duration_parse, "1.5h", CONEY_ESYNTAX, "fraction");
    assert_refused(duration_parse, "30m1h", CONEY_ESYNTAX, "largest first");
    assert_refused(duration_parse, "1s1s", CONEY_ESYNTAX, "each unit once");
}

static void more_than_a_century_is_refused_however_it_is_written(void **state)
{
    (void)state;
    assert_int_equal(ms_of("36500d"), DURATION_MAX_MS);
    assert_refused(duration_parse, "36500d1ms", CONEY_ELIMIT, "100 years");
    assert_refused(duration_parse, "36501d", CONEY_ELIMIT, "100 years");
    assert_refused(
            duration_parse, "99999999999999999999999999w", CONEY_ELIMIT, "100 years");
    assert_refused(duration_parse, "18446744073709551617s", CONEY_ELIMIT, "100 years");
}

static void a_text_longer_than_any_duration_is_refused_unread(void **state)
{
    (void)state;
    char text[4096];
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_refused(duration_parse, text, CONEY_ESYNTAX, "too long");
    assert_refused(size_parse, text, CONEY_ESYNTAX, "no unit");
    assert_refused(rate_parse, text, CONEY_ESYNTAX, "per what");
}

static void durations_are_written_in_the_fewest_terms(void **state)
{
    (void)state;
    char text[DURATION_TEXT_SIZE];
    duration_format(0, text);
    assert_string_equal(text, "0s");
    duration_format(5400000, text);
    assert_string_equal(text, "1h30m");
    duration_format(1500, text);
    assert_string_equal(text, "1s500ms");
    duration_format(INT64_C(604800000), text);
    assert_string_equal(text, "7d");
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct rng rng;
    char text[DURATION_TEXT_SIZE];
    rng_seed(&rng, 11);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_below(&rng, 42);
        int64_t n = (int64_t)rng_below(&rng, UINT64_C(1) << bits);
        if (n <= DURATION_MAX_MS) {
            duration_format(n, text);
            assert_int_equal(ms_of(text), n);
        }
        if (n <= SIZE_MAX_BYTES) {
            size_format(n, text);
            assert_int_equal(bytes_of(text), n);
        }
        if (n > 0 && n <= RATE_MAX_PER_HOUR) {
            rate_format(n, text);
            assert_int_equal(rate_of(text), n);
        }
    }
}

static void sizes_are_powers_of_1024(void **state)
{
    (void)state;
    assert_int_equal(bytes_of("4096B"), 4096);
    assert_int_equal(bytes_of("64K"), 65536);
    assert_int_equal(bytes_of("300M"), INT64_C(300) * 1024 * 1024);
    assert_int_equal(bytes_of("2G"), INT64_C(2) << 30);
    assert_refused(size_parse, "300m", CONEY_ESYNTAX, "B, K, M or G");
    assert_refused(size_parse, "300MB", CONEY_ESYNTAX, "is no size");
    assert_refused(size_parse, "M", CONEY_ESYNTAX, "is no size");
    assert_refused(size_parse, "1G1M", CONEY_ESYNTAX, "is no size");
    assert_refused(size_parse, "1025G", CONEY_ELIMIT, "1024G");
    assert_refused(size_parse, "99999999999999999999B", CONEY_ELIMIT, "1024G");
}

static void rates_are_counted_per_hour(void **state)
{
    (void)state;
    assert_int_equal(rate_of("1/s"), 3600);
    assert_int_equal(rate_of("10/m"), 600);
    assert_int_equal(rate_of("100/h"), 100);
    assert_refused(rate_parse, "10/d", CONEY_ESYNTAX, "/s, /m or /h");
    assert_refused(rate_parse, "/m", CONEY_ESYNTAX, "is no rate");
    assert_refused(rate_parse, "0/m", CONEY_ESYNTAX, "never let a task start");
    assert_refused(rate_parse, "1000001/s", CONEY_ELIMIT, "1000000/s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_unit_of_a_duration_is_read),
            cmocka_unit_test(several_terms_add_up),
            cmocka_unit_test(a_bare_number_is_refused_with_what_it_could_mean),
            cmocka_unit_test(what_is_no_duration_is_refused_with_a_remedy),
            cmocka_unit_test(more_than_a_century_is_refused_however_it_is_written),
            cmocka_unit_test(a_text_longer_than_any_duration_is_refused_unread),
            cmocka_unit_test(durations_are_written_in_the_fewest_terms),
            cmocka_unit_test(what_is_written_is_read_back),
            cmocka_unit_test(sizes_are_powers_of_1024),
            cmocka_unit_test(rates_are_counted_per_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
