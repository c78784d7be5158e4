/* SPDX-License-Identifier: MIT */
/*
 * pool_probe.c - ask a short-lived runner what the plugins offer.
 *
 * The runner lists them as JSON on its standard output (runner/runner.h) and gives its
 * reasons on standard error. It runs plugins' constructors, so it is distrusted like any
 * other: time and sizes are bounded, and what it leaves behind is killed.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "worker/descendants.h"
#include "worker/launch.h"
#include "worker/output.h"
#include "worker/pool.h"
#include "worker/runner_proc.h"
#include "worker/spawn.h"
#include "worker/verdict.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PROBE_MS = 30 * 1000,
    LISTING_MAX = 16 * 1024 * 1024,
    LISTING_VALUES_MAX = 1000 * 1000,
    LISTING_DEPTH_MAX = 8,
    READ_SIZE = 4096,
    LOOK_MS = 5,      /* between two looks whether it has ended */
    EXIT_PLUGIN = 78, /* RUNNER_EXIT_PLUGIN; that header is the runner's own */
    FAREWELL_MS = 1000
};

static const char reason_prefix[] = "coney-runner: ";

struct probe {
    struct launch launch;
    pid_t pid;
    int output_fd; /* to be read; likewise error_fd */
    int error_fd;
    struct buffer listing;
    struct output said;
    int64_t deadline_ms;
};

void offered_tasks_fini(struct offered_tasks *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->items[i].name);
    free(t->items);
    *t = (struct offered_tasks){0};
}

/* --- the listing -------------------------------------------------------------------- */

/* null and absent: the plugin says nothing. */
static int64_t read_limit(const json_t *task, const char *key)
{
    const json_t *value = json_object_get(task, key);
    json_int_t n = json_integer_value(value);
    return json_is_integer(value) && n >= 0 ? (int64_t)n : CONFIG_NONE;
}

static enum coney_rc take_task(
        const json_t *task, struct offered_tasks *out, struct coney_error *err)
{
    const char *name = json_string_value(json_object_get(task, "name"));
    assert(out->items);
    if (!name)
        return error_set(err, CONEY_EIO, "the runner's list has a task without a name");
    struct offered_task *t = &out->items[out->count];
    *t = (struct offered_task){
            .name = strdup(name),
            .soft_time_limit_ms = read_limit(task, "soft_time_limit_ms"),
            .time_limit_ms = read_limit(task, "time_limit_ms"),
            .max_retries = read_limit(task, "max_retries"),
    };
    if (!t->name)
        return error_set_nomem(err);
    out->count++;
    return CONEY_OK;
}

static enum coney_rc read_listing(
        struct probe *p, struct offered_tasks *out, struct coney_error *err)
{
    static const struct json_limits limits = {
            LISTING_MAX, LISTING_VALUES_MAX, LISTING_DEPTH_MAX};
    struct bytes text = {buffer_data(&p->listing), buffer_len(&p->listing)};
    struct offered_tasks tasks = {0};
    json_t *root = NULL;

    enum coney_rc rc = json_read(text, &limits, &root, err);
    if (rc != CONEY_OK) {
        error_prefix(err, "the runner's list of tasks");
        return rc == CONEY_ENOMEM ? rc : CONEY_EIO;
    }
    const json_t *list = json_object_get(root, "tasks");
    size_t count = json_array_size(list);
    tasks.items = calloc(count + 1, sizeof(*tasks.items));
    if (!tasks.items)
        rc = error_set_nomem(err);
    else if (!json_is_array(list))
        rc = error_set(err, CONEY_EIO, "the runner gave no list of tasks");
    for (size_t i = 0; i < count && rc == CONEY_OK; i++)
        rc = take_task(json_array_get(list, i), &tasks, err);
    if (rc == CONEY_OK) {
        *out = tasks;
        tasks = (struct offered_tasks){0};
    }
    offered_tasks_fini(&tasks);
    json_decref(root);
    return rc;
}

/* --- the runner --------------------------------------------------------------------- */

