/* SPDX-License-Identifier: MIT */
/* diagnosis.c - settings of Celery's that have no counterpart, or another meaning. */
#include "cli/diagnosis.h"

#include "base/utf8.h"
#include "base/zone.h"
#include "message/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE_SIZE = 1024 };
#define CONSUMER_TIMEOUT_US (INT64_C(30) * 60 * 1000000)

void diagnosis_add(struct diagnosis *d, enum finding kind, const char *fmt, ...)
{
    va_list ap;
    char line[SENTENCE_SIZE];
    char clean[SENTENCE_SIZE];

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    utf8_printable(
            clean, sizeof(clean), (struct bytes){.data = line, .len = strlen(line)});
    if (json_array_append_new(d->findings[kind], json_string(clean)) != 0)
        d->rc = CONEY_ENOMEM;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

/* --- what messages are made of ------------------------------------------------------ */

static void check_serializers(const struct celery_fleet *f, struct diagnosis *d)
{
    static const char *const names[] = {"task_serializer", "result_serializer"};
    static const char *const json[] = {"json", "application/json", NULL};
    const json_t *accepted = fleet_setting(f, "accept_content");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = fleet_text(f, names[i]);
        if (value && !is_one_of(value, json))
            diagnosis_add(d, FINDING_BLOCKS,
                    "%s is %s: only JSON is read and written here; set it to json first",
                    names[i], value);
    }
    for (size_t i = 0; i < json_array_size(accepted); i++) {
        const char *value = json_string_value(json_array_get(accepted, i));
        if (value && !is_one_of(value, json))
            diagnosis_add(d, FINDING_BLOCKS,
                    "accept_content has %s: whoever sends it has to send JSON first; a "
                    "message of another kind is refused here",
                    value);
    }
}

static void check_compression(const struct celery_fleet *f, struct diagnosis *d)
{
    static const char *const names[] = {"task_compression", "result_compression"};
    static const char *const known[] = {
            "zlib", "gzip", "application/x-gzip", "application/zlib", NULL};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = fleet_text(f, names[i]);
        if (value && !is_one_of(value, known))
            diagnosis_add(d, FINDING_BLOCKS, "%s is %s: only gzip (zlib) is known here",
                    names[i], value);
    }
}

static void check_protocol(const struct celery_fleet *f, struct diagnosis *d)
{
    if (json_integer_value(fleet_setting(f, "task_protocol")) == 1)
        diagnosis_add(d, FINDING_DIFFERS,
                "task_protocol is 1: it is read here, but everything we send is protocol 2");
    if (fleet_is_set(f, "task_always_eager"))
        diagnosis_add(d, FINDING_BLOCKS,
                "task_always_eager: tasks run in the process that calls them and are "
                "never sent");
}

/* --- where messages go -------------------------------------------------------------- */

static void check_broker(const struct celery_fleet *f, struct diagnosis *d)
{
    static const char *const names[] = {
            "broker_url", "broker_read_url", "broker_write_url"};
    static const char *const ours[] = {"amqp://", "amqps://", "pyamqp://", "py-amqp://"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *url = fleet_text(f, names[i]);
        bool is_ours = !url || !strstr(url, "://");
        for (size_t k = 0; url && k < sizeof(ours) / sizeof(ours[0]); k++)
            is_ours |= begins(url, ours[k]);
        if (!is_ours)
            diagnosis_add(d, FINDING_BLOCKS,
                    "%s is %.*s: move to RabbitMQ first, with Celery as it is", names[i],
                    (int)strcspn(url, ":"), url);
    }
    if (fleet_text(f, "broker_read_url") || fleet_text(f, "broker_write_url"))
        diagnosis_add(d, FINDING_DIFFERS,
                "broker_read_url, broker_write_url: a worker here has one broker");
}

static void check_results(const struct celery_fleet *f, struct diagnosis *d)
{
    static const char *const ours[] = {"rpc", "redis://", "rediss://", "disabled"};
    const char *backend = fleet_text(f, "result_backend");
    bool is_ours = !backend;

    for (size_t i = 0; backend && i < sizeof(ours) / sizeof(ours[0]); i++)
        is_ours |= begins(backend, ours[i]);
    if (!is_ours)
        diagnosis_add(d, FINDING_BLOCKS,
                "result_backend is %.*s: results go to rpc:// or redis:// here",
                (int)strcspn(backend, ":"), backend);
}

