/* SPDX-License-Identifier: MIT */
/* control_revoke.c - commands that revoke and terminate tasks, and that tell what was
 * revoked. */
#include "base/clock.h"
#include "base/log.h"
#include "message/revocation.h"
#include "worker/control_state.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    TEXT_SIZE = 900,
    SIGNAL_MAX = 31,
    SYNC_MAX = 100000,
    TERMINATE_GRACE_MS = 5000 /* from the signal asked for to SIGKILL */
};

/* --- arguments ---------------------------------------------------------------------- */

/* One text or a list of them, as a new list of texts. */
static json_t *ids_of(const json_t *argument)
{
    json_t *ids = json_array();
    size_t i;
    json_t *id;

    if (json_is_string(argument))
        (void)json_array_append_new(ids, json_string(json_string_value(argument)));
    json_array_foreach(argument, i, id) if (json_is_string(id))(void)
            json_array_append(ids, id);
    return ids;
}

/* "SIGTERM", "TERM", "15" or 15; none is SIGTERM. 0: no such signal. */
static int signal_of(const json_t *v)
{
    const char *name = json_string_value(v);
    char *end;

    if (!v || json_is_null(v))
        return SIGTERM;
    long number = name ? strtol(name, &end, 10) : (long)json_integer_value(v);
    if (!name || (*name && !*end))
        return number > 0 && number <= SIGNAL_MAX ? (int)number : 0;
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i <= SIGNAL_MAX; i++)
        if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), name) == 0)
            return i;
    return 0;
}

/* The texts of @ids joined, cut when there are many. */
static const char *join(const json_t *ids, char text[TEXT_SIZE])
{
    size_t len = 0;
    size_t i;
    json_t *id;

    text[0] = '\0';
    json_array_foreach(ids, i, id)
    {
        if (len > TEXT_SIZE - 300) {
            snprintf(text + len, TEXT_SIZE - len, ", ... %zu in all",
                    json_array_size(ids));
            break;
        }
        len += (size_t)snprintf(text + len, TEXT_SIZE - len, "%s%.255s",
                i > 0 ? ", " : "", json_string_value(id));
    }
    return text;
}

/* --- termination -------------------------------------------------------------------- */

/* Let @j, which runs, end by @signum, or soon by SIGKILL; then it counts as revoked. */
static void end_job(struct worker *w, struct job *j, int signum)
{
    const pid_t pid = pool_job_pid(w->pool, j);

    j->terminated_by = signum;
    heap_remove(&w->timers, &j->timer);
    if (pid <= 0 || signum == SIGKILL ||
            heap_add(&w->timers, &j->timer, clock_mono_ms() + TERMINATE_GRACE_MS) !=
                    CONEY_OK) {
        pool_kill_job(w->pool, j);
        return;
    }
    (void)kill(-pid, signum);
    jobs_set_timer(w);
}

/* Let those of the running tasks that fit end by @signum; a new list of their ids. */
static json_t *terminate(struct worker *w, json_t *ids, json_t *headers, int signum)
{
    json_t *ended = json_array();
    struct job *j;

    TAILQ_FOREACH(j, &w->jobs, entry)
    {
        if (j->state != JOB_RUNNING || !revoking_fits(j, ids, headers))
            continue;
        (void)json_array_append_new(ended, json_string(j->request->id));
        log_warning("remote control: running task terminated  signal=%d task=%s id=%s",
                signum, job_task(j), job_id(j));
        end_job(w, j, signum);
    }
    return ended;
}

/* --- the commands ------------------------------------------------------------------- */

/* Revoke, and with @signum above 0 terminate. */
static json_t *revoke_all(
        struct worker *w, struct call *call, json_t *ids, json_t *headers, int signum)
{
    char text[TEXT_SIZE];
    json_t *ended = signum > 0 ? terminate(w, ids, headers, signum) : NULL;
    struct revoking_order order = {
            .ids = ids,
            .headers = headers,
            .is_alone = control_is_named(call->request, w->node) &&
                        json_array_size(call->request->destination) == 1,
    };

