/* SPDX-License-Identifier: MIT */
/* test_posted.c - jobs on a real board, whose runner is this process too. */
#include "base/clock.h"
#include "board/runner_board.h"
#include "support/test.h"
#include "worker/posted.h"

#include <string.h>
#include <unistd.h>

struct desk {
    struct board *board;
    struct runner_board *runner;
    int fds[BOARD_FD_END];
    struct posted_list list;
    struct policy policy;
    int64_t kill_after_soft_ms;
    int64_t next_ms;
};

static void open_desk(struct desk *d)
{
    struct coney_error err;
    memset(d, 0, sizeof(*d));
    d->policy.max_memory = CONFIG_NONE;
    d->kill_after_soft_ms = CONFIG_NONE;
    assert_int_equal(board_new(0, &d->board, &err), CONEY_OK);
    for (enum board_fd fd = BOARD_FD_MEMORY; fd < BOARD_FD_END; fd++)
        d->fds[fd] = dup(board_runner_fd(d->board, fd));
    board_close_runner_fds(d->board);
    struct runner_board_fds fds = {d->fds[BOARD_FD_MEMORY], d->fds[BOARD_FD_WAKE_RUNNER],
            d->fds[BOARD_FD_WAKE_MASTER], d->fds[BOARD_FD_PASSING]};
    assert_int_equal(runner_board_attach(&fds, &d->runner, &err), CONEY_OK);
}

static void close_desk(struct desk *d)
{
    runner_board_free(d->runner);
    board_free(d->board);
    for (enum board_fd fd = BOARD_FD_MEMORY; fd < BOARD_FD_END; fd++)
        close(d->fds[fd]);
}

/* Post a job at @now_ms; it comes back as @job. */
static void post(
        struct desk *d, int64_t soft_ms, int64_t hard_ms, int64_t now_ms, void *job)
{
    struct coney_error err;
    struct assignment a = {.id = "1",
            .task = "t",
            .policy = &d->policy,
            .soft_ms = soft_ms,
            .hard_ms = hard_ms,
            .body = {"[]", 2},
            .context = {"{}", 2},
            .job = job};
    struct posting p = {.assignment = &a,
            .kill_after_soft_ms = d->kill_after_soft_ms,
            .now_ms = now_ms};
    assert_int_equal(posted_add(&d->list, d->board, &p, &d->next_ms, &err), CONEY_OK);
}

/* The runner begins its next job; returns when, and that job as the master sees it. */
static struct posted *claim(struct desk *d, int64_t *started_ms)
{
    struct coney_error err;
    struct record_job job;
    struct board_ticket ticket;
    assert_int_equal(runner_board_claim(d->runner, &job, &ticket, &err), CONEY_OK);
    assert_int_equal(board_state(d->board, ticket, started_ms), BOARD_RUNNING);
    return posted_find(&d->list, ticket);
}

static enum posted_demand check(struct desk *d, int64_t now_ms)
{
    return posted_check(&d->list, d->board, 1000, now_ms, &d->next_ms);
}

static void a_job_without_limits_demands_nothing_once_it_runs(void **state)
{
    (void)state;
    struct desk d;
    int64_t started_ms;
    open_desk(&d);
    post(&d, CONFIG_NONE, CONFIG_NONE, clock_mono_ms(), &d);
    assert_true(d.next_ms == CLOCK_NEVER);
    claim(&d, &started_ms);
    assert_int_equal(check(&d, started_ms + 1000000), POSTED_PATIENCE);
    assert_true(d.next_ms == CLOCK_NEVER);
    close_desk(&d);
}

static void limits_count_from_the_start(void **state)
{
    (void)state;
    struct desk d;
    int64_t started_ms;
    open_desk(&d);
    int64_t now_ms = clock_mono_ms();
    post(&d, 300, 500, now_ms, &d);
    assert_true(d.next_ms == now_ms + 300);
    struct posted *j = claim(&d, &started_ms);

    assert_int_equal(check(&d, started_ms + 299), POSTED_PATIENCE);
    assert_true(d.next_ms == started_ms + 300);
    assert_int_equal(check(&d, started_ms + 300), POSTED_TELL);
    assert_true(runner_board_is_soft_limit(d.runner, j->ticket));
    assert_true(d.next_ms == started_ms + 500);
    assert_int_equal(check(&d, started_ms + 301), POSTED_PATIENCE); /* told once */
    assert_int_equal(check(&d, started_ms + 499), POSTED_PATIENCE);
    assert_false(j->overran);
    assert_int_equal(check(&d, started_ms + 500), POSTED_KILL_LIMIT);
    assert_true(j->overran);
    close_desk(&d);
}

static void a_hard_limit_may_follow_from_the_soft_one(void **state)
{
    (void)state;
    struct desk d;
    int64_t started_ms;
    open_desk(&d);
    d.kill_after_soft_ms = 50;
    post(&d, 300, CONFIG_NONE, clock_mono_ms(), &d);
    claim(&d, &started_ms);
    assert_int_equal(check(&d, started_ms + 349), POSTED_TELL);
    assert_int_equal(check(&d, started_ms + 350), POSTED_KILL_LIMIT);
    close_desk(&d);
}

