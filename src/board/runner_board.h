/* SPDX-License-Identifier: MIT */
/*
 * runner_board.h - the runner's side of the memory it shares with the master.
 *
 * board.h describes the whole. Everything here is for one thread. The runner trusts the
 * master, but checks that it is of the same build and that records are well-formed.
 */
#ifndef CONEY_BOARD_RUNNER_BOARD_H
#define CONEY_BOARD_RUNNER_BOARD_H

#include "board/board.h"
#include "board/record.h"
#include <coney/error.h>

#include <stdbool.h>

struct runner_board;

struct runner_board_fds {
    int memory;
    int wake_runner;
    int wake_master;
    int passing;
};

/*
 * Map the board and check its header. The descriptors are borrowed until
 * runner_board_free(), which doesn't close them. CONEY_EINVAL: not a board, or one of
 * another build; CONEY_EIO, CONEY_ENOMEM.
 */
enum coney_rc runner_board_attach(const struct runner_board_fds *fds,
        struct runner_board **out, struct coney_error *err) CONEY_MUST_CHECK;
/* Unmap it. NULL is ignored. */
void runner_board_free(struct runner_board *b);

/* The largest record, and so about the largest result. */
size_t runner_board_record_max(const struct runner_board *b);

enum runner_wake {
    RUNNER_WAKE_JOB,      /* there is something to claim */
    RUNNER_WAKE_STOP,     /* the master asks this runner to end */
    RUNNER_WAKE_ABANDONED /* the master has freed the board, or is gone */
};
/* Block until something happens; a stop comes before a job. */
enum runner_wake runner_board_wait(struct runner_board *b) CONEY_MUST_CHECK;

/* Say that the plugins are loaded. CONEY_EIO: the master is gone. */
enum coney_rc runner_board_ready(
        struct runner_board *b, struct coney_error *err) CONEY_MUST_CHECK;
/*
 * Claim the next job: it is running from now on. @job points into the board until the
 * next claim. CONEY_ENOTFOUND: none; CONEY_EINVAL: the master broke the contract;
 * CONEY_ENOMEM. Except for CONEY_ENOTFOUND the runner can only end after a failure.
 */
enum coney_rc runner_board_claim(struct runner_board *b, struct record_job *job,
        struct board_ticket *ticket, struct coney_error *err) CONEY_MUST_CHECK;
/* Whether the master has said that the soft limit of this job has passed. */
bool runner_board_is_soft_limit(const struct runner_board *b, struct board_ticket t);
/*
 * Post the outcome of a claimed job; waits while the ring is full. CONEY_ELIMIT: larger
 * than the board's maximum, post another one; CONEY_EINVAL: not an outcome, or the job
 * isn't running; CONEY_EIO: the master is gone; CONEY_ENOMEM.
 */
enum coney_rc runner_board_finish(struct runner_board *b, struct board_ticket t,
        const struct record_outcome *o, struct coney_error *err) CONEY_MUST_CHECK;
/* Post a log line of a job, or with generation 0 of the runner. Never waits: lines that
 * find no room are dropped, counted, and the count is logged as soon as there is room. */
void runner_board_log(struct runner_board *b, struct board_ticket t, enum log_level level,
        const char *text);

#endif /* CONEY_BOARD_RUNNER_BOARD_H */
