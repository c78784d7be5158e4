/* SPDX-License-Identifier: MIT */
/* test_output.c - made-up output at made-up times. */
#include "support/test.h"
#include "worker/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listener {
    struct output output;
    unsigned lines;
    char last[OUTPUT_LINE_MAX + 1];
};

static void hear(void *ctx, const char *line)
{
    struct listener *l = ctx;
    l->lines++;
    snprintf(l->last, sizeof(l->last), "%s", line);
}

static struct listener *listen_from(int64_t now_ms)
{
    struct listener *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    output_init(&l->output, hear, l, now_ms);
    return l;
}

static void say(struct listener *l, const char *text, int64_t now_ms)
{
    output_take(&l->output, text, strlen(text), now_ms);
}

static void assert_tail(const struct listener *l, const char *expected)
{
    char tail[OUTPUT_TAIL_SIZE];
    size_t len = output_tail(&l->output, tail);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(tail, expected, len);
}

static void lines_are_handed_on_however_they_are_cut(void **state)
{
    (void)state;
    struct listener *l = listen_from(0);
    say(l, "one\ntw", 0);
    assert_int_equal(l->lines, 1);
    assert_string_equal(l->last, "one");
    say(l, "o\n", 0);
    assert_string_equal(l->last, "two");
    say(l, "\n", 0);
    assert_int_equal(l->lines, 3);
    assert_string_equal(l->last, "");
    say(l, "rest", 0);
    assert_int_equal(l->lines, 3);
    output_flush(&l->output, 0);
    assert_string_equal(l->last, "rest");
    assert_tail(l, "one\ntwo\n\nrest");
    free(l);
}

static void a_line_without_end_comes_in_pieces(void **state)
{
    (void)state;
    struct listener *l = listen_from(0);
    char text[2 * OUTPUT_LINE_MAX + 11];
    memset(text, 'x', sizeof(text));
    output_take(&l->output, text, sizeof(text), 0);
    assert_int_equal(l->lines, 2);
    assert_int_equal(strlen(l->last), OUTPUT_LINE_MAX);
    say(l, "\n", 0);
    assert_int_equal(strlen(l->last), 11);
    free(l);
}

static void a_line_of_the_greatest_length_is_one_line(void **state)
{
    (void)state;
    struct listener *l = listen_from(0);
    char text[OUTPUT_LINE_MAX + 1];
    memset(text, 'x', sizeof(text));
    text[OUTPUT_LINE_MAX] = '\n';
    output_take(&l->output, text, sizeof(text), 0);
    assert_int_equal(l->lines, 1);
    free(l);
}

static void the_tail_is_the_last_bytes_whatever_was_written(void **state)
{
    (void)state;
    static char all[5 * OUTPUT_TAIL_SIZE];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)('a' + (i * 7 + i / 251) % 26);

    for (size_t piece = 1; piece <= sizeof(all); piece = piece * 3 + 1) {
        struct listener *l = listen_from(0);
        char tail[OUTPUT_TAIL_SIZE];
        for (size_t at = 0; at < sizeof(all); at += piece) {
            size_t left = sizeof(all) - at;
            output_take(&l->output, all + at, left < piece ? left : piece, 0);
        }
        assert_int_equal(output_tail(&l->output, tail), sizeof(tail));
        assert_memory_equal(tail, all + sizeof(all) - sizeof(tail), sizeof(tail));
        free(l);
    }
}

static void a_new_attempt_begins_with_an_empty_tail(void **state)
{
    (void)state;
    struct listener *l = listen_from(0);
    say(l, "the first attempt\n", 0);
    output_forget(&l->output);
    assert_tail(l, "");
    say(l, "the second\n", 0);
    assert_tail(l, "the second\n");
    free(l);
}

static void a_flood_is_held_back_and_counted(void **state)
{
    (void)state;
    struct listener *l = listen_from(0);
    for (unsigned i = 0; i < OUTPUT_LINES_BURST + 50; i++)
        say(l, "again\n", 0);
    assert_int_equal(l->lines, OUTPUT_LINES_BURST);

    say(l, "later\n", 1000 / OUTPUT_LINES_PER_S);
    assert_int_equal(l->lines, OUTPUT_LINES_BURST + 2);
    assert_string_equal(l->last, "later");
    free(l);
}

static void ten_seconds_of_flood_give_ten_seconds_of_lines(void **state)
{
    (void)state;
    struct listener *l = listen_from(0);
    for (int64_t now_ms = 0; now_ms < 10000; now_ms++)
        say(l, "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", now_ms);
    /* Each line shown after a gap brings the report of the gap with it. */
    assert_in_range(l->lines, OUTPUT_LINES_BURST + 10 * OUTPUT_LINES_PER_S - 1,
            OUTPUT_LINES_BURST + 2 * 10 * OUTPUT_LINES_PER_S);
    free(l);
}

static void lines_that_come_another_way_have_the_same_bound(void **state)
{
    (void)state;
    struct listener *l = listen_from(0);
    unsigned shown = 0;
    for (unsigned i = 0; i < 3 * OUTPUT_LINES_BURST; i++)
        shown += output_spend(&l->output, 0);
    assert_int_equal(shown, OUTPUT_LINES_BURST);
    output_flush(&l->output, 0);
    assert_int_equal(l->lines, 1); /* the report */
    assert_non_null(strstr(l->last, "lines=200"));
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(lines_are_handed_on_however_they_are_cut),
            cmocka_unit_test(a_line_without_end_comes_in_pieces),
            cmocka_unit_test(a_line_of_the_greatest_length_is_one_line),
            cmocka_unit_test(the_tail_is_the_last_bytes_whatever_was_written),
            cmocka_unit_test(a_new_attempt_begins_with_an_empty_tail),
            cmocka_unit_test(a_flood_is_held_back_and_counted),
            cmocka_unit_test(ten_seconds_of_flood_give_ten_seconds_of_lines),
            cmocka_unit_test(lines_that_come_another_way_have_the_same_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
