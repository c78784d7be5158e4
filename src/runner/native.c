/* SPDX-License-Identifier: MIT */
/* native.c - the table of functions that a plugin gets. */
#include "runner/native.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <string.h>

/* What a task has said last; the texts and the result are in its attempt's outcome. */
enum said {
    SAID_NOTHING,
    SAID_RESULT,
    SAID_BAD_RESULT, /* one that can't be kept; the outcome is that error */
    SAID_ERROR
};

/* What a struct coney_task really is. */
struct native_task {
    struct coney_task public; /* first: a plugin's pointer is ours */
    struct attempt *attempt;
    enum said said;
    int64_t delay_ms; /* SAID_ERROR */
};

static struct native_task *native(const struct coney_task *task)
{
    union {
        const struct coney_task *given;
        struct native_task *own;
    } pointer = {.given = task}; /* the const is the plugin's promise, not ours */
    return pointer.own;
}

static const struct record_job *job_of(const struct coney_task *task)
{
    return native(task)->attempt->job;
}

static enum log_level level_of(enum coney_level level)
{
    switch (level) {
    case CONEY_LEVEL_ERROR:
        return LOG_LEVEL_ERROR;
    case CONEY_LEVEL_WARNING:
        return LOG_LEVEL_WARNING;
    case CONEY_LEVEL_INFO:
        return LOG_LEVEL_INFO;
    case CONEY_LEVEL_DEBUG:
        return LOG_LEVEL_DEBUG;
    }
    return LOG_LEVEL_INFO; /* from a plugin newer than this worker */
}

/* --- the table ---------------------------------------------------------------------- */

static const char *api_id(const struct coney_task *task)
{
    return job_of(task)->id;
}

static const char *api_name(const struct coney_task *task)
{
    return job_of(task)->task;
}

static const char *api_root_id(const struct coney_task *task)
{
    return job_of(task)->root_id;
}

static const char *api_parent_id(const struct coney_task *task)
{
    return job_of(task)->parent_id;
}

static const char *api_queue(const struct coney_task *task)
{
    return job_of(task)->queue;
}

static int64_t api_retries(const struct coney_task *task)
{
    return job_of(task)->retries;
}

static int api_is_redelivered(const struct coney_task *task)
{
    return job_of(task)->redelivered;
}

static int64_t api_deadline_us(const struct coney_task *task)
{
    int64_t deadline_us;
    return attempt_deadline(native(task)->attempt, &deadline_us) ? deadline_us
                                                                 : CONEY_NO_DEADLINE;
}

static int64_t api_remaining_ms(const struct coney_task *task)
{
    const struct attempt *a = native(task)->attempt;
    int64_t limit_ms = attempt_first_limit_ms(a);
    int64_t gone_ms = clock_mono_ms() - a->started_ms;
    if (limit_ms == RECORD_NONE)
        return CONEY_NO_DEADLINE;
    return gone_ms < limit_ms ? limit_ms - gone_ms : 0;
}

static int api_is_soft_limit_passed(const struct coney_task *task)
{
    const struct attempt_host *host = native(task)->attempt->host;
    return host->is_soft_limit(host->ctx);
}

static void api_log(struct coney_task *task, enum coney_level level, const char *text)
{
    struct attempt *a = native(task)->attempt;
    char line[RECORD_LOG_MAX];
    /* On the stack: a task that logs for ever must not grow. */
    utf8_printable(line, sizeof(line), (struct bytes){text, strlen(text)});
    a->host->log(a->host->ctx, level_of(level), line);
}

static void api_set_result(struct coney_task *task, json_t *value_take)
{
    struct native_task *t = native(task);
    attempt_set_value(t->attempt, value_take);
    json_decref(value_take);
    bool is_good = t->attempt->outcome.kind == RECORD_SUCCESS;
    t->said = is_good ? SAID_RESULT : SAID_BAD_RESULT;
}

static void api_set_error(
        struct coney_task *task, const char *type, const char *text, int64_t delay_ms)
{
    struct native_task *t = native(task);
    attempt_set_error(t->attempt, RECORD_FAIL, type, text);
    t->said = SAID_ERROR;
    t->delay_ms = delay_ms;
}

static const char *api_send(struct coney_task *task, json_t *signature_take)
{
    const char *id = attempt_send(native(task)->attempt, signature_take);
    json_decref(signature_take);
    return id;
}

static void api_runner_log(
        struct coney_runner *runner, enum coney_level level, const char *text)
{
    struct native_runner *r = (struct native_runner *)runner;
    char line[RECORD_LOG_MAX];
    utf8_printable(line, sizeof(line), (struct bytes){text, strlen(text)});
    r->log(r->ctx, level_of(level), line);
}

static const char *api_node(const struct coney_runner *runner)
{
    return ((const struct native_runner *)runner)->node;
}

static const struct coney_api api = {.size = sizeof(api),
        .abi = CONEY_TASK_ABI,
        .id = api_id,
        .name = api_name,
        .root_id = api_root_id,
        .parent_id = api_parent_id,
        .queue = api_queue,
        .retries = api_retries,
        .is_redelivered = api_is_redelivered,
        .deadline_us = api_deadline_us,
        .remaining_ms = api_remaining_ms,
        .is_soft_limit_passed = api_is_soft_limit_passed,
        .log = api_log,
        .set_result = api_set_result,
        .set_error = api_set_error,
        .runner_log = api_runner_log,
        .node = api_node,
        .send = api_send};

/* --- running ------------------------------------------------------------------------ */

void native_runner_init(struct native_runner *r, const char *node,
        void (*log)(void *ctx, enum log_level level, const char *text), void *ctx)
{
    *r = (struct native_runner){
            .public = {.api = &api}, .node = node, .log = log, .ctx = ctx};
}

static void keep_error(struct native_task *t, enum record_kind kind)
{
    if (t->said != SAID_ERROR)
        attempt_set_error(t->attempt, kind, "TaskError", "the task gave no reason");
    t->attempt->outcome.kind = kind;
    if (kind == RECORD_RETRY && t->delay_ms > 0)
        t->attempt->outcome.delay_ms = t->delay_ms;
}

static void keep(struct native_task *t, enum coney_outcome returned)
{
    switch (returned) {
    case CONEY_SUCCESS:
        if (t->said == SAID_ERROR) /* and thought better of it */
            attempt_set_json(t->attempt, (struct bytes){"", 0});
        return;
    case CONEY_RETRY:
        keep_error(t, RECORD_RETRY);
        return;
    case CONEY_FAIL:
        keep_error(t, RECORD_FAIL);
        return;
    case CONEY_REJECT:
        keep_error(t, RECORD_REJECT);
        return;
    case CONEY_IGNORE:
        t->attempt->outcome.kind = RECORD_IGNORE;
        return;
    }
    attempt_set_errorf(t->attempt, RECORD_FAIL, "InvalidOutcome",
            "the task returned %d, which means nothing", (int)returned);
}

void native_run(struct attempt *a, coney_task_fn *function)
{
    json_t *args, *kwargs;
    struct native_task t = {.public = {.api = &api}, .attempt = a};
    if (attempt_decode(a, &args, &kwargs))
        keep(&t, function(&t.public, args, kwargs));
}
