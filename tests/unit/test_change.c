/* SPDX-License-Identifier: MIT */
/* test_change.c - queues come and go in a configuration in force. */
#include "config/change.h"
#include "unit/with_config.h"

#include <string.h>

static void a_queue_is_added_behind_the_others(void **state)
{
    (void)state;
    struct config *c = config_of("worker: {concurrency: 2}");
    assert_int_equal(c->queue_count, 3);
    assert_int_equal(config_add_queue(c, "extra", NULL), CONEY_OK);
    assert_int_equal(c->queue_count, 4);
    const struct queue_config *q = &c->queues[3];
    assert_string_equal(q->name, "extra");
    assert_int_equal(q->declare, DECLARE_PASSIVE);
    assert_true(q->foreign);
    assert_string_equal(c->classes[q->class_index].name, "default");
    assert_ptr_equal(config_queue(c, "extra"), q);
    assert_int_equal(config_add_queue(c, "coney.more", NULL), CONEY_OK);
    assert_false(c->queues[4].foreign);
    config_free(c);
}

static void a_queue_is_taken_out(void **state)
{
    (void)state;
    struct config *c = config_of("worker: {concurrency: 2}");
    assert_true(config_remove_queue(c, "coney.default"));
    assert_int_equal(c->queue_count, 2);
    assert_string_equal(c->queues[0].name, "coney.high");
    assert_string_equal(c->queues[1].name, "coney.low");
    assert_false(config_remove_queue(c, "coney.default"));
    config_free(c);
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    struct coney_error err;
    struct config *c = config_of("worker: {concurrency: 2}");
    assert_int_equal(config_add_queue(c, "", &err), CONEY_EINVAL);
    assert_int_equal(config_add_queue(c, "a.#", &err), CONEY_EINVAL);
    assert_int_equal(c->queue_count, 3);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_queue_is_added_behind_the_others),
            cmocka_unit_test(a_queue_is_taken_out),
            cmocka_unit_test(what_is_no_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
