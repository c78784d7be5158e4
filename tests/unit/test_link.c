/* SPDX-License-Identifier: MIT */
/* test_link.c - channels, calls and deliveries of a link that is logged in. */
#include "amqp/event_queue.h"
#include "link_fixture.h"

#include <stdlib.h>

static int set_up(void **state)
{
    struct link_fixture *f = calloc(1, sizeof(*f));
    link_fixture_init(f);
    link_fixture_log_in(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    link_fixture_fini(*state);
    free(*state);
    return 0;
}

static enum coney_rc declare(struct link_fixture *f, struct amqp_channel ch,
        const char *queue, uint64_t cookie)
{
    union {
        const char *from;
        void *to;
    } name = {.from = queue};
    amqp_queue_declare_t m = {.queue = {.len = strlen(queue), .bytes = name.to}};
    const struct link_method call = {.number = AMQP_QUEUE_DECLARE_METHOD,
            .decoded = &m,
            .size = 16,
            .cookie = cookie};
    return link_call(f->link, ch, &call);
}

/* --- channels and calls ---------------------------------------------------------------
 */

static void a_channel_is_usable_before_its_open_is_answered(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch;

    assert_int_equal(link_channel_open(f->link, &ch), CONEY_OK);
    assert_int_equal(declare(f, ch, "q", 7), CONEY_OK);
    assert_true(link_fixture_says(f, ch.number, 20, 10, NULL));
    assert_true(link_fixture_says(f, ch.number, 50, 10, NULL));
    peer_method(&f->in, ch.number, 20, 11, "S", "");
    peer_method(&f->in, ch.number, 50, 11, "sll", "q", 5u, 2u);
    link_fixture_hear(f);
    struct session_event ev = link_fixture_event(f, SESSION_REPLY);
    assert_int_equal(ev.cookie, 7);
    assert_string_equal(ev.name, "q");
    assert_int_equal(ev.message_count, 5);
    assert_int_equal(ev.consumer_count, 2);
    link_fixture_no_event(f);
}

static void answers_go_to_their_calls_in_order(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);

    for (uint64_t i = 1; i <= 20; i++)
        assert_int_equal(declare(f, ch, "q", i == 10 ? 0 : i), CONEY_OK);
    for (unsigned i = 1; i <= 20; i++)
        peer_method(&f->in, ch.number, 50, 11, "sll", "q", i, 0u);
    link_fixture_hear(f);
    for (unsigned i = 1; i <= 20; i++) {
        if (i == 10)
            continue; /* nobody asked for that one */
        struct session_event ev = link_fixture_event(f, SESSION_REPLY);
        assert_int_equal(ev.cookie, i);
        assert_int_equal(ev.message_count, i);
    }
    link_fixture_no_event(f);
}

static void an_answer_that_nobody_asked_for_ends_the_link(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);

    assert_int_equal(declare(f, ch, "q", 1), CONEY_OK);
    peer_method(&f->in, ch.number, 60, 21, "s", "tag");
    link_fixture_hear(f);
    assert_int_equal(link_phase(f->link), LINK_OVER);
    assert_int_equal(link_error(f->link)->rc, CONEY_ESYNTAX);
}

static void the_broker_closing_a_channel_is_answered_and_told(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);
    struct amqp_channel other = link_fixture_channel(f);

    assert_int_equal(declare(f, ch, "a", 11), CONEY_OK);
    assert_int_equal(declare(f, ch, "b", 12), CONEY_OK);
    peer_method(&f->in, ch.number, 20, 40, "wsww", 406u, "PRECONDITION_FAILED - no", 50u,
            10u);
    link_fixture_sent(f);
    link_fixture_hear(f);
    assert_true(link_fixture_says(f, ch.number, 20, 41, NULL));
    struct session_event ev = link_fixture_event(f, SESSION_CHANNEL_CLOSED);
    assert_int_equal(ev.channel.number, ch.number);
    assert_int_equal(ev.channel.generation, ch.generation);
    assert_int_equal(ev.code, 406);
    assert_int_equal(ev.cookie, 11);
    assert_int_equal(ev.error.rc, CONEY_EREFUSED);
    assert_string_equal(ev.error.text, "PRECONDITION_FAILED - no");
    link_fixture_no_event(f);
    assert_false(link_channel_is_open(f->link, ch));
    assert_true(link_channel_is_open(f->link, other));
    assert_int_equal(declare(f, ch, "c", 13), CONEY_ECLOSED);
    assert_int_equal(declare(f, other, "c", 13), CONEY_OK);
}

