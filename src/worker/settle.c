/* SPDX-License-Identifier: MIT */
/*
 * settle.c - from an outcome to the ack: what must outlive the job is published and
 * confirmed, and only then is the delivery settled.
 *
 * An orphan publishes nothing until its copy has come: then the copy is what is settled.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "queue/names.h"
#include "worker/admission.h"
#include "worker/state.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    TRY_AGAIN_MS = 1000,
    /* For a client that lost the broker when we did, to come back and declare its queue.
     */
    RESULT_TRIES_MAX = 30,
    ERROR_TEXT_SIZE = 600
};

static const char *prefix_of(const struct worker *w)
{
    return w->generation->config->broker.prefix;
}

/* --- what is published
 * ------------------------------------------------------------------------ */

/* Address @out, whose envelope is filled in. */
static enum coney_rc address(struct outgoing *out, enum outlet_channel channel,
        const char *exchange, const char *routing_key)
{
    out->channel = channel;
    out->exchange = arena_strdup(out->envelope.arena, exchange);
    out->routing_key = arena_strdup(out->envelope.arena, routing_key);
    return out->exchange && out->routing_key ? CONEY_OK : CONEY_ENOMEM;
}

/* Through the levels for whole seconds, else straight back to its queue. */
static enum coney_rc address_delayed(struct worker *w, struct job *j, int64_t until_us)
{
    struct delay_route route;
    int64_t delay_s =
            until_us == TASK_NO_TIME ? 0 : delay_seconds(clock_wall_us(), until_us);

    if (delay_s > 0 && delay_route(prefix_of(w), delay_s, j->queue, &route) == CONEY_OK)
        return address(&j->successor, OUTLET_SETTLE, route.exchange, route.routing_key);
    j->successor.mandatory = true;
    return address(&j->successor, OUTLET_SETTLE, "", j->queue);
}

static enum coney_rc prepare_again(
        struct worker *w, struct job *j, int64_t retries, int64_t until_us, bool is_retry)
{
    const struct task_again again = {
            .retries = retries,
            .eta_us = until_us,
            .parent_id = is_retry ? j->request->id : NULL,
    };
    enum coney_rc rc = task_encode_again(
            &j->delivery.envelope, &again, &j->successor.envelope, NULL);
    if (rc == CONEY_OK)
        rc = address_delayed(w, j, until_us);
    if (rc == CONEY_OK)
        j->has_successor = true;
    return rc;
}

static enum coney_rc prepare_dead_letter(
        struct worker *w, struct job *j, const struct evidence *evidence)
{
    char exchange[AMQP_NAME_SIZE];
    char key[AMQP_NAME_SIZE];

    name_of(NAME_DEAD_EXCHANGE, prefix_of(w), exchange);
    struct bytes task = table_text(&j->delivery.envelope.headers, "task");
    dead_letter_key(j->queue, task.data ? task.data : "", key);
    enum coney_rc rc =
            dead_letter_encode(&j->delivery.envelope, evidence, &j->successor.envelope);
    if (rc == CONEY_OK)
        rc = address(&j->successor, OUTLET_SETTLE, exchange, key);
    if (rc == CONEY_OK)
        j->has_successor = true;
    return rc;
}

static bool wants_result(const struct worker *w, const struct job *j)
{
    if (!w->generation->config->worker.results || !j->request || !j->request->reply_to)
        return false;
    switch (j->request->ignore_result) {
    case TASK_RESULT_KEEP:
        return true;
    case TASK_RESULT_IGNORE:
        return false;
    case TASK_RESULT_DEFAULT:
        break;
    }
    return !j->policy || !j->policy->ignore_result;
}

/* A value that Celery's clients could not read (a type they do not know, too large)
 * becomes a failure that says so: the task has run, and is not worth losing or repeating
 * for it. */
static enum coney_rc encode_result(struct job *j, const struct result *r)
{
    struct coney_error err;
    enum coney_rc rc = result_encode(r, &j->result.envelope, &err);

    if (rc != CONEY_EINVAL && rc != CONEY_ELIMIT)
        return rc;
    log_error("result can't be sent: %s; sent as a failure  task=%s id=%s", err.text,
            job_task(j), job_id(j));
    const struct result instead = {
            .task_id = r->task_id,
            .correlation_id = r->correlation_id,
            .status = RESULT_FAILURE,
            .exc_type = "EncodeError",
            .exc_module = "kombu.exceptions",
            .exc_text = err.text,
    };
    return result_encode(&instead, &j->result.envelope, NULL);
}

