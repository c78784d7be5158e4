/* SPDX-License-Identifier: MIT */
/*
 * server_proc.h - the process of a task server and the two pipes to it.
 *
 * Knows processes and bytes, not what the bytes mean.
 */
#ifndef CONEY_RUNNER_SERVER_PROC_H
#define CONEY_RUNNER_SERVER_PROC_H

#include "base/buffer.h"
#include "board/record.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct server_proc {
    pid_t pid;  /* 0: there is none */
    int pid_fd; /* owned; likewise below. -1: the kernel (or valgrind) has no such thing
                 */
    int to;     /* its descriptor 3; -1: closed; likewise below */
    int from;   /* its descriptor 4 */
    struct buffer in;  /* what it has said */
    struct buffer out; /* what it is to be told */
    bool is_deaf;      /* it has closed its descriptor 3 */
    bool has_ended;    /* and been reaped; the next three are its end */
    int exit_status;   /* -1: none, or not known */
    int signal;        /* 0: none, or not known */
    int64_t max_rss_kib;
};

void server_proc_init(struct server_proc *p);

/* Start @command (argv, directory, environment, umask) with an input buffer of @in_max
 * bytes. CONEY_EIO: it could not be started; CONEY_ENOMEM. */
enum coney_rc server_proc_start(struct server_proc *p,
        const struct record_command *command, size_t in_max,
        struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Move bytes both ways, once something can be moved, it ends, @wake_fd (an eventfd, or
 * -1) is readable, or @wait_ms have passed (-1: however long it takes). When it has ended
 * all that it had said is there.
 */
void server_proc_pump(struct server_proc *p, int wake_fd, int64_t wait_ms);

/* Bytes for it that it has not read. */
size_t server_proc_unread(const struct server_proc *p);

/* Whether it lives, right now. */
bool server_proc_is_alive(struct server_proc *p);
/* Somebody else has reaped it. */
void server_proc_reaped(struct server_proc *p, int wait_status);

/* Resident memory, and its peak, in KiB; RECORD_NONE: unknown. */
int64_t server_proc_rss_kib(const struct server_proc *p);
int64_t server_proc_max_rss_kib(const struct server_proc *p);

/* Kill it and all of its group, and reap it. */
void server_proc_kill(struct server_proc *p);
/* It is about to end: kill it if it hasn't within @patience_ms. */
void server_proc_await_end(struct server_proc *p, int64_t patience_ms);
/* Ask it to end, by closing its input, and wait as above. */
void server_proc_stop(struct server_proc *p, int64_t patience_ms);
/* Release everything; it must not be alive. All is as after server_proc_init(). */
void server_proc_fini(struct server_proc *p);

#endif /* CONEY_RUNNER_SERVER_PROC_H */
