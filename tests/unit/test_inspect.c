/* SPDX-License-Identifier: MIT */
/* test_inspect.c - replies have every member that Celery's have, of the same type. */
#include "message/inspect.h"
#include "test.h"

#include <string.h>

/* What Celery 5.6.3 answers, as captured. */
static const char celery_task[] =
        "{\"id\": \"b4f32554\", \"name\": \"proj.sleepy\", \"args\": [4], \"kwargs\": {}, "
        "\"type\": \"proj.sleepy\", \"hostname\": \"w56@vm\", \"time_start\": "
        "1795176356.7622547, \"acknowledged\": true, \"delivery_info\": {\"exchange\": \"\", "
        "\"routing_key\": \"celery\", \"priority\": 0, \"redelivered\": false}, "
        "\"worker_pid\": 5330}";
static const char celery_queue[] =
        "{\"name\": \"celery\", \"exchange\": {\"name\": \"celery\", \"type\": \"direct\", "
        "\"arguments\": null, \"durable\": true, \"passive\": false, \"auto_delete\": false, "
        "\"delivery_mode\": null, \"no_declare\": false}, \"routing_key\": \"celery\", "
        "\"queue_arguments\": null, \"binding_arguments\": null, \"consumer_arguments\": "
        "null, \"durable\": true, \"exclusive\": false, \"auto_delete\": false, \"no_ack\": "
        "false, \"alias\": null, \"bindings\": [], \"no_declare\": null, \"expires\": null, "
        "\"message_ttl\": null, \"max_length\": null, \"max_length_bytes\": null, "
        "\"max_priority\": null}";
static const char celery_stats[] =
        "{\"total\": {\"proj.sleepy\": 1}, \"pid\": 5327, \"clock\": \"65\", \"uptime\": 52, "
        "\"pool\": {\"implementation\": \"celery.concurrency.prefork:TaskPool\", "
        "\"max-concurrency\": 1, \"processes\": [5330], \"max-tasks-per-child\": \"N/A\", "
        "\"put-guarded-by-semaphore\": false, \"timeouts\": [0, 0], \"writes\": {\"total\": 1, "
        "\"avg\": \"1.00\", \"all\": \"1.00\", \"raw\": \"1\", \"strategy\": \"fair\", "
        "\"inqueues\": {\"total\": 1, \"active\": 0}}}, \"broker\": {\"hostname\": "
        "\"127.0.0.1\", \"userid\": \"guest\", \"virtual_host\": \"/\", \"port\": 5682, "
        "\"insist\": false, \"ssl\": false, \"transport\": \"amqp\", \"connect_timeout\": 4.0, "
        "\"transport_options\": {}, \"login_method\": \"PLAIN\", \"uri_prefix\": null, "
        "\"heartbeat\": 120.0, \"failover_strategy\": \"round-robin\", \"alternates\": [], "
        "\"credential_provider\": null}, \"prefetch_count\": 5, \"rusage\": {\"utime\": "
        "0.32814, \"stime\": 0.0623, \"maxrss\": 45204, \"ixrss\": 0, \"idrss\": 0, \"isrss\": "
        "0, \"minflt\": 13462, \"majflt\": 14, \"nswap\": 0, \"inblock\": 12648, \"oublock\": "
        "192, \"msgsnd\": 0, \"msgrcv\": 0, \"nsignals\": 0, \"nvcsw\": 471, \"nivcsw\": "
        "48}}";

/* Whether @ours has the members of @theirs with values of the same type. */
static void expect_same_shape(json_t *ours, json_t *theirs, const char *where)
{
    const char *key;
    json_t *value;

    if (json_is_boolean(theirs) ? !json_is_boolean(ours)
                                : json_typeof(ours) != json_typeof(theirs))
        fail_msg("%s is of another type", where);
    if (json_object_size(ours) != json_object_size(theirs))
        fail_msg("%s has other members", where);
    json_object_foreach(theirs, key, value)
    {
        if (!json_object_get(ours, key))
            fail_msg("%s lacks %s", where, key);
        if (strcmp(key, "total") != 0)
            expect_same_shape(json_object_get(ours, key), value, key);
    }
}

