/* SPDX-License-Identifier: MIT */
/*
 * program.h - start another program as a child of this process.
 *
 * The child dies with its parent. It stays in the caller's process group, so that whoever
 * kills the group takes it along, or leads one of its own, so that it can be killed with
 * all that it has started.
 */
#ifndef CONEY_RUNNER_PROGRAM_H
#define CONEY_RUNNER_PROGRAM_H

#include <coney/error.h>

#include <stddef.h>
#include <sys/types.h>

enum { PROGRAM_FDS_MAX = 8 };
enum program_group { PROGRAM_OUR_GROUP, PROGRAM_OWN_GROUP };

struct program {
    char *const *argv;    /* argv[0] is an absolute path; NULL ends it */
    char *const *environ; /* the whole environment; NULL ends it */
    const char *directory;
    mode_t umask;
    enum program_group group;
    const int *fds;  /* become its descriptors 0, 1, ... */
    size_t fd_count; /* at most PROGRAM_FDS_MAX; all others that it shall not get have
                        close-on-exec */
};

/* Start @p and wait until it has got as far as its own code. CONEY_EIO: it could not be
 * started, text says why, and no child is left. */
enum coney_rc program_start(
        const struct program *p, pid_t *pid, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_RUNNER_PROGRAM_H */
