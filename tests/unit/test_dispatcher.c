/* SPDX-License-Identifier: MIT */
/* test_dispatcher.c - the order of starts, by made-up jobs and times. */
#include "test.h"
#include "worker/dispatcher.h"

#include <string.h>

enum { HIGH, DEFAULT, LOW, CLASSES };

struct bench {
    struct class_config classes[CLASSES];
    struct queue_config queues[CLASSES + 1]; /* the last one is a second queue of low */
    struct config config;
    struct dispatcher *dispatcher;
};

static void bench_init(struct bench *b, enum priority_mode mode)
{
    static char names[][8] = {"high", "default", "low"};
    static const unsigned weights[] = {6, 3, 1};

    memset(b, 0, sizeof(*b));
    for (unsigned i = 0; i < CLASSES; i++) {
        b->classes[i] = (struct class_config){
                .name = names[i], .weight = weights[i], .ageing_ms = CONFIG_NONE};
        b->queues[i].class_index = i;
    }
    b->queues[CLASSES].class_index = LOW;
    b->config.classes = b->classes;
    b->config.class_count = CLASSES;
    b->config.queues = b->queues;
    b->config.queue_count = CLASSES + 1;
    b->config.worker.priority = mode;
}

static void bench_start(struct bench *b, unsigned runners)
{
    b->dispatcher = dispatcher_new(&b->config, runners);
    assert_non_null(b->dispatcher);
}

static void fill(
        struct bench *b, struct ready *jobs, size_t count, unsigned queue, int64_t now)
{
    for (size_t i = 0; i < count; i++)
        dispatcher_add(b->dispatcher, &jobs[i], queue, now);
}

static void strict_starts_no_low_before_high_is_empty(void **state)
{
    (void)state;
    struct bench b;
    struct ready high[100], low[100];
    bench_init(&b, PRIORITY_STRICT);
    bench_start(&b, 4);
    fill(&b, low, 100, LOW, 0);
    fill(&b, high, 100, HIGH, 0);

    for (int i = 0; i < 200; i++) {
        struct ready *r = dispatcher_next(b.dispatcher, 1, 0);
        assert_non_null(r);
        assert_int_equal(r->class_index, i < 100 ? HIGH : LOW);
        dispatcher_finished(b.dispatcher, r->class_index);
    }
    assert_null(dispatcher_next(b.dispatcher, 1, 0));
    dispatcher_free(b.dispatcher);
}

static void weighted_shares_hold_in_every_window_of_a_thousand(void **state)
{
    (void)state;
    enum { STARTS = 5000, WINDOW = 1000 };
    static const unsigned expected[] = {600, 300, 100};
    static unsigned char started[STARTS];
    struct bench b;
    struct ready jobs[CLASSES][2];
    bench_init(&b, PRIORITY_WEIGHTED);
    bench_start(&b, 8);
    for (unsigned c = 0; c < CLASSES; c++)
        fill(&b, jobs[c], 2, c, 0);

    unsigned counts[CLASSES] = {0};
    for (int i = 0; i < STARTS; i++) {
        struct ready *r = dispatcher_next(b.dispatcher, 1, 0);
        started[i] = (unsigned char)r->class_index;
        counts[r->class_index]++;
        if (i >= WINDOW)
            counts[started[i - WINDOW]]--;
        for (unsigned c = 0; i >= WINDOW - 1 && c < CLASSES; c++)
            assert_in_range(counts[c], expected[c] * 95 / 100, expected[c] * 105 / 100);
        dispatcher_finished(b.dispatcher, r->class_index);
        dispatcher_add(b.dispatcher, r, r->queue_index, i);
    }
    dispatcher_free(b.dispatcher);
}

