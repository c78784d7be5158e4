/* SPDX-License-Identifier: MIT */
/*
 * child.h - one child process: started, fed, listened to and reaped.
 *
 * Knows processes, pipes and poll(2), nothing of tasks. The child stays in the caller's
 * process group, so that whoever kills the group takes it along, and dies with its
 * parent. The end is the child's own exit: what its descendants still hold open isn't
 * waited for.
 */
#ifndef CONEY_RUNNER_CHILD_H
#define CONEY_RUNNER_CHILD_H

#include "base/buffer.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { CHILD_TAIL_SIZE = 8192 };

struct child_options {
    char *const *argv;    /* argv[0] is an absolute path; NULL ends it */
    char *const *environ; /* the whole environment; NULL ends it */
    const char *directory;
    mode_t umask;
    struct bytes input; /* for its standard input, which is then closed */
    /* When true the child is sent SIGTERM, once. Asked whenever wake_fd, an eventfd (or
     * -1), becomes readable. */
    bool (*must_stop)(void *ctx);
    void *ctx;
    int wake_fd;
    int forward_fd; /* gets what it writes to standard error, as far as that never
                       waits; or -1 */
};

struct child_result {
    int exit_status; /* -1: none */
    int signal;      /* that ended it; 0: none */
    bool was_stopped;
    bool has_overflowed; /* more output than @output may hold; it was stopped for it */
    int64_t max_rss_kib;
    size_t tail_len;
    char tail[CHILD_TAIL_SIZE]; /* the end of what it wrote to standard error */
};

/*
 * Run a program to its end. @output gets its standard output, up to that buffer's
 * maximum. CONEY_EIO: it could not be started, text says why; CONEY_ENOMEM. Either way no
 * child is left.
 */
enum coney_rc child_run(const struct child_options *options, struct buffer *output,
        struct child_result *result, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_RUNNER_CHILD_H */
