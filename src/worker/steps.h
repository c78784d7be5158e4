/* SPDX-License-Identifier: MIT */
/*
 * steps.h - what must be done before a delivery may be acked, stage by stage.
 *
 * The steps of one stage go out together; the next stage begins when all of it is done.
 * Here is only the list of a job; settle.c carries the steps out.
 */
#ifndef CONEY_WORKER_STEPS_H
#define CONEY_WORKER_STEPS_H

#include "worker/outlet.h"
#include "worker/store.h"

#include <jansson.h>
#include <stdbool.h>

struct job;
struct worker;
struct step;

enum step_stage {
    STAGE_SIZE,   /* what the store must know of chords before their parts are sent */
    STAGE_FOLLOW, /* retry, dead letter or message put back; tasks that follow this one */
    STAGE_RESULT, /* its result, and those of tasks that will never run */
    STAGE_CHORD,  /* its part of a chord; the body of one that is complete follows it */
    STAGE_FORGET, /* chords that are done with */
    STAGE_END     /* nothing is left */
};

enum step_kind {
    STEP_PUBLISH, /* out */
    STEP_STORE    /* store: a request to the result store */
};

/* What it means when no queue takes a message. */
enum step_role {
    STEP_SUCCESSOR, /* stands for the delivery: tried again; one that can't be written
                       leaves the delivery to the broker's own dead-lettering */
    STEP_FOLLOW_UP, /* asked for by the message: on_done decides */
    STEP_RESULT     /* for somebody who may have gone: dropped */
};

/*
 * The step is done. Of a request to the store: PUBLISH_ACKED when it was carried out,
 * PUBLISH_RETURNED when the store refuses it (store.error), PUBLISH_NACKED when it is
 * given up because the store is down, or because there is none.
 */
typedef void step_done_fn(struct worker *w, struct step *s, enum publish_outcome outcome);

struct step {
    TAILQ_ENTRY(step) entry;
    enum step_kind kind;
    enum step_stage stage;
    enum step_role role;
    bool done;
    unsigned tries;      /* times that it came back for want of a queue */
    struct job *job;     /* whose step it is */
    struct outgoing out; /* its owner is the step */
    struct store_request store;
    step_done_fn *on_done; /* may be NULL; may add steps, and go back a stage with them */
    json_t *about;         /* for on_done; owned; NULL: nothing */
    struct step *needs;    /* the first of several that are sent all or not at all; NULL:
                              it is that one, or stands alone */
};

TAILQ_HEAD(step_list, step);

/* A new step of @job at the end of its list, to be filled in. NULL when out of memory. */
struct step *steps_add(struct job *job, enum step_stage stage, enum step_role role);
/* A request to the store: id and meta, or the commands, are still to be filled in. Its
 * role is STEP_RESULT. */
struct step *steps_add_store(
        struct job *job, enum step_stage stage, enum store_kind kind);
/* Take out and free a step that is not on its way. */
void steps_remove(struct step *s);
/* Free all; none may be on its way. */
void steps_clear(struct job *job);
/* The first stage with a step that is not done. */
enum step_stage steps_stage(const struct job *job);
/* Free all, as when the outlet itself is gone. */
void steps_forget(struct job *job);
bool steps_are_on_their_way(const struct job *job);

#endif /* CONEY_WORKER_STEPS_H */
