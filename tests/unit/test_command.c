/* SPDX-License-Identifier: MIT */
/* test_command.c - programs as tasks: what they are told, and how their end is read. */
#include "base/clock.h"
#include "runner/command.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGS_MAX = 4, SECOND_MS = 1000 };

struct fixture {
    struct record_job job;
    struct attempt_host host;
    _Atomic bool is_soft_limit;
    struct attempt attempt;
    int stderr_fd; /* what the commands' standard error is forwarded to */
    char *argv[ARGS_MAX];
    char script[4096];
    char result[65536]; /* terminated */
};

static bool is_soft_limit(void *ctx)
{
    return ((struct fixture *)ctx)->is_soft_limit;
}

static int setup(void **state)
{
    static char shell[] = "/bin/sh", option[] = "-c";
    struct fixture *f = calloc(1, sizeof(*f));
    f->argv[0] = shell;
    f->argv[1] = option;
    f->argv[2] = f->script;
    f->job = (struct record_job){.id = "7f3a",
            .task = "reports.weekly",
            .soft_ms = RECORD_NONE,
            .hard_ms = RECORD_NONE,
            .handler = RECORD_COMMAND,
            .command = {.argv = {f->argv, 3}, .max_output = 1 << 20, .umask = 022},
            .body = {"[[1], {\"k\": \"v\"}, null]", 23}};
    f->host = (struct attempt_host){.is_soft_limit = is_soft_limit,
            .ctx = f,
            .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
            .result_max = 1 << 20};
    f->stderr_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_ptr_not_equal(signal(SIGPIPE, SIG_IGN), SIG_ERR); /* as in a runner */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->attempt.arena)
        attempt_fini(&f->attempt);
    close(f->host.wake_fd);
    close(f->stderr_fd);
    free(f);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    assert_int_equal(errno, ECHILD);
    return 0;
}

static const struct record_outcome *run_as_it_is(struct fixture *f)
{
    if (f->attempt.arena)
        attempt_fini(&f->attempt);
    assert_int_equal(attempt_init(&f->attempt, &f->job, &f->host), CONEY_OK);
    int own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(f->stderr_fd, STDERR_FILENO), STDERR_FILENO);
    command_run(&f->attempt);
    assert_int_equal(dup2(own, STDERR_FILENO), STDERR_FILENO);
    close(own);
    const struct record_outcome *o = attempt_finish(&f->attempt);
    snprintf(f->result, sizeof(f->result), "%.*s", (int)o->value.len,
            o->value.len > 0 ? (const char *)o->value.data : "");
    return o;
}

/* Run a shell script; the outcome is valid until the next one. */
static const struct record_outcome *run(struct fixture *f, const char *script)
{
    snprintf(f->script, sizeof(f->script), "%s", script);
    return run_as_it_is(f);
}

static void assert_result(struct fixture *f, const char *script, const char *value)
{
    const struct record_outcome *o = run(f, script);
    if (o->kind != RECORD_SUCCESS)
        fail_msg("%s: %s", o->error_type, o->error_text);
    assert_string_equal(f->result, value);
}

static void assert_error(const struct record_outcome *o, enum record_kind kind,
        const char *type, const char *text)
{
    assert_int_equal(o->kind, kind);
    assert_string_equal(o->error_type, type);
    assert_string_equal(o->error_text, text);
    assert_int_equal(o->value.len, 0);
}

/* --- what it is told ---------------------------------------------------------------- */

static void it_gets_its_job_as_json_on_standard_input(void **state)
{
    struct fixture *f = *state;
    f->job.retries = 2;
    f->job.queue = "coney.low";
    f->job.root_id = "root";
    f->job.redelivered = true;
    assert_result(f, "cat",
            "{\"id\": \"7f3a\", \"task\": \"reports.weekly\", \"args\": [1], "
            "\"kwargs\": {\"k\": \"v\"}, \"retries\": 2, \"redelivered\": true, "
            "\"queue\": \"coney.low\", \"root_id\": \"root\", \"parent_id\": null, "
            "\"deadline\": null}");
}

