/* SPDX-License-Identifier: MIT */
/* test_task_again.c - what changes when a message goes round again, and that nothing else
 * does. */
#include "message/task.h"
#include "unit/messages.h"

#include <stdlib.h>

static const struct task_again at_once = {.retries = 1, .eta_us = TASK_NO_TIME};

static struct envelope again(const struct envelope *e, const struct task_again *how)
{
    struct envelope out;
    struct coney_error err;
    if (task_encode_again(e, how, &out, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return out;
}

static void assert_refused(
        const struct envelope *e, const struct task_again *how, const char *word)
{
    struct envelope out;
    struct coney_error err = {.text = ""};
    assert_int_equal(task_encode_again(e, how, &out, &err), CONEY_EINVAL);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not say %s", err.text, word);
    assert_null(out.arena);
}

static void id_body_headers_and_types_stay(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct field odd = {.key = bytes_of("x-small"), .type = FIELD_I16};
    odd.value.integer = -5;
    assert_int_equal(table_set(&e.headers, e.arena, &odd), CONEY_OK);
    set_header(&e, "x-custom", "v1");
    e.properties.priority = 7;
    e.properties.delivery_mode = DELIVERY_TRANSIENT;
    e.properties.expiration = "5000";
    e.properties.user_id = "guest";
    e.properties.app_id = "shop";
    struct envelope out = again(&e, &at_once);

    assert_int_equal(out.headers.count, e.headers.count);
    for (size_t i = 0; i < e.headers.count; i++) {
        const struct field *a = &e.headers.fields[i];
        const struct field *b = &out.headers.fields[i];
        assert_int_equal(a->key.len, b->key.len);
        assert_memory_equal(a->key.data, b->key.data, a->key.len);
        assert_int_equal(a->type, b->type);
    }
    assert_int_equal(table_find(&out.headers, "x-small")->value.integer, -5);
    assert_string_equal(table_text(&out.headers, "x-custom").data, "v1");
    assert_string_equal(
            table_text(&out.headers, "id").data, table_text(&e.headers, "id").data);
    assert_string_equal(out.body.data, e.body.data);
    assert_string_equal(out.properties.correlation_id, e.properties.correlation_id);
    assert_string_equal(out.properties.reply_to, e.properties.reply_to);
    assert_string_equal(out.properties.app_id, "shop");
    assert_int_equal(out.properties.priority, 7);
    assert_int_equal(out.properties.delivery_mode, DELIVERY_PERSISTENT);
    assert_null(out.properties.expiration);
    assert_null(out.properties.user_id);
    envelope_fini(&e);
    envelope_fini(&out);
}

static void retries_eta_and_parent_are_the_new_ones(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct task_again how = {
            .retries = 2, .eta_us = 1795179833003744, .parent_id = "the-parent"};
    set_header(&e, "eta", "2020-01-01T00:00:00");
    struct envelope first = again(&e, &how);
    int64_t retries;
    assert_true(table_integer(&first.headers, "retries", &retries));
    assert_int_equal(retries, 2);
    assert_string_equal(
            table_text(&first.headers, "eta").data, "2026-11-20T13:03:53.003744+00:00");
    assert_string_equal(table_text(&first.headers, "parent_id").data, "the-parent");
    struct envelope second = again(&first, &at_once);
    assert_int_equal(table_find(&second.headers, "eta")->type, FIELD_VOID);
    assert_string_equal(table_text(&second.headers, "parent_id").data, "the-parent");
    envelope_fini(&e);
    envelope_fini(&first);
    envelope_fini(&second);
}

static void new_arguments_keep_their_spelling_and_what_follows_them(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct task_again how = at_once;
    how.arguments = bytes_of("[[9223372036854775808, NaN], {\"x\": [1]}]");
    how.body = bytes_of("[[1], {}, {\"chain\": [{\"task\": \"next\"}]}]");
    set_header(&e, "compression", "application/x-gzip");
    struct envelope out = again(&e, &how);
    assert_string_equal(out.body.data, "[[9223372036854775808, NaN], {\"x\": [1]}, "
                                       "{\"chain\": [{\"task\": \"next\"}]}]");
    assert_null(table_find(&out.headers, "compression"));
    assert_string_equal(table_text(&out.headers, "kwargsrepr").data, "{'x': [1]}");
    envelope_fini(&e);
    envelope_fini(&out);
}

static void what_are_no_arguments_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
            "[[1]]", "[{}, []]", "[[], {}, null]", "{}", "[[], {}", "7"};
    struct envelope e = captured_task();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct task_again how = at_once;
        how.arguments = bytes_of(wrong[i]);
        assert_refused(&e, &how, "new arguments");
    }
    envelope_fini(&e);
}

