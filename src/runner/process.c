/* SPDX-License-Identifier: MIT */
/* process.c - the system calls behind process.h. */
#include "runner/process.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum coney_rc process_tie_to_parent(pid_t parent, struct coney_error *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return error_set_errno(err, "PR_SET_PDEATHSIG");
    /* It may have died before that; then nobody will kill us. */
    if (parent != 0 && getppid() != parent)
        return error_set(err, CONEY_ECLOSED, "the parent is %ld, not %ld",
                (long)getppid(), (long)parent);
    return CONEY_OK;
}

static void do_nothing(int signal_number)
{
    (void)signal_number;
}

enum coney_rc process_set_signals(struct coney_error *err)
{
    static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    struct sigaction usual = {.sa_handler = SIG_DFL};
    struct sigaction nothing = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
    struct sigaction interrupt = {.sa_handler = do_nothing};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &usual, NULL); /* SIGKILL, SIGSTOP and libc's own refuse */
    for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
        if (sigaction(caught[i], &nothing, NULL) != 0)
            return error_set_errno(err, "sigaction");
    if (sigaction(SIGUSR1, &interrupt, NULL) != 0)
        return error_set_errno(err, "sigaction");
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0)
        return error_set_errno(err, "sigprocmask");
    return CONEY_OK;
}

enum coney_rc process_lead_group(struct coney_error *err)
{
    /* A session leader does already, and would be refused. */
    if (getpgrp() != getpid() && setpgid(0, 0) != 0)
        return error_set_errno(err, "setpgid");
    return CONEY_OK;
}

enum coney_rc process_close_from(int first, struct coney_error *err)
{
    if (close_range((unsigned)first, ~0U, 0) != 0)
        return error_set_errno(err, "close_range");
    return CONEY_OK;
}

enum coney_rc process_set_streams(struct coney_error *err)
{
    int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (empty < 0)
        return error_set_errno(err, "/dev/null");
    if (dup2(empty, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return error_set_errno(err, "dup2");
    if (empty != STDIN_FILENO)
        close(empty);
    setvbuf(stdout, NULL, _IOLBF, 0);
    return CONEY_OK;
}

void process_reap_children(
        void (*reaped)(void *ctx, pid_t pid, int wait_status), void *ctx)
{
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        reaped(ctx, pid, status);
}

/* Asked for after each task, so without stdio: it would double the price of a short one.
 */
int64_t process_rss_kib(void)
{
    char text[128];
    int64_t total, resident;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    if (sscanf(text, "%" SCNd64 " %" SCNd64, &total, &resident) != 2)
        return -1;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

int64_t process_max_rss_kib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : -1;
}
