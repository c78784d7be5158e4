/* SPDX-License-Identifier: MIT */
/* test_outbox.c - which message is published next, and how each comes to an end. */
#include "base/clock.h"
#include "lib/outbox.h"
#include "support/test.h"

#include <string.h>

enum { TIMEOUT_MS = 1000, ATTEMPTS = 3, GENERATION = 7 };

static struct rng rng;

static struct outgoing *message(const char *id, enum outgoing_owner owner)
{
    struct envelope e;
    assert_int_equal(envelope_init(&e), CONEY_OK);
    struct outgoing *o = outgoing_new_take(&e);
    assert_non_null(o);
    o->id = id;
    o->queue = "coney.high";
    o->owner = owner;
    return o;
}

static struct outgoing *add(struct outbox *b, const char *id, int64_t now_ms)
{
    struct outgoing *o = message(id, OUTGOING_DETACHED);
    outbox_add(b, o, now_ms);
    return o;
}

/* Publish the next one; it must be @o. */
static uint64_t publish(struct outbox *b, struct outgoing *o, uint32_t generation)
{
    assert_ptr_equal(outbox_next(b, 0, true), o);
    uint64_t cookie = o->cookie;
    outbox_sent(b, o, generation);
    return cookie;
}

static void assert_finished(struct outbox *b, const char *id, enum coney_rc rc)
{
    struct outgoing *o = outbox_take_finished(b);
    assert_non_null(o);
    assert_string_equal(o->id, id);
    assert_int_equal(o->error.rc, rc);
    outgoing_free(o);
}

static int setup(void **state)
{
    static struct outbox box;
    rng_seed(&rng, 1);
    outbox_init(&box, ATTEMPTS, TIMEOUT_MS);
    *state = &box;
    return 0;
}

static int teardown(void **state)
{
    outbox_fini(*state);
    return 0;
}

static void messages_leave_in_the_order_in_which_they_came(void **state)
{
    struct outbox *b = *state;
    struct outgoing *first = add(b, "1", 0), *second = add(b, "2", 0);
    uint64_t a = publish(b, first, GENERATION);
    uint64_t c = publish(b, second, GENERATION);
    assert_null(outbox_next(b, 0, true));
    outbox_outcome(b, c, PUBLISH_ACKED, 0, &rng);
    outbox_outcome(b, a, PUBLISH_ACKED, 0, &rng);
    assert_finished(b, "2", CONEY_OK);
    assert_finished(b, "1", CONEY_OK);
    assert_null(outbox_take_finished(b));
    assert_int_equal(b->count, 0);
    assert_int_equal(b->in_flight, 0);
    assert_int_equal(b->bytes, 0);
    assert_int_equal(b->finished_count, 0);
}

static void what_a_lost_connection_took_goes_out_again_in_order(void **state)
{
    struct outbox *b = *state;
    struct outgoing *o[4];
    uint64_t cookies[4];
    for (size_t i = 0; i < 4; i++)
        o[i] = add(b, "x", 0);
    for (size_t i = 0; i < 3; i++)
        cookies[i] = publish(b, o[i], GENERATION);
    outbox_outcome(b, cookies[1], PUBLISH_ACKED, 0, &rng);
    outbox_outcome(b, cookies[2], PUBLISH_UNKNOWN, 0, &rng);
    outbox_outcome(b, cookies[0], PUBLISH_UNKNOWN, 0, &rng);
    publish(b, o[0], GENERATION + 1);
    publish(b, o[2], GENERATION + 1);
    publish(b, o[3], GENERATION + 1);
    assert_null(outbox_next(b, 0, true));
}

static void a_missing_queue_is_named(void **state)
{
    struct outbox *b = *state;
    struct outgoing *o = message("1", OUTGOING_AWAITED);
    outbox_add(b, o, 0);
    outbox_outcome(b, publish(b, o, GENERATION), PUBLISH_RETURNED, 0, &rng);
    assert_int_equal(o->state, OUTGOING_DECIDED);
    assert_int_equal(o->error.rc, CONEY_EUNROUTABLE);
    assert_string_equal(o->error.text, "there is no queue 'coney.high'");
    assert_null(outbox_take_finished(b));
    outgoing_free(o);
}

