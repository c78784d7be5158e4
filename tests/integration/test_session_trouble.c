/* SPDX-License-Identifier: MIT */
/*
 * test_session_trouble.c - a session under load, under an alarm, and without its broker.
 *
 * coney-test: timeout=180
 */
#include "integration/broker_session.h"

/* Publish and consume a hundred thousand messages on one connection; every publish is
 * confirmed once and every message delivered once. */
static void a_hundred_thousand_publishes_are_confirmed_and_delivered(void **state)
{
    enum { COUNT = 100 * 1000, WINDOW = 2000 };
    struct fixture *f = *state;
    struct envelope e = message("m", "a hundred thousand times");
    uint8_t *outcomes = calloc(COUNT + 1, 1);
    uint64_t sent = 0, confirmed = 0, delivered = 0;

    e.properties.delivery_mode = DELIVERY_TRANSIENT; /* the disk is not what is tested */
    go_up(f);
    declare(f, f->queue);
    assert_int_equal(session_confirm_select(f->session, f->ch), CONEY_OK);
    assert_int_equal(session_qos(f->session, f->ch, 1000), CONEY_OK);
    consume(f, "tag");
    int64_t begun_ms = clock_mono_ms();
    int64_t until_ms = begun_ms + PATIENCE_MS;
    while (confirmed < COUNT || delivered < COUNT) {
        struct session_event ev;
        while (sent < COUNT && session_unconfirmed(f->session, f->ch) < WINDOW)
            assert_int_equal(publish(f, f->queue, &e, ++sent), CONEY_OK);
        uint64_t last_tag = 0;
        while (session_next_event(f->session, &ev)) {
            if (ev.type == SESSION_PUBLISHED) {
                assert_int_equal(ev.outcome, PUBLISH_ACKED);
                assert_int_equal(outcomes[ev.cookie]++, 0);
                confirmed++;
            } else {
                assert_int_equal(ev.type, SESSION_DELIVERY);
                last_tag = ev.delivery.tag;
                delivered++;
            }
            session_event_fini(&ev);
        }
        if (last_tag > 0)
            assert_int_equal(session_ack(f->session, f->ch, last_tag, true), CONEY_OK);
        if (clock_mono_ms() >= until_ms)
            fail_msg("%llu sent, %llu confirmed, %llu delivered",
                    (unsigned long long)sent, (unsigned long long)confirmed,
                    (unsigned long long)delivered);
        turn(f, until_ms);
    }
    printf("    %d messages out and in over TLS: %.1f s\n", COUNT,
            (double)(clock_mono_ms() - begun_ms) / 1000);
    delete_queue(f, f->queue);
    free(outcomes);
}

/* --- trouble --------------------------------------------------------------------------
 */

static void an_alarm_blocks_publishing_until_it_is_over(void **state)
{
    struct fixture *f = *state;
    struct envelope e = message("m", "x");

    go_up(f);
    declare(f, f->queue);
    assert_int_equal(session_confirm_select(f->session, f->ch), CONEY_OK);
    broker("ctl", "set_vm_memory_high_watermark 0.0000001");
    assert_int_equal(publish(f, f->queue, &e, 1), CONEY_OK);
    struct session_event ev = expect(f, SESSION_BLOCKED);
    assert_non_null(strstr(ev.error.text, "memory"));
    assert_true(session_is_blocked(f->session));
    broker("ctl", "set_vm_memory_high_watermark 0.6");
    expect(f, SESSION_UNBLOCKED);
    assert_false(session_is_blocked(f->session));
    assert_int_equal(expect(f, SESSION_PUBLISHED).outcome, PUBLISH_ACKED);
    delete_queue(f, f->queue);
}

static void a_restarted_broker_is_found_again(void **state)
{
    struct fixture *f = *state;
    struct envelope e = message("m", "x");
    struct amqp_channel before;
    struct session_event ev;

    f->options.mode = SESSION_FOREVER;
    go_up(f);
    declare(f, f->queue);
    before = f->ch;
    broker("restart", "");
    ev = expect(f, SESSION_DOWN);
    assert_int_equal(ev.code, 320);
    assert_non_null(strstr(ev.error.text, "CONNECTION_FORCED"));
    assert_true(ev.retry_ms > 0);
    while ((ev = next(f)).type == SESSION_DOWN)
        assert_true(ev.retry_ms >= 0);
    assert_int_equal(ev.type, SESSION_UP);
    assert_int_equal(publish(f, f->queue, &e, 1), CONEY_ECLOSED);
    assert_int_equal(session_channel_open(f->session, &f->ch), CONEY_OK);
    assert_true(f->ch.generation != before.generation);
    declare(f, f->queue);
    assert_int_equal(session_confirm_select(f->session, f->ch), CONEY_OK);
    assert_int_equal(publish(f, f->queue, &e, 1), CONEY_OK);
    assert_int_equal(expect(f, SESSION_PUBLISHED).outcome, PUBLISH_ACKED);
    delete_queue(f, f->queue);
}

static void a_killed_broker_leaves_publishes_unknown(void **state)
{
    struct fixture *f = *state;
    struct envelope e = message("m", "x");

    f->options.mode = SESSION_FOREVER;
    go_up(f);
    declare(f, f->queue);
    assert_int_equal(session_confirm_select(f->session, f->ch), CONEY_OK);
    broker("kill", "");
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(publish(f, f->queue, &e, i), CONEY_OK);
    for (uint64_t i = 1; i <= 3; i++) {
        struct session_event ev = expect(f, SESSION_PUBLISHED);
        assert_int_equal(ev.cookie, i);
        assert_int_equal(ev.outcome, PUBLISH_UNKNOWN);
    }
    struct session_event ev = expect(f, SESSION_DOWN);
    assert_int_equal(ev.error.rc, CONEY_ECLOSED);
    broker("start", "");
    while ((ev = next(f)).type == SESSION_DOWN)
        assert_true(ev.retry_ms >= 0);
    assert_int_equal(ev.type, SESSION_UP);
}

static void a_goodbye_is_answered(void **state)
{
    struct fixture *f = *state;
    f->options.mode = SESSION_FOREVER;
    go_up(f);
    session_close(f->session, 5000);
    struct session_event ev = expect(f, SESSION_DOWN);
    assert_int_equal(ev.error.rc, CONEY_OK);
    assert_int_equal(ev.retry_ms, -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(a_hundred_thousand_publishes_are_confirmed_and_delivered),
            TEST(an_alarm_blocks_publishing_until_it_is_over),
            TEST(a_goodbye_is_answered),
            TEST(a_restarted_broker_is_found_again),
            TEST(a_killed_broker_leaves_publishes_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