static void ignore_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void probe_init(struct probe *p)
{
    *p = (struct probe){.output_fd = -1,
            .error_fd = -1,
            .launch.program_fd = -1,
            .deadline_ms = clock_mono_ms() + PROBE_MS};
    buffer_init(&p->listing, LISTING_MAX);
    output_init(&p->said, ignore_line, NULL, clock_mono_ms());
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static enum coney_rc start(struct probe *p, struct coney_error *err)
{
    int output[2] = {-1, -1};
    int error[2] = {-1, -1};
    enum coney_rc rc;

    if (pipe2(output, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) {
        rc = error_set_errno(err, "pipe");
        goto out;
    }
    struct spawn s = {.program_fd = p->launch.program_fd,
            .argv = p->launch.argv,
            .environ = p->launch.environ,
            .output_fd = output[1],
            .error_fd = error[1],
            .session = SPAWN_OUR_SESSION}; /* or a sweep of the pool would take it */
    rc = spawn_program(&s, &p->pid, err);
out:
    close_fd(&output[1]);
    close_fd(&error[1]);
    p->output_fd = output[0];
    p->error_fd = error[0];
    return rc;
}

static enum coney_rc take_output(struct probe *p, struct coney_error *err)
{
    char chunk[READ_SIZE];
    ssize_t n = read(p->output_fd, chunk, sizeof(chunk));
    if (n <= 0) {
        close_fd(&p->output_fd);
        return CONEY_OK;
    }
    enum coney_rc rc = buffer_append(&p->listing, chunk, (size_t)n);
    return rc == CONEY_OK
                   ? rc
                   : error_set(err, CONEY_EIO, "the runner's list of tasks has no end");
}

static void take_errors(struct probe *p)
{
    char chunk[READ_SIZE];
    ssize_t n = read(p->error_fd, chunk, sizeof(chunk));
    if (n <= 0)
        close_fd(&p->error_fd);
    else
        output_take(&p->said, chunk, (size_t)n, clock_mono_ms());
}

static bool has_ended(const struct probe *p)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid != 0;
}

/* Read until it has ended and nothing is left to be read; its children may keep the pipes
 * open for ever, and get no time for that. */
static enum coney_rc listen_to(struct probe *p, struct coney_error *err)
{
    for (bool ended = false;;) {
        struct pollfd fds[] = {{.fd = p->output_fd, .events = POLLIN},
                {.fd = p->error_fd, .events = POLLIN}};
        enum coney_rc rc = CONEY_OK;
        int n = poll(fds, 2, ended ? 0 : LOOK_MS);
        if (n < 0 && errno != EINTR)
            return error_set_errno(err, "poll");
        if (n > 0 && fds[0].revents)
            rc = take_output(p, err);
        if (n > 0 && fds[1].revents)
            take_errors(p);
        if (rc != CONEY_OK || (n == 0 && ended))
            return rc;
        if (clock_mono_ms() >= p->deadline_ms)
            return error_set(err, CONEY_EINVAL, "the plugins took more than %d s to load",
                    PROBE_MS / 1000);
        ended = ended || has_ended(p);
    }
}

/* Kill what is left of it and reap it, and what fled its group too if that is safe. */
static void bury(struct probe *p, enum probe_time when, int *status)
{
    descendants_kill_group(p->pid);
    for (int i = 0; i < FAREWELL_MS;) {
        int how;
        pid_t ended = waitpid(-p->pid, &how, WNOHANG); /* any of its group */
        if (ended < 0)
            break;
        if (ended == p->pid)
            *status = how;
        if (ended == 0) {
            poll(NULL, 0, 1);
            i++;
        }
    }
    for (int i = 0; when == PROBE_BEFORE_POOL && i < FAREWELL_MS; i++) {
        if (descendants_sweep(NULL, 0) == 0)
            break;
        poll(NULL, 0, 1);
    }
}

/* --- the verdict -------------------------------------------------------------------- */

/* The last line of its standard error that is its own; NULL: none. Cuts @tail. */
static const char *find_reason(char *tail)
{
    const char *reason = NULL;
    for (char *line = tail; line && *line;) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (strncmp(line, reason_prefix, strlen(reason_prefix)) == 0)
            reason = line + strlen(reason_prefix);
        line = next;
    }
    return reason;
}

static enum coney_rc judge(const struct probe *p, int status,
        const struct string_list *plugins, struct coney_error *err)
{
    char tail[OUTPUT_TAIL_SIZE + 1];
    char how[VERDICT_TEXT_SIZE];
    struct death d = {.wait_status = status, .trouble = ""};

    if (verdict_exit_status(&d) == 0)
        return CONEY_OK;
    tail[output_tail(&p->said, tail)] = '\0';
    const char *reason = find_reason(tail);
    verdict_describe(&d, how);
    if (verdict_exit_status(&d) == EXIT_PLUGIN && reason)
        return error_set(err, CONEY_EINVAL, "%s", reason);
    /* A constructor that crashes or exits can give no reason. */
    if (plugins->count > 0 && !reason)
        return error_set(err, CONEY_EINVAL, "%s%s: the runner that loaded it %s",
                plugins->items[0], plugins->count > 1 ? " or a plugin after it" : "",
                how);
    return error_set(err, CONEY_EIO, "the runner %s: %s", how, reason ? reason : "?");
}

enum coney_rc pool_probe(const char *runner_path, const struct string_list *plugins,
        enum probe_time when, struct offered_tasks *out, struct coney_error *err)
{
    struct probe p;
    int status = 0;

    probe_init(&p);
    enum coney_rc rc = launch_init(&p.launch, runner_path, err);
    if (rc != CONEY_OK)
        goto out;
    if (launch_set_arguments(&p.launch, "--list", NULL, plugins) != CONEY_OK) {
        rc = error_set_nomem(err);
        goto out;
    }
    rc = descendants_adopt(err);
    if (rc == CONEY_OK)
        rc = start(&p, err);
    if (rc != CONEY_OK)
        goto out;

    rc = listen_to(&p, err);
    bury(&p, when, &status);
    if (rc == CONEY_OK)
        rc = judge(&p, status, plugins, err);
    if (rc == CONEY_OK)
        rc = read_listing(&p, out, err);
out:
    close_fd(&p.output_fd);
    close_fd(&p.error_fd);
    buffer_fini(&p.listing);
    launch_fini(&p.launch);
    return rc;
}