static void prepare_result(struct worker *w, struct job *j, struct result *r)
{
    if (!wants_result(w, j))
        return;
    r->task_id = j->request->id;
    r->correlation_id = j->request->correlation_id;
    enum coney_rc rc = encode_result(j, r);
    if (rc == CONEY_OK)
        rc = address(&j->result, OUTLET_FOREIGN, "", j->request->reply_to);
    if (rc == CONEY_OK)
        j->has_result = true;
    else
        log_error("result lost: %s  task=%s id=%s", coney_rc_name(rc), job_task(j),
                job_id(j));
}

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

static bool is_on_its_way(const struct job *j)
{
    return j->successor.state != OUTGOING_IDLE || j->result.state != OUTGOING_IDLE;
}

static void hand_over(struct worker *w, struct job *j, struct outgoing *out)
{
    if (out->state != OUTGOING_IDLE)
        return;
    out->owner = j;
    outlet_publish(w->outlet, out);
}

void settle_resume(struct worker *w, struct job *j)
{
    assert(j->state == JOB_SETTLING);
    bool successor_missing = j->has_successor && !j->successor_done;
    bool result_missing = j->has_result && !j->result_done;

    if (j->lane && successor_missing)
        hand_over(w, j, &j->successor);
    if (j->lane && result_missing) {
        /* Most reply queues are gone because nobody waits; only after a loss is it likely
         * that somebody does, and is not back yet. */
        j->result.mandatory = j->attached;
        hand_over(w, j, &j->result);
    }
    if (is_on_its_way(j))
        return;
    if (!j->lane || (!successor_missing && !result_missing))
        finish(w, j);
}

static void begin(struct worker *w, struct job *j, enum job_end end)
{
    j->state = JOB_SETTLING;
    j->end = end;
    settle_resume(w, j);
}

void settle_end(struct worker *w, struct job *j, enum job_end end)
{
    j->has_successor = false;
    j->has_result = false;
    begin(w, j, end);
}

/* Whether a message that no queue took is worth another try. */
static bool may_find_its_queue(struct job *j, const struct outgoing *out)
{
    if (out == &j->result)
        return out->mandatory && j->result_tries++ < RESULT_TRIES_MAX;
    return out->mandatory;
}

static void take_returned(struct job *j, const struct outgoing *out)
{
    log_error("message can't be published; %s  key=%s task=%s id=%s",
            out == &j->result ? "result lost" : "delivery rejected to the broker",
            out->routing_key, job_task(j), job_id(j));
    if (out == &j->successor)
        j->end = END_REJECT;
}

/* Whether @out needs no more thought. */
static bool is_settled_by(
        struct job *j, const struct outgoing *out, enum publish_outcome outcome)
{
    switch (outcome) {
    case PUBLISH_ACKED:
        return true;
    case PUBLISH_RETURNED:
        if (!may_find_its_queue(j, out)) {
            take_returned(j, out);
            return true;
        }
        if (out == &j->result)
            log_debug("reply queue is not there; tried again in 1 s  key=%s id=%s",
                    out->routing_key, job_id(j));
        else
            log_error("queue is gone; tried again in 1 s  queue=%s task=%s id=%s",
                    j->queue, job_task(j), job_id(j));
        return false;
    case PUBLISH_NACKED:
        log_warning(
                "broker did not take a message; tried again in 1 s  key=%s task=%s id=%s",
                out->routing_key, job_task(j), job_id(j));
        return false;
    case PUBLISH_UNKNOWN:
        return false;
    }
    return false;
}

void settle_published(
        struct worker *w, struct outgoing *out, enum publish_outcome outcome)
{
    struct job *j = out->owner;
    bool *done = out == &j->successor ? &j->successor_done : &j->result_done;

    *done = is_settled_by(j, out, outcome);
    if (*done || !j->lane)
        settle_resume(w, j);
    else if (!heap_has(&j->timer) &&
             heap_add(&w->timers, &j->timer, clock_mono_ms() + TRY_AGAIN_MS) != CONEY_OK)
        settle_resume(w, j);
    jobs_set_timer(w);
}

/* --- what follows from an outcome
 * ------------------------------------------------------------------ */

/* "SmsError: gateway said 503" */
static const char *error_line(const struct outcome *o, char text[ERROR_TEXT_SIZE])
{
    snprintf(text, ERROR_TEXT_SIZE, "%s: %s", o->error_type ? o->error_type : "Error",
            o->error_text ? o->error_text : "");
    return text;
}