static void check_exchanges(const struct celery_fleet *f, struct diagnosis *d)
{
    static const struct {
        const char *name, *usual;
    } rows[] = {{"control_exchange", "celery"}, {"event_exchange", "celeryev"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *value = fleet_text(f, rows[i].name);
        if (value && strcmp(value, rows[i].usual) != 0)
            diagnosis_add(d, FINDING_DIFFERS, "%s is %s: here it is %s", rows[i].name,
                    value, rows[i].usual);
    }
}

/* --- how tasks run ------------------------------------------------------------------ */

/* Settings that do something over there, where they are true. */
static void check_switches(const struct celery_fleet *f, struct diagnosis *d)
{
    static const struct {
        const char *name;
        const char *sentence;
    } rows[] = {
            {"worker_deduplicate_successful_tasks",
                    "a task that is delivered twice runs twice here; make it idempotent"},
            {"task_store_errors_even_if_ignored",
                    "a task that ignores its result stores no error here either"},
            {"worker_disable_rate_limits", "leave out the rate limits instead"},
            {"worker_pool_restarts", "a reload (SIGHUP) replaces the runners here"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (fleet_is_set(f, rows[i].name))
            diagnosis_add(d, FINDING_DIFFERS, "%s: %s", rows[i].name, rows[i].sentence);
    if (json_is_false(fleet_setting(f, "task_acks_on_failure_or_timeout")))
        diagnosis_add(d, FINDING_DIFFERS,
                "task_acks_on_failure_or_timeout is off: what fails for good is a dead "
                "letter here, and is not delivered again");
}

static void check_pool(const struct celery_fleet *f, struct diagnosis *d)
{
    const char *pool = fleet_text(f, "worker_pool");
    if (pool && !strstr(pool, "prefork") && !strstr(pool, "solo"))
        diagnosis_add(d, FINDING_DIFFERS,
                "worker_pool is %s: each of the %u tasks at a time has a process here, "
                "and its memory",
                pool, f->concurrency);
}

static void check_time(const struct celery_fleet *f, struct diagnosis *d)
{
    const char *name = fleet_text(f, "timezone");
    struct zone *zone = NULL;
    if (name && zone_load(NULL, name, &zone, NULL) != CONEY_OK)
        diagnosis_add(
                d, FINDING_BLOCKS, "timezone is %s: there is no such zone here", name);
    zone_free(zone);
    if (json_is_false(fleet_setting(f, "enable_utc")))
        diagnosis_add(d, FINDING_DIFFERS,
                "enable_utc is off: times of tasks without an offset are taken for UTC here");
}

/* Celery's workers keep a task unacknowledged until its time; RabbitMQ takes it back
 * after half an hour (consumer_timeout), and closes their channel. */
static void check_held(const struct celery_fleet *f, int64_t now_us, struct diagnosis *d)
{
    size_t count = json_array_size(f->held);
    size_t longer = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t at_us = 0;
        const char *eta =
                json_string_value(json_object_get(json_array_get(f->held, i), "eta"));
        if (eta && time_parse(eta, &at_us) == CONEY_OK)
            longer += at_us - now_us > CONSUMER_TIMEOUT_US;
    }
    if (count > 0)
        diagnosis_add(d, FINDING_DIFFERS,
                "%zu task%s held by workers for a later time, %zu of them longer than "
                "RabbitMQ allows (consumer_timeout, 30 minutes); here the broker holds them. "
                "They go back to their queues when these workers stop",
                count, count == 1 ? " is" : "s are", longer);
}

static void check_customs(const struct celery_fleet *f, struct diagnosis *d)
{
    static const struct {
        const char *name, *usual;
    } rows[] = {{"worker_consumer", "celery.worker.consumer:Consumer"},
            {"worker_autoscaler", "celery.worker.autoscale:Autoscaler"}};
    const char *agent = fleet_text(f, "worker_agent");

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *value = fleet_text(f, rows[i].name);
        if (value && strcmp(value, rows[i].usual) != 0)
            diagnosis_add(d, FINDING_BLOCKS,
                    "%s is %s: code of your own inside Celery's worker stays there",
                    rows[i].name, value);
    }
    if (agent)
        diagnosis_add(
                d, FINDING_BLOCKS, "worker_agent is %s: it stays with Celery", agent);
    if (fleet_setting(f, "security_certificate"))
        diagnosis_add(d, FINDING_BLOCKS,
                "signed messages (security_certificate) are not "
                "read here");
}

void diagnose(const struct celery_fleet *f, int64_t now_us, struct diagnosis *d)
{
    *d = (struct diagnosis){.rc = CONEY_OK};
    for (size_t i = 0; i < FINDINGS; i++) {
        d->findings[i] = json_array();
        if (!d->findings[i])
            d->rc = CONEY_ENOMEM;
    }
    if (d->rc != CONEY_OK)
        return;
    check_broker(f, d);
    check_serializers(f, d);
    check_compression(f, d);
    check_protocol(f, d);
    check_results(f, d);
    diagnose_queues(f, d);
    diagnose_tasks(f, d);
    diagnose_schedule(f, d);
    check_held(f, now_us, d);
    check_pool(f, d);
    check_time(f, d);
    check_switches(f, d);
    check_exchanges(f, d);
    check_customs(f, d);
}

void diagnosis_fini(struct diagnosis *d)
{
    for (size_t i = 0; i < FINDINGS; i++)
        json_decref(d->findings[i]);
}
