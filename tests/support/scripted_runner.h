/* SPDX-License-Identifier: MIT */
/*
 * scripted_runner.h - a runner that does as it is told, well or badly.
 *
 * A test of the pool names itself as the pool's runner and begins its main() with
 * scripted_runner_main(). The "plugin" says how the runner behaves at its start, the task
 * what becomes of the job; see the two tables. All static, in a header: what lies in
 * support/ is linked to every test, and this needs the board.
 */
#ifndef CONEY_TESTS_SCRIPTED_RUNNER_H
#define CONEY_TESTS_SCRIPTED_RUNNER_H

#include "board/runner_board.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct script {
    struct runner_board *board;
    struct board_ticket ticket;
    struct record_job job;
    struct record_outcome outcome;
    char text[256]; /* the job's body */
};

/* --- tasks -------------------------------------------------------------------------- */

static _Noreturn void do_nothing_for_ever(void)
{
    for (;;)
        pause();
}

static void do_echo(struct script *s)
{
    s->outcome.value = s->job.body;
}

static void do_retry(struct script *s)
{
    s->outcome.kind = RECORD_RETRY;
    s->outcome.error_type = "SmsError";
    s->outcome.error_text = "the gateway is busy";
    s->outcome.delay_ms = 1500;
}

static void do_fail(struct script *s)
{
    fputs("what the task said\n", stderr);
    s->outcome.kind = RECORD_FAIL;
    s->outcome.error_type = "ValueError";
    s->outcome.error_text = "no such number";
    s->outcome.traceback = "line 1";
}

static void do_reject(struct script *s)
{
    s->outcome.kind = RECORD_REJECT;
    s->outcome.error_type = "Rejected";
    s->outcome.error_text = "never again";
}

static void do_ignore(struct script *s)
{
    s->outcome.kind = RECORD_IGNORE;
}

static void do_unknown(struct script *s)
{
    s->outcome.kind = RECORD_UNKNOWN;
}

static void do_sleep(struct script *s)
{
    (void)s;
    fputs("going to sleep\n", stderr);
    do_nothing_for_ever();
}

static void on_usr1(int sig)
{
    (void)sig;
}

/* Blocks until the signal that comes with the soft limit interrupts it. */
static void do_soft(struct script *s)
{
    while (!runner_board_is_soft_limit(s->board, s->ticket))
        usleep(1000 * 1000);
    s->outcome.kind = RECORD_FAIL;
    s->outcome.error_type = "SoftTimeLimitExceeded";
    s->outcome.error_text = "told in time";
}

static void do_exit(struct script *s)
{
    (void)s;
    fputs("first words\nlast words\n", stderr);
    _exit(3);
}

static void do_segv(struct script *s)
{
    (void)s;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

static void do_log(struct script *s)
{
    runner_board_log(s->board, s->ticket, LOG_LEVEL_WARNING, "half way");
}

static void do_chatter(struct script *s)
{
    (void)s;
    for (int i = 0; i < 8192; i++)
        fprintf(stderr, "line %d\n", i);
}

static void do_flood(struct script *s)
{
    (void)s;
    static char lines[4096];
    memset(lines, '\n', sizeof(lines));
    for (;;)
        if (write(STDERR_FILENO, lines, sizeof(lines)) < 0)
            _exit(1);
}

static void do_log_flood(struct script *s)
{
    for (;;)
        runner_board_log(s->board, s->ticket, LOG_LEVEL_INFO, "again");
}

static void write_own_pid(const char *path)
{
    char line[32];
    int len = snprintf(line, sizeof(line), "%ld\n", (long)getpid());
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, line, (size_t)len) != len)
        _exit(1);
    close(fd);
}

/* A child in the group, one in a session of its own, and a grandchild in another. */
static void start_family(struct script *s)
{
    write_own_pid(s->text);
    if (fork() == 0) {
        write_own_pid(s->text);
        do_nothing_for_ever();
    }
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            setsid();
            write_own_pid(s->text);
            do_nothing_for_ever();
        }
        write_own_pid(s->text);
        do_nothing_for_ever();
    }
}

enum { FAMILY_LINES = 4 };

static bool family_is_complete(const char *path)
{
    char text[256] = "";
    unsigned lines = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
        for (const char *c = text; *c; c++)
            lines += *c == '\n';
    close(fd);
    return lines == FAMILY_LINES;
}

static void do_family(struct script *s)
{
    start_family(s);
    do_nothing_for_ever();
}

static void do_family_crash(struct script *s)
{
    start_family(s);
    while (!family_is_complete(s->text))
        usleep(1000);
    abort();
}

static void do_grow(struct script *s)
{
    size_t size = (size_t)64 * 1024 * 1024;
    char *p =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, size);
    s->outcome.rss_kib = 64 * 1024;
}

/* Garbage over the whole board, the same in each run. */
static void scribble(void)
{
    struct stat st;
    uint32_t x = 2463534242u;
    fstat(BOARD_FD_MEMORY, &st);
    size_t size = (size_t)st.st_size;
    unsigned char *p =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, BOARD_FD_MEMORY, 0);
    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[i] = (unsigned char)x;
    }
}

static void wake_master(void)
{
    uint64_t one = 1;
    if (write(BOARD_FD_WAKE_MASTER, &one, sizeof(one)) < 0)
        _exit(1);
}

