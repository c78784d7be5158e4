/* SPDX-License-Identifier: MIT */
/*
 * spawn.c - fork, and the few async-signal-safe steps to exec.
 *
 * Not posix_spawn(3): it knows neither a descriptor to execute nor prctl(2).
 */
#include "worker/spawn.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Descriptors are moved up here first, so that none is overwritten by another. */
enum { PARKED_FD = 64, EXIT_CANNOT_EXECUTE = 127 };

/* Say on @fd what failed and leave without running the parent's exit handlers. */
static _Noreturn void give_up(int fd, const char *what)
{
    const char *reason = strerrordesc_np(errno);
    const char *parts[] = {what, ": ", reason ? reason : "unknown error", "\n"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        if (write(fd, parts[i], strlen(parts[i])) < 0)
            break;
    _exit(EXIT_CANNOT_EXECUTE);
}

/* What exec keeps: ignored signals (SIGPIPE) and, until the end, the blocked ones. */
static void reset_signals(void)
{
    sigset_t none;
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Put the descriptors where the program expects them; -1 with errno. */
static int arrange_fds(const struct spawn *s, int error_fd, int *program)
{
    int parked[SPAWN_FDS_MAX];
    int output_fd = fcntl(s->output_fd, F_DUPFD_CLOEXEC, PARKED_FD);
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
            dup2(error_fd, STDERR_FILENO) < 0)
        return -1;

    *program = fcntl(s->program_fd, F_DUPFD_CLOEXEC, PARKED_FD);
    if (*program < 0)
        return -1;
    for (size_t i = 0; i < s->fd_count; i++)
        if ((parked[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, PARKED_FD)) < 0)
            return -1;
    for (size_t i = 0; i < s->fd_count; i++)
        if (dup2(parked[i], SPAWN_FIRST_FD + (int)i) < 0)
            return -1;

    /* All of ours is opened with O_CLOEXEC; this is for what a library forgot. Kernels
     * before 5.11 refuse it, and that is no reason not to start. */
    (void)close_range(SPAWN_FIRST_FD + (unsigned)s->fd_count, ~0U, CLOSE_RANGE_CLOEXEC);
    return 0;
}

static int become_leader(enum spawn_session session)
{
    switch (session) {
    case SPAWN_OWN_SESSION:
        return setsid() < 0 ? -1 : 0;
    case SPAWN_OUR_SESSION:
        return setpgid(0, 0);
    }
    return -1;
}

static _Noreturn void become_program(const struct spawn *s, pid_t parent)
{
    int program = -1;
    int error_fd = fcntl(s->error_fd, F_DUPFD_CLOEXEC, PARKED_FD);
    if (error_fd < 0)
        give_up(s->error_fd, "cannot start the runner");

    if (become_leader(s->session) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
            prctl(PR_SET_CHILD_SUBREAPER, 1L) < 0 ||
            arrange_fds(s, error_fd, &program) < 0)
        give_up(error_fd, "cannot start the runner");
    if (getppid() != parent) /* it died before PR_SET_PDEATHSIG */
        _exit(EXIT_CANNOT_EXECUTE);

    reset_signals();
    fexecve(program, s->argv, s->environ);
    give_up(error_fd, "cannot execute the runner");
}

enum coney_rc spawn_program(const struct spawn *s, pid_t *pid, struct coney_error *err)
{
    sigset_t all;
    sigset_t before;
    pid_t parent = getpid();
    assert(s->fd_count <= SPAWN_FDS_MAX);

    /* No handler of the parent's (libuv's writes to its own pipe) may run in the child.
     */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child == 0)
        become_program(s, parent);
    int saved_errno = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    if (child < 0)
        return error_set_errno(err, "fork");

    *pid = child;
    return CONEY_OK;
}