static void retries_that_were_null_become_a_number(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct task_again how = {.retries = 0, .eta_us = TASK_NO_TIME};
    set_header(&e, "retries", NULL);
    struct envelope out = again(&e, &how);
    assert_int_equal(table_find(&out.headers, "retries")->type, FIELD_I32);
    envelope_fini(&e);
    envelope_fini(&out);
}

static void the_expires_header_stays_when_the_expiration_goes(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    set_header(&e, "expires", "2026-11-20T14:03:53.003744+00:00");
    e.properties.expiration = "7200000";
    struct envelope out = again(&e, &at_once);
    assert_string_equal(
            table_text(&out.headers, "expires").data, "2026-11-20T14:03:53.003744+00:00");
    assert_null(out.properties.expiration);
    envelope_fini(&e);
    envelope_fini(&out);
}

static void the_brokers_headers_are_stripped(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    set_array_header(&e, "x-death", NULL, 0);
    set_header(&e, "x-first-death-queue", "q");
    set_header(&e, "x-last-death-reason", "expired");
    set_integer_header(&e, "x-delivery-count", 3);
    set_integer_header(&e, "x-acquired-count", 3);
    set_array_header(&e, "CC", NULL, 0);
    struct envelope out = again(&e, &at_once);
    for (size_t i = 0; i < out.headers.count; i++)
        assert_memory_not_equal(out.headers.fields[i].key.data, "x-", 2);
    assert_null(table_find(&out.headers, "CC"));
    envelope_fini(&e);
    envelope_fini(&out);
}

static void own_headers_are_set_and_others_refused(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct envelope own;
    struct task_again how = at_once;
    assert_int_equal(envelope_init(&own), CONEY_OK);
    set_header(&own, "coney-slot", "17");
    how.headers = &own.headers;
    set_header(&e, "coney-slot", "16");
    struct envelope out = again(&e, &how);
    assert_string_equal(table_text(&out.headers, "coney-slot").data, "17");
    envelope_fini(&out);
    set_header(&own, "retries", "x");
    assert_refused(&e, &how, "coney-");
    table_remove(&own.headers, "retries");
    set_header(&own, "coney-", "x");
    assert_refused(&e, &how, "coney-");
    envelope_fini(&own);
    envelope_fini(&e);
}

static void what_is_no_task_does_not_go_round(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    set_header(&e, "id", NULL);
    assert_refused(&e, &at_once, "id");
    envelope_fini(&e);
    e = captured_task();
    e.properties.content_type = "text/plain";
    assert_refused(&e, &at_once, "text/plain");
    envelope_fini(&e);
    e = captured_task();
    set_header(&e, "compression", "lzma");
    assert_refused(&e, &at_once, "lzma");
    envelope_fini(&e);
    e = captured_task();
    set_header(&e, "expires", "");
    assert_refused(&e, &at_once, "expires");
    envelope_fini(&e);
}

static void numbers_and_names_have_their_range(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    struct task_again how = {.retries = -1, .eta_us = TASK_NO_TIME};
    assert_refused(&e, &how, "retries");
    how.retries = INT32_MAX + INT64_C(1);
    assert_refused(&e, &how, "retries");
    how = (struct task_again){.retries = 1, .eta_us = INT64_MAX};
    assert_refused(&e, &how, "eta");
    how = (struct task_again){.retries = 1, .eta_us = TASK_NO_TIME, .parent_id = "\xff"};
    assert_refused(&e, &how, "parent_id");
    envelope_fini(&e);
}

static void going_round_says_when_memory_is_short(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    set_body(&e, PLAIN_BODY "                                  ", 90);
    for (unsigned n = 1;; n++) {
        struct envelope out;
        test_fail_allocation(n);
        enum coney_rc rc = task_encode_again(&e, &at_once, &out, NULL);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        envelope_fini(&out);
        if (!has_failed) {
            assert_true(n > 4);
            break;
        }
    }
    envelope_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(id_body_headers_and_types_stay),
            cmocka_unit_test(retries_eta_and_parent_are_the_new_ones),
            cmocka_unit_test(new_arguments_keep_their_spelling_and_what_follows_them),
            cmocka_unit_test(what_are_no_arguments_is_refused),
            cmocka_unit_test(retries_that_were_null_become_a_number),
            cmocka_unit_test(the_expires_header_stays_when_the_expiration_goes),
            cmocka_unit_test(the_brokers_headers_are_stripped),
            cmocka_unit_test(own_headers_are_set_and_others_refused),
            cmocka_unit_test(what_is_no_task_does_not_go_round),
            cmocka_unit_test(numbers_and_names_have_their_range),
            cmocka_unit_test(going_round_says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
