/* SPDX-License-Identifier: MIT */
/* test_dead_letter.c - the evidence, its two limits, and a message left as it came. */
#include "base/utf8.h"
#include "message/dead_letter.h"
#include "unit/messages.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW_US INT64_C(1795179833003744)

static struct evidence plain_evidence(void)
{
    return (struct evidence){.reason = DEAD_FAILED,
            .queue = "coney.high",
            .attempts = 1,
            .dead_at_us = NOW_US,
            .exit_status = -1,
            .max_rss_kib = -1};
}

static struct envelope letter(const struct envelope *e, const struct evidence *ev)
{
    struct envelope out;
    assert_int_equal(dead_letter_encode(e, ev, &out), CONEY_OK);
    return out;
}

/* The size on the wire, counted after the grammar of AMQP 0-9-1 §4.2.5.5, for the types
 * that occur here. */
static size_t wire_size(const struct table *t, bool has_keys, const char *prefix);

static size_t value_size(const struct field *f)
{
    switch ((char)f->type) {
    case 'S':
        return 4 + f->value.text.len;
    case 'F':
    case 'A':
        return 4 + wire_size(&f->value.table, f->type == FIELD_TABLE, NULL);
    case 'I':
        return 4;
    case 'l':
        return 8;
    case 't':
        return 1;
    case 'V':
        return 0;
    default:
        fail_msg("type %c", (int)f->type);
        return 0;
    }
}

/* Of all fields whose names begin with @prefix; NULL: all. */
static size_t wire_size(const struct table *t, bool has_keys, const char *prefix)
{
    size_t size = 0;

    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        if (!prefix || memcmp(f->key.data, prefix, strlen(prefix)) == 0)
            size += 1 + (has_keys ? 1 + f->key.len : 0) + value_size(f);
    }
    return size;
}

static size_t history_count(const struct envelope *e)
{
    const struct field *f = table_find(&e->headers, "coney-history");
    return f ? f->value.table.count : 0;
}

static void body_and_task_headers_stay_as_they_came(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct evidence ev = plain_evidence();
    set_header(&e, "eta", "never mind");
    set_integer_header(&e, "x-delivery-count", 3);
    e.properties.expiration = "1000";
    e.properties.delivery_mode = DELIVERY_TRANSIENT;
    e.properties.priority = 3;
    set_body(&e, "{not json\0\xff", 11);
    struct envelope out = letter(&e, &ev);

    for (size_t i = 0; i + 1 < e.headers.count; i++) {
        assert_int_equal(e.headers.fields[i].type, out.headers.fields[i].type);
        assert_memory_equal(e.headers.fields[i].key.data, out.headers.fields[i].key.data,
                e.headers.fields[i].key.len);
    }
    assert_string_equal(table_text(&out.headers, "eta").data, "never mind");
    assert_null(table_find(&out.headers, "x-delivery-count"));
    assert_int_equal(out.body.len, 11);
    assert_memory_equal(out.body.data, "{not json\0\xff", 11);
    assert_null(out.properties.expiration);
    assert_int_equal(out.properties.delivery_mode, DELIVERY_PERSISTENT);
    assert_int_equal(out.properties.priority, 3);
    assert_string_equal(out.properties.reply_to, e.properties.reply_to);
    envelope_fini(&e);
    envelope_fini(&out);
}

static void all_the_evidence_is_named_as_designed(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct attempt last = {.at_us = NOW_US,
            .duration_ms = 30000,
            .node = "coney@host",
            .outcome = "crashed",
            .error = "killed by signal 11"};
    struct evidence ev = {.reason = DEAD_CRASHED,
            .error = "CrashError: killed by signal 11",
            .queue = "coney.low",
            .attempts = 4,
            .dead_at_us = NOW_US,
            .last = &last,
            .signal = 11,
            .exit_status = 0,
            .max_rss_kib = INT64_C(5000000000),
            .stderr_tail = bytes_of("first\nlast\n")};
    struct envelope out = letter(&e, &ev);
    const struct table *h = &out.headers;

    assert_string_equal(table_text(h, "coney-reason").data, "crashed");
    assert_string_equal(
            table_text(h, "coney-error").data, "CrashError: killed by signal 11");
    assert_string_equal(table_text(h, "coney-queue").data, "coney.low");
    assert_string_equal(
            table_text(h, "coney-dead-at").data, "2026-11-20T13:03:53.003744+00:00");
    assert_string_equal(table_text(h, "coney-stderr").data, "first\nlast\n");
    assert_int_equal(table_find(h, "coney-attempts")->value.integer, 4);
    assert_int_equal(table_find(h, "coney-signal")->value.integer, 11);
    assert_int_equal(table_find(h, "coney-exit-status")->value.integer, 0);
    assert_true(table_find(h, "coney-max-rss-kib")->value.integer == 5000000000);
    assert_int_equal(history_count(&out), 1);
    envelope_fini(&e);
    envelope_fini(&out);
}

