/* SPDX-License-Identifier: MIT */
/*
 * beat.c - the life of a beat: start, turn, stop.
 *
 * Everything happens at the end of a turn of the loop, in on_turn(): callbacks only note
 * what came. So the confirms of one turn make one token, and all that is to be sent
 * leaves in one write.
 */
#include "beat/beat.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "beat/state.h"
#include "queue/broker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

struct leader_moment beat_moment(const struct beat *b)
{
    int64_t now_ms = clock_mono_ms();
    return (struct leader_moment){
            .now_ms = now_ms,
            .now_us = clock_wall_us(),
            .is_silent = session_is_silent(b->session, now_ms),
    };
}

/* --- turns
 * -------------------------------------------------------------------------------------
 */

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* on_turn() follows */
}

void beat_wake(struct beat *b)
{
    if (b->phase != BEAT_CLOSING || b->session)
        uv_timer_start(&b->timer, on_timer, 0, 0);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void close_handles(struct beat *b)
{
    seat_disconnect(b);
    close_handle((uv_handle_t *)&b->timer, NULL);
    close_handle((uv_handle_t *)&b->turn, NULL);
    for (size_t i = 0; i < BEAT_SIGNALS; i++)
        close_handle((uv_handle_t *)&b->signals[i], NULL);
}

/* Ticks are settled, or have had their time: say goodbye. The token goes to the next. */
static void say_goodbye(struct beat *b)
{
    b->phase = BEAT_CLOSING;
    if (session_is_up(b->session))
        session_close(b->session, BEAT_PATIENCE_MS);
    else
        close_handles(b);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void arm_timer(struct beat *b)
{
    const struct leader_moment moment = beat_moment(b);
    int64_t wait_ms = leader_wait_ms(b->leader, &moment);

    if (b->phase == BEAT_STOPPING || b->next_plan)
        wait_ms = sooner(wait_ms, b->patience_ms - moment.now_ms);
    if (b->reopen_ms != CLOCK_NEVER)
        wait_ms = sooner(wait_ms, b->reopen_ms - moment.now_ms);
    uv_timer_start(&b->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void on_turn(uv_prepare_t *turn)
{
    struct beat *b = turn->data;

    seat_look(b);
    replan_look(b);
    if (b->phase == BEAT_CLOSING || b->is_reconnecting)
        return;
    if (act(b))
        arm_timer(b);
    else
        beat_wake(b);
    if (b->phase == BEAT_STOPPING && !b->replan &&
            (leader_is_quiet(b->leader) || clock_mono_ms() >= b->patience_ms))
        say_goodbye(b);
}

/* The driver's own turn comes after ours, so that what we queue leaves at once: of
 * prepare handles the one that was started last runs first. */
static void start_turns(struct beat *b)
{
    uv_prepare_stop(&b->turn);
    uv_prepare_start(&b->turn, on_turn);
}

/* --- the end, and new beginnings
 * --------------------------------------------------------------- */

static void reconnect(struct beat *b)
{
    struct coney_error err = {.text = ""};

    seat_disconnect(b);
    plan_free(b->plan);
    b->plan = b->next_plan;
    b->next_plan = NULL;
    b->is_reconnecting = false;
    enum coney_rc rc = seat_connect(b, &err);
    if (rc != CONEY_OK) {
        log_error("reload: %s; this beat ends", err.text);
        b->exit_status = EXIT_FAILURE;
        b->phase = BEAT_CLOSING;
        close_handles(b);
        return;
    }
    log_info("reloaded  entries=%zu", b->plan->config->entry_count);
    start_turns(b);
}

void beat_closed(struct beat *b)
{
    if (b->phase == BEAT_RUNNING && b->is_reconnecting) {
        reconnect(b);
    } else {
        b->phase = BEAT_CLOSING;
        close_handles(b);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct beat *b = handle->data;

    if (number == SIGHUP) {
        replan_begin(b);
    } else if (b->phase == BEAT_RUNNING) {
        b->phase = BEAT_STOPPING;
        b->patience_ms = clock_mono_ms() + BEAT_PATIENCE_MS;
        log_info("stopping");
        (void)sd_notify(0, "STOPPING=1");
        leader_pause(b->leader);
    } else {
        uv_stop(&b->loop);
    }
}

/* --- start
 * -------------------------------------------------------------------------------------
 */

static void init_handles(struct beat *b)
{
    static const int numbers[BEAT_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

    uv_timer_init(&b->loop, &b->timer);
    uv_prepare_init(&b->loop, &b->turn);
    b->turn.data = b;
    for (size_t i = 0; i < BEAT_SIGNALS; i++) {
        uv_signal_init(&b->loop, &b->signals[i]);
        b->signals[i].data = b;
        uv_signal_start(&b->signals[i], on_signal, numbers[i]);
    }
}

static void name_process(struct beat *b)
{
    char host[BEAT_NAME_SIZE / 2];

    broker_host(host, sizeof(host));
    snprintf(b->origin, sizeof(b->origin), "gen%d@%s", (int)getpid(), host);
    snprintf(b->consumer_tag, sizeof(b->consumer_tag), "coney-beat@%s:%d", host,
            (int)getpid());
    rng_seed_random(&b->rng);
    rng_uuid(&b->rng, b->writer);
}

static void print_mistakes(const struct mistakes *m, const struct coney_error *err)
{
    mistakes_print(m, stderr);
    if (m->count == 0)
        fprintf(stderr, "coney beat: %s\n", err->text);
    else
        fprintf(stderr, "coney beat: %zu mistake%s in the configuration; not started\n",
                m->count, m->count == 1 ? "" : "s");
}

static int run(struct beat *b)
{
    struct coney_error err = {.text = ""};

    if (uv_loop_init(&b->loop) != 0) {
        log_error("no event loop: out of memory or descriptors");
        return EXIT_FAILURE;
    }
    init_handles(b);
    enum coney_rc rc = seat_connect(b, &err);
    if (rc == CONEY_OK) {
        log_info("coney %s started  beat=%s pid=%d entries=%zu", CONEY_VERSION,
                b->plan->config->beat.name, (int)getpid(), b->plan->config->entry_count);
        start_turns(b);
        uv_run(&b->loop, UV_RUN_DEFAULT);
        log_info("stopped  status=%d", b->exit_status);
    } else {
        log_error("%s", err.text);
        b->exit_status = rc == CONEY_ENOMEM ? EXIT_FAILURE : EX_CONFIG;
    }
    seat_disconnect(b);
    uv_walk(&b->loop, close_handle, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    uv_loop_close(&b->loop);
    return b->exit_status;
}

int beat_run(const struct beat_options *options)
{
    struct coney_error err = {.text = ""};
    struct mistakes mistakes = {.items = NULL};
    struct beat b = {.config_path = options->config_path, .reopen_ms = CLOCK_NEVER};
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    enum coney_rc rc = plan_load(b.config_path, &b.plan, &mistakes, &err);
    if (rc != CONEY_OK) {
        print_mistakes(&mistakes, &err);
        status = rc == CONEY_ENOMEM ? EXIT_FAILURE : EX_CONFIG;
    } else {
        log_open("beat", b.plan->config->worker.log_level);
        name_process(&b);
        status = run(&b);
        log_close();
    }
    mistakes_fini(&mistakes);
    plan_free(b.next_plan);
    plan_free(b.plan);
    return status;
}
