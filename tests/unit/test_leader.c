/* SPDX-License-Identifier: MIT */
/* test_leader.c - election and its fences, event by event. */
#include "base/clock.h"
#include "beat/leader.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

/* 2026-11-20T00:00Z */
#define MIDNIGHT     (INT64_C(1795132800) * 1000000)
#define HEARTBEAT_MS 20000

struct fixture {
    struct schedule_entry entry; /* every second */
    struct agenda *agenda;
    struct leader *leader;
    struct leader_moment now;
    struct leader_action action; /* the last one */
    struct buffer body;          /* of the last token written */
    char id[LEADER_ID_SIZE];
    uint64_t tag; /* the last one used */
};

static int set_up(void **state)
{
    static const struct leader_options options = {
            .heartbeat_ms = HEARTBEAT_MS, .writer = "me"};
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    schedule_entry_init(&f->entry);
    f->entry.name = strdup("tick");
    f->entry.task = strdup("ops.tick");
    f->entry.every_ms = 1000;
    assert_int_equal(agenda_new(&f->entry, 1, &f->agenda), CONEY_OK);
    f->leader = leader_new(&options, f->agenda);
    assert_non_null(f->leader);
    f->now = (struct leader_moment){.now_ms = 5000, .now_us = MIDNIGHT};
    buffer_init(&f->body, TOKEN_SIZE_MAX);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    leader_free(f->leader);
    agenda_free(f->agenda);
    schedule_entry_fini(&f->entry);
    buffer_fini(&f->body);
    free(f);
    return 0;
}

/* --- the peer */

static void pass(struct fixture *f, int64_t ms)
{
    f->now.now_ms += ms;
    f->now.now_us += ms * 1000;
}

static enum leader_do act(struct fixture *f)
{
    leader_act(f->leader, &f->now, &f->action);
    if (f->action.what == LEADER_WRITE || f->action.what == LEADER_SEED) {
        buffer_clear(&f->body);
        assert_int_equal(buffer_append(&f->body, f->action.body.data, f->action.body.len),
                CONEY_OK);
        strcpy(f->id, f->action.id);
    }
    return f->action.what;
}

static void expect(struct fixture *f, enum leader_do what)
{
    assert_int_equal(act(f), what);
}

static void deliver(struct fixture *f, const char *id, struct bytes body)
{
    const struct leader_arrival arrival = {
            .tag = ++f->tag, .message_id = id, .body = body};
    assert_int_equal(leader_receive(f->leader, &arrival, &f->now, NULL), CONEY_OK);
}

/* The token that was written last comes from the queue. */
static void deliver_own(struct fixture *f)
{
    struct bytes body = {.data = buffer_data(&f->body), .len = buffer_len(&f->body)};
    deliver(f, f->id, body);
}

static void deliver_foreign(struct fixture *f, int64_t epoch, int64_t seq)
{
    struct buffer body;
    struct token *t;

    assert_int_equal(token_new(0, &t), CONEY_OK);
    t->rank = (struct token_rank){.epoch = epoch, .seq = seq};
    t->watermark_us = f->now.now_us;
    buffer_init(&body, TOKEN_SIZE_MAX);
    assert_int_equal(token_encode(t, &body), CONEY_OK);
    deliver(f, "other/1",
            (struct bytes){.data = buffer_data(&body), .len = buffer_len(&body)});
    buffer_fini(&body);
    token_free(t);
}

static struct token_rank written(const struct fixture *f)
{
    struct bytes body = {.data = buffer_data(&f->body), .len = buffer_len(&f->body)};
    struct token *t;
    assert_int_equal(token_decode(body, &t, NULL), CONEY_OK);
    struct token_rank rank = t->rank;
    token_free(t);
    return rank;
}

static void complete_write(struct fixture *f)
{
    expect(f, LEADER_WRITE);
    leader_wrote(f->leader, PUBLISH_ACKED, f->now.now_ms);
    deliver_own(f);
}

