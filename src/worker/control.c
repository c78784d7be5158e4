/* SPDX-License-Identifier: MIT */
/*
 * control.c - commands arrive, are looked up, carried out and answered.
 *
 * A command is somebody's who may publish on this broker. What it can't do is named in
 * the reply, in the words of Celery's own workers where its tools look for them.
 */
#include "worker/control.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/control_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ASKERS_MAX = 1000,
    /* A connection of ours that was lost may hold the name until the broker notices. */
    NAME_TRIES = 60,
    TAG_SIZE = NODE_NAME_SIZE + 32
};

/* In the order of strcmp(). The dump_ names are older ones of the same. */
static const struct command commands[] = {
        {"active", command_active},
        {"active_queues", command_active_queues},
        {"add_consumer", command_add_consumer},
        {"autoscale", command_autoscale},
        {"cancel_consumer", command_cancel_consumer},
        {"clock", command_clock},
        {"conf", command_conf},
        {"disable_events", command_disable_events},
        {"dump_active", command_active},
        {"dump_conf", command_conf},
        {"dump_reserved", command_reserved},
        {"dump_revoked", command_revoked},
        {"dump_schedule", command_scheduled},
        {"dump_tasks", command_registered},
        {"election", command_nothing},
        {"enable_events", command_enable_events},
        {"heartbeat", command_heartbeat},
        {"hello", command_hello},
        {"memdump", command_without_python},
        {"memsample", command_without_python},
        {"objgraph", command_without_python},
        {"ping", command_ping},
        {"pool_grow", command_pool_grow},
        {"pool_restart", command_pool_restart},
        {"pool_shrink", command_pool_shrink},
        {"query_task", command_query_task},
        {"rate_limit", command_rate_limit},
        {"registered", command_registered},
        {"report", command_report},
        {"reserved", command_reserved},
        {"revoke", command_revoke},
        {"revoke_by_stamped_headers", command_revoke_by_stamps},
        {"revoked", command_revoked},
        {"scheduled", command_scheduled},
        {"shutdown", command_shutdown},
        {"stats", command_stats},
        {"terminate", command_terminate},
        {"time_limit", command_time_limit},
};

static int compare_command(const void *key, const void *item)
{
    return strcmp(key, ((const struct command *)item)->name);
}

static const struct command *find_command(const char *name)
{
    return bsearch(name, commands, sizeof(commands) / sizeof(commands[0]),
            sizeof(commands[0]), compare_command);
}

/* --- replies ------------------------------------------------------------------------ */

/* Answer; @reply NULL is null. */
static void reply(struct control *c, const char *exchange, const char *key,
        const char *ticket, const json_t *value)
{
    struct envelope e;
    json_t *null = json_null();

    if (!exchange || !c->link)
        return;
    enum coney_rc rc = control_encode_reply(
            c->worker->node, ticket, ++c->clock, value ? value : null, &e);
    if (rc == CONEY_OK) {
        rc = control_link_reply(c->link, exchange, key, &e);
        envelope_fini(&e);
    }
    if (rc != CONEY_OK)
        log_warning("remote control: reply dropped: %s  key=%s", coney_rc_name(rc), key);
}

static void free_asker(struct control *c, struct asker *who)
{
    LIST_REMOVE(who, entry);
    c->asker_count--;
    free(who->exchange);
    free(who->key);
    free(who->ticket);
    free(who);
}

