/* SPDX-License-Identifier: MIT */
/* intake.c - lanes over one session, opened again whenever it comes back. */
#include "worker/intake.h"

#include "base/clock.h"
#include "base/error.h"
#include "loop/driver.h"
#include "queue/declarer.h"
#include "worker/source.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPAIR_MS = 1000,          /* after a lane died or an object vanished */
    REFUSED_REPAIR_MS = 10000, /* after a declaration was refused: somebody must act */
    /*
     * An ack is a message on its way: above 32 commands that a quorum queue has not
     * applied yet, RabbitMQ's channel keeps further settlements to itself
     * (rabbit_fifo_client's soft limit), and forgets them when it is closed. There is no
     * confirm to wait for, only time.
     */
    LINGER_MS = 1000,
    CLOSE_TIMEOUT_MS = 2000
};

TAILQ_HEAD(lane_list, lane);

struct intake {
    struct session *session;   /* owned */
    struct driver *driver;     /* owned */
    struct declarer *declarer; /* owned */
    struct intake_callbacks callbacks;
    struct source *sources; /* owned */
    size_t source_count;
    struct lane_list lanes;
    struct lane **by_channel; /* owned; index: channel number */
    size_t by_channel_count;
    char *tag_prefix; /* owned */
    unsigned generation;
    uv_timer_t *timer;  /* declare again; closed with the intake, freed by its callback */
    uv_timer_t *linger; /* close drained lanes; likewise */
    bool waits;         /* declared, but may not consume yet */
    bool announced;     /* on_ready was called in this life of the connection */
    bool retired;
    bool closing;
};

/* --- lanes
 * ------------------------------------------------------------------------------ */

static struct lane *lane_on(const struct intake *in, struct amqp_channel ch)
{
    struct lane *lane =
            ch.number < in->by_channel_count ? in->by_channel[ch.number] : NULL;
    return lane && lane->channel.generation == ch.generation ? lane : NULL;
}

static enum coney_rc index_lane(struct intake *in, struct lane *lane)
{
    size_t number = lane->channel.number;
    if (number >= in->by_channel_count) {
        size_t count = number + 16;
        struct lane **grown = realloc(in->by_channel, count * sizeof(struct lane *));
        if (!grown)
            return CONEY_ENOMEM;
        for (size_t i = in->by_channel_count; i < count; i++)
            grown[i] = NULL;
        in->by_channel = grown;
        in->by_channel_count = count;
    }
    in->by_channel[number] = lane;
    return CONEY_OK;
}

static void lane_free(struct lane *lane)
{
    free(lane->queue);
    free(lane);
}

/* Take the lane out of the intake; whoever holds it keeps it alive. */
static void unlink_lane(struct lane *lane)
{
    struct intake *in = lane->intake;

    if (lane_on(in, lane->channel) == lane)
        in->by_channel[lane->channel.number] = NULL;
    TAILQ_REMOVE(&in->lanes, lane, entry);
    for (size_t i = 0; i < in->source_count; i++)
        if (in->sources[i].current == lane)
            in->sources[i].current = NULL;
    lane->state = LANE_DEAD;
    lane->intake = NULL;
}

static void hold(struct lane *lane)
{
    assert(lane->jobs < UINT_MAX);
    lane->jobs++;
}

static void detach_lane(struct lane *lane)
{
    hold(lane);
    unlink_lane(lane);
    lane_release(lane);
}

static void kill_lane(struct lane *lane)
{
    struct intake *in = lane->intake;

    hold(lane);
    unlink_lane(lane);
    in->callbacks.on_lane_dead(in->callbacks.ctx, lane);
    lane_release(lane);
}

static enum coney_rc consume(struct intake *in, struct source *source, struct lane *lane)
{
    struct consume c = {.queue = lane->queue, .consumer_tag = lane->consumer_tag};
    enum coney_rc rc = session_channel_open(in->session, &lane->channel);
    if (rc == CONEY_OK)
        rc = index_lane(in, lane);
    if (rc == CONEY_OK)
        rc = session_qos(in->session, lane->channel, (uint16_t)source->prefetch);
    if (rc == CONEY_OK)
        rc = session_consume(in->session, lane->channel, &c, 1);
    return rc;
}

