/* SPDX-License-Identifier: MIT */
/* test_login.c - from the protocol header to open-ok, refusals, heartbeats and the end.
 */
#include "base/clock.h"
#include "base/table.h"
#include "link_fixture.h"

#include <stdlib.h>

static int set_up(void **state)
{
    struct link_fixture *f = calloc(1, sizeof(*f));
    link_fixture_init(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    link_fixture_fini(*state);
    free(*state);
    return 0;
}

static bool holds(struct bytes data, const char *text)
{
    return data.len >= strlen(text) &&
           memmem(data.data, data.len, text, strlen(text)) != NULL;
}

static void assert_over(struct link_fixture *f, enum coney_rc rc, const char *text)
{
    assert_int_equal(link_phase(f->link), LINK_OVER);
    assert_int_equal(link_error(f->link)->rc, rc);
    if (!strstr(link_error(f->link)->text, text))
        fail_msg("\"%s\" does not say \"%s\"", link_error(f->link)->text, text);
    assert_ptr_equal(strstr(link_error(f->link)->text, "rabbit:5672: "),
            link_error(f->link)->text);
    assert_null(strstr(link_error(f->link)->text, "S3CR3T"));
    link_fixture_no_event(f);
}

/* --- the way in -----------------------------------------------------------------------
 */

static void the_client_speaks_first_and_says_0_9_1(void **state)
{
    struct link_fixture *f = *state;
    link_fixture_open(f);
    struct bytes out = link_output(f->link);
    assert_int_equal(out.len, 8);
    assert_memory_equal(out.data, "AMQP\0\0\11\1", 8);
}

static void login_sends_user_password_and_everything_we_understand(void **state)
{
    struct link_fixture *f = *state;
    static const char *const features[] = {"capabilities", "authentication_failure_close",
            "basic.nack", "connection.blocked", "consumer_cancel_notify",
            "exchange_exchange_bindings", "publisher_confirms"};
    struct arena *a = arena_new(0);
    struct table extra = {.fields = NULL};
    struct bytes said = {.data = NULL};

    assert_int_equal(table_set_text(&extra, a, "connection_name", "me@here"), CONEY_OK);
    f->options.client_properties = &extra;
    link_fixture_open(f);
    peer_start(&f->in, "EXTERNAL PLAIN");
    link_fixture_hear(f);
    assert_true(link_fixture_says(f, 0, 10, 11, &said));
    assert_true(memmem(said.data, said.len, "\5PLAIN\0\0\0\13\0ada\0S3CR3T", 21) != NULL);
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        assert_true(holds(said, features[i]));
    assert_true(holds(said, "me@here"));
    assert_string_equal(link_broker(f->link), "Scripted 1.0");
    arena_free(a);
}

static void login_by_certificate_sends_no_name_and_no_password(void **state)
{
    struct link_fixture *f = *state;
    struct bytes said = {.data = NULL};

    f->options.auth = SESSION_AUTH_EXTERNAL;
    link_fixture_open(f);
    peer_start(&f->in, "PLAIN EXTERNAL");
    link_fixture_hear(f);
    assert_true(link_fixture_says(f, 0, 10, 11, &said));
    assert_true(memmem(said.data, said.len, "\10EXTERNAL\0\0\0\0\5en_US", 19) != NULL);
    assert_false(holds(said, "S3CR3T"));
}

static void limits_are_the_lower_of_both_sides(void **state)
{
    struct link_fixture *f = *state;
    struct bytes said = {.data = NULL};

    f->options.vhost = "v";
    link_fixture_open(f);
    peer_start(&f->in, "PLAIN");
    peer_tune(&f->in, 100, 9000, 5);
    link_fixture_hear(f);
    assert_true(link_fixture_says(f, 0, 10, 31, &said));
    assert_memory_equal(said.data, "\0\144\0\0\x23\x28\0\5", 8);
    assert_true(link_fixture_says(f, 0, 10, 40, &said));
    assert_memory_equal(said.data, "\1v", 2);
    assert_int_equal(link_phase(f->link), LINK_LOGIN);
    peer_open_ok(&f->in);
    link_fixture_hear(f);
    assert_int_equal(link_phase(f->link), LINK_UP);
}

static void a_broker_without_limits_gets_ours(void **state)
{
    struct link_fixture *f = *state;
    struct bytes said = {.data = NULL};

    link_fixture_open(f);
    peer_start(&f->in, "PLAIN");
    peer_tune(&f->in, 0, 0, 0);
    link_fixture_hear(f);
    assert_true(link_fixture_says(f, 0, 10, 31, &said));
    assert_memory_equal(said.data, "\7\377\0\2\0\0\0\24", 8); /* 2047, 131072, 20 */
}

static void login_works_a_byte_at_a_time(void **state)
{
    struct link_fixture *f = *state;

    link_fixture_open(f);
    peer_handshake(&f->in, 60);
    for (size_t i = 0; i < f->in.len; i++) {
        assert_int_equal(link_phase(f->link), LINK_LOGIN);
        link_fixture_feed(f, f->in.data + i, 1);
    }
    assert_int_equal(link_phase(f->link), LINK_UP);
}

/* --- refusals -------------------------------------------------------------------------
 */

static void a_wrong_password_is_one_sentence_without_the_password(void **state)
{
    struct link_fixture *f = *state;

    link_fixture_open(f);
    peer_start(&f->in, "PLAIN");
    peer_method(&f->in, 0, 10, 50, "wsww", 403u,
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
            0u, 0u);
    link_fixture_hear(f);
    assert_over(f, CONEY_EREFUSED,
            "login of user \"ada\" refused (403): wrong user name or password");
    assert_int_equal(link_error_code(f->link), 403);
    assert_true(link_fixture_says(f, 0, 10, 51, NULL));
}

static void a_certificate_refused_as_a_login_says_so(void **state)
{
    struct link_fixture *f = *state;

    f->options.auth = SESSION_AUTH_EXTERNAL;
    link_fixture_open(f);
    peer_start(&f->in, "EXTERNAL");
    peer_method(&f->in, 0, 10, 50, "wsww", 403u, "ACCESS_REFUSED", 0u, 0u);
    link_fixture_hear(f);
    assert_over(f, CONEY_EREFUSED, "login with the client certificate refused (403)");
}

static void a_mechanism_that_is_not_offered_is_not_used(void **state)
{
    struct link_fixture *f = *state;

    f->options.auth = SESSION_AUTH_EXTERNAL;
    link_fixture_open(f);
    link_fixture_sent(f);
    peer_start(&f->in, "AMQPLAIN PLAIN EXTERNALLY");
    link_fixture_hear(f);
    assert_over(f, CONEY_EREFUSED,
            "does not offer EXTERNAL, only: AMQPLAIN PLAIN EXTERNALLY; enable");
    assert_int_equal(link_output(f->link).len, 0);
}

static void a_missing_virtual_host_is_named(void **state)
{
    struct link_fixture *f = *state;

    f->options.vhost = "nosuch";
    link_fixture_open(f);
    peer_start(&f->in, "PLAIN");
    peer_tune(&f->in, 2047, 131072, 60);
    peer_method(&f->in, 0, 10, 50, "wsww", 530u, "NOT_ALLOWED - vhost nosuch not found",
            10u, 40u);
    link_fixture_hear(f);
    assert_over(f, CONEY_EREFUSED,
            "virtual host \"nosuch\" refused to user \"ada\" (530): NOT_ALLOWED - vhost nosuch "
            "not found");
}

struct stranger {
    const char *bytes;
    size_t len;
    const char *text;
};

static void a_port_that_is_not_amqp_0_9_1_is_recognised(void **state)
{
    (void)state;
    static const struct stranger strangers[] = {
            {"AMQP\0\1\0\0", 8, "speaks AMQP 1-0-0, not 0-9-1"},
            {"\x15\3\3\0\2\2\106", 7, "this port expects TLS; use amqps://"},
            {"HTTP/1.1 400", 12, "not a RabbitMQ port"},
            {"\10\0\0\0\0\0\0\316", 8, "not a RabbitMQ port"},
    };
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        struct link_fixture f;
        link_fixture_init(&f);
        link_fixture_open(&f);
        for (size_t n = 0; n < strangers[i].len && link_phase(f.link) != LINK_OVER; n++)
            link_fixture_feed(&f, strangers[i].bytes + n, 1);
        assert_over(&f, CONEY_EREFUSED, strangers[i].text);
        link_fixture_fini(&f);
    }
}

