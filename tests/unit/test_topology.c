/* SPDX-License-Identifier: MIT */
/* test_topology.c - the list of broker objects and each one's exact arguments. */
#include "queue/names.h"
#include "queue/topology.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text(const char *literal)
{
    return strdup(literal);
}

static struct queue_config queues[] = {
        {.declare = DECLARE_ACTIVE, .type = QUEUE_QUORUM},
        {.declare = DECLARE_ACTIVE, .type = QUEUE_CLASSIC, .max_priority = 10},
        {.declare = DECLARE_PASSIVE, .type = QUEUE_QUORUM, .foreign = true},
};
static struct config config;

static int setup(void **state)
{
    (void)state;
    queues[0].name = text("coney.high");
    queues[1].name = text("coney.low");
    queues[2].name = text("notifications");
    config = (struct config){.queues = queues, .queue_count = 3};
    config.broker.prefix = text("coney");
    config.broker.declare = DECLARE_ACTIVE;
    config.broker.queue_type = QUEUE_QUORUM;
    config.beat.name = text("main");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        free(queues[i].name);
    free(config.broker.prefix);
    free(config.beat.name);
    return 0;
}

static struct topology *make(unsigned parts)
{
    struct topology *t = NULL;
    struct coney_error err;
    assert_int_equal(topology_new(&config, parts, &t, &err), CONEY_OK);
    return t;
}

static const struct declaration *find(
        const struct topology *t, enum declaration_kind kind, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->items[i].kind == kind && strcmp(t->items[i].name, name) == 0)
            return &t->items[i];
    return NULL;
}

static const struct declaration *find_binding(const struct topology *t,
        enum declaration_kind kind, const char *name, const char *source)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct declaration *d = &t->items[i];
        if (d->kind == kind && strcmp(d->name, name) == 0 &&
                strcmp(d->source, source) == 0)
            return d;
    }
    return NULL;
}

static void assert_text(const struct declaration *d, const char *key, const char *value)
{
    struct bytes found = table_text(&d->arguments, key);
    assert_non_null(found.data);
    assert_string_equal(found.data, value);
}

static void assert_integer(const struct declaration *d, const char *key, int64_t value)
{
    int64_t found;
    assert_true(table_integer(&d->arguments, key, &found));
    assert_int_equal(found, value);
}

static void a_task_queue_has_the_arguments_of_the_design(void **state)
{
    (void)state;
    struct topology *t = make(TOPOLOGY_TASKS);
    const struct declaration *d = find(t, DECLARE_QUEUE, "coney.high");
    assert_non_null(d);
    assert_int_equal(d->arguments.count, 5);
    assert_text(d, "x-queue-type", "quorum");
    assert_text(d, "x-dead-letter-exchange", "coney.dlx");
    assert_text(d, "x-dead-letter-strategy", "at-least-once");
    assert_text(d, "x-overflow", "reject-publish");
    assert_integer(d, "x-delivery-limit", 1000);

    const struct declaration *b =
            find_binding(t, BIND_QUEUE, "coney.high", "coney.v1.delayed");
    assert_non_null(b);
    char key[AMQP_NAME_SIZE];
    assert_int_equal(delay_binding("coney.high", key), CONEY_OK);
    assert_string_equal(b->key, key);
    topology_free(t);
}

static void a_classic_queue_has_no_argument_of_a_quorum_queue(void **state)
{
    (void)state;
    struct topology *t = make(TOPOLOGY_TASKS);
    const struct declaration *d = find(t, DECLARE_QUEUE, "coney.low");
    assert_int_equal(d->arguments.count, 4);
    assert_text(d, "x-queue-type", "classic");
    assert_text(d, "x-dead-letter-exchange", "coney.dlx");
    assert_text(d, "x-overflow", "reject-publish");
    assert_integer(d, "x-max-priority", 10);
    topology_free(t);
}

static void a_passive_queue_is_bound_all_the_same(void **state)
{
    (void)state;
    struct topology *t = make(TOPOLOGY_TASKS);
    assert_int_equal(find(t, DECLARE_QUEUE, "notifications")->mode, DECLARE_PASSIVE);
    assert_int_equal(find(t, DECLARE_QUEUE, "coney.high")->mode, DECLARE_ACTIVE);
    assert_non_null(find_binding(t, BIND_QUEUE, "notifications", "coney.v1.delayed"));
    topology_free(t);
}

