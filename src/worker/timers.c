/* SPDX-License-Identifier: MIT */
/*
 * timers.c - what the clock brings: held jobs, steps to be taken again, orphans and
 * outages that have lasted too long. All of it hangs on the one timer of the loop.
 */
#include "base/clock.h"
#include "base/log.h"
#include "worker/state.h"

#include <stddef.h>

static struct job *job_of_timer(struct heap_node *node)
{
    return (struct job *)(void *)((char *)node - offsetof(struct job, timer));
}

void jobs_set_timer(struct worker *w)
{
    const struct heap_node *first = heap_first(&w->timers);
    int64_t at = first ? first->at : CLOCK_NEVER;
    int64_t orphans_at = orphans_deadline_ms(w->orphans);
    if (orphans_at < at)
        at = orphans_at;
    if (w->store && store_deadline_ms(w->store) < at)
        at = store_deadline_ms(w->store);
    if (at == CLOCK_NEVER) {
        uv_timer_stop(&w->timer);
        return;
    }
    int64_t wait_ms = at - clock_mono_ms();
    uv_update_time(&w->loop);
    uv_timer_start(&w->timer, w->timer.timer_cb, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void wake(struct worker *w, struct job *j)
{
    if (j->state == JOB_RUNNING) { /* it was asked to end, and has not */
        pool_kill_job(w->pool, j);
        return;
    }
    if (j->state == JOB_SETTLING) {
        settle_resume(w, j);
        return;
    }
    /* The wall clock decides, and it may have been set back meanwhile. */
    if (j->held_until_us > clock_wall_us()) {
        jobs_hold(w, j, j->held_until_us);
        return;
    }
    jobs_leave_place(w, j);
    if (j->give_back)
        settle_end(w, j, END_REQUEUE);
    else
        jobs_admit(w, j);
}

static void drop_overdue_orphans(struct worker *w)
{
    const struct worker_config *c = &w->generation->config->worker;
    struct job *j;

    while ((j = orphans_overdue(w->orphans, clock_mono_ms(), c->orphans_max))) {
        log_warning("its copy never came; outcome dropped  task=%s id=%s queue=%s",
                job_task(j), job_id(j), j->queue);
        orphans_remove(w->orphans, j);
        j->abandoned = true;
        settle_resume(w, j);
    }
}

void jobs_tick(struct worker *w)
{
    int64_t now_ms = clock_mono_ms();
    struct heap_node *node;

    while ((node = heap_first(&w->timers)) && node->at <= now_ms) {
        heap_remove(&w->timers, node);
        wake(w, job_of_timer(node));
    }
    drop_overdue_orphans(w);
    if (w->store)
        store_tick(w->store, now_ms);
    jobs_dispatch(w);
    jobs_set_timer(w);
}