static void a_class_that_was_empty_saves_no_starts(void **state)
{
    (void)state;
    struct bench b;
    struct ready high[50], low[100];
    bench_init(&b, PRIORITY_WEIGHTED);
    bench_start(&b, 8);
    fill(&b, low, 100, LOW, 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(dispatcher_next(b.dispatcher, 1, 0)->class_index, LOW);
    fill(&b, high, 50, HIGH, 0);

    unsigned low_started = 0;
    for (int i = 0; i < 14; i++)
        low_started += dispatcher_next(b.dispatcher, 1, 0)->class_index == LOW;
    assert_int_equal(low_started, 2);
    dispatcher_free(b.dispatcher);
}

static void queues_of_a_class_take_turns(void **state)
{
    (void)state;
    struct bench b;
    struct ready first[10], second[10];
    bench_init(&b, PRIORITY_STRICT);
    bench_start(&b, 4);
    fill(&b, first, 10, LOW, 0);
    fill(&b, second, 10, CLASSES, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(dispatcher_next(b.dispatcher, 1, 0)->queue_index,
                i % 2 == 0 ? LOW : CLASSES);
    dispatcher_free(b.dispatcher);
}

static void reserve_keeps_a_runner_for_high(void **state)
{
    (void)state;
    struct bench b;
    struct ready high[2], low[100];
    bench_init(&b, PRIORITY_WEIGHTED);
    b.classes[HIGH].reserve = 1;
    bench_start(&b, 8);
    fill(&b, low, 100, LOW, 0);

    unsigned free = 8;
    while (dispatcher_next(b.dispatcher, free, 0))
        free--;
    assert_int_equal(free, 1);
    fill(&b, high, 2, HIGH, 0);
    assert_ptr_equal(dispatcher_next(b.dispatcher, free, 0), &high[0]);
    dispatcher_free(b.dispatcher);
}

static void a_reserve_never_takes_the_last_runner(void **state)
{
    (void)state;
    struct bench b;
    struct ready low;
    bench_init(&b, PRIORITY_STRICT);
    b.classes[HIGH].reserve = 5;
    bench_start(&b, 1);
    fill(&b, &low, 1, LOW, 0);
    assert_ptr_equal(dispatcher_next(b.dispatcher, 1, 0), &low);
    dispatcher_free(b.dispatcher);
}

static void max_running_caps_a_class(void **state)
{
    (void)state;
    struct bench b;
    struct ready low[10];
    bench_init(&b, PRIORITY_STRICT);
    b.classes[LOW].max_running = 4;
    bench_start(&b, 8);
    fill(&b, low, 10, LOW, 0);
    for (int i = 0; i < 4; i++)
        assert_non_null(dispatcher_next(b.dispatcher, 8, 0));
    assert_null(dispatcher_next(b.dispatcher, 4, 0));
    dispatcher_finished(b.dispatcher, LOW);
    assert_non_null(dispatcher_next(b.dispatcher, 5, 0));
    dispatcher_free(b.dispatcher);
}

static void ageing_lets_low_through_one_class_a_period(void **state)
{
    (void)state;
    struct bench b;
    struct ready high[10], normal[10], low[2];
    bench_init(&b, PRIORITY_STRICT);
    b.classes[LOW].ageing_ms = 1000;
    bench_start(&b, 4);
    fill(&b, low, 2, LOW, 0);
    fill(&b, normal, 10, DEFAULT, 0);
    fill(&b, high, 10, HIGH, 0);

    assert_int_equal(dispatcher_next(b.dispatcher, 4, 999)->class_index, HIGH);
    /* As default: still behind high. */
    assert_int_equal(dispatcher_next(b.dispatcher, 4, 1000)->class_index, HIGH);
    for (int i = 0; i < 8; i++)
        dispatcher_next(b.dispatcher, 4, 1000);
    assert_ptr_equal(dispatcher_next(b.dispatcher, 4, 1000), &low[0]);
    /* As high. */
    assert_ptr_equal(dispatcher_next(b.dispatcher, 4, 2000), &low[1]);
    dispatcher_free(b.dispatcher);
}

static void a_removed_job_is_not_started(void **state)
{
    (void)state;
    struct bench b;
    struct ready jobs[3];
    bench_init(&b, PRIORITY_STRICT);
    bench_start(&b, 4);
    fill(&b, jobs, 3, LOW, 0);
    dispatcher_remove(b.dispatcher, &jobs[0]);
    dispatcher_remove(b.dispatcher, &jobs[2]);
    assert_int_equal(dispatcher_ready_count(b.dispatcher), 1);
    assert_ptr_equal(dispatcher_next(b.dispatcher, 1, 0), &jobs[1]);
    assert_null(dispatcher_any(b.dispatcher));
    dispatcher_free(b.dispatcher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(strict_starts_no_low_before_high_is_empty),
            cmocka_unit_test(weighted_shares_hold_in_every_window_of_a_thousand),
            cmocka_unit_test(a_class_that_was_empty_saves_no_starts),
            cmocka_unit_test(queues_of_a_class_take_turns),
            cmocka_unit_test(reserve_keeps_a_runner_for_high),
            cmocka_unit_test(a_reserve_never_takes_the_last_runner),
            cmocka_unit_test(max_running_caps_a_class),
            cmocka_unit_test(ageing_lets_low_through_one_class_a_period),
            cmocka_unit_test(a_removed_job_is_not_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
