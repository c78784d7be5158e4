/* SPDX-License-Identifier: MIT */
/*
 * stored.c - results out of the store, for whoever asks, in the caller's own thread.
 *
 * Each call has a reader to itself; afterwards it is kept for the next, connections and
 * all.
 */
#include "base/clock.h"
#include "base/error.h"
#include "lib/client_impl.h"
#include "queue/result_store.h"

#include <assert.h>

enum {
    READERS_MAX = 8,    /* idle ones that are kept */
    LOOK_MIN_MS = 5000, /* for the store itself, when nobody wants to wait for a task */
};

bool stored_is_used(const struct coney_client *c)
{
    return result_store_is_used(&c->config->results);
}

static enum coney_rc borrow(
        struct coney_client *c, struct reader **out, struct coney_error *err)
{
    pthread_mutex_lock(&c->lock);
    *out = c->readers;
    if (*out) {
        c->readers = (*out)->next;
        c->reader_count--;
    }
    pthread_mutex_unlock(&c->lock);
    return *out ? CONEY_OK : reader_new(&c->config->results, out, err);
}

static void give_back(struct coney_client *c, struct reader *r)
{
    pthread_mutex_lock(&c->lock);
    if (c->reader_count < READERS_MAX) {
        r->next = c->readers;
        c->readers = r;
        c->reader_count++;
        r = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    reader_free(r);
}

void stored_free(struct coney_client *c)
{
    struct reader *r;
    while ((r = c->readers)) {
        c->readers = r->next;
        reader_free(r);
    }
}

static enum coney_rc tell(
        struct result_message *m, struct coney_result **out, struct coney_error *err)
{
    *out = result_of_message(m, RESULT_WITH_DETAILS);
    result_message_fini(m);
    return *out ? CONEY_OK : error_set_nomem(err);
}

static int64_t look_until_ms(unsigned timeout_ms)
{
    return clock_mono_ms() + (timeout_ms > LOOK_MIN_MS ? timeout_ms : LOOK_MIN_MS);
}

enum coney_rc stored_get(struct coney_client *c, const char *id, unsigned timeout_ms,
        struct coney_result **out, struct coney_error *err)
{
    struct result_message m;
    struct reader *r;
    enum coney_rc rc = borrow(c, &r, err);
    if (rc != CONEY_OK)
        return rc;
    rc = reader_get(r, id, look_until_ms(timeout_ms), &m, err);
    give_back(c, r);
    if (rc != CONEY_OK)
        return rc;
    if (m.task_id)
        return tell(&m, out, err);
    *out = result_of_nothing(id);
    return *out ? CONEY_OK : error_set_nomem(err);
}

/* Only to look is no reason to subscribe. */
static enum coney_rc look(struct coney_client *c, const char *id,
        struct coney_result **out, struct coney_error *err)
{
    enum coney_rc rc = stored_get(c, id, 0, out, err);
    if (rc != CONEY_OK)
        return rc;
    assert(*out);
    if ((*out)->status != CONEY_STATUS_PENDING)
        return CONEY_OK;
    coney_result_free(*out);
    *out = NULL;
    return error_set(err, CONEY_ETIMEOUT, "no result of task %.100s yet", id);
}

enum coney_rc stored_wait(struct coney_client *c, const char *id, unsigned timeout_ms,
        struct coney_result **out, struct coney_error *err)
{
    struct result_message m;
    struct reader *r;
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    if (timeout_ms == 0)
        return look(c, id, out, err);
    enum coney_rc rc = borrow(c, &r, err);
    if (rc != CONEY_OK)
        return rc;
    rc = reader_wait(r, id, deadline_ms, &m, err);
    give_back(c, r);
    return rc == CONEY_OK ? tell(&m, out, err) : rc;
}

enum coney_rc stored_write(struct coney_client *c, const struct redis_commands *commands,
        unsigned timeout_ms, struct coney_error *err)
{
    struct reader *r;
    enum coney_rc rc = borrow(c, &r, err);
    if (rc != CONEY_OK)
        return rc;
    rc = reader_write(r, commands, look_until_ms(timeout_ms), err);
    give_back(c, r);
    return rc;
}

enum coney_rc stored_forget(struct coney_client *c, const char *id, unsigned timeout_ms,
        struct coney_error *err)
{
    struct reader *r;
    enum coney_rc rc = borrow(c, &r, err);
    if (rc != CONEY_OK)
        return rc;
    rc = reader_forget(r, id, look_until_ms(timeout_ms), err);
    give_back(c, r);
    return rc;
}