static void a_close_over_an_ack_names_no_call(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);

    assert_int_equal(declare(f, ch, "a", 11), CONEY_OK);
    peer_method(
            &f->in, ch.number, 20, 40, "wsww", 406u, "unknown delivery tag", 60u, 80u);
    link_fixture_hear(f);
    assert_int_equal(link_fixture_event(f, SESSION_CHANNEL_CLOSED).cookie, 0);
}

static void a_stale_channel_reaches_nothing_even_when_its_number_is_used_again(
        void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel old = link_fixture_channel(f);
    struct amqp_channel fresh = old;
    amqp_basic_ack_t ack = {.delivery_tag = 1};
    const struct link_method call = {
            .number = AMQP_BASIC_ACK_METHOD, .decoded = &ack, .answer = LINK_UNANSWERED};

    assert_int_equal(link_channel_close(f->link, old), CONEY_OK);
    peer_method(&f->in, old.number, 20, 41, "");
    link_fixture_hear(f);
    link_fixture_no_event(f);
    for (int i = 0; i < 2047; i++) { /* all numbers once, in turn */
        assert_int_equal(link_channel_open(f->link, &fresh), CONEY_OK);
        if (fresh.number == old.number)
            break;
    }
    assert_int_equal(fresh.number, old.number);
    assert_int_not_equal(fresh.generation, old.generation);
    assert_int_equal(link_call(f->link, old, &call), CONEY_ECLOSED);
    assert_int_equal(link_channel_close(f->link, old), CONEY_ECLOSED);
    assert_int_equal(link_call(f->link, fresh, &call), CONEY_OK);
}

static void channels_are_limited_by_what_was_negotiated(void **state)
{
    (void)state;
    struct link_fixture f;
    struct amqp_channel ch;

    link_fixture_init(&f);
    link_fixture_open(&f);
    peer_start(&f.in, "PLAIN");
    peer_tune(&f.in, 3, 131072, 60);
    peer_open_ok(&f.in);
    link_fixture_hear(&f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(link_channel_open(f.link, &ch), CONEY_OK);
    assert_int_equal(link_channel_open(f.link, &ch), CONEY_ELIMIT);
    assert_int_equal(ch.number, 0);
    link_fixture_fini(&f);
}

static void closing_a_channel_ignores_deliveries_until_it_is_answered(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);

    assert_int_equal(link_channel_close(f->link, ch), CONEY_OK);
    peer_deliver(&f->in, ch.number, 1, NULL, &(struct peer_body){"late", 4, 100});
    peer_method(&f->in, ch.number, 60, 30, "so", "tag", 1u);
    peer_method(&f->in, ch.number, 20, 41, "");
    link_fixture_hear(f);
    link_fixture_no_event(f);
    assert_int_equal(link_phase(f->link), LINK_UP);
}

static void two_closes_that_cross_are_both_answered(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);

    assert_int_equal(link_channel_close(f->link, ch), CONEY_OK);
    peer_method(&f->in, ch.number, 20, 40, "wsww", 404u, "NOT_FOUND", 60u, 40u);
    link_fixture_hear(f);
    assert_true(link_fixture_says(f, ch.number, 20, 41, NULL));
    peer_method(&f->in, ch.number, 20, 41, "");
    link_fixture_hear(f);
    link_fixture_no_event(f);
    assert_int_equal(link_phase(f->link), LINK_UP);
}

