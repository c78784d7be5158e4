/* SPDX-License-Identifier: MIT */
/*
 * board.h - the master's side of the memory it shares with one runner.
 *
 * A board is a sealed memfd (it can neither shrink nor grow under a reader) with two
 * rings, one writer and one reader each: jobs go to the runner, outcomes and log lines
 * come back. Two eventfds wake a side that sleeps, and only then. A record above
 * BOARD_INLINE_MAX travels as a sealed memfd of its own through a socket pair, sent
 * before its place in the ring is published, so that it is there when it is asked for.
 *
 * Each posted job has a slot with one contended word, (generation, state):
 *
 *     posted --runner--> running --runner--> done       compare and swap, both sides
 *        \---master--> withdrawn
 *
 * The master distrusts the runner: it never reads back what it wrote itself, copies what
 * it reads once, and checks the copy. A runner that breaks the contract gets CONEY_EINVAL
 * out of board_take(): kill it and free the board.
 *
 * Starting a runner. Execute coney-runner with
 *     coney-runner --parent PID [--node NAME] PLUGIN...     (src/runner/runner.h)
 * and these descriptors; uv_spawn()'s stdio array puts them there:
 *     0, 1   anything: the runner puts /dev/null on 0 and a copy of 2 on 1
 *     2      a pipe that the master reads: what tasks and libraries print
 *     3 - 6  board_runner_fd(b, BOARD_FD_...)
 * then call board_close_runner_fds(). Give an environment without secrets.
 *
 * The runner leads its own process group, which it makes itself: kill both -pid and pid,
 * because it may not have got that far. It ignores SIGTERM, SIGINT and SIGHUP (a service
 * manager may send them to every process); board_stop() ends it gently.
 *
 * The stderr of an attempt. Whatever a native task wrote is in the pipe before its
 * outcome is published: when an outcome is taken, read the pipe until EAGAIN, keep the
 * last RECORD_STDERR_MAX bytes, and begin anew. With several jobs posted at once the next
 * one may have written already. A command's stderr is exact: it is in its outcome (and is
 * also forwarded to the pipe).
 *
 * After the death of a runner. Call board_take() until there is nothing more: what was
 * published counts, even after a kill. Then ask board_state() for each job still out:
 * BOARD_POSTED never started, hand it on; everything else crashed.
 */
#ifndef CONEY_BOARD_BOARD_H
#define CONEY_BOARD_BOARD_H

#include "board/record.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    BOARD_SLOTS = 16,             /* jobs posted and not yet settled */
    BOARD_INLINE_MAX = 16 * 1024, /* bytes of a record that goes through a ring */
};
/* The largest record: by default, and at least. */
#define BOARD_RECORD_MAX ((size_t)64 * 1024 * 1024)
#define BOARD_RECORD_MIN ((size_t)256 * 1024)

/* The numbers of the descriptors in the runner. */
enum board_fd {
    BOARD_FD_MEMORY = 3,
    BOARD_FD_WAKE_RUNNER = 4,
    BOARD_FD_WAKE_MASTER = 5,
    BOARD_FD_PASSING = 6,
    BOARD_FD_END = 7
};

struct board;

/* Names one posted job on one board. */
struct board_ticket {
    uint32_t slot;
    uint64_t generation; /* 0: no job */
};

enum board_state {
    BOARD_GONE,   /* this job has been taken or withdrawn */
    BOARD_POSTED, /* not started */
    BOARD_RUNNING,
    BOARD_DONE /* finished; the outcome is (about to be) in the ring */
};

/*
 * A board for one runner. @record_max bounds every record both ways (0:
 * BOARD_RECORD_MAX); what is below BOARD_RECORD_MIN is raised to it. CONEY_EIO,
 * CONEY_ENOMEM.
 */
enum coney_rc board_new(
        size_t record_max, struct board **out, struct coney_error *err) CONEY_MUST_CHECK;
/* Unmap and close everything; a runner that still lives sees it and ends. NULL is
 * ignored. */
void board_free(struct board *b);

/* The descriptor that the runner gets as number @which (not BOARD_FD_END). Borrowed, with
 * close-on-exec. */
int board_runner_fd(const struct board *b, enum board_fd which);
/* To be called once the runner has been started (or could not be). */
void board_close_runner_fds(struct board *b);

/* Becomes readable when the runner has written something while board_sleep() was in
 * force. Borrowed. */
int board_event_fd(const struct board *b);

/*
 * Post a job; everything is copied. CONEY_ELIMIT: no slot or no room now, ask again when
 * an outcome has been taken; CONEY_EINVAL: larger than the board's maximum, or not a job;
 * CONEY_EIO: a descriptor could not be made or sent; CONEY_ENOMEM. Never blocks.
 */
enum coney_rc board_post(struct board *b, const struct record_job *job,
        struct board_ticket *out, struct coney_error *err) CONEY_MUST_CHECK;
/* Jobs posted and neither withdrawn nor taken. */
unsigned board_count(const struct board *b);

/* Take a job back. True: it never starts, its slot is free. False: it has started. */
bool board_withdraw(struct board *b, struct board_ticket t) CONEY_MUST_CHECK;
/*
 * Where a job is. From BOARD_RUNNING on *@started_ms is its start on the monotonic clock,
 * as the runner said when it was first asked for, never later than the time of that call;
 * else 0. May be NULL.
 */
enum board_state board_state(
        struct board *b, struct board_ticket t, int64_t *started_ms) CONEY_MUST_CHECK;

/* Tell a job that its soft limit has passed. The caller also sends the runner SIGUSR1, so
 * that a blocking call in the task returns with EINTR. */
void board_soft_limit(struct board *b, struct board_ticket t);
/* Ask the runner to end with status 0 once it runs nothing. Jobs that it has not begun
 * stay posted: withdraw them. */
void board_stop(struct board *b);

enum board_news_kind {
    BOARD_NOTHING,
    BOARD_READY,  /* plugins loaded, init hooks done: jobs are welcome */
    BOARD_LOG,    /* log; the ticket's generation may be 0: the runner itself */
    BOARD_OUTCOME /* outcome; the slot is free again */
};

/* One thing that the runner said. Points into the board until the next board_take(). */
struct board_news {
    enum board_news_kind kind;
    struct board_ticket ticket;
    struct record_outcome outcome;
    struct record_log log;
};

/*
 * Take the next thing that the runner said; BOARD_NOTHING when there is none. Never
 * blocks. CONEY_EINVAL: the runner broke the contract, text says how; CONEY_ENOMEM: what
 * it said could not be kept. The board gives nothing more after either: kill the runner.
 */
enum coney_rc board_take(struct board *b, struct board_news *out,
        struct coney_error *err) CONEY_MUST_CHECK;
/*
 * Say that the master is about to wait for board_event_fd(), and reset that. False: there
 * is news already; take it first. So a turn is
 *     do { take all, up to a budget } while (!board_sleep(b));
 */
bool board_sleep(struct board *b) CONEY_MUST_CHECK;

#endif /* CONEY_BOARD_BOARD_H */
