/* SPDX-License-Identifier: MIT */
/*
 * settle.c - the steps of a job are carried out, stage by stage; only then is its
 * delivery settled.
 *
 * What the steps are is decided in conclude.c. An orphan takes no step until its copy has
 * come: then the copy is what is settled.
 */
#include "base/clock.h"
#include "base/log.h"
#include "worker/state.h"

#include <assert.h>
#include <stddef.h>

enum {
    TRY_AGAIN_MS = 1000,
    /* For a client that lost the broker when we did, to come back and declare its queue.
     */
    RESULT_TRIES_MAX = 30
};

/* --- the end
 * ------------------------------------------------------------------------------------ */

static void finish(struct worker *w, struct job *j)
{
    if (!j->lane) {
        const struct worker_config *c = &w->generation->config->worker;
        if (j->abandoned) {
            jobs_remove(w, j);
            return;
        }
        if (j->orphan)
            orphans_finished(w->orphans, j, clock_mono_ms() + c->orphan_ttl_ms);
        jobs_set_timer(w);
        return;
    }
    switch (j->end) {
    case END_ACK:
        lane_ack(j->lane, j->tag);
        break;
    case END_REQUEUE:
        lane_nack(j->lane, j->tag, true);
        break;
    case END_REJECT:
        lane_nack(j->lane, j->tag, false);
        break;
    }
    jobs_remove(w, j);
}

/* --- the steps
 * ------------------------------------------------------------------------------------ */

static struct step *step_of(struct store_request *q)
{
    return (struct step *)(void *)((char *)q - offsetof(struct step, store));
}

/* What the store says is final: it has tried again by itself. */
static void end_request(struct worker *w, struct step *s, enum store_outcome outcome)
{
    static const enum publish_outcome like[] = {[STORE_DONE] = PUBLISH_ACKED,
            [STORE_REFUSED] = PUBLISH_RETURNED,
            [STORE_GIVEN_UP] = PUBLISH_NACKED};

    s->done = true;
    if (outcome == STORE_REFUSED)
        log_error("result store refuses a request: %s; it stays undone  task=%s id=%s",
                s->store.error.text, job_task(s->job), job_id(s->job));
    if (s->on_done)
        s->on_done(w, s, like[outcome]);
}

static void on_stored(void *ctx, struct store_request *q, enum store_outcome outcome)
{
    struct step *s = step_of(q);
    end_request(ctx, s, outcome);
    settle_resume(ctx, s->job);
}

static void take_request(struct worker *w, struct step *s)
{
    if (s->store.state != STORE_IDLE)
        return;
    s->store.on_done = on_stored;
    s->store.ctx = w;
    if (!w->store || !store_submit(w->store, &s->store, clock_mono_ms()))
        end_request(w, s, STORE_GIVEN_UP);
}

static void take_step(struct worker *w, struct step *s)
{
    if (s->done || s->out.state != OUTGOING_IDLE)
        return;
    if (s->kind == STEP_STORE) {
        take_request(w, s);
        return;
    }
    /* Most reply queues are gone because nobody waits; only after a loss is it likely
     * that somebody does, and is not back yet. */
    if (s->role == STEP_RESULT)
        s->out.mandatory = s->job->attached;
    outlet_publish(w->outlet, &s->out);
}

/* Take those of the first stage that is not done. A request that is given up at once may
 * end its stage. */
static enum step_stage take_steps(struct worker *w, struct job *j)
{
    enum step_stage stage;
    struct step *s;

    do {
        stage = steps_stage(j);
        TAILQ_FOREACH(s, &j->steps, entry)
        if (s->stage == stage)
            take_step(w, s);
    } while (steps_stage(j) != stage);
    return stage;
}

void settle_resume(struct worker *w, struct job *j)
{
    assert(j->state == JOB_SETTLING);
    enum step_stage stage = j->lane ? take_steps(w, j) : STAGE_END;

    if (steps_are_on_their_way(j))
        return;
    if (!j->lane || stage == STAGE_END)
        finish(w, j);
}

void settle_begin(struct worker *w, struct job *j, enum job_end end)
{
    j->state = JOB_SETTLING;
    j->end = end;
    settle_resume(w, j);
}

void settle_end(struct worker *w, struct job *j, enum job_end end)
{
    steps_clear(j);
    settle_begin(w, j, end);
}

void settle_withdraw(struct worker *w, struct job *j)
{
    struct step *s;
    TAILQ_FOREACH(s, &j->steps, entry)
    if (s->kind == STEP_PUBLISH)
        (void)outlet_withdraw(w->outlet, &s->out);
    else if (w->store)
        (void)store_withdraw(w->store, &s->store);
}

/* Whether a message that no queue took is worth another try. */
static bool may_find_its_queue(struct step *s)
{
    switch (s->role) {
    case STEP_SUCCESSOR:
        return s->out.mandatory;
    case STEP_FOLLOW_UP:
        return false;
    case STEP_RESULT:
        return s->out.mandatory && s->tries++ < RESULT_TRIES_MAX;
    }
    return false;
}

static void take_returned(struct step *s)
{
    static const char *const then[] = {
            [STEP_SUCCESSOR] = "delivery rejected to the broker",
            [STEP_FOLLOW_UP] = "it stays undone",
            [STEP_RESULT] = "result lost",
    };
    log_error("message can't be published; %s  key=%s task=%s id=%s", then[s->role],
            s->out.routing_key, job_task(s->job), job_id(s->job));
    if (s->role == STEP_SUCCESSOR)
        s->job->end = END_REJECT;
}

static void log_missing_queue(const struct step *s)
{
    if (s->role == STEP_RESULT)
        log_debug("reply queue is not there; tried again in 1 s  key=%s id=%s",
                s->out.routing_key, job_id(s->job));
    else
        log_error("queue is gone; tried again in 1 s  queue=%s task=%s id=%s",
                s->job->queue, job_task(s->job), job_id(s->job));
}

/* Whether @s needs no more thought. */
static bool is_decided_by(struct step *s, enum publish_outcome outcome)
{
    switch (outcome) {
    case PUBLISH_ACKED:
        return true;
    case PUBLISH_RETURNED:
        if (may_find_its_queue(s)) {
            log_missing_queue(s);
            return false;
        }
        if (!s->on_done)
            take_returned(s);
        return true;
    case PUBLISH_NACKED:
        log_warning(
                "broker did not take a message; tried again in 1 s  key=%s task=%s id=%s",
                s->out.routing_key, job_task(s->job), job_id(s->job));
        return false;
    case PUBLISH_UNKNOWN:
        return false;
    }
    return false;
}

void settle_published(
        struct worker *w, struct outgoing *out, enum publish_outcome outcome)
{
    struct step *s = out->owner;
    struct job *j = s->job;

    s->done = is_decided_by(s, outcome);
    if (s->done && s->on_done)
        s->on_done(w, s, outcome);
    if (s->done || !j->lane)
        settle_resume(w, j);
    else if (!heap_has(&j->timer) &&
             heap_add(&w->timers, &j->timer, clock_mono_ms() + TRY_AGAIN_MS) != CONEY_OK)
        settle_resume(w, j);
    jobs_set_timer(w);
}
