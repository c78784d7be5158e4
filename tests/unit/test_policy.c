/* SPDX-License-Identifier: MIT */
/* test_policy.c - who speaks about a task, who wins, and what a flood of names costs. */
#include "base/rng.h"
#include "config/policy.h"
#include "unit/with_config.h"

#include <fnmatch.h>
#include <unistd.h>

static void assert_texts(const struct string_list *list, const char *joined)
{
    char text[512] = "";
    for (size_t i = 0; i < list->count; i++) {
        strcat(text, i ? " " : "");
        strcat(text, list->items[i]);
    }
    assert_string_equal(text, joined);
}

static void assert_codes(const struct int_list *list, const char *joined)
{
    char text[512] = "";
    for (size_t i = 0; i < list->count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", i ? " " : "",
                list->items[i]);
    assert_string_equal(text, joined);
}

static void nobody_spoke_and_the_defaults_hold(void **state)
{
    (void)state;
    struct config *c = config_of("");
    const struct policy *p = config_policy(c, "any.task");

    assert_string_equal(p->task, "any.task");
    assert_false(p->known);
    assert_int_equal(p->handler, HANDLER_NATIVE);
    assert_string_equal(p->queue, "coney.default");
    assert_int_equal(p->priority, -1);
    assert_int_equal(p->retry.max, 3);
    assert_int_equal(p->retry.base_ms, 1000);
    assert_true(p->retry.factor == 2.0);
    assert_int_equal(p->retry.cap_ms, 600000);
    assert_int_equal(p->retry.jitter, JITTER_FULL);
    assert_int_equal(p->retry.on.count, 0);
    assert_int_equal(p->retry.not_on.count, 0);
    assert_int_equal(p->soft_time_limit_ms, CONFIG_NONE);
    assert_int_equal(p->time_limit_ms, CONFIG_NONE);
    assert_int_equal(p->expires_ms, CONFIG_NONE);
    assert_int_equal(p->rate_per_hour, CONFIG_NONE);
    assert_int_equal(p->max_tasks, 0);
    assert_int_equal(p->max_memory, CONFIG_NONE);
    assert_false(p->ignore_result);
    assert_int_equal(p->command.argv.count, 0);
    assert_null(p->command.directory);
    assert_int_equal(p->command.environment.count, 0);
    assert_codes(&p->command.ok_exit, "0");
    assert_codes(&p->command.retry_exit, "75");
    assert_codes(&p->command.reject_exit, "");
    assert_int_equal(p->command.max_output, 1024 * 1024);
    assert_int_equal(p->command.umask, 022);
    assert_int_equal(p->said, 0);
    config_free(c);
}

static void every_key_of_a_task_is_stored(void **state)
{
    (void)state;
    struct config *c = config_of("tasks:\n"
                                 "  x:\n"
                                 "    queue: low\n"
                                 "    priority: 7\n"
                                 "    retry: {max: 9, base: 2s, factor: 1.5, cap: 3s, "
                                 "jitter: none, on: [A, B], not_on: [C]}\n"
                                 "    soft_time_limit: 4s\n"
                                 "    time_limit: 5s\n"
                                 "    expires: 6s\n"
                                 "    rate_limit: 10/m\n"
                                 "    max_tasks: 11\n"
                                 "    max_memory: 300M\n"
                                 "    ignore_result: true\n"
                                 "    command: [/bin/sh, -c, 5]\n"
                                 "    directory: /srv\n"
                                 "    environment: {LANG: C.UTF-8, N: 1}\n"
                                 "    ok_exit: [0, 1]\n"
                                 "    retry_exit: [2]\n"
                                 "    reject_exit: [3, 4]\n"
                                 "    max_output: 2K\n"
                                 "    umask: 077\n");
    const struct policy *p = config_policy(c, "x");

    assert_true(p->known);
    assert_int_equal(p->handler, HANDLER_COMMAND);
    assert_string_equal(p->queue, "coney.low");
    assert_int_equal(p->priority, 7);
    assert_int_equal(p->retry.max, 9);
    assert_int_equal(p->retry.base_ms, 2000);
    assert_true(p->retry.factor == 1.5);
    assert_int_equal(p->retry.cap_ms, 3000);
    assert_int_equal(p->retry.jitter, JITTER_NONE);
    assert_texts(&p->retry.on, "A B");
    assert_texts(&p->retry.not_on, "C");
    assert_int_equal(p->soft_time_limit_ms, 4000);
    assert_int_equal(p->time_limit_ms, 5000);
    assert_int_equal(p->expires_ms, 6000);
    assert_int_equal(p->rate_per_hour, 600);
    assert_int_equal(p->max_tasks, 11);
    assert_int_equal(p->max_memory, 300 * 1024 * 1024);
    assert_true(p->ignore_result);
    assert_texts(&p->command.argv, "/bin/sh -c 5");
    assert_string_equal(p->command.directory, "/srv");
    assert_texts(&p->command.environment, "LANG=C.UTF-8 N=1");
    assert_codes(&p->command.ok_exit, "0 1");
    assert_codes(&p->command.retry_exit, "2");
    assert_codes(&p->command.reject_exit, "3 4");
    assert_int_equal(p->command.max_output, 2048);
    assert_int_equal(p->command.umask, 077);
    config_free(c);
}