static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    static const char *const absent[] = {"coney-error", "coney-history", "coney-signal",
            "coney-exit-status", "coney-max-rss-kib", "coney-stderr"};
    struct envelope e = captured_task();
    struct evidence ev = plain_evidence();
    struct envelope out = letter(&e, &ev);
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_null(table_find(&out.headers, absent[i]));
    envelope_fini(&e);
    envelope_fini(&out);
}

static void every_reason_has_its_name(void **state)
{
    (void)state;
    static const char *const names[] = {"max_retries", "failed", "crashed", "timed_out",
            "malformed", "unknown_task", "rejected", "forbidden"};
    for (int reason = DEAD_MAX_RETRIES; reason <= DEAD_FORBIDDEN; reason++)
        assert_string_equal(dead_reason_name((enum dead_reason)reason), names[reason]);
}

static void evidence_of_an_earlier_death_does_not_linger(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct evidence ev = plain_evidence();
    set_header(&e, "coney-stderr", "forged");
    set_integer_header(&e, "coney-signal", 9);
    set_header(&e, "coney-tenant", "kept");
    struct envelope out = letter(&e, &ev);
    assert_null(table_find(&out.headers, "coney-stderr"));
    assert_null(table_find(&out.headers, "coney-signal"));
    assert_string_equal(table_text(&out.headers, "coney-tenant").data, "kept");
    envelope_fini(&e);
    envelope_fini(&out);
}

/* A task that has ten attempts behind it, each with as long an error as there may be. */
static struct envelope with_history(void)
{
    struct envelope e = captured_task();
    char error[301];
    memset(error, 'e', 300);
    error[300] = '\0';
    for (int i = 0; i < 10; i++) {
        struct attempt a = {.at_us = NOW_US + i,
                .node = "coney@host",
                .outcome = "retry",
                .error = error};
        assert_int_equal(history_append(&e.headers, e.arena, &a), CONEY_OK);
    }
    return e;
}

/* Lines "line 0000\n" and on, @len bytes of them; the caller frees. */
static char *lines(size_t len)
{
    char *text = malloc(len + 16);
    size_t at = 0;
    for (unsigned i = 0; at < len; i++)
        at += (size_t)snprintf(text + at, 16, "line %04u\n", i % 10000);
    text[len] = '\0';
    return text;
}

static void the_oldest_history_goes_first(void **state)
{
    (void)state;
    struct envelope e = with_history();
    struct evidence ev = plain_evidence();
    char *text = lines(13000);
    ev.stderr_tail = bytes_of(text);
    ev.error = "short";
    struct envelope out = letter(&e, &ev);
    size_t size = wire_size(&out.headers, true, "coney-");
    assert_in_range(size, DEAD_EVIDENCE_MAX - 500, DEAD_EVIDENCE_MAX);
    assert_in_range(history_count(&out), 5, 9);
    const struct field *f = table_find(&out.headers, "coney-history");
    const struct table *newest =
            &f->value.table.fields[f->value.table.count - 1].value.table;
    assert_string_equal(
            table_text(newest, "at").data, "2026-11-20T13:03:53.003753+00:00");
    assert_int_equal(table_text(&out.headers, "coney-stderr").len, 13000);
    free(text);
    envelope_fini(&e);
    envelope_fini(&out);
}

static void then_stderr_loses_its_first_lines(void **state)
{
    (void)state;
    struct envelope e = with_history();
    struct evidence ev = plain_evidence();
    char *text = lines(40000);
    ev.stderr_tail = bytes_of(text);
    ev.error = "short";
    struct envelope out = letter(&e, &ev);
    struct bytes kept = table_text(&out.headers, "coney-stderr");
    assert_in_range(wire_size(&out.headers, true, "coney-"), DEAD_EVIDENCE_MAX - 20,
            DEAD_EVIDENCE_MAX);
    assert_int_equal(history_count(&out), 0);
    assert_memory_equal(kept.data, "line ", 5);
    assert_string_equal(kept.data, text + 40000 - kept.len);
    assert_string_equal(table_text(&out.headers, "coney-error").data, "short");
    free(text);
    envelope_fini(&e);
    envelope_fini(&out);
}

