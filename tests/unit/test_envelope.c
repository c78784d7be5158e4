/* SPDX-License-Identifier: MIT */
/* test_envelope.c - what is stripped before a message is published again, and copies. */
#include "base/envelope.h"
#include "test.h"

#include <string.h>

static void a_new_envelope_has_no_properties(void **state)
{
    (void)state;
    struct envelope e;
    assert_int_equal(envelope_init(&e), CONEY_OK);
    assert_null(e.properties.content_type);
    assert_int_equal(e.properties.timestamp_s, -1);
    assert_int_equal(e.properties.delivery_mode, -1);
    assert_int_equal(e.properties.priority, -1);
    envelope_fini(&e);
    envelope_fini(&e);
    e = (struct envelope){.arena = NULL};
    envelope_fini(&e);
}

static void the_brokers_headers_and_only_those_are_stripped(void **state)
{
    (void)state;
    static const char *const gone[] = {"x-death", "x-first-death-queue",
            "x-first-death-reason", "x-first-death-exchange", "x-last-death-queue",
            "x-last-death-reason", "x-delivery-count", "x-acquired-count", "CC", "BCC"};
    static const char *const kept[] = {"task", "x-custom", "x-deaths", "x-first", "cc",
            "coney-history", "x-delivery-counter"};
    struct envelope e;

    assert_int_equal(envelope_init(&e), CONEY_OK);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        assert_int_equal(table_set_text(&e.headers, e.arena, kept[i], "x"), CONEY_OK);
        assert_int_equal(table_set_text(&e.headers, e.arena, gone[i], "x"), CONEY_OK);
    }
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        assert_int_equal(table_set_void(&e.headers, e.arena, gone[i]), CONEY_OK);
    envelope_strip_broker_headers(&e);
    assert_int_equal(e.headers.count, sizeof(kept) / sizeof(kept[0]));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        assert_non_null(table_find(&e.headers, kept[i]));
    envelope_fini(&e);
}

static void expiration_and_user_id_are_stripped_and_nothing_else(void **state)
{
    (void)state;
    struct envelope e;
    assert_int_equal(envelope_init(&e), CONEY_OK);
    e.properties.expiration = "1000";
    e.properties.user_id = "guest";
    e.properties.reply_to = "q";
    e.properties.priority = 5;
    envelope_strip_broker_headers(&e);
    assert_null(e.properties.expiration);
    assert_null(e.properties.user_id);
    assert_string_equal(e.properties.reply_to, "q");
    assert_int_equal(e.properties.priority, 5);
    envelope_fini(&e);
}

static void fill(struct envelope *e)
{
    struct properties *p = &e->properties;
    *p = (struct properties){.content_type = "ct",
            .content_encoding = "ce",
            .correlation_id = "ci",
            .reply_to = "rt",
            .expiration = "1",
            .message_id = "m",
            .type = "t",
            .user_id = "u",
            .app_id = "a",
            .timestamp_s = 5,
            .delivery_mode = 1,
            .priority = 9};
    assert_int_equal(table_set_text(&e->headers, e->arena, "k", "v"), CONEY_OK);
    e->body = arena_copy(e->arena, (struct bytes){.data = "bo\0dy", .len = 5});
}

static void a_copy_outlives_its_source(void **state)
{
    (void)state;
    struct envelope e;
    struct envelope copy;

    assert_int_equal(envelope_init(&e), CONEY_OK);
    fill(&e);
    e.properties.reply_to = arena_strdup(e.arena, "from the arena");
    assert_int_equal(envelope_copy(&copy, &e), CONEY_OK);
    envelope_fini(&e);
    const struct properties *p = &copy.properties;
    assert_string_equal(p->content_type, "ct");
    assert_string_equal(p->content_encoding, "ce");
    assert_string_equal(p->correlation_id, "ci");
    assert_string_equal(p->reply_to, "from the arena");
    assert_string_equal(p->expiration, "1");
    assert_string_equal(p->message_id, "m");
    assert_string_equal(p->type, "t");
    assert_string_equal(p->user_id, "u");
    assert_string_equal(p->app_id, "a");
    assert_int_equal(p->timestamp_s, 5);
    assert_int_equal(p->delivery_mode, 1);
    assert_int_equal(p->priority, 9);
    assert_string_equal(table_text(&copy.headers, "k").data, "v");
    assert_int_equal(copy.body.len, 5);
    assert_memory_equal(copy.body.data, "bo\0dy", 6);
    envelope_fini(&copy);
}

static void copying_says_when_memory_is_short(void **state)
{
    (void)state;
    struct envelope e;
    struct envelope copy;

    assert_int_equal(envelope_init(&e), CONEY_OK);
    fill(&e);
    char *large = arena_alloc(e.arena, 10000);
    memset(large, 'x', 9999);
    e.properties.type = large;
    test_fail_allocation(1);
    assert_int_equal(envelope_init(&copy), CONEY_ENOMEM);
    for (unsigned n = 1;; n++) {
        test_fail_allocation(n);
        enum coney_rc rc = envelope_copy(&copy, &e);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        envelope_fini(&copy);
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
            cmocka_unit_test(a_new_envelope_has_no_properties),
            cmocka_unit_test(the_brokers_headers_and_only_those_are_stripped),
            cmocka_unit_test(expiration_and_user_id_are_stripped_and_nothing_else),
            cmocka_unit_test(a_copy_outlives_its_source),
            cmocka_unit_test(copying_says_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