static void it_knows_its_deadline(void **state)
{
    struct fixture *f = *state;
    f->job.soft_ms = 90 * SECOND_MS;
    f->job.hard_ms = 60 * SECOND_MS; /* sooner */
    int64_t now_us = clock_wall_us();
    (void)run(f, "cat");
    json_t *v = json_loads(f->result, 0, NULL);
    double deadline = json_real_value(json_object_get(v, "deadline"));
    assert_true(deadline > (double)now_us / 1e6 + 59.9);
    assert_true(deadline < (double)now_us / 1e6 + 70);
    json_decref(v);
    (void)run(f, "echo $CONEY_DEADLINE");
    assert_in_range(
            strtoll(f->result, NULL, 10), now_us / 1000000 + 60, now_us / 1000000 + 70);
}

static void its_environment_is_what_was_configured_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    static char language[] = "LANG=C.UTF-8", forged[] = "CONEY_ID=forged",
                name[] = "CONEY_IDLE=1";
    char *items[] = {language, forged, name};
    f->job.command.environment = (struct record_texts){items, 3};
    assert_int_equal(setenv("CONEY_SECRET", "must not be seen", 1), 0);
    static char env[] = "/usr/bin/env";
    f->argv[0] = env;
    f->job.command.argv.count = 1;
    f->argv[1] = NULL;
    assert_int_equal(run_as_it_is(f)->kind, RECORD_SUCCESS);
    assert_string_equal(f->result,
            "\"CONEY_ID=7f3a\\nCONEY_TASK=reports.weekly\\nCONEY_RETRIES=0\\n"
            "LANG=C.UTF-8\\nCONEY_IDLE=1\\nPATH=/usr/local/bin:/usr/bin:/bin\"");
    assert_int_equal(unsetenv("CONEY_SECRET"), 0);
}

static void a_configured_path_is_kept(void **state)
{
    struct fixture *f = *state;
    static char path[] = "PATH=/opt/bin";
    char *items[] = {path};
    f->job.command.environment = (struct record_texts){items, 1};
    assert_result(f, "echo $PATH", "\"/opt/bin\"");
}

static void it_starts_in_its_directory_with_its_umask(void **state)
{
    struct fixture *f = *state;
    assert_result(f, "pwd", "\"/\"");
    f->job.command.directory = "/usr";
    f->job.command.umask = 077;
    assert_result(f, "pwd; umask", "\"/usr\\n0077\"");
}

static void do_nothing(int number)
{
    (void)number;
}

static void it_has_the_usual_signals(void **state)
{
    struct fixture *f = *state;
    sigset_t some;
    signal(SIGPIPE,
            do_nothing); /* as in the runner: the shell may end before it is fed */
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    assert_int_equal(sigprocmask(SIG_BLOCK, &some, NULL), 0);
    /* The shell's own, read in place: a shell that is about to fork blocks signals. 32
     * and 33 are left out: they are glibc's, which lets nobody set them. */
    assert_result(f,
            "while read -r name value; do case $name in "
            "SigBlk:|SigIgn:) echo $((0x$value & ~0x180000000));; esac; "
            "done < /proc/$$/status",
            "\"0\\n0\"");
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &some, NULL), 0);
}

static void it_stays_in_the_process_group(void **state)
{
    struct fixture *f = *state;
    char group[32];
    snprintf(group, sizeof(group), "%ld", (long)getpgrp());
    assert_result(f, "cut -d' ' -f5 /proc/$$/stat", group);
}

/* A body whose one argument has @len bytes; owned. */
static char *body_of(struct fixture *f, size_t len)
{
    static const char head[] = "[[\"", end[] = "\"], {}, null]";
    size_t whole = sizeof(head) - 1 + len + sizeof(end) - 1;
    char *body = malloc(whole);
    memcpy(body, head, sizeof(head) - 1);
    memset(body + sizeof(head) - 1, 'x', len);
    memcpy(body + sizeof(head) - 1 + len, end, sizeof(end) - 1);
    f->job.body = (struct bytes){body, whole};
    return body;
}