static void do_scribble(struct script *s)
{
    (void)s;
    scribble();
    wake_master();
    do_nothing_for_ever();
}

static void do_scribble_on_sign(struct script *s)
{
    while (access(s->text, F_OK) != 0)
        usleep(1000);
    do_scribble(s);
}

static void do_scribble_for_ever(struct script *s)
{
    (void)s;
    for (;;) {
        scribble();
        wake_master();
    }
}

static void do_close(struct script *s)
{
    (void)s;
    for (int fd = 0; fd < BOARD_FD_END; fd++)
        close(fd);
}

/* Nobody hears the bell from now on. */
static void do_muffle(struct script *s)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, BOARD_FD_WAKE_MASTER);
    s->outcome.value = s->job.body;
}

static void do_exit_after(struct script *s)
{
    (void)s;
    _exit(6);
}

static void do_file(struct script *s)
{
    int fd = open(s->text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    do_nothing_for_ever();
}

static const struct {
    const char *task;
    void (*run)(struct script *s);
    void (*afterwards)(struct script *s); /* when the outcome has been posted */
} scripts[] = {
        {"echo", do_echo, NULL},
        {"retry", do_retry, NULL},
        {"fail", do_fail, NULL},
        {"reject", do_reject, NULL},
        {"ignore", do_ignore, NULL},
        {"unknown", do_unknown, NULL},
        {"sleep", do_sleep, NULL},
        {"soft", do_soft, NULL},
        {"exit", do_exit, NULL},
        {"segv", do_segv, NULL},
        {"log", do_log, NULL},
        {"chatter", do_chatter, NULL},
        {"flood", do_flood, NULL},
        {"log-flood", do_log_flood, NULL},
        {"family", do_family, NULL},
        {"family-crash", do_family_crash, NULL},
        {"grow", do_grow, NULL},
        {"scribble", do_scribble, NULL},
        {"scribble-for-ever", do_scribble_for_ever, NULL},
        {"close", do_close, NULL},
        {"finish-unheard", do_muffle, do_exit_after},
        /* The body names a file: made when the outcome is posted, or waited for then. */
        {"finish-then-file", do_echo, do_file},
        {"finish-then-scribble", do_echo, do_scribble_on_sign},
};

static void run_job(struct script *s)
{
    struct coney_error err;
    s->outcome = (struct record_outcome){.kind = RECORD_SUCCESS,
            .delay_ms = RECORD_NONE,
            .max_retries = RECORD_NONE,
            .started_us = 1,
            .rss_kib = 1024,
            .max_rss_kib = 2048,
            .exit_status = -1};
    snprintf(s->text, sizeof(s->text), "%.*s", (int)s->job.body.len,
            (const char *)s->job.body.data);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
        if (strcmp(scripts[i].task, s->job.task) != 0)
            continue;
        scripts[i].run(s);
        if (runner_board_finish(s->board, s->ticket, &s->outcome, &err) != CONEY_OK)
            _exit(5);
        if (scripts[i].afterwards)
            scripts[i].afterwards(s);
        return;
    }
    _exit(4);
}

/* --- plugins ------------------------------------------------------------------------ */

static _Noreturn void work(void)
{
    struct coney_error err;
    struct script s = {0};
    struct runner_board_fds fds = {BOARD_FD_MEMORY, BOARD_FD_WAKE_RUNNER,
            BOARD_FD_WAKE_MASTER, BOARD_FD_PASSING};
    if (runner_board_attach(&fds, &s.board, &err) != CONEY_OK ||
            runner_board_ready(s.board, &err) != CONEY_OK)
        _exit(2);
    for (;;) {
        if (runner_board_wait(s.board) != RUNNER_WAKE_JOB)
            _exit(0);
        if (runner_board_claim(s.board, &s.job, &s.ticket, &err) == CONEY_OK)
            run_job(&s);
    }
}

/* Says hello and never looks at its jobs. */
static _Noreturn void greet_only(void)
{
    struct coney_error err;
    struct runner_board *b;
    struct runner_board_fds fds = {BOARD_FD_MEMORY, BOARD_FD_WAKE_RUNNER,
            BOARD_FD_WAKE_MASTER, BOARD_FD_PASSING};
    if (runner_board_attach(&fds, &b, &err) != CONEY_OK ||
            runner_board_ready(b, &err) != CONEY_OK)
        _exit(2);
    do_nothing_for_ever();
}

/* Never returns if this process was started as a runner. */
static void scripted_runner_main(int argc, char **argv)
{
    if (strcmp(argv[0], "coney-runner") != 0)
        return;
    struct sigaction interrupt = {.sa_handler = on_usr1}; /* and no SA_RESTART */
    sigaction(SIGUSR1, &interrupt, NULL);

    const char *plugin = argv[argc - 1];
    if (strcmp(plugin, "work") == 0 || strcmp(plugin, "work-again") == 0)
        work();
    if (strcmp(plugin, "greet-only") == 0)
        greet_only();
    if (strcmp(plugin, "mute") == 0)
        do_nothing_for_ever();
    if (strcmp(plugin, "scribble") == 0)
        do_scribble(NULL);
    if (strcmp(plugin, "exit") == 0)
        fputs("cannot load the plugin\n", stderr);
    _exit(1);
}

#endif /* CONEY_TESTS_SCRIPTED_RUNNER_H */
