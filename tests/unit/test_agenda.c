/* SPDX-License-Identifier: MIT */
/* test_agenda.c - how far each entry has got, in made-up times. */
#include "base/clock.h"
#include "beat/agenda.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define HOUR_US   (3600 * SECOND_US)
/* 2026-11-20T00:00Z */
#define MIDNIGHT (INT64_C(1795132800) * SECOND_US)

enum { ENTRIES = 2 };

struct fixture {
    struct schedule_entry entries[ENTRIES]; /* "a" every second, "b" every ten */
    struct agenda *agenda;
    struct schedule_tick tick; /* the last one given out */
};

static int set_up(void **state)
{
    static const char *const names[ENTRIES] = {"a", "b"};
    static const int64_t every_ms[ENTRIES] = {1000, 10000};
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    for (size_t i = 0; i < ENTRIES; i++) {
        schedule_entry_init(&f->entries[i]);
        f->entries[i].name = strdup(names[i]);
        f->entries[i].task = strdup("ops.tick");
        f->entries[i].every_ms = every_ms[i];
    }
    assert_int_equal(agenda_new(f->entries, ENTRIES, &f->agenda), CONEY_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    agenda_free(f->agenda);
    for (size_t i = 0; i < ENTRIES; i++)
        schedule_entry_fini(&f->entries[i]);
    free(f);
    return 0;
}

/* A blank token, as after the first start ever. */
static void begin(struct agenda *a, int64_t now_us)
{
    struct token *t;
    assert_int_equal(token_new(0, &t), CONEY_OK);
    agenda_resume(a, t, now_us);
    token_free(t);
}

static struct token *save(struct agenda *a)
{
    struct token *t;
    assert_int_equal(agenda_save(a, (struct token_rank){.epoch = 1}, &t), CONEY_OK);
    token_sort(t);
    return t;
}

/* Let another agenda of the same entries go on from what @a would write. */
static struct agenda *successor(struct fixture *f, int64_t now_us)
{
    struct agenda *next;
    struct token *t = save(f->agenda);
    assert_int_equal(agenda_new(f->entries, ENTRIES, &next), CONEY_OK);
    agenda_resume(next, t, now_us);
    token_free(t);
    return next;
}

static bool is_due(struct fixture *f, int64_t now_us)
{
    enum schedule_popped popped = agenda_next(f->agenda, now_us, 0, &f->tick);
    assert_true(popped != SCHEDULE_DROPPED);
    return popped == SCHEDULE_DUE;
}

static void publish(struct fixture *f, int64_t now_us, size_t index, int64_t due_us)
{
    assert_true(is_due(f, now_us));
    assert_int_equal(f->tick.index, index);
    assert_true(f->tick.at_us == due_us);
    assert_true(agenda_tick_us(f->agenda, index) == due_us);
    agenda_settle(f->agenda, index);
}

static void store(struct fixture *f)
{
    token_free(save(f->agenda));
    agenda_saved(f->agenda);
}

static void a_new_entry_begins_when_it_is_first_seen(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    assert_false(is_due(f, MIDNIGHT + SECOND_US - 1));
    publish(f, MIDNIGHT + SECOND_US, 0, MIDNIGHT + SECOND_US);
}

static void an_entry_waits_until_its_tick_is_stored(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    publish(f, MIDNIGHT + 5 * SECOND_US, 0, MIDNIGHT + SECOND_US);
    assert_true(agenda_is_dirty(f->agenda));
    assert_false(is_due(f, MIDNIGHT + 5 * SECOND_US)); /* confirmed is not enough */
    token_free(save(f->agenda));
    assert_false(agenda_is_dirty(f->agenda));
    assert_false(is_due(f, MIDNIGHT + 5 * SECOND_US)); /* nor is written */
    agenda_saved(f->agenda);
    publish(f, MIDNIGHT + 5 * SECOND_US, 0, MIDNIGHT + 2 * SECOND_US);
}

static void one_entry_does_not_wait_for_another(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    assert_true(is_due(f, MIDNIGHT + 10 * SECOND_US));
    assert_int_equal(f->tick.index, 0);
    publish(f, MIDNIGHT + 10 * SECOND_US, 1, MIDNIGHT + 10 * SECOND_US);
    assert_int_equal(agenda_on_way(f->agenda), 1);
}

static void a_refused_token_leaves_the_tick_dirty(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    publish(f, MIDNIGHT + SECOND_US, 0, MIDNIGHT + SECOND_US);
    token_free(save(f->agenda));
    agenda_unsaved(f->agenda);
    assert_true(agenda_is_dirty(f->agenda));
    assert_false(is_due(f, MIDNIGHT + 2 * SECOND_US));
    store(f);
    publish(f, MIDNIGHT + 2 * SECOND_US, 0, MIDNIGHT + 2 * SECOND_US);
}

static void what_is_settled_while_a_token_is_on_its_way_is_not_stored_by_it(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    int64_t now_us = MIDNIGHT + 20 * SECOND_US;
    publish(f, now_us, 0, MIDNIGHT + SECOND_US);
    assert_true(is_due(f, now_us)); /* b's, on its way */
    token_free(save(f->agenda));
    agenda_settle(f->agenda, 1);
    agenda_saved(f->agenda);
    assert_true(agenda_is_dirty(f->agenda));
    publish(f, now_us, 0, MIDNIGHT + 2 * SECOND_US);
    assert_false(is_due(f, now_us)); /* b still waits */
}

static void a_successor_repeats_what_was_not_confirmed(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    int64_t now_us = MIDNIGHT + 10 * SECOND_US;
    publish(f, now_us, 0, MIDNIGHT + SECOND_US);
    assert_true(is_due(f, now_us)); /* b at ten, on its way */
    assert_false(is_due(f, now_us));
    struct agenda *next = successor(f, now_us);
    agenda_free(f->agenda);
    f->agenda = next;
    publish(f, now_us, 0, MIDNIGHT + 2 * SECOND_US);
    publish(f, now_us, 1, MIDNIGHT + 10 * SECOND_US);
}

static void at_rest_the_watermark_speaks_for_all(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    publish(f, MIDNIGHT + SECOND_US, 0, MIDNIGHT + SECOND_US);
    store(f);
    assert_false(is_due(f, MIDNIGHT + SECOND_US + 7));
    struct token *t = save(f->agenda);
    assert_true(t->watermark_us == MIDNIGHT + SECOND_US + 7);
    assert_true(t->entries[0].mark_us == TOKEN_NO_MARK);
    assert_true(t->entries[1].mark_us == TOKEN_NO_MARK);
    token_free(t);
}

static void a_freed_entry_is_not_covered_by_an_earlier_watermark(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    int64_t now_us = MIDNIGHT + 5 * SECOND_US;
    publish(f, now_us, 0, MIDNIGHT + SECOND_US);
    assert_false(is_due(f, now_us)); /* idle: the watermark is five, a's mark is one */
    store(f);
    /* a's ticks two to five are still to come, whoever leads */
    struct agenda *next = successor(f, now_us);
    agenda_free(f->agenda);
    f->agenda = next;
    publish(f, now_us, 0, MIDNIGHT + 2 * SECOND_US);
}

static void a_changed_entry_begins_anew_and_others_go_on(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    assert_false(is_due(f, MIDNIGHT + 1));
    struct token *t = save(f->agenda);
    f->entries[0].every_ms = 2000;
    agenda_free(f->agenda);
    assert_int_equal(agenda_new(f->entries, ENTRIES, &f->agenda), CONEY_OK);
    agenda_resume(f->agenda, t, MIDNIGHT + 15 * SECOND_US);
    token_free(t);
    publish(f, MIDNIGHT + 15 * SECOND_US, 1, MIDNIGHT + 10 * SECOND_US);
    assert_false(is_due(f, MIDNIGHT + 15 * SECOND_US));
    publish(f, MIDNIGHT + 16 * SECOND_US, 0, MIDNIGHT + 16 * SECOND_US);
}

static void what_one_knows_oneself_holds_against_an_older_token(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    struct token *old = save(f->agenda);
    publish(f, MIDNIGHT + SECOND_US, 0, MIDNIGHT + SECOND_US);
    agenda_suspend(f->agenda);
    token_sort(old);
    agenda_resume(f->agenda, old, MIDNIGHT + SECOND_US);
    token_free(old);
    assert_false(is_due(f, MIDNIGHT + SECOND_US));
}

static void a_failed_tick_comes_again_after_a_growing_pause(void **state)
{
    struct fixture *f = *state;
    static const int64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    int64_t now_ms = 0;

    f->entries[0].misfire = SCHEDULE_ALL;
    begin(f->agenda, MIDNIGHT);
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        int64_t now_us = MIDNIGHT + SECOND_US + now_ms * 1000;
        while (agenda_next(f->agenda, now_us, now_ms, &f->tick) == SCHEDULE_DUE &&
                f->tick.index == 1)
            agenda_settle(f->agenda, 1);
        assert_int_equal(f->tick.index, 0);
        assert_true(i > 6 || f->tick.at_us == MIDNIGHT + SECOND_US);
        assert_true(agenda_postpone(f->agenda, 0, now_ms) == pauses[i]);
        assert_true(agenda_retry_ms(f->agenda) == now_ms + pauses[i]);
        now_ms += pauses[i];
        assert_true(
                agenda_next(f->agenda, now_us, now_ms - 1, &f->tick) != SCHEDULE_DUE ||
                f->tick.index == 1);
    }
}

