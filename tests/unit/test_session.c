/* SPDX-License-Identifier: MIT */
/*
 * test_session.c - the state machine of a session against scripted brokers on loopback.
 *
 * What a real broker does is in integration/test_session.c; here are those that hang,
 * lie, break off and come back.
 */
#include "amqp/session.h"
#include "base/clock.h"
#include "scripted_peer.h"
#include "test.h"

#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PATIENCE_MS = 20000 };

struct fixture {
    struct session *session;
    struct rng rng;
    struct session_options options;
    char url_texts[4][64];
    const char *urls[4];
    int64_t deadline_ms;
    struct scripted_peer *peer;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rng_seed(&f->rng, 1);
    f->options = (struct session_options){.urls = f->urls,
            .user = "ada",
            .password = "S3CR3T",
            .mode = SESSION_ONCE,
            .connect_timeout_ms = 5000,
            .backoff_base_ms = 20,
            .backoff_cap_ms = 50};
    f->deadline_ms = clock_mono_ms() + PATIENCE_MS;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    session_free(f->session);
    if (f->peer)
        scripted_peer_free(f->peer);
    free(f);
    return 0;
}

static void add_url(struct fixture *f, const char *scheme, unsigned port)
{
    char *text = f->url_texts[f->options.url_count];
    snprintf(text, sizeof(f->url_texts[0]), "%s://127.0.0.1:%u", scheme, port);
    f->urls[f->options.url_count++] = text;
}

static void serve(struct fixture *f, peer_serve_fn *fn)
{
    f->peer = scripted_peer_new(fn, NULL);
    add_url(f, "amqp", scripted_peer_port(f->peer));
}

static void open_session(struct fixture *f)
{
    struct coney_error err;
    if (session_new(&f->options, &f->rng, &f->session, &err) != CONEY_OK)
        fail_msg("%s", err.text);
}

/* One turn of poll and step; false once patience is over. */
static bool turn(struct fixture *f)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms > f->deadline_ms)
        return false;
    int64_t until_ms = session_deadline_ms(f->session);
    if (until_ms > f->deadline_ms)
        until_ms = f->deadline_ms;
    struct pollfd p = {.fd = session_fd(f->session), .events = session_wants(f->session)};
    int wait_ms = until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
    int ready = poll(&p, 1, wait_ms);
    session_step(f->session, ready > 0 ? p.revents : 0, clock_mono_ms());
    return true;
}

/* The next event of @type; those of other types before it are dropped. */
static struct session_event await(struct fixture *f, enum session_event_type type)
{
    struct session_event ev;
    do {
        while (session_next_event(f->session, &ev)) {
            if (ev.type == type)
                return ev;
            session_event_fini(&ev);
        }
    } while (turn(f));
    fail_msg("event %d has not come", (int)type);
    return ev;
}

static void assert_down(
        struct fixture *f, enum coney_rc rc, const char *text, bool is_last)
{
    struct session_event ev = await(f, SESSION_DOWN);
    if (ev.error.rc != rc || !strstr(ev.error.text, text))
        fail_msg("%s \"%s\" is not %s \"%s\"", coney_rc_name(ev.error.rc), ev.error.text,
                coney_rc_name(rc), text);
    assert_int_equal(ev.retry_ms < 0, is_last);
    assert_null(strstr(ev.error.text, "S3CR3T"));
    assert_false(session_is_up(f->session));
}

/* Steps of 10 ms under a test clock, without poll: deadlines pass at once. */
static void pass_time(struct fixture *f, int64_t *now_ms, int64_t by_ms)
{
    for (int64_t end = *now_ms + by_ms; *now_ms < end; *now_ms += 10)
        session_step(f->session, 0, *now_ms);
}

/* --- brokers --------------------------------------------------------------------------
 */

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

static void say_nothing(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)n;
    peer_await_end(fd);
}

static void hang_up(void *ctx, int fd, unsigned n)
{
    (void)ctx;
    (void)fd;
    (void)n;
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

static unsigned dead_port(void)
{
    struct scripted_peer *p = scripted_peer_new(hang_up, NULL);
    unsigned port = scripted_peer_port(p);
    scripted_peer_free(p);
    return port;
}

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
    assert_int_equal(session_bind_queue(f->session, ch, "q", "x", name, 1), CONEY_EINVAL);
    assert_int_equal(
            session_bind_exchange(f->session, ch, "q", name, "k", 1), CONEY_EINVAL);
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
            TEST(urls_are_tried_in_turn),
            TEST(once_means_every_url_once),
            TEST(a_lost_connection_comes_back_with_backoff),
            TEST(a_channel_of_an_earlier_connection_reaches_nothing),
            TEST(a_connection_that_breaks_off_leaves_publishes_unknown),
            TEST(silence_under_the_test_clock_ends_the_connection),
            TEST(a_pause_of_our_own_is_not_taken_for_silence),
            TEST(a_full_socket_is_written_on_when_it_has_room),
            TEST(names_over_255_bytes_are_refused_by_every_call),
            TEST(a_goodbye_is_waited_for),
            TEST(a_goodbye_without_an_answer_has_its_time),
            TEST(a_session_can_be_ended_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
