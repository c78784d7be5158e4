/* SPDX-License-Identifier: MIT */
/* jobs.c - from a delivery to a runner: decode, attach, admit, hold, dispatch. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "message/context.h"
#include "queue/names.h"
#include "worker/admission.h"
#include "worker/builtin.h"
#include "worker/state.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum {
    GIVE_BACK_US =
            2 * 1000 * 1000, /* an unknown task on a foreign queue is kept so long */
    ALONE_RETRY_US = 1000 * 1000
};

static struct job *job_of_ready(struct ready *r)
{
    return (struct job *)(void *)((char *)r - offsetof(struct job, ready));
}

/* --- places
 * ------------------------------------------------------------------------------- */

void jobs_leave_place(struct worker *w, struct job *j)
{
    if (j->state == JOB_READY && !j->alone)
        dispatcher_remove(w->dispatcher, &j->ready);
    if (j->state == JOB_HELD)
        w->held_count--;
    heap_remove(&w->timers, &j->timer);
    j->state = JOB_NEW;
}

void jobs_remove(struct worker *w, struct job *j)
{
    assert(j->state != JOB_RUNNING);
    jobs_leave_place(w, j);
    orphans_remove(w->orphans, j);
    if (w->alone == j)
        w->alone = NULL;
    TAILQ_REMOVE(&w->jobs, j, entry);
    w->job_count--;
    job_free(j);
    if (w->phase == WORKER_DRAINING)
        worker_wake(w); /* it may have been the last */
}

static unsigned held_max(const struct worker *w)
{
    const struct worker_config *c = &w->generation->config->worker;
    return c->held_max > 0 ? c->held_max : 4 * c->concurrency + 64;
}

void jobs_hold(struct worker *w, struct job *j, int64_t until_us)
{
    int64_t wait_us = until_us - clock_wall_us();
    int64_t wait_ms = wait_us > 0 ? wait_us / 1000 + 1 : 0;

    jobs_leave_place(w, j);
    j->held_until_us = until_us;
    if (heap_add(&w->timers, &j->timer, clock_mono_ms() + wait_ms) != CONEY_OK) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    j->state = JOB_HELD;
    w->held_count++;
    jobs_set_timer(w);
}

bool jobs_find_queue(const struct worker *w, struct job *j)
{
    const struct config *c = w->generation->config;
    /* Most often nothing has changed. */
    if (j->queue_index < c->queue_count &&
            strcmp(c->queues[j->queue_index].name, j->queue) == 0)
        return true;
    for (unsigned i = 0; i < c->queue_count; i++) {
        if (strcmp(c->queues[i].name, j->queue) != 0)
            continue;
        j->queue_index = i;
        return true;
    }
    return false;
}

void jobs_make_ready(struct worker *w, struct job *j)
{
    jobs_leave_place(w, j);
    if (!jobs_find_queue(w, j)) { /* its lane is being drained */
        settle_end(w, j, END_REQUEUE);
        return;
    }
    j->state = JOB_READY;
    if (!j->alone)
        dispatcher_add(w->dispatcher, &j->ready, j->queue_index, clock_mono_ms());
    worker_wake(w);
}

/* --- admission
 * ------------------------------------------------------------------------------ */

/* Not before @until_us: whole seconds in the broker's levels, the rest here. */
static void admit_later(struct worker *w, struct job *j, int64_t until_us)
{
    int64_t now_us = clock_wall_us();
    bool full = w->held_count >= held_max(w);

    if (delay_seconds(now_us, until_us) > 0 || full)
        conclude_put_back(w, j, full ? until_us + 1000000 : until_us);
    else
        jobs_hold(w, j, until_us);
}

static void admit_unknown(
        struct worker *w, struct job *j, const struct admission_verdict *v)
{
    struct envelope *e = &j->delivery.envelope;

    log_warning("no handler for task; %s  task=%s id=%s queue=%s",
            j->foreign ? "given back" : "tried again later", job_task(j), job_id(j),
            j->queue);
    if (j->foreign) {
        j->give_back = true;
        jobs_hold(w, j, clock_wall_us() + GIVE_BACK_US);
        return;
    }
    if (table_set_integer(&e->headers, e->arena, HEADER_UNKNOWN_SINCE,
                v->unknown_since_ms) != CONEY_OK ||
            table_set_integer(&e->headers, e->arena, HEADER_UNKNOWN_COUNT,
                    v->unknown_count) != CONEY_OK)
        settle_end(w, j, END_REQUEUE);
    else
        conclude_put_back(w, j, v->until_us);
}

