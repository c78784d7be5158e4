/* SPDX-License-Identifier: MIT */
/*
 * posted.h - the jobs that one runner has been given, and what their limits demand.
 *
 * Knows the board and the clock's readings; kills nobody and sets no timer, but says what
 * is to be done and when to ask again. Room for as many jobs as a board has slots.
 */
#ifndef CONEY_WORKER_POSTED_H
#define CONEY_WORKER_POSTED_H

#include "board/board.h"
#include "worker/pool.h"

/* One job; it stands at the number of its slot. */
struct posted {
    struct board_ticket ticket; /* generation 0: none */
    void *job;                  /* borrowed */
    int64_t posted_ms;
    int64_t soft_ms; /* after the start; CONFIG_NONE */
    int64_t hard_ms;
    unsigned max_tasks; /* 0: no limit */
    int64_t max_memory; /* bytes; CONFIG_NONE */
    bool told;          /* that its soft limit has passed */
    bool overran;       /* its hard limit */
};

struct posted_list {
    struct posted items[BOARD_SLOTS];
    unsigned count;
};

enum posted_demand {
    POSTED_PATIENCE,
    POSTED_TELL,       /* a soft limit has passed and is on the board: send the signal */
    POSTED_KILL_LIMIT, /* a hard one has */
    POSTED_KILL_IDLER  /* nothing runs, though a job has been waiting for too long */
};

struct posting {
    const struct assignment *assignment;
    int64_t kill_after_soft_ms; /* CONFIG_NONE: a soft limit never becomes a hard one */
    int64_t now_ms;
};

/*
 * Post a job. A soft limit becomes a hard one after a while, unless that one comes
 * first. *@next_ms is when its limits can first demand
 * anything, CLOCK_NEVER for never. Errors as board_post().
 */
enum coney_rc posted_add(struct posted_list *l, struct board *b, const struct posting *p,
        int64_t *next_ms, struct coney_error *err) CONEY_MUST_CHECK;
/* Forget it; returns its job. */
void *posted_remove(struct posted_list *l, struct posted *j);

struct posted *posted_find(struct posted_list *l, struct board_ticket t);
/* The one after @j, or the first if that is NULL; NULL: no more. */
struct posted *posted_next(struct posted_list *l, struct posted *j);
bool posted_has(const struct posted_list *l, const void *job);

/*
 * What is to be done now, the gravest first; *@next_ms is when to ask again. @start_ms is
 * how long a job may wait when none is running.
 */
enum posted_demand posted_check(struct posted_list *l, struct board *b, int64_t start_ms,
        int64_t now_ms, int64_t *next_ms);

#endif /* CONEY_WORKER_POSTED_H */
