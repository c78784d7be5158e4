/* SPDX-License-Identifier: MIT */
/* test_pool_runner.c - the pool with coney-runner itself, a plugin and commands. */
#include "support/pool_bench.h"

#include <signal.h>

struct real {
    struct bench *bench;
    char plugin[512];
    char *argv[4];
};

static struct real *begin_real(const char *plugin, unsigned size)
{
    struct real *r = calloc(1, sizeof(*r));
    const char *runner = getenv("CONEY_RUNNER");
    const char *plugins = getenv("CONEY_TEST_PLUGIN_DIR");
    assert_non_null(r);
    assert_non_null(runner);
    assert_non_null(plugins);
    snprintf(r->plugin, sizeof(r->plugin), "%s/%s.so", plugins, plugin);
    r->bench = begin(r->plugin);
    r->bench->options.runner_path = runner;
    make_pool(r->bench, size);
    return r;
}

static void end_real(struct real *r)
{
    end(r->bench);
    free(r);
}

static struct report *run_body(struct bench *b, const char *task, const char *body)
{
    wait_until(b, pool_free_count(b->pool) > 0);
    struct report *r = assign_body(b, task, body);
    wait_until(b, r->outcomes > 0);
    return r;
}

static struct report *run_command(struct real *r, const char *script)
{
    static char shell[] = "/bin/sh", option[] = "-c";
    char *copy = strdup(script);
    assert_non_null(copy);
    char *argv[] = {shell, option, copy};
    r->bench->policy.handler = HANDLER_COMMAND;
    r->bench->policy.command =
            (struct command_policy){.argv = {argv, 3}, .max_output = 4096, .umask = 022};
    struct report *report = run_body(r->bench, "shell", "[[], {}, {}]");
    r->bench->policy.handler = HANDLER_NATIVE;
    free(copy);
    return report;
}

static void native_tasks_give_every_kind_of_outcome(void **state)
{
    (void)state;
    struct real *real = begin_real("demo", 1);
    struct bench *b = real->bench;

    struct report *r = run_body(b, "demo.add", "[[2, 3], {}, {}]");
    assert_int_equal(r->o.kind, OUTCOME_SUCCESS);
    assert_string_equal(r->value, "5");
    r = run_body(b, "demo.retry", "[[1500], {}, {}]");
    assert_int_equal(r->o.kind, OUTCOME_RETRY);
    assert_int_equal(r->o.delay_ms, 1500);
    assert_string_equal(r->text, "gateway said 503");
    r = run_body(b, "demo.fail", "[[], {}, {}]");
    assert_int_equal(r->o.kind, OUTCOME_FAIL);
    assert_string_equal(r->type, "ValueError");
    assert_int_equal(run_body(b, "demo.reject", "[[], {}, {}]")->o.kind, OUTCOME_REJECT);
    assert_int_equal(run_body(b, "demo.ignore", "[[], {}, {}]")->o.kind, OUTCOME_IGNORE);
    assert_int_equal(run_body(b, "demo.nosuch", "[[], {}, {}]")->o.kind, OUTCOME_UNKNOWN);
    end_real(real);
}

static void a_native_crash_has_signal_and_last_words(void **state)
{
    (void)state;
    struct real *real = begin_real("demo", 1);
    struct report *r = run_body(real->bench, "demo.abort", "[[], {}, {}]");
    assert_int_equal(r->o.kind, OUTCOME_CRASHED);
    assert_int_equal(r->o.signal, SIGABRT);
    assert_string_equal(r->tail, "demo: no ink left in task 7f3a\n");
    assert_true(r->o.max_rss_kib > 100);
    r = run_body(real->bench, "demo.exit", "[[9], {}, {}]");
    assert_int_equal(r->o.kind, OUTCOME_CRASHED);
    assert_int_equal(r->o.exit_status, 9);
    end_real(real);
}

static void a_native_task_past_its_limit_is_gone_with_its_family(void **state)
{
    (void)state;
    struct real *real = begin_real("demo", 1);
    struct bench *b = real->bench;
    b->policy.soft_time_limit_ms = 100;
    struct report *r = run_body(b, "demo.sleep", "[[20000], {}, {}]");
    assert_int_equal(r->o.kind, OUTCOME_FAIL);
    assert_string_equal(r->type, "SoftTimeLimitExceeded");

    b->policy.time_limit_ms = 400;
    b->policy.soft_time_limit_ms = CONFIG_NONE;
    r = run_body(b, "demo.fork", "[[20000], {}, {}]");
    assert_int_equal(r->o.kind, OUTCOME_TIMED_OUT);
    r = run_body(b, "demo.spin", "[[], {}, {}]");
    assert_int_equal(r->o.kind, OUTCOME_TIMED_OUT);
    wait_until(b, pool_free_count(b->pool) == 1 && count_children() == 1);
    end_real(real);
}

