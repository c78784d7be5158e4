/* SPDX-License-Identifier: MIT */
/* test_celery_when.c - schedules as Celery prints them, of each version. */
#include "cli/celery_when.h"
#include "test.h"

#include <string.h>

static void crontabs_are_read_in_either_order(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *crontab;
        bool needs_days;
    } rows[] = {
            {"<crontab: 0 8 mon-fri * * (m/h/d/dM/MY)>", "0 8 * * mon-fri", false},
            {"<crontab: 0 8 * * mon-fri (m/h/dM/MY/d)>", "0 8 * * mon-fri", false},
            {"<crontab: */15 8-18 sun 1,15 */3 (m/h/d/dM/MY)>", "*/15 8-18 1,15 */3 sun",
                    true},
            {"<crontab: */15 8-18 1,15 */3 sun (m/h/dM/MY/d)>", "*/15 8-18 1,15 */3 sun",
                    true},
            {"<crontab: 5 * * * * (m/h/d/dM/MY)>", "5 * * * *", false},
            {"<crontab: [0, 30] {1, 2} * * * (m/h/dM/MY/d)>", "0,30 1,2 * * *", false},
            {"<crontab: 0 0 monday,friday * * (m/h/d/dM/MY)>", "0 0 * * mon,fri", false},
            {"<crontab: 0 22-2 * * * (m/h/dM/MY/d)>", "0 22-2 * * *", false},
            {"<crontab: ['0', '30'] * * * * (m/h/dM/MY/d)>", "0,30 * * * *", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct celery_when when;
        struct coney_error err = {.text = ""};
        json_t *value = json_string(rows[i].text);
        assert_int_equal(celery_when_read(value, &when, &err), CONEY_OK);
        assert_string_equal(when.crontab, rows[i].crontab);
        assert_int_equal(when.needs_days, rows[i].needs_days);
        json_decref(value);
    }
}

static void intervals_are_read_in_all_their_forms(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int64_t ms;
        bool is_rounded;
    } rows[] = {
            {"30", 30000, false},
            {"30.0", 30000, false},
            {"0.5", 500, false},
            {"\"0:00:30\"", 30000, false},
            {"\"2:30:00\"", 9000000, false},
            {"\"1 day, 0:00:01\"", 86401000, false},
            {"\"400 days, 0:00:00\"", INT64_C(400) * 86400000, false},
            {"\"0:00:01.500000\"", 1500, false},
            {"\"<freq: 30.00 seconds>\"", 30000, false},
            {"\"<freq: 1.00 second>\"", 1000, false},
            {"\"<freq: 1.50 seconds>\"", 1500, false},
            {"\"<freq: 5.00 minutes>\"", 300000, false},
            {"\"<freq: 1.00 hour>\"", 3600000, false},
            {"\"<freq: 2.04 days>\"", 176256000, true},
            {"\"<freq: 1.52 minutes>\"", 91200, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct celery_when when;
        json_t *value = json_loads(rows[i].json, JSON_DECODE_ANY, NULL);
        assert_int_equal(celery_when_read(value, &when, NULL), CONEY_OK);
        assert_int_equal(when.every_ms, rows[i].ms);
        assert_int_equal(when.is_rounded, rows[i].is_rounded);
        assert_string_equal(when.crontab, "");
        json_decref(value);
    }
}

static void what_is_no_schedule_of_ours_says_why(void **state)
{
    (void)state;
    static const char *const bad[] = {"null", "true", "[]", "0", "-5", "0.01", "1e18",
            "\"\"", "\"now\"",
            "\"<solar: sunset at latitude -37.81, longitude: 144.96>\"",
            "\"<crontab: 0 8 * * *>\"", "\"<crontab: 0 8 (m/h/d/dM/MY)>\"",
            "\"<crontab: 0 8 * * * (m/h/d/dM/XX)>\"",
            "\"<crontab: 0 99 * * * (m/h/d/dM/MY)>\"",
            "\"<crontab: 0 0 * 31 2 (m/h/d/dM/MY)>\"",
            "\"<crontab: [0, 30 (m/h/d/dM/MY)>\"", "\"<crontab:(m/h/d/dM/MY)>\"",
            "\"<freq: now>\"", "\"<freq: 5.00 moons>\"", "\"25:00:00\"", "\"1 day\"",
            "\"x days, 0:00:00\"", "\"-1 day, 0:00:00\"", "\"0:00\"", "\"0:00:61\"",
            "\"0:00:00\"", "\"<crontab: 5/15 * * * * (m/h/d/dM/MY)>\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct celery_when when;
        struct coney_error err = {.text = ""};
        json_t *value = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        assert_int_equal(celery_when_read(value, &when, &err), CONEY_EINVAL);
        assert_true(err.text[0] != '\0');
        json_decref(value);
    }
}

static void a_field_that_is_too_long_is_refused(void **state)
{
    (void)state;
    char text[700] = "<crontab: ";
    struct celery_when when;
    memset(text + strlen(text), '1', 600);
    memcpy(text + 610, " * * * * (m/h/d/dM/MY)>", 24);
    json_t *value = json_string(text);
    assert_int_equal(celery_when_read(value, &when, NULL), CONEY_EINVAL);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(crontabs_are_read_in_either_order),
            cmocka_unit_test(intervals_are_read_in_all_their_forms),
            cmocka_unit_test(what_is_no_schedule_of_ours_says_why),
            cmocka_unit_test(a_field_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