static void a_postponed_tick_falls_to_its_deadline(void **state)
{
    struct fixture *f = *state;
    f->entries[0].deadline_ms = 500;
    f->entries[0].every_ms = 5000;
    begin(f->agenda, MIDNIGHT);
    assert_true(is_due(f, MIDNIGHT + 5 * SECOND_US));
    agenda_postpone(f->agenda, 0, 0);
    assert_int_equal(agenda_next(f->agenda, MIDNIGHT + 6 * SECOND_US, 1000, &f->tick),
            SCHEDULE_DROPPED);
    assert_true(f->tick.dropped_us == MIDNIGHT + 5 * SECOND_US);
    assert_true(agenda_next_us(f->agenda) == MIDNIGHT + 10 * SECOND_US);
}

static void success_ends_the_growing_of_pauses(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    assert_true(is_due(f, MIDNIGHT + SECOND_US));
    assert_int_equal(agenda_postpone(f->agenda, 0, 0), 1000);
    assert_int_equal(agenda_next(f->agenda, MIDNIGHT + 2 * SECOND_US, 1000, &f->tick),
            SCHEDULE_DUE);
    agenda_settle(f->agenda, 0);
    store(f);
    assert_int_equal(agenda_next(f->agenda, MIDNIGHT + 2 * SECOND_US, 1000, &f->tick),
            SCHEDULE_DUE);
    assert_int_equal(agenda_postpone(f->agenda, 0, 1000), 1000);
}

