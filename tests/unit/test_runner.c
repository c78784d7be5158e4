/* SPDX-License-Identifier: MIT */
/* test_runner.c - the program coney-runner: its process, its end, and jobs one by one. */
#include "board/layout.h"
#include "runner/runner.h"
#include "unit/runner_fixture.h"

#include <sys/mman.h>
#include <sys/prctl.h>

/* --- jobs --------------------------------------------------------------------------- */

static void a_job_runs_and_its_result_comes_back(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    int64_t before_us = clock_wall_us();
    const struct record_outcome *o = fixture_run(f, "demo.add", "[[2, 3], {}, null]");
    assert_result(o, "5");
    assert_in_range(o->started_us, before_us, clock_wall_us());
    assert_in_range(o->duration_ms, 0, PATIENCE_MS);
    assert_true(o->max_rss_kib > 100);
    assert_int_equal(o->exit_status, -1);
    assert_int_equal(o->signal, 0);
}

static void memory_is_measured_where_somebody_wants_to_know(void **state)
{
    struct runner_fixture *f = *state;
    struct record_job job = fixture_job("demo.add", "[[2, 3], {}, null]");
    fixture_start_ready(f, "demo");
    assert_int_equal(
            fixture_run(f, "demo.add", "[[2, 3], {}, null]")->rss_kib, RECORD_NONE);
    job.wants_rss = true;
    (void)fixture_post(f, &job);
    const struct record_outcome *o = &fixture_await(f, BOARD_OUTCOME)->outcome;
    assert_true(o->rss_kib > 100);
    assert_true(o->max_rss_kib >= o->rss_kib / 2);
}

static void post_sum(struct runner_fixture *f, unsigned x)
{
    char body[64];
    snprintf(body, sizeof(body), "[[%u, 1], {}, null]", x);
    struct record_job job = fixture_job("demo.add", body);
    (void)fixture_post(f, &job);
}

static void many_jobs_run_in_order_in_one_runner(void **state)
{
    struct runner_fixture *f = *state;
    enum { MANY = 2000 };
    unsigned posted = 0, taken = 0;
    fixture_start_ready(f, "demo");
    while (taken < MANY) {
        char sum[16];
        while (posted < MANY && board_count(f->board) < BOARD_SLOTS)
            post_sum(f, posted++);
        snprintf(sum, sizeof(sum), "%u", ++taken);
        assert_result(&fixture_await(f, BOARD_OUTCOME)->outcome, sum);
    }
}

static void a_task_nobody_offers_is_unknown(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    assert_int_equal(fixture_run(f, "demo.adds", "[[], {}, null]")->kind, RECORD_UNKNOWN);
    assert_result(fixture_run(f, "demo.add", "[[1, 1], {}, null]"), "2");
}

static void a_large_job_and_a_large_result_travel_whole(void **state)
{
    struct runner_fixture *f = *state;
    enum { LARGE = 1 << 20 };
    fixture_start_ready(f, "demo");
    char *body = malloc(LARGE + 32);
    int head = snprintf(body, 32, "[[\"");
    memset(body + head, 'x', LARGE);
    snprintf(body + head + LARGE, 32 - (size_t)head, "\"], {}, null]");
    const struct record_outcome *o = fixture_run(f, "demo.echo", body);
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_int_equal(o->value.len, LARGE + 10); /* [["..."], {}] */
    assert_memory_equal((const char *)o->value.data + 3, body + head, LARGE);
    free(body);
}

static void a_result_larger_than_the_board_allows_fails(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    const struct record_outcome *o = fixture_run(f, "demo.huge", "[[8000000], {}, null]");
    assert_int_equal(o->kind, RECORD_FAIL);
    assert_string_equal(o->error_type, "ResultTooLarge");
    assert_result(fixture_run(f, "demo.add", "[[1, 1], {}, null]"), "2");
}

static void progress_is_logged_before_the_outcome(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    struct record_job job = fixture_job("demo.log", "[[2], {}, null]");
    struct board_ticket t = fixture_post(f, &job);
    const struct board_news *news = fixture_await(f, BOARD_LOG);
    assert_int_equal(news->ticket.generation, t.generation);
    assert_int_equal(news->log.level, LOG_LEVEL_INFO);
    assert_string_equal(news->log.text, "line 1 of 2");
    assert_string_equal(fixture_await(f, BOARD_LOG)->log.text, "line 2 of 2");
    assert_result(&fixture_await(f, BOARD_OUTCOME)->outcome, "");
}

static void what_a_task_prints_is_there_when_its_outcome_is(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    (void)fixture_run(f, "demo.print", "[[\"no newline\"], {}, null]");
    assert_string_equal(fixture_read_output(f), "no newline");
}