/* Wait for a slot of the task's rate limit, once. True: go on. */
static bool pay_rate(struct worker *w, struct job *j)
{
    struct envelope *e = &j->delivery.envelope;

    int64_t rate = control_rate(w, job_runs(j), j->policy->rate_per_hour);

    if (rate == CONFIG_NONE || j->paid)
        return true;
    j->paid = true;
    if (table_find(&e->headers, HEADER_PAID))
        return true;
    int64_t now_us = clock_wall_us();
    int64_t slot_us = rates_reserve(w->rates, j->request->task, rate, now_us);
    if (slot_us <= now_us)
        return true;
    if (table_set_bool(&e->headers, e->arena, HEADER_PAID, true) != CONEY_OK)
        settle_end(w, j, END_REQUEUE);
    else
        admit_later(w, j, slot_us);
    return false;
}

/* A message that has come back very often may be what kills workers: it runs alone once,
 * so that it takes nobody along, and if it comes back from that, it is dead. True: go on.
 */
static bool check_poison(struct worker *w, struct job *j)
{
    const unsigned limit = w->generation->config->worker.poison_limit;
    int64_t count = 0;

    if (limit == 0 ||
            !table_integer(&j->delivery.envelope.headers, "x-delivery-count", &count) ||
            count < limit)
        return true;
    if (count > limit) {
        conclude_dead(w, j, DEAD_CRASHED,
                "WorkerLostError: delivered too often without an end");
        return false;
    }
    if (w->alone && w->alone != j) {
        jobs_hold(w, j, clock_wall_us() + ALONE_RETRY_US);
        return false;
    }
    log_warning("delivered %lld times without an end; runs alone now  task=%s id=%s",
            (long long)count, job_task(j), job_id(j));
    w->alone = j;
    j->alone = true;
    return true;
}

/* A runner is needed for everything but Celery's own tasks. */
static void begin(struct worker *w, struct job *j)
{
    enum coney_rc rc = CONEY_OK;

    if (builtin_is(j->request->task)) {
        conclude_builtin(w, j);
        return;
    }
    if (mapped_name(j->request) && !j->mapped)
        rc = mapped_new(j->request, &j->mapped);
    if (rc == CONEY_EINVAL)
        conclude_dead(w, j, DEAD_MALFORMED, "TypeError: a map without items");
    else if (rc != CONEY_OK)
        settle_end(w, j, END_REQUEUE);
    else if (j->mapped && mapped_is_done(j->mapped))
        conclude_mapped(w, j);
    else
        jobs_make_ready(w, j);
}

static void admit(struct worker *w, struct job *j, bool known)
{
    if (control_is_revoked(w, j)) {
        conclude_revoked(w, j, REVOKED_ASKED, 0);
        return;
    }
    const struct admission_facts facts = {
            .request = j->request,
            .headers = &j->delivery.envelope.headers,
            .known = known,
            .unknown_task_ttl_ms = w->generation->config->worker.unknown_task_ttl_ms,
            .now_us = clock_wall_us(),
    };
    struct admission_verdict v = admission_decide(&facts);

    switch (v.kind) {
    case ADMIT_EXPIRED:
        conclude_revoked(w, j, REVOKED_EXPIRED, 0);
        break;
    case ADMIT_LATER:
        admit_later(w, j, v.until_us);
        break;
    case ADMIT_UNKNOWN:
        admit_unknown(w, j, &v);
        break;
    case ADMIT_NOBODY:
        conclude_dead(
                w, j, DEAD_UNKNOWN_TASK, "NotRegistered: no worker knows this task");
        break;
    case ADMIT_START:
        if (pay_rate(w, j) && check_poison(w, j))
            begin(w, j);
        break;
    }
}

void jobs_admit(struct worker *w, struct job *j)
{
    admit(w, j,
            builtin_is(j->request->task) ||
                    generation_can_run(j->generation, j->policy, job_runs(j)));
}

void jobs_disown(struct worker *w, struct job *j)
{
    admit(w, j, false);
}

/* --- arrival
 * ---------------------------------------------------------------------------------- */

/* A copy of what an orphan is busy with, or has finished: it is what the orphan waited
 * for. */
