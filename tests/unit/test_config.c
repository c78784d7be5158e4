/* SPDX-License-Identifier: MIT */
/* test_config.c - text to structs: defaults, every key, queues, and too little memory. */
#include "config/config.h"
#include "unit/with_config.h"

#include <sched.h>

/* --- defaults ----------------------------------------------------------------------- */

static void an_empty_text_gives_every_default(void **state)
{
    (void)state;
    unsetenv("CONEY_BROKER_PASSWORD");
    struct config *c = config_of("");

    assert_int_equal(c->broker.urls.count, 1);
    assert_string_equal(c->broker.urls.items[0], "amqp://guest:guest@localhost:5672/");
    assert_null(c->broker.user);
    assert_null(c->broker.password);
    assert_null(c->broker.tls.ca);
    assert_true(c->broker.tls.verify);
    assert_false(c->broker.external);
    assert_int_equal(c->broker.heartbeat_s, 20);
    assert_int_equal(c->broker.connect_timeout_ms, 10000);
    assert_int_equal(c->broker.backoff_base_ms, 500);
    assert_int_equal(c->broker.backoff_cap_ms, 30000);
    assert_string_equal(c->broker.prefix, "coney");
    assert_int_equal(c->broker.declare, DECLARE_ACTIVE);
    assert_int_equal(c->broker.queue_type, QUEUE_QUORUM);
    assert_int_equal(c->worker.priority, PRIORITY_WEIGHTED);
    assert_null(c->worker.instance);
    assert_int_equal(c->worker.plugins.count, 0);
    assert_int_equal(c->worker.held_max, 0);
    assert_int_equal(c->worker.prefetch, 0);
    assert_int_equal(c->worker.drain_timeout_ms, 60000);
    assert_int_equal(c->worker.orphan_ttl_ms, 600000);
    assert_int_equal(c->worker.orphans_max, 1024);
    assert_int_equal(c->worker.poison_limit, 20);
    assert_int_equal(c->worker.unknown_task_ttl_ms, 600000);
    assert_int_equal(c->worker.body_max, 16 * 1024 * 1024);
    assert_int_equal(c->worker.log_level, LOG_LEVEL_INFO);
    assert_string_equal(c->results.url, "rpc://");
    assert_int_equal(c->results.expires_ms, 24 * 3600 * 1000);
    assert_int_equal(c->results.retry_for_ms, 30 * 1000);
    assert_int_equal(c->results.when_down, DOWN_ACK);
    assert_string_equal(c->beat.name, "main");
    assert_string_equal(c->beat.timezone, "UTC");
    assert_int_equal(c->entry_count, 0);
    assert_int_equal(c->task_patterns.count, 0);
    config_free(c);
}

static void concurrency_is_by_default_what_processors_we_may_use(void **state)
{
    (void)state;
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    struct config *c = config_of("");
    assert_int_equal(c->worker.concurrency, CPU_COUNT(&set));
    config_free(c);
}

static void the_three_classes_of_the_design_are_the_default(void **state)
{
    (void)state;
    struct config *c = config_of("worker: {concurrency: 8}");
    static const char *const names[] = {"high", "default", "low"};
    static const struct class_config expected[] = {
            {.weight = 6, .reserve = 1, .ageing_ms = CONFIG_NONE},
            {.weight = 3, .ageing_ms = CONFIG_NONE},
            {.weight = 1, .max_running = 4, .ageing_ms = 600000}};

    assert_int_equal(c->class_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(c->classes[i].name, names[i]);
        assert_int_equal(c->classes[i].weight, expected[i].weight);
        assert_int_equal(c->classes[i].reserve, expected[i].reserve);
        assert_int_equal(c->classes[i].max_running, expected[i].max_running);
        assert_int_equal(c->classes[i].ageing_ms, expected[i].ageing_ms);
        assert_string_equal(c->classes[i].pool, "main");
    }
    config_free(c);
}

static void a_single_runner_is_reserved_for_nobody_by_default(void **state)
{
    (void)state;
    struct config *c = config_of("worker: {concurrency: 1}");
    assert_int_equal(c->classes[0].reserve, 0);
    config_free(c);
}

static void classes_that_are_written_replace_the_three(void **state)
{
    (void)state;
    struct config *c = config_of("classes:\n  fast: {weight: 2}\n  slow:\n");
    assert_int_equal(c->class_count, 2);
    assert_string_equal(c->classes[0].name, "fast");
    assert_int_equal(c->classes[0].weight, 2);
    assert_string_equal(c->classes[1].name, "slow");
    assert_int_equal(c->classes[1].weight, 1);
    assert_int_equal(c->queue_count, 2);
    assert_string_equal(c->queues[1].name, "coney.slow");
    config_free(c);
}

