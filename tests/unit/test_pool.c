/* SPDX-License-Identifier: MIT */
/* test_pool.c - outcomes, crashes, starts and replacements of scripted runners. */
#include "support/pool_bench.h"
#include "support/scripted_runner.h"
#include "worker/pool.h"

/* --- what tasks say ----------------------------------------------------------------- */

static void every_kind_of_outcome_comes_as_the_runner_said_it(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);

    struct report *r = run(b, "echo");
    assert_int_equal(r->o.kind, OUTCOME_SUCCESS);
    assert_string_equal(r->value, "[[2, 3], {}, {}]");
    assert_int_equal(r->o.exit_status, -1);
    assert_true(r->o.runner_pid > 1);

    r = run(b, "retry");
    assert_int_equal(r->o.kind, OUTCOME_RETRY);
    assert_string_equal(r->type, "SmsError");
    assert_int_equal(r->o.delay_ms, 1500);

    r = run(b, "fail");
    assert_int_equal(r->o.kind, OUTCOME_FAIL);
    assert_string_equal(r->type, "ValueError");
    assert_string_equal(r->text, "no such number");
    assert_string_equal(r->tail, "what the task said\n");

    r = run(b, "reject");
    assert_int_equal(r->o.kind, OUTCOME_REJECT);
    assert_string_equal(r->tail, "");
    assert_int_equal(run(b, "ignore")->o.kind, OUTCOME_IGNORE);
    assert_int_equal(run(b, "unknown")->o.kind, OUTCOME_UNKNOWN);
    end(b);
}

static void lines_of_a_task_come_with_its_job(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    struct report *r = run(b, "log");
    assert_string_equal(r->last_line, "half way");
    r = run(b, "fail");
    assert_int_equal(r->lines, 1);
    assert_string_equal(r->last_line, "what the task said");
    end(b);
}

static void a_large_body_and_value_pass(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    size_t size = 1024 * 1024;
    char *body = malloc(size + 1);
    assert_non_null(body);
    memset(body, 'x', size);
    body[size] = '\0';
    struct report *r = assign_body(b, "echo", body);
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.value.len, size);
    free(body);
    end(b);
}

static void a_job_needs_a_free_runner(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    struct coney_error err;
    struct assignment a = {.id = "1", .task = "echo", .policy = &b->policy};
    assign(b, "sleep");
    assert_int_equal(pool_free_count(b->pool), 0);
    assert_int_equal(pool_busy_count(b->pool), 1);
    assert_int_equal(pool_assign(b->pool, &a, &err), CONEY_ELIMIT);
    end(b);
}

/* --- crashes ------------------------------------------------------------------------ */

static void a_crash_comes_with_its_evidence(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);

    struct report *r = run(b, "exit");
    assert_int_equal(r->o.kind, OUTCOME_CRASHED);
    assert_int_equal(r->o.exit_status, 3);
    assert_int_equal(r->o.signal, 0);
    assert_string_equal(r->type, "WorkerLostError");
    assert_string_equal(r->text, "exited with status 3");
    assert_string_equal(r->tail, "first words\nlast words\n");
    assert_true(r->o.max_rss_kib > 100);
    assert_true(r->o.started_us > 0);

    r = run(b, "segv");
    assert_int_equal(r->o.kind, OUTCOME_CRASHED);
    assert_int_equal(r->o.exit_status, -1);
    assert_int_equal(r->o.signal, SIGSEGV);
    assert_non_null(strstr(r->text, "killed by signal 11 (SEGV)"));
    assert_string_equal(r->tail, "");
    assert_int_equal(b->warnings, 0); /* the outcome says it all */
    end(b);
}

static void a_crash_in_a_job_throttles_nothing(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    int64_t before_ms = clock_mono_ms();
    for (int i = 0; i < 5; i++)
        assert_int_equal(run(b, "segv")->o.kind, OUTCOME_CRASHED);
    assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
    assert_true(clock_mono_ms() - before_ms < 2500); /* 1 + 2 + 4 ... s if it did */
    end(b);
}

