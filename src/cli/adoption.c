/* SPDX-License-Identifier: MIT */
/* adoption.c - the file as a whole: its head, broker, worker, results, and what is left.
 */
#include "cli/adoption.h"

#include "cli/celery_task.h"
#include "cli/celery_when.h"
#include "config/texts.h"

#include <string.h>

/* --- head and broker ---------------------------------------------------------------- */

static void write_head(const struct celery_fleet *f, struct paper *p)
{
    paper_put(p, "# Written by coney adopt, from what these workers of Celery's say:\n");
    for (size_t i = 0; i < f->node_count; i++)
        paper_put(p, "#   %s\n", paper_comment(p, f->nodes[i]));
    if (f->node_count > 1)
        paper_put(p, "# Settings are those of %s.\n", paper_comment(p, f->model));
    paper_put(p, "# `coney check` reads it; what could not be taken over stands at the "
                 "end.\n\n");
}

/* Without its password, unless that is nobody's secret. */
static void write_url(struct paper *p, const char *url)
{
    const char *host = strrchr(url, '@');
    const char *mark = strstr(url, "://");
    size_t user_len = mark && host ? strcspn(mark + 3, ":@") : 0;

    if (!url_has_secret(url) || !host)
        paper_put(p, "    - %s\n", paper_scalar(p, url));
    else
        paper_put(p, "    - \"%.*s%.*s%s\"\n", (int)(mark - url + 3), url, (int)user_len,
                mark + 3, host);
}

static void write_broker(const struct adoption_options *o, struct paper *p)
{
    const struct broker_config *b = o->broker;
    const char *ca = o->ca ? o->ca : b->tls.ca;

    paper_put(p, "broker:\n  urls:\n");
    if (o->url)
        write_url(p, o->url);
    for (size_t i = 0; i < b->urls.count && !o->url; i++)
        write_url(p, b->urls.items[i]);
    if (b->user && !o->url)
        paper_put(p, "  user: %s\n", paper_scalar(p, b->user));
    if (b->password_file)
        paper_put(p, "  password_file: %s\n", paper_scalar(p, b->password_file));
    else
        paper_put(p, "  # password_file: /etc/coney/password  # one line, for nobody "
                     "else to read\n");
    if (ca || b->tls.cert || !b->tls.verify)
        paper_put(p, "  tls:\n");
    if (ca)
        paper_put(p, "    ca: %s\n", paper_scalar(p, ca));
    if (b->tls.cert)
        paper_put(p, "    cert: %s\n", paper_scalar(p, b->tls.cert));
    if (b->tls.key)
        paper_put(p, "    key: %s\n", paper_scalar(p, b->tls.key));
    if (b->tls.server_name)
        paper_put(p, "    server_name: %s\n", paper_scalar(p, b->tls.server_name));
    if (!b->tls.verify)
        paper_put(p, "    verify: false\n");
    if (b->external)
        paper_put(p, "  auth: external\n");
    if (b->prefix && strcmp(b->prefix, "coney") != 0)
        paper_put(p, "  prefix: %s\n", paper_scalar(p, b->prefix));
}

/* --- worker and results ------------------------------------------------------------- */

