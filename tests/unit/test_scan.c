/* SPDX-License-Identifier: MIT */
/* test_scan.c - tables that are too deep, too wide, cut off or made up. */
#include "amqp/scan.h"
#include "base/rng.h"
#include "scripted_peer.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

static const struct scan_limits limits = {.depth_max = 8, .fields_max = 100};

static enum coney_rc scan(const struct peer_bytes *b, size_t *used)
{
    return scan_table((struct bytes){.data = b->data, .len = b->len}, &limits, used);
}

/* A table that holds itself @depth - 1 times, under the key "k". */
static struct peer_bytes nested(unsigned depth)
{
    struct peer_bytes inner = {.data = NULL};
    peer_number(&inner, 0, 4);
    for (unsigned i = 1; i < depth; i++) {
        struct peer_bytes outer = {.data = NULL};
        peer_number(&outer, inner.len + 3, 4);
        peer_number(&outer, 1, 1);
        peer_raw(&outer, "kF", 2);
        peer_raw(&outer, inner.data, inner.len);
        peer_bytes_fini(&inner);
        inner = outer;
    }
    return inner;
}

static void a_table_may_be_as_deep_as_the_limit_and_no_deeper(void **state)
{
    (void)state;
    for (unsigned depth = 1; depth < 20; depth++) {
        struct peer_bytes b = nested(depth);
        size_t used;
        assert_int_equal(scan(&b, &used), depth <= 8 ? CONEY_OK : CONEY_ELIMIT);
        assert_int_equal(used, b.len);
        peer_bytes_fini(&b);
    }
}

static void a_bomb_of_arrays_costs_no_stack(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    enum { DEPTH = 20000 };
    size_t used;

    peer_number(&b, 2 + DEPTH * 5, 4);
    peer_raw(&b, "\1k", 2);
    for (size_t i = 0; i < DEPTH; i++) {
        peer_raw(&b, "A", 1);
        peer_number(&b, (DEPTH - i - 1) * 5, 4);
    }
    assert_int_equal(scan(&b, &used), CONEY_ELIMIT);
    assert_int_equal(used, b.len);
    peer_bytes_fini(&b);
}

static void a_table_may_have_as_many_fields_as_the_limit_and_no_more(void **state)
{
    (void)state;
    for (size_t count = 98; count < 103; count++) {
        struct peer_bytes b = {.data = NULL};
        size_t used;
        peer_number(&b, count * 3, 4);
        for (size_t i = 0; i < count; i++)
            peer_raw(&b, "\1kV", 3);
        assert_int_equal(scan(&b, &used), count <= 100 ? CONEY_OK : CONEY_ELIMIT);
        peer_bytes_fini(&b);
    }
}

/* Each type once, on its own and in an array. */
static struct peer_bytes every_type(void)
{
    static const struct {
        char type;
        size_t size;
    } scalars[] = {{'V', 0}, {'t', 1}, {'b', 1}, {'B', 1}, {'s', 2}, {'u', 2}, {'I', 4},
            {'i', 4}, {'l', 8}, {'L', 8}, {'f', 4}, {'d', 8}, {'D', 5}, {'T', 8}};
    struct peer_bytes fields = {.data = NULL};
    struct peer_bytes table = {.data = NULL};

    for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        peer_raw(&fields, "\3key", 4);
        peer_raw(&fields, &scalars[i].type, 1);
        peer_raw(&fields, "12345678", scalars[i].size);
    }
    peer_raw(&fields, "\1SS\0\0\0\2ok\1xx\0\0\0\1!\0A\0\0\0\4VVVV", 27);
    peer_number(&table, fields.len, 4);
    peer_raw(&table, fields.data, fields.len);
    peer_bytes_fini(&fields);
    return table;
}

static void every_type_is_known(void **state)
{
    (void)state;
    struct peer_bytes b = every_type();
    size_t used;
    assert_int_equal(scan(&b, &used), CONEY_OK);
    assert_int_equal(used, b.len);
    peer_bytes_fini(&b);
}