/* Take over from a token of epoch 4. */
static void come_to_lead(struct fixture *f)
{
    leader_opened(f->leader, false, f->now.now_ms);
    deliver_foreign(f, 4, 9);
    complete_write(f);
    expect(f, LEADER_ACK);
    expect(f, LEADER_LEAD);
    expect(f, LEADER_WAIT);
}

/* --- election */

static void where_nobody_is_a_token_is_made_at_once(void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, true, f->now.now_ms);
    assert_true(leader_wait_ms(f->leader, &f->now) == 0);
    expect(f, LEADER_SEED);
    assert_true(written(f).epoch == 0);
    expect(f, LEADER_WAIT);
    deliver_own(f);
    expect(f, LEADER_WRITE);
    assert_true(written(f).epoch == 1);
}

static void where_others_are_a_seed_comes_only_after_a_minute(void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, false, f->now.now_ms);
    expect(f, LEADER_WAIT);
    assert_true(leader_wait_ms(f->leader, &f->now) == LEADER_SEED_MS);
    pass(f, LEADER_SEED_MS - 1);
    expect(f, LEADER_WAIT);
    pass(f, 1);
    expect(f, LEADER_SEED);
    expect(f, LEADER_WAIT);
    leader_seeded(f->leader, PUBLISH_NACKED, f->now.now_ms);
    pass(f, 1000);
    expect(f, LEADER_SEED);
}

static void a_standby_gives_out_no_tick(void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, false, f->now.now_ms);
    for (int i = 0; i < 50; i++) {
        pass(f, 1000);
        assert_true(act(f) == LEADER_WAIT);
    }
    assert_int_equal(leader_state(f->leader), LEADER_STANDBY);
}

static void nothing_is_published_before_the_new_epoch_is_both_confirmed_and_back(
        void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, false, f->now.now_ms);
    deliver_foreign(f, 4, 9);
    expect(f, LEADER_WRITE);
    assert_true(written(f).epoch == 5 && written(f).seq == 1);
    pass(f, 3000);
    expect(f, LEADER_WAIT);
    leader_wrote(f->leader, PUBLISH_ACKED, f->now.now_ms);
    expect(f, LEADER_WAIT);
    assert_int_equal(leader_state(f->leader), LEADER_TAKING);
    deliver_own(f);
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == 1);
    expect(f, LEADER_LEAD);
    assert_int_equal(leader_state(f->leader), LEADER_LEADING);
    assert_true(leader_epoch(f->leader) == 5);
}

static void the_confirm_may_come_after_the_token(void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, false, f->now.now_ms);
    deliver_foreign(f, 4, 9);
    expect(f, LEADER_WRITE);
    deliver_own(f);
    expect(f, LEADER_WAIT);
    leader_wrote(f->leader, PUBLISH_ACKED, f->now.now_ms);
    expect(f, LEADER_ACK);
    expect(f, LEADER_LEAD);
}

static void a_greater_token_that_comes_while_taking_over_is_what_counts(void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, false, f->now.now_ms);
    deliver_foreign(f, 4, 9);
    expect(f, LEADER_WRITE);
    deliver_foreign(f, 8, 1);
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == 1); /* the lesser one */
    expect(f, LEADER_WAIT);
    leader_wrote(f->leader, PUBLISH_ACKED, f->now.now_ms);
    deliver_own(f); /* of epoch 5: too little now */
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == 3);
    complete_write(f);
    assert_true(written(f).epoch == 9);
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == 2);
    expect(f, LEADER_LEAD);
}

/* Its writer died before it could ack the one before: the same state, but for a tick. */
static void of_two_tokens_left_by_one_leader_the_later_counts(void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, false, f->now.now_ms);
    deliver_foreign(f, 4, 9);
    expect(f, LEADER_WRITE);
    deliver_foreign(f, 4, 10);
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == 1);
    leader_wrote(f->leader, PUBLISH_ACKED, f->now.now_ms);
    deliver_own(f);
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == 3); /* made from 4, 9: outdated */
    complete_write(f);
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == 2);
    expect(f, LEADER_LEAD);
}

