/* SPDX-License-Identifier: MIT */
/* test_driver.c - a session on a libuv loop: woken in time, one write a turn, fair. */
#include "base/clock.h"
#include "loop/driver.h"
#include "scripted_peer.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 20000 };

struct fixture {
    uv_loop_t loop;
    uv_timer_t patience;
    struct session *session;
    struct driver *driver;
    struct rng rng;
    struct session_options options;
    struct scripted_peer *peer;
    char url[64];
    const char *urls[1];
    unsigned counts[SESSION_RETURNED + 1];
    void (*on_event)(struct fixture *f, struct session_event *ev);
    unsigned turns;       /* of a handle that competes with the session */
    size_t output_before; /* session_output_len() when calls were made … */
    size_t outputs[2];    /* … and after that turn's poll, and the next one's */
    unsigned checks;
    bool has_called;
    uint64_t last_tag;
};

static void out_of_patience(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing happened for %d ms", PATIENCE_MS);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rng_seed(&f->rng, 1);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->patience);
    uv_timer_start(&f->patience, out_of_patience, PATIENCE_MS, 0);
    uv_unref((uv_handle_t *)&f->patience);
    f->urls[0] = f->url;
    f->options = (struct session_options){.urls = f->urls,
            .url_count = 1,
            .mode = SESSION_FOREVER,
            .backoff_base_ms = 10,
            .backoff_cap_ms = 20};
    *state = f;
    return 0;
}

static void let_go(struct fixture *f)
{
    driver_free(f->driver);
    session_free(f->session);
    f->driver = NULL;
    f->session = NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    let_go(f);
    uv_close((uv_handle_t *)&f->patience, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    scripted_peer_free(f->peer);
    free(f);
    return 0;
}

static void on_event(void *ctx, struct session_event *ev)
{
    struct fixture *f = ctx;
    f->counts[ev->type]++;
    f->on_event(f, ev);
}

static void start(struct fixture *f, peer_serve_fn *serve,
        void (*handler)(struct fixture *, struct session_event *))
{
    struct coney_error err;
    f->peer = scripted_peer_new(serve, NULL);
    snprintf(f->url, sizeof(f->url), "amqp://127.0.0.1:%u", scripted_peer_port(f->peer));
    f->on_event = handler;
    assert_int_equal(session_new(&f->options, &f->rng, &f->session, &err), CONEY_OK);
    f->driver = driver_new(&f->loop, f->session, on_event, f);
    assert_non_null(f->driver);
}

static void log_in_and_wait(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)n;
    if (peer_log_in(fd, 60))
        peer_await_end(fd);
}

static void log_in_and_hang_up(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)n;
    peer_log_in(fd, 60);
}

static void log_in_and_say_goodbye(void *ctx, int fd, unsigned n)
{
    struct peer_bytes b = {.data = NULL};
    (void)ctx;
    (void)n;
    if (peer_log_in(fd, 60) && peer_await(fd, 10, 50)) {
        peer_method(&b, 0, 10, 51, "");
        peer_send(fd, &b);
    }
    peer_bytes_fini(&b);
}

enum { FLOOD = 20000 };

static void flood(void *ctx, int fd, unsigned n)
{
    struct peer_bytes b = {.data = NULL};
    (void)ctx;
    (void)n;
    peer_method(&b, 1, 20, 11, "S", "");
    for (uint64_t tag = 1; tag <= FLOOD; tag++)
        peer_deliver(&b, 1, tag, NULL, &(struct peer_body){"x", 1, 1});
    if (peer_log_in(fd, 60) && peer_await(fd, 20, 10) && peer_send(fd, &b))
        peer_await_end(fd);
    peer_bytes_fini(&b);
}

/* --- coming and going -----------------------------------------------------------------
 */

static void close_when_up(struct fixture *f, struct session_event *ev)
{
    if (ev->type == SESSION_UP)
        session_close(f->session, 5000);
    if (ev->type == SESSION_DOWN) {
        assert_int_equal(ev->error.rc, CONEY_OK);
        let_go(f);
    }
}

static void a_loop_runs_a_session_from_hello_to_goodbye(void **state)
{
    struct fixture *f = *state;
    start(f, log_in_and_say_goodbye, close_when_up);
    uv_run(&f->loop, UV_RUN_DEFAULT); /* ends: nothing is left on the loop */
    assert_int_equal(f->counts[SESSION_UP], 1);
    assert_int_equal(f->counts[SESSION_DOWN], 1);
}

static void let_go_after_five(struct fixture *f, struct session_event *ev)
{
    if (ev->type == SESSION_DOWN && f->counts[SESSION_DOWN] == 5)
        let_go(f);
}

static void a_new_socket_is_watched_after_each_loss(void **state)
{
    struct fixture *f = *state;
    start(f, log_in_and_hang_up, let_go_after_five);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->counts[SESSION_UP], 5);
}

static void let_go_when_up(struct fixture *f, struct session_event *ev)
{
    if (ev->type == SESSION_UP)
        let_go(f);
}

static void an_owner_may_let_go_inside_his_callback(void **state)
{
    struct fixture *f = *state;
    start(f, log_in_and_wait, let_go_when_up);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->counts[SESSION_UP], 1);
}

/* --- one write a turn -----------------------------------------------------------------
 */

