/* SPDX-License-Identifier: MIT */
/*
 * topology.c - the objects of design.md's table, spelled out as a list.
 *
 * An object stands behind everything it refers to: the exchange that strays go to comes
 * first, the task queues last. So a list that fails half way has left nothing that leads
 * nowhere.
 */
#include "queue/topology.h"

#include "base/error.h"
#include "queue/names.h"

#include <assert.h>
#include <string.h>

enum {
    /* Ours, however often somebody looks at a message and puts it back. */
    LIMIT_NONE = 1000000000,
    LIMIT_TASK = 1000,
    REVOKED_SEGMENT_BYTES = 1024 * 1024,
    /* Beside the levels and the task queues. */
    FIXED_ITEMS = 10,
    ITEMS_PER_LEVEL = 4,
    LEVEL_SETS = 2, /* ours and Celery's */
    ITEMS_PER_QUEUE = 3,
    /* ".v1.delay.NN", the longest that follows the prefix. */
    SUFFIX_MAX = 12
};

/* Its rc is the first failure; what is added after one is dropped. */
struct builder {
    struct topology *t;
    const struct broker_config *broker;
    enum coney_rc rc;
};

static void keep(struct builder *b, enum coney_rc rc)
{
    if (b->rc == CONEY_OK)
        b->rc = rc;
}

static const char *copy(struct builder *b, const char *text)
{
    char *own = arena_strdup(b->t->arena, text);
    keep(b, own ? CONEY_OK : CONEY_ENOMEM);
    return own ? own : "";
}

/* --- arguments -------------------------------------------------------------------- */

static void set_text(
        struct builder *b, struct declaration *d, const char *key, const char *value)
{
    keep(b, table_set_text(&d->arguments, b->t->arena, key, copy(b, value)));
}

static void set_integer(
        struct builder *b, struct declaration *d, const char *key, int64_t value)
{
    keep(b, table_set_integer(&d->arguments, b->t->arena, key, value));
}

/* The same width on every level: the upper ones do not fit 32 bits. */
static void set_ttl(struct builder *b, struct declaration *d, int64_t ttl_ms)
{
    struct field f = {.type = FIELD_I64, .value = {.integer = ttl_ms}};
    f.key = (struct bytes){.data = "x-message-ttl", .len = strlen("x-message-ttl")};
    keep(b, table_set(&d->arguments, b->t->arena, &f));
}

static void set_type(
        struct builder *b, struct declaration *d, enum queue_type type, int64_t limit)
{
    if (type == QUEUE_CLASSIC) {
        set_text(b, d, "x-queue-type", "classic");
        return;
    }
    set_text(b, d, "x-queue-type", "quorum");
    set_integer(b, d, "x-delivery-limit", limit);
}

/* Dead-lettering at least once wants reject-publish; classic queues can't promise it. */
static void set_dead_letters(struct builder *b, struct declaration *d,
        enum queue_type type, const char *exchange)
{
    set_text(b, d, "x-dead-letter-exchange", exchange);
    set_text(b, d, "x-overflow", "reject-publish");
    if (type == QUEUE_QUORUM)
        set_text(b, d, "x-dead-letter-strategy", "at-least-once");
}

/* --- items ------------------------------------------------------------------------ */

static struct declaration *add(
        struct builder *b, enum declaration_kind kind, const char *name)
{
    struct declaration *d = &b->t->items[b->t->count++];
    d->kind = kind;
    d->mode = b->broker->declare;
    d->name = copy(b, name);
    return d;
}

static struct declaration *add_exchange(
        struct builder *b, const char *name, const char *type)
{
    struct declaration *d = add(b, DECLARE_EXCHANGE, name);
    d->type = type;
    return d;
}

/* What it can't route goes to <prefix>.unrouted. */
static void add_topic(struct builder *b, const char *name)
{
    struct declaration *d = add_exchange(b, name, "topic");
    char unrouted[AMQP_NAME_SIZE];
    name_of(NAME_UNROUTED, b->broker->prefix, unrouted);
    set_text(b, d, "alternate-exchange", unrouted);
}

/* The protocol has no passive binding: without leave to declare, we trust. */
static void add_binding(struct builder *b, enum declaration_kind kind,
        const char *destination, const char *source, const char *key)
{
    if (b->broker->declare == DECLARE_PASSIVE)
        return;
    struct declaration *d = add(b, kind, destination);
    d->source = copy(b, source);
    d->key = copy(b, key);
}

/* A queue where messages end, and wait for a person. */
static void add_last_stop(
        struct builder *b, enum object_name queue, enum object_name exchange)
{
    char name[AMQP_NAME_SIZE], source[AMQP_NAME_SIZE];
    name_of(queue, b->broker->prefix, name);
    name_of(exchange, b->broker->prefix, source);
    struct declaration *d = add(b, DECLARE_QUEUE, name);
    set_type(b, d, b->broker->queue_type, LIMIT_NONE);
    add_binding(b, BIND_QUEUE, name, source, "#");
}

