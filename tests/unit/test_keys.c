/* SPDX-License-Identifier: MIT */
/* test_keys.c - the table of keys is whole, and says what may have been meant. */
#include "config/keys.h"
#include "unit/with_config.h"

static void every_key_stands_once_below_a_section_and_says_what_it_means(void **state)
{
    (void)state;
    size_t count;
    const struct key *table = key_table(&count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(key_find(table[i].path), &table[i]);
        assert_non_null(table[i].doc);
        assert_true(strlen(table[i].doc) > 0);
        assert_null(strchr(table[i].doc, '\t'));

        char parent[64];
        snprintf(parent, sizeof(parent), "%s", table[i].path);
        char *dot = strrchr(parent, '.');
        if (!dot)
            continue;
        *dot = '\0';
        assert_non_null(key_find(parent));
        assert_true(key_is_section(key_find(parent)));
        assert_true(key_is_below(&table[i], key_find(parent)));
    }
}

static void a_key_has_bounds_choices_and_word_as_its_type_needs(void **state)
{
    (void)state;
    size_t count;
    const struct key *table = key_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct key *k = &table[i];
        assert_true((k->choices != NULL) == (k->type == KEY_CHOICE));
        assert_true(k->min <= k->max);
        if (k->type == KEY_INTEGER || k->type == KEY_DURATION || k->type == KEY_SECONDS ||
                k->type == KEY_SIZE)
            assert_true(k->max > 0);
        if (k->word)
            assert_true(strcmp(k->word, "none") == 0 || strcmp(k->word, "auto") == 0);
    }
}

static void what_is_allowed_is_a_phrase(void **state)
{
    (void)state;
    char text[160];
    key_allowed(key_find("worker.concurrency"), text, sizeof(text));
    assert_string_equal(text, "a whole number from 1 to 4096, or auto");
    key_allowed(key_find("tasks.*.retry.jitter"), text, sizeof(text));
    assert_string_equal(text, "full, equal or none");
    key_allowed(key_find("broker.auth"), text, sizeof(text));
    assert_string_equal(text, "password or external");
    key_allowed(key_find("broker.backoff.cap"), text, sizeof(text));
    assert_string_equal(text, "a duration such as 10s, 10ms to 1h");
    key_allowed(key_find("worker.body_max"), text, sizeof(text));
    assert_string_equal(text, "a size such as 300M, 1K to 512M");
}

static void a_slip_is_answered_with_the_nearest_key(void **state)
{
    (void)state;
    char text[300];
    key_hint(key_find("broker"), "heartbaet", text, sizeof(text));
    assert_string_equal(text, "; did you mean \"heartbeat\"?");
    key_hint(key_find("broker"), "password", text, sizeof(text));
    assert_string_equal(text, "; did you mean \"password_file\"?");
    key_hint(key_find("worker"), "ageing", text, sizeof(text));
    assert_string_equal(text, "; did you mean classes.*.ageing?");
    key_hint(NULL, "task", text, sizeof(text));
    assert_string_equal(text, "; did you mean \"tasks\"?");
    key_hint(key_find("beat"), "colour", text, sizeof(text));
    assert_string_equal(text, "; there are name, timezone");
}

static void distance_counts_single_slips(void **state)
{
    (void)state;
    assert_int_equal(edit_distance("retry", "retry"), 0);
    assert_int_equal(edit_distance("retry", "rety"), 1);
    assert_int_equal(edit_distance("retry", "rretry"), 1);
    assert_int_equal(edit_distance("retry", "retri"), 1);
    assert_int_equal(edit_distance("retry", "rerty"), 1);
    assert_int_equal(edit_distance("", "abc"), 3);
    assert_int_equal(edit_distance("abc", ""), 3);
    assert_int_equal(edit_distance("kitten", "sitting"), 3);

    char long_text[1024];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_int_equal(edit_distance(long_text, long_text), 0);
    assert_int_equal(edit_distance(long_text, "b"), 64);
}

static void the_printed_table_has_a_line_of_four_columns_a_key(void **state)
{
    (void)state;
    struct buffer out;
    size_t count;
    size_t lines = 0;
    key_table(&count);
    buffer_init(&out, 1 << 20);
    assert_int_equal(keys_print(&out), CONEY_OK);
    assert_int_equal(buffer_append(&out, "", 1), CONEY_OK);

    for (char *line = strtok((char *)buffer_data(&out), "\n"); line;
            line = strtok(NULL, "\n")) {
        size_t tabs = 0;
        for (const char *s = line; *s; s++)
            tabs += *s == '\t';
        assert_int_equal(tabs, 3);
        lines++;
    }
    assert_int_equal(lines, count);
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(
                    every_key_stands_once_below_a_section_and_says_what_it_means),
            cmocka_unit_test(a_key_has_bounds_choices_and_word_as_its_type_needs),
            cmocka_unit_test(what_is_allowed_is_a_phrase),
            cmocka_unit_test(a_slip_is_answered_with_the_nearest_key),
            cmocka_unit_test(distance_counts_single_slips),
            cmocka_unit_test(the_printed_table_has_a_line_of_four_columns_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