static void methods_out_of_turn_end_the_login(void **state)
{
    (void)state;
    for (int mistake = 0; mistake < 5; mistake++) {
        struct link_fixture f;
        link_fixture_init(&f);
        link_fixture_open(&f);
        if (mistake == 0) /* tune before start */
            peer_tune(&f.in, 1, 8192, 1);
        if (mistake > 0)
            peer_start(&f.in, "PLAIN");
        if (mistake == 1)
            peer_start(&f.in, "PLAIN");
        if (mistake == 2)
            peer_open_ok(&f.in);
        if (mistake == 3) /* a frame size below the protocol's minimum */
            peer_tune(&f.in, 1, 4095, 1);
        if (mistake == 4)
            peer_method(&f.in, 1, 20, 11, "S", "");
        link_fixture_hear(&f);
        assert_over(&f, CONEY_ESYNTAX, "protocol violation");
        link_fixture_fini(&f);
    }
}

static void a_bomb_in_the_brokers_properties_is_not_decoded(void **state)
{
    struct link_fixture *f = *state;
    enum { DEPTH = 5000 };
    struct peer_bytes table = {.data = NULL};

    peer_number(&table, 0, 4);
    for (int i = 0; i < DEPTH; i++) {
        struct peer_bytes outer = {.data = NULL};
        peer_number(&outer, table.len + 3, 4);
        peer_raw(&outer, "\1kF", 3);
        peer_raw(&outer, table.data, table.len);
        peer_bytes_fini(&table);
        table = outer;
    }
    link_fixture_open(f);
    peer_method(&f->in, 0, 10, 10, "oobSS", 0u, 9u, &table, "PLAIN", "en_US");
    link_fixture_hear(f);
    assert_over(f, CONEY_ESYNTAX, "malformed connection.start");
    peer_bytes_fini(&table);
}

