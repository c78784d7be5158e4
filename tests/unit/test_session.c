/* SPDX-License-Identifier: MIT */
/*
 * test_session.c - a session coming up and going, against scripted brokers on loopback.
 *
 * What a real broker does is in integration/test_session.c; here are those that hang, lie
 * and break off.
 */
#include "session_fixture.h"

/* --- brokers --------------------------------------------------------------------------
 */

static void log_in_and_hang_up(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)n;
    peer_log_in(fd, 60);
}

static void say_nothing(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)n;
    peer_await_end(fd);
}

static void refuse_login(void *ctx, int fd, unsigned n)
{
    struct peer_bytes b = {.data = NULL};
    (void)ctx;
    (void)n;
    peer_start(&b, "PLAIN");
    if (peer_send(fd, &b) && peer_await(fd, 10, 11)) {
        b.len = 0;
        peer_method(&b, 0, 10, 50, "wsww", 403u, "ACCESS_REFUSED", 0u, 0u);
        peer_send(fd, &b);
        peer_await_end(fd);
    }
    peer_bytes_fini(&b);
}

static void answer_in_single_bytes(void *ctx, int fd, unsigned n)
{
    struct peer_bytes b = {.data = NULL};
    (void)ctx;
    (void)n;
    peer_handshake(&b, 60);
    for (size_t i = 0; i < b.len; i++)
        if (send(fd, b.data + i, 1, MSG_NOSIGNAL) != 1)
            break;
    peer_bytes_fini(&b);
    peer_await_end(fd);
}

static void say_goodbye_on_request(void *ctx, int fd, unsigned n)
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

/* --- coming up ------------------------------------------------------------------------
 */

static void a_session_comes_up_and_says_whom_it_reached(void **state)
{
    struct fixture *f = *state;
    char peer[64];

    serve(f, log_in_and_wait);
    open_session(f);
    assert_int_equal(session_deadline_ms(f->session), 0);
    assert_string_equal(session_broker(f->session), "");
    await(f, SESSION_UP);
    assert_true(session_is_up(f->session));
    snprintf(peer, sizeof(peer), "127.0.0.1:%u", scripted_peer_port(f->peer));
    assert_string_equal(session_peer(f->session), peer);
    assert_string_equal(session_broker(f->session), "Scripted 1.0");
    assert_int_equal(session_wants(f->session), POLLIN);
}

static void a_broker_that_speaks_in_single_bytes_is_understood(void **state)
{
    struct fixture *f = *state;
    serve(f, answer_in_single_bytes);
    open_session(f);
    await(f, SESSION_UP);
}

static void a_session_that_is_up_sleeps_until_its_next_heartbeat(void **state)
{
    struct fixture *f = *state;
    serve(f, log_in_and_wait);
    open_session(f);
    await(f, SESSION_UP);
    int64_t in_ms = session_deadline_ms(f->session) - clock_mono_ms();
    assert_in_range(in_ms, 9000, 10000);
}

/* --- not coming up --------------------------------------------------------------------
 */

static void a_port_where_nobody_listens_is_named(void **state)
{
    struct fixture *f = *state;
    char text[64];
    unsigned port = dead_port();

    add_url(f, "amqp", port);
    open_session(f);
    snprintf(text, sizeof(text), "127.0.0.1:%u: Connection refused", port);
    assert_down(f, CONEY_EIO, text, true);
    assert_true(session_deadline_ms(f->session) == CLOCK_NEVER ||
                session_deadline_ms(f->session) == 0);
    struct session_event ev;
    session_step(f->session, 0, clock_mono_ms());
    assert_false(session_next_event(f->session, &ev));
    assert_true(session_deadline_ms(f->session) == CLOCK_NEVER);
}

static void a_broker_that_says_nothing_is_given_up_in_time(void **state)
{
    struct fixture *f = *state;
    f->options.connect_timeout_ms = 100;
    serve(f, say_nothing);
    open_session(f);
    assert_down(f, CONEY_ETIMEOUT, "no answer to the login in 100 ms", true);
}

static void a_tls_server_that_says_nothing_is_given_up_in_time(void **state)
{
    struct fixture *f = *state;
    f->options.connect_timeout_ms = 100;
    f->peer = scripted_peer_new(say_nothing, NULL);
    add_url(f, "amqps", scripted_peer_port(f->peer));
    open_session(f);
    assert_down(f, CONEY_ETIMEOUT, "no TLS handshake", true);
}

