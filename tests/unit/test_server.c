/* SPDX-License-Identifier: MIT */
/* test_server.c - task servers as they should be, and some that nobody should write. */
#include "base/clock.h"
#include "runner/server.h"
#include "test.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* What every server here begins with: hear() a frame, say() one, and be ready. */
static const char preamble[] =
        "use strict; open(my $in, '<&=', 3); open(my $out, '>&=', 4); $| = 1;\n"
        "sub hear { read($in, my $h, 4) == 4 or exit 0;\n"
        "    read($in, my $t, unpack('N', $h)); return $t }\n"
        "sub say_raw { my $d = shift; while (length $d) {\n"
        "    my $n = syswrite($out, $d) // exit 9; substr($d, 0, $n) = '' } }\n"
        "sub say { say_raw(pack('N', length $_[0]) . $_[0]) }\n"
        "sub ready { hear(); say('{\"type\":\"ready\",\"protocol\":1' . ($_[0] // '')"
        "    . '}') }\n"
        "sub answer { say('{\"type\":\"outcome\",\"id\":\"7f3a\",' . $_[0] . '}') }\n"
        "sub succeed { answer('\"outcome\":\"success\",\"value\":' . $_[0]) }\n";

enum { SECOND_MS = 1000, SCRIPT_SIZE = 4096 };

struct fixture {
    struct record_job job;
    struct attempt_host host;
    struct server_set *set;
    _Atomic bool is_soft_limit;
    struct attempt attempt;
    char *argv[3];
    char script[SCRIPT_SIZE];
    char result[256]; /* terminated */
    char log[1024];
};

static bool is_soft_limit(void *ctx)
{
    return ((struct fixture *)ctx)->is_soft_limit;
}

static void keep_log(void *ctx, enum log_level level, const char *text)
{
    struct fixture *f = ctx;
    size_t len = strlen(f->log);
    snprintf(f->log + len, sizeof(f->log) - len, "%d %s\n", (int)level, text);
}

static int setup(void **state)
{
    static char perl[] = "/usr/bin/perl", option[] = "-e";
    struct fixture *f = calloc(1, sizeof(*f));
    f->argv[0] = perl;
    f->argv[1] = option;
    f->argv[2] = f->script;
    f->job = (struct record_job){.id = "7f3a",
            .task = "core.add",
            .soft_ms = RECORD_NONE,
            .hard_ms = RECORD_NONE,
            .handler = RECORD_SERVER,
            .command = {.argv = {f->argv, 3}, .start_ms = 20 * SECOND_MS, .umask = 022},
            .body = {"[[1], {}, null]", 15}};
    f->host = (struct attempt_host){.is_soft_limit = is_soft_limit,
            .log = keep_log,
            .ctx = f,
            .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
            .result_max = 1 << 20};
    f->set = server_set_new("coney@host");
    assert_ptr_not_equal(signal(SIGPIPE, SIG_IGN), SIG_ERR); /* as in a runner */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    server_set_free(f->set);
    if (f->attempt.arena)
        attempt_fini(&f->attempt);
    close(f->host.wake_fd);
    free(f);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    assert_int_equal(errno, ECHILD);
    return 0;
}

static void write_script(struct fixture *f, const char *script)
{
    snprintf(f->script, sizeof(f->script), "%s%s", preamble, script);
}

/* Run the task in the server of the script; the outcome is valid until the next one. */
static const struct record_outcome *run(struct fixture *f)
{
    if (f->attempt.arena)
        attempt_fini(&f->attempt);
    f->log[0] = '\0';
    assert_int_equal(attempt_init(&f->attempt, &f->job, &f->host), CONEY_OK);
    server_run(f->set, &f->attempt);
    const struct record_outcome *o = attempt_finish(&f->attempt);
    snprintf(f->result, sizeof(f->result), "%.*s", (int)o->value.len,
            o->value.len > 0 ? (const char *)o->value.data : "");
    return o;
}

static long run_for_number(struct fixture *f)
{
    const struct record_outcome *o = run(f);
    if (o->kind != RECORD_SUCCESS)
        fail_msg("%s: %s", o->error_type, o->error_text);
    return strtol(f->result, NULL, 10);
}

