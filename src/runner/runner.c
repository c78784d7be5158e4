/* SPDX-License-Identifier: MIT */
/*
 * runner.c - the life of a runner: set up, load, then job after job.
 *
 * What goes wrong before the board is there, or while plugins are loaded, is said on
 * standard error, which the worker reads; the exit status says which kind of trouble.
 */
#include "runner/runner.h"

#include "base/error.h"
#include "board/runner_board.h"
#include "runner/attempt.h"
#include "runner/command.h"
#include "runner/listing.h"
#include "runner/native.h"
#include "runner/plugin.h"
#include "runner/process.h"
#include "runner/server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* What an outcome may take besides its result: two texts, a traceback whose every byte
 * was replaced by three, a tail. */
enum { RESULT_OVERHEAD = 64 * 1024 };
_Static_assert(RESULT_OVERHEAD < BOARD_RECORD_MIN, "room for a result");

struct options {
    bool is_list;
    pid_t parent; /* 0: not said */
    const char *node;
    char *const *plugins;
    size_t plugin_count;
};

struct runner {
    struct runner_board *board; /* owned */
    struct plugins *plugins;    /* owned */
    struct server_set *servers; /* owned */
    struct native_runner native;
    struct board_ticket ticket; /* of the job that runs; generation 0: none */
    struct attempt_host host;
};

static void complain(const struct coney_error *err)
{
    fprintf(stderr, "coney-runner: %s\n", err->text);
}

/* --- the command line --------------------------------------------------------------- */

static const char usage[] =
        "usage: coney-runner [--parent PID] [--node NAME] PLUGIN...\n"
        "       coney-runner --list [--parent PID] PLUGIN...\n"
        "Started by `coney worker`; --list shows what plugins offer, as JSON.\n";

static bool parse_pid(const char *text, pid_t *out)
{
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || pid <= 0 || pid > INT_MAX)
        return false;
    *out = (pid_t)pid;
    return true;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {{"list", no_argument, NULL, 'l'},
            {"parent", required_argument, NULL, 'p'},
            {"node", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
    int letter;
    *o = (struct options){.node = "coney"};
    while ((letter = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        switch (letter) {
        case 'l':
            o->is_list = true;
            break;
        case 'p':
            if (!parse_pid(optarg, &o->parent))
                return false;
            break;
        case 'n':
            o->node = optarg;
            break;
        default:
            return false;
        }
    }
    o->plugins = argv + optind;
    o->plugin_count = (size_t)(argc - optind);
    return true;
}

/* --- listing ------------------------------------------------------------------------ */

static bool write_all(int fd, const struct buffer *text)
{
    const uint8_t *data = buffer_data(text);
    size_t left = buffer_len(text);
    while (left > 0) {
        ssize_t n = write(fd, data, left);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0) {
            data += n;
            left -= (size_t)n;
        }
    }
    return true;
}

/* Standard output is kept aside first: a constructor that prints must not end up in the
 * JSON. */
static int list_plugins(const struct options *o)
{
    int status = RUNNER_EXIT_OK;
    struct plugins *plugins = NULL;
    struct coney_error err;
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 2);
    int output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    enum coney_rc rc = output >= 0 ? process_set_streams(&err)
                                   : error_set_errno(&err, "standard output");
    if (rc != CONEY_OK) {
        status = RUNNER_EXIT_SYSTEM;
        goto out;
    }
    rc = plugins_load(o->plugins, o->plugin_count, &plugins, &err);
    if (rc == CONEY_OK)
        rc = listing_write(plugins, &text, &err);
    if (rc != CONEY_OK)
        status = rc == CONEY_EINVAL ? RUNNER_EXIT_PLUGIN : RUNNER_EXIT_SYSTEM;
    else if (!write_all(output, &text)) {
        rc = error_set_errno(&err, "standard output");
        status = RUNNER_EXIT_SYSTEM;
    }
out:
    if (rc != CONEY_OK)
        complain(&err);
    plugins_free(plugins);
    buffer_fini(&text);
    if (output >= 0)
        close(output);
    return status;
}

/* --- jobs --------------------------------------------------------------------------- */

static bool host_is_soft_limit(void *ctx)
{
    const struct runner *r = ctx;
    return runner_board_is_soft_limit(r->board, r->ticket);
}

static void host_log(void *ctx, enum log_level level, const char *text)
{
    struct runner *r = ctx;
    runner_board_log(r->board, r->ticket, level, text);
}

static void host_reaped(void *ctx, pid_t pid, int wait_status)
{
    const struct runner *r = ctx;
    server_set_reaped(r->servers, pid, wait_status);
}

static void run_native(struct runner *r, struct attempt *a)
{
    const struct plugin_task *task = plugins_find(r->plugins, a->job->task);
    if (task)
        native_run(a, task->def.run);
    else
        a->outcome.kind = RECORD_UNKNOWN;
}

static void run_handler(struct runner *r, struct attempt *a)
{
    switch (a->job->handler) {
    case RECORD_NATIVE:
        run_native(r, a);
        break;
    case RECORD_COMMAND:
        command_run(a);
        break;
    case RECORD_SERVER:
        server_run(r->servers, a);
        break;
    }
}