static void a_lesser_token_is_acked_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    deliver_foreign(f, 0, 0);
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == f->tag);
    deliver_foreign(f, 5, 1); /* the very rank of ours */
    expect(f, LEADER_ACK);
    expect(f, LEADER_WAIT);
    assert_int_equal(leader_state(f->leader), LEADER_LEADING);
}

static void a_leader_that_meets_a_greater_token_resigns(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    deliver_foreign(f, 6, 1);
    pass(f, 1000);
    expect(f, LEADER_RESIGN); /* and the tick that is due does not leave */
    leader_lost(f->leader);
    expect(f, LEADER_WAIT);
    leader_opened(f->leader, false, f->now.now_ms);
    deliver_foreign(f, 6, 1);
    complete_write(f);
    assert_true(written(f).epoch == 7);
}

static void what_cannot_be_read_is_left_to_the_owner(void **state)
{
    struct fixture *f = *state;
    const struct leader_arrival rubbish = {.tag = 1, .body = {"rubbish", 7}};
    const struct leader_arrival later = {.tag = 2, .body = {"{\"version\": 9}", 14}};

    leader_opened(f->leader, false, f->now.now_ms);
    assert_int_equal(leader_receive(f->leader, &rubbish, &f->now, NULL), CONEY_ESYNTAX);
    assert_int_equal(leader_receive(f->leader, &later, &f->now, NULL), CONEY_EREFUSED);
    expect(f, LEADER_WAIT);
    leader_buried(f->leader, f->now.now_ms);
    expect(f, LEADER_SEED);
}

static void a_burial_in_the_presence_of_a_token_seeds_nothing(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    leader_buried(f->leader, f->now.now_ms);
    expect(f, LEADER_WAIT);
}

/* --- ticks and tokens */

static void a_tick_is_published_then_stored(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    assert_true(leader_wait_ms(f->leader, &f->now) == 1000);
    pass(f, 999);
    expect(f, LEADER_WAIT);
    pass(f, 1);
    expect(f, LEADER_PUBLISH);
    assert_true(f->action.tick.at_us == MIDNIGHT + 1000000);
    expect(f, LEADER_WAIT);
    assert_false(leader_is_quiet(f->leader));
    assert_int_equal(leader_published(f->leader, 0, PUBLISH_ACKED, f->now.now_ms), 0);
    uint64_t before = f->tag;
    complete_write(f);
    assert_true(written(f).epoch == 5 && written(f).seq == 2);
    expect(f, LEADER_ACK);
    assert_true(f->action.tag == before); /* the token before this one */
    expect(f, LEADER_WAIT);
    assert_true(leader_is_quiet(f->leader));
}

static void a_tick_is_never_early(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    f->now.now_us = MIDNIGHT + 1000000 - 1;
    expect(f, LEADER_WAIT);
    assert_true(leader_wait_ms(f->leader, &f->now) == 1); /* rounded up */
}

static void a_returned_tick_comes_again(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    assert_int_equal(
            leader_published(f->leader, 0, PUBLISH_RETURNED, f->now.now_ms), 1000);
    expect(f, LEADER_WAIT);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    assert_true(f->action.tick.at_us == MIDNIGHT + 1000000);
}

static void a_tick_whose_confirm_is_late_fences_nobody(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    for (int i = 0; i < 30; i++) {
        pass(f, HEARTBEAT_MS / 4);
        expect(f, LEADER_WAIT);
    }
    leader_published(f->leader, 0, PUBLISH_ACKED, f->now.now_ms);
    expect(f, LEADER_WRITE);
}

static void a_token_is_rewritten_every_five_minutes(void **state)
{
    struct fixture *f = *state;
    f->entry.enabled = false; /* no ticks in between */
    come_to_lead(f);
    leader_pause(f->leader);
    for (int64_t ms = 0; ms < LEADER_REWRITE_MS; ms += 1000) {
        expect(f, LEADER_WAIT);
        pass(f, 1000);
    }
    complete_write(f);
    assert_true(written(f).seq == 2);
}