static void a_clock_set_back_far_does_not_stop_the_schedule(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT + 24 * HOUR_US);
    publish(f, MIDNIGHT + 24 * HOUR_US + SECOND_US, 0,
            MIDNIGHT + 24 * HOUR_US + SECOND_US);
    assert_false(is_due(f, MIDNIGHT + 24 * HOUR_US + SECOND_US));
    assert_false(agenda_rewind(f->agenda, MIDNIGHT + 23 * HOUR_US + 2 * SECOND_US));
    assert_true(agenda_rewind(f->agenda, MIDNIGHT));
    assert_false(agenda_rewind(f->agenda, MIDNIGHT));
    assert_false(is_due(f, MIDNIGHT + 2 * SECOND_US)); /* a is not stored yet */
    store(f);
    assert_false(is_due(f, MIDNIGHT));
    agenda_suspend(f->agenda);
    struct token *t = save(f->agenda);
    assert_true(t->watermark_us <= MIDNIGHT + 2 * SECOND_US);
    token_free(t);
}

static void a_small_step_back_neither_repeats_nor_loses(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT);
    publish(f, MIDNIGHT + 5 * SECOND_US, 0, MIDNIGHT + SECOND_US);
    assert_false(is_due(f, MIDNIGHT + 5 * SECOND_US));
    store(f);
    /* the clock goes back to three: a's tick at two is due, those at four and five are
     * not */
    publish(f, MIDNIGHT + 3 * SECOND_US, 0, MIDNIGHT + 2 * SECOND_US);
    store(f);
    publish(f, MIDNIGHT + 3 * SECOND_US, 0, MIDNIGHT + 3 * SECOND_US);
    store(f);
    assert_false(is_due(f, MIDNIGHT + 3 * SECOND_US));
    struct agenda *next = successor(f, MIDNIGHT + 5 * SECOND_US);
    agenda_free(f->agenda);
    f->agenda = next;
    publish(f, MIDNIGHT + 5 * SECOND_US, 0, MIDNIGHT + 4 * SECOND_US);
}

