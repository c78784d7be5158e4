/* SPDX-License-Identifier: MIT */
/*
 * program.c - fork, a few careful steps, exec.
 *
 * fork(2) and not posix_spawn(3), because the child must set its parent-death signal and
 * umask and say exactly what failed. Between fork and exec only async-signal-safe calls
 * are made: a plugin may have threads.
 */
#include "runner/program.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NOT_STARTED = 127 };

/* What the child was doing when it failed; sent to the parent through a pipe. */
enum stage { STAGE_PREPARE, STAGE_DIRECTORY, STAGE_EXECUTE };
struct start_failure {
    enum stage stage;
    int error;
};

_Noreturn static void give_up(int failure_fd, enum stage stage)
{
    struct start_failure failure = {.stage = stage, .error = errno};
    ssize_t n = write(failure_fd, &failure, sizeof(failure));
    (void)n; /* the exit status says it, too */
    _exit(EXIT_NOT_STARTED);
}

/* Out of the way of the numbers that they are to get. */
static int park(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, PROGRAM_FDS_MAX);
}

static int arrange_fds(const struct program *p)
{
    int parked[PROGRAM_FDS_MAX];
    for (size_t i = 0; i < p->fd_count; i++)
        if ((parked[i] = park(p->fds[i])) < 0)
            return -1;
    for (size_t i = 0; i < p->fd_count; i++)
        if (dup2(parked[i], (int)i) < 0)
            return -1;
    return 0;
}

_Noreturn static void become(const struct program *p, int failure_fd, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    int parked = park(failure_fd);
    if (parked < 0)
        give_up(failure_fd, STAGE_PREPARE);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        give_up(parked, STAGE_PREPARE);
    if (getppid() != parent)
        _exit(EXIT_NOT_STARTED);
    if (p->group == PROGRAM_OWN_GROUP && setpgid(0, 0) != 0)
        give_up(parked, STAGE_PREPARE);
    if (arrange_fds(p) != 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0)
        give_up(parked, STAGE_PREPARE);
    umask(p->umask);
    if (chdir(p->directory) != 0)
        give_up(parked, STAGE_DIRECTORY);
    execve(p->argv[0], p->argv, p->environ);
    give_up(parked, STAGE_EXECUTE);
}

static enum coney_rc set_start_error(const struct program *p,
        const struct start_failure *failure, struct coney_error *err)
{
    errno = failure->error;
    switch (failure->stage) {
    case STAGE_PREPARE:
        break;
    case STAGE_DIRECTORY:
        return error_set_errno(err, "change to %s", p->directory);
    case STAGE_EXECUTE:
        return error_set_errno(err, "execute %s", p->argv[0]);
    }
    return error_set_errno(err, "prepare %s", p->argv[0]);
}

/* Whether the child has got as far as its program: the pipe closes without a word. */
static enum coney_rc await_start(
        const struct program *p, pid_t pid, int fd, struct coney_error *err)
{
    struct start_failure failure;
    ssize_t n;
    do {
        n = read(fd, &failure, sizeof(failure));
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(failure))
        return CONEY_OK;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return set_start_error(p, &failure, err);
}

enum coney_rc program_start(const struct program *p, pid_t *pid, struct coney_error *err)
{
    int failure[2];
    assert(p->fd_count <= PROGRAM_FDS_MAX);
    if (pipe2(failure, O_CLOEXEC) != 0)
        return error_set_errno(err, "pipe");

    enum coney_rc rc = CONEY_OK;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0)
        become(p, failure[1], parent);
    if (child < 0)
        rc = error_set_errno(err, "fork");
    close(failure[1]);
    if (rc == CONEY_OK)
        rc = await_start(p, child, failure[0], err);
    close(failure[0]);
    if (rc == CONEY_OK)
        *pid = child;
    return rc;
}