    if (signum > 0)
        order.answer_take = control_ok("terminate: %s",
                json_array_size(ended) > 0 ? join(ended, text) : "tasks unknown");
    else if (headers)
        order.answer_take = control_ok("headers flagged as revoked, but not terminated");
    else
        order.answer_take = control_ok("tasks %s flagged as revoked", join(ids, text));
    log_info("remote control: revoked  ids=%zu stamps=%zu from=%s", json_array_size(ids),
            json_object_size(headers), json_array_size(ids) ? join(ids, text) : "-");
    order.asker = control_answer_later(w, call);
    json_t *now = order.asker ? NULL : json_incref(order.answer_take);
    revoking_carry_out(w->control, &order);
    json_decref(ended);
    return now;
}

static json_t *revoke_ids(struct worker *w, struct call *call, bool terminates)
{
    json_t *ids = ids_of(json_object_get(call->arguments, "task_id"));
    int signum = terminates ? signal_of(json_object_get(call->arguments, "signal")) : 0;
    json_t *reply;

    if (json_array_size(ids) == 0)
        reply = control_error("task_id is neither an id nor a list of ids");
    else if (terminates && signum == 0)
        reply = control_error("there is no such signal");
    else
        reply = revoke_all(w, call, ids, NULL, signum);
    json_decref(ids);
    return reply;
}

static bool wants_termination(const struct call *call)
{
    return json_is_true(json_object_get(call->arguments, "terminate"));
}

json_t *command_revoke(struct worker *w, struct call *call)
{
    return revoke_ids(w, call, wants_termination(call));
}

json_t *command_terminate(struct worker *w, struct call *call)
{
    return revoke_ids(w, call, true);
}

json_t *command_revoke_by_stamps(struct worker *w, struct call *call)
{
    json_t *headers = revocation_stamps(json_object_get(call->arguments, "headers"));
    bool terminates = wants_termination(call);
    int signum = terminates ? signal_of(json_object_get(call->arguments, "signal")) : 0;
    json_t *reply;

    if (!headers || json_object_size(headers) == 0)
        reply = control_error("headers are neither an object nor a list of stamp=value");
    else if (terminates && signum == 0)
        reply = control_error("there is no such signal");
    else
        reply = revoke_all(w, call, NULL, headers, signum);
    json_decref(headers);
    return reply;
}

/* --- what was revoked --------------------------------------------------------------- */

static void list_id(void *ctx, const char *id, int64_t since_ms)
{
    (void)since_ms;
    (void)json_array_append_new(ctx, json_string(id));
}

json_t *command_revoked(struct worker *w, struct call *call)
{
    json_t *list = json_array();
    (void)call;
    revocations_each_id(revoking_set(w->control), clock_mono_ms(), list_id, list);
    return list;
}

/* The time must be a real number: Python drops the whole answer over an integer. */
static void sync_id(void *ctx, const char *id, int64_t since_ms)
{
    (void)json_object_set_new(ctx, id, json_pack("[f,s]", (double)since_ms / 1000, id));
}

/* Another worker starts, and tells what it knows to be revoked. */
json_t *command_hello(struct worker *w, struct call *call)
{
    const char *from = json_string_value(json_object_get(call->arguments, "from_node"));
    json_t *theirs = json_object_get(call->arguments, "revoked");
    json_t *ours = json_object();
    size_t count = 0;
    const char *id;
    json_t *when;

    if (from && strcmp(from, w->node) == 0) {
        json_decref(ours);
        return NULL;
    }
    revocations_each_id(revoking_set(w->control), clock_mono_ms(), sync_id, ours);
    json_object_foreach(theirs, id, when)
    {
        const struct revoked what = {.id = id};
        if (strlen(id) <= 255 && count++ < SYNC_MAX)
            revoking_remember(w->control, &what);
    }
    return json_pack(
            "{s:o,s:I}", "revoked", ours, "clock", (json_int_t)w->control->clock);
}