static void a_job_that_was_never_started_is_handed_back(void **state)
{
    (void)state;
    static char plugin[] = "greet-only";
    struct bench *b = begin(plugin);
    make_pool(b, 1);
    wait_until(b, pool_free_count(b->pool) == 1);
    struct report *r = assign(b, "echo");
    b->options.start_ms = 0;
    pid_t *pids = NULL;
    size_t count = 0;
    assert_int_equal(descendants_list(&pids, &count, NULL), CONEY_OK);
    assert_int_equal(count, 1);
    kill(pids[0], SIGKILL);
    free(pids);
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.kind, OUTCOME_STOPPED);
    assert_int_equal(r->o.started_us, 0);
    end(b);
}

static void a_runner_that_leaves_a_job_lying_is_killed(void **state)
{
    (void)state;
    static char plugin[] = "greet-only";
    struct bench *b = begin(plugin);
    b->options.start_ms = 100;
    make_pool(b, 1);
    wait_until(b, pool_free_count(b->pool) == 1);
    struct report *r = assign(b, "echo");
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.kind, OUTCOME_STOPPED);
    wait_until(b, b->warnings == 1);
    assert_non_null(strstr(b->last_warning, "left a job lying"));
    end(b);
}

/* --- starting ----------------------------------------------------------------------- */

static void runners_that_exit_at_once_are_started_ever_more_rarely(void **state)
{
    (void)state;
    static char plugin[] = "exit";
    struct bench *b = begin(plugin);
    int64_t before_ms = clock_mono_ms();
    make_pool(b, 4);
    wait_until(b, b->warnings == 4); /* the first wave, which counts once */
    assert_true(clock_mono_ms() - before_ms < 1000);
    assert_non_null(strstr(b->last_warning, "exited with status 1 before its first job"));
    assert_non_null(strstr(b->own_lines, "]: cannot load the plugin\n"));

    wait_until(b, b->warnings == 5); /* then one at a time, after 1 s and 2 s */
    assert_in_range(clock_mono_ms() - before_ms, 1000, 1990);
    assert_non_null(strstr(b->last_warning, "next start in 2.0 s"));
    wait_until(b, b->warnings == 6);
    assert_in_range(clock_mono_ms() - before_ms, 3000, 5000);
    assert_non_null(strstr(b->last_warning, "next start in 4.0 s"));
    assert_int_equal(pool_free_count(b->pool), 0);
    end(b);
}

static void a_runner_that_never_says_hello_is_killed(void **state)
{
    (void)state;
    static char plugin[] = "mute";
    struct bench *b = begin(plugin);
    b->options.hello_ms = 100;
    make_pool(b, 1);
    wait_until(b, b->warnings == 1);
    assert_non_null(strstr(b->last_warning, "not ready in time before its first job"));
    end(b);
}

static void a_runner_that_does_not_end_when_asked_to_is_killed(void **state)
{
    (void)state;
    static char plugin[] = "greet-only";
    struct bench *b = begin(plugin);
    b->options.stop_ms = 100;
    make_pool(b, 1);
    wait_until(b, pool_free_count(b->pool) == 1);
    pool_resize(b->pool, 0);
    wait_until(b, b->warnings == 1);
    assert_non_null(strstr(b->last_warning, "did not end when asked to"));
    wait_until(b, count_children() == 0);
    int64_t before_ms = clock_mono_ms();
    pool_resize(b->pool, 1);
    wait_until(b, pool_free_count(b->pool) == 1);
    assert_in_range(clock_mono_ms() - before_ms, 0, 900); /* nothing is throttled */
    end(b);
}