static void assert_error(const struct record_outcome *o, enum record_kind kind,
        const char *type, const char *word)
{
    assert_int_equal(o->kind, kind);
    assert_string_equal(o->error_type, type);
    if (!strstr(o->error_text, word))
        fail_msg("\"%s\" does not say %s", o->error_text, word);
}

/* --- as they should be -------------------------------------------------------------- */

static void one_server_runs_task_after_task(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; while (hear()) { succeed($$) }");
    long pid = run_for_number(f);
    assert_true(pid > 0 && pid != getpid());
    assert_int_equal(run_for_number(f), pid);
    assert_int_equal(f->attempt.outcome.rss_kib, RECORD_NONE);
    f->job.wants_rss = true;
    assert_int_equal(run_for_number(f), pid);
    assert_true(f->attempt.outcome.rss_kib > 0);
    assert_true(f->attempt.outcome.max_rss_kib >= f->attempt.outcome.rss_kib);
}

static void arguments_and_result_keep_their_spelling(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; my $t = hear(); succeed($t =~ /\"args\": (\\[.*?\\])/)");
    f->job.body = (struct bytes){"[[9223372036854775808, NaN], {}, null]", 38};
    assert_int_equal(run(f)->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "[9223372036854775808, NaN]");
}

static void more_than_a_pipe_holds_goes_both_ways(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 900 * 1000 };
    char *body = malloc(SIZE + 32);
    memset(body, 'x', SIZE + 32);
    memcpy(body, "[[\"", 3);
    memcpy(body + 3 + SIZE, "\"], {}, null]", 14);
    write_script(f, "ready; my $t = hear(); succeed($t =~ /(\"xx*\")/)");
    f->job.body = (struct bytes){body, strlen(body)};
    assert_int_equal(run(f)->kind, RECORD_SUCCESS);
    assert_int_equal(buffer_len(&f->attempt.value), SIZE + 2);
    free(body);
}

static void every_command_line_has_its_own_server(void **state)
{
    struct fixture *f = *state;
    static char other[] = "A=b";
    static char *environment[] = {other};
    write_script(f, "ready; while (hear()) { succeed($$) }");
    long first = run_for_number(f);
    f->job.command.environment = (struct record_texts){environment, 1};
    long second = run_for_number(f);
    assert_int_not_equal(first, second);
    assert_int_equal(run_for_number(f), second);
    f->job.command.environment.count = 0;
    assert_int_equal(run_for_number(f), first);
}

static void the_server_longest_unused_makes_room(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; while (hear()) { succeed($$) }");
    long first = run_for_number(f);
    for (int i = 0; i < 8; i++) {
        f->job.command.umask = i;
        (void)run_for_number(f);
    }
    assert_int_equal(kill((pid_t)first, 0), -1);
    f->job.command.umask = 022;
    assert_int_not_equal(run_for_number(f), first);
}

static void it_logs_and_is_told_where_it_is(void **state)
{
    struct fixture *f = *state;
    write_script(f,
            "my $h = hear(); say('{\"type\":\"ready\",\"protocol\":1}'); hear();\n"
            "say('{\"type\":\"log\",\"level\":\"warning\",\"text\":\"half\"}');\n"
            "succeed($h)");
    assert_int_equal(run(f)->kind, RECORD_SUCCESS);
    assert_string_equal(f->log, "1 half\n");
    assert_string_equal(f->result, "{\"type\": \"hello\", \"protocol\": 1, "
                                   "\"node\": \"coney@host\", \"frame_max\": 1048576}");
}

static void all_that_an_outcome_says_arrives(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; hear(); answer('\"outcome\":\"retry\",\"delay\":2,"
                    "\"max_retries\":5,\"args\":[1E999],\"kwargs\":{},"
                    "\"children\":[1],\"publish\":[2],\"exception\":{\"type\":\"E\","
                    "\"module\":\"m\",\"text\":\"t\",\"args\":[3],"
                    "\"traceback\":\"tb\"}')");
    const struct record_outcome *o = run(f);
    assert_error(o, RECORD_RETRY, "E", "t");
    assert_string_equal(o->error_module, "m");
    assert_memory_equal(o->error_args.data, "[3]", 3);
    assert_string_equal(o->traceback, "tb");
    assert_memory_equal(o->children.data, "[1]", 3);
    assert_memory_equal(o->publish.data, "[2]", 3);
    assert_memory_equal(o->again.data, "[[1E999], {}]", 13);
    assert_int_equal(o->delay_ms, 2000);
    assert_int_equal(o->max_retries, 5);
}