static enum coney_rc post_outcome(
        struct runner *r, struct attempt *a, struct coney_error *err)
{
    struct record_outcome o = *attempt_finish(a);
    if (a->job->wants_rss && o.rss_kib == RECORD_NONE)
        o.rss_kib = process_rss_kib();
    if (o.max_rss_kib == RECORD_NONE)
        o.max_rss_kib = process_max_rss_kib();
    return runner_board_finish(r->board, r->ticket, &o, err);
}

static enum coney_rc run_job(
        struct runner *r, const struct record_job *job, struct coney_error *err)
{
    struct attempt a;
    enum coney_rc rc = attempt_init(&a, job, &r->host);
    if (rc != CONEY_OK) {
        attempt_fini(&a);
        return error_set_nomem(err);
    }
    run_handler(r, &a);
    fflush(NULL); /* before the outcome: the worker then has all of it */
    process_reap_children(host_reaped, r);
    rc = post_outcome(r, &a, err);
    attempt_fini(&a);
    return rc;
}

/* Run what is there until the master says stop or has gone. */
static enum coney_rc run_jobs(struct runner *r, struct coney_error *err)
{
    enum coney_rc rc = runner_board_ready(r->board, err);
    while (rc == CONEY_OK && runner_board_wait(r->board) == RUNNER_WAKE_JOB) {
        struct record_job job;
        rc = runner_board_claim(r->board, &job, &r->ticket, err);
        if (rc == CONEY_OK)
            rc = run_job(r, &job, err);
        else if (rc == CONEY_ENOTFOUND) /* withdrawn */
            rc = CONEY_OK;
        r->ticket = (struct board_ticket){0};
    }
    return rc;
}

/* --- the whole ---------------------------------------------------------------------- */

static enum coney_rc attach_board(struct runner *r, struct coney_error *err)
{
    const struct runner_board_fds fds = {.memory = BOARD_FD_MEMORY,
            .wake_runner = BOARD_FD_WAKE_RUNNER,
            .wake_master = BOARD_FD_WAKE_MASTER,
            .passing = BOARD_FD_PASSING};
    for (int fd = BOARD_FD_MEMORY; fd < BOARD_FD_END; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) /* no command gets one of them */
            return error_set_errno(err, "descriptor %d of the board", fd);
    enum coney_rc rc = runner_board_attach(&fds, &r->board, err);
    if (rc != CONEY_OK)
        return rc;
    r->host = (struct attempt_host){.is_soft_limit = host_is_soft_limit,
            .log = host_log,
            .ctx = r,
            .wake_fd = BOARD_FD_WAKE_RUNNER,
            .result_max = runner_board_record_max(r->board) - RESULT_OVERHEAD};
    return CONEY_OK;
}

static enum coney_rc load(
        struct runner *r, const struct options *o, struct coney_error *err)
{
    native_runner_init(&r->native, o->node, host_log, r);
    r->servers = server_set_new(o->node);
    if (!r->servers)
        return error_set_nomem(err);
    return plugins_load(o->plugins, o->plugin_count, &r->plugins, err);
}

static int serve(const struct options *o)
{
    struct runner r = {.board = NULL};
    struct coney_error err;
    int status = RUNNER_EXIT_BOARD;
    enum coney_rc rc = attach_board(&r, &err);
    if (rc != CONEY_OK)
        goto out;
    status = RUNNER_EXIT_PLUGIN;
    rc = load(&r, o, &err);
    if (rc != CONEY_OK)
        goto out;
    status = RUNNER_EXIT_HOOK;
    rc = plugins_init(r.plugins, &r.native.public, &err);
    if (rc == CONEY_OK) {
        status = RUNNER_EXIT_BOARD;
        rc = run_jobs(&r, &err);
    }
    plugins_fini(r.plugins, &r.native.public);
out:
    if (rc != CONEY_OK)
        complain(&err);
    server_set_free(r.servers);
    plugins_free(r.plugins);
    runner_board_free(r.board);
    return rc == CONEY_OK ? RUNNER_EXIT_OK : status;
}

/* Whether there is a process to work in; else *@status says how to end. */
static bool set_up(const struct options *o, int *status)
{
    struct coney_error err;
    *status = RUNNER_EXIT_OK;
    enum coney_rc rc = process_tie_to_parent(o->parent, &err);
    if (rc == CONEY_ECLOSED)
        return false;
    if (rc == CONEY_OK)
        rc = process_set_signals(&err);
    if (rc == CONEY_OK)
        rc = process_lead_group(&err);
    if (rc == CONEY_OK)
        rc = process_close_from(o->is_list ? STDERR_FILENO + 1 : BOARD_FD_END, &err);
    if (rc == CONEY_OK && !o->is_list)
        rc = process_set_streams(&err);
    if (rc == CONEY_OK)
        return true;
    complain(&err);
    *status = RUNNER_EXIT_SYSTEM;
    return false;
}

int runner_main(int argc, char **argv)
{
    struct options o;
    int status;
    if (!parse_options(argc, argv, &o)) {
        fputs(usage, stderr);
        return RUNNER_EXIT_USAGE;
    }
    /* Executed by descriptor, the kernel would call it by a number. */
    (void)prctl(PR_SET_NAME, "coney-runner");
    if (!set_up(&o, &status))
        return status;
    return o.is_list ? list_plugins(&o) : serve(&o);
}