static void small_steps_back_add_up(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT + 2 * HOUR_US);
    assert_false(is_due(f, MIDNIGHT + 2 * HOUR_US));
    assert_false(agenda_rewind(f->agenda, MIDNIGHT + HOUR_US + HOUR_US / 3));
    assert_false(is_due(f, MIDNIGHT + HOUR_US + HOUR_US / 3));
    assert_true(agenda_rewind(f->agenda, MIDNIGHT + HOUR_US / 2));
    publish(f, MIDNIGHT + HOUR_US / 2 + SECOND_US, 0, MIDNIGHT + HOUR_US / 2 + SECOND_US);
}

static void a_host_whose_clock_is_behind_forgets_no_mark(void **state)
{
    struct fixture *f = *state;
    const int64_t ten_us = MIDNIGHT + 10 * SECOND_US;

    begin(f->agenda, ten_us - SECOND_US);
    publish(f, ten_us, 0, ten_us);
    store(f);
    for (int i = 0; i < 2; i++) { /* from one such host to another */
        struct agenda *next = successor(f, ten_us - 500000);
        agenda_free(f->agenda);
        f->agenda = next;
        assert_false(is_due(f, ten_us - 400000));
    }
    assert_true(is_due(f, ten_us));
    assert_int_equal(f->tick.index, 1); /* which was not published */
    assert_false(is_due(f, ten_us));
}

static void a_mark_of_the_far_future_is_not_believed(void **state)
{
    struct fixture *f = *state;
    begin(f->agenda, MIDNIGHT + 24 * HOUR_US);
    assert_false(is_due(f, MIDNIGHT + 24 * HOUR_US));
    struct agenda *next = successor(f, MIDNIGHT);
    agenda_free(f->agenda);
    f->agenda = next;
    publish(f, MIDNIGHT + SECOND_US, 0, MIDNIGHT + SECOND_US);
}

static void every_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    for (unsigned n = 1;; n++) {
        struct agenda *a;
        test_fail_allocation(n);
        enum coney_rc rc = agenda_new(f->entries, ENTRIES, &a);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_true((rc == CONEY_OK) == (a != NULL));
        agenda_free(a);
        if (!failed)
            break;
        assert_int_equal(rc, CONEY_ENOMEM);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(a_new_entry_begins_when_it_is_first_seen),
            TEST(an_entry_waits_until_its_tick_is_stored),
            TEST(one_entry_does_not_wait_for_another),
            TEST(a_refused_token_leaves_the_tick_dirty),
            TEST(what_is_settled_while_a_token_is_on_its_way_is_not_stored_by_it),
            TEST(a_successor_repeats_what_was_not_confirmed),
            TEST(at_rest_the_watermark_speaks_for_all),
            TEST(a_freed_entry_is_not_covered_by_an_earlier_watermark),
            TEST(a_changed_entry_begins_anew_and_others_go_on),
            TEST(what_one_knows_oneself_holds_against_an_older_token),
            TEST(a_failed_tick_comes_again_after_a_growing_pause),
            TEST(a_postponed_tick_falls_to_its_deadline),
            TEST(success_ends_the_growing_of_pauses),
            TEST(a_clock_set_back_far_does_not_stop_the_schedule),
            TEST(a_small_step_back_neither_repeats_nor_loses),
            TEST(small_steps_back_add_up),
            TEST(a_host_whose_clock_is_behind_forgets_no_mark),
            TEST(a_mark_of_the_far_future_is_not_believed),
            TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
