/* SPDX-License-Identifier: MIT */
/*
 * conclude.c - how a job ends: what an outcome leads to, and the ends of jobs that never
 * ran. Each end is a list of steps (prepare.c), which settle.c carries out.
 */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "worker/admission.h"
#include "worker/builtin.h"
#include "worker/state.h"

#include <stdio.h>

/* A runner has read it before; the depth is only against a stack overflow. */
enum { ERROR_TEXT_SIZE = 600, JSON_DEPTH_MAX = 512 };

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
    case OUTCOME_REQUEUE:
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

/* JSON that a task has written, for a look at it. NULL: there is none, or it isn't JSON,
 * which is logged. */
static json_t *read_json(const struct job *j, const char *what, struct bytes text)
{
    const struct json_limits limits = {
            .text_max = SIZE_MAX, .values_max = SIZE_MAX, .depth_max = JSON_DEPTH_MAX};
    struct coney_error err;
    json_t *v = NULL;

    if (text.len > 0 && json_read(text, &limits, &v, &err) != CONEY_OK)
        log_error("%s of a task can't be read: %s  task=%s id=%s", what, err.text,
                job_task(j), job_id(j));
    return v;
}

/* What a failure tells others: its result, and for good also what waits for it. */
static void tell_failure(struct worker *w, struct job *j, const struct outcome *o,
        enum result_status status)
{
    json_t *args = read_json(j, "exception", o->error_args);
    const struct result r = {
            .status = status,
            .exc_type = o->error_type,
            .exc_module = o->error_module,
            .exc_text = o->error_text,
            .exc_message = args,
            .traceback = o->traceback,
    };
    if (!o->no_result)
        prepare_result(w, j, &r);
    if (status == RESULT_FAILURE)
        follow_failure(w, j, &r);
    json_decref(args);
}

static void succeed(struct worker *w, struct job *j, const struct outcome *o)
{
    bool wants_result = !o->no_result && prepare_wants_result(w, j);
    json_t *value = wants_result || follow_needs_value(j)
                            ? read_json(j, "result", o->value)
                            : NULL;
    struct bytes spelled = value ? o->value : (struct bytes){NULL, 0};
    if (!value)
        value = json_null();
    json_t *children = follow_success(w, j, o, value);
    const struct result r = {.status = RESULT_SUCCESS,
            .value = value,
            .value_text = spelled,
            .children = children};

    if (wants_result)
        prepare_result(w, j, &r);
    join_part(w, j, j->request, &r);
    json_decref(value);
    json_decref(children);
    log_info("task succeeded in %.3f s  task=%s id=%s retries=%lld queue=%s pid=%d",
            (double)o->duration_ms / 1000, job_task(j), job_id(j),
            (long long)j->request->retries, j->queue, o->runner_pid);
    events_succeeded(w, j, o);
    settle_begin(w, j, END_ACK);
}

static void retry(
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
    const struct task_again again = {.retries = j->request->retries + 1,
            .eta_us = eta_us,
            .parent_id = j->request->id,
            .arguments = o->again,
            .body = j->request->body};
    enum coney_rc rc = history_append(&e->headers, e->arena, &last);
    if (rc == CONEY_OK)
        rc = prepare_again(w, j, &again);
    if (rc != CONEY_OK) {
        log_error("retry could not be made; delivery handed back  task=%s id=%s",
                job_task(j), job_id(j));
        settle_end(w, j, END_REQUEUE);
        return;
    }
    tell_failure(w, j, o, RESULT_RETRY);
    time_format(eta_us, eta);
    log_warning(
            "task failed: %s; retry %lld in %.3f s  task=%s id=%s queue=%s after=%.3fs "
            "pid=%d eta=%s",
            text, (long long)j->request->retries + 1, (double)delay_ms / 1000,
            job_task(j), job_id(j), j->queue, (double)o->duration_ms / 1000,
            o->runner_pid, eta);
    events_retried(w, j, o);
    settle_begin(w, j, END_ACK);
}

static void fail(
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

    if (prepare_dead_letter(w, j, &j->delivery.envelope, &evidence) != CONEY_OK) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    tell_failure(w, j, o, RESULT_FAILURE);
    log_error("task failed for good: %s  reason=%s task=%s id=%s attempts=%lld queue=%s "
              "after=%.3fs pid=%d",
            text, dead_reason_name(reason), job_task(j), job_id(j),
            (long long)evidence.attempts, j->queue, (double)o->duration_ms / 1000,
            o->runner_pid);
    if (reason == DEAD_REJECTED)
        events_rejected(w, j); /* alone it would leave the task started, for monitors */
    events_failed(w, j, o);
    settle_begin(w, j, END_ACK);
}

/* There is more to run: here if we may, else it is somebody else's, from the beginning.
 */
static void stop(struct worker *w, struct job *j)
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

/* Whether this is how it ended because it was to end. One that has succeeded all the
 * same has, unless that was only an item of many. */
static bool is_terminated(struct worker *w, struct job *j, const struct outcome *o)
{
    if (j->terminated_by == 0)
        return false;
    heap_remove(&w->timers, &j->timer);
    return (o->kind != OUTCOME_SUCCESS || j->mapped) && o->kind != OUTCOME_IGNORE;
}