static void a_cancelled_consumer_is_told_and_answered_if_asked(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);

    peer_method(&f->in, ch.number, 60, 30, "so", "tag-1", 1u);
    link_fixture_hear(f);
    assert_string_equal(link_fixture_event(f, SESSION_CANCELLED).name, "tag-1");
    assert_false(link_fixture_says(f, ch.number, 60, 31, NULL));
    peer_method(&f->in, ch.number, 60, 30, "so", "tag-2", 0u);
    link_fixture_hear(f);
    assert_string_equal(link_fixture_event(f, SESSION_CANCELLED).name, "tag-2");
    assert_true(link_fixture_says(f, ch.number, 60, 31, NULL));
}

static void an_alarm_is_told_when_it_comes_and_goes(void **state)
{
    struct link_fixture *f = *state;

    peer_method(&f->in, 0, 10, 60, "s", "low on memory");
    link_fixture_hear(f);
    assert_string_equal(
            link_fixture_event(f, SESSION_BLOCKED).error.text, "low on memory");
    assert_true(link_is_blocked(f->link));
    peer_method(&f->in, 0, 10, 61, "");
    link_fixture_hear(f);
    link_fixture_event(f, SESSION_UNBLOCKED);
    assert_false(link_is_blocked(f->link));
}

static void a_full_output_refuses_calls_but_still_answers_the_broker(void **state)
{
    (void)state;
    struct link_fixture f;
    amqp_basic_ack_t ack = {.delivery_tag = 1};
    const struct link_method call = {
            .number = AMQP_BASIC_ACK_METHOD, .decoded = &ack, .answer = LINK_UNANSWERED};
    enum coney_rc rc = CONEY_OK;

    link_fixture_init(&f);
    f.options.output_max = 4096;
    link_fixture_log_in(&f);
    struct amqp_channel ch = link_fixture_channel(&f);
    for (int i = 0; i < 1000 && rc == CONEY_OK; i++)
        rc = link_call(f.link, ch, &call);
    assert_int_equal(rc, CONEY_ELIMIT);
    size_t before = link_output(f.link).len;
    struct envelope e = {.properties = properties_none()};
    struct publish p = {.exchange = "", .routing_key = "q", .envelope = &e};
    assert_int_equal(link_publish(f.link, ch, &p, 1), CONEY_ELIMIT);
    assert_int_equal(link_output(f.link).len, before);
    peer_method(&f.in, ch.number, 20, 40, "wsww", 404u, "NOT_FOUND", 60u, 40u);
    link_fixture_hear(&f);
    assert_true(link_fixture_says(&f, ch.number, 20, 41, NULL));
    assert_int_equal(link_phase(f.link), LINK_UP);
    link_fixture_fini(&f);
}

/* --- deliveries -----------------------------------------------------------------------
 */

static void assert_delivery(
        struct link_fixture *f, struct amqp_channel ch, uint64_t tag, const char *body)
{
    struct session_event ev = link_fixture_event(f, SESSION_DELIVERY);
    assert_int_equal(ev.channel.number, ch.number);
    assert_int_equal(ev.channel.generation, ch.generation);
    assert_int_equal(ev.delivery.tag, tag);
    assert_int_equal(ev.delivery.flaw, DELIVERY_WHOLE);
    assert_string_equal(ev.delivery.exchange, "exchange");
    assert_string_equal(ev.delivery.routing_key, "key");
    assert_string_equal(ev.delivery.consumer_tag, "tag");
    assert_int_equal(ev.delivery.body_size, strlen(body));
    assert_int_equal(ev.delivery.envelope.body.len, strlen(body));
    assert_string_equal(ev.delivery.envelope.body.data, body);
    session_event_fini(&ev);
}

static void a_delivery_comes_whole_however_its_body_is_cut(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);

    for (size_t piece = 1; piece <= 11; piece++) {
        peer_deliver(&f->in, ch.number, piece, NULL,
                &(struct peer_body){"hello world", 11, piece});
        link_fixture_hear(f);
        assert_delivery(f, ch, piece, "hello world");
    }
    peer_deliver(&f->in, ch.number, 99, NULL, &(struct peer_body){"", 0, 1});
    link_fixture_hear(f);
    assert_delivery(f, ch, 99, "");
    link_fixture_no_event(f);
}

