/* SPDX-License-Identifier: MIT */
/*
 * test_session_loss.c - a session that is lost and comes back, and what becomes of its
 * output meanwhile, against scripted brokers on loopback.
 */
#include "session_fixture.h"

#include <fcntl.h>
#include <semaphore.h>

/* --- brokers --------------------------------------------------------------------------
 */

static void log_in_and_hang_up(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)n;
    peer_log_in(fd, 60);
}

enum { LARGE = 100 * 1000, LARGE_COUNT = 300 }; /* more than both sockets hold */

/* Reads what is published only when *@ctx, a semaphore, says so; then confirms it all. */
static void read_late(void *ctx, int fd, unsigned n)
{
    struct peer_bytes b = {.data = NULL};
    (void)n;
    if (!peer_log_in(fd, 60) || sem_wait(ctx) != 0)
        return;
    for (int i = 0; i < LARGE_COUNT; i++)
        peer_await(fd, 60, 40);
    peer_method(&b, 1, 20, 11, "S", "");
    peer_method(&b, 1, 85, 11, "");
    peer_method(&b, 1, 60, 80, "qo", (uint64_t)LARGE_COUNT, 1u);
    peer_send(fd, &b);
    peer_bytes_fini(&b);
    peer_await_end(fd);
}

/* Closes the connection with unconfirmed publishes on it. */
static void break_off(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)n;
    if (peer_log_in(fd, 60))
        peer_await(fd, 60, 40);
}

/* --- coming back ----------------------------------------------------------------------
 */

static void urls_are_tried_in_turn(void **state)
{
    struct fixture *f = *state;
    add_url(f, "amqp", dead_port());
    add_url(f, "amqp", dead_port());
    serve(f, log_in_and_wait);
    open_session(f);
    for (int i = 0; i < 2; i++) {
        struct session_event ev = await(f, SESSION_DOWN);
        assert_int_equal(ev.retry_ms, 0);
        assert_non_null(strstr(ev.error.text, f->url_texts[i] + strlen("amqp://")));
    }
    await(f, SESSION_UP);
}

static void once_means_every_url_once(void **state)
{
    struct fixture *f = *state;
    add_url(f, "amqp", dead_port());
    add_url(f, "amqp", dead_port());
    open_session(f);
    assert_down(f, CONEY_EIO, "refused", false);
    assert_down(f, CONEY_EIO, "refused", true);
}

static void a_lost_connection_comes_back_with_backoff(void **state)
{
    struct fixture *f = *state;
    f->options.mode = SESSION_FOREVER;
    serve(f, log_in_and_hang_up);
    open_session(f);
    for (int i = 0; i < 5; i++) {
        await(f, SESSION_UP);
        struct session_event ev = await(f, SESSION_DOWN);
        assert_int_equal(ev.error.rc, CONEY_ECLOSED);
        assert_in_range(ev.retry_ms, i == 0 ? 10 : 20, 50);
    }
}

/* Closed earlier, it would stay registered with epoll as long as a forked child has it.
 */
