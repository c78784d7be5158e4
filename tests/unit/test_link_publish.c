/* SPDX-License-Identifier: MIT */
/* test_link_publish.c - publishes, their confirms and returns, each with one outcome. */
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

/* --- confirms -------------------------------------------------------------------------
 */

static void confirms_come_in_any_order_single_or_multiple(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_confirm_channel(f);

    for (uint64_t i = 1; i <= 8; i++)
        link_fixture_publish(f, ch, "id", i == 6 ? 0 : 100 + i);
    assert_int_equal(link_unconfirmed(f->link, ch), 8);
    peer_method(&f->in, ch.number, 60, 80, "qo", (uint64_t)3, 0u);
    peer_method(&f->in, ch.number, 60, 120, "qo", (uint64_t)1, 0u);
    link_fixture_hear(f);
    link_fixture_outcome(f, 103, PUBLISH_ACKED);
    link_fixture_outcome(f, 101, PUBLISH_NACKED);
    peer_method(&f->in, ch.number, 60, 80, "qo", (uint64_t)4, 1u);
    peer_method(&f->in, ch.number, 60, 120, "qo", (uint64_t)7, 1u);
    link_fixture_hear(f);
    link_fixture_outcome(f, 102, PUBLISH_ACKED);
    link_fixture_outcome(f, 104, PUBLISH_ACKED);
    link_fixture_no_event(f);
    link_process(f->link);
    link_fixture_outcome(f, 105, PUBLISH_NACKED);
    link_fixture_outcome(f, 107, PUBLISH_NACKED); /* 6 was nobody's */
    link_fixture_no_event(f);
    peer_method(&f->in, ch.number, 60, 80, "qo", (uint64_t)0, 1u); /* all so far */
    link_fixture_hear(f);
    link_fixture_outcome(f, 108, PUBLISH_ACKED);
    link_fixture_no_event(f);
    assert_int_equal(link_unconfirmed(f->link, ch), 0);
}

static void one_answer_for_a_hundred_thousand_needs_no_memory_for_them(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_confirm_channel(f);
    enum { COUNT = 100000 };

    for (uint64_t i = 1; i <= COUNT; i++) {
        link_fixture_publish(f, ch, NULL, i);
        link_fixture_sent(f);
    }
    peer_method(&f->in, ch.number, 60, 80, "qo", (uint64_t)COUNT, 1u);
    link_fixture_hear(f);
    for (uint64_t i = 1; i <= COUNT; i++)
        link_fixture_outcome(f, i, PUBLISH_ACKED);
    link_fixture_no_event(f);
}

static void peer_return(struct link_fixture *f, struct amqp_channel ch, const char *id)
{
    struct peer_bytes properties = {.data = NULL};
    peer_method(&f->in, ch.number, 60, 50, "wsss", 312u, "NO_ROUTE", "", "key");
    peer_number(&properties, 1 << 7, 2);
    peer_number(&properties, strlen(id), 1);
    peer_raw(&properties, id, strlen(id));
    peer_header(&f->in, ch.number, 4, &properties);
    peer_frame(&f->in, 3, ch.number, "body", 4);
    peer_bytes_fini(&properties);
}

static void a_returned_message_is_told_before_its_outcome(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_confirm_channel(f);

    link_fixture_publish(f, ch, "one", 1);
    link_fixture_publish(f, ch, "two", 2);
    link_fixture_publish(f, ch, "three", 3);
    peer_return(f, ch, "two");
    peer_method(&f->in, ch.number, 60, 80, "qo", (uint64_t)3, 1u);
    link_fixture_hear(f);
    struct session_event ev = link_fixture_event(f, SESSION_RETURNED);
    assert_int_equal(ev.cookie, 2);
    assert_int_equal(ev.code, 312);
    assert_int_equal(ev.error.rc, CONEY_EUNROUTABLE);
    assert_non_null(strstr(ev.error.text, "NO_ROUTE"));
    link_fixture_outcome(f, 1, PUBLISH_ACKED);
    link_fixture_outcome(f, 2, PUBLISH_RETURNED);
    link_fixture_outcome(f, 3, PUBLISH_ACKED);
    link_fixture_no_event(f);
}

static void a_return_that_fits_no_publish_has_no_cookie(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_confirm_channel(f);

    link_fixture_publish(f, ch, "one", 1);
    peer_return(f, ch, "another");
    link_fixture_hear(f);
    assert_int_equal(link_fixture_event(f, SESSION_RETURNED).cookie, 0);
    assert_int_equal(link_unconfirmed(f->link, ch), 1);
}

static void a_confirm_of_nothing_ends_the_link(void **state)
{
    (void)state;
    for (int mistake = 0; mistake < 2; mistake++) {
        struct link_fixture f;
        link_fixture_init(&f);
        link_fixture_log_in(&f);
        struct amqp_channel ch = mistake == 0 ? link_fixture_channel(&f)
                                              : link_fixture_confirm_channel(&f);
        link_fixture_publish(&f, ch, "id", 1);
        peer_method(&f.in, ch.number, 60, 80, "qo", (uint64_t)mistake + 1, 0u);
        link_fixture_hear(&f);
        assert_int_equal(link_phase(f.link), LINK_OVER);
        link_fixture_fini(&f);
    }
}