static void add_last_stops(struct builder *b)
{
    char name[AMQP_NAME_SIZE];
    name_of(NAME_UNROUTED, b->broker->prefix, name);
    add_exchange(b, name, "fanout");
    add_last_stop(b, NAME_UNROUTABLE, NAME_UNROUTED);
    name_of(NAME_DEAD_EXCHANGE, b->broker->prefix, name);
    add_topic(b, name);
    add_last_stop(b, NAME_DEAD_QUEUE, NAME_DEAD_EXCHANGE);
}

/* --- delay levels ----------------------------------------------------------------- */

/* The exchange below @level: where its queue lets go and its exchange passes on. */
static void name_below(const struct builder *b, unsigned level, char name[AMQP_NAME_SIZE])
{
    if (level > 0)
        name_of_level(level - 1, b->broker->prefix, name);
    else
        name_of(NAME_DELAYED, b->broker->prefix, name);
}

/* The pattern of keys whose digit for @level is @digit: `*.*.1.#` is level 25's. */
static void digit_pattern(unsigned level, char digit, char key[AMQP_NAME_SIZE])
{
    size_t at = 0;
    for (unsigned i = DELAY_LEVELS - 1; i > level; i--) {
        key[at++] = '*';
        key[at++] = '.';
    }
    key[at++] = digit;
    memcpy(key + at, ".#", sizeof(".#"));
}

/* What all levels have in common: the queue @d holds for its time and lets go to @below,
 * the exchange of the same name chooses by the level's digit. */
static void finish_level(
        struct builder *b, struct declaration *d, unsigned level, const char *below)
{
    char key[AMQP_NAME_SIZE];
    set_dead_letters(b, d, b->broker->queue_type, below);
    set_ttl(b, d, (INT64_C(1) << level) * 1000);
    digit_pattern(level, '1', key);
    add_binding(b, BIND_QUEUE, d->name, d->name, key);
    digit_pattern(level, '0', key);
    add_binding(b, BIND_EXCHANGE, below, d->name, key);
}

static void add_level(struct builder *b, unsigned level)
{
    char name[AMQP_NAME_SIZE], below[AMQP_NAME_SIZE];
    name_of_level(level, b->broker->prefix, name);
    name_below(b, level, below);
    add_topic(b, name);
    struct declaration *d = add(b, DECLARE_QUEUE, name);
    set_type(b, d, b->broker->queue_type, LIMIT_NONE);
    finish_level(b, d, level, below);
}

static void add_levels(struct builder *b)
{
    char delayed[AMQP_NAME_SIZE];
    name_of(NAME_DELAYED, b->broker->prefix, delayed);
    add_topic(b, delayed);
    for (unsigned level = 0; level < DELAY_LEVELS; level++)
        add_level(b, level);
}

/* --- Celery's levels --------------------------------------------------------------- */

/* To the letter as Celery's worker declares them, for it may come and do so. */
static void add_celery_level(struct builder *b, unsigned level)
{
    char name[AMQP_NAME_SIZE], below[AMQP_NAME_SIZE] = NAME_CELERY_DELAYED;
    name_of_celery_level(level, name);
    if (level > 0)
        name_of_celery_level(level - 1, below);
    add_exchange(b, name, "topic");
    struct declaration *d = add(b, DECLARE_QUEUE, name);
    set_text(b, d, "x-queue-type",
            b->broker->queue_type == QUEUE_QUORUM ? "quorum" : "classic");
    finish_level(b, d, level, below);
}

/* Celery's producers declare none of it, and a key that is not bound where the levels end
 * keeps its message, and all behind it, in the last one for ever. */
static void add_celery_levels(struct builder *b, const struct config *c)
{
    size_t i = 0;
    while (i < c->queue_count && !c->queues[i].celery_delayed)
        i++;
    if (i == c->queue_count)
        return;
    add_exchange(b, NAME_CELERY_DELAYED, "topic");
    for (unsigned level = 0; level < DELAY_LEVELS; level++)
        add_celery_level(b, level);
}

/* --- queues of tasks and the token ------------------------------------------------ */

static void add_task_queue(struct builder *b, const struct queue_config *q)
{
    char source[AMQP_NAME_SIZE], key[AMQP_NAME_SIZE];
    struct declaration *d = add(b, DECLARE_QUEUE, q->name);
    if (q->declare == DECLARE_PASSIVE)
        d->mode = DECLARE_PASSIVE;
    name_of(NAME_DEAD_EXCHANGE, b->broker->prefix, source);
    set_type(b, d, q->type, LIMIT_TASK);
    set_dead_letters(b, d, q->type, source);
    if (q->type == QUEUE_CLASSIC && q->max_priority > 0)
        set_integer(b, d, "x-max-priority", q->max_priority);

    /* A foreign queue as well: its retries come back through the levels. */
    enum coney_rc rc = delay_binding(q->name, key);
    assert(rc == CONEY_OK); /* check_names() */
    name_of(NAME_DELAYED, b->broker->prefix, source);
    add_binding(b, BIND_QUEUE, q->name, source, key);
    if (!q->celery_delayed)
        return;
    /* Celery goes by way of the queue's own exchange; both ways deliver once. */
    rc = delay_pattern(q->celery_delayed, key);
    assert(rc == CONEY_OK); /* likewise */
    add_binding(b, BIND_QUEUE, q->name, NAME_CELERY_DELAYED, key);
}

