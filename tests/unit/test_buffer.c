/* SPDX-License-Identifier: MIT */
/* test_buffer.c - a byte queue against a plain array, and its stated maximum. */
#include "base/buffer.h"
#include "base/rng.h"
#include "test.h"

#include <string.h>

enum { MODEL_MAX = 5000 };

/* A counter goes in byte by byte and must come out so. */
struct model {
    struct buffer b;
    uint8_t next_in;
    uint8_t next_out;
    size_t len;
};

static void model_append(struct model *m, size_t len)
{
    uint8_t chunk[700];

    for (size_t i = 0; i < len; i++)
        chunk[i] = (uint8_t)(m->next_in + i);
    enum coney_rc rc = buffer_append(&m->b, chunk, len);
    assert_int_equal(rc, m->len + len > MODEL_MAX ? CONEY_ELIMIT : CONEY_OK);
    if (rc != CONEY_OK)
        return;
    m->next_in = (uint8_t)(m->next_in + len);
    m->len += len;
}

static void model_take(struct model *m, size_t len)
{
    len = len < m->len ? len : m->len;
    for (size_t i = 0; i < len; i++)
        assert_int_equal(buffer_data(&m->b)[i], m->next_out++);
    buffer_take(&m->b, len);
    m->len -= len;
}

static void what_goes_in_comes_out_in_order(void **state)
{
    (void)state;
    struct model m = {.len = 0};
    struct rng rng;

    rng_seed(&rng, 3);
    buffer_init(&m.b, MODEL_MAX);
    for (int step = 0; step < 20000; step++) {
        if (rng_below(&rng, 2))
            model_append(&m, rng_below(&rng, 700));
        else
            model_take(&m, rng_below(&rng, 700));
        assert_int_equal(buffer_len(&m.b), m.len);
    }
    buffer_fini(&m.b);
}

static void the_maximum_itself_still_fits(void **state)
{
    (void)state;
    struct buffer b;
    uint8_t *space;

    buffer_init(&b, 8);
    assert_int_equal(buffer_append(&b, "12345678", 8), CONEY_OK);
    assert_int_equal(buffer_append(&b, "9", 1), CONEY_ELIMIT);
    assert_int_equal(buffer_len(&b), 8);
    buffer_clear(&b);
    assert_int_equal(buffer_printf(&b, "%d", 12345678), CONEY_OK);
    assert_int_equal(buffer_printf(&b, "%d", 9), CONEY_ELIMIT);
    assert_memory_equal(buffer_data(&b), "12345678", 8);
    buffer_take(&b, 3);
    assert_int_equal(buffer_reserve(&b, 4, &space), CONEY_ELIMIT);
    assert_int_equal(buffer_reserve(&b, 3, &space), CONEY_OK);
    memcpy(space, "abc", 3);
    buffer_commit(&b, 3);
    assert_memory_equal(buffer_data(&b), "45678abc", 8);
    buffer_fini(&b);
}

static void reserving_nothing_in_an_empty_buffer_is_fine(void **state)
{
    (void)state;
    struct buffer b;
    uint8_t *space = NULL;

    buffer_init(&b, 8);
    assert_null(buffer_data(&b));
    assert_int_equal(buffer_append(&b, NULL, 0), CONEY_OK);
    assert_int_equal(buffer_reserve(&b, 0, &space), CONEY_OK);
    assert_non_null(space);
    buffer_fini(&b);
}

static void an_absurd_length_is_refused_and_not_awaited(void **state)
{
    (void)state;
    struct buffer b;
    uint8_t *space;

    buffer_init(&b, SIZE_MAX);
    assert_int_equal(buffer_append(&b, "x", 1), CONEY_OK);
    assert_int_equal(buffer_reserve(&b, SIZE_MAX, &space), CONEY_ELIMIT);
    buffer_fini(&b);
}

static void a_failed_allocation_changes_nothing(void **state)
{
    (void)state;
    struct buffer b;
    char large[2000] = {0};

    buffer_init(&b, 10000);
    assert_int_equal(buffer_append(&b, "kept", 4), CONEY_OK);
    test_fail_allocation(1);
    assert_int_equal(buffer_append(&b, large, sizeof(large)), CONEY_ENOMEM);
    test_fail_allocation(1);
    assert_int_equal(buffer_printf(&b, "%1999d", 1), CONEY_ENOMEM);
    assert_int_equal(buffer_len(&b), 4);
    assert_memory_equal(buffer_data(&b), "kept", 4);
    assert_int_equal(buffer_append(&b, large, sizeof(large)), CONEY_OK);
    buffer_fini(&b);
}

static void clearing_gives_large_memory_back(void **state)
{
    (void)state;
    struct buffer b;
    static char large[100 * 1024];

    buffer_init(&b, sizeof(large));
    assert_int_equal(buffer_append(&b, large, sizeof(large)), CONEY_OK);
    buffer_clear(&b);
    assert_int_equal(buffer_len(&b), 0);
    assert_null(b.data);
    assert_int_equal(buffer_append(&b, "x", 1), CONEY_OK);
    buffer_clear(&b);
    assert_non_null(b.data);
    buffer_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_goes_in_comes_out_in_order),
            cmocka_unit_test(the_maximum_itself_still_fits),
            cmocka_unit_test(reserving_nothing_in_an_empty_buffer_is_fine),
            cmocka_unit_test(an_absurd_length_is_refused_and_not_awaited),
            cmocka_unit_test(a_failed_allocation_changes_nothing),
            cmocka_unit_test(clearing_gives_large_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