static const char *attempt_name(enum outcome_kind kind)
{
    switch (kind) {
    case OUTCOME_RETRY:
        return "retry";
    case OUTCOME_CRASHED:
        return "crashed";
    case OUTCOME_TIMED_OUT:
        return "timed_out";
    case OUTCOME_SUCCESS:
    case OUTCOME_FAIL:
    case OUTCOME_REJECT:
    case OUTCOME_IGNORE:
    case OUTCOME_STOPPED:
    case OUTCOME_UNKNOWN:
        break;
    }
    return "failed";
}

static struct attempt attempt_of(
        const struct worker *w, const struct outcome *o, const char *error)
{
    return (struct attempt){
            .at_us = clock_wall_us(),
            .duration_ms = o->duration_ms,
            .node = w->node,
            .outcome = attempt_name(o->kind),
            .error = error,
    };
}

static struct result failure_of(const struct outcome *o, enum result_status status)
{
    return (struct result){
            .status = status,
            .exc_type = o->error_type,
            .exc_module = o->kind == OUTCOME_TIMED_OUT || o->kind == OUTCOME_CRASHED
                                  ? "billiard.exceptions"
                                  : NULL,
            .exc_text = o->error_text,
            .traceback = o->traceback,
    };
}

static void settle_success(struct worker *w, struct job *j, const struct outcome *o)
{
    struct coney_error err;
    json_t *value = NULL;

    if (o->value.len > 0 && wants_result(w, j)) {
        json_error_t bad;
        value = json_loadb(o->value.data, o->value.len, JSON_DECODE_ANY, &bad);
        if (!value) {
            (void)error_set(&err, CONEY_ESYNTAX, "%s", bad.text);
            log_error("result is not JSON: %s; sent as null  task=%s id=%s", err.text,
                    job_task(j), job_id(j));
        }
    }
    struct result r = {.status = RESULT_SUCCESS, .value = value};
    prepare_result(w, j, &r);
    json_decref(value);
    log_info("task succeeded in %.3f s  task=%s id=%s retries=%lld queue=%s pid=%d",
            (double)o->duration_ms / 1000, job_task(j), job_id(j),
            (long long)j->request->retries, j->queue, o->runner_pid);
    begin(w, j, END_ACK);
}

static void settle_retry(
        struct worker *w, struct job *j, const struct outcome *o, int64_t delay_ms)
{
    char text[ERROR_TEXT_SIZE];
    char eta[TIME_TEXT_SIZE];
    struct envelope *e = &j->delivery.envelope;
    const struct attempt last = attempt_of(w, o, error_line(o, text));
    int64_t eta_us = clock_wall_us() + delay_ms * 1000;

    table_remove(&e->headers, HEADER_PAID);
    table_remove(&e->headers, HEADER_UNKNOWN_SINCE);
    table_remove(&e->headers, HEADER_UNKNOWN_COUNT);
    enum coney_rc rc = history_append(&e->headers, e->arena, &last);
    if (rc == CONEY_OK)
        rc = prepare_again(w, j, j->request->retries + 1, eta_us, true);
    if (rc != CONEY_OK) {
        log_error("retry could not be made; delivery handed back  task=%s id=%s",
                job_task(j), job_id(j));
        settle_end(w, j, END_REQUEUE);
        return;
    }
    struct result r = failure_of(o, RESULT_RETRY);
    prepare_result(w, j, &r);
    time_format(eta_us, eta);
    log_warning(
            "task failed: %s; retry %lld in %.3f s  task=%s id=%s queue=%s after=%.3fs "
            "pid=%d eta=%s",
            text, (long long)j->request->retries + 1, (double)delay_ms / 1000,
            job_task(j), job_id(j), j->queue, (double)o->duration_ms / 1000,
            o->runner_pid, eta);
    begin(w, j, END_ACK);
}

static void settle_failure(
        struct worker *w, struct job *j, const struct outcome *o, enum dead_reason reason)
{
    char text[ERROR_TEXT_SIZE];
    const struct attempt last = attempt_of(w, o, error_line(o, text));
    const struct evidence evidence = {
            .reason = reason,
            .error = text,
            .queue = j->queue,
            .attempts = j->request->retries + 1,
            .dead_at_us = clock_wall_us(),
            .last = &last,
            .signal = o->signal,
            .exit_status = o->exit_status,
            .max_rss_kib = o->max_rss_kib,
            .stderr_tail = o->stderr_tail,
    };