static void a_descriptor_is_closed_only_after_its_poller_could_let_go(void **state)
{
    struct fixture *f = *state;

    serve(f, log_in_and_hang_up);
    open_session(f);
    await(f, SESSION_UP);
    int fd = session_fd(f->session);
    await(f, SESSION_DOWN);
    assert_int_equal(session_fd(f->session), -1);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    assert_int_equal(session_deadline_ms(f->session), 0);
    session_step(f->session, 0, clock_mono_ms());
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_channel_of_an_earlier_connection_reaches_nothing(void **state)
{
    struct fixture *f = *state;
    struct amqp_channel before, after;

    f->options.mode = SESSION_FOREVER;
    serve(f, log_in_and_hang_up);
    open_session(f);
    await(f, SESSION_UP);
    assert_int_equal(session_channel_open(f->session, &before), CONEY_OK);
    await(f, SESSION_DOWN);
    assert_int_equal(session_channel_open(f->session, &after), CONEY_ECLOSED);
    await(f, SESSION_UP);
    assert_int_equal(session_channel_open(f->session, &after), CONEY_OK);
    assert_int_equal(before.number, after.number);
    assert_int_equal(session_ack(f->session, before, 1, false), CONEY_ECLOSED);
    assert_int_equal(session_ack(f->session, after, 1, false), CONEY_OK);
}

static void a_connection_that_breaks_off_leaves_publishes_unknown(void **state)
{
    struct fixture *f = *state;
    struct amqp_channel ch;
    struct envelope e = {.properties = properties_none()};
    struct publish p = {.exchange = "", .routing_key = "q", .envelope = &e};
    bool seen[4] = {false};

    serve(f, break_off);
    open_session(f);
    await(f, SESSION_UP);
    assert_int_equal(session_channel_open(f->session, &ch), CONEY_OK);
    assert_int_equal(session_confirm_select(f->session, ch), CONEY_OK);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(session_publish(f->session, ch, &p, i), CONEY_OK);
    for (int i = 0; i < 3; i++) {
        struct session_event ev = await(f, SESSION_PUBLISHED);
        assert_int_equal(ev.outcome, PUBLISH_UNKNOWN);
        assert_in_range(ev.cookie, 1, 3);
        assert_false(seen[ev.cookie]);
        seen[ev.cookie] = true;
    }
    assert_down(f, CONEY_ECLOSED, "", true);
}

static void silence_under_the_test_clock_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    struct session_event ev = {.type = SESSION_UP};

    serve(f, log_in_and_wait);
    open_session(f);
    await(f, SESSION_UP);
    int64_t now_ms = clock_mono_ms();
    pass_time(f, &now_ms, 29000);
    assert_true(session_is_up(f->session));
    pass_time(f, &now_ms, 2000);
    assert_true(session_next_event(f->session, &ev));
    assert_int_equal(ev.type, SESSION_DOWN);
    assert_int_equal(ev.error.rc, CONEY_ETIMEOUT);
}

/* Logs in, then sends one heartbeat. */
static void log_in_and_beat(void *ctx, int fd, unsigned n)
{
    struct peer_bytes b = {.data = NULL};
    (void)ctx;
    (void)n;
    peer_frame(&b, 8, 0, NULL, 0);
    if (peer_log_in(fd, 60) && peer_await(fd, 20, 10) && peer_send(fd, &b))
        peer_await_end(fd);
    peer_bytes_fini(&b);
}

/* The process was stopped for a minute, and the broker's bytes wait in the socket. */
static void a_pause_of_our_own_is_not_taken_for_silence(void **state)
{
    struct fixture *f = *state;
    struct amqp_channel ch;

    serve(f, log_in_and_beat);
    open_session(f);
    await(f, SESSION_UP);
    assert_int_equal(session_channel_open(f->session, &ch), CONEY_OK);
    while (session_output_len(f->session) > 0)
        session_step(f->session, 0, clock_mono_ms());
    struct pollfd p = {.fd = session_fd(f->session), .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1); /* but nobody tells the session */
    session_step(f->session, 0, clock_mono_ms() + 60000);
    assert_true(session_is_up(f->session));
}

/* --- output ---------------------------------------------------------------------------
 */

