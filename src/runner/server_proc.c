/* SPDX-License-Identifier: MIT */
/* server_proc.c - fork and exec, one turn of poll(2), and the ways to an end. */
#include "runner/server_proc.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "runner/program.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, LOOK_MS = 10, CHUNKS_AFTER_END = 2048 };

static const char path_name[] = "PATH=";
static const char default_path[] = "PATH=/usr/local/bin:/usr/bin:/bin";

void server_proc_init(struct server_proc *p)
{
    *p = (struct server_proc){.pid_fd = -1, .to = -1, .from = -1};
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void server_proc_fini(struct server_proc *p)
{
    assert(p->pid == 0 || p->has_ended);
    close_fd(&p->pid_fd);
    close_fd(&p->to);
    close_fd(&p->from);
    buffer_fini(&p->in);
    buffer_fini(&p->out);
    server_proc_init(p);
}

/* --- starting ----------------------------------------------------------------------- */

/* Its whole environment, from @a, or NULL when out of memory. */
static char *const *make_environ(const struct record_texts *given, struct arena *a)
{
    bool has_path = false;
    size_t n = 0;
    char **all = arena_alloc(a, (given->count + 2) * sizeof(*all));
    if (!all)
        return NULL;
    for (size_t i = 0; i < given->count; i++) {
        has_path = has_path ||
                   strncmp(given->items[i], path_name, sizeof(path_name) - 1) == 0;
        all[n++] = given->items[i];
    }
    if (!has_path && !(all[n] = arena_strdup(a, default_path)))
        return NULL;
    return all;
}

static enum coney_rc start_program(struct server_proc *p, const struct record_command *c,
        int input, int output, struct coney_error *err)
{
    enum coney_rc rc = CONEY_ENOMEM;
    struct arena *a = arena_new(0);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int fds[] = {nothing, STDERR_FILENO, STDERR_FILENO, input, output};
    const struct program program = {.argv = c->argv.items,
            .environ = a ? make_environ(&c->environment, a) : NULL,
            .directory = c->directory ? c->directory : "/",
            .umask = (mode_t)c->umask,
            .group = PROGRAM_OWN_GROUP,
            .fds = fds,
            .fd_count = sizeof(fds) / sizeof(fds[0])};
    if (!program.environ)
        error_set_nomem(err);
    else if (nothing < 0)
        rc = error_set_errno(err, "/dev/null");
    else
        rc = program_start(&program, &p->pid, err);
    close_fd(&nothing);
    arena_free(a);
    return rc;
}

enum coney_rc server_proc_start(struct server_proc *p,
        const struct record_command *command, size_t in_max, struct coney_error *err)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    enum coney_rc rc = CONEY_OK;
    buffer_init(&p->in, in_max);
    buffer_init(&p->out, SIZE_MAX / 2);
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        rc = error_set_errno(err, "pipe");
    if (rc == CONEY_OK)
        rc = start_program(p, command, to[0], from[1], err);
    close_fd(&to[0]);
    close_fd(&from[1]);
    p->to = to[1];
    p->from = from[0];
    if (rc != CONEY_OK) {
        server_proc_fini(p);
        return rc;
    }
    (void)fcntl(p->to, F_SETFL, O_NONBLOCK);
    (void)fcntl(p->from, F_SETFL, O_NONBLOCK);
    p->pid_fd = pidfd_open(p->pid, 0);
    p->exit_status = -1;
    p->max_rss_kib = RECORD_NONE;
    return CONEY_OK;
}

/* --- its end ------------------------------------------------------------------------ */

static void keep_end(struct server_proc *p, int wait_status)
{
    p->has_ended = true;
    if (WIFEXITED(wait_status))
        p->exit_status = WEXITSTATUS(wait_status);
    else if (WIFSIGNALED(wait_status))
        p->signal = WTERMSIG(wait_status);
}

/* Until it is reaped the number of its group is certainly its own. */
static void kill_group(const struct server_proc *p)
{
    (void)kill(-p->pid, SIGKILL);
    (void)kill(p->pid, SIGKILL); /* it may not have got as far as a group */
}

/* @options: 0 or WNOHANG. */
static void reap(struct server_proc *p, int options)
{
    struct rusage usage;
    siginfo_t info = {.si_pid = 0};
    int status;
    if (p->has_ended)
        return;
    int rc = waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT | options);
    if (rc == 0 && info.si_pid == 0)
        return;
    if (rc != 0 && errno == EINTR)
        return;
    if (rc == 0)
        kill_group(p); /* what it has left */
    if (rc == 0 && wait4(p->pid, &status, WNOHANG, &usage) == p->pid) {
        keep_end(p, status);
        p->max_rss_kib = usage.ru_maxrss;
    }
    p->has_ended = true; /* else a task's code has reaped it: how it ended is lost */
}

