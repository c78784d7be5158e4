/* SPDX-License-Identifier: MIT */
/* link.c - the link's life: bytes in and out, time, and events. */
#include "amqp/link_impl.h"
#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    POOL_PAGE = 4096,
    /* Beyond one frame of the largest size: what one read may add. */
    INPUT_SLACK = 256 * 1024,
    /* Above this an output buffer that has run empty is given back. */
    OUTPUT_KEPT = 1024 * 1024,
    /* Kept from callers for heartbeats and what the broker must be answered. */
    OUTPUT_RESERVE = 64 * 1024
};

enum coney_rc link_new(
        const struct link_options *options, int64_t now_ms, struct link **out)
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return CONEY_ENOMEM;
    l->options = *options;
    l->frame_max = options->frame_max;
    l->last_in_ms = now_ms;
    l->last_out_ms = now_ms;
    buffer_init(&l->in, (size_t)options->frame_max + INPUT_SLACK);
    buffer_init(&l->out, options->output_max + OUTPUT_RESERVE);
    init_amqp_pool(&l->in_pool, POOL_PAGE);
    init_amqp_pool(&l->out_pool, POOL_PAGE);
    channel_set_init(&l->channels, options->generation);
    event_queue_init(&l->events);

    enum coney_rc rc = login_send_header(l);
    if (rc != CONEY_OK) {
        link_free(l);
        return rc;
    }
    *out = l;
    return CONEY_OK;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    event_queue_fini(&l->events);
    channel_set_fini(&l->channels);
    empty_amqp_pool(&l->in_pool);
    empty_amqp_pool(&l->out_pool);
    buffer_fini(&l->in);
    buffer_fini(&l->out);
    arena_free(l->names);
    free(l);
}

enum link_phase link_phase(const struct link *l)
{
    return l->phase;
}

const struct coney_error *link_error(const struct link *l)
{
    return &l->error;
}

unsigned link_error_code(const struct link *l)
{
    return l->error_code;
}

const char *link_broker(const struct link *l)
{
    return l->broker;
}

bool link_is_blocked(const struct link *l)
{
    return l->is_blocked;
}

/* --- the end ---------------------------------------------------------------------------
 */

void link_fail(struct link *l, enum coney_rc rc, unsigned code, const char *fmt, ...)
{
    char text[sizeof(l->error.text)];
    va_list ap;

    if (l->phase == LINK_OVER)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    l->phase = LINK_OVER;
    l->error_code = code;
    error_set(&l->error, rc, "%s: %s", l->options.host, text);
}

void link_fail_nomem(struct link *l)
{
    link_fail(l, CONEY_ENOMEM, 0, "out of memory");
}

void link_abort(struct link *l, const struct coney_error *why)
{
    link_fail(l, why->rc, 0, "%s", why->text);
}