static void a_large_body_is_fed_while_output_is_read(void **state)
{
    struct fixture *f = *state;
    enum { LARGE = 800000 }; /* more than the pipes hold, in both directions */
    char *body = body_of(f, LARGE);
    const struct record_outcome *o = run(f, "cat");
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_true(o->value.len > LARGE);
    free(body);
}

static void it_need_not_read_its_input(void **state)
{
    struct fixture *f = *state;
    char *body = body_of(f, 300000);
    clock_t before = clock();
    assert_result(f, "exec <&-; sleep 0.5; echo 1", "1");
    /* And nobody tries to write it, again and again. */
    assert_true(clock() - before < CLOCKS_PER_SEC / 4);
    free(body);
}

/* --- how its end is read ------------------------------------------------------------ */

static void its_output_is_one_json_value_or_a_text(void **state)
{
    struct fixture *f = *state;
    assert_result(f, "echo ' {\"sent\": [1, 2.5, null]} '", "{\"sent\": [1, 2.5, null]}");
    assert_result(f, "echo 42", "42");
    assert_result(f, "echo 42 43", "\"42 43\"");
    assert_result(f, "echo '  two words  '", "\"two words\"");
    assert_result(f, "printf 'caf\\303\\251 \\377'", "\"caf\\u00E9 \\uFFFD\"");
    assert_result(f, "true", "");
    assert_result(f, "echo", "");
}

static void exit_statuses_are_outcomes(void **state)
{
    struct fixture *f = *state;
    assert_error(run(f, "exit 75"), RECORD_RETRY, "CommandRetry", "exit status 75");
    assert_error(run(f, "exit 3"), RECORD_FAIL, "CommandFailed", "exit status 3");
    assert_int_equal(f->attempt.outcome.exit_status, 3);
    assert_int_equal(f->attempt.outcome.delay_ms, RECORD_NONE);
}

static void exit_statuses_can_be_configured(void **state)
{
    struct fixture *f = *state;
    static const int ok[] = {0, 10}, retry[] = {11, 12}, reject[] = {13};
    f->job.command.ok_exit = (struct record_numbers){ok, 2};
    f->job.command.retry_exit = (struct record_numbers){retry, 2};
    f->job.command.reject_exit = (struct record_numbers){reject, 1};
    assert_result(f, "echo 1; exit 10", "1");
    assert_error(run(f, "exit 12"), RECORD_RETRY, "CommandRetry", "exit status 12");
    assert_error(run(f, "exit 13"), RECORD_REJECT, "CommandRejected", "exit status 13");
    assert_error(run(f, "exit 75"), RECORD_FAIL, "CommandFailed", "exit status 75");
}

static void death_by_a_signal_is_a_crash_of_the_command(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = run(f, "echo oops >&2; kill -SEGV $$");
    assert_error(o, RECORD_FAIL, "CommandCrashed", "killed by signal 11 (SEGV): oops");
    assert_int_equal(o->signal, SIGSEGV);
    assert_int_equal(o->exit_status, -1);
    assert_true(o->max_rss_kib > 0);
}

static void the_end_of_standard_error_is_kept(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = run(f, "echo first >&2; echo last >&2; exit 1");
    assert_error(o, RECORD_FAIL, "CommandFailed", "exit status 1: last");
    assert_string_equal(o->traceback, "first\nlast\n");
    assert_int_equal(o->stderr_tail.len, 11);

    o = run(f, "seq 1 20000 >&2");
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_null(o->traceback);
    assert_int_equal(o->stderr_tail.len, RECORD_STDERR_MAX);
    const char *end = (const char *)o->stderr_tail.data + RECORD_STDERR_MAX;
    assert_memory_equal(end - 12, "19999\n20000\n", 12);
    assert_memory_equal(end - RECORD_STDERR_MAX + 2, "18636\n", 6);
}