static void an_end_during_the_login_says_how_far_it_came(void **state)
{
    (void)state;
    const struct coney_error end = {.rc = CONEY_ECLOSED, .text = "closed"};
    for (int step = 0; step < 2; step++) {
        struct link_fixture f;
        link_fixture_init(&f);
        link_fixture_open(&f);
        if (step == 1)
            peer_start(&f.in, "PLAIN");
        link_fixture_hear(&f);
        link_input_end(f.link, &end);
        link_process(f.link);
        assert_over(&f, CONEY_ECLOSED,
                step == 0 ? "closed the connection before it said anything"
                          : "closed the connection during login");
        link_fixture_fini(&f);
    }
}

/* --- heartbeats -----------------------------------------------------------------------
 */

static void heartbeats_leave_twice_an_interval(void **state)
{
    struct link_fixture *f = *state;

    link_fixture_log_in(f);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(link_deadline_ms(f->link), f->now_ms + 10000);
        f->now_ms += 9999;
        link_tick(f->link, f->now_ms);
        assert_int_equal(link_output(f->link).len, 0);
        f->now_ms += 1;
        link_tick(f->link, f->now_ms);
        assert_int_equal(link_output(f->link).len, 8);
        assert_memory_equal(link_output(f->link).data, "\10\0\0\0\0\0\0\316", 8);
        link_tick(f->link, f->now_ms); /* one is enough while it waits */
        assert_int_equal(link_output(f->link).len, 8);
        link_fixture_sent(f);
        peer_frame(&f->in, 8, 0, NULL, 0);
        link_fixture_hear(f);
    }
    assert_int_equal(link_phase(f->link), LINK_UP);
}

static void anything_that_leaves_is_as_good_as_a_heartbeat(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch;

    link_fixture_log_in(f);
    f->now_ms += 8000;
    assert_int_equal(link_channel_open(f->link, &ch), CONEY_OK);
    link_fixture_sent(f);
    f->now_ms += 9000;
    link_tick(f->link, f->now_ms);
    assert_int_equal(link_output(f->link).len, 0);
}

static void silence_of_one_and_a_half_intervals_is_the_end(void **state)
{
    struct link_fixture *f = *state;

    link_fixture_log_in(f);
    assert_false(link_is_silent(f->link, f->now_ms + 19999));
    assert_true(link_is_silent(f->link, f->now_ms + 20000));
    f->now_ms += 29999;
    link_tick(f->link, f->now_ms);
    link_fixture_sent(f);
    assert_int_equal(link_phase(f->link), LINK_UP);
    assert_int_equal(link_deadline_ms(f->link), f->now_ms + 1);
    f->now_ms += 1;
    link_tick(f->link, f->now_ms);
    assert_over(f, CONEY_ETIMEOUT, "nothing heard for 30.0 s (heartbeat 20 s)");
    assert_true(link_deadline_ms(f->link) == CLOCK_NEVER);
}