static bool attach(struct worker *w, struct job *copy)
{
    struct job *j = orphans_find(
            w->orphans, copy->request->id, copy->request->retries, copy->queue);
    if (!j)
        return false;
    log_info("redelivery attached to its running job  task=%s id=%s queue=%s",
            job_task(j), job_id(j), j->queue);
    j->lane = copy->lane;
    j->tag = copy->tag;
    j->attached = true;
    copy->lane = NULL;
    orphans_remove(w->orphans, j);
    jobs_remove(w, copy);
    if (j->state == JOB_SETTLING)
        settle_resume(w, j);
    return true;
}

/* The broker's own dead-lettering takes what we can't publish ourselves. A foreign queue
 * may have none: there it stays unsettled, which blocks it here but loses nothing. */
static void refuse_flawed(struct worker *w, struct job *j)
{
    log_error("message can't be taken: %s; %s  queue=%s size=%llu",
            j->delivery.flaw == DELIVERY_BODY_TOO_LARGE
                    ? "larger than worker.body_max"
                    : "headers nested too deep or broken",
            j->foreign ? "left unsettled while this worker runs"
                       : "rejected to coney.dlx",
            j->queue, (unsigned long long)j->delivery.body_size);
    if (!j->foreign)
        settle_end(w, j, END_REJECT);
}

void jobs_receive(struct worker *w, struct lane *lane, struct delivery *d)
{
    struct coney_error err;
    struct message_limits limits = message_limits_default();
    struct job *j = job_new(lane, d);

    if (!j) {
        lane_nack(lane, d->tag, true);
        envelope_fini(&d->envelope);
        lane_release(lane);
        return;
    }
    TAILQ_INSERT_TAIL(&w->jobs, j, entry);
    w->job_count++;
    if (d->flaw != DELIVERY_WHOLE) {
        refuse_flawed(w, j);
        return;
    }
    limits.body_max = w->generation->config->worker.body_max;
    enum coney_rc rc = task_receive(&j->delivery.envelope, &limits, &j->request, &err);
    if (rc == CONEY_ENOMEM) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    if (rc != CONEY_OK) {
        conclude_dead(w, j, DEAD_MALFORMED, err.text);
        return;
    }
    if (attach(w, j))
        return;
    j->policy = config_policy(w->generation->config, job_runs(j));
    if (!j->policy) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    j->generation = generation_ref(w->generation);
    events_received(w, j);
    if (w->phase < WORKER_DRAINING)
        jobs_admit(w, j);
}

/* --- starts
 * ----------------------------------------------------------------------------------- */

/* What a server gets to know beside the arguments. Our own levels are no place that a
 * task was sent to. */
static enum coney_rc describe(
        const struct worker *w, const struct job *j, struct buffer *out)
{
    char delayed[AMQP_NAME_SIZE];
    name_of(NAME_DELAYED, w->generation->config->broker.prefix, delayed);
    bool is_delayed = strcmp(j->delivery.exchange, delayed) == 0 ||
                      strcmp(j->delivery.exchange, NAME_CELERY_DELAYED) == 0;
    const struct context c = {.envelope = &j->delivery.envelope,
            .exchange = is_delayed ? "" : j->delivery.exchange,
            .routing_key = is_delayed ? j->queue : j->delivery.routing_key,
            .hostname = w->node,
            .redelivered = j->delivery.redelivered};
    return context_encode(&c, out);
}

static enum coney_rc assign(struct worker *w, struct job *j, struct coney_error *err)
{
    struct buffer context;
    const struct task_request *r = j->request;
    struct limits limits = generation_limits(j->generation, j->policy, job_runs(j), r);
    control_limits(w, job_runs(j), r, &limits);
    buffer_init(&context, SIZE_MAX / 2);
    if (j->policy->handler == HANDLER_SERVER && describe(w, j, &context) != CONEY_OK) {
        buffer_fini(&context);
        return error_set_nomem(err);
    }
    struct assignment a = {
            .id = r->id,
            .task = job_runs(j),
            .root_id = r->root_id,
            .parent_id = r->parent_id,
            .queue = j->queue,
            .retries = r->retries,
            .redelivered = j->delivery.redelivered,
            .body = r->body,
            .context = {buffer_data(&context), buffer_len(&context)},
            .policy = j->policy,
            .soft_ms = limits.soft_ms,
            .hard_ms = limits.hard_ms,
            .job = j,
    };
    enum coney_rc rc = j->mapped ? mapped_body(j->mapped, &a.body) : CONEY_OK;
    if (rc == CONEY_OK)
        rc = pool_assign(w->pool, &a, err);
    buffer_fini(&context);
    return rc;
}

