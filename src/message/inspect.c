/* SPDX-License-Identifier: MIT */
/* inspect.c - replies spelled out member by member. */
#include "message/inspect.h"

#include "base/utf8.h"
#include "message/repr.h"
#include "message/time.h"

#include <stdio.h>
#include <string.h>

enum { REVOKE_PRIORITY = 6, COUNT_SIZE = 24 };

/* --- members ------------------------------------------------------------------------ */

static void put(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new_nocheck(object, key, value);
}

/* A text from outside, made fit to be written; NULL is null. */
static json_t *text(const char *s)
{
    if (!s)
        return json_null();
    struct bytes raw = {.data = s, .len = strlen(s)};
    if (utf8_is_valid(raw))
        return json_stringn_nocheck(s, raw.len);
    struct arena *a = arena_new(0);
    struct bytes fine = a ? utf8_repair(a, raw) : (struct bytes){.data = NULL};
    json_t *v = fine.data ? json_stringn_nocheck(fine.data, fine.len) : NULL;
    arena_free(a);
    return v;
}

static json_t *integer(int64_t value)
{
    return json_integer(value);
}

static json_t *integer_or_null(int64_t value)
{
    return value > 0 ? json_integer(value) : json_null();
}

static void put_nulls(json_t *object, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(object, keys[i], json_null());
}

/* What was put without the memory for it is missing; then the whole is of no use. */
static json_t *complete(json_t *object, size_t members)
{
    if (json_object_size(object) == members)
        return object;
    json_decref(object);
    return NULL;
}

/* --- tasks -------------------------------------------------------------------------- */

static void put_arguments(json_t *o, const struct inspect_task *t)
{
    if (!t->safe) {
        put(o, "args", t->args ? json_deep_copy(t->args) : json_array());
        put(o, "kwargs", t->kwargs ? json_deep_copy(t->kwargs) : json_object());
        return;
    }
    struct arena *a = arena_new(0);
    if (!a)
        return;
    put(o, "args", text(repr_args(t->args, a)));
    put(o, "kwargs", text(repr_kwargs(t->kwargs, a)));
    arena_free(a);
}

static json_t *delivery_info(const struct inspect_task *t)
{
    json_t *o = json_object();
    put(o, "exchange", text(t->exchange));
    put(o, "routing_key", text(t->routing_key));
    put(o, "priority", integer(t->priority >= 0 ? t->priority : 0));
    put(o, "redelivered", json_boolean(t->redelivered));
    return complete(o, 4);
}

json_t *inspect_task(const struct inspect_task *t)
{
    json_t *o = json_object();
    put(o, "id", text(t->id));
    put(o, "name", text(t->name ? t->name : t->type));
    put_arguments(o, t);
    put(o, "type", text(t->type));
    put(o, "hostname", text(t->hostname));
    put(o, "time_start",
            t->started_us > 0 ? json_real((double)t->started_us / 1e6) : json_null());
    /* We ack when all is done. */
    put(o, "acknowledged", json_false());
    put(o, "delivery_info", delivery_info(t));
    put(o, "worker_pid", integer_or_null(t->pid));
    return complete(o, 10);
}

json_t *inspect_scheduled(const struct inspect_task *t, int64_t eta_us)
{
    char eta[TIME_TEXT_SIZE];
    json_t *o = json_object();

    time_format(eta_us, eta);
    put(o, "eta", text(eta));
    put(o, "priority", integer(REVOKE_PRIORITY));
    put(o, "request", inspect_task(t));
    return complete(o, 3);
}

/* --- queues ------------------------------------------------------------------------- */

static json_t *exchange_of(const struct inspect_queue *q)
{
    json_t *o = json_object();
    put(o, "name", text(q->exchange));
    put(o, "type", text(q->exchange_type));
    put(o, "arguments", json_null());
    put(o, "durable", json_true());
    put(o, "passive", json_boolean(q->passive));
    put(o, "auto_delete", json_false());
    put(o, "delivery_mode", json_null());
    put(o, "no_declare", json_boolean(q->passive));
    return complete(o, 8);
}

static json_t *queue_arguments(const struct inspect_queue *q)
{
    if (!q->queue_type || q->passive)
        return json_null();
    json_t *o = json_object();
    put(o, "x-queue-type", text(q->queue_type));
    if (q->max_priority > 0)
        put(o, "x-max-priority", integer(q->max_priority));
    return complete(o, q->max_priority > 0 ? 2 : 1);
}

