/* SPDX-License-Identifier: MIT */
/* adoption_queues.c - Celery's queues as they are, each in a class that its name
 * suggests.
 */
#include "base/json.h"
#include "base/text.h"
#include "cli/adoption.h"
#include "config/texts.h"

#include <string.h>

enum { HIGH, NORMAL, LOW, RANKS };
enum { PRIORITY_MAX = 255 };

/* --- classes ------------------------------------------------------------------------ */

static const char *const our_classes[RANKS] = {"high", "default", "low"};
static const char *const other_classes[RANKS] = {
        "class-high", "class-default", "class-low"};

/* A queue named like a class would be ours instead of theirs. */
static bool has_collision(const struct celery_fleet *f)
{
    for (size_t i = 0; i < RANKS; i++)
        if (json_object_get(f->queues, our_classes[i]))
            return true;
    return false;
}

const char *adoption_class(const struct celery_fleet *f, unsigned rank)
{
    return has_collision(f) ? other_classes[rank] : our_classes[rank];
}

static bool has_word(const char *name, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(name, *words))
            return true;
    return false;
}

static unsigned rank_of(const char *queue)
{
    static const char *const high[] = {"high", "urgent", "critical", "important", "prio",
            "fast", "express", "realtime", "interactive", NULL};
    static const char *const low[] = {"low", "slow", "bulk", "batch", "background",
            "report", "long", "night", "export", "import", "cleanup", NULL};
    if (has_word(queue, low))
        return LOW;
    return has_word(queue, high) ? HIGH : NORMAL;
}

static void write_classes(const struct celery_fleet *f, struct paper *p)
{
    if (!has_collision(f))
        return;
    paper_put(p,
            "\n# The default classes under other names: Celery's queues have theirs.\n"
            "classes:\n"
            "  class-high: {weight: 6, reserve: %d}\n"
            "  class-default: {weight: 3}\n"
            "  class-low: {weight: 1, ageing: 10m}\n",
            f->concurrency > 1);
}

/* --- queues ------------------------------------------------------------------------- */

/* Why @queue stays Celery's; NULL: it is taken. */
static const char *obstacle(const char *name, const json_t *queue)
{
    const char *type = json_text(json_object_get(queue, "exchange"), "type");
    struct coney_error err;

    if (text_check_queue(name, &err) != CONEY_OK)
        return "it has a name that can't be delayed";
    if (strncmp(name, "coney.", 6) == 0)
        return "it has a name of ours";
    if (text_ends_with(name, ".dq2"))
        return "it belongs to one worker (worker_direct)";
    if (type && strcmp(type, "fanout") == 0)
        return "it is a broadcast, which every worker has a queue of its own for";
    if (json_is_true(json_object_get(queue, "exclusive")))
        return "it is exclusive";
    if (json_is_true(json_object_get(queue, "auto_delete")))
        return "it goes when its consumers go";
    return NULL;
}

bool adoption_has_queue(const struct celery_fleet *f, const char *queue)
{
    const json_t *found = json_object_get(f->queues, queue);
    return found && !obstacle(queue, found);
}

static json_int_t priorities_of(const struct celery_fleet *f, const json_t *queue)
{
    const json_t *arguments = json_object_get(queue, "queue_arguments");
    json_int_t n = json_integer_value(json_object_get(queue, "max_priority"));
    if (n == 0)
        n = json_integer_value(json_object_get(arguments, "x-max-priority"));
    if (n == 0)
        n = json_integer_value(fleet_setting(f, "task_queue_max_priority"));
    return n > PRIORITY_MAX ? PRIORITY_MAX : n;
}

/* "# exchange shop(topic) key shop.#", where it is not simply the queue's name. */
static void write_exchange(const char *name, const json_t *queue, struct paper *p)
{
    const json_t *exchange = json_object_get(queue, "exchange");
    const char *from = json_text(exchange, "name");
    const char *type = json_text(exchange, "type");
    const char *key = json_text(queue, "routing_key");
    bool is_usual = !from || !key || (strcmp(from, name) == 0 && strcmp(key, name) == 0);

    if (!is_usual)
        paper_put(p, "  # exchange %s(%s) key %s", paper_comment(p, from),
                paper_comment(p, type ? type : "?"), paper_comment(p, key));
}

static void write_queue(const struct celery_fleet *f, const char *name,
        const json_t *queue, struct paper *p)
{
    const json_t *arguments = json_object_get(queue, "queue_arguments");
    const char *declared = json_text(arguments, "x-queue-type");
    bool is_quorum = declared && strcmp(declared, "quorum") == 0;
    const char *key = json_text(queue, "routing_key");
    json_int_t priorities = priorities_of(f, queue);

    paper_put(p, "  %s: {class: %s, declare: passive, type: %s", paper_scalar(p, name),
            adoption_class(f, rank_of(name)), is_quorum ? "quorum" : "classic");
    if (priorities > 0 && !is_quorum)
        paper_put(p, ", max_priority: %d", (int)priorities);
    if (is_quorum && key && *key)
        paper_put(p, ", celery_delayed: %s", paper_scalar(p, key));
    paper_put(p, "}");
    write_exchange(name, queue, p);
    paper_put(p, "\n");
}

void adoption_write_queues(const struct celery_fleet *f, struct paper *p)
{
    write_classes(f, p);
    paper_put(p,
            "\n# Celery's queues as they are: somebody else declares them (passive). The "
            "class is a\n# guess by the name. Take out those that Celery's workers are to "
            "keep.\nqueues:\n");
    for (void *at = json_object_iter(f->queues); at;
            at = json_object_iter_next(f->queues, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *queue = json_object_iter_value(at);
        const char *why = obstacle(name, queue);
        if (why)
            paper_note(p, "queue %s: %s", name, why);
        else
            write_queue(f, name, queue, p);
    }
}