static void a_refused_token_is_written_again(void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, false, f->now.now_ms);
    deliver_foreign(f, 4, 9);
    expect(f, LEADER_WRITE);
    leader_wrote(f->leader, PUBLISH_NACKED, f->now.now_ms);
    expect(f, LEADER_WAIT);
    pass(f, 1000);
    complete_write(f);
    expect(f, LEADER_ACK);
    expect(f, LEADER_LEAD);
}

static void a_purged_token_is_written_again_while_the_old_one_is_held(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    leader_published(f->leader, 0, PUBLISH_ACKED, f->now.now_ms);
    expect(f, LEADER_WRITE);
    leader_wrote(f->leader, PUBLISH_ACKED, f->now.now_ms);
    for (int i = 0; i < 4; i++) {
        pass(f, HEARTBEAT_MS / 4);
        expect(f, LEADER_WAIT); /* no ack */
    }
    pass(f, 1);
    complete_write(f);
    assert_true(written(f).seq == 3);
    expect(f, LEADER_ACK);
    expect(f, LEADER_PUBLISH);
}

static void a_lost_queue_makes_it_resign_and_seed_what_it_knows(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    leader_published(f->leader, 0, PUBLISH_ACKED, f->now.now_ms);
    expect(f, LEADER_WRITE);
    leader_wrote(f->leader, PUBLISH_RETURNED, f->now.now_ms);
    expect(f, LEADER_RESIGN);
    leader_lost(f->leader);
    leader_opened(f->leader, true, f->now.now_ms);
    expect(f, LEADER_SEED);
    assert_true(written(f).epoch == 5);
    deliver_own(f);
    complete_write(f);
    assert_true(written(f).epoch == 6);
    expect(f, LEADER_ACK);
    expect(f, LEADER_LEAD);
    expect(f, LEADER_WAIT); /* the confirmed tick is not repeated */
}

/* --- fences */

static void silence_makes_it_resign(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, 1000);
    f->now.is_silent = true;
    expect(f, LEADER_RESIGN);
    assert_non_null(strstr(f->action.reason, "nothing heard"));
}

static void standing_still_makes_it_resign_before_it_publishes(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, HEARTBEAT_MS);
    assert_int_equal(act(f), LEADER_PUBLISH);
    pass(f, HEARTBEAT_MS + 1);
    expect(f, LEADER_RESIGN);
    expect(f, LEADER_RESIGN); /* until it is done */
}

static void a_token_that_is_not_confirmed_makes_it_resign(void **state)
{
    struct fixture *f = *state;
    leader_opened(f->leader, false, f->now.now_ms);
    deliver_foreign(f, 4, 9);
    expect(f, LEADER_WRITE);
    for (int i = 0; i < 4; i++) {
        pass(f, HEARTBEAT_MS / 4);
        expect(f, LEADER_WAIT);
    }
    pass(f, 1);
    expect(f, LEADER_RESIGN);
}

static void under_an_alarm_nothing_is_published_and_no_confirm_is_missing(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    leader_published(f->leader, 0, PUBLISH_ACKED, f->now.now_ms);
    expect(f, LEADER_WRITE);
    leader_block(f->leader, true, f->now.now_ms);
    for (int i = 0; i < 20; i++) {
        pass(f, HEARTBEAT_MS / 4);
        expect(f, LEADER_WAIT);
    }
    leader_block(f->leader, false, f->now.now_ms);
    expect(f, LEADER_WAIT);
    leader_wrote(f->leader, PUBLISH_ACKED, f->now.now_ms);
    deliver_own(f);
    expect(f, LEADER_ACK);
    assert_int_not_equal(act(f), LEADER_RESIGN);
}

static void a_tick_that_falls_due_under_an_alarm_waits(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    leader_block(f->leader, true, f->now.now_ms);
    pass(f, 1000);
    expect(f, LEADER_WAIT);
    assert_true(leader_wait_ms(f->leader, &f->now) > 0);
    leader_block(f->leader, false, f->now.now_ms);
    expect(f, LEADER_PUBLISH);
}