static void contents_of_several_channels_may_interleave(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel a = link_fixture_channel(f);
    struct amqp_channel b = link_fixture_channel(f);

    peer_method(
            &f->in, a.number, 60, 60, "sqoss", "tag", (uint64_t)1, 0u, "exchange", "key");
    peer_method(
            &f->in, b.number, 60, 60, "sqoss", "tag", (uint64_t)2, 0u, "exchange", "key");
    peer_header(&f->in, b.number, 4, NULL);
    peer_header(&f->in, a.number, 6, NULL);
    peer_frame(&f->in, 3, a.number, "aaa", 3);
    peer_frame(&f->in, 3, b.number, "bb", 2);
    peer_frame(&f->in, 8, 0, NULL, 0);
    peer_frame(&f->in, 3, b.number, "bb", 2);
    peer_frame(&f->in, 3, a.number, "aaa", 3);
    link_fixture_hear(f);
    assert_delivery(f, b, 2, "bbbb");
    assert_delivery(f, a, 1, "aaaaaa");
}

static void content_out_of_order_ends_the_link(void **state)
{
    (void)state;
    for (int mistake = 0; mistake < 7; mistake++) {
        struct link_fixture f;
        link_fixture_init(&f);
        link_fixture_log_in(&f);
        unsigned n = link_fixture_channel(&f).number;
        if (mistake >= 2 && mistake < 6)
            peer_method(&f.in, n, 60, 60, "sqoss", "tag", (uint64_t)1, 0u, "x", "k");
        if (mistake == 0) /* a header without a method */
            peer_header(&f.in, n, 4, NULL);
        if (mistake == 1) /* a body without a method */
            peer_frame(&f.in, 3, n, "body", 4);
        if (mistake == 2) /* a body without a header */
            peer_frame(&f.in, 3, n, "body", 4);
        if (mistake == 3) /* a method in the middle */
            peer_method(&f.in, n, 60, 30, "so", "tag", 1u);
        if (mistake == 4 || mistake == 5)
            peer_header(&f.in, n, 3, NULL);
        if (mistake == 4) /* more body than announced */
            peer_frame(&f.in, 3, n, "body", 4);
        if (mistake == 5) /* a second header */
            peer_header(&f.in, n, 3, NULL);
        if (mistake == 6) /* content on a channel that was never opened */
            peer_header(&f.in, n + 1, 3, NULL);
        link_fixture_hear(&f);
        assert_int_equal(link_phase(f.link), LINK_OVER);
        assert_int_equal(link_error(f.link)->rc, CONEY_ESYNTAX);
        link_fixture_no_event(&f);
        link_fixture_fini(&f);
    }
}

static void a_body_above_the_limit_is_skipped_and_flagged(void **state)
{
    (void)state;
    struct link_fixture f;
    char body[2000];

    link_fixture_init(&f);
    f.options.body_max = 1000;
    link_fixture_log_in(&f);
    struct amqp_channel ch = link_fixture_channel(&f);
    memset(body, 'x', sizeof(body));
    for (size_t len = 1000; len <= 1001; len++) {
        peer_deliver(&f.in, ch.number, len, NULL, &(struct peer_body){body, len, 300});
        link_fixture_hear(&f);
        struct session_event ev = link_fixture_event(&f, SESSION_DELIVERY);
        assert_int_equal(ev.delivery.tag, len);
        assert_int_equal(ev.delivery.body_size, len);
        assert_int_equal(
                ev.delivery.flaw, len <= 1000 ? DELIVERY_WHOLE : DELIVERY_BODY_TOO_LARGE);
        assert_int_equal(ev.delivery.envelope.body.len, len <= 1000 ? len : 0);
        assert_non_null(ev.delivery.envelope.body.data);
        session_event_fini(&ev);
    }
    peer_deliver(&f.in, ch.number, 3, NULL, &(struct peer_body){"next", 4, 300});
    link_fixture_hear(&f);
    assert_delivery(&f, ch, 3, "next");
    link_fixture_fini(&f);
}