json_t *inspect_queue(const struct inspect_queue *q)
{
    static const char *const nulls[] = {
            "expires", "message_ttl", "max_length", "max_length_bytes"};
    json_t *o = json_object();

    put(o, "name", text(q->name));
    put(o, "exchange", exchange_of(q));
    put(o, "routing_key", text(q->routing_key));
    put(o, "queue_arguments", queue_arguments(q));
    put(o, "binding_arguments", json_null());
    put(o, "consumer_arguments", json_null());
    put(o, "durable", json_true());
    put(o, "exclusive", json_false());
    put(o, "auto_delete", json_false());
    put(o, "no_ack", json_false());
    put(o, "alias", json_null());
    put(o, "bindings", json_array());
    put(o, "no_declare", q->passive ? json_true() : json_null());
    put_nulls(o, nulls, sizeof(nulls) / sizeof(nulls[0]));
    put(o, "max_priority", integer_or_null(q->max_priority));
    return complete(o, 18);
}

/* --- statistics --------------------------------------------------------------------- */

/* What the pool's pipes carried, which Flower shows; here each job is posted once. */
static json_t *pool_writes(const struct inspect_stats *s)
{
    char total[COUNT_SIZE];
    json_t *o = json_object();
    json_t *inqueues = json_object();

    snprintf(total, sizeof(total), "%lld", (long long)s->concurrency);
    put(inqueues, "total", integer(s->concurrency));
    put(inqueues, "active", integer(s->busy));
    put(o, "total", integer(s->concurrency));
    put(o, "avg", text("1.00"));
    put(o, "all", text("1.00"));
    put(o, "raw", text(total));
    put(o, "strategy", text("fair"));
    put(o, "inqueues", inqueues);
    return complete(o, 6);
}

static json_t *pool_of(const struct inspect_stats *s)
{
    json_t *o = json_object();
    json_t *timeouts = json_array();

    (void)json_array_append_new(timeouts, integer(0));
    (void)json_array_append_new(timeouts, integer(0));
    put(o, "implementation", text("coney:runners"));
    put(o, "max-concurrency", integer(s->concurrency));
    put(o, "processes", json_incref(s->processes));
    put(o, "max-tasks-per-child", text("N/A"));
    put(o, "put-guarded-by-semaphore", json_false());
    put(o, "timeouts", timeouts);
    put(o, "writes", pool_writes(s));
    return complete(o, 7);
}

static json_t *broker_of(const struct inspect_broker *b)
{
    json_t *o = json_object();
    put(o, "hostname", text(b->hostname));
    put(o, "userid", text(b->user));
    put(o, "virtual_host", text(b->vhost));
    put(o, "port", integer(b->port));
    put(o, "insist", json_false());
    put(o, "ssl", json_boolean(b->tls));
    put(o, "transport", text(b->tls ? "amqps" : "amqp"));
    put(o, "connect_timeout", json_real(b->connect_timeout_s));
    put(o, "transport_options", json_object());
    put(o, "login_method", text("PLAIN"));
    put(o, "uri_prefix", json_null());
    put(o, "heartbeat", json_real(b->heartbeat_s));
    put(o, "failover_strategy", text("round-robin"));
    put(o, "alternates", b->alternates ? json_incref(b->alternates) : json_array());
    put(o, "credential_provider", json_null());
    return complete(o, 15);
}

static json_t *usage_of(const struct inspect_usage *u)
{
    const struct {
        const char *key;
        int64_t value;
    } counts[] = {{"maxrss", u->maxrss}, {"ixrss", u->ixrss}, {"idrss", u->idrss},
            {"isrss", u->isrss}, {"minflt", u->minflt}, {"majflt", u->majflt},
            {"nswap", u->nswap}, {"inblock", u->inblock}, {"oublock", u->oublock},
            {"msgsnd", u->msgsnd}, {"msgrcv", u->msgrcv}, {"nsignals", u->nsignals},
            {"nvcsw", u->nvcsw}, {"nivcsw", u->nivcsw}};
    const size_t count = sizeof(counts) / sizeof(counts[0]);
    json_t *o = json_object();

    put(o, "utime", json_real(u->utime_s));
    put(o, "stime", json_real(u->stime_s));
    for (size_t i = 0; i < count; i++)
        put(o, counts[i].key, integer(counts[i].value));
    return complete(o, count + 2);
}

json_t *inspect_stats(const struct inspect_stats *s)
{
    char clock[COUNT_SIZE];
    json_t *o = json_object();

    snprintf(clock, sizeof(clock), "%lld", (long long)s->clock);
    put(o, "total", json_incref(s->totals));
    put(o, "pid", integer(s->pid));
    put(o, "clock", text(clock)); /* Celery's is a text too */
    put(o, "uptime", integer(s->uptime_s));
    put(o, "pool", pool_of(s));
    put(o, "broker", broker_of(&s->broker));
    put(o, "prefetch_count", integer(s->prefetch));
    put(o, "rusage", usage_of(&s->usage));
    return complete(o, 8);
}