static void the_most_specific_name_wins_key_by_key(void **state)
{
    (void)state;
    struct config *c = config_of(
            "tasks:\n"
            "  \"*\": {max_tasks: 1, priority: 1, retry: {max: 1, base: 1m, cap: 1h}}\n"
            "  a.*: {max_tasks: 2, retry: {max: 2, base: 2s}, queue: low}\n"
            "  a.b.c: {max_tasks: 4}\n"
            "  a.b.*: {max_tasks: 3, retry: {max: 3}}\n"
            "  \"*.c\": {max_tasks: 9, expires: 9s}\n");
    const struct policy *p = config_policy(c, "a.b.c");
    assert_int_equal(p->max_tasks, 4);
    assert_int_equal(p->retry.max, 3);
    assert_int_equal(p->retry.base_ms, 2000);
    assert_int_equal(p->retry.cap_ms, 3600000);
    assert_string_equal(p->queue, "coney.low");
    assert_int_equal(p->expires_ms, 9000); /* a glob without a beginning beats "*" */
    assert_int_equal(p->priority, 1);
    assert_true(p->retry.factor == 2.0);

    assert_int_equal(config_policy(c, "a.b.d")->max_tasks, 3);
    assert_int_equal(config_policy(c, "a.x")->max_tasks, 2);
    assert_int_equal(config_policy(c, "x.c")->max_tasks, 9);
    assert_int_equal(config_policy(c, "x")->max_tasks, 1);
    config_free(c);
}

static void a_star_alone_is_the_least_specific(void **state)
{
    (void)state;
    struct config *c = config_of("tasks: {\"?\": {max_tasks: 7}, \"*\": {max_tasks: 1}}");
    assert_int_equal(config_policy(c, "x")->max_tasks, 7);
    assert_int_equal(config_policy(c, "xy")->max_tasks, 1);
    config_free(c);
}

static void none_takes_back_what_a_wider_pattern_said(void **state)
{
    (void)state;
    struct config *c = config_of("tasks:\n"
                                 "  \"*\": {time_limit: 1m, command: [/bin/true], "
                                 "max_tasks: 4, retry: {not_on: [A]}}\n"
                                 "  x: {time_limit: none, command: none, max_tasks: "
                                 "none, retry: {not_on: []}}\n");
    const struct policy *p = config_policy(c, "x");
    assert_int_equal(p->time_limit_ms, CONFIG_NONE);
    assert_int_equal(p->max_tasks, 0);
    assert_int_equal(p->handler, HANDLER_NATIVE);
    assert_int_equal(p->retry.not_on.count, 0);
    assert_true(policy_says(p, "time_limit"));
    config_free(c);
}

static void variables_are_merged_one_by_one(void **state)
{
    (void)state;
    struct config *c = config_of(
            "tasks:\n"
            "  \"*\": {environment: {A: any, B: any, C: any}, command: [/bin/true]}\n"
            "  x.*: {environment: {B: glob, D: glob}}\n"
            "  x.y: {environment: {C: exact}}\n");
    assert_texts(
            &config_policy(c, "x.y")->command.environment, "C=exact B=glob D=glob A=any");
    config_free(c);
}