static enum coney_rc open_lane(struct intake *in, struct source *source)
{
    struct lane *lane = calloc(1, sizeof(*lane));
    if (!lane)
        return CONEY_ENOMEM;
    lane->queue = strdup(source->queue);
    if (!lane->queue) {
        lane_free(lane);
        return CONEY_ENOMEM;
    }
    lane->intake = in;
    lane->foreign = source->foreign;
    lane->prefetch = source->prefetch;
    snprintf(lane->consumer_tag, sizeof(lane->consumer_tag), "%.200s:%.30s#%u",
            in->tag_prefix, source->class_name, ++in->generation);
    TAILQ_INSERT_TAIL(&in->lanes, lane, entry);
    source->current = lane;

    enum coney_rc rc = consume(in, source, lane);
    if (rc != CONEY_OK) {
        (void)!session_channel_close(in->session, lane->channel);
        detach_lane(lane);
    }
    return rc;
}

/* --- the connection's life
 * ----------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void repair_in(struct intake *in, unsigned delay_ms)
{
    if (!in->closing)
        uv_timer_start(in->timer, on_timer, delay_ms, 0);
}

static void open_missing_lanes(struct intake *in)
{
    if (in->retired)
        return;
    for (size_t i = 0; i < in->source_count; i++)
        if (!in->sources[i].current && open_lane(in, &in->sources[i]) != CONEY_OK)
            repair_in(in, REPAIR_MS);
}

static void start_declaring(struct intake *in)
{
    if (declarer_start(in->declarer, in->session) != CONEY_OK)
        repair_in(in, REPAIR_MS);
}

/* Lanes whose settlements could not be queued: their deliveries must come again. */
static void kill_broken_lanes(struct intake *in)
{
    struct lane *next;
    for (struct lane *lane = TAILQ_FIRST(&in->lanes); lane; lane = next) {
        next = TAILQ_NEXT(lane, entry);
        if (!lane->broken)
            continue;
        (void)!session_channel_close(in->session, lane->channel);
        kill_lane(lane);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct intake *in = timer->data;

    kill_broken_lanes(in);
    if (session_is_up(in->session) && !in->retired)
        start_declaring(in);
}

bool intake_is_consuming(const struct intake *in)
{
    if (!session_is_up(in->session))
        return false;
    for (size_t i = 0; i < in->source_count; i++) {
        const struct lane *lane = in->sources[i].current;
        if (!lane || lane->state != LANE_CONSUMING)
            return false;
    }
    return true;
}

static void close_when_drained(struct intake *in)
{
    if (!in->retired || in->closing || !TAILQ_EMPTY(&in->lanes))
        return;
    in->closing = true;
    uv_timer_stop(in->timer);
    session_close(in->session, CLOSE_TIMEOUT_MS);
}

static void on_linger(uv_timer_t *timer);

/* A lane that drains and has no more jobs is closed, once its last settlement is safe. */
static void close_lane_when_empty(struct lane *lane)
{
    struct intake *in = lane->intake;
    if (!in || lane->state != LANE_DRAINING || lane->jobs > 0)
        return;
    int64_t wait_ms = lane->settled_ms + LINGER_MS - clock_mono_ms();
    if (lane->settled_ms > 0 && wait_ms > 0) {
        if (!uv_is_active((uv_handle_t *)in->linger))
            uv_timer_start(in->linger, on_linger, (uint64_t)wait_ms, 0);
        return;
    }
    (void)!session_channel_close(in->session, lane->channel);
    detach_lane(lane);
    close_when_drained(in);
}

static void on_linger(uv_timer_t *timer)
{
    struct intake *in = timer->data;
    struct lane *next;
    for (struct lane *lane = TAILQ_FIRST(&in->lanes); lane; lane = next) {
        next = TAILQ_NEXT(lane, entry);
        close_lane_when_empty(lane);
    }
}

static void cancel_lane(struct lane *lane)
{
    struct intake *in = lane->intake;
    if (lane->state != LANE_CONSUMING && lane->state != LANE_OPENING)
        return;
    lane->state = LANE_CANCELLING;
    if (session_cancel(in->session, lane->channel, lane->consumer_tag, 2) != CONEY_OK)
        kill_lane(lane);
}

/* Everything is consumed from: the lanes of an earlier plan are no longer needed. */
static void announce_when_consuming(struct intake *in)
{
    struct lane *next;

    if (in->announced || !intake_is_consuming(in))
        return;
    in->announced = true;
    for (struct lane *lane = TAILQ_FIRST(&in->lanes); lane; lane = next) {
        next = TAILQ_NEXT(lane, entry);
        if (lane->superseded)
            cancel_lane(lane);
    }
    in->callbacks.on_ready(in->callbacks.ctx, in);
}

static void handle_reply(struct intake *in, const struct session_event *ev)
{
    struct lane *lane = lane_on(in, ev->channel);
    if (!lane)
        return;
    if (lane->state == LANE_OPENING) {
        lane->state = LANE_CONSUMING;
        announce_when_consuming(in);
    } else if (lane->state == LANE_CANCELLING && ev->cookie == 2) {
        lane->state = LANE_DRAINING;
        hold(lane);
        in->callbacks.on_lane_cancelled(in->callbacks.ctx, lane);
        lane_release(lane);
    }
}

static void handle_down(struct intake *in, const struct session_event *ev)
{
    struct lane *lane;

    in->announced = false;
    in->waits = false;
    uv_timer_stop(in->timer);
    while ((lane = TAILQ_FIRST(&in->lanes)))
        kill_lane(lane); /* NOLINT(clang-analyzer-unix.Malloc): it misses TAILQ_REMOVE */
    if (in->retired) {
        in->closing = true;
        in->callbacks.on_empty(in->callbacks.ctx, in);
        return;
    }
    in->callbacks.on_down(in->callbacks.ctx, ev);
}

/* The queue was deleted or failed over, or the channel was closed under the lane. */
static void handle_lane_loss(struct intake *in, const struct session_event *ev)
{
    struct coney_error err = ev->error;
    struct lane *lane = lane_on(in, ev->channel);

    if (!lane)
        return;
    if (ev->type == SESSION_CANCELLED) {
        error_set(&err, CONEY_ECLOSED,
                "consumer cancelled: the queue was deleted or moved");
        (void)!session_channel_close(in->session, lane->channel);
    }
    in->callbacks.on_refused(in->callbacks.ctx, lane->queue, &err);
    kill_lane(lane);
    repair_in(in, REPAIR_MS);
    close_when_drained(in);
}

static void after_declaring(struct intake *in)
{
    switch (declarer_state(in->declarer)) {
    case DECLARER_DONE:
        in->callbacks.on_declared(in->callbacks.ctx, in);
        in->waits = !in->callbacks.may_consume(in->callbacks.ctx);
        if (!in->waits)
            open_missing_lanes(in);
        break;
    case DECLARER_FAILED:
        in->callbacks.on_refused(in->callbacks.ctx, NULL, declarer_error(in->declarer));
        repair_in(in, REFUSED_REPAIR_MS);
        break;
    case DECLARER_IDLE:
    case DECLARER_BUSY:
        break;
    }
}

static void on_event(void *ctx, struct session_event *ev)
{
    struct intake *in = ctx;
    struct lane *lane;

    if (ev->type != SESSION_DOWN && declarer_handle(in->declarer, in->session, ev)) {
        after_declaring(in);
        return;
    }
    switch (ev->type) {
    case SESSION_UP:
        in->callbacks.on_up(in->callbacks.ctx, in->session);
        start_declaring(in);
        break;
    case SESSION_DOWN:
        (void)!declarer_handle(in->declarer, in->session, ev);
        handle_down(in, ev);
        break;
    case SESSION_DELIVERY:
        lane = lane_on(in, ev->channel);
        if (lane) {
            hold(lane);
            in->callbacks.on_delivery(in->callbacks.ctx, lane, &ev->delivery);
        }
        break;
    case SESSION_REPLY:
        handle_reply(in, ev);
        break;
    case SESSION_CHANNEL_CLOSED:
    case SESSION_CANCELLED:
        handle_lane_loss(in, ev);
        break;
    case SESSION_BLOCKED:
    case SESSION_UNBLOCKED:
    case SESSION_PUBLISHED:
    case SESSION_RETURNED:
        break;
    }
}

/* --- making and unmaking
 * --------------------------------------------------------------------- */

static uv_timer_t *new_timer(uv_loop_t *loop, struct intake *in)
{
    uv_timer_t *timer = calloc(1, sizeof(*timer));
    if (!timer)
        return NULL;
    uv_timer_init(loop, timer);
    timer->data = in;
    return timer;
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

static void close_timer(uv_timer_t *timer)
{
    if (timer)
        uv_close((uv_handle_t *)timer, free_timer);
}

enum coney_rc intake_new(const struct intake_options *options,
        const struct intake_plan *plan, struct intake **out, struct coney_error *err)
{
    enum coney_rc rc;
    struct intake *in = calloc(1, sizeof(*in));

    *out = NULL;
    if (!in)
        return error_set_nomem(err);
    TAILQ_INIT(&in->lanes);
    in->callbacks = options->callbacks;
    rc = session_new(options->session, options->rng, &in->session, err);
    if (rc != CONEY_OK)
        goto out;
    rc = CONEY_ENOMEM;
    in->tag_prefix = strdup(plan->tag_prefix);
    in->sources = sources_new(plan->config, plan->extra_prefetch);
    if (!in->tag_prefix || !in->sources)
        goto out;
    in->source_count = plan->config->queue_count;
    in->declarer = declarer_new(plan->topology);
    in->timer = new_timer(options->loop, in);
    in->linger = new_timer(options->loop, in);
    if (!in->declarer || !in->timer || !in->linger)
        goto out;
    in->driver = driver_new(options->loop, in->session, on_event, in);
    if (!in->driver)
        goto out;
    *out = in;
    return CONEY_OK;
out:
    if (rc == CONEY_ENOMEM)
        error_set_nomem(err);
    intake_free(in);
    return rc;
}

void intake_free(struct intake *in)
{
    struct lane *lane;

    if (!in)
        return;
    while ((lane = TAILQ_FIRST(&in->lanes)))
        detach_lane(lane); /* NOLINT(clang-analyzer-unix.Malloc): likewise */
    driver_free(in->driver);
    declarer_free(in->declarer);
    session_free(in->session);
    close_timer(in->timer);
    close_timer(in->linger);
    sources_free(in->sources, in->source_count);
    free(in->by_channel);
    free(in->tag_prefix);
    free(in);
}

enum coney_rc intake_replan(struct intake *in, const struct intake_plan *plan)
{
    struct source *sources = sources_new(plan->config, plan->extra_prefetch);
    struct declarer *declarer = declarer_new(plan->topology);
    struct lane *lane;

    if (!sources || !declarer) {
        sources_free(sources, plan->config->queue_count);
        declarer_free(declarer);
        return CONEY_ENOMEM;
    }
    TAILQ_FOREACH(lane, &in->lanes, entry)
    lane->superseded = true;
    sources_free(in->sources, in->source_count);
    declarer_free(in->declarer);
    in->sources = sources;
    in->source_count = plan->config->queue_count;
    in->declarer = declarer;
    in->announced = false;
    if (session_is_up(in->session))
        start_declaring(in);
    return CONEY_OK;
}

unsigned intake_prefetch(const struct intake *in)
{
    unsigned prefetch = 0;
    for (size_t i = 0; i < in->source_count; i++)
        prefetch += in->sources[i].prefetch;
    return prefetch;
}

void intake_consume(struct intake *in)
{
    if (!in->waits)
        return;
    in->waits = false;
    open_missing_lanes(in);
}

void intake_repair(struct intake *in)
{
    repair_in(in, REPAIR_MS);
}

void intake_retire(struct intake *in)
{
    struct lane *next;

    in->retired = true;
    for (struct lane *lane = TAILQ_FIRST(&in->lanes); lane; lane = next) {
        next = TAILQ_NEXT(lane, entry);
        cancel_lane(lane);
    }
    close_when_drained(in);
}

/* A settlement that can't be queued is made up for by losing the lane, a little later. */
static void check_settled(struct lane *lane, enum coney_rc rc)
{
    lane->settled_ms = clock_mono_ms();
    if (rc == CONEY_OK || rc == CONEY_ECLOSED)
        return;
    lane->broken = true;
    repair_in(lane->intake, 0);
}

void lane_ack(struct lane *lane, uint64_t tag)
{
    if (lane_is_alive(lane))
        check_settled(
                lane, session_ack(lane->intake->session, lane->channel, tag, false));
}

void lane_nack(struct lane *lane, uint64_t tag, bool requeue)
{
    if (lane_is_alive(lane))
        check_settled(lane,
                session_nack(lane->intake->session, lane->channel, tag, false, requeue));
}

void lane_release(struct lane *lane)
{
    assert(lane->jobs > 0);
    lane->jobs--;
    if (lane->jobs > 0)
        return;
    if (lane->state == LANE_DEAD)
        lane_free(lane);
    else
        close_lane_when_empty(lane);
}

bool lane_is_alive(const struct lane *lane)
{
    return lane->state != LANE_DEAD;
}
