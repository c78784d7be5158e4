/* SPDX-License-Identifier: MIT */
/*
 * runner_fixture.h - a test as the master of one real coney-runner, through a real board.
 *
 * Every wait has a deadline; the runner and its group are killed at the end, whatever
 * happened.
 */
#ifndef CONEY_TESTS_RUNNER_FIXTURE_H
#define CONEY_TESTS_RUNNER_FIXTURE_H

#include "base/clock.h"
#include "board/board.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, OUTPUT_SIZE = 16384, FDS = BOARD_FD_END - BOARD_FD_MEMORY };

struct runner_fixture {
    struct board *board;
    pid_t pid;                /* 0: not started, or reaped */
    int output_fd;            /* what it writes to standard output and error */
    char output[OUTPUT_SIZE]; /* what of that has been read, terminated */
    size_t output_len;
    struct board_news news; /* the last one */
};

/* The path of a test plugin; static storage. */
static inline char *fixture_plugin(const char *name)
{
    static char path[4096];
    const char *directory = getenv("CONEY_TEST_PLUGIN_DIR");
    assert_non_null(directory);
    snprintf(path, sizeof(path), "%s/%s.so", directory, name);
    return path;
}

/* The child: put the descriptors where a runner expects them, and become one. */
static inline void fixture_exec(const int *fds, int output, char *plugin, pid_t parent)
{
    char text[24];
    int high[FDS];
    const char *runner = getenv("CONEY_RUNNER");
    snprintf(text, sizeof(text), "%ld", (long)parent);
    dup2(output, STDERR_FILENO);  /* before its number is needed */
    for (int i = 0; i < FDS; i++) /* out of each other's way */
        high[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD, 50);
    for (int i = 0; i < FDS; i++) {
        close(BOARD_FD_MEMORY + i);
        if (high[i] >= 0)
            dup2(high[i], BOARD_FD_MEMORY + i);
    }
    char name[] = "coney-runner", node[] = "--node", at[] = "coney@test",
         parent_option[] = "--parent";
    char *argv[] = {name, node, at, parent_option, text, plugin, NULL};
    char path[] = "PATH=/usr/bin:/bin";
    char *environment[] = {path, NULL};
    if (runner)
        execve(runner, argv, environment);
    _exit(126);
}

/* Start a runner with these descriptors as 3 to 6 (-1: closed), as the child of @parent.
 */
static inline void fixture_spawn(
        struct runner_fixture *f, const char *plugin, const int *fds, pid_t parent)
{
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0)
        fixture_exec(fds, pipes[1], plugin ? fixture_plugin(plugin) : NULL, parent);
    close(pipes[1]);
    f->output_fd = pipes[0];
    assert_int_equal(fcntl(f->output_fd, F_SETFL, O_NONBLOCK), 0);
}

static inline void fixture_start(struct runner_fixture *f, const char *plugin)
{
    int fds[FDS];
    assert_int_equal(board_new(4 << 20, &f->board, NULL), CONEY_OK);
    for (int i = 0; i < FDS; i++)
        fds[i] = board_runner_fd(f->board, (enum board_fd)(BOARD_FD_MEMORY + i));
    fixture_spawn(f, plugin, fds, getpid());
    board_close_runner_fds(f->board);
}

/* Wait for the death of the runner; its wait status. */
static inline int fixture_await_end(struct runner_fixture *f)
{
    int status = 0;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    pid_t got;
    while ((got = waitpid(f->pid, &status, WNOHANG)) == 0 && clock_mono_ms() < until_ms)
        poll(NULL, 0, 1);
    assert_int_equal(got, f->pid);
    f->pid = 0;
    return status;
}

/* The next news of a kind. Log lines before it are skipped, anything else is a failure.
 */
static inline const struct board_news *fixture_await(
        struct runner_fixture *f, enum board_news_kind kind)
{
    struct coney_error err = {.text = ""};
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        enum coney_rc rc = board_take(f->board, &f->news, &err);
        if (rc != CONEY_OK)
            fail_msg("board_take: %s", err.text);
        if (f->news.kind == kind)
            return &f->news;
        if (f->news.kind != BOARD_NOTHING) {
            assert_int_equal(f->news.kind, BOARD_LOG);
            continue;
        }
        assert_true(clock_mono_ms() < until_ms);
        struct pollfd fd = {.fd = board_event_fd(f->board), .events = POLLIN};
        if (board_sleep(f->board))
            (void)poll(&fd, 1, PATIENCE_MS);
    }
}

static inline void fixture_start_ready(struct runner_fixture *f, const char *plugin)
{
    fixture_start(f, plugin);
    (void)fixture_await(f, BOARD_READY);
}

/* A native job without limits. */
static inline struct record_job fixture_job(const char *task, const char *body)
{
    return (struct record_job){.id = "7f3a",
            .task = task,
            .soft_ms = RECORD_NONE,
            .hard_ms = RECORD_NONE,
            .body = {body, strlen(body)}};
}

static inline struct board_ticket fixture_post(
        struct runner_fixture *f, const struct record_job *job)
{
    struct board_ticket t;
    struct coney_error err;
    if (board_post(f->board, job, &t, &err) != CONEY_OK)
        fail_msg("board_post: %s", err.text);
    return t;
}

/* Post a job and wait for its outcome, which is valid until the next call. */
static inline const struct record_outcome *fixture_run_job(
        struct runner_fixture *f, const struct record_job *job)
{
    struct board_ticket t = fixture_post(f, job);
    const struct board_news *news = fixture_await(f, BOARD_OUTCOME);
    assert_int_equal(news->ticket.generation, t.generation);
    return &news->outcome;
}

static inline const struct record_outcome *fixture_run(
        struct runner_fixture *f, const char *task, const char *body)
{
    struct record_job job = fixture_job(task, body);
    return fixture_run_job(f, &job);
}

static inline void fixture_await_running(struct runner_fixture *f, struct board_ticket t)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (board_state(f->board, t, NULL) != BOARD_RUNNING) {
        assert_true(clock_mono_ms() < until_ms);
        poll(NULL, 0, 1);
    }
}

/* Read all that it has written so far. */
static inline const char *fixture_read_output(struct runner_fixture *f)
{
    ssize_t n;
    while ((n = read(f->output_fd, f->output + f->output_len,
                    sizeof(f->output) - 1 - f->output_len)) > 0)
        f->output_len += (size_t)n;
    f->output[f->output_len] = '\0';
    return f->output;
}

static inline int fixture_setup(void **state)
{
    struct runner_fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->output_fd = -1;
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct runner_fixture *f = *state;
    if (f->pid > 0) {
        kill(-f->pid, SIGKILL);
        kill(f->pid, SIGKILL);
        (void)waitpid(f->pid, NULL, 0);
    }
    if (f->output_fd >= 0)
        close(f->output_fd);
    board_free(f->board);
    free(f);
    return 0;
}

/* The result is this JSON text. */
static inline void assert_result(const struct record_outcome *o, const char *text)
{
    if (o->kind != RECORD_SUCCESS)
        fail_msg("%s: %s", o->error_type, o->error_text);
    assert_int_equal(o->value.len, strlen(text));
    assert_memory_equal(o->value.data, text, strlen(text));
}

/* The outcome is an error of this kind, type and text. */
static inline void assert_error(const struct record_outcome *o, enum record_kind kind,
        const char *type, const char *text)
{
    assert_int_equal(o->kind, kind);
    assert_string_equal(o->error_type, type);
    assert_string_equal(o->error_text, text);
}

#define WITH_RUNNER(test) \
    cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif /* CONEY_TESTS_RUNNER_FIXTURE_H */