static void known_is_what_is_named_or_has_a_command(void **state)
{
    (void)state;
    struct config *c = config_of("tasks: {\"*\": {max_tasks: 1}, a: {}, b.*: {}}");
    assert_true(config_policy(c, "a")->known);
    assert_true(config_policy(c, "b.c")->known);
    assert_false(config_policy(c, "c")->known);
    config_free(c);
    c = config_of("tasks: {\"*\": {command: [/bin/true]}}");
    assert_true(config_policy(c, "c")->known);
    config_free(c);
}

static void what_was_said_is_told_from_what_is_default(void **state)
{
    (void)state;
    struct config *c = config_of(
            "tasks: {\"*\": {retry: {max: 3}}, x: {umask: 022, environment: {A: b}, "
            "command: [/bin/true]}}");
    const struct policy *p = config_policy(c, "x");
    assert_true(policy_says(p, "retry.max"));
    assert_false(policy_says(p, "retry.base"));
    assert_true(policy_says(p, "umask"));
    assert_true(policy_says(p, "environment"));
    assert_false(policy_says(p, "queue"));
    assert_false(policy_says(p, "no_such_key"));
    assert_false(policy_says(config_policy(c, "y"), "umask"));
    config_free(c);
}

static void the_queue_of_nobodys_choice_is_that_of_the_class_default(void **state)
{
    (void)state;
    struct config *c = config_of("classes: {fast: {}, slow: {}}");
    assert_string_equal(config_policy(c, "x")->queue, "coney.fast");
    config_free(c);
    c = config_of("queues: {celery: }\ntasks: {x: {queue: celery}, y: {queue: "
                  "coney.low}}\n");
    assert_string_equal(config_policy(c, "x")->queue, "celery");
    assert_string_equal(config_policy(c, "y")->queue, "coney.low");
    assert_string_equal(config_policy(c, "z")->queue, "coney.default");
    config_free(c);
}

static void a_policy_is_resolved_once(void **state)
{
    (void)state;
    struct config *c = config_of("tasks: {x.*: {priority: 3}}");
    const struct policy *first = config_policy(c, "x.y");
    assert_ptr_equal(config_policy(c, "x.y"), first);
    assert_ptr_not_equal(config_policy(c, "x.z"), first);
    assert_string_equal(config_policy(c, "x.z")->task, "x.z");
    assert_string_equal(first->task, "x.y");
    config_free(c);
}

static void a_flood_of_names_ends_in_shared_policies(void **state)
{
    (void)state;
    struct config *c = config_of("tasks: {spam.*: {priority: 3}, real: {priority: 4}}");
    char name[32];
    const struct policy *last = NULL;
    for (int i = 0; i < 2 * POLICY_NAMES_MAX; i++) {
        snprintf(name, sizeof(name), "spam.%d", i);
        const struct policy *p = config_policy(c, name);
        assert_non_null(p);
        assert_int_equal(p->priority, 3);
        if (i >= POLICY_NAMES_MAX) {
            assert_string_equal(p->task, "spam.*");
            assert_true(!last || p == last);
            last = p;
        } else {
            assert_string_equal(p->task, name);
        }
    }
    assert_string_equal(config_policy(c, "real")->task, "real");
    assert_int_equal(config_policy(c, "real")->priority, 4);
    assert_false(config_policy(c, "other")->known);
    config_free(c);
}

/* Every subset of these globs is the set that some name matches. */
static void globs_that_overlap_in_every_way_are_survived(void **state)
{
    (void)state;
    enum { GLOBS = 14 };
    char text[1024] = "tasks:\n";
    for (int i = 0; i < GLOBS; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "  \"*%c*\": {}\n",
                'a' + i);
    struct config *c = config_of(text);
    size_t refused = 0;
    for (unsigned set = 0; set < 1 << GLOBS; set++) {
        char name[GLOBS + 2] = "-";
        for (int i = 0; i < GLOBS; i++)
            if (set & 1u << i)
                name[strlen(name)] = (char)('a' + i);
        refused += config_policy(c, name) == NULL;
    }
    assert_int_equal(refused, (1 << GLOBS) - 4096 - GLOBS);
    config_free(c);
}