static void a_pool_recovers_once_its_runners_work_again(void **state)
{
    (void)state;
    static char plugin[] = "exit";
    static char work_plugin[] = "work";
    struct bench *b = begin(plugin);
    char *items[] = {work_plugin};
    struct string_list better = {items, 1};
    make_pool(b, 3);
    wait_until(b, b->warnings == 3);
    assert_int_equal(pool_reload(b->pool, &better), CONEY_OK);
    wait_until(b, pool_free_count(b->pool) == 3);
    assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
    end(b);
}

static void what_was_left_before_the_pool_is_swept_too(void **state)
{
    (void)state;
    static char plugin[] = "work";
    struct bench *b = begin(plugin);
    pid_t child = fork();
    if (child == 0) {
        setsid();
        do_nothing_for_ever();
    }
    wait_until(b, getsid(child) == child);
    make_pool(b, 0);
    wait_until(b, count_children() == 0);
    end(b);
}

static void a_missing_runner_is_said_at_once(void **state)
{
    (void)state;
    static char plugin[] = "work";
    struct bench *b = begin(plugin);
    b->options.runner_path = "/nonexistent/coney-runner";
    assert_int_equal(try_pool(b, 1), CONEY_EIO);
    assert_non_null(strstr(b->error.text, "/nonexistent/coney-runner: "));
    b->options.runner_path = "/";
    assert_int_equal(try_pool(b, 1), CONEY_EIO);
    end(b);
}

static void a_pool_survives_every_failed_allocation(void **state)
{
    (void)state;
    static char plugin[] = "work";
    bool reached = true;
    for (unsigned n = 1; reached; n++) {
        struct bench *b = begin(plugin);
        test_fail_allocation(n);
        enum coney_rc rc = try_pool(b, 2);
        reached = test_allocation_failed();
        test_fail_allocation(0);
        if (rc == CONEY_OK) /* what failed was a start: it is tried again */
            assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
        else
            assert_int_equal(rc, CONEY_ENOMEM);
        end(b);
    }
}

/* --- wear, size, reload ------------------------------------------------------------- */

static void a_runner_is_replaced_after_its_number_of_tasks(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    int pids[6];
    b->policy.max_tasks = 2;
    for (int i = 0; i < 6; i++)
        pids[i] = run(b, "echo")->o.runner_pid;
    for (int i = 0; i < 6; i += 2)
        assert_int_equal(pids[i], pids[i + 1]);
    assert_int_not_equal(pids[1], pids[2]);
    assert_int_not_equal(pids[3], pids[4]);
    assert_int_equal(b->warnings, 0);
    end(b);
}

static void a_runner_above_its_memory_is_replaced_after_the_task(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    b->policy.max_memory = 32 * 1024 * 1024;
    int first = run(b, "echo")->o.runner_pid;
    struct report *r = run(b, "grow");
    assert_int_equal(r->o.kind, OUTCOME_SUCCESS);
    assert_int_equal(r->o.runner_pid, first);
    assert_int_not_equal(run(b, "echo")->o.runner_pid, first);
    end(b);
}

static void a_pool_grows_at_once_and_shrinks_as_jobs_end(void **state)
{
    (void)state;
    struct bench *b = begin_working(2);
    pool_resize(b->pool, 4);
    wait_until(b, pool_free_count(b->pool) == 4);
    struct report *long_jobs[2] = {assign(b, "sleep"), assign(b, "sleep")};
    pool_resize(b->pool, 1);
    assert_int_equal(pool_size(b->pool), 1);
    wait_until(b, count_children() == 2);
    assert_int_equal(pool_free_count(b->pool), 0);
    assert_int_equal(long_jobs[0]->outcomes + long_jobs[1]->outcomes, 0);

    pool_kill_job(b->pool, long_jobs[0]);
    wait_until(b, long_jobs[0]->outcomes == 1 && count_children() == 1);
    assert_int_equal(pool_free_count(b->pool), 0);
    pool_kill_job(b->pool, long_jobs[1]);
    wait_until(b, pool_free_count(b->pool) == 1 && count_children() == 1);
    assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
    end(b);
}

