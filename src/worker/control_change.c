/* SPDX-License-Identifier: MIT */
/*
 * control_change.c - commands that change how tasks are run: rates, limits, the pool. All
 * of it is forgotten at the next reload, which is where lasting changes are made.
 */
#include "base/error.h"
#include "base/log.h"
#include "worker/control_state.h"

#include <stdio.h>
#include <string.h>

enum { RUNNERS_MAX = 4096 };

static const char *text_argument(const struct call *call, const char *key)
{
    return json_string_value(json_object_get(call->arguments, key));
}

/* --- tasks -------------------------------------------------------------------------- */

int64_t control_rate(const struct worker *w, const char *task, int64_t configured)
{
    const struct override *o =
            w->control ? overrides_find(w->control->overrides, task) : NULL;
    return o && o->has_rate ? o->rate_per_hour : configured;
}

void control_limits(const struct worker *w, const char *task,
        const struct task_request *r, struct limits *limits)
{
    const struct override *o =
            w->control ? overrides_find(w->control->overrides, task) : NULL;

    if (!o || !o->has_limits)
        return;
    if (r->soft_time_limit_ms == TASK_NONE)
        limits->soft_ms = o->soft_ms;
    if (r->time_limit_ms == TASK_NONE)
        limits->hard_ms = o->hard_ms;
}

/* Where to write what is said of the task that @call names. NULL: *@reply says why. */
static struct override *override_for(
        struct worker *w, const struct call *call, const char **task, json_t **reply)
{
    *task = text_argument(call, "task_name");
    const struct policy *policy =
            *task && **task ? config_policy(w->generation->config, *task) : NULL;
    struct override *o = NULL;

    if (!policy || !generation_can_run(w->generation, policy, *task))
        *reply = control_error("unknown task");
    else if (!(o = overrides_of(w->control->overrides, *task)))
        *reply = control_error("too many tasks have been changed");
    return o;
}

/* A text or a number; null is none. */
static enum coney_rc read_rate(const json_t *v, char text[64], int64_t *per_hour)
{
    if (json_is_string(v))
        snprintf(text, 64, "%.60s", json_string_value(v));
    else if (json_is_number(v))
        snprintf(text, 64, "%.9g", json_number_value(v));
    else
        snprintf(text, 64, "0");
    return override_parse_rate(text, per_hour);
}

json_t *command_rate_limit(struct worker *w, struct call *call)
{
    const char *task;
    char text[64];
    int64_t per_hour;
    json_t *reply = NULL;

    if (read_rate(json_object_get(call->arguments, "rate_limit"), text, &per_hour) !=
            CONEY_OK)
        return control_error("Invalid rate limit string: "
                             "ValueError(\"could not convert string to float: '%s'\")",
                text);
    struct override *o = override_for(w, call, &task, &reply);
    if (!o)
        return reply;
    o->has_rate = true;
    o->rate_per_hour = per_hour;
    log_info("remote control: rate limit %s  task=%s", text, task);
    return control_ok(per_hour == CONFIG_NONE ? "rate limit disabled successfully"
                                              : "new rate limit set successfully");
}

/* Seconds as milliseconds; null is none. False: neither. */
static bool read_limit(const json_t *v, int64_t *ms)
{
    double seconds = json_number_value(v);

    *ms = CONFIG_NONE;
    if (!v || json_is_null(v))
        return true;
    if (!json_is_number(v) || !(seconds > 0 && seconds < 1e9))
        return false;
    *ms = (int64_t)(seconds * 1000);
    return true;
}

json_t *command_time_limit(struct worker *w, struct call *call)
{
    const char *task;
    int64_t soft_ms, hard_ms;
    json_t *reply = NULL;

    if (!read_limit(json_object_get(call->arguments, "soft"), &soft_ms) ||
            !read_limit(json_object_get(call->arguments, "hard"), &hard_ms))
        return control_error("a time limit is a number of seconds above 0, or null");
    struct override *o = override_for(w, call, &task, &reply);
    if (!o)
        return reply;
    o->has_limits = true;
    o->soft_ms = soft_ms;
    o->hard_ms = hard_ms;
    log_info("remote control: time limits  task=%s soft_ms=%lld hard_ms=%lld", task,
            (long long)soft_ms, (long long)hard_ms);
    return control_ok("time limits set successfully");
}

/* --- the pool ----------------------------------------------------------------------- */

/* @by runners more, or fewer. */
static json_t *resize(struct worker *w, long by)
{
    struct coney_error err;
    struct worker_config *c = &w->generation->config->worker;
    long size = (long)c->concurrency + by;

    if (size < 1)
        return control_error("ValueError(\"Can't shrink pool below one runner\")");
    if (size > RUNNERS_MAX)
        return control_error("ValueError('%d runners at most')", RUNNERS_MAX);
    unsigned before = c->concurrency;
    c->concurrency = (unsigned)size;
    if (reload_in_place(w, &err) != CONEY_OK) {
        c->concurrency = before;
        return control_error("%s", err.text);
    }
    log_info("remote control: pool resized  runners=%ld before=%u", size, before);
    return control_ok("pool will %s", by > 0 ? "grow" : "shrink");
}

static long count_argument(const struct call *call)
{
    const json_t *n = json_object_get(call->arguments, "n");
    json_int_t count = json_is_integer(n) ? json_integer_value(n) : 1;
    return count > 0 && count <= RUNNERS_MAX ? (long)count : 0;
}

json_t *command_pool_grow(struct worker *w, struct call *call)
{
    long n = count_argument(call);
    return n > 0 ? resize(w, n) : control_error("n is not a number of runners");
}

json_t *command_pool_shrink(struct worker *w, struct call *call)
{
    long n = count_argument(call);
    return n > 0 ? resize(w, -n) : control_error("n is not a number of runners");
}

json_t *command_pool_restart(struct worker *w, struct call *call)
{
    (void)call;
    if (pool_reload(w->pool, &w->generation->config->worker.plugins) != CONEY_OK)
        return control_error("out of memory");
    log_info("remote control: every runner is replaced, each after its task");
    return control_ok("reload started");
}

json_t *command_autoscale(struct worker *w, struct call *call)
{
    (void)w;
    (void)call;
    return control_error("ValueError('Autoscale not enabled')");
}