    if (prepare_dead_letter(w, j, &evidence) != CONEY_OK) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    struct result r = failure_of(o, RESULT_FAILURE);
    prepare_result(w, j, &r);
    log_error("task failed for good: %s  reason=%s task=%s id=%s attempts=%lld queue=%s "
              "after=%.3fs pid=%d",
            text, dead_reason_name(reason), job_task(j), job_id(j),
            (long long)evidence.attempts, j->queue, (double)o->duration_ms / 1000,
            o->runner_pid);
    begin(w, j, END_ACK);
}

/* It did not run to an end: here again if we may, else it is somebody else's. */
static void settle_stopped(struct worker *w, struct job *j)
{
    if (!j->lane) {
        j->abandoned = true;
        settle_end(w, j, END_REQUEUE);
    } else if (w->phase < WORKER_DRAINING && j->lane->state == LANE_CONSUMING) {
        jobs_make_ready(w, j);
    } else {
        log_info("task stopped; handed back  task=%s id=%s queue=%s", job_task(j),
                job_id(j), j->queue);
        settle_end(w, j, END_REQUEUE);
    }
}

void settle_outcome(struct worker *w, struct job *j, const struct outcome *o)
{
    if (j->alone) {
        w->alone = NULL;
        j->alone = false;
    } else {
        dispatcher_finished(w->dispatcher, j->ready.class_index);
    }
    j->state = JOB_NEW;
    const struct retry_policy retry =
            generation_retry(j->generation, j->policy, j->request->task);
    struct consequence v = consequence_of(o, &retry, j->request->retries, &w->rng);
    switch (v.kind) {
    case CONSEQUENCE_DONE:
        settle_success(w, j, o);
        break;
    case CONSEQUENCE_IGNORED:
        log_info(
                "task ignored  task=%s id=%s queue=%s", job_task(j), job_id(j), j->queue);
        settle_end(w, j, END_ACK);
        break;
    case CONSEQUENCE_RETRY:
        settle_retry(w, j, o, v.delay_ms);
        break;
    case CONSEQUENCE_DEAD:
        settle_failure(w, j, o, v.reason);
        break;
    case CONSEQUENCE_UNKNOWN:
        settle_put_back(w, j, clock_wall_us() + 2 * INT64_C(1000000));
        break;
    case CONSEQUENCE_RETURN:
        settle_stopped(w, j);
        break;
    }
}

/* --- without an outcome
 * ------------------------------------------------------------------------------ */

void settle_dead(
        struct worker *w, struct job *j, enum dead_reason reason, const char *text)
{
    const struct evidence evidence = {
            .reason = reason,
            .error = text,
            .queue = j->queue,
            .attempts = j->request ? j->request->retries : 0,
            .dead_at_us = clock_wall_us(),
            .exit_status = -1,
            .max_rss_kib = -1,
    };
    struct result r = {
            .status = RESULT_FAILURE,
            .exc_type = reason == DEAD_UNKNOWN_TASK ? "NotRegistered" : NULL,
            .exc_module = reason == DEAD_UNKNOWN_TASK ? "celery.exceptions" : NULL,
            .exc_text = reason == DEAD_UNKNOWN_TASK ? job_task(j) : text,
    };

    if (prepare_dead_letter(w, j, &evidence) != CONEY_OK) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    prepare_result(w, j, &r);
    log_error("dead letter: %s  reason=%s task=%s id=%s queue=%s", text,
            dead_reason_name(reason), job_task(j), job_id(j), j->queue);
    begin(w, j, END_ACK);
}

void settle_expired(struct worker *w, struct job *j)
{
    struct result r = {
            .status = RESULT_REVOKED,
            .exc_type = "TaskRevokedError",
            .exc_module = "celery.exceptions",
            .exc_text = "expired",
    };

    prepare_result(w, j, &r);
    log_info("task expired before it could start  task=%s id=%s queue=%s", job_task(j),
            job_id(j), j->queue);
    begin(w, j, END_ACK);
}

void settle_put_back(struct worker *w, struct job *j, int64_t until_us)
{
    if (prepare_again(w, j, j->request->retries, until_us, false) != CONEY_OK) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    log_debug("task put back until its time  task=%s id=%s queue=%s", job_task(j),
            job_id(j), j->queue);
    begin(w, j, END_ACK);
}