static void a_table_cut_anywhere_does_not_parse(void **state)
{
    (void)state;
    struct peer_bytes whole = every_type();

    for (size_t len = 4; len < whole.len; len++) {
        struct peer_bytes b = {.data = NULL};
        size_t used;
        peer_raw(&b, whole.data, len);
        assert_int_equal(scan(&b, &used), CONEY_ESYNTAX);
        assert_int_equal(used, 0);
        /* The same with a length that does not promise more than there is: whatever it
         * then is, nothing is read beyond it. */
        b.data[2] = (uint8_t)((len - 4) >> 8);
        b.data[3] = (uint8_t)(len - 4);
        enum coney_rc rc = scan(&b, &used);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX);
        assert_int_equal(used, len);
        peer_bytes_fini(&b);
    }
    peer_bytes_fini(&whole);
}

static void garbage_never_reads_beyond_its_end(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 4711);
    struct peer_bytes whole = every_type();

    for (int round = 0; round < 50000; round++) {
        size_t len = whole.len;
        uint8_t *copy = malloc(len); /* its own block, for the sanitizer to guard */
        struct scan_headers headers;
        size_t used;
        assert_non_null(copy);
        memcpy(copy, whole.data, len);
        for (uint64_t n = 1 + rng_below(&r, 4); n > 0; n--)
            copy[rng_below(&r, len)] = (uint8_t)rng_next(&r);
        struct bytes b = {.data = copy, .len = len};
        enum coney_rc rc = scan_table(b, &limits, &used);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX || rc == CONEY_ELIMIT);
        assert_true(used <= len);
        rc = scan_properties(b, &limits, &headers);
        assert_true(rc == CONEY_OK || rc == CONEY_ESYNTAX || rc == CONEY_ELIMIT);
        assert_true(headers.offset + headers.len <= len);
        free(copy);
    }
    peer_bytes_fini(&whole);
}

static void the_headers_are_found_behind_the_first_properties(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    struct peer_bytes table = nested(2);
    struct scan_headers headers;

    peer_number(&b, 1 << 15 | 1 << 14 | 1 << 13 | 1 << 12, 2);
    peer_raw(&b, "\4text\4gzip", 10);
    peer_raw(&b, table.data, table.len);
    peer_number(&b, 2, 1);
    struct bytes data = {.data = b.data, .len = b.len};
    assert_int_equal(scan_properties(data, &limits, &headers), CONEY_OK);
    assert_int_equal(headers.offset, 12);
    assert_int_equal(headers.len, table.len);

    b.data[1] |= 1; /* more flags than there are properties */
    assert_int_equal(scan_properties(data, &limits, &headers), CONEY_ESYNTAX);
    assert_int_equal(headers.offset, 0);
    peer_bytes_fini(&b);
    peer_bytes_fini(&table);
}

static void properties_without_headers_have_none(void **state)
{
    (void)state;
    struct scan_headers headers;
    struct bytes data = {.data = "\x80\0\2ok", .len = 5};

    assert_int_equal(scan_properties(data, &limits, &headers), CONEY_OK);
    assert_int_equal(headers.offset, 0);
    data.len = 4;
    assert_int_equal(scan_properties(data, &limits, &headers), CONEY_ESYNTAX);
    data.len = 1;
    assert_int_equal(scan_properties(data, &limits, &headers), CONEY_ESYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_table_may_be_as_deep_as_the_limit_and_no_deeper),
            cmocka_unit_test(a_bomb_of_arrays_costs_no_stack),
            cmocka_unit_test(a_table_may_have_as_many_fields_as_the_limit_and_no_more),
            cmocka_unit_test(every_type_is_known),
            cmocka_unit_test(a_table_cut_anywhere_does_not_parse),
            cmocka_unit_test(garbage_never_reads_beyond_its_end),
            cmocka_unit_test(the_headers_are_found_behind_the_first_properties),
            cmocka_unit_test(properties_without_headers_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
