/* SPDX-License-Identifier: MIT */
/* test_plugin.c - plugins loaded, refused with a reason, and listed by coney-runner. */
#include "runner/plugin.h"
#include "runner/runner.h"
#include "test.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLUGINS_MAX = 4, TEXT_SIZE = 16384 };

/* The paths of test plugins by their names. */
struct paths {
    char space[PLUGINS_MAX][1024];
    char *items[PLUGINS_MAX + 3];
    size_t count;
};

static struct paths paths_of(const char *const *names, size_t count)
{
    struct paths p = {.count = count};
    const char *directory = getenv("CONEY_TEST_PLUGIN_DIR");
    assert_non_null(directory);
    for (size_t i = 0; i < count; i++)
        snprintf(p.space[i], sizeof(p.space[i]), "%s/%s.so", directory, names[i]);
    return p;
}

#define PATHS(...)                               \
    paths_of((const char *const[]){__VA_ARGS__}, \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static enum coney_rc load(struct paths *p, struct plugins **out, struct coney_error *err)
{
    for (size_t i = 0; i < p->count; i++)
        p->items[i] = p->space[i];
    return plugins_load(p->items, p->count, out, err);
}

static void assert_refused(struct paths p, const char *reason)
{
    struct plugins *plugins;
    struct coney_error err;
    assert_int_equal(load(&p, &plugins, &err), CONEY_EINVAL);
    assert_null(plugins);
    const char *last = p.items[p.count - 1];
    assert_memory_equal(err.text, last, strlen(last)); /* which one it is about */
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" is not in: %s", reason, err.text);
}

static void tasks_are_found_by_their_names(void **state)
{
    (void)state;
    struct paths p = PATHS("demo", "noisy");
    struct plugins *plugins;
    assert_int_equal(load(&p, &plugins, NULL), CONEY_OK);
    const struct plugin_task *t = plugins_find(plugins, "demo.sleep");
    assert_non_null(t);
    assert_int_equal(t->def.soft_time_limit_ms, 5000);
    assert_int_equal(t->def.time_limit_ms, 10000);
    assert_int_equal(t->def.max_retries, 7);
    assert_string_equal(t->path, p.items[0]);
    assert_non_null(plugins_find(plugins, "noisy.nothing"));
    assert_null(plugins_find(plugins, "demo"));
    assert_null(plugins_find(plugins, "zzz"));
    plugins_free(plugins);
}

static void a_runner_may_have_no_plugins(void **state)
{
    (void)state;
    struct plugins *plugins;
    assert_int_equal(plugins_load(NULL, 0, &plugins, NULL), CONEY_OK);
    assert_null(plugins_find(plugins, "demo.add"));
    plugins_free(plugins);
}

static void a_plugin_with_longer_structures_is_read_right(void **state)
{
    (void)state;
    struct paths p = PATHS("newer");
    struct plugins *plugins;
    assert_int_equal(load(&p, &plugins, NULL), CONEY_OK);
    const struct plugin_task *t = plugins_find(plugins, "newer.two");
    assert_non_null(t);
    assert_int_equal(t->def.soft_time_limit_ms, 4);
    assert_int_equal(t->def.time_limit_ms, 5);
    assert_int_equal(t->def.max_retries, 6);
    assert_string_equal(t->def.doc, "second");
    plugins_free(plugins);
}

static void what_is_not_a_plugin_is_refused_with_the_reason(void **state)
{
    (void)state;
    assert_refused(PATHS("nowhere"), "No such file");
    assert_refused(PATHS("not_a_plugin"), "it has no coney_plugin");
    assert_refused(PATHS("unresolved"), "undefined symbol: nobody_has_this");
    assert_refused(
            PATHS("other_abi"), "built for ABI 99 of coney/task.h, this worker has 1");
    assert_refused(PATHS("stunted"), "too small");
    assert_refused(PATHS("nameless"), "a task name must be 1 to 255 bytes of UTF-8");
    assert_refused(PATHS("twice"), "offers task twice.nothing twice");
    assert_refused(
            PATHS("demo", "noisy", "duplicate"), "task demo.add is already offered by");

    struct plugins *plugins;
    struct coney_error err;
    char relative[] = "demo.so";
    char *items[] = {relative};
    assert_int_equal(plugins_load(items, 1, &plugins, &err), CONEY_EINVAL);
    assert_string_equal(err.text, "demo.so: not an absolute path");
}

static void loading_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct paths p = PATHS("demo", "newer");
    for (unsigned n = 1;; n++) {
        struct plugins *plugins;
        test_fail_allocation(n);
        enum coney_rc rc = load(&p, &plugins, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, failed ? CONEY_ENOMEM : CONEY_OK);
        plugins_free(plugins);
        if (!failed)
            return;
    }
}

/* --- hooks -------------------------------------------------------------------------- */

static void nobody_logs(struct coney_runner *r, enum coney_level level, const char *text)
{
    (void)r;
    (void)level;
    (void)text;
}