static bool copy_text(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

struct asker *control_answer_later(struct worker *w, struct call *call)
{
    struct control *c = w->control;
    const struct control_request *r = call->request;
    struct asker *who = c->asker_count < ASKERS_MAX ? calloc(1, sizeof(*who)) : NULL;

    if (!who)
        return NULL;
    LIST_INSERT_HEAD(&c->askers, who, entry);
    c->asker_count++;
    if (!copy_text(&who->exchange, r->reply_exchange) ||
            !copy_text(&who->key, r->reply_key) || !copy_text(&who->ticket, r->ticket)) {
        free_asker(c, who);
        return NULL;
    }
    call->is_taken = true;
    return who;
}

void control_answer(struct worker *w, struct asker *who, json_t *reply_take)
{
    reply(w->control, who->exchange, who->key, who->ticket, reply_take);
    free_asker(w->control, who);
    json_decref(reply_take);
}

/* --- requests ----------------------------------------------------------------------- */

static bool is_denied(const struct worker *w, const char *method)
{
    const struct string_list *deny = &w->generation->config->control.deny;
    for (size_t i = 0; i < deny->count; i++)
        if (strcmp(deny->items[i], method) == 0)
            return true;
    return false;
}

static json_t *carry_out(struct worker *w, struct call *call)
{
    const char *method = call->request->method;
    const struct command *command = find_command(method);

    if (!command)
        return control_error("KeyError('%s')", method);
    if (is_denied(w, method)) {
        log_warning("remote control: refused by control.deny  command=%s", method);
        return control_error("%s is denied by this worker's configuration", method);
    }
    log_debug("remote control  command=%s", method);
    return command->run(w, call);
}

static void handle(struct worker *w, const struct control_request *r)
{
    struct call call = {.request = r, .arguments = r->arguments};
    json_t *value = carry_out(w, &call);

    if (!call.is_taken)
        reply(w->control, r->reply_exchange, r->reply_key, r->ticket, value);
    json_decref(value);
}

static void on_request(void *ctx, const struct envelope *e)
{
    struct control *c = ctx;
    struct coney_error err;
    struct control_request *r = NULL;

    if (control_decode(e, &r, &err) != CONEY_OK) {
        log_warning("remote control: not understood: %s", err.text);
        return;
    }
    c->clock = (r->clock > c->clock ? r->clock : c->clock) + 1;
    if (!c->stopping && control_is_for(r, c->worker->node))
        handle(c->worker, r);
    control_request_free(r);
}

/* --- the connection ----------------------------------------------------------------- */

static void on_up(void *ctx, const struct session *s)
{
    (void)ctx;
    log_info("connected to %s %s  for=control", session_broker(s), session_peer(s));
}

static void on_down(void *ctx, const struct session_event *ev)
{
    (void)ctx;
    log_error("broker: %s; next attempt in %.1f s  for=control", ev->error.text,
            (double)ev->retry_ms / 1000);
}

static void on_ready(void *ctx)
{
    struct control *c = ctx;
    c->name_tries = 0;
    log_info("remote control and events are on  node=%s", c->worker->node);
    events_connected(c);
}

/* "coney@host" becomes "coney-4711@host". */
static void take_other_name(struct control *c)
{
    struct worker *w = c->worker;
    char other[NODE_NAME_SIZE];
    const char *at = strchr(w->node, '@');

    snprintf(other, sizeof(other), "%.*s-%d%s", (int)(at ? at - w->node : 0), w->node,
            (int)getpid(), at ? at : "");
    if (control_link_rename(c->link, other) != CONEY_OK)
        return;
    log_warning("node name is taken by another worker; this one goes by its process id  "
                "node=%s taken=%s",
            other, w->node);
    memcpy(w->node, other, sizeof(other));
}

static void on_name_taken(void *ctx)
{
    struct control *c = ctx;
    if (control_link_had_mailbox(c->link) && ++c->name_tries < NAME_TRIES)
        return;
    take_other_name(c);
}

static void on_refused(void *ctx, const struct coney_error *err)
{
    (void)ctx;
    log_error("broker: %s; tried again  for=control", err->text);
}

static void on_other(void *ctx, struct session_event *ev)
{
    consumer_handle(ctx, ev);
    revoking_handle(ctx, ev);
}

static void on_closed(void *ctx)
{
    struct control *c = ctx;
    c->link_is_closed = true;
    worker_wake(c->worker);
}

static enum coney_rc connect_link(struct control *c, struct coney_error *err)
{
    struct worker *w = c->worker;
    const struct config *config = w->generation->config;
    struct session_options session;
    char tag[TAG_SIZE];
    const struct control_link_options options = {
            .loop = &w->loop,
            .session = &session,
            .rng = &w->rng,
            .node = w->node,
            .exchange = config->control.exchange,
            .events_exchange = config->events.exchange,
            .consumer_tag = tag,
            .callbacks = {.on_up = on_up,
                    .on_down = on_down,
                    .on_ready = on_ready,
                    .on_request = on_request,
                    .on_name_taken = on_name_taken,
                    .on_refused = on_refused,
                    .on_other = on_other,
                    .on_closed = on_closed,
                    .ctx = c},
    };
    struct arena *a = NULL;

    snprintf(tag, sizeof(tag), "%.240s:control", w->tag_prefix);
    enum coney_rc rc = connect_options(w->generation, "control", &a, &session, err);
    if (rc == CONEY_OK)
        rc = control_link_new(&options, &c->link, err);
    arena_free(a);
    return rc;
}

/* --- making and unmaking ------------------------------------------------------------ */

enum coney_rc control_start(struct worker *w, struct coney_error *err)
{
    struct control *c;

    if (!w->generation->config->control.enabled)
        return CONEY_OK;
    c = calloc(1, sizeof(*c));
    if (!c)
        return error_set_nomem(err);
    c->worker = w;
    c->started_ms = clock_mono_ms();
    LIST_INIT(&c->askers);
    events_init(c);
    events_configure(c);
    w->control = c;
    c->overrides = overrides_new();
    enum coney_rc rc =
            c->totals && c->overrides ? revoking_start(c, err) : error_set_nomem(err);
    if (rc == CONEY_OK)
        rc = connect_link(c, err);
    if (rc != CONEY_OK)
        control_free(w);
    return rc;
}

/* Another link, once this one has said goodbye: the mailbox is free then. */
static void reconnect(struct control *c)
{
    if (c->reconnects)
        return;
    c->reconnects = true;
    control_link_close(c->link);
}

void control_reload(struct worker *w, const struct config *old, bool is_same_broker)
{
    struct coney_error err;
    const struct config *now = w->generation->config;
    struct control *c = w->control;

    if (!now->control.enabled) {
        control_free(w);
        return;
    }
    if (!c) {
        if (control_start(w, &err) != CONEY_OK)
            log_error("reload: no remote control: %s", err.text);
        return;
    }
    overrides_clear(c->overrides);
    events_configure(c);
    bool changes_log = old->control.record != now->control.record ||
                       old->broker.queue_type != now->broker.queue_type ||
                       old->broker.declare != now->broker.declare ||
                       !text_is_same(old->broker.prefix, now->broker.prefix);
    if (changes_log)
        revoking_reload(c);
    if (changes_log || !is_same_broker ||
            !text_is_same(old->control.exchange, now->control.exchange) ||
            !text_is_same(old->events.exchange, now->events.exchange))
        reconnect(c);
}

void control_sweep(struct worker *w)
{
    struct coney_error err;
    struct control *c = w->control;

    if (!c || !c->link_is_closed || !c->reconnects || c->stopping)
        return;
    struct control_link *closed = c->link;
    c->reconnects = false;
    c->link_is_closed = false;
    if (connect_link(c, &err) != CONEY_OK) {
        log_error("remote control: %s; tried again with the next reload", err.text);
        c->link_is_closed = true;
        return;
    }
    control_link_free(closed);
}

void control_stop(struct worker *w)
{
    struct control *c = w->control;
    if (!c || c->stopping)
        return;
    c->stopping = true;
    revoking_flush(c);
    events_flush(c);
    events_of_worker(c, EVENT_WORKER_OFFLINE);
    uv_timer_stop(&c->heartbeat);
    if (c->link && !c->link_is_closed)
        control_link_close(c->link);
}

bool control_is_closed(const struct worker *w)
{
    return !w->control || !w->control->link || w->control->link_is_closed;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct control *c = handle->data;
    if (--c->handles > 0)
        return;
    revoking_free(c->revoking);
    free(c);
}

void control_free(struct worker *w)
{
    struct control *c = w->control;
    if (!c)
        return;
    w->control = NULL;
    control_link_free(c->link);
    struct asker *next;
    for (struct asker *who = LIST_FIRST(&c->askers); who; who = next) {
        next = LIST_NEXT(who, entry);
        free_asker(c, who);
    }
    events_fini(c);
    consumer_stop(c);
    overrides_free(c->overrides);
    uv_timer_t *timers[] = {&c->heartbeat, &c->flush, NULL};
    if (c->revoking) {
        revoking_stop(c);
        timers[2] = revoking_timer(c->revoking);
        timers[2]->data = c;
    }
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        if (!timers[i])
            continue;
        c->handles++;
        uv_close((uv_handle_t *)timers[i], on_handle_closed);
    }
}
