/* SPDX-License-Identifier: MIT */
/* test_verdict.c - made-up deaths of made-up jobs. */
#include "support/test.h"
#include "worker/verdict.h"

#include <signal.h>
#include <string.h>

/* As waitpid() gives them. */
#define EXITED(status) ((status) << 8)
#define KILLED(sig)    (sig)

static char space[VERDICT_TEXT_SIZE];

static struct outcome judge(int wait_status, enum runner_kill killed, struct remains j)
{
    struct outcome o;
    struct death d = {.wait_status = wait_status,
            .max_rss_kib = 777,
            .killed = killed,
            .trouble = killed == RUNNER_KILL_BROKEN ? "a record of unknown kind 9" : ""};
    verdict_death(&d, &j, space, &o);
    return o;
}

static const struct remains running = {.state = BOARD_RUNNING,
        .started_ms = 1000,
        .hard_ms = 30000,
        .now_ms = 31500,
        .now_us = 1700000000000000};

static void a_job_that_never_started_is_to_be_run_again(void **state)
{
    (void)state;
    struct remains j = running;
    j.state = BOARD_POSTED;
    for (enum runner_kill why = RUNNER_KILL_NONE; why <= RUNNER_KILL_BROKEN; why++) {
        struct outcome o = judge(KILLED(SIGKILL), why, j);
        assert_int_equal(o.kind, OUTCOME_STOPPED);
        assert_int_equal(o.started_us, 0);
    }
}

static void a_running_job_crashed_with_its_runner(void **state)
{
    (void)state;
    struct outcome o = judge(KILLED(SIGSEGV), RUNNER_KILL_NONE, running);
    assert_int_equal(o.kind, OUTCOME_CRASHED);
    assert_int_equal(o.signal, SIGSEGV);
    assert_int_equal(o.exit_status, -1);
    assert_int_equal(o.max_rss_kib, 777);
    assert_string_equal(o.error_type, "WorkerLostError");
    assert_string_equal(o.error_text, "killed by signal 11 (SEGV)");
    assert_int_equal(o.duration_ms, 30500);
    assert_true(o.started_us == running.now_us - 30500 * 1000);

    o = judge(EXITED(3), RUNNER_KILL_NONE, running);
    assert_int_equal(o.kind, OUTCOME_CRASHED);
    assert_int_equal(o.signal, 0);
    assert_int_equal(o.exit_status, 3);
    assert_string_equal(o.error_text, "exited with status 3");
}

static void a_job_said_to_be_done_without_an_outcome_crashed(void **state)
{
    (void)state;
    struct remains j = running;
    j.state = BOARD_DONE;
    assert_int_equal(judge(KILLED(SIGKILL), RUNNER_KILL_NONE, j).kind, OUTCOME_CRASHED);
}

static void only_the_job_that_overran_timed_out(void **state)
{
    (void)state;
    struct remains j = running;
    assert_int_equal(judge(KILLED(SIGKILL), RUNNER_KILL_LIMIT, j).kind, OUTCOME_CRASHED);
    j.overran = true;
    struct outcome o = judge(KILLED(SIGKILL), RUNNER_KILL_LIMIT, j);
    assert_int_equal(o.kind, OUTCOME_TIMED_OUT);
    assert_string_equal(o.error_type, "TimeLimitExceeded");
    assert_string_equal(o.error_text, "killed after 30.5 s; its limit is 30.0 s");
}

static void a_kill_on_request_stops_the_job(void **state)
{
    (void)state;
    struct outcome o = judge(KILLED(SIGKILL), RUNNER_KILL_ASKED, running);
    assert_int_equal(o.kind, OUTCOME_STOPPED);
    assert_int_equal(o.duration_ms, 30500);
}

static void a_broken_board_is_named(void **state)
{
    (void)state;
    struct outcome o = judge(KILLED(SIGKILL), RUNNER_KILL_BROKEN, running);
    assert_int_equal(o.kind, OUTCOME_CRASHED);
    assert_string_equal(o.error_text,
            "killed: wrote nonsense on its board: a record of unknown kind 9");
}

static void what_the_runner_said_is_passed_on(void **state)
{
    (void)state;
    struct outcome o;
    struct record_outcome said = {.kind = RECORD_RETRY,
            .error_type = "SmsError",
            .error_text = "busy",
            .traceback = "line 1",
            .delay_ms = 1500,
            .started_us = 17,
            .duration_ms = 4,
            .max_rss_kib = 99,
            .exit_status = 75,
            .stderr_tail = {"words", 5}};
    verdict_said(&said, &o);
    assert_int_equal(o.kind, OUTCOME_RETRY);
    assert_string_equal(o.error_type, "SmsError");
    assert_string_equal(o.error_text, "busy");
    assert_string_equal(o.traceback, "line 1");
    assert_int_equal(o.delay_ms, 1500);
    assert_int_equal(o.started_us, 17);
    assert_int_equal(o.duration_ms, 4);
    assert_int_equal(o.max_rss_kib, 99);
    assert_int_equal(o.exit_status, 75);
    assert_int_equal(o.stderr_tail.len, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_job_that_never_started_is_to_be_run_again),
            cmocka_unit_test(a_running_job_crashed_with_its_runner),
            cmocka_unit_test(a_job_said_to_be_done_without_an_outcome_crashed),
            cmocka_unit_test(only_the_job_that_overran_timed_out),
            cmocka_unit_test(a_kill_on_request_stops_the_job),
            cmocka_unit_test(a_broken_board_is_named),
            cmocka_unit_test(what_the_runner_said_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
