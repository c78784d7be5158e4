/* SPDX-License-Identifier: MIT */
/* test_consequence.c - what follows from each outcome, policy and count of retries. */
#include "test.h"
#include "worker/consequence.h"

static char sms_error[] = "SmsError";
static char *types[] = {sms_error};

static struct consequence decide(
        enum outcome_kind kind, const struct retry_policy *policy, int64_t retries)
{
    struct rng rng;
    rng_seed(&rng, 1);
    const struct outcome o = {.kind = kind,
            .error_type = "SmsError",
            .error_text = "503",
            .delay_ms = -1,
            .max_retries = -1};
    return consequence_of(&o, policy, retries, &rng);
}

static const struct retry_policy three = {
        .max = 3, .base_ms = 1000, .factor = 2, .cap_ms = 600000, .jitter = JITTER_NONE};
static const struct retry_policy never = {
        .max = 0, .base_ms = 1000, .factor = 2, .cap_ms = 600000, .jitter = JITTER_NONE};

static void a_failure_is_retried_as_often_as_the_policy_says(void **state)
{
    (void)state;
    for (int64_t retries = 0; retries < 3; retries++) {
        struct consequence c = decide(OUTCOME_FAIL, &three, retries);
        assert_int_equal(c.kind, CONSEQUENCE_RETRY);
        assert_int_equal(c.delay_ms, 1000 << retries);
    }
    struct consequence c = decide(OUTCOME_FAIL, &three, 3);
    assert_int_equal(c.kind, CONSEQUENCE_DEAD);
    assert_int_equal(c.reason, DEAD_MAX_RETRIES);
}

static void without_retries_the_reason_is_the_failure_itself(void **state)
{
    (void)state;
    assert_int_equal(decide(OUTCOME_FAIL, &never, 0).reason, DEAD_FAILED);
    assert_int_equal(decide(OUTCOME_RETRY, &never, 0).reason, DEAD_MAX_RETRIES);
}

static void a_crash_and_a_timeout_keep_their_reason_to_the_end(void **state)
{
    (void)state;
    assert_int_equal(decide(OUTCOME_CRASHED, &three, 2).kind, CONSEQUENCE_RETRY);
    assert_int_equal(decide(OUTCOME_CRASHED, &three, 3).reason, DEAD_CRASHED);
    assert_int_equal(decide(OUTCOME_TIMED_OUT, &three, 3).reason, DEAD_TIMED_OUT);
}

static void a_type_that_is_not_to_be_retried_is_dead_at_once(void **state)
{
    (void)state;
    struct retry_policy policy = three;
    policy.not_on = (struct string_list){.items = types, .count = 1};
    struct consequence c = decide(OUTCOME_FAIL, &policy, 0);
    assert_int_equal(c.kind, CONSEQUENCE_DEAD);
    assert_int_equal(c.reason, DEAD_FAILED);
    /* But a task that asks for a retry gets it. */
    assert_int_equal(decide(OUTCOME_RETRY, &policy, 0).kind, CONSEQUENCE_RETRY);
}

static void a_task_may_choose_its_delay(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct outcome o = {
            .kind = OUTCOME_RETRY, .error_type = "X", .delay_ms = 77, .max_retries = -1};
    assert_int_equal(consequence_of(&o, &three, 0, &rng).delay_ms, 77);
    o.kind = OUTCOME_FAIL;
    assert_int_equal(consequence_of(&o, &three, 0, &rng).delay_ms, 1000);
}

static void a_task_may_know_its_limit_better_than_the_policy(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    struct outcome o = {
            .kind = OUTCOME_RETRY, .error_type = "X", .delay_ms = 77, .max_retries = 5};
    assert_int_equal(consequence_of(&o, &three, 4, &rng).kind, CONSEQUENCE_RETRY);
    assert_int_equal(consequence_of(&o, &three, 5, &rng).reason, DEAD_MAX_RETRIES);
    o.kind = OUTCOME_FAIL;
    o.max_retries = 0;
    assert_int_equal(consequence_of(&o, &three, 0, &rng).kind, CONSEQUENCE_DEAD);
    assert_int_equal(consequence_of(&o, &three, 0, &rng).reason, DEAD_FAILED);
}

static void the_others_are_what_they_say(void **state)
{
    (void)state;
    assert_int_equal(decide(OUTCOME_SUCCESS, &three, 9).kind, CONSEQUENCE_DONE);
    assert_int_equal(decide(OUTCOME_IGNORE, &three, 9).kind, CONSEQUENCE_IGNORED);
    assert_int_equal(decide(OUTCOME_REJECT, &three, 0).reason, DEAD_REJECTED);
    assert_int_equal(decide(OUTCOME_STOPPED, &three, 0).kind, CONSEQUENCE_RETURN);
    assert_int_equal(decide(OUTCOME_REQUEUE, &three, 3).kind, CONSEQUENCE_PUT_BACK);
    assert_int_equal(decide(OUTCOME_UNKNOWN, &three, 0).kind, CONSEQUENCE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_failure_is_retried_as_often_as_the_policy_says),
            cmocka_unit_test(without_retries_the_reason_is_the_failure_itself),
            cmocka_unit_test(a_crash_and_a_timeout_keep_their_reason_to_the_end),
            cmocka_unit_test(a_type_that_is_not_to_be_retried_is_dead_at_once),
            cmocka_unit_test(a_task_may_choose_its_delay),
            cmocka_unit_test(a_task_may_know_its_limit_better_than_the_policy),
            cmocka_unit_test(the_others_are_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