static void a_nack_is_followed_by_a_pause_and_a_limit(void **state)
{
    struct outbox *b = *state;
    struct outgoing *o = add(b, "1", 0);
    int64_t now = 0;
    for (unsigned i = 1; i <= ATTEMPTS; i++) {
        assert_ptr_equal(outbox_next(b, now, true), o);
        outbox_sent(b, o, GENERATION);
        outbox_outcome(b, o->cookie, PUBLISH_NACKED, now, &rng);
        if (i == ATTEMPTS)
            break;
        assert_null(outbox_next(b, now, true));
        int64_t pause = outbox_wake_ms(b) - now;
        assert_in_range(pause, 50 * i, 100 * (1 << (i - 1)));
        now += pause;
    }
    assert_finished(b, "1", CONEY_ENACKED);
}

static void others_overtake_a_message_that_is_put_off(void **state)
{
    struct outbox *b = *state;
    struct outgoing *o = add(b, "1", 0);
    outbox_outcome(b, publish(b, o, GENERATION), PUBLISH_NACKED, 0, &rng);
    struct outgoing *other = add(b, "2", 0);
    publish(b, other, GENERATION);
    int64_t wake = outbox_wake_ms(b);
    assert_null(outbox_next(b, wake - 1, true));
    assert_ptr_equal(outbox_next(b, wake, true), o);
}

static void losing_the_connection_too_often_is_an_unknown_end(void **state)
{
    struct outbox *b = *state;
    struct outgoing *o = add(b, "1", 0);
    for (unsigned i = 0; i < ATTEMPTS; i++)
        outbox_outcome(b, publish(b, o, GENERATION + i), PUBLISH_UNKNOWN, 0, &rng);
    assert_null(outbox_next(b, 0, true));
    assert_finished(b, "1", CONEY_ETIMEOUT);
}

static void time_ends_each_message_by_what_is_known_of_it(void **state)
{
    struct outbox *b = *state;
    const struct coney_error why = {.rc = CONEY_ECLOSED, .text = "no broker"};
    struct outgoing *sent = add(b, "sent", 0), *nacked = add(b, "nacked", 0);
    publish(b, sent, GENERATION);
    outbox_outcome(b, publish(b, nacked, GENERATION), PUBLISH_NACKED, 0, &rng);
    add(b, "waiting", 0);
    add(b, "later", 1);

    assert_int_equal(outbox_deadline_ms(b), TIMEOUT_MS);
    outbox_expire(b, TIMEOUT_MS - 1, &why);
    assert_null(outbox_take_finished(b));
    outbox_expire(b, TIMEOUT_MS, &why);
    assert_finished(b, "sent", CONEY_ETIMEOUT);
    assert_finished(b, "nacked", CONEY_ENACKED);
    assert_finished(b, "waiting", CONEY_ECLOSED);
    assert_null(outbox_take_finished(b));
    assert_int_equal(outbox_deadline_ms(b), TIMEOUT_MS + 1);
    outbox_expire(b, TIMEOUT_MS + 1, NULL);
    assert_finished(b, "later", CONEY_ECLOSED);
    assert_int_equal(outbox_deadline_ms(b), CLOCK_NEVER);
}

static void a_nack_after_an_unknown_end_stays_unknown(void **state)
{
    struct outbox *b = *state;
    struct outgoing *o = add(b, "1", 0);
    outbox_outcome(b, publish(b, o, GENERATION), PUBLISH_UNKNOWN, 0, &rng);
    outbox_outcome(b, publish(b, o, GENERATION + 1), PUBLISH_NACKED, 0, &rng);
    outbox_expire(b, TIMEOUT_MS, NULL);
    assert_finished(b, "1", CONEY_ETIMEOUT);
}

static void a_confirm_that_comes_too_late_is_nobodys(void **state)
{
    struct outbox *b = *state;
    struct outgoing *o = add(b, "1", 0);
    uint64_t cookie = publish(b, o, GENERATION);
    outbox_expire(b, TIMEOUT_MS, NULL);
    assert_finished(b, "1", CONEY_ETIMEOUT);
    outbox_outcome(b, cookie, PUBLISH_ACKED, 0, &rng);
    assert_int_equal(b->in_flight, 0);
}

static void a_confirm_is_only_for_the_cookie_it_names(void **state)
{
    struct outbox *b = *state;
    uint64_t cookie = publish(b, add(b, "1", 0), GENERATION);
    outbox_outcome(b, cookie + OUTBOX_MAX, PUBLISH_ACKED, 0, &rng);
    assert_null(outbox_take_finished(b));
    outbox_outcome(b, cookie, PUBLISH_ACKED, 0, &rng);
    assert_finished(b, "1", CONEY_OK);
}