static void then_the_error_is_cut_at_a_character(void **state)
{
    (void)state;
    struct envelope e = with_history();
    struct evidence ev = plain_evidence();
    char *error = malloc(60001);
    for (size_t i = 0; i < 60000; i += 3)
        memcpy(error + i, "\xe2\x82\xac", 4);
    ev.error = error;
    ev.stderr_tail = bytes_of("one line\n");
    struct envelope out = letter(&e, &ev);
    struct bytes kept = table_text(&out.headers, "coney-error");
    assert_in_range(wire_size(&out.headers, true, "coney-"), DEAD_EVIDENCE_MAX - 20,
            DEAD_EVIDENCE_MAX);
    assert_null(table_find(&out.headers, "coney-stderr"));
    assert_true(kept.len > 15000 && utf8_is_valid(kept));
    free(error);
    envelope_fini(&e);
    envelope_fini(&out);
}

static void bytes_that_are_not_text_become_text(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct evidence ev = plain_evidence();
    ev.stderr_tail = (struct bytes){.data = "a\xff\0b", .len = 4};
    ev.error = "\xc3(";
    ev.queue = "q\xff";
    struct envelope out = letter(&e, &ev);
    assert_true(utf8_is_valid(table_text(&out.headers, "coney-stderr")));
    assert_string_equal(table_text(&out.headers, "coney-error").data, "\xef\xbf\xbd(");
    assert_string_equal(table_text(&out.headers, "coney-queue").data, "q\xef\xbf\xbd");
    envelope_fini(&e);
    envelope_fini(&out);
}

/* A frame holds 128 KiB: whatever came with the message, the letter must fit in one. */
static void a_letter_always_fits_a_frame(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 100000, 118000, 121000, 122000, 122500, 130000};
    char *large = malloc(130001);
    memset(large, 'x', 130000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct envelope e = with_history();
        struct evidence ev = plain_evidence();
        char *text = lines(40000);
        ev.stderr_tail = bytes_of(text);
        large[sizes[i]] = '\0';
        set_header(&e, "x-large", large);
        struct envelope out = letter(&e, &ev);
        assert_true(wire_size(&out.headers, true, NULL) <= 120 * 1024);
        assert_string_equal(table_text(&out.headers, "coney-reason").data, "failed");
        assert_string_equal(table_text(&out.headers, "task").data, "proj.add");
        assert_int_equal(table_find(&out.headers, "x-large") != NULL, sizes[i] <= 122000);
        large[sizes[i]] = 'x';
        free(text);
        envelope_fini(&e);
        envelope_fini(&out);
    }
    free(large);
}

static void encoding_says_when_memory_is_short(void **state)
{
    (void)state;
    struct envelope e = with_history();
    struct evidence ev = plain_evidence();
    char *text = lines(10000);
    ev.stderr_tail = bytes_of(text);
    ev.error = "error";
    for (unsigned n = 1;; n++) {
        struct envelope out;
        test_fail_allocation(n);
        enum coney_rc rc = dead_letter_encode(&e, &ev, &out);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        envelope_fini(&out);
        if (!has_failed) {
            assert_true(n > 5);
            break;
        }
    }
    free(text);
    envelope_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(body_and_task_headers_stay_as_they_came),
            cmocka_unit_test(all_the_evidence_is_named_as_designed),
            cmocka_unit_test(what_is_not_known_is_left_out),
            cmocka_unit_test(every_reason_has_its_name),
            cmocka_unit_test(evidence_of_an_earlier_death_does_not_linger),
            cmocka_unit_test(the_oldest_history_goes_first),
            cmocka_unit_test(then_stderr_loses_its_first_lines),
            cmocka_unit_test(then_the_error_is_cut_at_a_character),
            cmocka_unit_test(bytes_that_are_not_text_become_text),
            cmocka_unit_test(a_letter_always_fits_a_frame),
            cmocka_unit_test(encoding_says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