static void add_tasks(struct builder *b, const struct config *c)
{
    add_last_stops(b);
    add_levels(b);
    add_celery_levels(b, c);
    for (size_t i = 0; i < c->queue_count; i++)
        add_task_queue(b, &c->queues[i]);
}

static void add_token(struct builder *b, const struct config *c)
{
    char name[AMQP_NAME_SIZE];
    name_of_token(c->beat.name, b->broker->prefix, name);
    struct declaration *d = add(b, DECLARE_QUEUE, name);
    set_type(b, d, b->broker->queue_type, LIMIT_NONE);
    keep(b, table_set_bool(&d->arguments, b->t->arena, "x-single-active-consumer", true));
}

/* Old entries go by whole segments, which are small so that they do. */
static void add_revoked(struct builder *b)
{
    char name[AMQP_NAME_SIZE];
    name_of(NAME_REVOKED, b->broker->prefix, name);
    struct declaration *d = add(b, DECLARE_QUEUE, name);
    set_text(b, d, "x-queue-type", "stream");
    set_text(b, d, "x-max-age", "7D");
    set_integer(b, d, "x-stream-max-segment-size-bytes", REVOKED_SEGMENT_BYTES);
}

/* --- checking and making ---------------------------------------------------------- */

static enum coney_rc check_names(
        const struct config *c, unsigned parts, struct coney_error *err)
{
    const char *prefix = c->broker.prefix;
    if (strlen(prefix) + SUFFIX_MAX >= AMQP_NAME_SIZE)
        return error_set(err, CONEY_EINVAL,
                "broker.prefix is over %d bytes, too long for the names made from it",
                AMQP_NAME_SIZE - 1 - SUFFIX_MAX);
    if ((parts & TOPOLOGY_TOKEN) != 0 &&
            strlen(prefix) + strlen(".beat.") + strlen(c->beat.name) >= AMQP_NAME_SIZE)
        return error_set(err, CONEY_EINVAL,
                "beat.name is too long for a queue '%s.beat.<name>' of at most 255 bytes",
                prefix);
    if ((parts & TOPOLOGY_TASKS) == 0)
        return CONEY_OK;

    char key[AMQP_NAME_SIZE];
    for (size_t i = 0; i < c->queue_count; i++)
        if (delay_binding(c->queues[i].name, key) != CONEY_OK)
            return error_set(err, CONEY_EINVAL,
                    "queue '%.100s': a name has 1 to 199 bytes and no part between dots "
                    "that is just * or #, for delayed tasks are addressed by it",
                    c->queues[i].name);
    for (size_t i = 0; i < c->queue_count; i++)
        if (c->queues[i].celery_delayed &&
                delay_pattern(c->queues[i].celery_delayed, key) != CONEY_OK)
            return error_set(err, CONEY_EINVAL,
                    "queue '%.100s': celery_delayed is a routing key of 1 to 199 bytes",
                    c->queues[i].name);
    return CONEY_OK;
}

static struct topology *new_empty(size_t capacity)
{
    struct arena *a = arena_new(32 * 1024);
    if (!a)
        return NULL;
    struct topology *t = arena_alloc(a, sizeof(*t));
    if (t)
        t->items = arena_alloc(a, capacity * sizeof(*t->items));
    if (!t || !t->items) {
        arena_free(a);
        return NULL;
    }
    t->arena = a;
    return t;
}

enum coney_rc topology_new(const struct config *c, unsigned parts, struct topology **out,
        struct coney_error *err)
{
    enum coney_rc rc = check_names(c, parts, err);
    if (rc != CONEY_OK)
        return rc;

    size_t capacity = FIXED_ITEMS + (size_t)LEVEL_SETS * ITEMS_PER_LEVEL * DELAY_LEVELS +
                      ITEMS_PER_QUEUE * c->queue_count;
    struct builder b = {.t = new_empty(capacity), .broker = &c->broker};
    if (!b.t)
        return error_set_nomem(err);
    if ((parts & TOPOLOGY_TASKS) != 0)
        add_tasks(&b, c);
    if ((parts & TOPOLOGY_TOKEN) != 0)
        add_token(&b, c);
    if ((parts & TOPOLOGY_REVOKED) != 0)
        add_revoked(&b);
    if (b.rc != CONEY_OK) {
        topology_free(b.t);
        return error_set_nomem(err);
    }
    *out = b.t;
    return CONEY_OK;
}

void topology_free(struct topology *t)
{
    if (t)
        arena_free(t->arena);
}
