/* SPDX-License-Identifier: MIT */
/* test_celery_task.c - tasks as a Celery worker lists them. */
#include "cli/celery_task.h"
#include "test.h"

#include <string.h>

static void a_task_is_taken_apart(void **state)
{
    (void)state;
    struct celery_task t;
    struct arena *a = arena_new(0);
    const char *text = "shop.mail [rate_limit=10/m time_limit=60 soft_time_limit=50.5 "
                       "max_retries=5 default_retry_delay=30 ignore_result=False "
                       "acks_late=True queue=a b serializer=json]";
    assert_int_equal(celery_task_read(text, a, &t), CONEY_OK);
    assert_string_equal(t.name, "shop.mail");
    assert_string_equal(t.rate_limit, "10/m");
    assert_string_equal(t.time_limit, "60");
    assert_string_equal(t.soft_time_limit, "50.5");
    assert_string_equal(t.max_retries, "5");
    assert_string_equal(t.default_retry_delay, "30");
    assert_string_equal(t.ignore_result, "False");
    assert_string_equal(t.acks_late, "True");
    assert_string_equal(t.queue, "a b");
    assert_string_equal(t.serializer, "json");
    assert_null(t.priority);
    assert_null(t.expires);
    arena_free(a);
}

static void a_task_may_say_little_or_nonsense(void **state)
{
    (void)state;
    struct celery_task t;
    struct arena *a = arena_new(0);
    static const char *const texts[] = {
            "x", "x [", "x []", "x [=]", "x [rate_limit]", "x [queue=]", "[queue=q]", ""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(celery_task_read(texts[i], a, &t), CONEY_OK);
    assert_int_equal(celery_task_read("x [soft_time_limit=5]", a, &t), CONEY_OK);
    assert_null(t.time_limit);
    assert_string_equal(t.soft_time_limit, "5");
    assert_int_equal(celery_task_read("x [queue=my_queue=1]", a, &t), CONEY_OK);
    assert_string_equal(t.queue, "my_queue=1");
    arena_free(a);
}

static void rates_become_ours(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *rate;
    } rows[] = {{"10/m", "10/m"}, {"100/h", "100/h"}, {"5", "5/s"}, {"5.0", "5/s"},
            {"0.5/s", "30/m"}, {"2/s", "2/s"}, {"0.25/m", "15/h"}, {"0", NULL},
            {"0.1/h", NULL}, {"-1", NULL}, {"fast", NULL}, {"5/d", NULL}, {"nan", NULL},
            {"inf", NULL}, {"", NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char rate[64] = "";
        bool is_rate = celery_rate(rows[i].text, rate, sizeof(rate));
        assert_int_equal(is_rate, rows[i].rate != NULL);
        if (is_rate)
            assert_string_equal(rate, rows[i].rate);
    }
}

static void seconds_become_durations(void **state)
{
    (void)state;
    char text[64];
    assert_true(celery_seconds(90, text, sizeof(text)));
    assert_string_equal(text, "1m30s");
    assert_true(celery_seconds(2.5, text, sizeof(text)));
    assert_string_equal(text, "2s500ms");
    assert_true(celery_seconds_text("3600", text, sizeof(text)));
    assert_string_equal(text, "1h");
    assert_false(celery_seconds(0, text, sizeof(text)));
    assert_false(celery_seconds(-1, text, sizeof(text)));
    assert_false(celery_seconds(1e30, text, sizeof(text)));
    assert_false(celery_seconds_text("5x", text, sizeof(text)));
    assert_false(celery_seconds_text("", text, sizeof(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_task_is_taken_apart),
            cmocka_unit_test(a_task_may_say_little_or_nonsense),
            cmocka_unit_test(rates_become_ours),
            cmocka_unit_test(seconds_become_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
