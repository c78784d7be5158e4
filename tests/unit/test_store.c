/* SPDX-License-Identifier: MIT */
/* test_store.c - requests through outages, with a backend of the test's and its clock. */
#include "base/clock.h"
#include "base/error.h"
#include "test.h"
#include "worker/store.h"

#include <stdlib.h>

enum { MAX = 16 };

/* A backend that keeps what it is given until the test answers. */
struct backend {
    struct store_backend base;
    struct store_request *sent[MAX];
    size_t count;
    enum coney_rc rc; /* of the next send */
    bool *freed;
};

struct fixture {
    struct store *store;
    struct backend *backend;
    struct store_request requests[MAX];
    char outcomes[MAX + 1]; /* a letter for each that has ended, in order */
    unsigned ended;
    struct fixture *again; /* submit the request once more when it ends */
    bool freed;
};

static enum coney_rc keep(
        struct store_backend *base, struct store_request *q, int64_t now)
{
    struct backend *b = (struct backend *)(void *)base;
    (void)now;
    if (b->rc == CONEY_OK)
        b->sent[b->count++] = q;
    return b->rc;
}

static void free_backend(struct store_backend *base)
{
    struct backend *b = (struct backend *)(void *)base;
    *b->freed = true;
    free(b);
}

static void on_done(void *ctx, struct store_request *q, enum store_outcome outcome)
{
    struct fixture *f = ctx;
    static const char letters[] = {
            [STORE_DONE] = 'd', [STORE_REFUSED] = 'r', [STORE_GIVEN_UP] = 'g'};
    assert_int_equal(q->state, STORE_IDLE);
    f->outcomes[f->ended++] = letters[outcome];
    if (f->again) {
        f->again = NULL;
        store_submit(f->store, q, 0);
    }
}