static void a_full_socket_is_written_on_when_it_has_room(void **state)
{
    struct fixture *f = *state;
    struct amqp_channel ch;
    sem_t may_read;
    char *body = calloc(1, LARGE);
    struct envelope e = {
            .properties = properties_none(), .body = {.data = body, .len = LARGE}};
    struct publish p = {.exchange = "", .routing_key = "q", .envelope = &e};

    assert_int_equal(sem_init(&may_read, 0, 0), 0);
    f->peer = scripted_peer_new(read_late, &may_read);
    add_url(f, "amqp", scripted_peer_port(f->peer));
    open_session(f);
    await(f, SESSION_UP);
    assert_int_equal(session_channel_open(f->session, &ch), CONEY_OK);
    assert_int_equal(session_confirm_select(f->session, ch), CONEY_OK);
    for (uint64_t i = 1; i <= LARGE_COUNT; i++)
        assert_int_equal(session_publish(f->session, ch, &p, i), CONEY_OK);
    free(body);
    assert_true(session_output_len(f->session) > (size_t)LARGE * LARGE_COUNT);
    assert_int_equal(session_unconfirmed(f->session, ch), LARGE_COUNT);
    while (!(session_wants(f->session) & POLLOUT))
        assert_true(turn(f));
    assert_true(session_output_len(f->session) > 0);
    assert_true(session_deadline_ms(f->session) > clock_mono_ms());
    sem_post(&may_read);
    for (uint64_t i = 1; i <= LARGE_COUNT; i++) {
        struct session_event ev = await(f, SESSION_PUBLISHED);
        assert_int_equal(ev.cookie, i);
        assert_int_equal(ev.outcome, PUBLISH_ACKED);
    }
    assert_int_equal(session_output_len(f->session), 0);
    sem_destroy(&may_read);
}

static void names_over_255_bytes_are_refused_by_every_call(void **state)
{
    struct fixture *f = *state;
    char name[257];
    struct amqp_channel ch;
    struct queue_declare q = {.queue = name};
    struct exchange_declare x = {.exchange = name, .type = "topic"};
    struct binding long_key = {.to = "q", .from = "x", .key = name};
    struct binding long_name = {.to = "q", .from = name, .key = "k"};
    struct consume c = {.queue = name, .consumer_tag = ""};
    struct envelope e = {.properties = properties_none()};
    struct publish p = {.exchange = "", .routing_key = name, .envelope = &e};

    memset(name, 'x', 256);
    name[256] = '\0';
    serve(f, log_in_and_wait);
    open_session(f);
    await(f, SESSION_UP);
    assert_int_equal(session_channel_open(f->session, &ch), CONEY_OK);
    while (session_output_len(f->session) > 0)
        assert_true(turn(f));
    assert_int_equal(session_declare_queue(f->session, ch, &q, 1), CONEY_EINVAL);
    assert_int_equal(session_declare_exchange(f->session, ch, &x, 1), CONEY_EINVAL);
    assert_int_equal(session_bind_queue(f->session, ch, &long_key, 1), CONEY_EINVAL);
    assert_int_equal(session_bind_exchange(f->session, ch, &long_name, 1), CONEY_EINVAL);
    assert_int_equal(session_delete_queue(f->session, ch, name, 1), CONEY_EINVAL);
    assert_int_equal(session_purge_queue(f->session, ch, name, 1), CONEY_EINVAL);
    assert_int_equal(session_consume(f->session, ch, &c, 1), CONEY_EINVAL);
    assert_int_equal(session_cancel(f->session, ch, name, 1), CONEY_EINVAL);
    assert_int_equal(session_publish(f->session, ch, &p, 1), CONEY_EINVAL);
    assert_int_equal(session_output_len(f->session), 0);
    name[255] = '\0';
    assert_int_equal(session_declare_queue(f->session, ch, &q, 1), CONEY_OK);
    assert_int_equal(session_publish(f->session, ch, &p, 1), CONEY_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(urls_are_tried_in_turn),
            TEST(once_means_every_url_once),
            TEST(a_lost_connection_comes_back_with_backoff),
            TEST(a_descriptor_is_closed_only_after_its_poller_could_let_go),
            TEST(a_channel_of_an_earlier_connection_reaches_nothing),
            TEST(a_connection_that_breaks_off_leaves_publishes_unknown),
            TEST(silence_under_the_test_clock_ends_the_connection),
            TEST(a_pause_of_our_own_is_not_taken_for_silence),
            TEST(a_full_socket_is_written_on_when_it_has_room),
            TEST(names_over_255_bytes_are_refused_by_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
