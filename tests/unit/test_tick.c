/* SPDX-License-Identifier: MIT */
/* test_tick.c - what of entry and policy goes into a tick's message. */
#include "beat/tick.h"
#include "with_config.h"

/* 2026-11-20T08:00Z */
#define EIGHT (INT64_C(1795161600) * 1000000)

static const char text[] =
        "tasks:\n"
        "  a.high: {queue: high, expires: 1h}\n"
        "  a.plain: {queue: low}\n"
        "schedule:\n"
        "  by-policy: {task: a.high, crontab: \"0 8 * * *\"}\n"
        "  by-entry: {task: a.high, every: 1m, queue: low, expires: 5s,\n"
        "    priority: 9, args: [1, two], kwargs: {x: [null]}}\n"
        "  for-ever: {task: a.plain, every: 1m}\n";

struct fixture {
    struct config *config;
    struct rng rng;
    struct tick_context context;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->config = config_of(text);
    rng_seed(&f->rng, 1);
    f->context = (struct tick_context){.config = f->config,
            .origin = "gen7@host",
            .rng = &f->rng,
            .now_us = EIGHT + 40000000};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    config_free(f->config);
    free(f);
    return 0;
}

static const struct schedule_entry *entry(const struct fixture *f, const char *name)
{
    for (size_t i = 0; i < f->config->entry_count; i++)
        if (strcmp(f->config->entries[i].name, name) == 0)
            return &f->config->entries[i];
    fail_msg("no entry %s", name);
    return NULL;
}

static const char *header(const struct envelope *e, const char *key)
{
    return table_text(&e->headers, key).data;
}

static void the_policy_fills_in_what_the_entry_leaves_open(void **state)
{
    struct fixture *f = *state;
    const struct schedule_entry *s = entry(f, "by-policy");
    struct tick_message m;
    char id[UUID_TEXT_SIZE];

    assert_int_equal(tick_encode(&f->context, s, EIGHT, &m, NULL), CONEY_OK);
    schedule_entry_id(s, "main", EIGHT, id);
    assert_string_equal(m.queue, "coney.high");
    assert_string_equal(m.envelope.properties.message_id, id);
    assert_string_equal(header(&m.envelope, "id"), id);
    assert_string_equal(header(&m.envelope, "task"), "a.high");
    assert_string_equal(header(&m.envelope, "origin"), "gen7@host");
    assert_string_equal(header(&m.envelope, "periodic_task_name"), "by-policy");
    /* an hour from the due time, however late it is published */
    assert_string_equal(
            header(&m.envelope, "expires"), "2026-11-20T09:00:00.000000+00:00");
    assert_null(m.envelope.properties.expiration);
    assert_string_equal(m.envelope.properties.app_id, "coney-beat");
    assert_int_equal(m.envelope.properties.priority, -1);
    assert_int_equal(m.envelope.properties.delivery_mode, DELIVERY_PERSISTENT);
    envelope_fini(&m.envelope);
}

static void the_entry_beats_the_policy(void **state)
{
    struct fixture *f = *state;
    struct tick_message m;

    assert_int_equal(
            tick_encode(&f->context, entry(f, "by-entry"), EIGHT, &m, NULL), CONEY_OK);
    assert_string_equal(m.queue, "coney.low");
    assert_string_equal(
            header(&m.envelope, "expires"), "2026-11-20T08:00:05.000000+00:00");
    assert_int_equal(m.envelope.properties.priority, 9);
    assert_memory_equal(m.envelope.body.data, "[[1, \"two\"], {\"x\": [null]}, ",
            strlen("[[1, \"two\"], {\"x\": [null]}, "));
    envelope_fini(&m.envelope);
}

static void expiry_counts_from_the_due_time(void **state)
{
    struct fixture *f = *state;
    int64_t expires_us;

    assert_int_equal(tick_expires(&f->context, entry(f, "by-policy"), EIGHT, &expires_us),
            CONEY_OK);
    assert_true(expires_us == EIGHT + INT64_C(3600000000));
    assert_int_equal(tick_expires(&f->context, entry(f, "by-entry"), EIGHT, &expires_us),
            CONEY_OK);
    assert_true(expires_us == EIGHT + 5000000);
    assert_int_equal(tick_expires(&f->context, entry(f, "for-ever"), EIGHT, &expires_us),
            CONEY_OK);
    assert_true(expires_us == TASK_NO_TIME);
}

static void every_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    for (unsigned n = 1;; n++) {
        struct coney_error err = {.rc = CONEY_OK};
        struct tick_message m = {.queue = NULL};
        test_fail_allocation(n);
        enum coney_rc rc =
                tick_encode(&f->context, entry(f, "by-entry"), EIGHT, &m, &err);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (rc == CONEY_OK)
            envelope_fini(&m.envelope);
        if (!failed)
            break;
        assert_true(rc == CONEY_ENOMEM || rc == CONEY_OK);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(the_policy_fills_in_what_the_entry_leaves_open),
            TEST(the_entry_beats_the_policy),
            TEST(expiry_counts_from_the_due_time),
            TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
