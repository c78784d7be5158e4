/* SPDX-License-Identifier: MIT */
/* test_pool_limits.c - what is done to runners that go too far. */
#include "support/pool_bench.h"
#include "support/scripted_runner.h"

/* --- limits ------------------------------------------------------------------------- */

static void a_soft_limit_is_told_and_interrupts(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    b->policy.soft_time_limit_ms = 100;
    int64_t before_ms = clock_mono_ms();
    struct report *r = run(b, "soft");
    assert_int_equal(r->o.kind, OUTCOME_FAIL);
    assert_string_equal(r->type, "SoftTimeLimitExceeded");
    assert_in_range(clock_mono_ms() - before_ms, 100, 900); /* it sleeps in seconds */
    end(b);
}

static void a_hard_limit_kills(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    b->policy.time_limit_ms = 150;
    struct report *r = run(b, "sleep");
    assert_int_equal(r->o.kind, OUTCOME_TIMED_OUT);
    assert_string_equal(r->type, "TimeLimitExceeded");
    assert_int_equal(r->o.signal, SIGKILL);
    assert_in_range(r->o.duration_ms, 150, 2000);
    assert_string_equal(r->tail, "going to sleep\n");
    assert_int_equal(b->warnings, 0);

    b->policy.time_limit_ms = CONFIG_NONE;
    assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
    end(b);
}

static void a_soft_limit_that_is_ignored_ends_in_a_kill(void **state)
{
    (void)state;
    static char plugin[] = "work";
    struct bench *b = begin(plugin);
    b->options.kill_after_soft_ms = 100;
    b->policy.soft_time_limit_ms = 100;
    make_pool(b, 1);
    struct report *r = run(b, "sleep");
    assert_int_equal(r->o.kind, OUTCOME_TIMED_OUT);
    assert_in_range(r->o.duration_ms, 200, 2000);
    end(b);
}

static void a_short_limit_after_a_long_one_is_kept(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    b->policy.time_limit_ms = 3600 * 1000;
    assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
    b->policy.time_limit_ms = 100;
    assert_int_equal(run(b, "sleep")->o.kind, OUTCOME_TIMED_OUT);
    end(b);
}

/* Wait for @path without running the loop: the pool must not notice anything. */
static void wait_for_file(const char *path)
{
    for (int i = 0; access(path, F_OK) != 0; i++) {
        assert_true(i < PATIENCE_MS);
        usleep(1000);
    }
}

static void what_was_finished_before_the_kill_counts(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    char *dir = test_directory();
    char path[200];
    snprintf(path, sizeof(path), "%s/finished", dir);

    struct report *r = assign_body(b, "finish-then-file", path);
    wait_for_file(path);
    pool_kill_job(b->pool, r);
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.kind, OUTCOME_SUCCESS);

    unlink(path);
    wait_until(b, pool_free_count(b->pool) > 0);
    b->policy.time_limit_ms = 1;
    r = assign_body(b, "finish-then-file", path);
    wait_for_file(path);
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.kind, OUTCOME_SUCCESS);
    assert_int_equal(pool_free_count(b->pool), 1); /* nor is the runner killed */
    test_remove_tree(dir);
    free(dir);
    end(b);
}

static void what_was_finished_before_the_death_counts(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    struct report *r = run(b, "finish-unheard");
    assert_int_equal(r->o.kind, OUTCOME_SUCCESS);
    assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
    end(b);
}

/* --- families ----------------------------------------------------------------------- */

static void assert_family_gone(const char *path)
{
    FILE *file = fopen(path, "re");
    long pid;
    unsigned count = 0;
    assert_non_null(file);
    for (; fscanf(file, "%ld", &pid) == 1; count++)
        for (int i = 0; kill((pid_t)pid, 0) == 0; i++) {
            assert_true(i < PATIENCE_MS);
            usleep(1000);
        }
    fclose(file);
    assert_int_equal(count, FAMILY_LINES);
}

static void whatever_ends_a_runner_ends_its_family(void **state)
{
    (void)state;
    struct bench *b = begin_working(2);
    char *path = test_file("");

    b->policy.time_limit_ms = 500;
    struct report *r = assign_body(b, "family", path);
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.kind, OUTCOME_TIMED_OUT);
    wait_until(b, pool_free_count(b->pool) == 2 && count_children() == 2);
    assert_family_gone(path);

    b->policy.time_limit_ms = CONFIG_NONE;
    assert_int_equal(truncate(path, 0), 0);
    r = assign_body(b, "family-crash", path);
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.kind, OUTCOME_CRASHED);
    assert_int_equal(r->o.signal, SIGABRT);
    wait_until(b, pool_free_count(b->pool) == 2 && count_children() == 2);
    assert_family_gone(path);

    assert_int_equal(truncate(path, 0), 0);
    r = assign_body(b, "family", path);
    wait_until(b, family_is_complete(path));
    pool_kill_job(b->pool, r);
    wait_until(b, r->outcomes > 0);
    assert_int_equal(r->o.kind, OUTCOME_STOPPED);
    wait_until(b, pool_free_count(b->pool) == 2 && count_children() == 2);
    assert_family_gone(path);
    unlink(path);
    free(path);
    end(b);
}

