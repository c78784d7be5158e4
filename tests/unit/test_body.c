/* SPDX-License-Identifier: MIT */
/* test_body.c - what counts as JSON text, and bodies that unfold. */
#include "base/rng.h"
#include "message/body.h"
#include "message/task.h"
#include "unit/messages.h"

#include <stdlib.h>
#include <zlib.h>

static const struct message_limits limits = {.body_max = 1 << 20, .ratio_max = 100};

static enum coney_rc read_body(
        const struct envelope *e, const struct message_limits *l, struct coney_error *err)
{
    struct arena *a = arena_new(0);
    struct bytes text;
    enum coney_rc rc = body_text(e, l, a, &text, err);
    arena_free(a);
    return rc;
}

static void content_types_other_than_json_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[] = {"application/json; charset=utf-8",
            "application/x-python-serialize", "application/x-yaml", "text/plain",
            "APPLICATION/JSON", ""};
    struct envelope e = captured_task();
    struct coney_error err;

    assert_int_equal(read_body(&e, &limits, &err), CONEY_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        e.properties.content_type = bad[i];
        assert_int_equal(read_body(&e, &limits, &err), CONEY_ESYNTAX);
        assert_non_null(strstr(err.text, bad[i]));
    }
    e.properties.content_type = NULL;
    assert_int_equal(read_body(&e, &limits, &err), CONEY_ESYNTAX);
    envelope_fini(&e);
}

static void encodings_python_tolerates_are_tolerated(void **state)
{
    (void)state;
    static const char *const fine[] = {"utf-8", "UTF-8", "utf8", "binary", NULL};
    struct envelope e = captured_task();
    struct coney_error err;

    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        e.properties.content_encoding = fine[i];
        assert_int_equal(read_body(&e, &limits, &err), CONEY_OK);
    }
    e.properties.content_encoding = "latin-1";
    assert_int_equal(read_body(&e, &limits, &err), CONEY_ESYNTAX);
    assert_non_null(strstr(err.text, "latin-1"));
    envelope_fini(&e);
}

static void a_captured_compressed_body_unfolds(void **state)
{
    (void)state;
    static const uint8_t captured[] = {0x78, 0x9c, 0x8b, 0x8e, 0x36, 0xd2, 0x51, 0x30,
            0x8e, 0xd5, 0x51, 0xa8, 0xae, 0x05, 0x62, 0xa5, 0xe4, 0xc4, 0x9c, 0x9c, 0xa4,
            0xc4, 0xe4, 0xec, 0x62, 0x25, 0x2b, 0x85, 0xbc, 0xd2, 0x9c, 0x1c, 0x1d, 0x05,
            0xa5, 0xd4, 0xa2, 0x22, 0x34, 0x91, 0xe4, 0x8c, 0xc4, 0xcc, 0x3c, 0x64, 0x6e,
            0x7e, 0x51, 0x0a, 0x94, 0x5b, 0x1b, 0x0b, 0x00, 0x0a, 0x6c, 0x19, 0xf2};
    static const char *const names[] = {"application/x-gzip", "gzip", "zlib"};

    for (size_t i = 0; i < 3; i++) {
        struct envelope e = captured_task();
        struct arena *a = arena_new(0);
        struct bytes text;
        set_header(&e, "compression", names[i]);
        set_body(&e, captured, sizeof(captured));
        assert_int_equal(body_text(&e, &limits, a, &text, NULL), CONEY_OK);
        assert_string_equal(text.data, PLAIN_BODY);
        assert_int_equal(text.len, strlen(PLAIN_BODY));
        arena_free(a);
        envelope_fini(&e);
    }
}

static void other_compressions_are_refused_and_the_supported_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"application/x-bz2", "lzma", "application/zstd",
            "application/x-brotli", "", "GZIP"};
    struct envelope e = captured_task();
    struct coney_error err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set_header(&e, "compression", bad[i]);
        assert_int_equal(read_body(&e, &limits, &err), CONEY_ESYNTAX);
        assert_non_null(strstr(err.text, bad[i]));
        assert_non_null(strstr(err.text, "application/x-gzip, gzip, zlib"));
    }
    set_integer_header(&e, "compression", 1);
    assert_int_equal(read_body(&e, &limits, &err), CONEY_ESYNTAX);
    set_header(&e, "compression", NULL);
    assert_int_equal(read_body(&e, &limits, &err), CONEY_OK);
    envelope_fini(&e);
}

/* A task with @text as its body, compressed. */
static struct envelope compressed(const void *text, size_t len)
{
    struct envelope e = captured_task();
    uLongf packed_len = compressBound(len);
    uint8_t *packed = malloc(packed_len);
    assert_int_equal(compress2(packed, &packed_len, text, len, 9), Z_OK);
    set_header(&e, "compression", "zlib");
    set_body(&e, packed, packed_len);
    free(packed);
    return e;
}