/* --- limits ------------------------------------------------------------------------- */

static void *pass_limit(void *arg)
{
    struct fixture *f = arg;
    usleep(100 * 1000);
    f->is_soft_limit = true;
    eventfd_write(f->host.wake_fd, 1);
    return NULL;
}

static const struct record_outcome *run_limited(struct fixture *f)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, pass_limit, f), 0);
    const struct record_outcome *o = run(f);
    pthread_join(thread, NULL);
    return o;
}

static void the_soft_limit_is_a_message(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; hear(); my $l = hear(); succeed($l)");
    assert_int_equal(run_limited(f)->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "{\"type\": \"soft_limit\", \"id\": \"7f3a\"}");
}

static void and_a_signal_for_who_wants_one(void **state)
{
    struct fixture *f = *state;
    write_script(f, "$SIG{USR1} = sub { succeed('\"told\"') };\n"
                    "ready(',\"soft_limit\":\"signal\"'); hear(); sleep 20;"
                    "succeed('\"slept\"')");
    assert_int_equal(run_limited(f)->kind, RECORD_SUCCESS);
    assert_string_equal(f->result, "\"told\"");
}

/* --- as nobody should write them ---------------------------------------------------- */

static void a_death_is_a_crash_and_the_next_task_gets_a_new_one(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; hear(); succeed($$); hear(); kill 'SEGV', $$; sleep 9");
    long first = run_for_number(f);
    const struct record_outcome *o = run(f);
    assert_error(o, RECORD_CRASHED, "WorkerLostError", "killed by signal 11 (SEGV)");
    assert_string_equal(o->error_module, "billiard.exceptions");
    assert_int_equal(o->signal, SIGSEGV);
    assert_true(o->max_rss_kib > 0);
    assert_int_not_equal(run_for_number(f), first);
}

static void an_exit_is_a_crash_unless_the_outcome_was_there(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; hear(); exit 3");
    const struct record_outcome *o = run(f);
    assert_error(o, RECORD_CRASHED, "WorkerLostError", "exited with status 3");
    assert_int_equal(o->exit_status, 3);
    assert_int_equal(o->signal, 0);
    write_script(f, "ready; hear(); succeed(5); exit 3");
    assert_int_equal(run_for_number(f), 5);
    assert_int_equal(run_for_number(f), 5);
}

static void a_death_between_tasks_costs_nothing(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; while (hear()) { succeed($$) }");
    long first = run_for_number(f);
    kill((pid_t)first, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)first, &info, WEXITED | WNOWAIT), 0);
    assert_int_not_equal(run_for_number(f), first);
    assert_non_null(strstr(f->log, "was killed by signal 9 (KILL) between two tasks"));
}

static void one_that_was_reaped_by_others_is_known_to_be_dead(void **state)
{
    struct fixture *f = *state;
    int status;
    write_script(f, "ready; while (hear()) { succeed($$) }");
    long first = run_for_number(f);
    kill((pid_t)first, SIGKILL);
    assert_int_equal(waitpid((pid_t)first, &status, 0), first);
    server_set_reaped(f->set, (pid_t)first, status);
    assert_int_not_equal(run_for_number(f), first);
    assert_non_null(strstr(f->log, "signal 9"));
}

static void a_crash_takes_its_children_along(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; hear(); my $p = fork // die; if (!$p) { sleep 60; exit }\n"
                    "say('{\"type\":\"log\",\"text\":\"' . $p . '\"}'); exit 1");
    assert_int_equal(run(f)->kind, RECORD_CRASHED);
    pid_t child = (pid_t)strtol(f->log + 2, NULL, 10);
    assert_true(child > 0);
    int64_t until_ms = clock_mono_ms() + 5 * SECOND_MS;
    while (kill(child, 0) == 0 && clock_mono_ms() < until_ms)
        usleep(1000);
    assert_int_equal(kill(child, 0), -1);
}