static void amqps_never_falls_back_to_amqp(void **state)
{
    struct fixture *f = *state;
    f->options.mode = SESSION_FOREVER;
    f->peer = scripted_peer_new(log_in_and_wait, NULL);
    add_url(f, "amqps", scripted_peer_port(f->peer));
    open_session(f);
    for (int i = 0; i < 4; i++) {
        struct session_event ev = await(f, SESSION_DOWN);
        assert_int_not_equal(ev.error.rc, CONEY_OK);
        assert_true(ev.retry_ms >= 0);
    }
}

static void a_wrong_password_ends_the_attempt_with_one_line(void **state)
{
    struct fixture *f = *state;
    serve(f, refuse_login);
    open_session(f);
    assert_down(f, CONEY_EREFUSED, "login of user \"ada\" refused (403)", true);
}

static void a_broker_that_hangs_up_at_once_is_told_apart(void **state)
{
    struct fixture *f = *state;
    serve(f, hang_up);
    open_session(f);
    struct session_event ev = await(f, SESSION_DOWN);
    assert_int_equal(ev.error.rc, CONEY_ECLOSED);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    struct fixture *f = *state;
    struct coney_error err;
    struct session *s = NULL;

    assert_int_equal(session_new(&f->options, &f->rng, &s, &err), CONEY_EINVAL);
    f->urls[0] = "amqp://ada:S3CR3T@host:port";
    f->options.url_count = 1;
    assert_int_equal(session_new(&f->options, &f->rng, &s, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "broker URL 1: "));
    assert_null(strstr(err.text, "S3CR3T"));
    f->urls[0] = "amqp://host";
    f->options.auth = SESSION_AUTH_EXTERNAL;
    assert_int_equal(session_new(&f->options, &f->rng, &s, &err), CONEY_EINVAL);
    f->options.tls.cert_file = "/nonexistent/client.pem";
    assert_int_equal(session_new(&f->options, &f->rng, &s, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "amqps://"));
    f->urls[0] = "amqps://host";
    f->options.tls.key_file = "/nonexistent/key.pem";
    assert_int_equal(session_new(&f->options, &f->rng, &s, &err), CONEY_EIO);
    assert_non_null(strstr(err.text, "/nonexistent/client.pem"));
    assert_null(s);
}

/* --- going ----------------------------------------------------------------------------
 */

static void a_goodbye_is_waited_for(void **state)
{
    struct fixture *f = *state;
    f->options.mode = SESSION_FOREVER;
    serve(f, say_goodbye_on_request);
    open_session(f);
    await(f, SESSION_UP);
    session_close(f->session, 5000);
    assert_down(f, CONEY_OK, "", true);
}

static void a_goodbye_without_an_answer_has_its_time(void **state)
{
    struct fixture *f = *state;
    f->options.mode = SESSION_FOREVER;
    serve(f, log_in_and_wait);
    open_session(f);
    await(f, SESSION_UP);
    int64_t begun_ms = clock_mono_ms();
    session_close(f->session, 100);
    assert_down(f, CONEY_OK, "", true);
    assert_in_range(clock_mono_ms() - begun_ms, 95, 3000);
}

static void a_session_can_be_ended_in_every_state(void **state)
{
    struct fixture *f = *state;
    f->options.mode = SESSION_FOREVER;
    serve(f, log_in_and_hang_up);
    for (int steps = 0; steps < 40; steps++) {
        open_session(f);
        for (int i = 0; i < steps; i++) {
            struct session_event ev;
            turn(f);
            while (session_next_event(f->session, &ev))
                session_event_fini(&ev);
        }
        if (steps % 2 == 0) {
            struct session_event ev;
            session_close(f->session, 100);
            do
                ev = await(f, SESSION_DOWN);
            while (ev.retry_ms >= 0);
        }
        session_free(f->session);
        f->session = NULL;
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(a_session_comes_up_and_says_whom_it_reached),
            TEST(a_broker_that_speaks_in_single_bytes_is_understood),
            TEST(a_session_that_is_up_sleeps_until_its_next_heartbeat),
            TEST(a_port_where_nobody_listens_is_named),
            TEST(a_broker_that_says_nothing_is_given_up_in_time),
            TEST(a_tls_server_that_says_nothing_is_given_up_in_time),
            TEST(amqps_never_falls_back_to_amqp),
            TEST(a_wrong_password_ends_the_attempt_with_one_line),
            TEST(a_broker_that_hangs_up_at_once_is_told_apart),
            TEST(options_that_make_no_sense_are_refused),
            TEST(a_goodbye_is_waited_for),
            TEST(a_goodbye_without_an_answer_has_its_time),
            TEST(a_session_can_be_ended_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