static void open_channels(struct fixture *f)
{
    struct amqp_channel ch;
    for (int i = 0; i < 20; i++)
        assert_int_equal(session_channel_open(f->session, &ch), CONEY_OK);
    f->output_before = session_output_len(f->session);
    f->has_called = true;
}

static void look_at_output(uv_check_t *check)
{
    struct fixture *f = check->data;
    if (!f->has_called)
        return;
    f->outputs[f->checks++] = session_output_len(f->session);
    if (f->checks < 2)
        return;
    uv_close((uv_handle_t *)check, NULL);
    let_go(f);
}

static void call_when_up(struct fixture *f, struct session_event *ev)
{
    if (ev->type == SESSION_UP)
        open_channels(f);
}

static void prepare_when_up(uv_prepare_t *prepare)
{
    struct fixture *f = prepare->data;
    if (!session_is_up(f->session) || f->has_called)
        return;
    open_channels(f);
    uv_close((uv_handle_t *)prepare, NULL);
}

static void nothing(struct fixture *f, struct session_event *ev)
{
    (void)f;
    (void)ev;
}

/* So that the loop wakes again although the broker says nothing. */
static void wake(uv_timer_t *timer)
{
    (void)timer;
}

static void calls_of_a_turn_have_left_when_the_loop_sleeps(void **state)
{
    struct fixture *f = *state;
    uv_check_t check = {.data = f};
    uv_timer_t timer;

    uv_timer_init(&f->loop, &timer);
    uv_timer_start(&timer, wake, 1, 1);
    uv_unref((uv_handle_t *)&timer);
    start(f, log_in_and_wait, call_when_up);
    uv_check_init(&f->loop, &check);
    uv_check_start(&check, look_at_output);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->output_before > 0); /* not written one by one … */
    assert_int_equal(f->outputs[0], f->output_before);
    assert_int_equal(f->outputs[1], 0);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void calls_of_a_later_prepare_handle_leave_in_the_same_turn(void **state)
{
    struct fixture *f = *state;
    uv_check_t check = {.data = f};
    uv_prepare_t prepare = {.data = f};
    uv_timer_t timer;

    uv_timer_init(&f->loop, &timer);
    uv_timer_start(&timer, wake, 1, 1);
    uv_unref((uv_handle_t *)&timer);
    start(f, log_in_and_wait, nothing);
    uv_check_init(&f->loop, &check);
    uv_check_start(&check, look_at_output);
    uv_prepare_init(&f->loop, &prepare);
    uv_prepare_start(&prepare, prepare_when_up);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->output_before > 0);
    assert_int_equal(f->outputs[0], 0);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void flush_when_up(struct fixture *f, struct session_event *ev)
{
    if (ev->type != SESSION_UP)
        return;
    open_channels(f);
    driver_flush(f->driver); /* nothing: we are inside a step */
    assert_int_equal(session_output_len(f->session), f->output_before);
    uv_stop(&f->loop);
}

static void a_flush_writes_at_once_outside_the_callback(void **state)
{
    struct fixture *f = *state;
    start(f, log_in_and_wait, flush_when_up);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    struct amqp_channel ch;
    assert_int_equal(session_channel_open(f->session, &ch), CONEY_OK);
    driver_flush(f->driver);
    assert_int_equal(session_output_len(f->session), 0);
}

/* --- fairness -------------------------------------------------------------------------
 */

static void count_turn(uv_idle_t *idle)
{
    struct fixture *f = idle->data;
    f->turns++;
}

static void count_deliveries(struct fixture *f, struct session_event *ev)
{
    struct amqp_channel ch;

    if (ev->type == SESSION_UP)
        assert_int_equal(session_channel_open(f->session, &ch), CONEY_OK);
    if (ev->type != SESSION_DELIVERY)
        return;
    assert_int_equal(ev->delivery.tag, ++f->last_tag);
    if (ev->delivery.tag == 1)
        f->turns = 0;
    if (ev->delivery.tag % 2 == 0) { /* half of them are kept for longer */
        struct envelope taken = ev->delivery.envelope;
        ev->delivery.envelope.arena = NULL;
        envelope_fini(&taken);
    }
    if (f->last_tag == FLOOD) {
        let_go(f);
        uv_stop(&f->loop);
    }
}

static void a_flood_of_deliveries_lets_others_have_their_turn(void **state)
{
    struct fixture *f = *state;
    uv_idle_t idle = {.data = f};

    start(f, flood, count_deliveries);
    uv_idle_init(&f->loop, &idle);
    uv_idle_start(&idle, count_turn);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->last_tag, FLOOD);
    /* At most two queues of events a turn: when readable, and before the next sleep. */
    assert_true(f->turns >= FLOOD / (2 * 512) - 1);
    uv_close((uv_handle_t *)&idle, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(a_loop_runs_a_session_from_hello_to_goodbye),
            TEST(a_new_socket_is_watched_after_each_loss),
            TEST(an_owner_may_let_go_inside_his_callback),
            TEST(calls_of_a_turn_have_left_when_the_loop_sleeps),
            TEST(calls_of_a_later_prepare_handle_leave_in_the_same_turn),
            TEST(a_flush_writes_at_once_outside_the_callback),
            TEST(a_flood_of_deliveries_lets_others_have_their_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
