/* SPDX-License-Identifier: MIT */
/* test_history.c - attempts that travel with a task, and a header nobody need trust. */
#include "base/utf8.h"
#include "message/history.h"
#include "unit/messages.h"

#define NOW_US INT64_C(1795179833003744)

static struct attempt attempt_at(int64_t at_us)
{
    return (struct attempt){.at_us = at_us,
            .duration_ms = 1500,
            .node = "coney@host",
            .outcome = "retry",
            .error = "SmsError: 503"};
}

static const struct table *entry(const struct envelope *e, size_t i)
{
    const struct field *f = table_find(&e->headers, "coney-history");
    assert_non_null(f);
    assert_int_equal(f->type, FIELD_ARRAY);
    assert_true(i < f->value.table.count);
    assert_int_equal(f->value.table.fields[i].type, FIELD_TABLE);
    return &f->value.table.fields[i].value.table;
}

static void an_attempt_says_when_where_why_and_how_long(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct attempt a = attempt_at(NOW_US);
    int64_t ms;
    assert_int_equal(history_append(&e.headers, e.arena, &a), CONEY_OK);
    const struct table *t = entry(&e, 0);
    assert_string_equal(table_text(t, "at").data, "2026-11-20T13:03:53.003744+00:00");
    assert_string_equal(table_text(t, "node").data, "coney@host");
    assert_string_equal(table_text(t, "outcome").data, "retry");
    assert_string_equal(table_text(t, "error").data, "SmsError: 503");
    assert_true(table_integer(t, "duration-ms", &ms));
    assert_int_equal(ms, 1500);
    envelope_fini(&e);
}

static void what_is_unknown_is_left_out(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct attempt a = {.at_us = NOW_US, .outcome = "crashed"};
    assert_int_equal(history_append(&e.headers, e.arena, &a), CONEY_OK);
    assert_null(table_find(entry(&e, 0), "error"));
    assert_null(table_find(entry(&e, 0), "node"));
    envelope_fini(&e);
}

static void the_newest_ten_are_kept_newest_last(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    for (int i = 0; i < 25; i++) {
        struct attempt a = attempt_at(NOW_US + i * INT64_C(1000000));
        assert_int_equal(history_append(&e.headers, e.arena, &a), CONEY_OK);
    }
    const struct field *f = table_find(&e.headers, "coney-history");
    assert_int_equal(f->value.table.count, DEAD_HISTORY_MAX);
    assert_string_equal(
            table_text(entry(&e, 0), "at").data, "2026-11-20T13:04:08.003744+00:00");
    assert_string_equal(
            table_text(entry(&e, 9), "at").data, "2026-11-20T13:04:17.003744+00:00");
    envelope_fini(&e);
}

static void texts_are_cut_and_repaired(void **state)
{
    (void)state;
    char large[2000];
    struct envelope e = captured_task();
    struct attempt a = attempt_at(NOW_US);

    for (size_t i = 0; i + 3 < sizeof(large); i += 3)
        memcpy(large + i, "\xe2\x82\xac", 4);
    a.error = large;
    a.node = "\xff\xff";
    assert_int_equal(history_append(&e.headers, e.arena, &a), CONEY_OK);
    assert_int_equal(table_text(entry(&e, 0), "error").len, 300);
    assert_string_equal(
            table_text(entry(&e, 0), "node").data, "\xef\xbf\xbd\xef\xbf\xbd");
    memset(large, '\xff', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    a.error = large;
    assert_int_equal(history_append(&e.headers, e.arena, &a), CONEY_OK);
    struct bytes error = table_text(entry(&e, 1), "error");
    assert_true(error.len <= 300 && utf8_is_valid(error));
    envelope_fini(&e);
}

static void a_header_of_another_type_is_replaced(void **state)
{
    (void)state;
    static const char *const texts[] = {"not an array", ""};
    for (size_t i = 0; i < 2; i++) {
        struct envelope e = captured_task();
        struct attempt a = attempt_at(NOW_US);
        set_header(&e, "coney-history", texts[i]);
        assert_int_equal(history_append(&e.headers, e.arena, &a), CONEY_OK);
        assert_int_equal(table_find(&e.headers, "coney-history")->value.table.count, 1);
        envelope_fini(&e);
    }
}

/* Elements that are no attempts go, forged ones are written anew with their known keys.
 */
static void what_a_stranger_put_there_is_not_passed_on(void **state)
{
    (void)state;
    char large[5000];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    struct envelope e = captured_task();
    struct field forged[4] = {{.type = FIELD_STRING}, {.type = FIELD_TABLE},
            {.type = FIELD_TABLE}, {.type = FIELD_VOID}};
    struct attempt a = attempt_at(NOW_US);
    forged[0].value.text = bytes_of("x");
    struct table *t = &forged[1].value.table;
    assert_int_equal(table_set_text(t, e.arena, "at", "2020-01-01T00:00:00Z"), CONEY_OK);
    assert_int_equal(table_set_text(t, e.arena, "error", large), CONEY_OK);
    assert_int_equal(table_set_text(t, e.arena, "bomb", large), CONEY_OK);
    assert_int_equal(table_set_text(t, e.arena, "duration-ms", "long"), CONEY_OK);
    assert_int_equal(
            table_set_text(&forged[2].value.table, e.arena, "at", "long ago"), CONEY_OK);
    set_array_header(&e, "coney-history", forged, 4);
    assert_int_equal(history_append(&e.headers, e.arena, &a), CONEY_OK);
    assert_int_equal(table_find(&e.headers, "coney-history")->value.table.count, 2);
    assert_null(table_find(entry(&e, 0), "bomb"));
    assert_int_equal(table_text(entry(&e, 0), "error").len, 300);
    assert_string_equal(
            table_text(entry(&e, 0), "at").data, "2020-01-01T00:00:00.000000+00:00");
    envelope_fini(&e);
}

static void a_history_of_thousands_costs_no_more_than_its_last_ten(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static struct field many[MANY];
    struct envelope e = captured_task();
    struct history h;
    for (size_t i = 0; i < MANY; i++) {
        many[i].type = FIELD_TABLE;
        assert_int_equal(
                table_set_text(&many[i].value.table, e.arena, "at",
                        i < MANY - 1 ? "2020-01-01T00:00:00" : "2021-01-01T00:00:00"),
                CONEY_OK);
    }
    set_array_header(&e, "coney-history", many, MANY);
    assert_int_equal(history_read(&e.headers, e.arena, &h), CONEY_OK);
    assert_int_equal(h.count, DEAD_HISTORY_MAX);
    assert_true(h.attempts[9].at_us == 1609459200000000);
    envelope_fini(&e);
}

static void appending_says_when_memory_is_short(void **state)
{
    (void)state;
    struct attempt a = attempt_at(NOW_US);
    for (unsigned n = 1;; n++) {
        struct arena *arena = arena_new(1);
        struct table headers = {.fields = NULL};
        test_fail_allocation(n);
        enum coney_rc rc = history_append(&headers, arena, &a);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        arena_free(arena);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        if (!has_failed) {
            assert_true(n > 5);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_attempt_says_when_where_why_and_how_long),
            cmocka_unit_test(what_is_unknown_is_left_out),
            cmocka_unit_test(the_newest_ten_are_kept_newest_last),
            cmocka_unit_test(texts_are_cut_and_repaired),
            cmocka_unit_test(a_header_of_another_type_is_replaced),
            cmocka_unit_test(what_a_stranger_put_there_is_not_passed_on),
            cmocka_unit_test(a_history_of_thousands_costs_no_more_than_its_last_ten),
            cmocka_unit_test(appending_says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