static void absurd_limits_are_no_limits(void **state)
{
    (void)state;
    struct desk d;
    int64_t started_ms;
    open_desk(&d);
    d.kill_after_soft_ms = INT64_MAX;
    post(&d, INT64_MAX, INT64_MAX, clock_mono_ms(), &d);
    assert_true(d.next_ms == CLOCK_NEVER);
    claim(&d, &started_ms);
    assert_int_equal(check(&d, started_ms + 1000000), POSTED_PATIENCE);
    close_desk(&d);
}

static void a_job_that_nobody_begins_is_noticed(void **state)
{
    (void)state;
    struct desk d;
    open_desk(&d);
    int64_t now_ms = clock_mono_ms();
    post(&d, CONFIG_NONE, 10, now_ms, &d);
    /* Its hard limit doesn't count: it has not started. */
    assert_int_equal(check(&d, now_ms + 999), POSTED_PATIENCE);
    assert_true(d.next_ms == now_ms + 1000);
    assert_int_equal(check(&d, now_ms + 1000), POSTED_KILL_IDLER);
    close_desk(&d);
}

static void a_job_behind_a_running_one_may_wait(void **state)
{
    (void)state;
    struct desk d;
    int64_t started_ms;
    int first, second;
    open_desk(&d);
    int64_t now_ms = clock_mono_ms();
    post(&d, CONFIG_NONE, CONFIG_NONE, now_ms, &first);
    post(&d, CONFIG_NONE, 10, now_ms, &second);
    assert_int_equal(d.list.count, 2);
    struct posted *j = claim(&d, &started_ms);
    assert_ptr_equal(j->job, &first);
    assert_int_equal(check(&d, now_ms + 1000000), POSTED_PATIENCE);

    assert_ptr_equal(posted_remove(&d.list, j), &first);
    assert_false(posted_has(&d.list, &first));
    assert_true(posted_has(&d.list, &second));
    assert_ptr_equal(posted_next(&d.list, NULL)->job, &second);
    assert_null(posted_next(&d.list, posted_next(&d.list, NULL)));
    close_desk(&d);
}

static void commands_arrive_as_configured(void **state)
{
    (void)state;
    struct desk d;
    struct coney_error err;
    struct record_job job;
    struct board_ticket ticket;
    char program[] = "/bin/report", option[] = "--json", setting[] = "LANG=C";
    char *argv[] = {program, option}, *environment[] = {setting};
    int reject[] = {3, 4};
    open_desk(&d);
    d.policy.handler = HANDLER_COMMAND;
    d.policy.command = (struct command_policy){.argv = {argv, 2},
            .environment = {environment, 1},
            .reject_exit = {reject, 2},
            .max_output = 4711,
            .umask = 027};
    post(&d, 300, 500, clock_mono_ms(), &d);
    assert_int_equal(runner_board_claim(d.runner, &job, &ticket, &err), CONEY_OK);
    assert_int_equal(job.handler, RECORD_COMMAND);
    assert_int_equal(job.command.argv.count, 2);
    assert_string_equal(job.command.argv.items[1], "--json");
    assert_string_equal(job.command.environment.items[0], "LANG=C");
    assert_int_equal(job.command.reject_exit.items[1], 4);
    assert_int_equal(job.command.max_output, 4711);
    assert_int_equal(job.command.umask, 027);
    assert_int_equal(job.soft_ms, 300);
    assert_int_equal(job.hard_ms, 500);
    close_desk(&d);
}

static void servers_arrive_with_the_context(void **state)
{
    (void)state;
    struct desk d;
    struct coney_error err;
    struct record_job job;
    struct board_ticket ticket;
    char program[] = "/bin/bridge", option[] = "-A", command[] = "/bin/false";
    char *argv[] = {program, option}, *other[] = {command};
    open_desk(&d);
    d.policy.handler = HANDLER_SERVER;
    d.policy.command = (struct command_policy){
            .argv = {other, 1}, .server = {argv, 2}, .start_ms = 4711};
    post(&d, 300, 500, clock_mono_ms(), &d);
    assert_int_equal(runner_board_claim(d.runner, &job, &ticket, &err), CONEY_OK);
    assert_int_equal(job.handler, RECORD_SERVER);
    assert_int_equal(job.command.argv.count, 2);
    assert_string_equal(job.command.argv.items[0], "/bin/bridge");
    assert_int_equal(job.command.start_ms, 4711);
    assert_string_equal(job.context.data, "{}");
    close_desk(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_job_without_limits_demands_nothing_once_it_runs),
            cmocka_unit_test(limits_count_from_the_start),
            cmocka_unit_test(a_hard_limit_may_follow_from_the_soft_one),
            cmocka_unit_test(absurd_limits_are_no_limits),
            cmocka_unit_test(a_job_that_nobody_begins_is_noticed),
            cmocka_unit_test(a_job_behind_a_running_one_may_wait),
            cmocka_unit_test(commands_arrive_as_configured),
            cmocka_unit_test(servers_arrive_with_the_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
