/* SPDX-License-Identifier: MIT */
/*
 * launch.h - what a runner is started with: its program, arguments and environment.
 *
 * The program is opened once and executed by descriptor from then on, so that an upgrade
 * on disk doesn't mix versions under a running worker. The environment is made anew:
 * nothing of the master's (passwords, tokens) reaches a runner.
 */
#ifndef CONEY_WORKER_LAUNCH_H
#define CONEY_WORKER_LAUNCH_H

#include "config/config.h"

struct launch {
    int program_fd; /* owned; likewise below */
    char **argv;
    char **environ;
};

/* Open @path. CONEY_EIO: not there or not a program; CONEY_ENOMEM. On failure nothing is
 * left to be released. */
enum coney_rc launch_init(
        struct launch *l, const char *path, struct coney_error *err) CONEY_MUST_CHECK;
/* Nothing happens when all of it is zero but program_fd, which is -1. */
void launch_fini(struct launch *l);

/*
 * Make the arguments; those before are released. @node may be NULL; @mode is an argument
 * that comes first, or NULL. CONEY_ENOMEM: the old ones still hold.
 */
enum coney_rc launch_set_arguments(struct launch *l, const char *mode, const char *node,
        const struct string_list *plugins) CONEY_MUST_CHECK;

#endif /* CONEY_WORKER_LAUNCH_H */
