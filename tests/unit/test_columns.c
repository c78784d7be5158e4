/* SPDX-License-Identifier: MIT */
/* test_columns.c - cells line up, whatever is in them. */
#include "cli/columns.h"
#include "test.h"

#include <string.h>

static void expect(const struct columns *c, unsigned indent, const char *text)
{
    struct buffer out;
    buffer_init(&out, 65536);
    assert_int_equal(columns_write(c, indent, &out), CONEY_OK);
    assert_int_equal(buffer_append(&out, "", 1), CONEY_OK);
    assert_string_equal((const char *)buffer_data(&out), text);
    buffer_fini(&out);
}

static void cells_line_up(void **state)
{
    (void)state;
    struct columns c;
    columns_init(&c, (const char *const[]){"A", "LONGER", "C", NULL});
    columns_add(&c, (const char *const[]){"wide cell", "x", "end"});
    columns_add(&c, (const char *const[]){"h\xc3\xa9llo", NULL, ""});
    expect(&c, 2,
            "  A          LONGER  C\n"
            "  wide cell  x       end\n"
            "  h\xc3\xa9llo      -       -\n");
    columns_fini(&c);
}

static void a_cell_is_cut_and_cleaned(void **state)
{
    (void)state;
    char text[1000];
    struct columns c;
    struct buffer out;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    columns_init(&c, (const char *const[]){"A", NULL});
    columns_add(&c, (const char *const[]){text});
    columns_add(&c, (const char *const[]){"a\x1b[0m\n"});
    buffer_init(&out, 65536);
    assert_int_equal(columns_write(&c, 0, &out), CONEY_OK);
    assert_true(buffer_len(&out) < 2 * COLUMN_CELL_SIZE);
    assert_null(memchr(buffer_data(&out), '\x1b', buffer_len(&out)));
    buffer_fini(&out);
    columns_fini(&c);
}

static void a_full_buffer_is_reported(void **state)
{
    (void)state;
    struct columns c;
    struct buffer out;
    columns_init(&c, (const char *const[]){"A", "B", NULL});
    buffer_init(&out, 3);
    assert_int_equal(columns_write(&c, 0, &out), CONEY_ELIMIT);
    buffer_fini(&out);
    columns_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(cells_line_up),
            cmocka_unit_test(a_cell_is_cut_and_cleaned),
            cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