static void a_cookie_is_not_given_out_while_its_place_is_taken(void **state)
{
    struct outbox *b = *state;
    struct outgoing *stuck = add(b, "stuck", 0);
    uint64_t cookie = publish(b, stuck, GENERATION);
    for (size_t i = 1; i < OUTBOX_MAX; i++) {
        outbox_outcome(b, publish(b, add(b, "x", 0), GENERATION), PUBLISH_ACKED, 0, &rng);
        assert_finished(b, "x", CONEY_OK);
    }
    struct outgoing *next = add(b, "next", 0);
    assert_null(outbox_next(b, 0, true));
    outbox_outcome(b, cookie, PUBLISH_ACKED, 0, &rng);
    assert_ptr_equal(outbox_next(b, 0, true), next);
}

static void a_message_that_wants_a_reply_waits_for_the_queue(void **state)
{
    struct outbox *b = *state;
    struct outgoing *asks = message("asks", OUTGOING_DETACHED);
    asks->reply = OUTGOING_REPLY;
    outbox_add(b, asks, 0);
    struct outgoing *tells = add(b, "tells", 0);
    assert_ptr_equal(outbox_next(b, 0, false), tells);
    assert_ptr_equal(outbox_next(b, 0, true), asks);

    const struct coney_error why = {.rc = CONEY_EREFUSED, .text = "no reply queue"};
    outbox_fail(b, OUTBOX_REPLIES, &why);
    assert_finished(b, "asks", CONEY_EREFUSED);
    assert_null(outbox_take_finished(b));
    outbox_fail(b, OUTBOX_ALL, &why);
    assert_finished(b, "tells", CONEY_EREFUSED);
}

static void a_refusal_with_one_in_flight_has_found_its_culprit(void **state)
{
    struct outbox *b = *state;
    const struct coney_error why = {.rc = CONEY_ENOTFOUND, .text = "no exchange"};
    struct outgoing *innocent = add(b, "innocent", 0);
    struct outgoing *culprit = add(b, "culprit", 0);
    outbox_outcome(b, publish(b, innocent, GENERATION), PUBLISH_ACKED, 0, &rng);
    uint64_t cookie = publish(b, culprit, GENERATION);
    outbox_refused(b, GENERATION, &why);
    outbox_outcome(b, cookie, PUBLISH_UNKNOWN, 0, &rng);
    assert_finished(b, "innocent", CONEY_OK);
    assert_finished(b, "culprit", CONEY_ENOTFOUND);
    assert_int_equal(b->count, 0);
}

static void what_was_nacked_before_is_not_suspected(void **state)
{
    struct outbox *b = *state;
    const struct coney_error why = {.rc = CONEY_EREFUSED, .text = "no"};
    struct outgoing *nacked = add(b, "nacked", 0);
    outbox_outcome(b, publish(b, nacked, GENERATION), PUBLISH_NACKED, 0, &rng);
    struct outgoing *culprit = add(b, "culprit", 0);
    uint64_t cookie = publish(b, culprit, GENERATION);
    outbox_outcome(b, cookie, PUBLISH_UNKNOWN, 0, &rng);
    outbox_refused(b, GENERATION, &why);
    assert_finished(b, "culprit", CONEY_EREFUSED);
}

static void a_refused_last_attempt_is_a_refusal(void **state)
{
    struct outbox *b = *state;
    const struct coney_error why = {.rc = CONEY_EREFUSED, .text = "no"};
    struct outgoing *o = add(b, "1", 0);
    for (unsigned i = 0; i < ATTEMPTS; i++)
        outbox_outcome(b, publish(b, o, GENERATION + i), PUBLISH_UNKNOWN, 0, &rng);
    outbox_refused(b, GENERATION + ATTEMPTS - 1, &why);
    assert_finished(b, "1", CONEY_EREFUSED);
}