static void a_lost_channel_leaves_its_publishes_unknown(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_confirm_channel(f);
    struct amqp_channel other = link_fixture_confirm_channel(f);

    link_fixture_publish(f, ch, "a", 1);
    link_fixture_publish(f, ch, "b", 2);
    link_fixture_publish(f, other, "c", 3);
    peer_method(&f->in, ch.number, 60, 80, "qo", (uint64_t)1, 0u);
    peer_method(&f->in, ch.number, 20, 40, "wsww", 404u, "NOT_FOUND", 60u, 40u);
    link_fixture_hear(f);
    link_fixture_outcome(f, 1, PUBLISH_ACKED);
    link_fixture_outcome(f, 2, PUBLISH_UNKNOWN);
    assert_int_equal(
            link_fixture_event(f, SESSION_CHANNEL_CLOSED).error.rc, CONEY_ENOTFOUND);
    link_fixture_no_event(f);
    assert_int_equal(link_unconfirmed(f->link, other), 1);
}

static void our_own_close_still_waits_for_confirms(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_confirm_channel(f);

    link_fixture_publish(f, ch, "a", 1);
    link_fixture_publish(f, ch, "b", 2);
    assert_int_equal(link_channel_close(f->link, ch), CONEY_OK);
    peer_method(&f->in, ch.number, 60, 80, "qo", (uint64_t)1, 0u);
    peer_method(&f->in, ch.number, 20, 41, "");
    link_fixture_hear(f);
    link_fixture_outcome(f, 1, PUBLISH_ACKED);
    link_fixture_outcome(f, 2, PUBLISH_UNKNOWN);
    link_fixture_no_event(f);
}

static void a_lost_connection_leaves_all_publishes_unknown(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel a = link_fixture_confirm_channel(f);
    struct amqp_channel b = link_fixture_confirm_channel(f);
    struct coney_error end = {.rc = CONEY_ECLOSED, .text = "closed"};

    link_fixture_publish(f, a, "a", 1);
    link_fixture_publish(f, b, "b", 2);
    link_fixture_publish(f, a, "c", 3);
    link_input_end(f->link, &end);
    assert_true(link_has_work(f->link));
    link_process(f->link);
    assert_int_equal(link_phase(f->link), LINK_OVER);
    assert_string_equal(link_error(f->link)->text, "rabbit:5672: closed");
    link_fixture_outcome(f, 1, PUBLISH_UNKNOWN);
    link_fixture_outcome(f, 3, PUBLISH_UNKNOWN);
    link_fixture_outcome(f, 2, PUBLISH_UNKNOWN);
    link_fixture_no_event(f);
    struct amqp_channel ch;
    assert_int_equal(link_channel_open(f->link, &ch), CONEY_ECLOSED);
}

static void a_publish_is_cut_at_the_negotiated_frame_size(void **state)
{
    (void)state;
    struct link_fixture f;
    enum { FRAME_MAX = 8192 };
    char body[3 * FRAME_MAX];
    struct envelope e = {.properties = properties_none()};
    struct publish p = {.exchange = "x", .routing_key = "k", .envelope = &e};

    link_fixture_init(&f);
    link_fixture_open(&f);
    peer_start(&f.in, "PLAIN");
    peer_tune(&f.in, 10, FRAME_MAX, 60);
    peer_open_ok(&f.in);
    link_fixture_hear(&f);
    struct amqp_channel ch = link_fixture_channel(&f);
    memset(body, 'x', sizeof(body));
    static const size_t lengths[] = {0, 1, FRAME_MAX - 8, FRAME_MAX - 7, sizeof(body)};
    static const unsigned frames[] = {2, 3, 3, 4, 6};
    for (size_t i = 0; i < 5; i++) {
        unsigned count = 0;
        size_t bytes = 0;
        e.body = (struct bytes){.data = body, .len = lengths[i]};
        assert_int_equal(link_publish(f.link, ch, &p, 0), CONEY_OK);
        struct bytes out = link_output(f.link);
        while (out.len > 0) {
            struct frame frame;
            size_t used;
            assert_int_equal(frame_parse(out, FRAME_MAX, &frame, &used, NULL), CONEY_OK);
            assert_true(used > 0);
            if (frame.type == FRAME_BODY)
                bytes += frame.payload.len;
            out.data = (const uint8_t *)out.data + used;
            out.len -= used;
            count++;
        }
        assert_int_equal(count, frames[i]);
        assert_int_equal(bytes, lengths[i]);
        link_fixture_sent(&f);
    }
    link_fixture_fini(&f);
}

static void headers_that_do_not_fit_a_frame_are_refused(void **state)
{
    struct link_fixture *f = *state;
    struct amqp_channel ch = link_fixture_confirm_channel(f);
    struct envelope e;
    struct publish p = {.exchange = "x", .routing_key = "k", .envelope = &e};
    char *text = malloc(131072);

    memset(text, 'x', 131071);
    text[131071] = '\0';
    assert_int_equal(envelope_init(&e), CONEY_OK);
    assert_int_equal(table_set_text(&e.headers, e.arena, "k", text), CONEY_OK);
    assert_int_equal(link_publish(f->link, ch, &p, 1), CONEY_EINVAL);
    assert_int_equal(link_output(f->link).len, 0);
    assert_int_equal(link_unconfirmed(f->link, ch), 0);
    envelope_fini(&e);
    free(text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(confirms_come_in_any_order_single_or_multiple),
            TEST(one_answer_for_a_hundred_thousand_needs_no_memory_for_them),
            TEST(a_returned_message_is_told_before_its_outcome),
            TEST(a_return_that_fits_no_publish_has_no_cookie),
            TEST(a_confirm_of_nothing_ends_the_link),
            TEST(a_lost_channel_leaves_its_publishes_unknown),
            TEST(our_own_close_still_waits_for_confirms),
            TEST(a_lost_connection_leaves_all_publishes_unknown),
            TEST(a_publish_is_cut_at_the_negotiated_frame_size),
            TEST(headers_that_do_not_fit_a_frame_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