/* The outcome of a job whose soft limit passes. */
static const struct record_outcome *run_limited(
        struct runner_fixture *f, const struct record_job *job)
{
    struct board_ticket t = fixture_post(f, job);
    fixture_await_running(f, t);
    board_soft_limit(f->board, t);
    /* The signal may come before the task waits, so the master repeats it. */
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (board_state(f->board, t, NULL) == BOARD_RUNNING &&
            clock_mono_ms() < until_ms) {
        kill(f->pid, SIGUSR1);
        poll(NULL, 0, 5);
    }
    return &fixture_await(f, BOARD_OUTCOME)->outcome;
}

static void a_waiting_task_is_woken_at_its_soft_limit(void **state)
{
    struct runner_fixture *f = *state;
    struct record_job sleeps = fixture_job("demo.sleep", "[[3600000], {}, null]");
    struct record_job reads = fixture_job("demo.block", "[[], {}, null]");
    fixture_start_ready(f, "demo");
    const struct record_outcome *o = run_limited(f, &sleeps);
    assert_int_equal(o->kind, RECORD_FAIL);
    assert_string_equal(o->error_type, "SoftTimeLimitExceeded");
    assert_error(
            run_limited(f, &reads), RECORD_FAIL, "SoftTimeLimitExceeded", "nothing came");
}

static void a_command_is_told_at_its_soft_limit(void **state)
{
    struct runner_fixture *f = *state;
    static char program[] = "/bin/sleep", seconds[] = "3600";
    char *argv[] = {program, seconds};
    struct record_job job = fixture_job("anything", "[[], {}, null]");
    job.handler = RECORD_COMMAND;
    job.command = (struct record_command){.argv = {argv, 2}};
    fixture_start_ready(f, NULL);
    struct board_ticket t = fixture_post(f, &job);
    fixture_await_running(f, t);
    board_soft_limit(f->board, t); /* the bell alone is enough */
    assert_error(&fixture_await(f, BOARD_OUTCOME)->outcome, RECORD_FAIL,
            "SoftTimeLimitExceeded", "it ended at its soft time limit");
}

static void a_withdrawn_job_does_not_run(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    struct record_job slow = fixture_job("demo.sleep", "[[50], {}, null]");
    struct record_job add = fixture_job("demo.add", "[[1, 2], {}, null]");
    struct board_ticket first = fixture_post(f, &slow);
    struct board_ticket second = fixture_post(f, &slow);
    struct board_ticket third = fixture_post(f, &add);
    assert_true(board_withdraw(f->board, second));
    assert_int_equal(
            fixture_await(f, BOARD_OUTCOME)->ticket.generation, first.generation);
    assert_int_equal(
            fixture_await(f, BOARD_OUTCOME)->ticket.generation, third.generation);
}

/* --- crashes ------------------------------------------------------------------------ */

static void a_crash_leaves_its_job_running_and_the_next_one_posted(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    struct record_job crash = fixture_job("demo.crash", "[[], {}, null]");
    struct record_job add = fixture_job("demo.add", "[[1, 2], {}, null]");
    struct board_ticket done = fixture_post(f, &add);
    struct board_ticket first = fixture_post(f, &crash);
    struct board_ticket second = fixture_post(f, &add);
    int status = fixture_await_end(f);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    /* What was published before the crash counts. */
    assert_int_equal(fixture_await(f, BOARD_OUTCOME)->ticket.generation, done.generation);
    assert_int_equal(board_state(f->board, first, NULL), BOARD_RUNNING);
    assert_int_equal(board_state(f->board, second, NULL), BOARD_POSTED);
}

static void last_words_are_in_the_output(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    struct record_job job = fixture_job("demo.abort", "[[], {}, null]");
    (void)fixture_post(f, &job);
    int status = fixture_await_end(f);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_string_equal(fixture_read_output(f), "demo: no ink left in task 7f3a\n");
}

static void a_task_that_exits_takes_its_runner_along(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    struct record_job job = fixture_job("demo.exit", "[[7], {}, null]");
    struct board_ticket t = fixture_post(f, &job);
    int status = fixture_await_end(f);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(board_state(f->board, t, NULL), BOARD_RUNNING);
}

/* --- the process -------------------------------------------------------------------- */

static void only_the_runners_own_descriptors_are_open(void **state)
{
    struct runner_fixture *f = *state;
    int stray = fcntl(STDERR_FILENO, F_DUPFD, 30);
    fixture_start_ready(f, "demo");
    const struct record_outcome *o = fixture_run(f, "demo.descriptors", "[[], {}, null]");
    assert_result(o, "[0, 1, 2, 3, 4, 5, 6]");
    close(stray);
}