static void globs_match_as_fnmatch_does(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < 200000; i++) {
        char pattern[12] = "";
        char name[12] = "";
        size_t pattern_len = rng_below(&rng, 8);
        size_t name_len = rng_below(&rng, 10);
        for (size_t j = 0; j < pattern_len; j++)
            pattern[j] = "ab.*?"[rng_below(&rng, 5)];
        for (size_t j = 0; j < name_len; j++)
            name[j] = "ab."[rng_below(&rng, 3)];
        if (glob_matches(pattern, name) != (fnmatch(pattern, name, 0) == 0))
            fail_msg("\"%s\" and \"%s\"", pattern, name);
    }
}

static void a_glob_is_not_slow_on_purpose(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    alarm(20);
    assert_false(glob_matches("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", name));
    alarm(0);
}

static void retries_cover_what_is_on_and_not_what_is_not_on(void **state)
{
    (void)state;
    struct config *c = config_of("tasks:\n"
                                 "  all: {}\n"
                                 "  some: {retry: {on: [A, B]}}\n"
                                 "  most: {retry: {not_on: [A]}}\n"
                                 "  both: {retry: {on: [A, B], not_on: [A]}}\n");
    assert_true(retry_policy_covers(&config_policy(c, "all")->retry, "A"));
    assert_true(retry_policy_covers(&config_policy(c, "some")->retry, "B"));
    assert_false(retry_policy_covers(&config_policy(c, "some")->retry, "C"));
    assert_false(retry_policy_covers(&config_policy(c, "most")->retry, "A"));
    assert_true(retry_policy_covers(&config_policy(c, "most")->retry, "C"));
    assert_false(retry_policy_covers(&config_policy(c, "both")->retry, "A"));
    assert_true(retry_policy_covers(&config_policy(c, "both")->retry, "B"));
    config_free(c);
}

static void patterns_are_listed_as_written(void **state)
{
    (void)state;
    struct config *c = config_of("tasks: {b: {}, \"*\": {}, a.*: {}}");
    assert_texts(&c->task_patterns, "b * a.*");
    config_free(c);
}

static void the_most_specific_handler_wins(void **state)
{
    (void)state;
    struct config *c =
            config_of("tasks:\n"
                      "  \"*\": {server: [/all]}\n"
                      "  core.*: {server: [/core, -A, core], directory: /srv}\n"
                      "  core.report: {command: [/report]}\n"
                      "  core.native: {server: none}\n"
                      "  core.report.x*: {server: [/x]}\n");
    const struct policy *p = config_policy(c, "core.add");
    assert_int_equal(p->handler, HANDLER_SERVER);
    assert_true(p->known);
    assert_texts(&p->command.server, "/core -A core");
    assert_string_equal(p->command.directory, "/srv");
    assert_int_equal(p->command.start_ms, 60000);
    assert_int_equal(config_policy(c, "core.report")->handler, HANDLER_COMMAND);
    assert_int_equal(config_policy(c, "core.native")->handler, HANDLER_NATIVE);
    assert_texts(&config_policy(c, "core.report.xy")->command.server, "/x");
    assert_true(config_policy(c, "whatever")->known);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(nobody_spoke_and_the_defaults_hold),
            cmocka_unit_test(every_key_of_a_task_is_stored),
            cmocka_unit_test(the_most_specific_name_wins_key_by_key),
            cmocka_unit_test(a_star_alone_is_the_least_specific),
            cmocka_unit_test(none_takes_back_what_a_wider_pattern_said),
            cmocka_unit_test(variables_are_merged_one_by_one),
            cmocka_unit_test(known_is_what_is_named_or_has_a_command),
            cmocka_unit_test(what_was_said_is_told_from_what_is_default),
            cmocka_unit_test(the_queue_of_nobodys_choice_is_that_of_the_class_default),
            cmocka_unit_test(a_policy_is_resolved_once),
            cmocka_unit_test(a_flood_of_names_ends_in_shared_policies),
            cmocka_unit_test(globs_that_overlap_in_every_way_are_survived),
            cmocka_unit_test(globs_match_as_fnmatch_does),
            cmocka_unit_test(a_glob_is_not_slow_on_purpose),
            cmocka_unit_test(retries_cover_what_is_on_and_not_what_is_not_on),
            cmocka_unit_test(the_most_specific_handler_wins),
            cmocka_unit_test(patterns_are_listed_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