static void conclude(struct worker *w, struct job *j, const struct outcome *o)
{
    const struct retry_policy policy =
            generation_retry(j->generation, j->policy, job_runs(j));
    struct consequence v = consequence_of(o, &policy, j->request->retries, &w->rng);
    switch (v.kind) {
    case CONSEQUENCE_DONE:
        succeed(w, j, o);
        break;
    case CONSEQUENCE_IGNORED:
        log_info(
                "task ignored  task=%s id=%s queue=%s", job_task(j), job_id(j), j->queue);
        settle_end(w, j, END_ACK);
        break;
    case CONSEQUENCE_RETRY:
        retry(w, j, o, v.delay_ms);
        break;
    case CONSEQUENCE_DEAD:
        fail(w, j, o, v.reason);
        break;
    case CONSEQUENCE_PUT_BACK:
        conclude_put_back(w, j, clock_wall_us() + v.delay_ms * 1000);
        break;
    case CONSEQUENCE_UNKNOWN:
        jobs_disown(w, j);
        break;
    case CONSEQUENCE_RETURN:
        stop(w, j);
        break;
    }
}

void conclude_mapped(struct worker *w, struct job *j)
{
    struct outcome o = outcome_none();
    int64_t since_us = j->started_us > 0 ? clock_wall_us() - j->started_us : 0;

    o.duration_ms = since_us > 0 ? since_us / 1000 : 0;
    if (mapped_value(j->mapped, &o.value) == CONEY_OK)
        conclude(w, j, &o);
    else
        settle_end(w, j, END_REQUEUE);
}

/* One item of a map has succeeded: the next one, or the end. */
static void conclude_item(struct worker *w, struct job *j, const struct outcome *o)
{
    enum coney_rc rc = mapped_add(j->mapped, o->value);

    json_decref(follow_publish(w, j, o));
    if (rc == CONEY_OK && mapped_is_done(j->mapped)) {
        conclude_mapped(w, j);
    } else if (rc == CONEY_OK) {
        stop(w, j);
    } else {
        struct outcome full = outcome_none();
        full.kind = OUTCOME_REJECT;
        full.error_type = "EncodeError";
        full.error_module = "kombu.exceptions";
        full.error_text = "the results of all items are too large for one";
        conclude(w, j, &full);
    }
}

void conclude_outcome(struct worker *w, struct job *j, const struct outcome *o)
{
    if (j->alone) {
        w->alone = NULL;
        j->alone = false;
    } else {
        dispatcher_finished(w->dispatcher, j->ready.class_index);
    }
    j->state = JOB_NEW;
    if (o->tasks.len > 0)
        generation_learn(j->generation, o->tasks);
    if (is_terminated(w, j, o)) {
        pool_kill_runner(w->pool, o->runner_pid); /* for what its task has started */
        conclude_revoked(w, j, REVOKED_TERMINATED, j->terminated_by);
    } else if (j->mapped && o->kind == OUTCOME_SUCCESS) {
        conclude_item(w, j, o);
    } else {
        conclude(w, j, o);
    }
}

void conclude_builtin(struct worker *w, struct job *j)
{
    struct outcome o;
    struct arena *a = arena_new(0);

    if (a && builtin_answer(j->request, a, &o) == CONEY_OK)
        conclude(w, j, &o);
    else
        settle_end(w, j, END_REQUEUE);
    arena_free(a);
}

/* --- without an outcome
 * ------------------------------------------------------------------------------ */

void conclude_dead(
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

    if (prepare_dead_letter(w, j, &j->delivery.envelope, &evidence) != CONEY_OK) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    prepare_result(w, j, &r);
    follow_failure(w, j, &r);
    log_error("dead letter: %s  reason=%s task=%s id=%s queue=%s", text,
            dead_reason_name(reason), job_task(j), job_id(j), j->queue);
    events_unfit(w, j, reason, text);
    settle_begin(w, j, END_ACK);
}

void conclude_revoked(struct worker *w, struct job *j, enum revoked_why why, int signum)
{
    static const char *const words[] = {
            [REVOKED_EXPIRED] = "expired",
            [REVOKED_ASKED] = "revoked",
            [REVOKED_TERMINATED] = "terminated",
    };
    struct result r = {
            .status = RESULT_REVOKED,
            .exc_type = "TaskRevokedError",
            .exc_module = "celery.exceptions",
            .exc_text = words[why],
    };

    prepare_result(w, j, &r);
    follow_failure(w, j, &r);
    log_info("task %s%s  task=%s id=%s queue=%s", words[why],
            why == REVOKED_TERMINATED ? "" : " before it could start", job_task(j),
            job_id(j), j->queue);
    events_revoked(w, j, why, signum);
    settle_begin(w, j, END_ACK);
}

void conclude_put_back(struct worker *w, struct job *j, int64_t until_us)
{
    const struct task_again again = {.retries = j->request->retries, .eta_us = until_us};

    if (prepare_again(w, j, &again) != CONEY_OK) {
        settle_end(w, j, END_REQUEUE);
        return;
    }
    log_debug("task put back until its time  task=%s id=%s queue=%s", job_task(j),
            job_id(j), j->queue);
    settle_begin(w, j, END_ACK);
}
