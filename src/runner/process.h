/* SPDX-License-Identifier: MIT */
/*
 * process.h - what a runner makes of the process it was started as.
 *
 * Signals, descriptors, group, parent: set once, before any plugin is loaded.
 */
#ifndef CONEY_RUNNER_PROCESS_H
#define CONEY_RUNNER_PROCESS_H

#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Die with @parent (0: whoever it is). CONEY_ECLOSED: it isn't our parent any more.
 * CONEY_EIO.
 */
enum coney_rc process_tie_to_parent(
        pid_t parent, struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Signals as <coney/task.h> promises them: SIGUSR1 is caught, does nothing and interrupts
 * system calls; SIGTERM, SIGINT, SIGHUP and SIGPIPE are caught and do nothing (and so are
 * as usual in a program that is executed); the rest is as usual, nothing is blocked.
 */
enum coney_rc process_set_signals(struct coney_error *err) CONEY_MUST_CHECK;

/* Lead a process group, unless it does already. CONEY_EIO. */
enum coney_rc process_lead_group(struct coney_error *err) CONEY_MUST_CHECK;

/* Close every descriptor from @first on. CONEY_EIO. */
enum coney_rc process_close_from(int first, struct coney_error *err) CONEY_MUST_CHECK;

/* Standard input becomes empty; standard output goes where standard error does, line by
 * line. CONEY_EIO. */
enum coney_rc process_set_streams(struct coney_error *err) CONEY_MUST_CHECK;

/* Reap the children that have ended, and tell @reaped of each. */
void process_reap_children(
        void (*reaped)(void *ctx, pid_t pid, int wait_status), void *ctx);

/* Resident memory, and its peak in the life of this process, in KiB; -1: unknown. */
int64_t process_rss_kib(void);
int64_t process_max_rss_kib(void);

#endif /* CONEY_RUNNER_PROCESS_H */
