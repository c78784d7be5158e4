/* SPDX-License-Identifier: MIT */
/*
 * verdict.h - what became of a job, as the worker is told.
 *
 * Either the runner said so itself, or it is dead and the evidence has to speak: where
 * the job was on the board, why the master killed the runner, how the process ended.
 * Pure functions of that.
 */
#ifndef CONEY_WORKER_VERDICT_H
#define CONEY_WORKER_VERDICT_H

#include "board/board.h"
#include "worker/runner_proc.h"

enum { VERDICT_TEXT_SIZE = 320 };

/* How a runner ended. */
struct death {
    int wait_status;
    int64_t max_rss_kib; /* -1: unknown */
    enum runner_kill killed;
    const char *trouble; /* what was wrong with its board; "" for nothing */
};

/* A job that the dead runner still had. */
struct remains {
    enum board_state state;
    int64_t started_ms; /* 0: never */
    int64_t hard_ms;    /* CONFIG_NONE */
    bool overran;       /* it was killed for its hard limit */
    int64_t now_ms;
    int64_t now_us; /* wall */
};

/* What the runner said; @o points into @said. */
void verdict_said(const struct record_outcome *said, struct outcome *o);
/* What its death means for a job. Texts are written to @space or static. */
void verdict_death(const struct death *d, const struct remains *j,
        char space[VERDICT_TEXT_SIZE], struct outcome *o);
/* "killed by signal 11 (SEGV)", in @space. */
void verdict_describe(const struct death *d, char space[VERDICT_TEXT_SIZE]);

int verdict_signal(const struct death *d);      /* 0: none */
int verdict_exit_status(const struct death *d); /* -1: none */

#endif /* CONEY_WORKER_VERDICT_H */