static void a_single_byte_ends_a_silence(void **state)
{
    struct link_fixture *f = *state;

    link_fixture_log_in(f);
    for (int i = 0; i < 7; i++) {
        f->now_ms += 29999;
        link_fixture_feed(f, &"\10\0\0\0\0\0\0\316"[i], 1);
        link_tick(f->link, f->now_ms);
        assert_int_equal(link_phase(f->link), LINK_UP);
    }
}

static void heartbeats_may_be_off(void **state)
{
    struct link_fixture *f = *state;

    f->options.heartbeat_s = 0;
    link_fixture_log_in(f);
    assert_true(link_deadline_ms(f->link) == CLOCK_NEVER);
    f->now_ms += 1000 * 1000;
    link_tick(f->link, f->now_ms);
    assert_int_equal(link_phase(f->link), LINK_UP);
    assert_int_equal(link_output(f->link).len, 0);
}

/* --- the way out ----------------------------------------------------------------------
 */

static void our_goodbye_follows_what_was_queued_and_waits_for_its_answer(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch;

    link_fixture_log_in(f);
    assert_int_equal(link_channel_open(f->link, &ch), CONEY_OK);
    size_t queued = link_output(f->link).len;
    link_close(f->link);
    assert_true(link_output(f->link).len > queued);
    assert_true(link_fixture_says(f, 0, 10, 50, NULL));
    assert_int_equal(link_phase(f->link), LINK_CLOSING);
    assert_int_equal(link_channel_close(f->link, ch), CONEY_ECLOSED);
    peer_method(&f->in, 0, 10, 51, "");
    link_fixture_hear(f);
    assert_int_equal(link_phase(f->link), LINK_OVER);
    assert_int_equal(link_error(f->link)->rc, CONEY_OK);
    link_fixture_no_event(f);
}

static void an_end_instead_of_an_answer_to_our_goodbye_is_as_good(void **state)
{
    struct link_fixture *f = *state;
    const struct coney_error end = {.rc = CONEY_ECLOSED, .text = "closed"};

    link_fixture_log_in(f);
    link_close(f->link);
    link_input_end(f->link, &end);
    link_process(f->link);
    assert_int_equal(link_phase(f->link), LINK_OVER);
    assert_int_equal(link_error(f->link)->rc, CONEY_OK);
}

static void the_brokers_goodbye_is_answered_and_its_reason_kept(void **state)
{
    struct link_fixture *f = *state;
    const struct coney_error end = {.rc = CONEY_ECLOSED, .text = "closed"};

    link_fixture_log_in(f);
    peer_method(&f->in, 0, 10, 50, "wsww", 320u, "CONNECTION_FORCED - shutdown", 0u, 0u);
    link_fixture_hear(f);
    assert_true(link_fixture_says(f, 0, 10, 51, NULL));
    link_input_end(f->link, &end);
    link_process(f->link);
    assert_over(f, CONEY_ECLOSED,
            "the broker closed the connection (320): CONNECTION_FORCED - shutdown");
    assert_int_equal(link_error_code(f->link), 320);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(the_client_speaks_first_and_says_0_9_1),
            TEST(login_sends_user_password_and_everything_we_understand),
            TEST(login_by_certificate_sends_no_name_and_no_password),
            TEST(limits_are_the_lower_of_both_sides),
            TEST(a_broker_without_limits_gets_ours),
            TEST(login_works_a_byte_at_a_time),
            TEST(a_wrong_password_is_one_sentence_without_the_password),
            TEST(a_certificate_refused_as_a_login_says_so),
            TEST(a_mechanism_that_is_not_offered_is_not_used),
            TEST(a_missing_virtual_host_is_named),
            TEST(a_port_that_is_not_amqp_0_9_1_is_recognised),
            TEST(methods_out_of_turn_end_the_login),
            TEST(a_bomb_in_the_brokers_properties_is_not_decoded),
            TEST(an_end_during_the_login_says_how_far_it_came),
            TEST(heartbeats_leave_twice_an_interval),
            TEST(anything_that_leaves_is_as_good_as_a_heartbeat),
            TEST(silence_of_one_and_a_half_intervals_is_the_end),
            TEST(a_single_byte_ends_a_silence),
            TEST(heartbeats_may_be_off),
            TEST(our_goodbye_follows_what_was_queued_and_waits_for_its_answer),
            TEST(an_end_instead_of_an_answer_to_our_goodbye_is_as_good),
            TEST(the_brokers_goodbye_is_answered_and_its_reason_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
