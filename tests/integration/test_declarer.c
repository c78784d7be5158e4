/* SPDX-License-Identifier: MIT */
/* test_declarer.c - the life of a declarer beside a session on a real broker. */
#include "base/clock.h"
#include "queue/declarer.h"
#include "support/test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 30000 };

struct bench {
    struct rng rng;
    struct session *session;
    struct config *config;
    struct topology *topology;
    struct declarer *declarer;
    bool is_up;
    unsigned strangers; /* events that the declarer left to others */
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct mistakes mistakes = {.count = 0};
    assert_non_null(b);
    rng_seed_random(&b->rng);
    assert_int_equal(config_parse("", "built-in", &b->config, &mistakes, NULL), CONEY_OK);
    mistakes_fini(&mistakes);
    assert_int_equal(
            topology_new(b->config, TOPOLOGY_TASKS, &b->topology, NULL), CONEY_OK);
    b->declarer = declarer_new(b->topology);
    assert_non_null(b->declarer);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    session_free(b->session);
    declarer_free(b->declarer);
    topology_free(b->topology);
    config_free(b->config);
    free(b);
    return 0;
}

static void turn(struct bench *b)
{
    struct session_event ev;
    struct pollfd fd = {
            .fd = session_fd(b->session), .events = session_wants(b->session)};
    poll(&fd, 1, session_deadline_ms(b->session) <= clock_mono_ms() ? 0 : 5);
    session_step(b->session, fd.revents, clock_mono_ms());
    while (session_next_event(b->session, &ev)) {
        if (!declarer_handle(b->declarer, b->session, &ev)) {
            b->strangers++;
            if (ev.type == SESSION_UP || ev.type == SESSION_DOWN)
                b->is_up = ev.type == SESSION_UP;
        }
        session_event_fini(&ev);
    }
}

static void connect_session(struct bench *b)
{
    const char *url = getenv("CONEY_BROKER_PLAIN_AUTH_URL");
    struct session_options options = {
            .urls = &url, .url_count = 1, .connection_name = "test_declarer"};
    assert_non_null(url);
    assert_int_equal(session_new(&options, &b->rng, &b->session, NULL), CONEY_OK);
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    while (!b->is_up && clock_mono_ms() < end_ms)
        turn(b);
    assert_true(b->is_up);
}

static void declare(struct bench *b)
{
    assert_int_equal(declarer_start(b->declarer, b->session), CONEY_OK);
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    while (declarer_state(b->declarer) == DECLARER_BUSY && clock_mono_ms() < end_ms)
        turn(b);
    if (declarer_state(b->declarer) != DECLARER_DONE)
        fail_msg("%s", declarer_error(b->declarer)->text);
}

static void lose_connection(struct bench *b)
{
    session_close(b->session, 0);
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    while (b->is_up && clock_mono_ms() < end_ms)
        turn(b);
    assert_false(b->is_up);
    session_free(b->session);
    b->session = NULL;
}

static void everything_is_declared_and_counted(void **state)
{
    struct bench *b = *state;
    assert_int_equal(declarer_state(b->declarer), DECLARER_IDLE);
    assert_int_equal(declarer_ready_count(b->declarer, "coney.high"), -1);
    connect_session(b);
    declare(b);
    assert_int_equal(declarer_ready_count(b->declarer, "coney.high"), 0);
    assert_int_equal(declarer_ready_count(b->declarer, "coney.nothing"), -1);
    assert_int_equal(declarer_error(b->declarer)->rc, CONEY_OK);
}

static void it_can_be_started_again_at_any_time(void **state)
{
    struct bench *b = *state;
    connect_session(b);
    declare(b);
    declare(b);
    assert_int_equal(declarer_start(b->declarer, b->session), CONEY_OK);
    turn(b);
    declare(b); /* answers to the one before belong to nobody */
}

static void a_lost_connection_ends_it_and_a_new_one_begins_it_again(void **state)
{
    struct bench *b = *state;
    connect_session(b);
    assert_int_equal(declarer_start(b->declarer, b->session), CONEY_OK);
    assert_int_equal(declarer_state(b->declarer), DECLARER_BUSY);
    lose_connection(b);
    assert_int_equal(declarer_state(b->declarer), DECLARER_IDLE);
    connect_session(b);
    declare(b);
}

static void without_a_connection_it_does_not_start(void **state)
{
    struct bench *b = *state;
    const char *url = "amqp://127.0.0.1:1/";
    struct session_options options = {.urls = &url, .url_count = 1};
    assert_int_equal(session_new(&options, &b->rng, &b->session, NULL), CONEY_OK);
    assert_int_equal(declarer_start(b->declarer, b->session), CONEY_ECLOSED);
    assert_int_equal(declarer_state(b->declarer), DECLARER_FAILED);
}

static void what_is_on_other_channels_is_left_to_their_owners(void **state)
{
    struct bench *b = *state;
    struct amqp_channel other;
    struct queue_declare q = {.queue = "", .exclusive = true};
    connect_session(b);
    b->strangers = 0;
    assert_int_equal(session_channel_open(b->session, &other), CONEY_OK);
    assert_int_equal(session_declare_queue(b->session, other, &q, 1), CONEY_OK);
    declare(b);
    int64_t end_ms = clock_mono_ms() + DEADLINE_MS;
    while (b->strangers == 0 && clock_mono_ms() < end_ms)
        turn(b);
    assert_int_equal(b->strangers, 1);
}

#define DECLARER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            DECLARER_TEST(everything_is_declared_and_counted),
            DECLARER_TEST(it_can_be_started_again_at_any_time),
            DECLARER_TEST(a_lost_connection_ends_it_and_a_new_one_begins_it_again),
            DECLARER_TEST(without_a_connection_it_does_not_start),
            DECLARER_TEST(what_is_on_other_channels_is_left_to_their_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
