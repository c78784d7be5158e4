/* SPDX-License-Identifier: MIT */
/*
 * client.c - the public face: takes messages, waits for what becomes of them.
 *
 * A caller puts its message into the outbox, wakes the driver and waits for the message
 * to be decided. That this comes to pass in time is the driver's business: it also ends
 * what no broker ever answers.
 */
#include "base/clock.h"
#include "base/error.h"
#include "lib/canvas.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- making and freeing ----------------------------------------------------------- */

static enum coney_rc read_options(const struct coney_client_options *from,
        struct coney_client_options *to, struct coney_error *err)
{
    coney_client_options_init(to);
    if (!from)
        return CONEY_OK;
    if (from->size == 0 || from->size > sizeof(*to))
        return error_set(err, CONEY_EINVAL,
                "options.size is %zu: begin with coney_client_options_init(), and build "
                "against the header of this library",
                from->size);
    memcpy(to, from, from->size);
    return CONEY_OK;
}

/* Waits are by the clock that no administrator sets. */
static void init_locks(struct coney_client *c)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&c->lock, NULL);
}

static void destroy(struct coney_client *c)
{
    session_free(c->session);
    stored_free(c);
    config_free(c->config);
    outbox_fini(&c->outbox);
    replies_fini(&c->replies);
    if (c->wake_fd >= 0)
        close(c->wake_fd);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

enum coney_rc coney_client_new(const struct coney_client_options *options,
        struct coney_client **out, struct coney_error *err)
{
    struct coney_client_options o;
    enum coney_rc rc = read_options(options, &o, err);
    if (rc != CONEY_OK)
        return rc;
    struct coney_client *c = calloc(1, sizeof(*c));
    if (!c)
        return error_set_nomem(err);
    c->wake_fd = -1;
    init_locks(c);
    rc = client_set_up(c, &o, err);
    if (rc != CONEY_OK) {
        destroy(c);
        return rc;
    }
    *out = c;
    return CONEY_OK;
}

/*
 * Whether we are a forked child with a copy of the parent's client. Asked before anything
 * is locked: the lock may have been held at the fork, by a thread that we don't have.
 */
static bool is_foreign(struct coney_client *c)
{
    pid_t owner = atomic_load(&c->owner);
    return owner != 0 && owner != getpid();
}

static enum coney_rc refuse_foreign(struct coney_error *err)
{
    return error_set(err, CONEY_EINVAL,
            "this client belongs to the parent process: make one after fork()");
}

void coney_client_free(struct coney_client *client)
{
    if (!client)
        return;
    if (is_foreign(client)) {
        /* A forked child has a copy of whatever the thread was in the middle of: memory
         * and locks are of no use to it, and a goodbye on the parent's connection would
         * end that. Just our ends of the descriptors go. */
        int fd = session_fd(client->session);
        if (fd >= 0)
            close(fd);
        close(client->wake_fd);
        return;
    }
    pthread_mutex_lock(&client->lock);
    driver_stop(client);
    pthread_mutex_unlock(&client->lock);
    destroy(client);
}

/* --- waiting ---------------------------------------------------------------------- */

/* Until something changed or @deadline_ms on clock_mono_ms(). */
static void wait_change(struct coney_client *c, int64_t deadline_ms)
{
    struct timespec at;
    int64_t left_ms = deadline_ms - clock_mono_ms();
    if (left_ms <= 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(left_ms / 1000);
    at.tv_nsec += (long)(left_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&c->changed, &c->lock, &at);
}

/* --- sending ---------------------------------------------------------------------- */

static void tell_id(const struct outgoing *o, char id[CONEY_ID_SIZE])
{
    if (id)
        memcpy(id, o->id, strlen(o->id) + 1);
}

static void note_failure(struct coney_client *c, const struct outgoing *o)
{
    if (o->error.rc == CONEY_OK)
        return;
    if (c->failures == 0) {
        c->failure = o->error;
        error_prefix(&c->failure, "task %.60s", o->id);
    }
    c->failures++;
}

/* Hand on what is decided, without the lock, for the callback may send again. One at a
 * time: a callback's own send must not begin to report what it came from. */
static void report_finished(struct coney_client *c)
{
    struct outgoing *o;
    if (c->is_reporting)
        return;
    c->is_reporting = true;
    c->reporter = pthread_self();
    while ((o = outbox_take_finished(&c->outbox)) != NULL) {
        note_failure(c, o);
        if (c->on_outcome) {
            pthread_mutex_unlock(&c->lock);
            c->on_outcome(c->user_data, o->id, o->error.rc, &o->error);
            pthread_mutex_lock(&c->lock);
        }
        outgoing_free(o);
    }
    c->is_reporting = false;
    pthread_cond_broadcast(&c->changed);
}

/* Whether the callback, in another thread, is slower than what it is told. */
static bool is_behind(const struct coney_client *c)
{
    return c->outbox.finished_count >= OUTBOX_MAX && c->is_reporting &&
           !pthread_equal(c->reporter, pthread_self());
}

/* Until there is room for @o; the driver makes some at the latest when messages expire.
 */
static enum coney_rc wait_for_room(
        struct coney_client *c, const struct outgoing *o, struct coney_error *err)
{
    int64_t deadline_ms = clock_mono_ms() + c->outbox.timeout_ms;
    report_finished(c);
    while (!outbox_has_room(&c->outbox, o) || is_behind(c)) {
        if (clock_mono_ms() >= deadline_ms)
            return error_set(err, CONEY_ETIMEOUT,
                    "%zu messages are on their way and none came through in %lld ms",
                    c->outbox.count, (long long)c->outbox.timeout_ms);
        wait_change(c, deadline_ms);
        report_finished(c);
    }
    return CONEY_OK;
}

static enum coney_rc hand_over(
        struct coney_client *c, struct outgoing *o, struct coney_error *err)
{
    enum coney_rc rc = driver_start(c, err);
    if (rc == CONEY_OK)
        rc = wait_for_room(c, o, err);
    if (rc != CONEY_OK)
        return rc;
    outbox_add(&c->outbox, o, clock_mono_ms());
    driver_wake(c);
    return CONEY_OK;
}

enum coney_rc coney_send(struct coney_client *client, const struct coney_message *message,
        char id[CONEY_ID_SIZE], struct coney_error *err)
{
    struct outgoing *o = NULL;
    if (is_foreign(client))
        return refuse_foreign(err);
    enum coney_rc rc = compose(client, message, OUTGOING_AWAITED, &o, err);
    if (rc != CONEY_OK)
        return rc;
    tell_id(o, id);

    pthread_mutex_lock(&client->lock);
    rc = hand_over(client, o, err);
    while (rc == CONEY_OK && o->state != OUTGOING_DECIDED)
        wait_change(client, clock_mono_ms() + 1000);
    if (rc == CONEY_OK) {
        rc = o->error.rc;
        if (err)
            *err = o->error;
    }
    pthread_mutex_unlock(&client->lock);
    outgoing_free(o);
    return rc;
}

/* Each is decided in time, whatever becomes of it; the first failure is told. */
static enum coney_rc await_all(struct coney_client *c, const struct batch *l,
        size_t count, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < count; i++) {
        const struct outgoing *o = l->messages[i];
        while (o->state != OUTGOING_DECIDED)
            wait_change(c, clock_mono_ms() + 1000);
        if (o->error.rc == CONEY_OK || rc != CONEY_OK)
            continue;
        rc = o->error.rc;
        if (err) {
            *err = o->error;
            error_prefix(err, "task %.60s", o->id);
        }
    }
    return rc;
}

static enum coney_rc publish_all(
        struct coney_client *c, const struct batch *l, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    size_t count = 0;

    pthread_mutex_lock(&c->lock);
    while (count < l->count && rc == CONEY_OK) {
        rc = hand_over(c, l->messages[count], err);
        if (rc == CONEY_OK)
            count++;
    }
    enum coney_rc sent = await_all(c, l, count, rc == CONEY_OK ? err : NULL);
    pthread_mutex_unlock(&c->lock);
    return rc == CONEY_OK ? sent : rc;
}

/* For whoever wants to know it, also when sending fails: some of it may have gone. */
static enum coney_rc tell_results(struct coney_canvas *canvas, const struct batch *l,
        char *id, struct coney_error *err)
{
    const char *own = json_string_value(json_array_get(json_array_get(l->results, 0), 0));

    free(canvas->results);
    canvas->results = json_dumps(l->results, 0);
    if (!own || !canvas->results)
        return error_set_nomem(err);
    if (id)
        snprintf(id, CONEY_ID_SIZE, "%s", own);
    return CONEY_OK;
}

enum coney_rc coney_canvas_send(struct coney_client *client, struct coney_canvas *canvas,
        enum coney_reply reply, char id[CONEY_ID_SIZE], struct coney_error *err)
{
    struct batch batch;

    if (is_foreign(client))
        return refuse_foreign(err);
    if (!canvas)
        return error_set_nomem(err);
    if (canvas->error.rc != CONEY_OK)
        return error_set(err, canvas->error.rc, "%s", canvas->error.text);
    if (stored_is_used(client))
        reply = CONEY_REPLY_NONE; /* they go to the store, unasked */
    enum coney_rc rc = batch_prepare(client, canvas, reply, &batch, err);
    if (rc == CONEY_OK)
        rc = tell_results(canvas, &batch, id, err);
    if (rc == CONEY_OK && batch.stored.count > 0)
        rc = stored_write(
                client, &batch.stored, (unsigned)client->outbox.timeout_ms, err);
    if (rc == CONEY_OK)
        rc = publish_all(client, &batch, err);
    batch_fini(&batch);
    return rc;
}

enum coney_rc coney_send_async(struct coney_client *client,
        const struct coney_message *message, char id[CONEY_ID_SIZE],
        struct coney_error *err)
{
    struct outgoing *o = NULL;
    if (is_foreign(client))
        return refuse_foreign(err);
    enum coney_rc rc = compose(client, message, OUTGOING_DETACHED, &o, err);
    if (rc != CONEY_OK)
        return rc;
    tell_id(o, id);

    pthread_mutex_lock(&client->lock);
    rc = hand_over(client, o, err);
    pthread_mutex_unlock(&client->lock);
    if (rc != CONEY_OK)
        outgoing_free(o);
    return rc;
}

/* What the last flush has not told yet. */
static enum coney_rc take_failures(struct coney_client *c, struct coney_error *err)
{
    enum coney_rc rc = c->failures > 0 ? c->failure.rc : CONEY_OK;
    if (rc != CONEY_OK && err) {
        *err = c->failure;
        if (c->failures > 1)
            error_prefix(err, "%zu messages were not sent; the first", c->failures);
    }
    c->failures = 0;
    return rc;
}

/* Whether a callback has still to be called, or another thread is in one. */
static bool is_busy(const struct coney_client *c)
{
    return c->outbox.detached > 0 || c->outbox.finished || c->is_reporting;
}

enum coney_rc coney_flush(
        struct coney_client *client, unsigned timeout_ms, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    if (is_foreign(client))
        return refuse_foreign(err);
    pthread_mutex_lock(&client->lock);
    report_finished(client);
    while (is_busy(client) && clock_mono_ms() < deadline_ms) {
        wait_change(client, deadline_ms);
        report_finished(client);
    }
    if (is_busy(client))
        rc = error_set(err, CONEY_ETIMEOUT, "%zu messages are still on their way",
                client->outbox.detached);
    else
        rc = take_failures(client, err);
    pthread_mutex_unlock(&client->lock);
    return rc;
}

/* --- results ---------------------------------------------------------------------- */

enum coney_rc coney_wait(struct coney_client *client, const char *id, unsigned timeout_ms,
        struct coney_result **out, struct coney_error *err)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    enum coney_rc rc = CONEY_OK;
    if (is_foreign(client))
        return refuse_foreign(err);
    if (stored_is_used(client))
        return stored_wait(client, id, timeout_ms, out, err);
    pthread_mutex_lock(&client->lock);
    if (!client->wants_replies) {
        rc = error_set(err, CONEY_EINVAL,
                "no result is on its way: send with CONEY_REPLY_WANTED first");
        goto out;
    }
    *out = replies_take(&client->replies, id);
    while (!*out && clock_mono_ms() < deadline_ms) {
        wait_change(client, deadline_ms);
        *out = replies_take(&client->replies, id);
    }
    if (!*out)
        rc = error_set(
                err, CONEY_ETIMEOUT, "no result of task %.100s in %u ms", id, timeout_ms);

out:
    pthread_mutex_unlock(&client->lock);
    return rc;
}

enum coney_rc coney_result_get(struct coney_client *client, const char *id,
        unsigned timeout_ms, struct coney_result **out, struct coney_error *err)
{
    if (is_foreign(client))
        return refuse_foreign(err);
    if (stored_is_used(client))
        return stored_get(client, id, timeout_ms, out, err);
    enum coney_rc rc = coney_wait(client, id, 0, out, err);
    if (rc != CONEY_ETIMEOUT)
        return rc;
    *out = result_of_nothing(id);
    return *out ? CONEY_OK : error_set_nomem(err);
}

enum coney_rc coney_forget(struct coney_client *client, const char *id,
        unsigned timeout_ms, struct coney_error *err)
{
    if (is_foreign(client))
        return refuse_foreign(err);
    if (!stored_is_used(client))
        return error_set(err, CONEY_EINVAL,
                "results.url names no store: there is nothing to forget");
    return stored_forget(client, id, timeout_ms, err);
}