/* --- every key ---------------------------------------------------------------------- */

static void every_key_of_broker_is_stored(void **state)
{
    (void)state;
    struct config *c = config_of("broker:\n"
                                 "  urls: [\"amqps://a@h1/\", \"amqps://h2:1234/v\"]\n"
                                 "  user: me\n"
                                 "  auth: external\n"
                                 "  tls:\n"
                                 "    ca: /ca\n"
                                 "    cert: /cert\n"
                                 "    key: /key\n"
                                 "    crl: /crl\n"
                                 "    server_name: name\n"
                                 "    verify: false\n"
                                 "  heartbeat: 1m\n"
                                 "  connect_timeout: 3s\n"
                                 "  backoff: {base: 1s, cap: 1m}\n"
                                 "  prefix: rabbit\n"
                                 "  declare: passive\n"
                                 "  queue_type: classic\n");
    const struct broker_config *b = &c->broker;
    assert_int_equal(b->urls.count, 2);
    assert_string_equal(b->urls.items[1], "amqps://h2:1234/v");
    assert_string_equal(b->user, "me");
    assert_true(b->external);
    assert_string_equal(b->tls.ca, "/ca");
    assert_string_equal(b->tls.cert, "/cert");
    assert_string_equal(b->tls.key, "/key");
    assert_string_equal(b->tls.crl, "/crl");
    assert_string_equal(b->tls.server_name, "name");
    assert_false(b->tls.verify);
    assert_int_equal(b->heartbeat_s, 60);
    assert_int_equal(b->connect_timeout_ms, 3000);
    assert_int_equal(b->backoff_base_ms, 1000);
    assert_int_equal(b->backoff_cap_ms, 60000);
    assert_string_equal(b->prefix, "rabbit");
    assert_int_equal(b->declare, DECLARE_PASSIVE);
    assert_int_equal(b->queue_type, QUEUE_CLASSIC);
    assert_string_equal(c->queues[0].name, "rabbit.high");
    assert_int_equal(c->queues[0].declare, DECLARE_PASSIVE);
    assert_int_equal(c->queues[0].type, QUEUE_CLASSIC);
    config_free(c);
}

