/* SPDX-License-Identifier: MIT */
/* test_entries.c - schedule: as entries, and what is wrong with one. */
#include "unit/with_config.h"

static void an_entry_that_says_everything_is_stored(void **state)
{
    (void)state;
    struct config *c = config_of("schedule:\n"
                                 "  check contracts:\n"
                                 "    task: notify.check\n"
                                 "    crontab: \"0 8 * * *\"\n"
                                 "    timezone: Europe/London\n"
                                 "    args: [30, \"30\", ~, {a: [true]}]\n"
                                 "    kwargs: {unit: days}\n"
                                 "    queue: low\n"
                                 "    priority: 4\n"
                                 "    expires: 1h\n"
                                 "    enabled: false\n"
                                 "    misfire: {all: 7}\n"
                                 "    deadline: 6h\n");
    assert_int_equal(c->entry_count, 1);
    const struct schedule_entry *e = &c->entries[0];
    char *args = json_dumps(e->args, JSON_COMPACT);
    char *kwargs = json_dumps(e->kwargs, JSON_COMPACT);

    assert_string_equal(e->name, "check contracts");
    assert_string_equal(e->task, "notify.check");
    assert_int_equal(e->every_ms, 0);
    assert_string_equal(e->crontab_text, "0 8 * * *");
    assert_int_equal(e->crontab.minutes, 1);
    assert_int_equal(e->crontab.hours, 1 << 8);
    assert_string_equal(zone_name(e->zone), "Europe/London");
    assert_string_equal(args, "[30,\"30\",null,{\"a\":[true]}]");
    assert_string_equal(kwargs, "{\"unit\":\"days\"}");
    assert_string_equal(e->queue, "coney.low");
    assert_int_equal(e->priority, 4);
    assert_int_equal(e->expires_ms, 3600000);
    assert_false(e->enabled);
    assert_int_equal(e->misfire, SCHEDULE_ALL);
    assert_int_equal(e->misfire_max, 7);
    assert_int_equal(e->deadline_ms, 6 * 3600000);
    free(args);
    free(kwargs);
    config_free(c);
}

static void an_entry_that_says_little_has_the_defaults(void **state)
{
    (void)state;
    struct config *c = config_of("beat: {timezone: Africa/Accra}\n"
                                 "schedule:\n"
                                 "  a: {task: x, every: 30m}\n"
                                 "  b: {task: y, crontab: \"@daily\"}\n"
                                 "  c: {task: z, crontab: \"0 1 * * *\"}\n");
    const struct schedule_entry *a = &c->entries[0];
    const struct schedule_entry *b = &c->entries[1];

    assert_int_equal(c->entry_count, 3);
    assert_int_equal(a->every_ms, 1800000);
    assert_null(a->crontab_text);
    assert_null(a->args);
    assert_null(a->kwargs);
    assert_null(a->queue);
    assert_int_equal(a->priority, -1);
    assert_int_equal(a->expires_ms, 0);
    assert_true(a->enabled);
    assert_int_equal(a->misfire, SCHEDULE_ONCE);
    assert_int_equal(a->misfire_max, SCHEDULE_MISFIRE_MAX);
    assert_int_equal(a->deadline_ms, 0);
    assert_string_equal(zone_name(b->zone), "Africa/Accra");
    assert_ptr_equal(b->zone, c->entries[2].zone); /* read once */
    config_free(c);
}

static void misfire_is_a_word_or_a_bound(void **state)
{
    (void)state;
    struct config *c = config_of("schedule:\n"
                                 "  a: {task: x, every: 1s, misfire: skip}\n"
                                 "  b: {task: x, every: 1s, misfire: all}\n");
    assert_int_equal(c->entries[0].misfire, SCHEDULE_SKIP);
    assert_int_equal(c->entries[1].misfire, SCHEDULE_ALL);
    assert_int_equal(c->entries[1].misfire_max, SCHEDULE_MISFIRE_MAX);
    config_free(c);
    assert_mistake("schedule: {a: {task: x, every: 1s, misfire: never}}",
            "misfire: found \"never\", allowed is skip, once, all or {all: 1}");
    assert_mistake("schedule: {a: {task: x, every: 1s, misfire: {all: 0}}}", "misfire: ");
    assert_mistake(
            "schedule: {a: {task: x, every: 1s, misfire: {all: 101}}}", "misfire: ");
    assert_mistake(
            "schedule: {a: {task: x, every: 1s, misfire: {once: 1}}}", "misfire: ");
    assert_mistake("schedule: {a: {task: x, every: 1s, misfire: [all]}}", "misfire: ");
}

static void two_kinds_of_day_need_a_word_on_how_they_combine(void **state)
{
    (void)state;
    struct config *c =
            config_of("schedule:\n"
                      "  a: {task: x, crontab: \"0 9 1 * mon\", days: both}\n"
                      "  b: {task: x, crontab: \"0 9 1 * mon\", days: either}\n");
    assert_int_equal(c->entries[0].crontab.combine, CRONTAB_DAYS_BOTH);
    assert_int_equal(c->entries[1].crontab.combine, CRONTAB_DAYS_EITHER);
    config_free(c);
    assert_mistake("schedule:\n  a: {task: x, crontab: \"0 9 1 * mon\"}\n", "2:25: ");
    assert_mistake("schedule:\n  a: {task: x, crontab: \"0 9 1 * mon\"}\n", "days: both");
}

static void a_mistake_in_a_crontab_is_told_at_its_column(void **state)
{
    (void)state;
    assert_mistake("schedule: {a: {task: x, crontab: \"0 8 * * 9\"}}", "1:43: ");
    assert_mistake("schedule:\n  a:\n    task: x\n    crontab: 0 25 * * 1\n", "4:16: ");
    assert_mistake("schedule: {a: {task: x, crontab: \"@reboot\"}}", "1:35: ");
}

static void an_entry_has_a_task_and_one_way_to_say_when(void **state)
{
    (void)state;
    assert_mistakes("schedule: {a: {}}\n",
            "1:12: schedule: \"a\" names no task\n"
            "1:12: schedule: \"a\" says neither crontab nor every\n");
    assert_mistakes("schedule: {a: {task: x, every: 1s, crontab: \"@daily\"}}\n",
            "1:32: every: the entry has a crontab as well; keep one of them\n");
    assert_mistake("schedule: {a: {task: x, every: 1s, timezone: UTC}}",
            "timezone: only for a crontab");
    assert_mistake("schedule: {a: {task: x, every: 1s, days: both}}",
            "days: only for a crontab");
    assert_mistake("schedule: {a: {task: x, every: 10ms}}",
            "every: found \"10ms\", allowed is a duration such as 10s, 100ms to 3650d");
}

static void a_number_that_would_be_rounded_is_refused(void **state)
{
    (void)state;
    assert_mistakes(
            "schedule: {a: {task: x, every: 1s, args: [1, 18446744073709551616]}}\n",
            "1:46: args: 18446744073709551616 has no room in 64 bits: put it in quotes, "
            "as a text\n");
    config_free(config_of(
            "schedule: {a: {task: x, every: 1s, args: [\"18446744073709551616\"]}}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_entry_that_says_everything_is_stored),
            cmocka_unit_test(an_entry_that_says_little_has_the_defaults),
            cmocka_unit_test(misfire_is_a_word_or_a_bound),
            cmocka_unit_test(two_kinds_of_day_need_a_word_on_how_they_combine),
            cmocka_unit_test(a_mistake_in_a_crontab_is_told_at_its_column),
            cmocka_unit_test(an_entry_has_a_task_and_one_way_to_say_when),
            cmocka_unit_test(a_number_that_would_be_rounded_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
