/* SPDX-License-Identifier: MIT */
/*
 * redis.c - commands and their answers on whatever connection the dialer brings up.
 *
 *   DIALLING -> LOGIN -> UP, and back after every loss
 *
 * The login is a list of commands like any other.
 */
#include "redis/redis.h"

#include "base/clock.h"
#include "base/error.h"
#include "redis/redis_login.h"
#include "redis/redis_url.h"
#include "redis/request.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state { STATE_DIALLING, STATE_LOGIN, STATE_UP, STATE_ENDED };

enum {
    READ_SIZE = 64 * 1024,
    WRITES_MAX = 4, /* of one step: TLS encrypts in slices */
    DEFAULT_CONNECT_TIMEOUT_MS = 10000,
    DEFAULT_ANSWER_TIMEOUT_MS = 10000,
    DEFAULT_HEARTBEAT_MS = 20000,
    DEFAULT_BACKOFF_BASE_MS = 500,
    DEFAULT_BACKOFF_CAP_MS = 30000,
    DEFAULT_OUTPUT_MAX = 64 * 1024 * 1024,
    DEFAULT_REPLY_MAX = 64 * 1024 * 1024
};

struct redis {
    struct arena *arena; /* owned: the options */
    struct redis_url url;
    const struct url *urls[1];
    struct redis_login login;
    struct tls_context *tls; /* owned */
    struct dialer *dialer;   /* owned */
    unsigned connect_timeout_ms, answer_timeout_ms, heartbeat_ms;
    size_t reply_max;

    enum state state;
    struct buffer output;
    struct redis_reader *reader;     /* owned; of this connection */
    struct request_queue unanswered; /* of this connection */
    struct request_queue done;       /* to be told */
    int64_t heard_ms;
    bool is_subscriber;
    struct coney_error renounced; /* CONEY_OK: not */

    bool has_up;
    bool has_down;
    struct redis_event down;
};

static struct transport *transport(const struct redis *r)
{
    return dialer_transport(r->dialer);
}

/* --- making and unmaking -------------------------------------------------------------
 */

static unsigned or_default(unsigned value, unsigned when_zero)
{
    return value != 0 ? value : when_zero;
}

static enum coney_rc copy_text(struct redis *r, const char *text, const char *otherwise,
        const char **out, struct coney_error *err)
{
    *out = otherwise;
    if (!text)
        return CONEY_OK;
    *out = arena_strdup(r->arena, text);
    return *out ? CONEY_OK : error_set_nomem(err);
}

static enum coney_rc take_options(
        struct redis *r, const struct redis_options *o, struct coney_error *err)
{
    r->arena = arena_new(0);
    if (!r->arena)
        return error_set_nomem(err);
    enum coney_rc rc = redis_url_parse(o->url, r->arena, &r->url, err);
    if (rc == CONEY_OK)
        rc = copy_text(r, o->user, r->url.url.user, &r->login.user, err);
    if (rc == CONEY_OK)
        rc = copy_text(r, o->password, r->url.url.password, &r->login.password, err);
    if (rc == CONEY_OK)
        rc = copy_text(r, o->name, NULL, &r->login.name, err);
    if (rc == CONEY_OK && r->url.url.is_tls)
        rc = tls_context_new(&o->tls, &r->tls, err);
    r->login.db = r->url.db;
    r->urls[0] = &r->url.url;
    r->connect_timeout_ms = or_default(o->connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT_MS);
    r->answer_timeout_ms = or_default(o->answer_timeout_ms, DEFAULT_ANSWER_TIMEOUT_MS);
    r->heartbeat_ms = or_default(o->heartbeat_ms, DEFAULT_HEARTBEAT_MS);
    r->reply_max = o->reply_max > 0 ? o->reply_max : DEFAULT_REPLY_MAX;
    buffer_init(&r->output, o->output_max > 0 ? o->output_max : DEFAULT_OUTPUT_MAX);
    return rc;
}

static enum coney_rc make_dialer(struct redis *r, const struct redis_options *o,
        struct rng *rng, struct coney_error *err)
{
    struct dialer_options options = {.urls = r->urls,
            .url_count = 1,
            .tls = r->tls,
            .mode = o->mode,
            .connect_timeout_ms = r->connect_timeout_ms,
            .backoff_base_ms = or_default(o->backoff_base_ms, DEFAULT_BACKOFF_BASE_MS),
            .backoff_cap_ms = or_default(o->backoff_cap_ms, DEFAULT_BACKOFF_CAP_MS),
            .user_timeout_ms = r->answer_timeout_ms};
    r->dialer = dialer_new(&options, rng);
    return r->dialer ? CONEY_OK : error_set_nomem(err);
}