static void assert_killed_for(struct fixture *f, const char *script, const char *word)
{
    write_script(f, script);
    assert_error(run(f), RECORD_CRASHED, "ServerError", word);
    write_script(f, "ready; while (hear()) { succeed(1) }");
    assert_int_equal(run_for_number(f), 1);
}

static void nonsense_is_the_end_of_a_server(void **state)
{
    assert_killed_for(*state, "ready; hear(); say('oops'); sleep 60", "not JSON");
    assert_killed_for(*state, "ready; hear(); say_raw(\"\\xff\" x 8); sleep 60",
            "a frame of 4294967295 bytes");
    assert_killed_for(*state,
            "ready; hear(); say('{\"type\":\"outcome\",\"id\":\"8\","
            "\"outcome\":\"ignore\"}'); sleep 60",
            "nobody asked for");
    assert_killed_for(*state,
            "ready; hear(); say('{\"type\":\"ready\",\"protocol\":1}'); sleep 60",
            "nobody asked for");
}

static void one_that_can_not_answer_any_more_is_ended(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; hear(); close($out); sleep 60");
    assert_error(run(f), RECORD_CRASHED, "WorkerLostError", "signal 9");
}

static void assert_not_started(struct fixture *f, const char *word)
{
    const struct record_outcome *o = run(f);
    assert_error(o, RECORD_REQUEUE, "ServerNotStarted", word);
    assert_true(o->delay_ms >= 1000);
    assert_non_null(strstr(f->log, "server can't be started"));
}

static void what_does_not_start_leaves_the_task_waiting(void **state)
{
    struct fixture *f = *state;
    static char nothing[] = "/nonexistent/bridge";
    write_script(f, "exit 78");
    assert_not_started(f, "it exited with status 78 before it was ready");
    write_script(f, "hear(); say('{\"type\":\"ready\",\"protocol\":2}'); sleep 60");
    assert_not_started(f, "it speaks protocol 2, not 1");
    write_script(f, "hear(); answer('\"outcome\":\"ignore\"'); sleep 60");
    assert_not_started(f, "an outcome before it was ready");
    f->job.command.start_ms = 200;
    write_script(f, "sleep 60");
    assert_not_started(f, "it was not ready within 0.2 s");
    f->argv[0] = nothing;
    assert_not_started(f, "execute /nonexistent/bridge");
}

static void the_next_start_is_not_tried_at_once(void **state)
{
    struct fixture *f = *state;
    write_script(f, "exit 1");
    assert_not_started(f, "exited with status 1");
    const struct record_outcome *o = run(f);
    assert_error(o, RECORD_REQUEUE, "ServerNotStarted", "a moment ago");
    assert_true(o->delay_ms >= 2000);
    assert_string_equal(f->log, "");
}

static void one_that_does_not_end_is_killed(void **state)
{
    struct fixture *f = *state;
    write_script(f, "ready; hear(); succeed($$); sleep 60");
    long pid = run_for_number(f);
    int64_t from_ms = clock_mono_ms();
    server_set_free(f->set);
    f->set = NULL;
    int64_t took_ms = clock_mono_ms() - from_ms;
    assert_true(took_ms >= 2500 && took_ms < 10 * SECOND_MS);
    assert_int_equal(kill((pid_t)pid, 0), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(one_server_runs_task_after_task),
            TEST(arguments_and_result_keep_their_spelling),
            TEST(more_than_a_pipe_holds_goes_both_ways),
            TEST(every_command_line_has_its_own_server),
            TEST(the_server_longest_unused_makes_room),
            TEST(it_logs_and_is_told_where_it_is),
            TEST(all_that_an_outcome_says_arrives),
            TEST(the_soft_limit_is_a_message),
            TEST(and_a_signal_for_who_wants_one),
            TEST(a_death_is_a_crash_and_the_next_task_gets_a_new_one),
            TEST(an_exit_is_a_crash_unless_the_outcome_was_there),
            TEST(a_death_between_tasks_costs_nothing),
            TEST(one_that_was_reaped_by_others_is_known_to_be_dead),
            TEST(a_crash_takes_its_children_along),
            TEST(nonsense_is_the_end_of_a_server),
            TEST(one_that_can_not_answer_any_more_is_ended),
            TEST(what_does_not_start_leaves_the_task_waiting),
            TEST(the_next_start_is_not_tried_at_once),
            TEST(one_that_does_not_end_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