static struct store *open_store(struct fixture *f, enum when_down when_down)
{
    static const struct store_backend_ops ops = {.send = keep, .free = free_backend};
    const struct store_options options = {.when_down = when_down, .retry_for_ms = 1000};
    struct store *s = store_new(&options);
    f->backend = calloc(1, sizeof(*f->backend));
    f->backend->base.ops = &ops;
    f->backend->freed = &f->freed;
    store_set_backend(s, &f->backend->base);
    return s;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    for (size_t i = 0; i < MAX; i++) {
        store_request_init(&f->requests[i], STORE_META);
        f->requests[i].on_done = on_done;
        f->requests[i].ctx = f;
    }
    f->store = open_store(f, DOWN_ACK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    assert_true(f->freed);
    for (size_t i = 0; i < MAX; i++)
        store_request_fini(&f->requests[i]);
    free(f);
    return 0;
}

static void go_down(struct fixture *f, int64_t now_ms)
{
    struct coney_error why;
    error_set(&why, CONEY_EIO, "gone");
    store_is_down(f->store, &why, now_ms);
}

static void answer(struct fixture *f, enum store_verdict verdict, int64_t now_ms)
{
    struct store_request *q = f->backend->sent[0];
    assert_true(f->backend->count > 0);
    f->backend->count--;
    for (size_t i = 0; i < f->backend->count; i++)
        f->backend->sent[i] = f->backend->sent[i + 1];
    store_answered(f->store, q, verdict, now_ms);
}

/* All that is on its way is lost with the connection. */
static void lose_all(struct fixture *f, int64_t now_ms)
{
    while (f->backend->count > 0)
        answer(f, VERDICT_LOST, now_ms);
    go_down(f, now_ms);
}

static bool submit(struct fixture *f, size_t index, int64_t now_ms)
{
    return store_submit(f->store, &f->requests[index], now_ms);
}

/* --- while all is well ---------------------------------------------------------------
 */

static void requests_go_out_at_once_and_end_as_answered(void **state)
{
    struct fixture *f = *state;
    store_is_up(f->store, "here", 0);
    assert_true(submit(f, 0, 0));
    assert_true(submit(f, 1, 0));
    assert_int_equal(f->backend->count, 2);
    assert_int_equal(store_pending(f->store), 2);
    answer(f, VERDICT_DONE, 1);
    answer(f, VERDICT_REFUSED, 1);
    assert_string_equal(f->outcomes, "dr");
    assert_int_equal(store_pending(f->store), 0);
    assert_int_equal(store_deadline_ms(f->store), CLOCK_NEVER);
}

static void a_full_backend_gets_the_rest_when_it_has_answered(void **state)
{
    struct fixture *f = *state;
    store_is_up(f->store, "here", 0);
    assert_true(submit(f, 0, 0));
    f->backend->rc = CONEY_ELIMIT;
    assert_true(submit(f, 1, 0));
    f->backend->rc = CONEY_OK;
    assert_true(submit(f, 2, 0)); /* behind the one that waits */
    assert_int_equal(f->backend->count, 1);
    answer(f, VERDICT_DONE, 0);
    assert_int_equal(f->backend->count, 2);
    assert_ptr_equal(f->backend->sent[0], &f->requests[1]);
}

static void a_request_may_be_submitted_by_its_own_end(void **state)
{
    struct fixture *f = *state;
    store_is_up(f->store, "here", 0);
    f->again = f;
    assert_true(submit(f, 0, 0));
    answer(f, VERDICT_DONE, 0);
    answer(f, VERDICT_DONE, 0);
    assert_string_equal(f->outcomes, "dd");
}

/* --- outages -------------------------------------------------------------------------
 */

static void what_is_lost_goes_out_again(void **state)
{
    struct fixture *f = *state;
    store_is_up(f->store, "here", 0);
    for (size_t i = 0; i < 3; i++)
        assert_true(submit(f, i, 0));
    answer(f, VERDICT_DONE, 1);
    lose_all(f, 2);
    assert_true(submit(f, 3, 3));
    assert_string_equal(f->outcomes, "d");
    store_is_up(f->store, "here", 100);
    assert_int_equal(f->backend->count, 3);
    for (int i = 0; i < 3; i++)
        answer(f, VERDICT_DONE, 101);
    assert_string_equal(f->outcomes, "dddd");
    assert_int_equal(store_deadline_ms(f->store), CLOCK_NEVER);
}

static void the_time_runs_from_the_oldest_request_that_has_no_answer(void **state)
{
    struct fixture *f = *state;
    store_is_up(f->store, "here", 0);
    assert_true(submit(f, 0, 500));
    lose_all(f, 900); /* it hung for 400 ms before anybody knew */
    assert_int_equal(store_deadline_ms(f->store), 1500);
}

static void ack_gives_up_what_waits_and_then_what_comes(void **state)
{
    struct fixture *f = *state;
    go_down(f, 0);
    assert_true(submit(f, 0, 10));
    store_tick(f->store, 999);
    assert_string_equal(f->outcomes, "");
    store_tick(f->store, 1000);
    assert_string_equal(f->outcomes, "g");
    assert_false(submit(f, 1, 1001));
    assert_string_equal(f->outcomes, "g");
    go_down(f, 2000); /* each further attempt is the same outage */
    assert_int_equal(store_deadline_ms(f->store), CLOCK_NEVER);
    store_is_up(f->store, "here", 3000);
    assert_true(submit(f, 2, 3001));
    answer(f, VERDICT_DONE, 3002);
    assert_string_equal(f->outcomes, "gd");
}

static void hold_keeps_everything(void **state)
{
    struct fixture *f = *state;
    store_free(f->store);
    f->store = open_store(f, DOWN_HOLD);
    go_down(f, 0);
    assert_true(submit(f, 0, 10));
    store_tick(f->store, 1000);
    assert_true(submit(f, 1, 5000));
    assert_string_equal(f->outcomes, "");
    store_is_up(f->store, "here", 100000);
    answer(f, VERDICT_DONE, 100001);
    answer(f, VERDICT_DONE, 100001);
    assert_string_equal(f->outcomes, "dd");
}

/* It takes logins, and no writes: the outage goes on, however often it comes up. */
static void a_server_that_is_up_and_of_no_use_is_down(void **state)
{
    struct fixture *f = *state;
    store_is_up(f->store, "here", 0);
    assert_true(submit(f, 0, 0));
    for (int64_t now_ms = 100; now_ms < 1000; now_ms += 100) {
        lose_all(f, now_ms);
        store_is_up(f->store, "here", now_ms + 50);
        assert_int_equal(f->backend->count, 1);
        assert_int_equal(store_deadline_ms(f->store), 1000);
    }
    answer(f, VERDICT_LOST, 999);
    go_down(f, 999);
    store_tick(f->store, 1000);
    assert_string_equal(f->outcomes, "g");
    store_is_up(f->store, "here", 1100);
    assert_true(submit(f, 1, 1200));
    answer(f, VERDICT_LOST, 1201); /* nobody waits for it any more */
    assert_string_equal(f->outcomes, "gg");
}

static void what_is_of_no_use_later_is_never_kept(void **state)
{
    struct fixture *f = *state;
    f->requests[0].fleeting = true;
    assert_false(submit(f, 0, 0));
    store_is_up(f->store, "here", 0);
    assert_true(submit(f, 0, 0));
    answer(f, VERDICT_LOST, 0);
    assert_string_equal(f->outcomes, "g");
}

/* --- taking back ---------------------------------------------------------------------
 */

static void what_waits_can_be_taken_back_and_what_has_left_cannot(void **state)
{
    struct fixture *f = *state;
    assert_true(submit(f, 0, 0));
    assert_true(store_withdraw(f->store, &f->requests[0]));
    store_is_up(f->store, "here", 0);
    assert_int_equal(f->backend->count, 0);
    assert_true(submit(f, 0, 0));
    assert_false(store_withdraw(f->store, &f->requests[0]));
    answer(f, VERDICT_DONE, 0);
    assert_string_equal(f->outcomes, "d");
}

static void another_store_takes_over_what_is_not_done(void **state)
{
    struct fixture *f = *state;
    store_is_up(f->store, "here", 0);
    assert_true(submit(f, 0, 0));
    f->backend->rc = CONEY_ELIMIT;
    assert_true(submit(f, 1, 0));
    struct store *old = f->store;
    f->store = open_store(f, DOWN_ACK);
    store_move(old, f->store, 0);
    store_free(old);
    assert_true(f->freed);
    f->freed = false;
    assert_int_equal(store_pending(f->store), 2);
    store_is_up(f->store, "there", 0);
    assert_ptr_equal(f->backend->sent[0], &f->requests[0]);
    answer(f, VERDICT_DONE, 0);
    answer(f, VERDICT_DONE, 0);
    assert_string_equal(f->outcomes, "dd");
}

static void all_of_it_can_be_given_up(void **state)
{
    struct fixture *f = *state;
    store_is_up(f->store, "here", 0);
    assert_true(submit(f, 0, 0));
    f->backend->rc = CONEY_ELIMIT;
    assert_true(submit(f, 1, 0));
    store_give_up(f->store);
    assert_string_equal(f->outcomes, "gg");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                    requests_go_out_at_once_and_end_as_answered, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_full_backend_gets_the_rest_when_it_has_answered, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_request_may_be_submitted_by_its_own_end, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    what_is_lost_goes_out_again, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    the_time_runs_from_the_oldest_request_that_has_no_answer, set_up,
                    tear_down),
            cmocka_unit_test_setup_teardown(
                    ack_gives_up_what_waits_and_then_what_comes, set_up, tear_down),
            cmocka_unit_test_setup_teardown(hold_keeps_everything, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    a_server_that_is_up_and_of_no_use_is_down, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    what_is_of_no_use_later_is_never_kept, set_up, tear_down),
            cmocka_unit_test_setup_teardown(
                    what_waits_can_be_taken_back_and_what_has_left_cannot, set_up,
                    tear_down),
            cmocka_unit_test_setup_teardown(
                    another_store_takes_over_what_is_not_done, set_up, tear_down),
            cmocka_unit_test_setup_teardown(all_of_it_can_be_given_up, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