static void a_command_gets_none_of_them(void **state)
{
    struct runner_fixture *f = *state;
    static char program[] = "/bin/ls", directory[] = "/proc/self/fd";
    char *argv[] = {program, directory};
    fixture_start_ready(f, NULL);
    struct record_job job = fixture_job("anything", "[[], {}, null]");
    job.handler = RECORD_COMMAND;
    job.command = (struct record_command){.argv = {argv, 2}, .max_output = 1000};
    /* 3 is the directory itself. */
    assert_result(fixture_run_job(f, &job), "\"0\\n1\\n2\\n3\"");
}

static void it_leads_a_group_and_dies_with_its_group(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    assert_int_equal(getpgid(f->pid), f->pid);
    kill(-f->pid, SIGKILL);
    assert_true(WIFSIGNALED(fixture_await_end(f)));
}

static void signals_of_a_service_manager_do_not_end_it(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    kill(f->pid, SIGTERM);
    kill(f->pid, SIGINT);
    kill(f->pid, SIGHUP);
    kill(f->pid, SIGPIPE);
    kill(f->pid, SIGUSR1);
    assert_result(fixture_run(f, "demo.add", "[[1, 2], {}, null]"), "3");
}

static void a_child_that_has_ended_is_reaped_after_its_task(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    const struct record_outcome *o = fixture_run(f, "demo.stray", "[[], {}, null]");
    assert_int_equal(o->kind, RECORD_SUCCESS);
    char digits[16] = "";
    memcpy(digits, o->value.data, o->value.len);
    assert_int_equal(kill((pid_t)atoi(digits), 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void a_stop_ends_it_with_status_0_after_its_job(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    struct record_job slow = fixture_job("demo.sleep", "[[50], {}, null]");
    struct board_ticket first = fixture_post(f, &slow);
    struct board_ticket second = fixture_post(f, &slow);
    fixture_await_running(f, first);
    board_stop(f->board);
    int status = fixture_await_end(f);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), RUNNER_EXIT_OK);
    assert_int_equal(
            fixture_await(f, BOARD_OUTCOME)->ticket.generation, first.generation);
    assert_string_equal(fixture_await(f, BOARD_LOG)->log.text, "demo ends");
    assert_true(board_withdraw(f->board, second));
}

static void it_ends_when_the_board_is_freed(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    board_free(f->board);
    f->board = NULL;
    int status = fixture_await_end(f);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), RUNNER_EXIT_OK);
}