static const char *node(const struct coney_runner *r)
{
    (void)r;
    return "coney@test";
}

static const struct coney_api hook_api = {.size = sizeof(hook_api),
        .abi = CONEY_TASK_ABI,
        .runner_log = nobody_logs,
        .node = node};

static void an_init_hook_that_fails_names_its_plugin(void **state)
{
    (void)state;
    struct paths p = PATHS("demo", "bad_init");
    struct plugins *plugins;
    struct coney_error err;
    struct coney_runner runner = {.api = &hook_api};
    assert_int_equal(load(&p, &plugins, NULL), CONEY_OK);
    assert_int_equal(plugins_init(plugins, &runner, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "bad_init.so: its init hook returned 3"));
    plugins_fini(plugins, &runner);
    plugins_free(plugins);
}

/* --- coney-runner --list ------------------------------------------------------------ */

struct listing {
    int status;
    char out[TEXT_SIZE];
    char err[TEXT_SIZE];
};

static void read_all(int fd, char *text)
{
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, text + len, TEXT_SIZE - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(fd);
}

static void list(struct paths *p, struct listing *l)
{
    int out[2], err[2];
    static char name[] = "coney-runner", option[] = "--list";
    const char *runner = getenv("CONEY_RUNNER");
    assert_non_null(runner);
    p->items[0] = name;
    p->items[1] = option;
    for (size_t i = 0; i < p->count; i++)
        p->items[i + 2] = p->space[i];
    p->items[p->count + 2] = NULL;
    assert_int_equal(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        if (runner)
            execv(runner, p->items);
        _exit(126);
    }
    close(out[1]);
    close(err[1]);
    read_all(out[0], l->out); /* first: what goes to the other is short */
    read_all(err[0], l->err);
    assert_int_equal(waitpid(pid, &l->status, 0), pid);
    assert_true(WIFEXITED(l->status));
    l->status = WEXITSTATUS(l->status);
}

static void a_listing_is_json_whatever_the_plugins_print(void **state)
{
    (void)state;
    struct paths p = PATHS("noisy", "demo");
    static struct listing l;
    list(&p, &l);
    assert_int_equal(l.status, RUNNER_EXIT_OK);
    assert_string_equal(l.err, "noisy is here\n");

    json_t *whole = json_loads(l.out, 0, NULL);
    json_t *tasks = json_object_get(whole, "tasks");
    assert_int_equal(json_integer_value(json_object_get(whole, "abi")), 1);
    assert_true(json_array_size(tasks) > 10);
    size_t found = 0, i;
    json_t *task;
    json_array_foreach(tasks, i, task)
    {
        const char *name = json_string_value(json_object_get(task, "name"));
        if (strcmp(name, "demo.sleep") == 0) {
            assert_int_equal(json_integer_value(json_object_get(task, "max_retries")), 7);
            assert_int_equal(
                    json_integer_value(json_object_get(task, "soft_time_limit_ms")),
                    5000);
            assert_int_equal(
                    json_integer_value(json_object_get(task, "time_limit_ms")), 10000);
            assert_string_equal(
                    json_string_value(json_object_get(task, "plugin")), p.space[1]);
            found++;
        } else if (strcmp(name, "demo.spin") == 0) {
            json_t *retries = json_object_get(task, "max_retries");
            assert_true(json_is_integer(retries));
            assert_int_equal(json_integer_value(retries), 0);
            found++;
        } else if (strcmp(name, "demo.add") == 0) {
            assert_true(json_is_null(json_object_get(task, "max_retries")));
            assert_true(json_is_null(json_object_get(task, "time_limit_ms")));
            assert_string_equal(json_string_value(json_object_get(task, "doc")), "x + y");
            found++;
        }
    }
    assert_int_equal(found, 3);
    json_decref(whole);
}

static void listing_a_broken_plugin_says_why_on_one_line(void **state)
{
    (void)state;
    struct paths p = PATHS("other_abi");
    static struct listing l;
    char expected[TEXT_SIZE];
    list(&p, &l);
    assert_int_equal(l.status, RUNNER_EXIT_PLUGIN);
    assert_string_equal(l.out, "");
    snprintf(expected, sizeof(expected),
            "coney-runner: %s: built for ABI 99 of coney/task.h, this worker has 1\n",
            p.space[0]);
    assert_string_equal(l.err, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(tasks_are_found_by_their_names),
            cmocka_unit_test(a_runner_may_have_no_plugins),
            cmocka_unit_test(a_plugin_with_longer_structures_is_read_right),
            cmocka_unit_test(what_is_not_a_plugin_is_refused_with_the_reason),
            cmocka_unit_test(loading_survives_every_failing_allocation),
            cmocka_unit_test(an_init_hook_that_fails_names_its_plugin),
            cmocka_unit_test(a_listing_is_json_whatever_the_plugins_print),
            cmocka_unit_test(listing_a_broken_plugin_says_why_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