static void standard_error_is_forwarded(void **state)
{
    struct fixture *f = *state;
    int pipes[2];
    char text[32] = "";
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    close(f->stderr_fd);
    f->stderr_fd = pipes[1];
    assert_int_equal(run(f, "echo forwarded >&2")->kind, RECORD_SUCCESS);
    assert_int_equal(read(pipes[0], text, sizeof(text) - 1), sizeof("forwarded\n") - 1);
    assert_string_equal(text, "forwarded\n");
    close(pipes[0]);
}

static void a_reader_that_stops_does_not_stop_the_command(void **state)
{
    struct fixture *f = *state;
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    close(f->stderr_fd);
    f->stderr_fd = pipes[1];
    assert_result(f, "seq 1 100000 >&2; echo 1", "1");
    close(pipes[0]);
}

static void too_much_output_fails(void **state)
{
    struct fixture *f = *state;
    f->job.command.max_output = 5000;
    assert_result(f, "printf '%05000d' 1 | tr 0 1 | wc -c", "5000");
    const struct record_outcome *o = run(f, "yes");
    assert_error(o, RECORD_FAIL, "OutputTooLarge",
            "it wrote more than 5000 bytes to standard output");
    o = run(f, "trap '' PIPE; while :; do echo y; done 2>/dev/null");
    assert_string_equal(o->error_type, "OutputTooLarge");
    assert_int_equal(o->signal, SIGTERM);
    /* Also when all of it is there at once and the exit status is fine. */
    o = run(f, "trap '' TERM PIPE; seq 1 3000 || true; exit 0");
    assert_int_equal(o->kind, RECORD_FAIL);
    assert_string_equal(o->error_type, "OutputTooLarge");
}

static void what_cannot_be_started_says_why(void **state)
{
    struct fixture *f = *state;
    static char nothing[] = "/nowhere/at-all", plain[] = "/etc/passwd";
    f->argv[0] = nothing;
    assert_error(run(f, ""), RECORD_FAIL, "CommandNotStarted",
            "execute /nowhere/at-all: No such file or directory");
    f->argv[0] = plain;
    assert_error(run(f, ""), RECORD_FAIL, "CommandNotStarted",
            "execute /etc/passwd: Permission denied");
    f->job.command.directory = "/nowhere";
    assert_error(run(f, ""), RECORD_FAIL, "CommandNotStarted",
            "change to /nowhere: No such file or directory");
}

static void malformed_arguments_start_nothing(void **state)
{
    struct fixture *f = *state;
    f->job.body = (struct bytes){"[", 1};
    const struct record_outcome *o = run(f, "echo started");
    assert_int_equal(o->kind, RECORD_FAIL);
    assert_string_equal(o->error_type, "TypeError");
    assert_int_equal(o->exit_status, -1);
}

static void a_descendant_that_keeps_the_pipes_open_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    int64_t before_ms = clock_mono_ms();
    assert_int_equal(run(f, "sleep 30 & echo $!")->kind, RECORD_SUCCESS);
    assert_true(clock_mono_ms() - before_ms < 20 * SECOND_MS);
    assert_int_equal(kill((pid_t)atoi(f->result), SIGKILL), 0);
}

/* Let pidfd_open() fail from now on, as on an old kernel. */
static bool forbid_pidfd(void)
{
    struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
           syscall(SYS_pidfd_open, getpid(), 0) < 0;
}

