/* SPDX-License-Identifier: MIT */
/* The steps of a job: stage after stage, each done once. */
#include "test.h"
#include "worker/job.h"

#include <stdlib.h>

static struct job *new_job(void)
{
    struct job *j = calloc(1, sizeof(*j));
    assert_non_null(j);
    TAILQ_INIT(&j->steps);
    return j;
}

static struct step *add(struct job *j, enum step_stage stage, enum step_role role)
{
    struct step *s = steps_add(j, stage, role);
    assert_non_null(s);
    return s;
}

static void a_job_without_steps_is_at_its_end(void **state)
{
    struct job *j = new_job();
    (void)state;
    assert_int_equal(steps_stage(j), STAGE_END);
    assert_false(steps_are_on_their_way(j));
    free(j);
}

static void stages_follow_each_other_whatever_was_added_first(void **state)
{
    struct job *j = new_job();
    (void)state;
    struct step *chord = add(j, STAGE_CHORD, STEP_RESULT);
    struct step *result = add(j, STAGE_RESULT, STEP_RESULT);
    struct step *first = add(j, STAGE_FOLLOW, STEP_FOLLOW_UP);
    struct step *second = add(j, STAGE_FOLLOW, STEP_SUCCESSOR);

    assert_int_equal(steps_stage(j), STAGE_FOLLOW);
    second->done = true;
    assert_int_equal(steps_stage(j), STAGE_FOLLOW);
    first->done = true;
    assert_int_equal(steps_stage(j), STAGE_RESULT);
    result->done = true;
    assert_int_equal(steps_stage(j), STAGE_CHORD);
    chord->done = true;
    assert_int_equal(steps_stage(j), STAGE_END);
    steps_clear(j);
    free(j);
}

static void a_step_that_is_taken_out_holds_up_nothing(void **state)
{
    struct job *j = new_job();
    (void)state;
    struct step *s = add(j, STAGE_FOLLOW, STEP_SUCCESSOR);
    add(j, STAGE_RESULT, STEP_RESULT);
    steps_remove(s);
    assert_int_equal(steps_stage(j), STAGE_RESULT);
    steps_clear(j);
    assert_int_equal(steps_stage(j), STAGE_END);
    free(j);
}

static void what_is_ours_and_what_a_message_named_take_different_channels(void **state)
{
    struct job *j = new_job();
    (void)state;
    assert_int_equal(add(j, STAGE_FOLLOW, STEP_SUCCESSOR)->out.channel, OUTLET_SETTLE);
    assert_int_equal(add(j, STAGE_FOLLOW, STEP_FOLLOW_UP)->out.channel, OUTLET_FOREIGN);
    assert_int_equal(add(j, STAGE_RESULT, STEP_RESULT)->out.channel, OUTLET_FOREIGN);
    steps_clear(j);
    free(j);
}

static void a_message_that_has_left_is_on_its_way(void **state)
{
    struct job *j = new_job();
    (void)state;
    struct step *s = add(j, STAGE_FOLLOW, STEP_SUCCESSOR);
    s->out.state = OUTGOING_SENT;
    assert_true(steps_are_on_their_way(j));
    steps_forget(j);
    assert_false(steps_are_on_their_way(j));
    free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_job_without_steps_is_at_its_end),
            cmocka_unit_test(stages_follow_each_other_whatever_was_added_first),
            cmocka_unit_test(a_step_that_is_taken_out_holds_up_nothing),
            cmocka_unit_test(
                    what_is_ours_and_what_a_message_named_take_different_channels),
            cmocka_unit_test(a_message_that_has_left_is_on_its_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
