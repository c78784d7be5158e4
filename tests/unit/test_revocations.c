/* SPDX-License-Identifier: MIT */
/* test_revocations.c - what is revoked, for how long, and what is forgotten first. */
#include "test.h"
#include "worker/revocations.h"

#include <stdio.h>
#include <string.h>

static const struct revoked T1 = {.id = "t-1"};

static void add_kept(struct revocations *r, const struct revoked *what, int64_t kept_ms)
{
    const struct revoked_times times = {.until_ms = 100, .kept_ms = kept_ms};
    assert_int_equal(revocations_add(r, what, &times), CONEY_OK);
}

static void add(struct revocations *r, const char *id, int64_t now_ms, int64_t until_ms)
{
    const struct revoked what = {.id = id};
    const struct revoked_times times = {
            .now_ms = now_ms, .until_ms = until_ms, .kept_ms = REVOKED_NOT_KEPT};
    assert_int_equal(revocations_add(r, &what, &times), CONEY_OK);
}

static bool has(const struct revocations *r, const char *id, int64_t now_ms)
{
    const struct revoked what = {.id = id};
    return revocations_has(r, &what, now_ms);
}

static void a_revocation_holds_until_its_time(void **state)
{
    (void)state;
    struct revocations *r = revocations_new(10);
    assert_false(has(r, "t-1", 0));
    add(r, "t-1", 0, 100);
    assert_true(has(r, "t-1", 99));
    assert_false(has(r, "t-1", 100));
    assert_false(has(r, "t-2", 99));
    revocations_free(r);
}

static void what_comes_again_holds_longer_never_shorter(void **state)
{
    (void)state;
    struct revocations *r = revocations_new(10);
    add(r, "t-1", 0, 100);
    add(r, "t-1", 0, 50);
    assert_true(has(r, "t-1", 99));
    add(r, "t-1", 0, 200);
    assert_true(has(r, "t-1", 199));
    revocations_free(r);
}

static void the_first_added_goes_first(void **state)
{
    (void)state;
    struct revocations *r = revocations_new(3);
    char id[20];
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "t-%d", i);
        add(r, id, i, 1000);
    }
    assert_true(has(r, "t-99", 0) && has(r, "t-98", 0) && has(r, "t-97", 0));
    assert_false(has(r, "t-96", 0));
    revocations_set_max(r, 1);
    add(r, "t-100", 100, 1000);
    assert_true(has(r, "t-100", 0));
    assert_false(has(r, "t-99", 0));
    revocations_free(r);
}

static void when_the_broker_took_it_is_known(void **state)
{
    (void)state;
    struct revocations *r = revocations_new(10);
    add(r, "t-1", 0, 100);
    assert_false(revocations_is_kept(r, &T1, -1000));
    add_kept(r, &T1, 50);
    assert_true(revocations_is_kept(r, &T1, 50));
    assert_false(revocations_is_kept(r, &T1, 51));
    add(r, "t-1", 0, 100);
    add_kept(r, &T1, 20);
    assert_true(revocations_is_kept(r, &T1, 50));
    revocations_free(r);
}

static void a_stamp_is_no_id(void **state)
{
    (void)state;
    struct revocations *r = revocations_new(10);
    const struct revoked stamp = {.stamp = "tenant", .value = "acme"};
    const struct revoked other = {.stamp = "tenant", .value = "other"};
    const struct revoked id = {.id = "tenant"};
    assert_false(revocations_have_stamps(r));
    add_kept(r, &stamp, REVOKED_NOT_KEPT);
    assert_true(revocations_have_stamps(r));
    assert_true(revocations_has(r, &stamp, 0));
    assert_false(revocations_has(r, &other, 0));
    assert_false(revocations_has(r, &id, 0));
    revocations_set_max(r, 1);
    add(r, "t-1", 0, 100);
    assert_false(revocations_have_stamps(r));
    revocations_free(r);
}

static void collect(void *ctx, const char *id, int64_t since_ms)
{
    char *text = ctx;
    snprintf(text + strlen(text), 100 - strlen(text), "%s@%d ", id, (int)since_ms);
}

static void ids_are_listed_by_age(void **state)
{
    (void)state;
    char text[100] = "";
    struct revocations *r = revocations_new(10);
    const struct revoked stamp = {.stamp = "tenant", .value = "acme"};
    add(r, "t-2", 1, 100);
    add(r, "t-1", 2, 100);
    add(r, "t-0", 3, 10);
    add_kept(r, &stamp, REVOKED_NOT_KEPT);
    revocations_each_id(r, 50, collect, text);
    assert_string_equal(text, "t-2@1 t-1@2 ");
    revocations_free(r);
}

static void an_allocation_that_fails_changes_nothing(void **state)
{
    (void)state;
    const struct revoked_times times = {.until_ms = 100};
    struct revocations *r = revocations_new(10);
    test_fail_allocation(1);
    assert_int_equal(revocations_add(r, &T1, &times), CONEY_ENOMEM);
    test_fail_allocation(0);
    assert_false(has(r, "t-1", 0));
    add(r, "t-1", 0, 100);
    assert_true(has(r, "t-1", 0));
    revocations_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_revocation_holds_until_its_time),
            cmocka_unit_test(what_comes_again_holds_longer_never_shorter),
            cmocka_unit_test(the_first_added_goes_first),
            cmocka_unit_test(when_the_broker_took_it_is_known),
            cmocka_unit_test(a_stamp_is_no_id),
            cmocka_unit_test(ids_are_listed_by_age),
            cmocka_unit_test(an_allocation_that_fails_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