static void expect_shape(json_t *ours, const char *captured)
{
    json_t *theirs = json_loads(captured, 0, NULL);
    assert_non_null(ours);
    assert_non_null(theirs);
    expect_same_shape(ours, theirs, "the reply");
    json_decref(ours);
    json_decref(theirs);
}

static struct inspect_task a_task(void)
{
    return (struct inspect_task){
            .id = "t-1",
            .type = "a.b",
            .hostname = "coney@h",
            .started_us = 1795176356500000,
            .pid = 7,
            .exchange = "",
            .routing_key = "q",
            .priority = -1,
    };
}

static void a_task_has_celerys_members(void **state)
{
    (void)state;
    const struct inspect_task t = a_task();
    expect_shape(inspect_task(&t), celery_task);
}

static void a_safe_task_has_its_arguments_as_text(void **state)
{
    (void)state;
    struct inspect_task t = a_task();
    json_t *args = json_pack("[i]", 4);
    t.args = args;
    t.safe = true;
    t.name = "shadow";
    json_t *o = inspect_task(&t);
    assert_string_equal(json_string_value(json_object_get(o, "args")), "(4,)");
    assert_string_equal(json_string_value(json_object_get(o, "kwargs")), "{}");
    assert_string_equal(json_string_value(json_object_get(o, "name")), "shadow");
    json_decref(o);
    json_decref(args);
}

static void a_task_that_waits_has_neither_start_nor_process(void **state)
{
    (void)state;
    struct inspect_task t = a_task();
    t.started_us = 0;
    t.pid = 0;
    t.id = "t\xff";
    json_t *o = inspect_scheduled(&t, 1795176356500000);
    const json_t *request = json_object_get(o, "request");
    assert_string_equal(json_string_value(json_object_get(o, "eta")),
            "2026-11-20T12:05:56.500000+00:00");
    assert_true(json_is_null(json_object_get(request, "time_start")));
    assert_true(json_is_null(json_object_get(request, "worker_pid")));
    json_decref(o);
}

static void a_queue_has_celerys_members(void **state)
{
    (void)state;
    const struct inspect_queue q = {
            .name = "q", .exchange = "", .exchange_type = "direct", .routing_key = "q"};
    expect_shape(inspect_queue(&q), celery_queue);
}

static void a_queue_of_ours_tells_its_arguments(void **state)
{
    (void)state;
    const struct inspect_queue q = {.name = "q",
            .exchange = "",
            .exchange_type = "direct",
            .routing_key = "q",
            .queue_type = "classic",
            .max_priority = 9};
    json_t *o = inspect_queue(&q);
    json_t *wanted =
            json_pack("{s:s,s:i}", "x-queue-type", "classic", "x-max-priority", 9);
    assert_true(json_equal(json_object_get(o, "queue_arguments"), wanted));
    json_decref(wanted);
    json_decref(o);
}

static void statistics_have_celerys_members(void **state)
{
    (void)state;
    json_t *totals = json_pack("{s:i}", "a.b", 3);
    json_t *pids = json_pack("[i,i]", 7, 8);
    const struct inspect_stats s = {.totals = totals,
            .pid = 5,
            .clock = 65,
            .concurrency = 2,
            .processes = pids,
            .broker = {.hostname = "h", .user = "u", .vhost = "/", .port = 5672}};
    expect_shape(inspect_stats(&s), celery_stats);
    json_decref(totals);
    json_decref(pids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_task_has_celerys_members),
            cmocka_unit_test(a_safe_task_has_its_arguments_as_text),
            cmocka_unit_test(a_task_that_waits_has_neither_start_nor_process),
            cmocka_unit_test(a_queue_has_celerys_members),
            cmocka_unit_test(a_queue_of_ours_tells_its_arguments),
            cmocka_unit_test(statistics_have_celerys_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
