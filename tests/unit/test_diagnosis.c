/* SPDX-License-Identifier: MIT */
/* test_diagnosis.c - each thing that would not move is named, and nothing else. */
#include "cli/diagnosis.h"
#include "fleet_fixture.h"
#include "test.h"

#include <string.h>

#define QUEUE "[{\"name\": \"q\", \"exchange\": {\"name\": \"q\", \"type\": \"direct\"}}]"
#define TASKS "[\"s.a [acks_late=True serializer=json]\"]"

/* 2026-11-20T13:00:00 */
static const int64_t now_us = INT64_C(1795179600000000);

static bool is_found(const struct diagnosis *d, enum finding kind, const char *text)
{
    for (size_t i = 0; i < json_array_size(d->findings[kind]); i++)
        if (strstr(json_string_value(json_array_get(d->findings[kind], i)), text))
            return true;
    return false;
}

/* What is said of this fleet holds @text, as the only finding. */
static void expect(const char *conf, const char *tasks, const char *queues,
        enum finding kind, const char *text)
{
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    struct diagnosis d;
    fleet_one(&x, conf, tasks, queues);
    diagnose(&x.fleet, now_us, &d);
    assert_int_equal(d.rc, CONEY_OK);
    if (!is_found(&d, kind, text))
        fail_msg("\"%s\" is not found for %s %s %s", text, conf, tasks, queues);
    assert_int_equal(json_array_size(d.findings[kind]), 1);
    assert_int_equal(json_array_size(d.findings[!kind]), 0);
    diagnosis_fini(&d);
    fleet_end(&x);
}

static void what_moves_is_not_mentioned(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    struct diagnosis d;
    fleet_one(&x,
            "\"broker_url\": \"amqp://g:**@h//\", \"result_backend\": \"redis://h/0\","
            "\"task_serializer\": \"json\", \"accept_content\": [\"json\"], \"timezone\":"
            " \"Africa/Accra\", \"task_protocol\": 2, \"task_default_queue\": \"q\","
            "\"worker_pool\": \"prefork\", \"task_compression\": \"gzip\","
            "\"task_routes\": {\"s.*\": {\"queue\": \"q\"}}, \"beat_scheduler\":"
            " \"celery.beat:PersistentScheduler\", \"beat_schedule\": {\"a\": {\"task\":"
            " \"s.a\", \"schedule\": 30.0}}, \"control_exchange\": \"celery\"",
            TASKS, QUEUE);
    diagnose(&x.fleet, now_us, &d);
    assert_int_equal(json_array_size(d.findings[FINDING_BLOCKS]), 0);
    assert_int_equal(json_array_size(d.findings[FINDING_DIFFERS]), 0);
    diagnosis_fini(&d);
    fleet_end(&x);
}

