/* SPDX-License-Identifier: MIT */
/* posted.c - an array indexed by slot. */
#include "worker/posted.h"

#include "base/clock.h"

#include <assert.h>

static struct record_command command_of(
        const struct command_policy *c, const struct string_list *argv)
{
    return (struct record_command){
            .argv = {argv->items, argv->count},
            .directory = c->directory,
            .environment = {c->environment.items, c->environment.count},
            .ok_exit = {c->ok_exit.items, c->ok_exit.count},
            .retry_exit = {c->retry_exit.items, c->retry_exit.count},
            .reject_exit = {c->reject_exit.items, c->reject_exit.count},
            .max_output = c->max_output,
            .start_ms = c->start_ms,
            .umask = c->umask,
    };
}

static struct record_job record_of(const struct assignment *a)
{
    struct record_job job = {
            .id = a->id,
            .task = a->task,
            .root_id = a->root_id,
            .parent_id = a->parent_id,
            .queue = a->queue,
            .retries = a->retries,
            .redelivered = a->redelivered,
            .wants_rss = a->policy->max_memory != CONFIG_NONE,
            .soft_ms = a->soft_ms,
            .hard_ms = a->hard_ms,
            .handler = RECORD_NATIVE,
            .body = a->body,
    };
    const struct command_policy *command = &a->policy->command;
    switch (a->policy->handler) {
    case HANDLER_NATIVE:
        break;
    case HANDLER_COMMAND:
        job.handler = RECORD_COMMAND;
        job.command = command_of(command, &command->argv);
        break;
    case HANDLER_SERVER:
        job.handler = RECORD_SERVER;
        job.command = command_of(command, &command->server);
        job.context = a->context;
        break;
    }
    return job;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Limits come from messages too: they may be absurd. */
static int64_t after(int64_t from_ms, int64_t limit_ms)
{
    if (limit_ms == CONFIG_NONE || limit_ms > CLOCK_NEVER - from_ms)
        return CLOCK_NEVER;
    return from_ms + limit_ms;
}

static int64_t hard_limit(const struct assignment *a, int64_t kill_after_soft_ms)
{
    int64_t after_soft_ms = CLOCK_NEVER;
    if (a->soft_ms != CONFIG_NONE)
        after_soft_ms = after(a->soft_ms, kill_after_soft_ms);
    int64_t least_ms = earlier(after(0, a->hard_ms), after_soft_ms);
    return least_ms == CLOCK_NEVER ? CONFIG_NONE : least_ms;
}

enum coney_rc posted_add(struct posted_list *l, struct board *b, const struct posting *p,
        int64_t *next_ms, struct coney_error *err)
{
    const struct assignment *a = p->assignment;
    struct board_ticket ticket;
    struct record_job job = record_of(a);
    job.hard_ms = hard_limit(a, p->kill_after_soft_ms);
    enum coney_rc rc = board_post(b, &job, &ticket, err);
    if (rc != CONEY_OK)
        return rc;

    struct posted *j = &l->items[ticket.slot];
    assert(j->ticket.generation == 0);
    *j = (struct posted){
            .ticket = ticket,
            .job = a->job,
            .posted_ms = p->now_ms,
            .soft_ms = a->soft_ms,
            .hard_ms = job.hard_ms,
            .max_tasks = a->policy->max_tasks,
            .max_memory = a->policy->max_memory,
    };
    l->count++;
    *next_ms = earlier(after(p->now_ms, j->soft_ms), after(p->now_ms, j->hard_ms));
    return CONEY_OK;
}

void *posted_remove(struct posted_list *l, struct posted *j)
{
    void *job = j->job;
    assert(l->count > 0 && j->ticket.generation != 0);
    *j = (struct posted){0};
    l->count--;
    return job;
}

struct posted *posted_find(struct posted_list *l, struct board_ticket t)
{
    if (t.generation == 0 || t.slot >= BOARD_SLOTS)
        return NULL;
    struct posted *j = &l->items[t.slot];
    return j->ticket.generation == t.generation ? j : NULL;
}

struct posted *posted_next(struct posted_list *l, struct posted *j)
{
    if (l->count == 0)
        return NULL;
    for (j = j ? j + 1 : l->items; j < l->items + BOARD_SLOTS; j++)
        if (j->ticket.generation)
            return j;
    return NULL;
}

bool posted_has(const struct posted_list *l, const void *job)
{
    for (unsigned i = 0; i < BOARD_SLOTS; i++)
        if (l->items[i].ticket.generation && l->items[i].job == job)
            return true;
    return false;
}

/* One job that has been started at @started_ms. */
static enum posted_demand check_limits(struct posted *j, struct board *b,
        int64_t started_ms, int64_t now_ms, int64_t *next_ms)
{
    int64_t hard_at = after(started_ms, j->hard_ms);
    int64_t soft_at = j->told ? CLOCK_NEVER : after(started_ms, j->soft_ms);
    if (now_ms >= hard_at) {
        j->overran = true;
        return POSTED_KILL_LIMIT;
    }
    if (now_ms < soft_at) {
        *next_ms = earlier(*next_ms, earlier(soft_at, hard_at));
        return POSTED_PATIENCE;
    }
    *next_ms = earlier(*next_ms, hard_at);
    if (j->told)
        return POSTED_PATIENCE;
    j->told = true;
    board_soft_limit(b, j->ticket);
    return POSTED_TELL;
}

enum posted_demand posted_check(struct posted_list *l, struct board *b, int64_t start_ms,
        int64_t now_ms, int64_t *next_ms)
{
    enum posted_demand demand = POSTED_PATIENCE;
    int64_t waiting_since_ms = CLOCK_NEVER;
    bool is_working = false;

    *next_ms = CLOCK_NEVER;
    for (struct posted *j = posted_next(l, NULL); j; j = posted_next(l, j)) {
        int64_t started_ms;
        if (board_state(b, j->ticket, &started_ms) == BOARD_POSTED) {
            waiting_since_ms = earlier(waiting_since_ms, j->posted_ms);
            continue;
        }
        is_working = true;
        enum posted_demand d = check_limits(j, b, started_ms, now_ms, next_ms);
        if (d > demand)
            demand = d;
    }
    if (is_working || waiting_since_ms == CLOCK_NEVER)
        return demand;
    *next_ms = after(waiting_since_ms, start_ms);
    return now_ms >= *next_ms ? POSTED_KILL_IDLER : POSTED_PATIENCE;
}