static void a_large_body_in_small_pieces_comes_whole(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);
    enum { SIZE = 900 * 1000 };
    uint8_t *body = malloc(SIZE);

    for (size_t i = 0; i < SIZE; i++)
        body[i] = (uint8_t)(i * 7 + i / 251);
    peer_deliver(&f->in, ch.number, 1, NULL, &(struct peer_body){body, SIZE, 5000});
    for (size_t done = 0; done < f->in.len; done += 10000)
        link_fixture_feed(f, f->in.data + done,
                f->in.len - done < 10000 ? f->in.len - done : 10000);
    f->in.len = 0;
    struct session_event ev = link_fixture_event(f, SESSION_DELIVERY);
    assert_int_equal(ev.delivery.envelope.body.len, SIZE);
    assert_memory_equal(ev.delivery.envelope.body.data, body, SIZE);
    session_event_fini(&ev);
    free(body);
}

static void headers_that_are_refused_leave_the_body(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);
    struct peer_bytes table = {.data = NULL};
    struct peer_bytes properties = {.data = NULL};

    peer_number(&table, 3, 4);
    peer_raw(&table, "\1k?", 3);
    peer_headers(&properties, &table);
    peer_deliver(&f->in, ch.number, 1, &properties, &(struct peer_body){"body", 4, 100});
    link_fixture_hear(f);
    struct session_event ev = link_fixture_event(f, SESSION_DELIVERY);
    assert_int_equal(ev.delivery.flaw, DELIVERY_HEADERS_REFUSED);
    assert_int_equal(ev.delivery.envelope.headers.count, 0);
    assert_string_equal(ev.delivery.envelope.body.data, "body");
    session_event_fini(&ev);
    peer_bytes_fini(&table);
    peer_bytes_fini(&properties);
}

static void events_that_nobody_takes_stop_the_reading(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_channel(f);
    enum { COUNT = 1500 };
    struct session_event ev;
    size_t got = 0;

    for (uint64_t tag = 1; tag <= COUNT; tag++)
        peer_deliver(&f->in, ch.number, tag, NULL, &(struct peer_body){"x", 1, 10});
    link_fixture_hear(f);
    while (got < COUNT) {
        size_t this_turn = 0;
        assert_false(link_has_work(f->link)); /* the queue is full, or all is read */
        while (link_next_event(f->link, &ev)) {
            this_turn++;
            assert_int_equal(ev.delivery.tag, ++got);
            session_event_fini(&ev);
        }
        assert_true(this_turn <= EVENT_QUEUE_MAX);
        assert_int_equal(link_has_work(f->link), got < COUNT);
        assert_int_equal(link_wants_input(f->link), got == COUNT);
        link_process(f->link);
    }
    assert_int_equal(got, COUNT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(a_channel_is_usable_before_its_open_is_answered),
            TEST(answers_go_to_their_calls_in_order),
            TEST(an_answer_that_nobody_asked_for_ends_the_link),
            TEST(the_broker_closing_a_channel_is_answered_and_told),
            TEST(a_close_over_an_ack_names_no_call),
            TEST(a_stale_channel_reaches_nothing_even_when_its_number_is_used_again),
            TEST(channels_are_limited_by_what_was_negotiated),
            TEST(closing_a_channel_ignores_deliveries_until_it_is_answered),
            TEST(two_closes_that_cross_are_both_answered),
            TEST(a_cancelled_consumer_is_told_and_answered_if_asked),
            TEST(an_alarm_is_told_when_it_comes_and_goes),
            TEST(a_full_output_refuses_calls_but_still_answers_the_broker),
            TEST(a_delivery_comes_whole_however_its_body_is_cut),
            TEST(contents_of_several_channels_may_interleave),
            TEST(content_out_of_order_ends_the_link),
            TEST(a_body_above_the_limit_is_skipped_and_flagged),
            TEST(a_large_body_in_small_pieces_comes_whole),
            TEST(headers_that_are_refused_leave_the_body),
            TEST(events_that_nobody_takes_stop_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