static void settings_that_block_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *conf;
        const char *text;
    } rows[] = {
            {"\"task_serializer\": \"pickle\"", "task_serializer is pickle"},
            {"\"result_serializer\": \"yaml\"", "result_serializer is yaml"},
            {"\"accept_content\": [\"json\", \"msgpack\"]", "accept_content has msgpack"},
            {"\"task_compression\": \"bzip2\"", "task_compression is bzip2"},
            {"\"result_backend\": \"db+sqlite:///x\"", "result_backend is db+sqlite"},
            {"\"result_backend\": \"django-db\"", "result_backend is django-db"},
            {"\"broker_url\": \"redis://h/0\"", "broker_url is redis"},
            {"\"timezone\": \"Mars/Base\"", "timezone is Mars/Base"},
            {"\"task_always_eager\": true", "task_always_eager"},
            {"\"beat_scheduler\": \"django_celery_beat.schedulers:DatabaseScheduler\"",
                    "beat_scheduler is django"},
            {"\"beat_schedule\": {\"x\": {\"schedule\": \"<solar: dawn>\"}}",
                    "schedule x"},
            {"\"worker_consumer\": \"my:Consumer\"", "worker_consumer is my:Consumer"},
            {"\"worker_agent\": \"x\"", "worker_agent"},
            {"\"security_certificate\": \"/x\"", "signed messages"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect(rows[i].conf, TASKS, QUEUE, FINDING_BLOCKS, rows[i].text);
}

static void settings_that_differ_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *conf;
        const char *text;
    } rows[] = {
            {"\"task_protocol\": 1", "task_protocol is 1"},
            {"\"worker_pool\": \"gevent\"", "worker_pool is gevent"},
            {"\"enable_utc\": false", "enable_utc"},
            {"\"task_default_queue\": \"other\"", "task_default_queue"},
            {"\"task_routes\": {\"s.a\": \"other\"}", "route of s.a leads to other"},
            {"\"task_routes\": {\"s.a\": {\"exchange\": \"e\"}}", "names no queue"},
            {"\"task_routes\": [\"<function x>\"]", "a rule in Python"},
            {"\"control_exchange\": \"mine\"", "control_exchange is mine"},
            {"\"task_acks_on_failure_or_timeout\": false", "dead letter"},
            {"\"worker_deduplicate_successful_tasks\": true", "idempotent"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect(rows[i].conf, TASKS, QUEUE, FINDING_DIFFERS, rows[i].text);
}

static void tasks_and_queues_are_looked_at(void **state)
{
    (void)state;
    expect("", "[\"s.a [serializer=pickle acks_late=True]\"]", QUEUE, FINDING_BLOCKS,
            "task s.a is sent as pickle");
    expect("", "[\"s.a [acks_late=True compression=zstd]\"]", QUEUE, FINDING_BLOCKS,
            "compressed by zstd");
    expect("", "[\"s.a [acks_late=False]\", \"s.b [acks_late=False]\"]", QUEUE,
            FINDING_DIFFERS, "2 tasks are acknowledged early");
    expect("", "[\"s.a [rate_limit=0.1/h acks_late=True]\"]", QUEUE, FINDING_DIFFERS,
            "rate limit 0.1/h");
    static const struct {
        const char *queue;
        enum finding kind;
        const char *text;
    } rows[] = {
            {"[{\"name\": \"w@h.dq2\"}]", FINDING_BLOCKS, "worker_direct"},
            {"[{\"name\": \"b\", \"exchange\": {\"type\": \"fanout\"}}]", FINDING_BLOCKS,
                    "broadcast"},
            {"[{\"name\": \"b\", \"exclusive\": true}]", FINDING_BLOCKS, "goes with"},
            {"[{\"name\": \"a.*\"}]", FINDING_BLOCKS, "wildcards"},
            {"[{\"name\": \"s\", \"queue_arguments\": {\"x-queue-type\": \"stream\"}}]",
                    FINDING_BLOCKS, "stream"},
            {"[{\"name\": \"s\", \"queue_arguments\": {\"x-message-ttl\": 5}}]",
                    FINDING_DIFFERS, "x-message-ttl"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect("", TASKS, rows[i].queue, rows[i].kind, rows[i].text);
}

static void tasks_that_wait_are_counted(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    struct diagnosis d;
    fleet_begin(&x);
    fleet_node(&x, "w1@vm", "", TASKS, QUEUE);
    fleet_answer(&x, FLEET_HELD, "w1@vm",
            "[{\"eta\": \"2026-11-20T13:10:00+00:00\"}, {\"eta\":"
            " \"2026-11-20T14:00:00+00:00\"}, {\"eta\": 5}, 7]");
    assert_int_equal(fleet_learn(x.questions, &x.fleet, NULL), CONEY_OK);
    diagnose(&x.fleet, now_us, &d);
    assert_true(is_found(&d, FINDING_DIFFERS, "4 tasks are held"));
    assert_true(is_found(&d, FINDING_DIFFERS, "1 of them longer"));
    diagnosis_fini(&d);
    fleet_end(&x);
}

static void many_names_do_not_overflow(void **state)
{
    (void)state;
    char tasks[16384] = "[\"s.first [acks_late=False]\"";
    for (int i = 0; i < 200; i++) {
        char one[64];
        snprintf(one, sizeof(one), ", \"some.long.name.of.a.task.%d\"", i);
        strcat(tasks, one);
    }
    strcat(tasks, "]");
    expect("", tasks, QUEUE, FINDING_DIFFERS, "201 tasks are");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_moves_is_not_mentioned),
            cmocka_unit_test(settings_that_block_are_named),
            cmocka_unit_test(settings_that_differ_are_named),
            cmocka_unit_test(tasks_and_queues_are_looked_at),
            cmocka_unit_test(tasks_that_wait_are_counted),
            cmocka_unit_test(many_names_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