static void a_leaking_runner_is_replaced(void **state)
{
    (void)state;
    struct real *real = begin_real("demo", 1);
    struct bench *b = real->bench;
    b->policy.max_memory = 256 * 1024 * 1024;
    int first = run_body(b, "demo.add", "[[2, 3], {}, {}]")->o.runner_pid;
    assert_int_equal(run_body(b, "demo.leak", "[[300], {}, {}]")->o.runner_pid, first);
    assert_int_not_equal(
            run_body(b, "demo.add", "[[2, 3], {}, {}]")->o.runner_pid, first);
    end_real(real);
}

static void commands_say_it_by_their_exit_status(void **state)
{
    (void)state;
    struct real *real = begin_real("demo", 1);
    struct report *r = run_command(real, "echo '{\"sent\": 3}'");
    assert_int_equal(r->o.kind, OUTCOME_SUCCESS);
    assert_string_equal(r->value, "{\"sent\": 3}");
    assert_int_equal(run_command(real, "exit 75")->o.kind, OUTCOME_RETRY);
    r = run_command(real, "echo no paper >&2; exit 3");
    assert_int_equal(r->o.kind, OUTCOME_FAIL);
    assert_int_equal(r->o.exit_status, 3);
    assert_string_equal(r->tail, "no paper\n");
    end_real(real);
}

static void a_command_past_its_limit_is_gone_with_its_family(void **state)
{
    (void)state;
    struct real *real = begin_real("demo", 1);
    struct bench *b = real->bench;
    char *path = test_file("");
    char script[512];
    long pids[3];
    snprintf(script, sizeof(script),
            "echo $$ >> %s; setsid sh -c 'echo $$ >> %s; sleep 600; :' & "
            "sh -c 'setsid sh -c \"echo \\$\\$ >> %s; sleep 600; :\" &' ; wait",
            path, path, path);
    b->policy.time_limit_ms = 1000;
    struct report *r = run_command(real, script);
    assert_int_equal(r->o.kind, OUTCOME_TIMED_OUT);
    wait_until(b, pool_free_count(b->pool) == 1 && count_children() == 1);

    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld %ld", &pids[0], &pids[1], &pids[2]), 3);
    fclose(file);
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(kill((pid_t)pids[i], 0), 0);
    unlink(path);
    free(path);
    end_real(real);
}

static void a_runner_sees_nothing_of_its_parent(void **state)
{
    (void)state;
    setenv("CONEY_BROKER_PASSWORD", "hunter2", 1);
    struct real *real = begin_real("demo", 1);
    struct bench *b = real->bench;
    wait_until(b, pool_free_count(b->pool) == 1);
    pid_t *pids = NULL;
    size_t count;
    char path[64];
    char text[8192];
    assert_int_equal(descendants_list(&pids, &count, NULL), CONEY_OK);
    assert_int_equal(count, 1);
    snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pids[0]);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    free(pids);
    assert_true(len > 0);
    assert_null(memmem(text, len, "hunter2", strlen("hunter2")));
    unsetenv("CONEY_BROKER_PASSWORD");

    struct report *r = run_body(b, "demo.descriptors", "[[], {}, {}]");
    assert_string_equal(r->value, "[0, 1, 2, 3, 4, 5, 6]");
    end_real(real);
}

static void a_failing_init_hook_throttles_and_is_heard(void **state)
{
    (void)state;
    struct real *real = begin_real("bad_init", 1);
    wait_until(real->bench, strstr(real->bench->last_warning, "next start in 1.0 s"));
    assert_non_null(strstr(real->bench->last_warning, "exited with status 69"));
    end_real(real);
}

static void a_hundred_real_runners_share_thousands_of_jobs(void **state)
{
    (void)state;
    struct real *real = begin_real("demo", 100);
    struct bench *b = real->bench;
    wait_until(b, pool_free_count(b->pool) == 100);
    for (int round = 0; round < 20; round++) {
        b->next = 0;
        b->outcomes = 0;
        memset(b->reports, 0, sizeof(b->reports));
        while (pool_free_count(b->pool) > 0)
            assign(b, "demo.add");
        wait_until(b, b->outcomes == 100 && pool_free_count(b->pool) == 100);
        for (unsigned i = 0; i < 100; i++)
            assert_string_equal(b->reports[i].value, "5");
    }
    end_real(real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(native_tasks_give_every_kind_of_outcome),
            cmocka_unit_test(a_native_crash_has_signal_and_last_words),
            cmocka_unit_test(a_native_task_past_its_limit_is_gone_with_its_family),
            cmocka_unit_test(a_leaking_runner_is_replaced),
            cmocka_unit_test(commands_say_it_by_their_exit_status),
            cmocka_unit_test(a_command_past_its_limit_is_gone_with_its_family),
            cmocka_unit_test(a_runner_sees_nothing_of_its_parent),
            cmocka_unit_test(a_failing_init_hook_throttles_and_is_heard),
            cmocka_unit_test(a_hundred_real_runners_share_thousands_of_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
