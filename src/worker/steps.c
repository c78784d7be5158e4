/* SPDX-License-Identifier: MIT */
/* steps.c - the list of what a job still has to do. */
#include "worker/job.h"

#include <assert.h>
#include <stdlib.h>

struct step *steps_add(struct job *job, enum step_stage stage, enum step_role role)
{
    struct step *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->stage = stage;
    s->role = role;
    s->job = job;
    s->out.owner = s;
    s->out.channel = role == STEP_SUCCESSOR ? OUTLET_SETTLE : OUTLET_FOREIGN;
    TAILQ_INSERT_TAIL(&job->steps, s, entry);
    return s;
}

struct step *steps_add_store(struct job *job, enum step_stage stage, enum store_kind kind)
{
    struct step *s = steps_add(job, stage, STEP_RESULT);
    if (!s)
        return NULL;
    s->kind = STEP_STORE;
    store_request_init(&s->store, kind);
    return s;
}

void steps_remove(struct step *s)
{
    TAILQ_REMOVE(&s->job->steps, s, entry);
    outgoing_fini(&s->out);
    if (s->kind == STEP_STORE)
        store_request_fini(&s->store);
    json_decref(s->about);
    free(s);
}

void steps_clear(struct job *job)
{
    struct step *next;
    for (struct step *s = TAILQ_FIRST(&job->steps); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        steps_remove(s);
    }
}

void steps_forget(struct job *job)
{
    struct step *s;
    TAILQ_FOREACH(s, &job->steps, entry)
    {
        s->out.state = OUTGOING_IDLE;
        s->store.state = STORE_IDLE;
    }
    steps_clear(job);
}

enum step_stage steps_stage(const struct job *job)
{
    enum step_stage first = STAGE_END;
    const struct step *s;
    TAILQ_FOREACH(s, &job->steps, entry)
    if (!s->done && s->stage < first)
        first = s->stage;
    return first;
}

bool steps_are_on_their_way(const struct job *job)
{
    const struct step *s;
    TAILQ_FOREACH(s, &job->steps, entry)
    if (s->out.state != OUTGOING_IDLE || s->store.state != STORE_IDLE)
        return true;
    return false;
}