bool server_proc_is_alive(struct server_proc *p)
{
    if (p->pid != 0)
        reap(p, WNOHANG);
    return p->pid != 0 && !p->has_ended;
}

void server_proc_reaped(struct server_proc *p, int wait_status)
{
    if (!p->has_ended)
        keep_end(p, wait_status);
}

void server_proc_kill(struct server_proc *p)
{
    while (server_proc_is_alive(p)) {
        kill_group(p);
        reap(p, 0);
    }
}

void server_proc_await_end(struct server_proc *p, int64_t patience_ms)
{
    int64_t until_ms = clock_mono_ms() + patience_ms;
    while (server_proc_is_alive(p)) {
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms <= 0)
            break;
        server_proc_pump(p, -1, left_ms);
        if (buffer_len(&p->in) == p->in.max) /* nobody reads that any more */
            buffer_clear(&p->in);
    }
    server_proc_kill(p);
}

void server_proc_stop(struct server_proc *p, int64_t patience_ms)
{
    close_fd(&p->to);
    server_proc_await_end(p, patience_ms);
}

/* --- bytes -------------------------------------------------------------------------- */

static void write_out(struct server_proc *p)
{
    ssize_t n = write(p->to, buffer_data(&p->out), buffer_len(&p->out));
    if (n > 0)
        buffer_take(&p->out, (size_t)n);
    else if (errno != EAGAIN && errno != EINTR)
        p->is_deaf = true; /* it doesn't want to be told any more */
}

/* False: there is nothing more now. */
static bool read_in(struct server_proc *p)
{
    uint8_t *space;
    size_t room = p->in.max - buffer_len(&p->in);
    size_t len = room < CHUNK ? room : CHUNK;
    if (p->from < 0 || len == 0 || buffer_reserve(&p->in, len, &space) != CONEY_OK)
        return false;
    ssize_t n = read(p->from, space, len);
    if (n > 0)
        buffer_commit(&p->in, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&p->from);
    return n > 0;
}

static int timeout(const struct server_proc *p, int64_t wait_ms)
{
    if (p->pid_fd < 0 && (wait_ms < 0 || wait_ms > LOOK_MS))
        return LOOK_MS;
    return wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}

static void silence(int wake_fd)
{
    uint64_t count;
    ssize_t n = read(wake_fd, &count, sizeof(count));
    (void)n; /* whatever rang is looked at */
}

void server_proc_pump(struct server_proc *p, int wake_fd, int64_t wait_ms)
{
    enum { ENDED, TO, FROM, WAKE, COUNT };
    bool wants_out = buffer_len(&p->out) > 0 && !p->is_deaf;
    bool is_full = buffer_len(&p->in) == p->in.max;
    struct pollfd fds[COUNT] = {[ENDED] = {.fd = p->pid_fd, .events = POLLIN},
            [TO] = {.fd = wants_out ? p->to : -1, .events = POLLOUT},
            [FROM] = {.fd = is_full ? -1 : p->from, .events = POLLIN},
            [WAKE] = {.fd = wake_fd, .events = POLLIN}};
    if (poll(fds, COUNT, timeout(p, wait_ms)) < 0)
        return; /* EINTR: perhaps the soft limit */
    if (fds[WAKE].revents)
        silence(wake_fd);
    if (fds[TO].revents)
        write_out(p);
    if (fds[FROM].revents)
        (void)read_in(p);
    if (server_proc_is_alive(p))
        return;
    /* A descendant that goes on writing is not listened to for ever. */
    for (int i = 0; i < CHUNKS_AFTER_END && read_in(p); i++)
        ;
}

size_t server_proc_unread(const struct server_proc *p)
{
    int in_pipe = 0;
    if (p->to >= 0 && ioctl(p->to, FIONREAD, &in_pipe) != 0)
        in_pipe = 0;
    return buffer_len(&p->out) + (size_t)in_pipe;
}

/* --- memory ------------------------------------------------------------------------- */

static int64_t read_status(const struct server_proc *p, const char *key)
{
    char path[40];
    char line[128];
    int64_t kib = RECORD_NONE;
    size_t len = strlen(key);
    snprintf(path, sizeof(path), "/proc/%ld/status", (long)p->pid);
    FILE *f = fopen(path, "re");
    while (f && kib == RECORD_NONE && fgets(line, sizeof(line), f))
        if (strncmp(line, key, len) != 0 || sscanf(line + len, "%" SCNd64, &kib) != 1)
            kib = RECORD_NONE;
    if (f)
        fclose(f);
    return kib;
}

int64_t server_proc_rss_kib(const struct server_proc *p)
{
    return p->has_ended ? RECORD_NONE : read_status(p, "VmRSS:");
}

int64_t server_proc_max_rss_kib(const struct server_proc *p)
{
    return p->has_ended ? p->max_rss_kib : read_status(p, "VmHWM:");
}
