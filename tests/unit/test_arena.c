/* SPDX-License-Identifier: MIT */
/* test_arena.c - memory that comes zeroed and aligned, and goes all at once. */
#include "base/arena.h"
#include "test.h"

#include <stdalign.h>
#include <string.h>

static void blocks_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    enum { BLOCKS = 500 };
    static unsigned char *blocks[BLOCKS];
    struct arena *a = arena_new(100);

    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = i * 7 % 300;
        blocks[i] = arena_alloc(a, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], (int)(i % 251) + 1, size);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < i * 7 % 300; k++)
            assert_int_equal(blocks[i][k], i % 251 + 1);
    arena_free(a);
}

static void a_block_larger_than_a_page_fits(void **state)
{
    (void)state;
    struct arena *a = arena_new(64);
    char *block = arena_alloc(a, 1 << 20);
    assert_non_null(block);
    memset(block, 1, 1 << 20);
    arena_free(a);
}

static void a_size_that_no_memory_has_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct bytes huge = {.data = "", .len = SIZE_MAX};
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX - alignof(max_align_t)));
    assert_null(arena_copy(a, huge).data);
    arena_free(a);
}

static void copies_are_terminated(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct bytes copy = arena_copy(a, (struct bytes){.data = "a\0b", .len = 3});
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.data, "a\0b", 4);
    copy = arena_copy(a, (struct bytes){.data = NULL, .len = 0});
    assert_string_equal(copy.data, "");
    assert_string_equal(arena_strdup(a, "text"), "text");
    assert_string_equal(arena_printf(a, "%s-%d", "a", 17), "a-17");
    arena_free(a);
}

static void a_failed_allocation_leaves_the_arena_usable(void **state)
{
    (void)state;
    test_fail_allocation(1);
    assert_null(arena_new(0));
    struct arena *a = arena_new(32);
    test_fail_allocation(1);
    assert_null(arena_alloc(a, 64));
    assert_string_equal(arena_strdup(a, "still there"), "still there");
    arena_free(a);
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(blocks_are_zeroed_aligned_and_apart),
            cmocka_unit_test(a_block_larger_than_a_page_fits),
            cmocka_unit_test(a_size_that_no_memory_has_is_refused),
            cmocka_unit_test(copies_are_terminated),
            cmocka_unit_test(a_failed_allocation_leaves_the_arena_usable),
            cmocka_unit_test(freeing_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