static void a_level_holds_for_a_power_of_two_and_hands_on_downwards(void **state)
{
    (void)state;
    struct topology *t = make(TOPOLOGY_TASKS);
    for (unsigned level = 0; level < DELAY_LEVELS; level++) {
        char name[AMQP_NAME_SIZE], below[AMQP_NAME_SIZE] = "coney.v1.delayed";
        name_of_level(level, "coney", name);
        if (level > 0)
            name_of_level(level - 1, "coney", below);

        const struct declaration *x = find(t, DECLARE_EXCHANGE, name);
        assert_string_equal(x->type, "topic");
        assert_int_equal(x->arguments.count, 1);
        assert_text(x, "alternate-exchange", "coney.unrouted");

        const struct declaration *q = find(t, DECLARE_QUEUE, name);
        assert_int_equal(q->arguments.count, 6);
        assert_text(q, "x-queue-type", "quorum");
        assert_text(q, "x-dead-letter-exchange", below);
        assert_text(q, "x-dead-letter-strategy", "at-least-once");
        assert_text(q, "x-overflow", "reject-publish");
        assert_integer(q, "x-delivery-limit", 1000000000);
        assert_integer(q, "x-message-ttl", (INT64_C(1) << level) * 1000);
        assert_int_equal(table_find(&q->arguments, "x-message-ttl")->type, FIELD_I64);
    }
    topology_free(t);
}

static void a_level_looks_at_its_own_digit(void **state)
{
    (void)state;
    struct topology *t = make(TOPOLOGY_TASKS);
    assert_string_equal(
            find_binding(t, BIND_QUEUE, "coney.v1.delay.27", "coney.v1.delay.27")->key,
            "1.#");
    assert_string_equal(
            find_binding(t, BIND_EXCHANGE, "coney.v1.delay.26", "coney.v1.delay.27")->key,
            "0.#");
    assert_string_equal(
            find_binding(t, BIND_QUEUE, "coney.v1.delay.25", "coney.v1.delay.25")->key,
            "*.*.1.#");
    const struct declaration *last =
            find_binding(t, BIND_EXCHANGE, "coney.v1.delayed", "coney.v1.delay.00");
    assert_int_equal(strlen(last->key), 2 * 27 + 3);
    assert_string_equal(last->key + 2 * 27, "0.#");
    topology_free(t);
}

static void strays_and_dead_letters_have_a_last_stop(void **state)
{
    (void)state;
    struct topology *t = make(TOPOLOGY_TASKS);
    assert_string_equal(find(t, DECLARE_EXCHANGE, "coney.unrouted")->type, "fanout");
    assert_int_equal(find(t, DECLARE_EXCHANGE, "coney.unrouted")->arguments.count, 0);
    assert_string_equal(find(t, DECLARE_EXCHANGE, "coney.dlx")->type, "topic");
    assert_text(find(t, DECLARE_EXCHANGE, "coney.dlx"), "alternate-exchange",
            "coney.unrouted");
    assert_text(find(t, DECLARE_EXCHANGE, "coney.v1.delayed"), "alternate-exchange",
            "coney.unrouted");
    static const char *const stops[] = {"coney.dead", "coney.unroutable"};
    for (size_t i = 0; i < 2; i++) {
        const struct declaration *d = find(t, DECLARE_QUEUE, stops[i]);
        assert_int_equal(d->arguments.count, 2);
        assert_text(d, "x-queue-type", "quorum");
        assert_integer(d, "x-delivery-limit", 1000000000);
    }
    assert_string_equal(find_binding(t, BIND_QUEUE, "coney.dead", "coney.dlx")->key, "#");
    assert_non_null(find_binding(t, BIND_QUEUE, "coney.unroutable", "coney.unrouted"));
    topology_free(t);
}

static void nothing_refers_to_what_comes_later(void **state)
{
    (void)state;
    static const char *const references[] = {
            "alternate-exchange", "x-dead-letter-exchange"};
    struct topology *t = make(TOPOLOGY_TASKS | TOPOLOGY_TOKEN);
    for (size_t i = 0; i < t->count; i++) {
        const struct declaration *d = &t->items[i];
        for (size_t r = 0; r < 2; r++) {
            struct bytes name = table_text(&d->arguments, references[r]);
            if (name.data)
                assert_true(find(t, DECLARE_EXCHANGE, name.data) < d);
        }
        if (d->kind == BIND_QUEUE || d->kind == BIND_EXCHANGE) {
            bool is_queue = d->kind == BIND_QUEUE;
            assert_true(find(t, DECLARE_EXCHANGE, d->source) < d);
            assert_true(
                    find(t, is_queue ? DECLARE_QUEUE : DECLARE_EXCHANGE, d->name) < d);
        }
    }
    topology_free(t);
}