static void it_runs_without_pidfds_too(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        bool well =
                forbid_pidfd() && run(f, "sleep 0.05; echo 1")->kind == RECORD_SUCCESS;
        _exit(well && strcmp(f->result, "1") == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* --- the soft limit ----------------------------------------------------------------- */

/* Once the command has made the file at @path: set the flag and ring, as the master. */
struct limiter {
    struct fixture *f;
    char path[64];
};

static void *pass_soft_limit(void *arg)
{
    struct limiter *l = arg;
    int64_t until_ms = clock_mono_ms() + 20 * SECOND_MS;
    while (access(l->path, F_OK) != 0 && clock_mono_ms() < until_ms)
        poll(NULL, 0, 1);
    l->f->is_soft_limit = true;
    return eventfd_write(l->f->host.wake_fd, 1) == 0 ? NULL : arg;
}

/* Run a script that makes the file $READY; its soft limit passes then. */
static const struct record_outcome *run_limited(struct fixture *f, const char *script)
{
    struct limiter l = {.f = f};
    char variable[80];
    char *items[] = {variable};
    pthread_t thread;
    void *failure;
    snprintf(l.path, sizeof(l.path), "/tmp/coney-ready-%ld", (long)getpid());
    snprintf(variable, sizeof(variable), "READY=%s", l.path);
    f->is_soft_limit = false;
    f->job.command.environment = (struct record_texts){items, 1};
    assert_int_equal(pthread_create(&thread, NULL, pass_soft_limit, &l), 0);
    const struct record_outcome *o = run(f, script);
    assert_int_equal(pthread_join(thread, &failure), 0);
    assert_null(failure);
    unlink(l.path);
    return o;
}

static void it_is_told_to_stop_at_its_soft_limit(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = run_limited(f, ">$READY; exec sleep 30");
    assert_error(
            o, RECORD_FAIL, "SoftTimeLimitExceeded", "it ended at its soft time limit");
    assert_int_equal(o->signal, SIGTERM);

    o = run_limited(f, "trap 'echo half done >&2; exit 4' TERM; >$READY; "
                       "while :; do sleep 0.01; done");
    assert_error(o, RECORD_FAIL, "SoftTimeLimitExceeded",
            "it ended at its soft time limit: half done");
    assert_int_equal(o->exit_status, 4);
}

static void it_may_still_succeed_or_ask_for_a_retry_then(void **state)
{
    struct fixture *f = *state;
    const struct record_outcome *o = run_limited(
            f, "trap 'echo 1; exit' TERM; >$READY; while :; do sleep 0.01; done");
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "1");
    o = run_limited(f, "trap 'exit 75' TERM; >$READY; while :; do sleep 0.01; done");
    assert_int_equal(o->kind, RECORD_RETRY);
}

static void it_is_told_only_once(void **state)
{
    struct fixture *f = *state;
    /* There is more to look at while the command takes its time. */
    const struct record_outcome *o =
            run_limited(f, "n=0; trap 'n=$((n+1))' TERM; >$READY; "
                           "while [ $n = 0 ]; do sleep 0.01; done; "
                           "echo a >&2; sleep 0.05; echo b >&2; sleep 0.05; echo $n");
    assert_int_equal(o->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "1");
}

#define FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            FIXTURE(it_gets_its_job_as_json_on_standard_input),
            FIXTURE(it_knows_its_deadline),
            FIXTURE(its_environment_is_what_was_configured_and_nothing_else),
            FIXTURE(a_configured_path_is_kept),
            FIXTURE(it_starts_in_its_directory_with_its_umask),
            FIXTURE(it_has_the_usual_signals),
            FIXTURE(it_stays_in_the_process_group),
            FIXTURE(a_large_body_is_fed_while_output_is_read),
            FIXTURE(it_need_not_read_its_input),
            FIXTURE(its_output_is_one_json_value_or_a_text),
            FIXTURE(exit_statuses_are_outcomes),
            FIXTURE(exit_statuses_can_be_configured),
            FIXTURE(death_by_a_signal_is_a_crash_of_the_command),
            FIXTURE(the_end_of_standard_error_is_kept),
            FIXTURE(standard_error_is_forwarded),
            FIXTURE(a_reader_that_stops_does_not_stop_the_command),
            FIXTURE(too_much_output_fails),
            FIXTURE(what_cannot_be_started_says_why),
            FIXTURE(malformed_arguments_start_nothing),
            FIXTURE(a_descendant_that_keeps_the_pipes_open_is_not_waited_for),
            FIXTURE(it_runs_without_pidfds_too),
            FIXTURE(it_is_told_to_stop_at_its_soft_limit),
            FIXTURE(it_may_still_succeed_or_ask_for_a_retry_then),
            FIXTURE(it_is_told_only_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