void link_close(struct link *l)
{
    amqp_connection_close_t close = {
            .reply_code = AMQP_REPLY_SUCCESS, .reply_text = codec_text("goodbye")};

    if (l->phase != LINK_UP) {
        l->phase = LINK_OVER; /* an error stays empty: it was our wish */
        return;
    }
    link_send_or_fail(l, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
    if (l->phase == LINK_UP)
        l->phase = LINK_CLOSING;
}

/* --- input -----------------------------------------------------------------------------
 */

static enum coney_rc next_frame(
        const struct link *l, struct frame *f, size_t *used, struct coney_error *err)
{
    struct bytes data = {.data = buffer_data(&l->in), .len = buffer_len(&l->in)};
    *used = 0;
    if (l->phase == LINK_LOGIN && login_is_header_coming(l))
        return CONEY_OK;
    return frame_parse(data, l->frame_max, f, used, err);
}

static bool has_frame(const struct link *l)
{
    struct frame f;
    size_t used;
    return next_frame(l, &f, &used, NULL) != CONEY_OK || used > 0;
}

static bool can_process(const struct link *l)
{
    return l->phase != LINK_OVER && !l->drain.channel && !event_queue_is_full(&l->events);
}

bool link_wants_input(const struct link *l)
{
    return l->phase != LINK_OVER && !l->has_input_ended && !has_frame(l);
}

enum coney_rc link_input_reserve(struct link *l, size_t len, uint8_t **space)
{
    return buffer_reserve(&l->in, len, space);
}

void link_input_commit(struct link *l, size_t len, int64_t now_ms)
{
    buffer_commit(&l->in, len);
    l->last_in_ms = now_ms;
}

void link_input_end(struct link *l, const struct coney_error *why)
{
    if (l->has_input_ended)
        return;
    l->has_input_ended = true;
    l->end_error = *why;
}

static void handle_frame(struct link *l, const struct frame *f)
{
    if (f->type == FRAME_HEARTBEAT)
        return;
    if (f->type == FRAME_METHOD) {
        dispatch_method(l, f);
        return;
    }

    struct channel *c = channel_set_at(&l->channels, f->channel);
    if (!c || c->state == CHANNEL_GONE)
        link_fail(l, CONEY_ESYNTAX, 0, "content on channel %u, which is not open",
                f->channel);
    else if (c->state == CHANNEL_CLOSING)
        return; /* nobody wants it any more */
    else if (f->type == FRAME_HEADER)
        content_header(l, c, f->payload);
    else
        content_body(l, c, f->payload);
}

static bool process_one(struct link *l)
{
    struct frame f;
    size_t used;
    struct coney_error err;

    if (l->phase == LINK_LOGIN && l->login_step == LOGIN_START && !login_is_amqp(l))
        return false;
    enum coney_rc rc = next_frame(l, &f, &used, &err);
    if (rc != CONEY_OK) {
        link_fail(l, rc, 0, "protocol violation: %s", err.text);
        return false;
    }
    if (used == 0)
        return false;
    handle_frame(l, &f);
    recycle_amqp_pool(&l->in_pool);
    buffer_take(&l->in, used);
    return true;
}

static void end_of_input(struct link *l)
{
    if (l->phase == LINK_CLOSING)
        l->phase = LINK_OVER; /* close-ok or not: it is what we asked for */
    else if (l->phase == LINK_LOGIN && l->end_error.rc == CONEY_ECLOSED)
        login_ended(l);
    else
        link_abort(l, &l->end_error);
}

void link_process(struct link *l)
{
    while (can_process(l))
        if (!process_one(l))
            break;
    if (l->has_input_ended && can_process(l) && !has_frame(l))
        end_of_input(l);
}

bool link_has_work(const struct link *l)
{
    return can_process(l) && (l->has_input_ended || has_frame(l));
}

/* --- time ------------------------------------------------------------------------------
 */

/* Half an interval, so that one late turn of the loop does not look like silence. */
static int64_t next_heartbeat_ms(const struct link *l)
{
    return l->last_out_ms + (int64_t)l->heartbeat_s * 500;
}

/* The broker sends twice an interval too; 1.5 intervals are three missing in a row. */
static int64_t silence_ends_ms(const struct link *l)
{
    return l->last_in_ms + (int64_t)l->heartbeat_s * 1500;
}

static bool has_heartbeats(const struct link *l)
{
    return l->heartbeat_s > 0 && l->phase != LINK_OVER;
}

bool link_is_silent(const struct link *l, int64_t now_ms)
{
    return has_heartbeats(l) && now_ms >= l->last_in_ms + (int64_t)l->heartbeat_s * 1000;
}

void link_tick(struct link *l, int64_t now_ms)
{
    if (!has_heartbeats(l))
        return;
    if (now_ms >= silence_ends_ms(l)) {
        link_fail(l, CONEY_ETIMEOUT, 0,
                "nothing heard for %.1f s (heartbeat %u s); the connection is taken for "
                "dead",
                (double)(now_ms - l->last_in_ms) / 1000, l->heartbeat_s);
        return;
    }
    /* Waiting bytes are as good as a heartbeat, once they leave. */
    if (now_ms < next_heartbeat_ms(l) || buffer_len(&l->out) > 0)
        return;
    enum coney_rc rc =
            frame_append(&l->out, FRAME_HEARTBEAT, 0, (struct bytes){.data = NULL});
    if (rc != CONEY_OK)
        link_fail_nomem(l);
}

int64_t link_deadline_ms(const struct link *l)
{
    if (!has_heartbeats(l))
        return CLOCK_NEVER;
    int64_t silence = silence_ends_ms(l);
    int64_t beat = next_heartbeat_ms(l);
    return buffer_len(&l->out) == 0 && beat < silence ? beat : silence;
}

/* --- output ----------------------------------------------------------------------------
 */

struct bytes link_output(const struct link *l)
{
    return (struct bytes){.data = buffer_data(&l->out), .len = buffer_len(&l->out)};
}

void link_output_sent(struct link *l, size_t len, int64_t now_ms)
{
    buffer_take(&l->out, len);
    if (buffer_len(&l->out) == 0 && l->out.capacity > OUTPUT_KEPT)
        buffer_clear(&l->out);
    l->last_out_ms = now_ms;
}

/* --- events ----------------------------------------------------------------------------
 */

struct session_event *link_push(struct link *l, enum session_event_type type)
{
    struct session_event *ev = event_queue_push(&l->events, type);
    if (!ev)
        link_fail_nomem(l);
    return ev;
}

const char *link_keep_name(struct link *l, amqp_bytes_t name)
{
    if (!l->names)
        l->names = arena_new(0);
    const char *copy = l->names ? codec_copy_text(l->names, name) : NULL;
    if (!copy)
        link_fail_nomem(l);
    return copy;
}

void link_release_names(struct link *l)
{
    arena_free(l->names);
    l->names = NULL;
}

/* When the link is over, so are its channels, one after the other. */
static bool has_drain(struct link *l)
{
    if (!l->drain.channel && l->phase == LINK_OVER) {
        struct channel *c = channel_set_any(&l->channels);
        if (c) {
            c->state = CHANNEL_GONE;
            l->drain = (struct drain){
                    .channel = c, .upto = UINT64_MAX, .outcome = PUBLISH_UNKNOWN};
        }
    }
    return l->drain.channel != NULL;
}

/* The next outcome of the drain; false when there is none left. */
static bool drain_next(struct link *l, struct session_event *ev)
{
    struct drain *d = &l->drain;
    struct confirm settled;

    while (confirms_settle_first(&d->channel->confirms, d->upto, &settled)) {
        if (settled.cookie == 0)
            continue;
        *ev = (struct session_event){.type = SESSION_PUBLISHED,
                .channel = d->channel->id,
                .cookie = settled.cookie,
                .outcome = d->outcome};
        if (d->outcome != PUBLISH_NACKED && settled.is_returned)
            ev->outcome = PUBLISH_RETURNED;
        return true;
    }
    return false;
}

static bool drain_finish(struct link *l, struct session_event *ev)
{
    struct drain *d = &l->drain;
    bool has_after = d->has_after;

    if (has_after)
        *ev = d->after;
    if (d->channel->state == CHANNEL_GONE)
        channel_set_remove(&l->channels, d->channel);
    *d = (struct drain){.channel = NULL};
    return has_after;
}

bool link_next_event(struct link *l, struct session_event *ev)
{
    if (event_queue_pop(&l->events, ev))
        return true;
    while (has_drain(l))
        if (drain_next(l, ev) || drain_finish(l, ev))
            return true;
    return false;
}