static void outcomes_of_a_lost_channel_are_of_no_concern(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    leader_lost(f->leader);
    assert_int_equal(leader_published(f->leader, 0, PUBLISH_UNKNOWN, f->now.now_ms), 0);
    leader_wrote(f->leader, PUBLISH_UNKNOWN, f->now.now_ms);
    expect(f, LEADER_WAIT);
    assert_int_equal(leader_state(f->leader), LEADER_ABSENT);
}

/* --- changing the schedule */

static void a_pause_lets_arrive_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    come_to_lead(f);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    leader_pause(f->leader);
    assert_false(leader_is_quiet(f->leader));
    pass(f, 1000);
    leader_published(f->leader, 0, PUBLISH_ACKED, f->now.now_ms);
    assert_false(leader_is_quiet(f->leader));
    complete_write(f);
    assert_false(leader_is_quiet(f->leader));
    expect(f, LEADER_ACK);
    assert_true(leader_is_quiet(f->leader));
    expect(f, LEADER_WAIT); /* a tick is due, and waits */
    leader_resume(f->leader);
    expect(f, LEADER_PUBLISH);
}

static void a_new_agenda_goes_on_where_the_old_one_was(void **state)
{
    struct fixture *f = *state;
    struct agenda *next;

    come_to_lead(f);
    pass(f, 1000);
    expect(f, LEADER_PUBLISH);
    leader_published(f->leader, 0, PUBLISH_ACKED, f->now.now_ms);
    complete_write(f);
    expect(f, LEADER_ACK);
    leader_pause(f->leader);
    pass(f, 1500);
    assert_int_equal(agenda_new(&f->entry, 1, &next), CONEY_OK);
    assert_int_equal(leader_set_agenda(f->leader, next, &f->now), CONEY_OK);
    agenda_free(f->agenda);
    f->agenda = next;
    complete_write(f); /* the new schedule is on the token before its first tick */
    expect(f, LEADER_ACK);
    expect(f, LEADER_PUBLISH);
    assert_true(f->action.tick.at_us == MIDNIGHT + 2000000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(where_nobody_is_a_token_is_made_at_once),
            TEST(where_others_are_a_seed_comes_only_after_a_minute),
            TEST(a_standby_gives_out_no_tick),
            TEST(nothing_is_published_before_the_new_epoch_is_both_confirmed_and_back),
            TEST(the_confirm_may_come_after_the_token),
            TEST(a_greater_token_that_comes_while_taking_over_is_what_counts),
            TEST(of_two_tokens_left_by_one_leader_the_later_counts),
            TEST(a_lesser_token_is_acked_and_changes_nothing),
            TEST(a_leader_that_meets_a_greater_token_resigns),
            TEST(what_cannot_be_read_is_left_to_the_owner),
            TEST(a_burial_in_the_presence_of_a_token_seeds_nothing),
            TEST(a_tick_is_published_then_stored),
            TEST(a_tick_is_never_early),
            TEST(a_returned_tick_comes_again),
            TEST(a_tick_whose_confirm_is_late_fences_nobody),
            TEST(a_token_is_rewritten_every_five_minutes),
            TEST(a_refused_token_is_written_again),
            TEST(a_purged_token_is_written_again_while_the_old_one_is_held),
            TEST(a_lost_queue_makes_it_resign_and_seed_what_it_knows),
            TEST(silence_makes_it_resign),
            TEST(standing_still_makes_it_resign_before_it_publishes),
            TEST(a_token_that_is_not_confirmed_makes_it_resign),
            TEST(under_an_alarm_nothing_is_published_and_no_confirm_is_missing),
            TEST(a_tick_that_falls_due_under_an_alarm_waits),
            TEST(outcomes_of_a_lost_channel_are_of_no_concern),
            TEST(a_pause_lets_arrive_what_is_on_its_way),
            TEST(a_new_agenda_goes_on_where_the_old_one_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
