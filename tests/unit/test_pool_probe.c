/* SPDX-License-Identifier: MIT */
/* test_pool_probe.c - what coney-runner tells about good and bad plugins. */
#include "support/test.h"
#include "worker/descendants.h"
#include "worker/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct offered_tasks offered;
static struct coney_error reason;

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    if (!value)
        fail_msg("%s is not set; run this by ctest", name);
    return value;
}

static enum coney_rc probe(const char *first, const char *second)
{
    char paths[2][512];
    char *items[] = {paths[0], paths[1]};
    const char *dir = setting("CONEY_TEST_PLUGIN_DIR");
    const char *runner = setting("CONEY_RUNNER");
    pid_t *pids = NULL;
    size_t count = 0;
    snprintf(paths[0], sizeof(paths[0]), "%s/%s.so", dir, first);
    snprintf(paths[1], sizeof(paths[1]), "%s/%s.so", dir, second ? second : "");
    struct string_list plugins = {items, second ? 2 : 1};
    enum coney_rc rc = pool_probe(runner, &plugins, PROBE_BEFORE_POOL, &offered, &reason);
    assert_int_equal(descendants_list(&pids, &count, NULL), CONEY_OK);
    assert_int_equal(count, 0);
    free(pids);
    return rc;
}

static const struct offered_task *find(const char *name)
{
    for (size_t i = 0; i < offered.count; i++)
        if (strcmp(offered.items[i].name, name) == 0)
            return &offered.items[i];
    return NULL;
}

static void tasks_are_listed_with_the_policy_of_their_plugin(void **state)
{
    (void)state;
    assert_int_equal(probe("demo", "noisy"), CONEY_OK);
    const struct offered_task *t = find("demo.sleep");
    assert_non_null(t);
    assert_int_equal(t->soft_time_limit_ms, 5000);
    assert_int_equal(t->time_limit_ms, 10000);
    assert_int_equal(t->max_retries, 7);
    t = find("demo.add");
    assert_non_null(t);
    assert_int_equal(t->soft_time_limit_ms, CONFIG_NONE);
    assert_int_equal(t->max_retries, CONFIG_NONE);
    t = find("demo.spin");
    assert_non_null(t);
    assert_int_equal(t->max_retries, 0);
    assert_non_null(find("noisy.nothing"));
    offered_tasks_fini(&offered);
}

static void without_plugins_nothing_is_offered(void **state)
{
    (void)state;
    struct string_list none = {NULL, 0};
    assert_int_equal(pool_probe(setting("CONEY_RUNNER"), &none, PROBE_BEFORE_POOL,
                             &offered, &reason),
            CONEY_OK);
    assert_int_equal(offered.count, 0);
    offered_tasks_fini(&offered);
}

static void a_plugin_that_does_not_load_is_named_with_the_reason(void **state)
{
    (void)state;
    assert_int_equal(probe("not_a_plugin", NULL), CONEY_EINVAL);
    assert_non_null(strstr(reason.text, "/not_a_plugin.so: "));
    assert_int_equal(probe("demo", "nosuch"), CONEY_EINVAL);
    assert_non_null(strstr(reason.text, "/nosuch.so: "));
    assert_int_equal(probe("demo", "other_abi"), CONEY_EINVAL);
    assert_non_null(strstr(reason.text, "/other_abi.so: "));
}

static void a_plugin_that_crashes_at_load_takes_nobody_with_it(void **state)
{
    (void)state;
    /* probe() sees to it that the child it leaves is gone. */
    assert_int_equal(probe("crash_at_load", NULL), CONEY_EINVAL);
    assert_non_null(strstr(reason.text, "/crash_at_load.so: "));
    assert_non_null(strstr(reason.text, "killed by signal 6 (ABRT)"));
    assert_int_equal(probe("demo", "crash_at_load"), CONEY_EINVAL);
    assert_non_null(strstr(reason.text, "/demo.so or a plugin after it: "));
}

static void a_runner_that_cannot_be_started_is_named(void **state)
{
    (void)state;
    struct string_list none = {NULL, 0};
    assert_int_equal(pool_probe("/nonexistent/runner", &none, PROBE_BEFORE_POOL, &offered,
                             &reason),
            CONEY_EIO);
    assert_non_null(strstr(reason.text, "/nonexistent/runner"));
    assert_int_equal(pool_probe("/bin/true", &none, PROBE_BEFORE_POOL, &offered, &reason),
            CONEY_EIO);
    assert_non_null(strstr(reason.text, "the runner's list of tasks"));
    assert_int_equal(
            pool_probe("/bin/false", &none, PROBE_BEFORE_POOL, &offered, &reason),
            CONEY_EIO);
    assert_non_null(strstr(reason.text, "exited with status 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(tasks_are_listed_with_the_policy_of_their_plugin),
            cmocka_unit_test(without_plugins_nothing_is_offered),
            cmocka_unit_test(a_plugin_that_does_not_load_is_named_with_the_reason),
            cmocka_unit_test(a_plugin_that_crashes_at_load_takes_nobody_with_it),
            cmocka_unit_test(a_runner_that_cannot_be_started_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