static void start(struct worker *w, struct job *j)
{
    struct coney_error err = {.text = "its item can't be written"};
    if (assign(w, j, &err) != CONEY_OK) {
        log_error("task could not be given to a runner: %s; tried again  task=%s id=%s",
                err.text, job_task(j), job_id(j));
        if (!j->alone)
            dispatcher_finished(w->dispatcher, j->ready.class_index);
        j->state = JOB_NEW;
        jobs_hold(w, j, clock_wall_us() + ALONE_RETRY_US);
        return;
    }
    j->state = JOB_RUNNING;
    if (j->started_us == 0) { /* not an item of a map, but the whole */
        j->started_us = clock_wall_us();
        events_started(w, j);
        results_started(w, j);
    }
    log_debug("task started  task=%s id=%s retries=%lld queue=%s", job_task(j), job_id(j),
            (long long)j->request->retries, j->queue);
}

static void start_alone(struct worker *w)
{
    if (w->alone->state == JOB_READY && pool_busy_count(w->pool) == 0 &&
            pool_free_count(w->pool) > 0)
        start(w, w->alone);
}

void jobs_dispatch(struct worker *w)
{
    while (w->phase == WORKER_RUNNING || w->phase == WORKER_STARTING) {
        if (w->alone) {
            start_alone(w);
            return;
        }
        struct ready *r =
                dispatcher_next(w->dispatcher, pool_free_count(w->pool), clock_mono_ms());
        if (!r)
            return;
        struct job *j = job_of_ready(r);
        j->state = JOB_NEW;
        if (admission_is_expired(j->request, clock_wall_us())) {
            dispatcher_finished(w->dispatcher, r->class_index);
            conclude_revoked(w, j, REVOKED_EXPIRED, 0);
            continue;
        }
        if (control_is_revoked(w, j)) {
            dispatcher_finished(w->dispatcher, r->class_index);
            conclude_revoked(w, j, REVOKED_ASKED, 0);
            continue;
        }
        start(w, j);
    }
}

/* --- revocations
 * --------------------------------------------------------------------------------- */

void jobs_revoke_waiting(struct worker *w)
{
    struct job *next;
    for (struct job *j = TAILQ_FIRST(&w->jobs); j; j = next) {
        next = TAILQ_NEXT(j, entry);
        bool waits = j->state == JOB_HELD || j->state == JOB_READY;
        if (!waits || !control_is_revoked(w, j))
            continue;
        jobs_leave_place(w, j);
        if (w->alone == j)
            w->alone = NULL;
        conclude_revoked(w, j, REVOKED_ASKED, 0);
    }
    jobs_set_timer(w);
}

/* --- lanes
 * ------------------------------------------------------------------------------ */

static bool has_started(const struct job *j)
{
    return j->state == JOB_RUNNING || j->state == JOB_SETTLING;
}

void jobs_hand_back(struct worker *w, struct lane *lane)
{
    struct job *next;
    for (struct job *j = TAILQ_FIRST(&w->jobs); j; j = next) {
        next = TAILQ_NEXT(j, entry);
        if (j->lane != lane || has_started(j))
            continue;
        lane_nack(lane, j->tag, true);
        jobs_remove(w, j);
    }
}

static void orphan_job(struct worker *w, struct job *j)
{
    settle_withdraw(w, j);
    job_orphan(j);
    heap_remove(&w->timers, &j->timer);
    if (!j->request || orphans_add(w->orphans, j) != CONEY_OK)
        j->abandoned = true;
    if (j->state == JOB_SETTLING)
        settle_resume(w, j);
}

void jobs_lose_lane(struct worker *w, struct lane *lane)
{
    struct job *next;
    for (struct job *j = TAILQ_FIRST(&w->jobs); j; j = next) {
        next = TAILQ_NEXT(j, entry);
        if (j->lane != lane)
            continue;
        if (has_started(j))
            orphan_job(w, j);
        else
            jobs_remove(w, j);
    }
    jobs_set_timer(w);
}
