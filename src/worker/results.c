/* SPDX-License-Identifier: MIT */
/*
 * results.c - where this worker's results go: the store that the configuration names, if
 * it names one, and word that a task has started.
 *
 * That a task has started is told once and never repeated: soon after, it is of no use.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "message/result.h"
#include "queue/result_store.h"
#include "worker/state.h"
#include "worker/store_redis.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES_MAX = 4096 };

/* Word of a start, on its way to a queue or into the store. */
struct note {
    TAILQ_ENTRY(note) entry;
    struct worker *worker;
    struct outgoing out;
    struct store_request store;
};

/* --- the store -----------------------------------------------------------------------
 */

/* Whether a store opened for @a serves @b. Not with TLS: its files may have changed. */
static bool is_same(const struct results_config *a, const struct results_config *b)
{
    return text_is_same(a->url, b->url) && text_is_same(a->password, b->password) &&
           text_is_same(a->prefix, b->prefix) && a->expires_ms == b->expires_ms &&
           a->when_down == b->when_down && a->retry_for_ms == b->retry_for_ms &&
           !(a->url && strncmp(a->url, "rediss:", 7) == 0);
}

static void on_store_change(void *ctx)
{
    jobs_set_timer(ctx);
}

/* *@out stays NULL when results go elsewhere. */
static enum coney_rc open_store(struct worker *w, const struct results_config *c,
        struct store **out, struct coney_error *err)
{
    const struct store_options options = {
            .when_down = c->when_down, .retry_for_ms = c->retry_for_ms};
    const struct store_redis_options redis = {.loop = &w->loop,
            .rng = &w->rng,
            .config = c,
            .name = w->node,
            .on_change = on_store_change,
            .ctx = w};

    *out = NULL;
    if (!result_store_is_used(c))
        return CONEY_OK;
    struct store *s = store_new(&options);
    if (!s)
        return error_set_nomem(err);
    enum coney_rc rc = store_redis_open(&redis, s, err);
    if (rc != CONEY_OK) {
        store_free(s);
        return rc;
    }
    *out = s;
    return CONEY_OK;
}

enum coney_rc results_open(struct worker *w, struct coney_error *err)
{
    return open_store(w, &w->generation->config->results, &w->store, err);
}

enum coney_rc results_renew(
        struct worker *w, const struct config *before, struct coney_error *err)
{
    const struct results_config *c = &w->generation->config->results;
    struct store *old = w->store;
    struct store *new = NULL;

    if (is_same(&before->results, c))
        return CONEY_OK;
    enum coney_rc rc = open_store(w, c, &new, err);
    if (rc != CONEY_OK)
        return rc;
    w->store = new;
    if (old && new)
        store_move(old, new, clock_mono_ms());
    else if (old)
        store_give_up(old);
    store_free(old);
    jobs_set_timer(w);
    return CONEY_OK;
}

static void free_note(struct note *n)
{
    TAILQ_REMOVE(&n->worker->notes, n, entry);
    n->worker->note_count--;
    outgoing_fini(&n->out);
    store_request_fini(&n->store);
    free(n);
}

void results_free(struct worker *w)
{
    struct note *next;
    store_free(w->store);
    w->store = NULL;
    for (struct note *n = TAILQ_FIRST(&w->notes); n; n = next) {
        next = TAILQ_NEXT(n, entry);
        n->out.state = OUTGOING_IDLE; /* its outlet goes as well */
        free_note(n);
    }
}

/* --- starts --------------------------------------------------------------------------
 */

static struct note *note_of(struct outgoing *out)
{
    return (struct note *)(void *)((char *)out - offsetof(struct note, out));
}

void results_published(struct outgoing *out)
{
    free_note(note_of(out));
}

static void on_stored(void *ctx, struct store_request *q, enum store_outcome outcome)
{
    (void)q;
    (void)outcome;
    free_note(ctx);
}

static struct note *note_new(struct worker *w)
{
    struct note *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->worker = w;
    n->out.channel = OUTLET_FOREIGN;
    store_request_init(&n->store, STORE_META);
    n->store.fleeting = true;
    n->store.on_done = on_stored;
    n->store.ctx = n;
    TAILQ_INSERT_TAIL(&w->notes, n, entry);
    w->note_count++;
    return n;
}

static bool store_note(struct worker *w, struct note *n, const struct result *r)
{
    n->store.id = strdup(r->task_id);
    return n->store.id && result_write_meta(r, &n->store.meta, NULL) == CONEY_OK &&
           store_submit(w->store, &n->store, clock_mono_ms());
}

static bool send_note(
        struct worker *w, struct note *n, const struct job *j, const struct result *r)
{
    if (result_encode(r, &n->out.envelope, NULL) != CONEY_OK)
        return false;
    n->out.exchange = "";
    n->out.routing_key = arena_strdup(n->out.envelope.arena, j->request->reply_to);
    if (!n->out.routing_key)
        return false;
    outlet_publish(w->outlet, &n->out);
    return true;
}

void results_started(struct worker *w, struct job *j)
{
    const struct task_request *q = j->request;
    if (!w->generation->config->results.track_started || !prepare_wants_result(w, j) ||
            w->note_count >= NOTES_MAX)
        return;
    json_t *value = json_pack(
            "{s:i,s:s}", "pid", (int)pool_job_pid(w->pool, j), "hostname", w->node);
    struct note *n = value ? note_new(w) : NULL;
    const struct result r = {.task_id = q->id,
            .correlation_id = q->correlation_id,
            .status = RESULT_STARTED,
            .value = value,
            .group_id = q->group,
            .parent_id = q->parent_id};

    if (n && !(w->store ? store_note(w, n, &r) : send_note(w, n, j, &r)))
        free_note(n);
    json_decref(value);
}