/* --- output ------------------------------------------------------------------------- */

static void the_tail_is_the_last_eight_kibibytes(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    struct report *r = run(b, "chatter");
    assert_int_equal(r->o.stderr_tail.len, TAIL_MAX);
    assert_string_equal(r->tail + TAIL_MAX - strlen("line 8191\n"), "line 8191\n");
    assert_in_range(r->lines, 1, 400); /* of 8192 */
    end(b);
}

static void runners_that_shout_do_not_starve_the_others(void **state)
{
    (void)state;
    struct bench *b = begin_working(3);
    struct report *shouts = assign(b, "flood");
    struct report *floods = assign(b, "log-flood");
    wait_until(b, shouts->lines > 0 && floods->lines > 0);
    int64_t before_ms = clock_mono_ms();
    for (int i = 0; i < 100; i++)
        assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
    /* Their first burst, and then 20 a second with a report for each. */
    uint64_t took_s = (uint64_t)(clock_mono_ms() - before_ms) / 1000;
    assert_in_range(shouts->lines, 1, 100 + 2 * 20 * (took_s + 2));
    assert_in_range(floods->lines, 1, 100 + 2 * 20 * (took_s + 2));
    end(b);
}

/* --- hostile runners ---------------------------------------------------------------- */

static void garbage_on_a_board_hurts_nobody_else(void **state)
{
    (void)state;
    static const char *const tasks[] = {"scribble", "scribble-for-ever", "close"};
    struct bench *b = begin_working(2);
    for (size_t i = 0; i < sizeof(tasks) / sizeof(*tasks); i++) {
        struct report *bad = assign(b, tasks[i]);
        assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
        wait_until(b, bad->outcomes == 1);
        /* What "close" could still say before it died is a success. */
        if (strcmp(tasks[i], "close") != 0 || bad->o.kind != OUTCOME_SUCCESS)
            assert_int_equal(bad->o.kind, OUTCOME_CRASHED);
        wait_until(b, pool_free_count(b->pool) == 2 && count_children() == 2);
    }
    end(b);
}

static void garbage_of_an_idle_runner_is_noticed(void **state)
{
    (void)state;
    struct bench *b = begin_working(1);
    char *path = test_file("");
    unlink(path);
    struct report *r = assign_body(b, "finish-then-scribble", path);
    wait_until(b, r->outcomes == 1);
    assert_int_equal(r->o.kind, OUTCOME_SUCCESS);

    FILE *sign = fopen(path, "we");
    assert_non_null(sign);
    fclose(sign);
    wait_until(b, b->warnings == 1);
    assert_non_null(strstr(b->last_warning, "wrote nonsense on its board"));
    assert_int_equal(run(b, "echo")->o.kind, OUTCOME_SUCCESS);
    unlink(path);
    free(path);
    end(b);
}

static void a_runner_that_begins_with_garbage_is_not_let_in(void **state)
{
    (void)state;
    static char plugin[] = "scribble";
    struct bench *b = begin(plugin);
    make_pool(b, 1);
    wait_until(b, b->warnings > 0);
    assert_non_null(strstr(b->last_warning, "wrote nonsense on its board"));
    end(b);
}

int main(int argc, char **argv)
{
    scripted_runner_main(argc, argv);
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_soft_limit_is_told_and_interrupts),
            cmocka_unit_test(a_hard_limit_kills),
            cmocka_unit_test(a_soft_limit_that_is_ignored_ends_in_a_kill),
            cmocka_unit_test(a_short_limit_after_a_long_one_is_kept),
            cmocka_unit_test(what_was_finished_before_the_kill_counts),
            cmocka_unit_test(what_was_finished_before_the_death_counts),
            cmocka_unit_test(whatever_ends_a_runner_ends_its_family),
            cmocka_unit_test(the_tail_is_the_last_eight_kibibytes),
            cmocka_unit_test(runners_that_shout_do_not_starve_the_others),
            cmocka_unit_test(garbage_on_a_board_hurts_nobody_else),
            cmocka_unit_test(garbage_of_an_idle_runner_is_noticed),
            cmocka_unit_test(a_runner_that_begins_with_garbage_is_not_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