static void a_broken_stream_is_refused(void **state)
{
    (void)state;
    struct envelope e = compressed(PLAIN_BODY, strlen(PLAIN_BODY));
    struct bytes whole = e.body;
    struct coney_error err;

    for (size_t len = 0; len < whole.len; len++) {
        e.body = (struct bytes){.data = whole.data, .len = len};
        assert_int_equal(read_body(&e, &limits, &err), CONEY_ESYNTAX);
    }
    char *longer = arena_alloc(e.arena, whole.len + 1);
    memcpy(longer, whole.data, whole.len);
    e.body = (struct bytes){.data = longer, .len = whole.len + 1};
    assert_int_equal(read_body(&e, &limits, &err), CONEY_ESYNTAX);
    assert_non_null(strstr(err.text, "follow"));
    longer[whole.len - 1] ^= 1; /* the checksum */
    e.body.len = whole.len;
    assert_int_equal(read_body(&e, &limits, &err), CONEY_ESYNTAX);
    envelope_fini(&e);
}

static void real_gzip_is_not_what_celery_calls_gzip(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    set_header(&e, "compression", "gzip");
    set_body(&e, "\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0", 20);
    assert_int_equal(read_body(&e, &limits, NULL), CONEY_ESYNTAX);
    envelope_fini(&e);
}

static void a_bomb_is_stopped_by_the_size_limit(void **state)
{
    (void)state;
    enum { LARGE = 4 << 20 };
    char *zeroes = calloc(1, LARGE);
    struct envelope e = compressed(zeroes, LARGE);
    struct message_limits l = {.body_max = 1 << 20, .ratio_max = 100000};
    struct coney_error err;

    assert_int_equal(read_body(&e, &l, &err), CONEY_ELIMIT);
    assert_non_null(strstr(err.text, "1048576 bytes"));
    l.body_max = LARGE - 1;
    assert_int_equal(read_body(&e, &l, &err), CONEY_ELIMIT);
    l.body_max = LARGE;
    assert_int_equal(read_body(&e, &l, &err), CONEY_OK);
    envelope_fini(&e);
    free(zeroes);
}

static void a_bomb_is_stopped_by_the_ratio_limit(void **state)
{
    (void)state;
    enum { LARGE = 4 << 20, SMALL = 64 << 10 };
    char *zeroes = calloc(1, LARGE);
    struct message_limits l = {.body_max = (size_t)1 << 30, .ratio_max = 100};
    struct coney_error err;

    struct envelope e = compressed(zeroes, LARGE);
    assert_int_equal(read_body(&e, &l, &err), CONEY_ELIMIT);
    assert_non_null(strstr(err.text, "100 times"));
    l.ratio_max = 2000;
    assert_int_equal(read_body(&e, &l, &err), CONEY_OK);
    envelope_fini(&e);
    l.ratio_max = 1;
    e = compressed(zeroes, SMALL);
    assert_int_equal(read_body(&e, &l, &err), CONEY_OK);
    envelope_fini(&e);
    e = compressed(zeroes, SMALL + 1);
    assert_int_equal(read_body(&e, &l, &err), CONEY_ELIMIT);
    envelope_fini(&e);
    free(zeroes);
}

static void a_plain_body_has_the_same_size_limit(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct message_limits l = {.body_max = strlen(PLAIN_BODY), .ratio_max = 100};
    struct coney_error err;

    assert_int_equal(read_body(&e, &l, &err), CONEY_OK);
    l.body_max--;
    assert_int_equal(read_body(&e, &l, &err), CONEY_ELIMIT);
    envelope_fini(&e);
}

static void any_damage_to_a_stream_gets_a_clean_answer(void **state)
{
    (void)state;
    struct envelope e = compressed(PLAIN_BODY, strlen(PLAIN_BODY));
    uint8_t *damaged = malloc(e.body.len);
    const void *whole = e.body.data;
    struct rng r;

    rng_seed(&r, 11);
    for (int i = 0; i < 20000; i++) {
        memcpy(damaged, whole, e.body.len);
        for (int hits = 0; hits < 2; hits++)
            damaged[rng_below(&r, e.body.len)] ^= (uint8_t)(1 << rng_below(&r, 8));
        e.body.data = damaged;
        enum coney_rc rc = read_body(&e, &limits, NULL);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX);
    }
    free(damaged);
    envelope_fini(&e);
}

static void reading_says_when_memory_is_short(void **state)
{
    (void)state;
    struct envelope e = compressed(PLAIN_BODY, strlen(PLAIN_BODY));
    for (unsigned n = 1;; n++) {
        struct arena *a = arena_new(0);
        struct bytes text;
        test_fail_allocation(n);
        enum coney_rc rc = body_text(&e, &limits, a, &text, NULL);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        arena_free(a);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        if (!has_failed) {
            assert_true(n > 2);
            break;
        }
    }
    envelope_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(content_types_other_than_json_are_refused_by_name),
            cmocka_unit_test(encodings_python_tolerates_are_tolerated),
            cmocka_unit_test(a_captured_compressed_body_unfolds),
            cmocka_unit_test(other_compressions_are_refused_and_the_supported_named),
            cmocka_unit_test(a_broken_stream_is_refused),
            cmocka_unit_test(real_gzip_is_not_what_celery_calls_gzip),
            cmocka_unit_test(a_bomb_is_stopped_by_the_size_limit),
            cmocka_unit_test(a_bomb_is_stopped_by_the_ratio_limit),
            cmocka_unit_test(a_plain_body_has_the_same_size_limit),
            cmocka_unit_test(any_damage_to_a_stream_gets_a_clean_answer),
            cmocka_unit_test(reading_says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