enum coney_rc redis_new(const struct redis_options *options, struct rng *rng,
        struct redis **out, struct coney_error *err)
{
    struct redis *r = calloc(1, sizeof(*r));
    if (!r)
        return error_set_nomem(err);
    enum coney_rc rc = take_options(r, options, err);
    if (rc == CONEY_OK)
        rc = make_dialer(r, options, rng, err);
    if (rc != CONEY_OK) {
        redis_free(r);
        return rc;
    }
    *out = r;
    return CONEY_OK;
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    dialer_free(r->dialer);
    tls_context_free(r->tls);
    redis_reader_free(r->reader);
    request_queue_clear(&r->unanswered);
    request_queue_clear(&r->done);
    buffer_fini(&r->output);
    arena_free(r->arena);
    free(r);
}

/* --- ends ----------------------------------------------------------------------------
 */

/* Whoever waits for an answer is told that none comes. */
static void fail_requests(struct redis *r)
{
    struct request *q;
    while ((q = request_queue_take(&r->unanswered))) {
        redis_reply_free(q->replies);
        q->replies = NULL;
        if (q->owner == OWNER_CALLER)
            request_queue_put(&r->done, q);
        else
            request_free(q);
    }
}

static void drop_connection(struct redis *r)
{
    fail_requests(r);
    redis_reader_free(r->reader);
    r->reader = NULL;
    r->is_subscriber = false;
    r->renounced.rc = CONEY_OK;
    buffer_clear(&r->output);
}

static void announce_down(struct redis *r, const struct coney_error *why)
{
    int64_t retry_ms = dialer_retry_ms(r->dialer);
    r->down =
            (struct redis_event){.type = REDIS_DOWN, .error = *why, .retry_ms = retry_ms};
    r->has_down = true;
    r->state = retry_ms < 0 ? STATE_ENDED : STATE_DIALLING;
}

/* @why may be a part of what is dropped. */
static void connection_failed(
        struct redis *r, const struct coney_error *why, int64_t now_ms)
{
    struct coney_error err = *why;
    bool was_up = r->state == STATE_UP;

    error_prefix(&err, "%s", r->url.url.label);
    drop_connection(r);
    r->state = STATE_DIALLING;
    if (was_up)
        dialer_lost(r->dialer, now_ms);
    else if (dialer_login_failed(r->dialer, &err, now_ms) == DIAL_GOES_ON)
        return;
    announce_down(r, &err);
}

void redis_renounce(struct redis *r, const struct coney_error *why)
{
    if (r->state == STATE_UP && r->renounced.rc == CONEY_OK)
        r->renounced = *why;
}

/* --- sending -------------------------------------------------------------------------
 */

static enum coney_rc queue_commands(struct redis *r, const struct redis_commands *c,
        enum request_owner owner, uint64_t cookie, int64_t now_ms)
{
    assert(c->count > 0);
    struct request *q = request_new(c->count);
    if (!q)
        return CONEY_ENOMEM;
    enum coney_rc rc =
            buffer_append(&r->output, buffer_data(&c->bytes), buffer_len(&c->bytes));
    if (rc != CONEY_OK) {
        request_free(q);
        return rc;
    }
    q->owner = owner;
    q->cookie = cookie;
    q->since_ms = now_ms;
    request_queue_put(&r->unanswered, q);
    return CONEY_OK;
}

enum coney_rc redis_send(
        struct redis *r, const struct redis_commands *c, uint64_t cookie, int64_t now_ms)
{
    if (r->state != STATE_UP)
        return CONEY_ECLOSED;
    return queue_commands(r, c, OWNER_CALLER, cookie, now_ms);
}

/* @words end with NULL. */
static enum coney_rc send_texts(struct redis *r, const char *const *words,
        enum request_owner owner, uint64_t cookie, int64_t now_ms)
{
    struct redis_commands c;
    size_t count = 0;
    while (words[count])
        count++;
    redis_commands_init(&c);
    enum coney_rc rc = redis_commands_add_texts(&c, count, words);
    if (rc == CONEY_OK)
        rc = queue_commands(r, &c, owner, cookie, now_ms);
    redis_commands_fini(&c);
    return rc;
}

enum coney_rc redis_subscribe(
        struct redis *r, const char *channel, uint64_t cookie, int64_t now_ms)
{
    const char *words[] = {"SUBSCRIBE", channel, NULL};
    if (r->state != STATE_UP)
        return CONEY_ECLOSED;
    r->is_subscriber = true;
    return send_texts(r, words, OWNER_CALLER, cookie, now_ms);
}

enum coney_rc redis_unsubscribe(
        struct redis *r, const char *channel, uint64_t cookie, int64_t now_ms)
{
    const char *words[] = {"UNSUBSCRIBE", channel, NULL};
    if (r->state != STATE_UP)
        return CONEY_ECLOSED;
    return send_texts(r, words, OWNER_CALLER, cookie, now_ms);
}