/* In both orders in which a session may tell it. */
static void find_culprit(struct outbox *b, bool refused_first)
{
    const struct coney_error why = {.rc = CONEY_ENOTFOUND, .text = "no exchange"};
    struct outgoing *o[3];
    uint64_t cookies[3];
    for (size_t i = 0; i < 3; i++)
        o[i] = add(b, i == 1 ? "culprit" : "innocent", 0);
    for (size_t i = 0; i < 3; i++)
        cookies[i] = publish(b, o[i], GENERATION);
    if (refused_first)
        outbox_refused(b, GENERATION, &why);
    for (size_t i = 0; i < 3; i++)
        outbox_outcome(b, cookies[i], PUBLISH_UNKNOWN, 0, &rng);
    if (!refused_first)
        outbox_refused(b, GENERATION, &why);

    struct outgoing *stranger = add(b, "stranger", 0);
    uint64_t cookie = publish(b, o[0], GENERATION + 1);
    assert_null(outbox_next(b, 0, true));
    outbox_outcome(b, cookie, PUBLISH_ACKED, 0, &rng);
    cookie = publish(b, o[1], GENERATION + 1);
    assert_null(outbox_next(b, 0, true));
    outbox_outcome(b, cookie, PUBLISH_UNKNOWN, 0, &rng);
    outbox_refused(b, GENERATION + 1, &why);
    outbox_outcome(b, publish(b, o[2], GENERATION + 2), PUBLISH_ACKED, 0, &rng);
    assert_finished(b, "innocent", CONEY_OK);
    assert_finished(b, "culprit", CONEY_ENOTFOUND);
    assert_finished(b, "innocent", CONEY_OK);
    assert_int_equal(b->suspects, 0);
    outbox_outcome(b, publish(b, stranger, GENERATION + 2), PUBLISH_ACKED, 0, &rng);
    assert_finished(b, "stranger", CONEY_OK);
}

static void a_refusal_with_many_in_flight_is_narrowed_down_one_by_one(void **state)
{
    find_culprit(*state, true);
    find_culprit(*state, false);
}

static void there_is_room_for_a_bounded_number(void **state)
{
    struct outbox *b = *state;
    struct outgoing *extra = message("extra", OUTGOING_DETACHED);
    for (size_t i = 0; i < OUTBOX_MAX; i++) {
        assert_true(outbox_has_room(b, extra));
        publish(b, add(b, "x", 0), GENERATION);
    }
    assert_false(outbox_has_room(b, extra));
    assert_int_equal(b->in_flight, OUTBOX_MAX);
    outbox_outcome(b, 1, PUBLISH_ACKED, 0, &rng);
    assert_true(outbox_has_room(b, extra));
    outgoing_free(extra);
}

static void there_is_room_for_bounded_bytes_but_always_for_one(void **state)
{
    struct outbox *b = *state;
    struct outgoing *huge = message("huge", OUTGOING_DETACHED);
    huge->envelope.body.len = OUTBOX_BYTES_MAX + 1;
    assert_true(outbox_has_room(b, huge));
    outbox_add(b, huge, 0);
    struct outgoing *small = message("small", OUTGOING_DETACHED);
    assert_false(outbox_has_room(b, small));
    outbox_outcome(b, publish(b, huge, GENERATION), PUBLISH_ACKED, 0, &rng);
    assert_true(outbox_has_room(b, small));
    outgoing_free(small);
}

#define OUTBOX_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            OUTBOX_TEST(messages_leave_in_the_order_in_which_they_came),
            OUTBOX_TEST(what_a_lost_connection_took_goes_out_again_in_order),
            OUTBOX_TEST(a_missing_queue_is_named),
            OUTBOX_TEST(a_nack_is_followed_by_a_pause_and_a_limit),
            OUTBOX_TEST(others_overtake_a_message_that_is_put_off),
            OUTBOX_TEST(losing_the_connection_too_often_is_an_unknown_end),
            OUTBOX_TEST(time_ends_each_message_by_what_is_known_of_it),
            OUTBOX_TEST(a_nack_after_an_unknown_end_stays_unknown),
            OUTBOX_TEST(a_confirm_that_comes_too_late_is_nobodys),
            OUTBOX_TEST(a_confirm_is_only_for_the_cookie_it_names),
            OUTBOX_TEST(a_cookie_is_not_given_out_while_its_place_is_taken),
            OUTBOX_TEST(a_message_that_wants_a_reply_waits_for_the_queue),
            OUTBOX_TEST(a_refusal_with_one_in_flight_has_found_its_culprit),
            OUTBOX_TEST(what_was_nacked_before_is_not_suspected),
            OUTBOX_TEST(a_refused_last_attempt_is_a_refusal),
            OUTBOX_TEST(a_refusal_with_many_in_flight_is_narrowed_down_one_by_one),
            OUTBOX_TEST(there_is_room_for_a_bounded_number),
            OUTBOX_TEST(there_is_room_for_bounded_bytes_but_always_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