static void revocations_are_kept_for_a_week(void **state)
{
    (void)state;
    int64_t size = 0;
    struct topology *t = make(TOPOLOGY_REVOKED);
    assert_int_equal(t->count, 1);
    const struct declaration *q = find(t, DECLARE_QUEUE, "coney.revoked");
    assert_int_equal(q->arguments.count, 3);
    assert_text(q, "x-queue-type", "stream");
    assert_text(q, "x-max-age", "7D");
    assert_true(table_integer(&q->arguments, "x-stream-max-segment-size-bytes", &size));
    assert_int_equal(size, 1024 * 1024);
    topology_free(t);
}

static void celerys_levels_are_made_as_celery_makes_them(void **state)
{
    (void)state;
    struct topology *t = make(TOPOLOGY_TASKS);
    assert_null(find(t, DECLARE_QUEUE, "celery_delayed_0")); /* nobody asked */
    topology_free(t);

    config.queues[2].celery_delayed = text("orders.*");
    t = make(TOPOLOGY_TASKS);
    const struct declaration *x = find(t, DECLARE_EXCHANGE, "celery_delayed_delivery");
    assert_string_equal(x->type, "topic");
    assert_int_equal(x->arguments.count, 0);
    for (unsigned level = 0; level < DELAY_LEVELS; level++) {
        char name[AMQP_NAME_SIZE], below[AMQP_NAME_SIZE] = "celery_delayed_delivery";
        name_of_celery_level(level, name);
        if (level > 0)
            name_of_celery_level(level - 1, below);
        assert_int_equal(find(t, DECLARE_EXCHANGE, name)->arguments.count, 0);
        const struct declaration *q = find(t, DECLARE_QUEUE, name);
        assert_int_equal(q->arguments.count, 5);
        assert_text(q, "x-queue-type", "quorum");
        assert_text(q, "x-overflow", "reject-publish");
        assert_text(q, "x-dead-letter-exchange", below);
        assert_text(q, "x-dead-letter-strategy", "at-least-once");
        assert_integer(q, "x-message-ttl", (INT64_C(1) << level) * 1000);
        assert_non_null(find_binding(t, BIND_QUEUE, name, name));
        assert_non_null(find_binding(t, BIND_EXCHANGE, below, name));
    }
    const struct declaration *b =
            find_binding(t, BIND_QUEUE, "notifications", "celery_delayed_delivery");
    assert_int_equal(strlen(b->key), 2 * 28 + strlen("orders.*"));
    assert_string_equal(b->key + 2 * 27, "*.orders.*");
    assert_null(find_binding(t, BIND_QUEUE, "coney.high", "celery_delayed_delivery"));
    topology_free(t);
    free(config.queues[2].celery_delayed);
    config.queues[2].celery_delayed = NULL;
}

static void a_key_too_long_for_celerys_levels_is_refused(void **state)
{
    (void)state;
    char key[201];
    struct topology *t = NULL;
    struct coney_error err;
    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = '\0';
    config.queues[2].celery_delayed = key;
    assert_int_equal(topology_new(&config, TOPOLOGY_TASKS, &t, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "celery_delayed"));
    config.queues[2].celery_delayed = NULL;
}

static void the_token_has_one_reader_and_no_limit(void **state)
{
    (void)state;
    struct topology *t = make(TOPOLOGY_TOKEN);
    assert_int_equal(t->count, 1);
    const struct declaration *d = find(t, DECLARE_QUEUE, "coney.beat.main");
    assert_non_null(d);
    assert_int_equal(d->arguments.count, 3);
    assert_text(d, "x-queue-type", "quorum");
    assert_integer(d, "x-delivery-limit", 1000000000);
    const struct field *f = table_find(&d->arguments, "x-single-active-consumer");
    assert_true(f && f->type == FIELD_BOOL && f->value.boolean);
    topology_free(t);
}