/* --- login ---------------------------------------------------------------------------
 */

static void begin_login(struct redis *r, int64_t now_ms)
{
    struct redis_commands c;
    struct coney_error err;

    redis_commands_init(&c);
    r->state = STATE_LOGIN;
    r->heard_ms = now_ms;
    r->reader = redis_reader_new(r->reply_max);
    enum coney_rc rc = r->reader ? redis_login_compose(&r->login, &c) : CONEY_ENOMEM;
    if (rc == CONEY_OK)
        rc = queue_commands(r, &c, OWNER_LOGIN, 0, now_ms);
    redis_commands_fini(&c);
    if (rc != CONEY_OK) {
        error_set_nomem(&err);
        connection_failed(r, &err, now_ms);
    }
}

static void login_answered(
        struct redis *r, const struct redis_reply *replies, int64_t now_ms)
{
    struct coney_error err;
    if (redis_login_judge(&r->login, replies, &err) != CONEY_OK) {
        connection_failed(r, &err, now_ms);
        return;
    }
    dialer_succeeded(r->dialer, now_ms);
    r->state = STATE_UP;
    r->has_up = true;
}

static void continue_dialling(struct redis *r, short revents, int64_t now_ms)
{
    switch (dialer_step(r->dialer, revents, now_ms)) {
    case DIAL_GOES_ON:
        return;
    case DIAL_CONNECTED:
        begin_login(r, now_ms);
        return;
    case DIAL_FAILED:
        announce_down(r, dialer_error(r->dialer));
        return;
    }
}

/* --- answers -------------------------------------------------------------------------
 */

/* Of a subscriber's connection: what was published, not what was asked. */
static bool is_message(const struct redis *r, const struct redis_reply *reply)
{
    return r->is_subscriber && reply->type == REDIS_ARRAY && reply->count == 3 &&
           strcmp(redis_reply_text(reply->items[0]), "message") == 0;
}

/* @reply is taken. */
static enum coney_rc take_message(
        struct redis *r, struct redis_reply *reply, struct coney_error *err)
{
    struct request *q = request_new(0);
    if (!q) {
        redis_reply_free(reply);
        return error_set_nomem(err);
    }
    q->owner = OWNER_CHANNEL;
    q->replies = reply;
    request_queue_put(&r->done, q);
    return CONEY_OK;
}

static void answered(struct redis *r, struct request *q, int64_t now_ms)
{
    if (q->owner == OWNER_CALLER) {
        request_queue_put(&r->done, q);
        return;
    }
    if (q->owner == OWNER_LOGIN)
        login_answered(r, q->replies, now_ms);
    request_free(q);
}

/* @reply is taken. */
static enum coney_rc take_reply(struct redis *r, struct redis_reply *reply,
        int64_t now_ms, struct coney_error *err)
{
    struct request *q = r->unanswered.first;

    if (is_message(r, reply))
        return take_message(r, reply, err);
    if (!q) {
        redis_reply_free(reply);
        return error_set(err, CONEY_ESYNTAX, "an answer to nothing");
    }
    q->replies->items[q->answered++] = reply;
    if (q->answered == q->replies->count)
        answered(r, request_queue_take(&r->unanswered), now_ms);
    return CONEY_OK;
}