static void write_worker(const struct celery_fleet *f, struct paper *p)
{
    paper_put(p, "\nworker:\n  concurrency: %u  # as Celery has on %s\n", f->concurrency,
            paper_comment(
                    p, strrchr(f->model, '@') ? strrchr(f->model, '@') + 1 : f->model));
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* result_expires comes as seconds or as the text of a timedelta. */
static bool expiry(const struct celery_fleet *f, char *text, size_t size)
{
    const json_t *value = fleet_setting(f, "result_expires");
    const char *delta = json_string_value(value);
    if (json_is_number(value))
        return celery_seconds(json_number_value(value), text, size);
    int64_t ms = delta ? celery_timedelta_ms(delta) : -1;
    return ms > 0 && celery_seconds((double)ms / 1000, text, size);
}

/* Our own spelling of the URL, without the password, which Celery shows as stars. */
static void write_redis(struct paper *p, const char *url)
{
    const char *mark = strstr(url, "://") + 3;
    const char *host = strrchr(mark, '@');
    const char *colon = host ? memchr(mark, ':', (size_t)(host - mark)) : NULL;
    const char *query = strchr(url, '?');
    const char *rest = host ? host : mark;
    int rest_len = (int)(query && query > rest ? query - rest : (long)strlen(rest));
    int user_len = colon ? (int)(colon - mark) : host ? (int)(host - mark) : 0;
    bool has_user = user_len > 0;

    rest += host && !has_user;
    rest_len -= host && !has_user;
    const char *plain = arena_printf(p->arena, "%.*s%.*s%.*s", (int)(mark - url), url,
            has_user ? user_len : 0, mark, rest_len, rest);
    paper_put(p, "\nresults:\n  url: %s\n", paper_scalar(p, plain ? plain : ""));
    if (colon)
        paper_put(p,
                "  # password_file: /etc/coney/redis-password  # one line, for nobody "
                "else to read\n");
}

static void write_results(const struct celery_fleet *f, struct paper *p)
{
    char text[64];
    const char *backend = fleet_text(f, "result_backend");

    if (!backend || begins(backend, "disabled"))
        paper_put(p, "\nresults:\n  url: none\n");
    else if (begins(backend, "rpc"))
        paper_put(p, "\nresults:\n  url: \"rpc://\"\n");
    else if (begins(backend, "redis://") || begins(backend, "rediss://"))
        write_redis(p, backend);
    else {
        paper_put(p, "\nresults:\n  url: none  # Celery has %s\n",
                paper_comment(p, backend));
        paper_note(p, "result_backend: %s: there are rpc and redis only", backend);
    }
    if (expiry(f, text, sizeof(text)))
        paper_put(p, "  expires: %s\n", text);
    if (fleet_is_set(f, "result_extended"))
        paper_put(p, "  extended: true\n");
    if (fleet_is_set(f, "task_track_started"))
        paper_put(p, "  track_started: true\n");
}

/* --- what is left ------------------------------------------------------------------- */

/* Settings that are taken over, or mean nothing here. */
static const char *const settled[] = {"accept_content", "beat_schedule", "broker_url",
        "broker_use_ssl", "deprecated_settings", "enable_utc", "imports", "include",
        "result_backend", "result_expires", "result_extended", "result_serializer",
        "task_acks_late", "task_annotations", "task_default_queue",
        "task_default_rate_limit", "task_ignore_result", "task_queue_max_priority",
        "task_queues", "task_routes", "task_send_sent_event", "task_serializer",
        "task_soft_time_limit", "task_time_limit", "task_track_started", "timezone",
        "worker_concurrency", "worker_hijack_root_logger", "worker_max_memory_per_child",
        "worker_max_tasks_per_child", "worker_pool", "worker_prefetch_multiplier",
        "worker_send_task_events", "worker_state_db", "worker_task_log_format",
        "worker_log_format", "worker_log_color", "worker_redirect_stdouts",
        "worker_redirect_stdouts_level", "broker_connection_retry",
        "broker_connection_retry_on_startup", "broker_connection_max_retries",
        "broker_pool_limit", "broker_heartbeat", "beat_scheduler",
        "beat_schedule_filename", "beat_max_loop_interval", "task_create_missing_queues",
        "worker_proc_alive_timeout",
        "worker_cancel_long_running_tasks_on_connection_loss", "redis_backend_use_ssl",
        "task_store_eager_result"};

static bool is_settled(const char *name)
{
    for (size_t i = 0; i < sizeof(settled) / sizeof(settled[0]); i++)
        if (strcmp(settled[i], name) == 0)
            return true;
    return false;
}

/* What a settings file has imported shows among its settings. */
static bool is_module(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && strncmp(text, "<module ", strlen("<module ")) == 0;
}

/* Settings that somebody has made and that have no place here. */
static void note_settings(const struct celery_fleet *f, struct paper *p)
{
    json_t *conf = (json_t *)(uintptr_t)f->conf;
    for (void *at = json_object_iter(conf); at; at = json_object_iter_next(conf, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        if (is_settled(name) || json_is_null(value) || json_is_false(value) ||
                is_module(value))
            continue;
        paper_note(p, "setting %s: %s", name, paper_json(p, value));
    }
}

static void write_rest(struct paper *p)
{
    if (json_array_size(p->notes) == 0)
        return;
    paper_put(p, "\n# Not taken over (`coney doctor --celery` tells more):\n");
    paper_put_notes(p);
}

void adoption_write(
        const struct celery_fleet *f, const struct adoption_options *o, struct paper *p)
{
    write_head(f, p);
    write_broker(o, p);
    write_worker(f, p);
    write_results(f, p);
    adoption_write_queues(f, p);
    adoption_write_tasks(f, o, p);
    adoption_write_schedule(f, p);
    note_settings(f, p);
    write_rest(p);
}
