/* SPDX-License-Identifier: MIT */
/* test_orphans.c - finding an orphan by its copy, and letting go of those that wait in
 * vain. */
#include "base/clock.h"
#include "test.h"
#include "worker/job.h"
#include "worker/orphans.h"

struct bench {
    struct task_request requests[3];
    struct job jobs[3];
    struct orphans *orphans;
};

static void bench_init(struct bench *b)
{
    static const char *const ids[] = {"a", "b", "a"};
    *b = (struct bench){.orphans = orphans_new()};
    for (int i = 0; i < 3; i++) {
        b->requests[i].id = ids[i];
        b->requests[i].retries = i == 2 ? 1 : 0;
        b->jobs[i].request = &b->requests[i];
        b->jobs[i].queue = "coney.high";
        assert_int_equal(orphans_add(b->orphans, &b->jobs[i]), CONEY_OK);
    }
}

static void bench_fini(struct bench *b)
{
    for (int i = 0; i < 3; i++)
        orphans_remove(b->orphans, &b->jobs[i]);
    assert_int_equal(orphans_count(b->orphans), 0);
    orphans_free(b->orphans);
}

static void a_copy_finds_its_orphan_by_id_retries_and_queue(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    assert_ptr_equal(orphans_find(b.orphans, "a", 0, "coney.high"), &b.jobs[0]);
    assert_ptr_equal(orphans_find(b.orphans, "a", 1, "coney.high"), &b.jobs[2]);
    assert_null(orphans_find(b.orphans, "a", 2, "coney.high"));
    assert_null(orphans_find(b.orphans, "a", 0, "coney.low"));
    bench_fini(&b);
}

static void a_second_orphan_of_the_same_key_is_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    struct job twin = {.request = &b.requests[0], .queue = "coney.high"};
    assert_int_equal(orphans_add(b.orphans, &twin), CONEY_EINVAL);
    assert_null(twin.orphan);
    bench_fini(&b);
}

static void only_finished_orphans_grow_old(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    assert_null(orphans_overdue(b.orphans, INT64_MAX - 1, 0));
    assert_int_equal(orphans_deadline_ms(b.orphans), CLOCK_NEVER);

    orphans_finished(b.orphans, &b.jobs[1], 100);
    orphans_finished(b.orphans, &b.jobs[0], 200);
    assert_int_equal(orphans_deadline_ms(b.orphans), 100);
    assert_null(orphans_overdue(b.orphans, 99, 10));
    assert_ptr_equal(orphans_overdue(b.orphans, 100, 10), &b.jobs[1]);
    /* One too many: the oldest goes, whatever the time. */
    assert_ptr_equal(orphans_overdue(b.orphans, 0, 1), &b.jobs[1]);
    orphans_remove(b.orphans, &b.jobs[1]);
    assert_null(orphans_overdue(b.orphans, 0, 1));
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_copy_finds_its_orphan_by_id_retries_and_queue),
            cmocka_unit_test(a_second_orphan_of_the_same_key_is_refused),
            cmocka_unit_test(only_finished_orphans_grow_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