/* Until there is no whole reply left, or one has cost the connection. */
static enum coney_rc take_replies(
        struct redis *r, int64_t now_ms, struct coney_error *err)
{
    while (r->reader) {
        struct redis_reply *reply;
        enum coney_rc rc = redis_reader_next(r->reader, &reply, err);
        if (rc != CONEY_OK)
            return rc;
        if (!reply)
            break;
        rc = take_reply(r, reply, now_ms, err);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static enum coney_rc read_input(struct redis *r, int64_t now_ms, struct coney_error *err)
{
    char space[READ_SIZE];
    size_t got;
    enum coney_rc rc = transport_read(transport(r), space, sizeof(space), &got, err);
    if (rc != CONEY_OK || got == 0)
        return rc;
    r->heard_ms = now_ms;
    rc = redis_reader_feed(r->reader, space, got);
    return rc == CONEY_OK ? take_replies(r, now_ms, err) : error_set_nomem(err);
}

/* --- a connection --------------------------------------------------------------------
 */

static bool has_output(const struct redis *r)
{
    return buffer_len(&r->output) > 0 || transport_unsent(transport(r)) > 0;
}

static enum coney_rc write_output(struct redis *r, short revents, struct coney_error *err)
{
    for (int i = 0; i < WRITES_MAX && has_output(r); i++) {
        struct bytes data = {
                .data = buffer_data(&r->output), .len = buffer_len(&r->output)};
        size_t taken;
        if (!transport_can_write(transport(r), i == 0 ? revents : 0))
            return CONEY_OK;
        enum coney_rc rc = transport_write(transport(r), data, &taken, err);
        if (rc != CONEY_OK)
            return rc;
        buffer_take(&r->output, taken);
    }
    return CONEY_OK;
}

/* When the oldest answer is overdue, or the silence has been long enough. */
static int64_t patience_ends_ms(const struct redis *r)
{
    const struct request *q = r->unanswered.first;
    if (r->state == STATE_LOGIN)
        return dialer_deadline_ms(r->dialer);
    return q ? q->since_ms + r->answer_timeout_ms : r->heard_ms + r->heartbeat_ms;
}

static enum coney_rc tick(struct redis *r, int64_t now_ms, struct coney_error *err)
{
    static const char *const ping[] = {"PING", NULL};

    if (now_ms < patience_ends_ms(r))
        return CONEY_OK;
    if (r->unanswered.first)
        return error_set(err, CONEY_ETIMEOUT, "no answer%s in %u ms",
                r->state == STATE_LOGIN ? " to the login" : "",
                r->state == STATE_LOGIN ? r->connect_timeout_ms : r->answer_timeout_ms);
    enum coney_rc rc = send_texts(r, ping, OWNER_HEARTBEAT, 0, now_ms);
    return rc == CONEY_OK ? CONEY_OK : error_set_nomem(err);
}

static enum coney_rc exchange(
        struct redis *r, short revents, int64_t now_ms, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;

    /* After a pause of the whole machine, an answer may be waiting. */
    if ((revents & (POLLIN | POLLHUP | POLLERR)) || transport_has_input(transport(r)) ||
            now_ms >= patience_ends_ms(r))
        rc = read_input(r, now_ms, err);
    if (rc == CONEY_OK && transport(r))
        rc = tick(r, now_ms, err);
    if (rc == CONEY_OK && transport(r))
        rc = write_output(r, revents, err);
    return rc;
}

static void continue_connection(struct redis *r, short revents, int64_t now_ms)
{
    struct coney_error err = r->renounced;
    enum coney_rc rc = err.rc;
    if (rc == CONEY_OK)
        rc = exchange(r, revents, now_ms, &err);
    if (rc != CONEY_OK)
        connection_failed(r, &err, now_ms);
}

void redis_step(struct redis *r, short revents, int64_t now_ms)
{
    dialer_bury(r->dialer);
    if (r->has_down)
        return; /* the owner has not heard of the last end yet */
    switch (r->state) {
    case STATE_DIALLING:
        continue_dialling(r, revents, now_ms);
        break;
    case STATE_LOGIN:
    case STATE_UP:
        continue_connection(r, revents, now_ms);
        break;
    case STATE_ENDED:
        break;
    }
}

/* --- what the owner sees -------------------------------------------------------------
 */

static void tell(struct request *q, struct redis_event *ev)
{
    *ev = (struct redis_event){
            .type = REDIS_ANSWERED, .cookie = q->cookie, .reply = q->replies};
    if (q->owner == OWNER_CHANNEL) {
        ev->type = REDIS_MESSAGE;
        ev->channel = q->replies->items[1]->text;
        ev->payload = q->replies->items[2]->text;
    } else if (!q->replies) {
        error_set(&ev->error, CONEY_ECLOSED, "the connection was lost");
    }
    q->replies = NULL;
    request_free(q);
}

bool redis_next_event(struct redis *r, struct redis_event *ev)
{
    if (r->has_up) {
        r->has_up = false;
        *ev = (struct redis_event){.type = REDIS_UP};
    } else if (r->done.first) {
        tell(request_queue_take(&r->done), ev);
    } else if (r->has_down) {
        r->has_down = false;
        *ev = r->down;
    } else {
        return false;
    }
    return true;
}

void redis_event_fini(struct redis_event *ev)
{
    redis_reply_free(ev->reply);
    ev->reply = NULL;
}

int redis_fd(const struct redis *r)
{
    return dialer_fd(r->dialer);
}

short redis_wants(const struct redis *r)
{
    return dialer_wants(r->dialer);
}

int64_t redis_deadline_ms(const struct redis *r)
{
    if (r->has_up || r->has_down || r->done.first || r->renounced.rc != CONEY_OK)
        return 0;
    int64_t deadline_ms = dialer_deadline_ms(r->dialer);
    if (!transport(r))
        return deadline_ms;
    if (transport_has_input(transport(r)) ||
            (has_output(r) && transport_can_write(transport(r), 0)))
        return 0;
    return patience_ends_ms(r) < deadline_ms ? patience_ends_ms(r) : deadline_ms;
}

bool redis_is_up(const struct redis *r)
{
    return r->state == STATE_UP;
}

const char *redis_peer(const struct redis *r)
{
    return dialer_peer(r->dialer);
}

size_t redis_unanswered(const struct redis *r)
{
    return r->unanswered.count;
}
