/* SPDX-License-Identifier: MIT */
/* job.c - making and unmaking a job. */
#include "worker/job.h"

#include <assert.h>
#include <stdlib.h>

struct job *job_new(struct lane *lane, struct delivery *d)
{
    struct job *j = calloc(1, sizeof(*j));
    if (!j)
        return NULL;
    j->queue = arena_strdup(d->envelope.arena, lane->queue);
    if (!j->queue) {
        free(j);
        return NULL;
    }
    TAILQ_INIT(&j->steps);
    j->lane = lane;
    j->tag = d->tag;
    j->foreign = lane->foreign;
    j->delivery = *d;
    d->envelope = (struct envelope){.arena = NULL};
    return j;
}

void job_orphan(struct job *j)
{
    if (!j->lane)
        return;
    lane_release(j->lane);
    j->lane = NULL;
}

void job_free(struct job *j)
{
    if (!j)
        return;
    assert(!heap_has(&j->timer) && !j->orphan);
    steps_clear(j);
    mapped_free(j->mapped);
    task_request_free(j->request);
    generation_unref(j->generation);
    job_orphan(j);
    envelope_fini(&j->delivery.envelope);
    free(j);
}

const char *job_runs(const struct job *j)
{
    const char *mapped = mapped_name(j->request);

    return mapped ? mapped : j->request->task;
}

const char *job_id(const struct job *j)
{
    return j->request ? j->request->id : "-";
}

const char *job_task(const struct job *j)
{
    return j->request ? j->request->task : "-";
}