static void it_dies_with_its_master_in_the_middle_of_a_task(void **state)
{
    struct runner_fixture *f = *state;
    int pids[2];
    pid_t runner = 0;
    assert_int_equal(pipe(pids), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t master = fork();
    assert_true(master >= 0);
    if (master == 0) {
        fixture_start_ready(f, "demo");
        struct record_job job = fixture_job("demo.spin", "[[], {}, null]");
        fixture_await_running(f, fixture_post(f, &job));
        ssize_t n = write(pids[1], &f->pid, sizeof(f->pid));
        _exit(n == (ssize_t)sizeof(f->pid) ? 0 : 1);
    }
    assert_int_equal(read(pids[0], &runner, sizeof(runner)), (ssize_t)sizeof(runner));
    assert_int_equal(waitpid(master, NULL, 0), master);
    f->pid = runner; /* ours to reap now */
    int status = fixture_await_end(f);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    close(pids[0]);
    close(pids[1]);
}

static void a_command_dies_with_its_runner(void **state)
{
    struct runner_fixture *f = *state;
    static char shell[] = "/bin/sh", option[] = "-c",
                script[] = "echo $$ >&2; exec sleep 3600";
    char *argv[] = {shell, option, script};
    struct record_job job = fixture_job("anything", "[[], {}, null]");
    job.handler = RECORD_COMMAND;
    job.command = (struct record_command){.argv = {argv, 3}};
    fixture_start_ready(f, NULL);
    (void)fixture_post(f, &job);
    struct pollfd fd = {.fd = f->output_fd, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
    pid_t command = (pid_t)atoi(fixture_read_output(f));
    assert_true(command > 1);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    kill(f->pid, SIGKILL); /* and not its group */
    (void)fixture_await_end(f);
    f->pid = command; /* an orphan, ours to reap */
    int status = fixture_await_end(f);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void it_does_not_start_for_a_master_that_is_gone(void **state)
{
    struct runner_fixture *f = *state;
    const int none[FDS] = {-1, -1, -1, -1};
    fixture_spawn(f, "demo", none, getppid()); /* which isn't its parent */
    assert_int_equal(fixture_await_end(f), 0);
    assert_string_equal(fixture_read_output(f), "");
}

/* --- what it refuses ---------------------------------------------------------------- */

static void assert_refused(
        struct runner_fixture *f, enum runner_exit expected, const char *text)
{
    int status = fixture_await_end(f);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
    const char *output = fixture_read_output(f);
    if (!strstr(output, text))
        fail_msg("\"%s\" is not in: %s", text, output);
}

static void without_a_board_it_does_not_start(void **state)
{
    struct runner_fixture *f = *state;
    const int none[FDS] = {-1, -1, -1, -1};
    fixture_spawn(f, "demo", none, getpid());
    assert_refused(f, RUNNER_EXIT_BOARD, "descriptor 3 of the board");
}

static void a_board_of_another_build_is_refused(void **state)
{
    struct runner_fixture *f = *state;
    int fds[FDS];
    assert_int_equal(board_new(0, &f->board, NULL), CONEY_OK);
    for (int i = 0; i < FDS; i++)
        fds[i] = board_runner_fd(f->board, (enum board_fd)(BOARD_FD_MEMORY + i));
    struct layout *l =
            mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    assert_ptr_not_equal(l, MAP_FAILED);
    l->header.version++;
    munmap(l, sizeof(*l));
    fixture_spawn(f, "demo", fds, getpid());
    assert_refused(f, RUNNER_EXIT_BOARD, "another build");
}

static void a_plugin_that_does_not_load_ends_it(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start(f, "unresolved");
    assert_refused(f, RUNNER_EXIT_PLUGIN, "unresolved.so: undefined symbol");
}

static void a_failing_init_hook_ends_it(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start(f, "bad_init");
    assert_string_equal(fixture_await(f, BOARD_LOG)->log.text, "no database");
    assert_refused(f, RUNNER_EXIT_HOOK, "bad_init.so: its init hook returned 3");
    /* And its fini hook has not been called. */
    assert_int_equal(board_take(f->board, &f->news, NULL), CONEY_OK);
    assert_int_equal(f->news.kind, BOARD_NOTHING);
}

static void a_master_that_writes_nonsense_ends_it(void **state)
{
    struct runner_fixture *f = *state;
    fixture_start_ready(f, "demo");
    struct layout *l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED,
            board_runner_fd(f->board, BOARD_FD_MEMORY), 0);
    assert_ptr_not_equal(l, MAP_FAILED);
    atomic_store(&l->jobs.written, UINT64_MAX);
    assert_int_equal(kill(f->pid, SIGUSR1), 0); /* makes it look */
    assert_refused(f, RUNNER_EXIT_BOARD, "take a job");
    munmap(l, sizeof(*l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            WITH_RUNNER(a_job_runs_and_its_result_comes_back),
            WITH_RUNNER(memory_is_measured_where_somebody_wants_to_know),
            WITH_RUNNER(many_jobs_run_in_order_in_one_runner),
            WITH_RUNNER(a_task_nobody_offers_is_unknown),
            WITH_RUNNER(a_large_job_and_a_large_result_travel_whole),
            WITH_RUNNER(a_result_larger_than_the_board_allows_fails),
            WITH_RUNNER(progress_is_logged_before_the_outcome),
            WITH_RUNNER(what_a_task_prints_is_there_when_its_outcome_is),
            WITH_RUNNER(a_waiting_task_is_woken_at_its_soft_limit),
            WITH_RUNNER(a_command_is_told_at_its_soft_limit),
            WITH_RUNNER(a_withdrawn_job_does_not_run),
            WITH_RUNNER(a_crash_leaves_its_job_running_and_the_next_one_posted),
            WITH_RUNNER(last_words_are_in_the_output),
            WITH_RUNNER(a_task_that_exits_takes_its_runner_along),
            WITH_RUNNER(only_the_runners_own_descriptors_are_open),
            WITH_RUNNER(a_command_gets_none_of_them),
            WITH_RUNNER(it_leads_a_group_and_dies_with_its_group),
            WITH_RUNNER(signals_of_a_service_manager_do_not_end_it),
            WITH_RUNNER(a_child_that_has_ended_is_reaped_after_its_task),
            WITH_RUNNER(a_stop_ends_it_with_status_0_after_its_job),
            WITH_RUNNER(it_ends_when_the_board_is_freed),
            WITH_RUNNER(it_dies_with_its_master_in_the_middle_of_a_task),
            WITH_RUNNER(a_command_dies_with_its_runner),
            WITH_RUNNER(it_does_not_start_for_a_master_that_is_gone),
            WITH_RUNNER(without_a_board_it_does_not_start),
            WITH_RUNNER(a_board_of_another_build_is_refused),
            WITH_RUNNER(a_plugin_that_does_not_load_ends_it),
            WITH_RUNNER(a_failing_init_hook_ends_it),
            WITH_RUNNER(a_master_that_writes_nonsense_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