static void a_runner_too_many_goes_after_its_job(void **state)
{
    (void)state;
    struct bench *b = begin_working(2);
    b->policy.soft_time_limit_ms = 100;
    struct report *first = assign(b, "soft");
    struct report *second = assign(b, "soft");
    pool_resize(b->pool, 1);
    wait_until(b, first->outcomes + second->outcomes == 2);
    assert_int_equal(first->o.kind, OUTCOME_FAIL);
    assert_int_equal(second->o.kind, OUTCOME_FAIL);
    wait_until(b, count_children() == 1);
    assert_int_equal(pool_free_count(b->pool), 1);
    end(b);
}

static void reloads_under_load_lose_no_job(void **state)
{
    (void)state;
    static char work_again[] = "work-again";
    struct bench *b = begin_working(4);
    char *items[] = {work_again};
    struct string_list plugins = {items, 1};
    b->refill = "echo";
    on_free(b);
    for (unsigned i = 1; i <= 10; i++) {
        assert_int_equal(pool_reload(b->pool, &plugins), CONEY_OK);
        wait_until(b, b->outcomes >= i * (JOBS_MAX / 10));
    }
    for (unsigned i = 0; i < JOBS_MAX; i++)
        assert_int_equal(b->reports[i].o.kind, OUTCOME_SUCCESS);
    wait_until(b, pool_free_count(b->pool) == 4);
    assert_int_equal(b->warnings, 0);
    end(b);
}

static void a_reload_waits_for_the_running_job(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    b->policy.soft_time_limit_ms = 300;
    struct report *r = assign(b, "soft");
    assert_int_equal(pool_reload(b->pool, &b->plugins), CONEY_OK);
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.kind, OUTCOME_FAIL);
    assert_int_not_equal(run(b, "echo")->o.runner_pid, r->o.runner_pid);
    end(b);
}

static void a_hundred_runners_work(void **state)
{
    (void)state;
    struct bench *b = begin_working(100);
    for (unsigned i = 0; i < 100; i++)
        assign(b, i % 2 ? "echo" : "sleep");
    wait_until(b, b->outcomes == 50 && pool_free_count(b->pool) == 50);
    end(b); /* kills the others */
}

int main(int argc, char **argv)
{
    scripted_runner_main(argc, argv);
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_kind_of_outcome_comes_as_the_runner_said_it),
            cmocka_unit_test(lines_of_a_task_come_with_its_job),
            cmocka_unit_test(a_large_body_and_value_pass),
            cmocka_unit_test(a_job_needs_a_free_runner),
            cmocka_unit_test(a_crash_comes_with_its_evidence),
            cmocka_unit_test(a_crash_in_a_job_throttles_nothing),
            cmocka_unit_test(a_job_that_was_never_started_is_handed_back),
            cmocka_unit_test(a_runner_that_leaves_a_job_lying_is_killed),
            cmocka_unit_test(runners_that_exit_at_once_are_started_ever_more_rarely),
            cmocka_unit_test(a_runner_that_never_says_hello_is_killed),
            cmocka_unit_test(a_runner_that_does_not_end_when_asked_to_is_killed),
            cmocka_unit_test(a_pool_recovers_once_its_runners_work_again),
            cmocka_unit_test(what_was_left_before_the_pool_is_swept_too),
            cmocka_unit_test(a_missing_runner_is_said_at_once),
            cmocka_unit_test(a_pool_survives_every_failed_allocation),
            cmocka_unit_test(a_runner_is_replaced_after_its_number_of_tasks),
            cmocka_unit_test(a_runner_above_its_memory_is_replaced_after_the_task),
            cmocka_unit_test(a_pool_grows_at_once_and_shrinks_as_jobs_end),
            cmocka_unit_test(a_runner_too_many_goes_after_its_job),
            cmocka_unit_test(reloads_under_load_lose_no_job),
            cmocka_unit_test(a_reload_waits_for_the_running_job),
            cmocka_unit_test(a_hundred_runners_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
