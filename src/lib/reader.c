/* SPDX-License-Identifier: MIT */
/* reader.c - asking for a key, hearing of it, and a poll(2) for both. */
#include "lib/reader.h"

#include "base/clock.h"
#include "base/error.h"
#include "message/result_key.h"
#include "queue/result_store.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    ASK_AGAIN_MS = 1000, /* for what the channel may have missed */
    BACKOFF_BASE_MS = 100,
    BACKOFF_CAP_MS = 2000
};

/* What one call wants. */
struct wish {
    uint64_t call;
    struct arena *arena; /* owned */
    const char *command; /* GET, DEL */
    const char *key;
    const struct redis_commands *commands; /* instead; borrowed */
    bool is_waiting; /* for the task's end; else any answer will do */
    bool is_asked;   /* a command is on its way */
    bool is_hearing; /* subscribed, or about to be */
    bool is_answered;
    bool is_over;                  /* nothing is left to wait for */
    int64_t ask_ms;                /* when to ask (again) */
    struct result_message message; /* if found */
    struct coney_error error;      /* if over and CONEY_OK is not how */
};

/* --- making and unmaking -------------------------------------------------------------
 */

static enum coney_rc connect_to(
        struct reader *r, struct redis **out, struct coney_error *err)
{
    struct redis_options options = result_store_options(r->config);
    options.backoff_base_ms = BACKOFF_BASE_MS;
    options.backoff_cap_ms = BACKOFF_CAP_MS;
    enum coney_rc rc = redis_new(&options, &r->rng, out, err);
    if (rc != CONEY_OK)
        error_prefix(err, "results");
    return rc;
}

enum coney_rc reader_new(
        const struct results_config *config, struct reader **out, struct coney_error *err)
{
    struct reader *r = calloc(1, sizeof(*r));
    if (!r)
        return error_set_nomem(err);
    r->config = config;
    rng_seed_random(&r->rng);
    enum coney_rc rc = connect_to(r, &r->asking, err);
    if (rc != CONEY_OK) {
        reader_free(r);
        return rc;
    }
    *out = r;
    return CONEY_OK;
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    redis_free(r->asking);
    redis_free(r->hearing);
    free(r);
}

/* --- what comes ----------------------------------------------------------------------
 */

static bool is_final(const char *status)
{
    return strcmp(status, "SUCCESS") == 0 || strcmp(status, "FAILURE") == 0 ||
           strcmp(status, "REVOKED") == 0;
}

static void fail(struct wish *w, const struct coney_error *why)
{
    w->is_over = true;
    w->error = *why;
}

/* A meta, from wherever it comes. */
static void take_text(struct wish *w, struct bytes text)
{
    struct result_message m;
    struct coney_error err;
    if (result_read_meta(text, &m, &err) != CONEY_OK) {
        fail(w, &err);
        return;
    }
    if (w->is_waiting && !is_final(m.status)) {
        result_message_fini(&m);
        return;
    }
    w->message = m;
    w->is_over = true;
}

/* The first error among @replies, else the first of them. */
static const struct redis_reply *first_error(const struct redis_reply *replies)
{
    for (size_t i = 0; i < replies->count; i++)
        if (replies->items[i]->type == REDIS_ERROR)
            return replies->items[i];
    return replies->items[0];
}

static void take_answer(struct wish *w, const struct redis_event *ev, int64_t now_ms)
{
    struct coney_error err;
    if (ev->cookie != w->call)
        return;
    w->is_asked = false;
    w->ask_ms = now_ms + (ev->reply ? ASK_AGAIN_MS : 0);
    if (!ev->reply || w->is_over)
        return;
    const struct redis_reply *reply = first_error(ev->reply);
    w->is_answered = true;
    if (reply->type == REDIS_ERROR) {
        error_set(&err, CONEY_EREFUSED, "result store: %.200s", redis_reply_text(reply));
        fail(w, &err);
    } else if (reply->type == REDIS_TEXT) {
        take_text(w, reply->text);
    } else if (!w->is_waiting) {
        w->is_over = true;
    }
}

/* A refused login is final: nobody will change the password meanwhile. */
static void take_down(struct reader *r, struct wish *w, const struct redis_event *ev)
{
    r->why = ev->error;
    error_prefix(&r->why, "result store");
    if (ev->error.rc == CONEY_EREFUSED)
        fail(w, &r->why);
}

static void take_asked(
        struct reader *r, struct wish *w, struct redis_event *ev, int64_t now_ms)
{
    switch (ev->type) {
    case REDIS_UP:
        r->why.rc = CONEY_OK;
        break;
    case REDIS_DOWN:
        take_down(r, w, ev);
        break;
    case REDIS_ANSWERED:
        take_answer(w, ev, now_ms);
        break;
    case REDIS_MESSAGE: /* this one is subscribed to nothing */
        break;
    }
}

/* From when on nothing is missed: what came before is found by asking once more. */
static void take_heard(struct wish *w, struct redis_event *ev, int64_t now_ms)
{
    switch (ev->type) {
    case REDIS_UP:
    case REDIS_DOWN:
        w->is_hearing = false;
        break;
    case REDIS_ANSWERED:
        w->ask_ms = now_ms;
        break;
    case REDIS_MESSAGE:
        if (!w->is_over && ev->channel.data && ev->payload.data &&
                strcmp(ev->channel.data, w->key) == 0)
            take_text(w, ev->payload);
        break;
    }
}

/* --- driving -------------------------------------------------------------------------
 */