static void every_key_of_worker_and_beat_is_stored(void **state)
{
    (void)state;
    struct config *c =
            config_of("worker:\n"
                      "  concurrency: 12\n"
                      "  priority: strict\n"
                      "  instance: blue\n"
                      "  plugins: [/a.so, /b.so]\n"
                      "  held_max: 7\n"
                      "  prefetch: 9\n"
                      "  drain_timeout: 0s\n"
                      "  orphan_ttl: 1m\n"
                      "  orphans_max: 5\n"
                      "  poison_limit: 3\n"
                      "  unknown_task_ttl: 2m\n"
                      "  body_max: 64K\n"
                      "  log_level: debug\n"
                      "results: {url: \"redis://h/1\", prefix: p, expires: "
                      "none, extended: true,\n"
                      "  track_started: true, when_down: hold, retry_for: 2s}\n"
                      "beat: {name: night, timezone: Africa/Accra}\n");
    const struct worker_config *w = &c->worker;
    assert_int_equal(w->concurrency, 12);
    assert_int_equal(w->priority, PRIORITY_STRICT);
    assert_string_equal(w->instance, "blue");
    assert_int_equal(w->plugins.count, 2);
    assert_string_equal(w->plugins.items[1], "/b.so");
    assert_int_equal(w->held_max, 7);
    assert_int_equal(w->prefetch, 9);
    assert_int_equal(w->drain_timeout_ms, 0);
    assert_int_equal(w->orphan_ttl_ms, 60000);
    assert_int_equal(w->orphans_max, 5);
    assert_int_equal(w->poison_limit, 3);
    assert_int_equal(w->unknown_task_ttl_ms, 120000);
    assert_int_equal(w->body_max, 65536);
    assert_int_equal(w->log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(c->results.url, "redis://h/1");
    assert_string_equal(c->results.prefix, "p");
    assert_int_equal(c->results.expires_ms, CONFIG_NONE);
    assert_true(c->results.extended);
    assert_true(c->results.track_started);
    assert_int_equal(c->results.when_down, DOWN_HOLD);
    assert_int_equal(c->results.retry_for_ms, 2000);
    assert_string_equal(c->beat.name, "night");
    assert_string_equal(c->beat.timezone, "Africa/Accra");
    config_free(c);
}

static void queues_come_by_class_first_and_then_as_written(void **state)
{
    (void)state;
    struct config *c = config_of("queues:\n"
                                 "  notifications: {class: high, declare: active, "
                                 "type: classic, max_priority: 9, prefetch: 3}\n"
                                 "  low: {prefetch: 5}\n"
                                 "  celery:\n"
                                 "  coney.default: {class: low}\n"
                                 "  coney.extra: {class: high}\n");
    assert_int_equal(c->queue_count, 6);
    const struct queue_config *q = c->queues;
    assert_string_equal(q[0].name, "coney.high");
    assert_int_equal(q[0].class_index, 0);
    assert_int_equal(q[0].declare, DECLARE_ACTIVE);
    assert_int_equal(q[0].type, QUEUE_QUORUM);
    assert_false(q[0].foreign);
    assert_string_equal(q[1].name, "coney.default");
    assert_int_equal(q[1].class_index, 2);
    assert_string_equal(q[2].name, "coney.low");
    assert_int_equal(q[2].prefetch, 5);
    assert_string_equal(q[3].name, "notifications");
    assert_true(q[3].foreign);
    assert_int_equal(q[3].class_index, 0);
    assert_int_equal(q[3].declare, DECLARE_ACTIVE);
    assert_int_equal(q[3].type, QUEUE_CLASSIC);
    assert_int_equal(q[3].max_priority, 9);
    assert_int_equal(q[3].prefetch, 3);
    assert_string_equal(q[4].name, "celery");
    assert_int_equal(
            q[4].declare, DECLARE_PASSIVE); /* nobody else's queue is made by us */
    assert_int_equal(q[4].class_index, 1);
    assert_string_equal(q[5].name, "coney.extra");
    assert_false(q[5].foreign);
    assert_int_equal(q[5].declare, DECLARE_ACTIVE);
    config_free(c);
}

static void a_queue_is_found_by_its_name_and_by_its_class(void **state)
{
    (void)state;
    struct config *c = config_of("queues: {celery: }");
    assert_ptr_equal(config_queue(c, "high"), config_queue(c, "coney.high"));
    assert_non_null(config_queue(c, "high"));
    assert_string_equal(config_queue(c, "celery")->name, "celery");
    assert_null(config_queue(c, "coney"));
    assert_null(config_queue(c, "coney.celery"));
    assert_null(config_queue(c, ""));
    config_free(c);
}

/* --- out of memory ------------------------------------------------------------------ */

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    static const char text[] =
            "worker: {plugins: [/a.so]}\n"
            "queues: {celery: {class: high}}\n"
            "tasks: {\"*\": {retry: {max: 1}}, a.b: {queue: low, command: [/bin/true], "
            "environment: {A: b}}}\n"
            "schedule: {x: {task: a.b, crontab: \"0 8 * * *\", args: [1]}}\n";
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        struct config *c = NULL;
        struct mistakes mistakes = {0};
        struct coney_error err = {0};
        test_fail_allocation(n);
        enum coney_rc rc = config_parse(text, "test.yaml", &c, &mistakes, &err);
        if (rc == CONEY_OK && !config_policy(c, "a.b"))
            rc = CONEY_ENOMEM;
        failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, failed ? CONEY_ENOMEM : CONEY_OK);
        assert_int_equal(mistakes.count, 0);
        config_free(c);
        mistakes_fini(&mistakes);
    }
}

static void a_failed_allocation_among_mistakes_leaks_nothing(void **state)
{
    (void)state;
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        struct config *c = NULL;
        struct mistakes mistakes = {0};
        test_fail_allocation(n);
        enum coney_rc rc = config_parse("a: 1\nworker: {concurrency: x}\nqueues: {q: "
                                        "{class: nix}}\n",
                "test.yaml", &c, &mistakes, NULL);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(rc, failed ? CONEY_ENOMEM : CONEY_ESYNTAX);
        assert_null(c);
        mistakes_fini(&mistakes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_empty_text_gives_every_default),
            cmocka_unit_test(concurrency_is_by_default_what_processors_we_may_use),
            cmocka_unit_test(the_three_classes_of_the_design_are_the_default),
            cmocka_unit_test(a_single_runner_is_reserved_for_nobody_by_default),
            cmocka_unit_test(classes_that_are_written_replace_the_three),
            cmocka_unit_test(every_key_of_broker_is_stored),
            cmocka_unit_test(every_key_of_worker_and_beat_is_stored),
            cmocka_unit_test(queues_come_by_class_first_and_then_as_written),
            cmocka_unit_test(a_queue_is_found_by_its_name_and_by_its_class),
            cmocka_unit_test(every_failed_allocation_is_survived),
            cmocka_unit_test(a_failed_allocation_among_mistakes_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
