/* SPDX-License-Identifier: MIT */
/* test_admission.c - what happens to a task that has just arrived. */
#include "test.h"
#include "worker/admission.h"

#define NOW_US (INT64_C(1800000000) * 1000000)
#define SECOND INT64_C(1000000)

struct bench {
    struct task_request request;
    struct table headers;
    struct arena *arena;
    struct admission_facts facts;
};

static void bench_init(struct bench *b)
{
    *b = (struct bench){.arena = arena_new(0)};
    assert_non_null(b->arena);
    b->request.eta_us = TASK_NO_TIME;
    b->request.expires_us = TASK_NO_TIME;
    b->facts = (struct admission_facts){
            .request = &b->request,
            .headers = &b->headers,
            .known = true,
            .unknown_task_ttl_ms = 600000,
            .now_us = NOW_US,
    };
}

static void a_known_task_starts(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    assert_int_equal(admission_decide(&b.facts).kind, ADMIT_START);
    b.request.eta_us = NOW_US;
    b.request.expires_us = NOW_US + 1;
    assert_int_equal(admission_decide(&b.facts).kind, ADMIT_START);
    arena_free(b.arena);
}

static void a_task_is_never_early(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.request.eta_us = NOW_US + 1;
    struct admission_verdict v = admission_decide(&b.facts);
    assert_int_equal(v.kind, ADMIT_LATER);
    assert_int_equal(v.until_us, NOW_US + 1);
    arena_free(b.arena);
}

static void an_expired_task_does_not_wait_for_its_time(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.request.expires_us = NOW_US;
    b.request.eta_us = NOW_US + SECOND;
    assert_int_equal(admission_decide(&b.facts).kind, ADMIT_EXPIRED);
    arena_free(b.arena);
}

static void an_unknown_task_waits_longer_each_time(void **state)
{
    (void)state;
    static const int64_t waits[] = {2, 4, 8, 16, 32, 60, 60, 60};
    struct bench b;
    bench_init(&b);
    b.facts.known = false;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        struct admission_verdict v = admission_decide(&b.facts);
        assert_int_equal(v.kind, ADMIT_UNKNOWN);
        assert_int_equal(v.until_us - b.facts.now_us, waits[i] * SECOND);
        assert_int_equal(v.unknown_since_ms, NOW_US / 1000);
        assert_int_equal(table_set_integer(&b.headers, b.arena, HEADER_UNKNOWN_SINCE,
                                 v.unknown_since_ms),
                CONEY_OK);
        assert_int_equal(table_set_integer(&b.headers, b.arena, HEADER_UNKNOWN_COUNT,
                                 v.unknown_count),
                CONEY_OK);
        b.facts.now_us = v.until_us;
    }
    b.facts.now_us = NOW_US + 600 * SECOND;
    assert_int_equal(admission_decide(&b.facts).kind, ADMIT_NOBODY);
    arena_free(b.arena);
}

static void hostile_counts_do_no_harm(void **state)
{
    (void)state;
    static const int64_t counts[] = {-1, INT64_MIN, INT64_MAX, 63, 64};
    struct bench b;
    bench_init(&b);
    b.facts.known = false;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        assert_int_equal(
                table_set_integer(&b.headers, b.arena, HEADER_UNKNOWN_COUNT, counts[i]),
                CONEY_OK);
        struct admission_verdict v = admission_decide(&b.facts);
        assert_int_equal(v.kind, ADMIT_UNKNOWN);
        assert_in_range(v.until_us - NOW_US, 2 * SECOND, 60 * SECOND);
    }
    arena_free(b.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_known_task_starts),
            cmocka_unit_test(a_task_is_never_early),
            cmocka_unit_test(an_expired_task_does_not_wait_for_its_time),
            cmocka_unit_test(an_unknown_task_waits_longer_each_time),
            cmocka_unit_test(hostile_counts_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