static void ask(struct reader *r, struct wish *w, int64_t now_ms)
{
    const char *const words[] = {w->command, w->key};
    struct redis_commands c;
    redis_commands_init(&c);
    enum coney_rc rc = w->commands ? CONEY_OK : redis_commands_add_texts(&c, 2, words);
    if (rc == CONEY_OK)
        rc = redis_send(r->asking, w->commands ? w->commands : &c, w->call, now_ms);
    w->is_asked = rc == CONEY_OK;
    redis_commands_fini(&c);
}

/* Once it is known that there is something to wait for. */
static void hear(struct reader *r, struct wish *w, int64_t now_ms)
{
    struct coney_error err;
    if (!r->hearing && connect_to(r, &r->hearing, &err) != CONEY_OK) {
        fail(w, &err);
        return;
    }
    if (!w->is_hearing && redis_is_up(r->hearing))
        w->is_hearing = redis_subscribe(r->hearing, w->key, 0, now_ms) == CONEY_OK;
}

static void take_events(struct reader *r, struct wish *w, int64_t now_ms)
{
    struct redis_event ev;
    while (redis_next_event(r->asking, &ev)) {
        take_asked(r, w, &ev, now_ms);
        redis_event_fini(&ev);
    }
    while (r->hearing && redis_next_event(r->hearing, &ev)) {
        take_heard(w, &ev, now_ms);
        redis_event_fini(&ev);
    }
}

static void turn(struct reader *r, struct wish *w, const short revents[2])
{
    int64_t now_ms = clock_mono_ms();
    redis_step(r->asking, revents[0], now_ms);
    if (r->hearing)
        redis_step(r->hearing, revents[1], now_ms);
    take_events(r, w, now_ms);
    if (w->is_over)
        return;
    if (redis_is_up(r->asking) && !w->is_asked && now_ms >= w->ask_ms)
        ask(r, w, now_ms);
    if (w->is_waiting && w->is_answered)
        hear(r, w, now_ms);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void wait_for_something(const struct reader *r, const struct wish *w,
        int64_t deadline_ms, short revents[2])
{
    struct pollfd fds[2] = {{.fd = redis_fd(r->asking), .events = redis_wants(r->asking)},
            {.fd = r->hearing ? redis_fd(r->hearing) : -1,
                    .events = r->hearing ? redis_wants(r->hearing) : 0}};
    int64_t at = earlier(deadline_ms, redis_deadline_ms(r->asking));
    if (r->hearing)
        at = earlier(at, redis_deadline_ms(r->hearing));
    if (!w->is_asked && redis_is_up(r->asking))
        at = earlier(at, w->ask_ms);
    int64_t wait_ms = at - clock_mono_ms();
    if (wait_ms > INT32_MAX)
        wait_ms = INT32_MAX;
    int ready = poll(fds, 2, wait_ms > 0 ? (int)wait_ms : 0);
    revents[0] = ready > 0 ? fds[0].revents : 0;
    revents[1] = ready > 0 ? fds[1].revents : 0;
}

static enum coney_rc too_late(const struct reader *r, const struct wish *w,
        const char *id, struct coney_error *err)
{
    if (r->why.rc != CONEY_OK && !w->is_answered) {
        if (err)
            *err = r->why;
        return r->why.rc == CONEY_EIO ? error_set(err, CONEY_ECLOSED, "%s", r->why.text)
                                      : r->why.rc;
    }
    return error_set(err, CONEY_ETIMEOUT,
            w->is_answered ? "no result of task %.100s in time"
                           : "the result store has not answered in time about %.100s",
            id);
}

static enum coney_rc carry_out(struct reader *r, struct wish *w, const char *id,
        int64_t deadline_ms, struct coney_error *err)
{
    short revents[2] = {0, 0};
    w->call = ++r->calls;
    w->arena = arena_new(256);
    w->key = w->arena ? result_key_task(w->arena, r->config->prefix, id) : NULL;
    if (!w->key)
        return error_set_nomem(err);
    turn(r, w, revents);
    while (!w->is_over && clock_mono_ms() < deadline_ms) {
        wait_for_something(r, w, deadline_ms, revents);
        turn(r, w, revents);
    }
    if (w->is_hearing)
        (void)!redis_unsubscribe(r->hearing, w->key, 0, clock_mono_ms());
    if (!w->is_over)
        return too_late(r, w, id, err);
    if (w->error.rc != CONEY_OK && err)
        *err = w->error;
    return w->error.rc;
}

/* --- the calls -----------------------------------------------------------------------
 */

enum coney_rc reader_get(struct reader *r, const char *id, int64_t deadline_ms,
        struct result_message *out, struct coney_error *err)
{
    struct wish w = {.command = "GET"};
    enum coney_rc rc = carry_out(r, &w, id, deadline_ms, err);
    *out = w.message;
    arena_free(w.arena);
    return rc;
}

enum coney_rc reader_wait(struct reader *r, const char *id, int64_t deadline_ms,
        struct result_message *out, struct coney_error *err)
{
    struct wish w = {.command = "GET", .is_waiting = true};
    enum coney_rc rc = carry_out(r, &w, id, deadline_ms, err);
    *out = w.message;
    arena_free(w.arena);
    return rc;
}

enum coney_rc reader_write(struct reader *r, const struct redis_commands *commands,
        int64_t deadline_ms, struct coney_error *err)
{
    struct wish w = {.commands = commands};
    enum coney_rc rc = carry_out(r, &w, "a chord", deadline_ms, err);
    arena_free(w.arena);
    return rc;
}

enum coney_rc reader_forget(
        struct reader *r, const char *id, int64_t deadline_ms, struct coney_error *err)
{
    struct wish w = {.command = "DEL"};
    enum coney_rc rc = carry_out(r, &w, id, deadline_ms, err);
    arena_free(w.arena);
    return rc;
}
