/* SPDX-License-Identifier: MIT */
/*
 * spawn.h - start a program by descriptor, with nothing of ours but what is named here.
 *
 * The child leads a process group of its own and, if wanted, a session, dies with its
 * parent, and is the parent of whatever its descendants leave behind
 * (PR_SET_CHILD_SUBREAPER), so that all it starts can be found under it while it lives
 * and under us when it is dead.
 */
#ifndef CONEY_WORKER_SPAWN_H
#define CONEY_WORKER_SPAWN_H

#include <coney/error.h>

#include <stddef.h>
#include <sys/types.h>

enum { SPAWN_FIRST_FD = 3, SPAWN_FDS_MAX = 8 };

/* A child in a session of its own is a runner's business: descendants_sweep() may take
 * it. One in our session is left alone by a sweep that does not know it. */
enum spawn_session { SPAWN_OWN_SESSION, SPAWN_OUR_SESSION };

struct spawn {
    int program_fd;       /* executed; an upgrade of the file doesn't reach it */
    char *const *argv;    /* NULL ends it */
    char *const *environ; /* the whole environment; NULL ends it */
    const int *fds;       /* become SPAWN_FIRST_FD and up, in this order; borrowed */
    size_t fd_count;      /* at most SPAWN_FDS_MAX */
    int output_fd;        /* its standard output; standard input is empty */
    int error_fd;         /* its standard error; may be the same */
    enum spawn_session session;
};

/*
 * Start it; never waits. A program that can't be executed says so on @error_fd and exits
 * with 127. *@pid is the caller's to reap. CONEY_EIO, CONEY_ENOMEM.
 */
enum coney_rc spawn_program(
        const struct spawn *s, pid_t *pid, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_WORKER_SPAWN_H */
