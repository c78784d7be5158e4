/* SPDX-License-Identifier: MIT */
/* child.c - one poll loop over pipes, a pidfd and a bell. */
#include "runner/child.h"

#include "base/error.h"
#include "runner/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK = 4096, LOOK_MS = 10 };
_Static_assert(
        CHUNK <= PIPE_BUF, "a chunk goes into a pipe that has room, or not at all");

struct child {
    const struct child_options *options; /* borrowed; likewise below */
    struct buffer *output;
    struct child_result *result;
    pid_t pid;
    int pid_fd; /* owned; likewise below. -1: the kernel (or valgrind) has no such thing
                 */
    int in;     /* -1 when closed; likewise below */
    int out;
    int err;
    size_t fed; /* bytes of the input */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- starting ----------------------------------------------------------------------- */

/* Both ends of the three pipes. */
struct pipes {
    int in[2];
    int out[2];
    int err[2];
};

static void close_pipes(struct pipes *p)
{
    for (int end = 0; end < 2; end++) {
        close_fd(&p->in[end]);
        close_fd(&p->out[end]);
        close_fd(&p->err[end]);
    }
}

static enum coney_rc open_pipes(struct pipes *p, struct coney_error *err)
{
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (pipe2(p->in, O_CLOEXEC) != 0 || pipe2(p->out, O_CLOEXEC) != 0 ||
            pipe2(p->err, O_CLOEXEC) != 0) {
        enum coney_rc rc = error_set_errno(err, "pipe");
        close_pipes(p);
        return rc;
    }
    /* Our ends never wait; the child's ends are other open files and do. */
    (void)fcntl(p->in[1], F_SETFL, O_NONBLOCK);
    (void)fcntl(p->out[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(p->err[0], F_SETFL, O_NONBLOCK);
    return CONEY_OK;
}

static enum coney_rc start(struct child *c, struct coney_error *err)
{
    struct pipes p;
    enum coney_rc rc = open_pipes(&p, err);
    if (rc != CONEY_OK)
        return rc;

    const int fds[] = {p.in[0], p.out[1], p.err[1]};
    const struct program program = {.argv = c->options->argv,
            .environ = c->options->environ,
            .directory = c->options->directory,
            .umask = c->options->umask,
            .fds = fds,
            .fd_count = sizeof(fds) / sizeof(fds[0])};
    rc = program_start(&program, &c->pid, err);
    if (rc != CONEY_OK)
        goto out;
    c->pid_fd = pidfd_open(c->pid, 0);
    c->in = p.in[1];
    c->out = p.out[0];
    c->err = p.err[0];
    p.in[1] = p.out[0] = p.err[0] = -1;
out:
    close_pipes(&p);
    return rc;
}

/* --- while it runs ------------------------------------------------------------------ */

static void feed(struct child *c)
{
    struct bytes input = c->options->input;
    ssize_t n = write(c->in, (const uint8_t *)input.data + c->fed, input.len - c->fed);
    if (n > 0)
        c->fed += (size_t)n;
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        c->fed = input.len; /* it doesn't want the rest */
    if (c->fed == input.len)
        close_fd(&c->in);
}

static void keep_tail(struct child_result *r, const char *data, size_t len)
{
    size_t kept = r->tail_len;
    if (kept + len > sizeof(r->tail)) {
        size_t drop = kept + len - sizeof(r->tail);
        memmove(r->tail, r->tail + drop, kept - drop);
        kept -= drop;
    }
    memcpy(r->tail + kept, data, len);
    r->tail_len = kept + len;
}

static void forward(int fd, const char *data, size_t len)
{
    struct pollfd to = {.fd = fd, .events = POLLOUT};
    if (fd >= 0 && poll(&to, 1, 0) == 1 && (to.revents & POLLOUT) != 0) {
        ssize_t n = write(fd, data, len);
        (void)n; /* the tail has it */
    }
}

/* Read once from standard error; false when there is nothing (more) now. */
static bool read_err(struct child *c)
{
    char data[CHUNK];
    ssize_t n = read(c->err, data, sizeof(data));
    if (n > 0) {
        keep_tail(c->result, data, (size_t)n);
        forward(c->options->forward_fd, data, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_fd(&c->err);
    }
    return n > 0;
}

/* Likewise from standard output. What is too much stops the child: its pipe closes, and
 * it is told. */
static bool read_out(struct child *c)
{
    char data[CHUNK];
    ssize_t n = read(c->out, data, sizeof(data));
    if (n > 0 && buffer_append(c->output, data, (size_t)n) != CONEY_OK) {
        c->result->has_overflowed = true;
        close_fd(&c->out);
        kill(c->pid, SIGTERM);
        return false;
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&c->out);
    return n > 0;
}

static void look_at_limit(struct child *c)
{
    const struct child_options *o = c->options;
    if (!c->result->was_stopped && o->must_stop(o->ctx)) {
        c->result->was_stopped = true;
        kill(c->pid, SIGTERM);
    }
}

static void silence(int wake_fd)
{
    uint64_t count;
    ssize_t n = read(wake_fd, &count, sizeof(count));
    (void)n; /* whatever rang is looked at */
}

static bool has_exited(const struct child *c)
{
    siginfo_t info = {.si_pid = 0};
    int rc = waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return (rc != 0 && errno != EINTR) || info.si_pid != 0;
}

static void serve_until_exit(struct child *c)
{
    enum { EXITED, IN, OUT, ERR, WAKE, COUNT };
    bool is_over = false;
    while (!is_over) {
        struct pollfd fds[COUNT] = {[EXITED] = {.fd = c->pid_fd, .events = POLLIN},
                [IN] = {.fd = c->in, .events = POLLOUT},
                [OUT] = {.fd = c->out, .events = POLLIN},
                [ERR] = {.fd = c->err, .events = POLLIN},
                [WAKE] = {.fd = c->options->wake_fd, .events = POLLIN}};
        look_at_limit(c);
        if (poll(fds, COUNT, c->pid_fd >= 0 ? -1 : LOOK_MS) < 0)
            continue; /* EINTR: perhaps the limit */
        is_over = c->pid_fd >= 0 ? fds[EXITED].revents != 0 : has_exited(c);
        if (fds[WAKE].revents)
            silence(c->options->wake_fd);
        if (fds[IN].revents)
            feed(c);
        if (fds[OUT].revents)
            (void)read_out(c);
        if (fds[ERR].revents)
            (void)read_err(c);
    }
}

/* What it has written before it ended is in the pipes; a descendant that goes on writing
 * is not listened to for ever. */
static void read_rest(struct child *c)
{
    enum { FULL_PIPE = 1024 * 1024 };
    for (int i = 0; c->out >= 0 && i < FULL_PIPE / CHUNK && read_out(c); i++)
        ;
    for (int i = 0; c->err >= 0 && i < FULL_PIPE / CHUNK && read_err(c); i++)
        ;
}

static void reap(struct child *c)
{
    struct rusage usage;
    int status;
    pid_t got;
    do {
        got = wait4(c->pid, &status, 0, &usage);
    } while (got < 0 && errno == EINTR);
    if (got != c->pid)
        return; /* somebody ignores SIGCHLD: how it ended is lost */
    c->result->max_rss_kib = usage.ru_maxrss;
    if (WIFEXITED(status))
        c->result->exit_status = WEXITSTATUS(status);
    else if (WIFSIGNALED(status))
        c->result->signal = WTERMSIG(status);
}

enum coney_rc child_run(const struct child_options *options, struct buffer *output,
        struct child_result *result, struct coney_error *err)
{
    struct child c = {.options = options,
            .output = output,
            .result = result,
            .pid_fd = -1,
            .in = -1,
            .out = -1,
            .err = -1};
    *result = (struct child_result){.exit_status = -1, .max_rss_kib = -1};
    enum coney_rc rc = start(&c, err);
    if (rc != CONEY_OK)
        return rc;

    serve_until_exit(&c);
    read_rest(&c);
    reap(&c);
    close_fd(&c.pid_fd);
    close_fd(&c.in);
    close_fd(&c.out);
    close_fd(&c.err);
    return CONEY_OK;
}