static void a_locked_down_broker_is_asked_for_nothing_new(void **state)
{
    (void)state;
    config.broker.declare = DECLARE_PASSIVE;
    struct topology *t = make(TOPOLOGY_TASKS | TOPOLOGY_TOKEN);
    assert_true(t->count > 2 * DELAY_LEVELS);
    for (size_t i = 0; i < t->count; i++) {
        assert_int_equal(t->items[i].mode, DECLARE_PASSIVE);
        assert_true(t->items[i].kind == DECLARE_QUEUE ||
                    t->items[i].kind == DECLARE_EXCHANGE);
    }
    topology_free(t);
}

static void without_quorum_queues_all_of_ours_are_classic(void **state)
{
    (void)state;
    config.broker.queue_type = QUEUE_CLASSIC;
    struct topology *t = make(TOPOLOGY_TASKS | TOPOLOGY_TOKEN);
    for (size_t i = 0; i < t->count; i++) {
        const struct declaration *d = &t->items[i];
        if (d->kind != DECLARE_QUEUE || strcmp(d->name, "coney.high") == 0 ||
                strcmp(d->name, "notifications") == 0)
            continue;
        assert_text(d, "x-queue-type", "classic");
        assert_null(table_find(&d->arguments, "x-delivery-limit"));
        assert_null(table_find(&d->arguments, "x-dead-letter-strategy"));
    }
    assert_integer(find(t, DECLARE_QUEUE, "coney.v1.delay.04"), "x-message-ttl", 16000);
    topology_free(t);
}

static void assert_refused(const struct config *c, unsigned parts, const char *named)
{
    struct topology *t = NULL;
    struct coney_error err;
    assert_int_equal(topology_new(c, parts, &t, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, named));
}

static void a_name_that_does_not_fit_is_named(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'p', sizeof(name));
    struct queue_config queue = {.name = name};
    struct config c = config;
    c.queues = &queue;
    c.queue_count = 1;
    name[200] = '\0';
    assert_refused(&c, TOPOLOGY_TASKS, "queue 'pppp");
    queue.name = text("a.#");
    assert_refused(&c, TOPOLOGY_TASKS, "queue 'a.#'");
    free(queue.name);

    name[200] = 'p';
    name[244] = '\0';
    c = config;
    c.broker.prefix = name;
    assert_refused(&c, TOPOLOGY_TASKS, "broker.prefix");
    assert_refused(&c, TOPOLOGY_TOKEN, "broker.prefix");

    name[244] = 'p';
    name[245] = '\0';
    c = config;
    c.beat.name = name;
    assert_refused(&c, TOPOLOGY_TOKEN, "beat.name");
}

static void running_out_of_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct coney_error err;
    for (unsigned n = 1;; n++) {
        struct topology *t = NULL;
        test_fail_allocation(n);
        enum coney_rc rc =
                topology_new(&config, TOPOLOGY_TASKS | TOPOLOGY_TOKEN, &t, &err);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (!failed) {
            assert_int_equal(rc, CONEY_OK);
            topology_free(t);
            break;
        }
        assert_int_equal(rc, CONEY_ENOMEM);
        assert_null(t);
    }
}

#define TOPOLOGY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TOPOLOGY_TEST(a_task_queue_has_the_arguments_of_the_design),
            TOPOLOGY_TEST(a_classic_queue_has_no_argument_of_a_quorum_queue),
            TOPOLOGY_TEST(a_passive_queue_is_bound_all_the_same),
            TOPOLOGY_TEST(a_level_holds_for_a_power_of_two_and_hands_on_downwards),
            TOPOLOGY_TEST(a_level_looks_at_its_own_digit),
            TOPOLOGY_TEST(strays_and_dead_letters_have_a_last_stop),
            TOPOLOGY_TEST(nothing_refers_to_what_comes_later),
            TOPOLOGY_TEST(revocations_are_kept_for_a_week),
            TOPOLOGY_TEST(celerys_levels_are_made_as_celery_makes_them),
            TOPOLOGY_TEST(a_key_too_long_for_celerys_levels_is_refused),
            TOPOLOGY_TEST(the_token_has_one_reader_and_no_limit),
            TOPOLOGY_TEST(a_locked_down_broker_is_asked_for_nothing_new),
            TOPOLOGY_TEST(without_quorum_queues_all_of_ours_are_classic),
            TOPOLOGY_TEST(a_name_that_does_not_fit_is_named),
            TOPOLOGY_TEST(running_out_of_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
