/* SPDX-License-Identifier: MIT */
/* test_adoption.c - what Celery workers say becomes a configuration that we accept. */
#include "cli/adoption.h"
#include "fleet_fixture.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 65536 };

#define QUEUE(name)                                     \
    "{\"name\": \"" name "\", \"routing_key\": \"" name \
    "\", \"exchange\": {\"name\": \"" name "\", \"type\": \"direct\"}}"

struct adopted {
    char text[TEXT_SIZE];
    char notes[TEXT_SIZE];
    struct config *config;
};

/* Adopt, and read the result back: it must be right. */
static void adopt_with(struct fleet_fixture *x, const struct adoption_options *options,
        struct adopted *a)
{
    struct paper p;
    struct mistakes mistakes = {.count = 0};
    struct coney_error err = {.text = ""};

    paper_init(&p, TEXT_SIZE);
    adoption_write(&x->fleet, options, &p);
    assert_int_equal(p.rc, CONEY_OK);
    snprintf(a->text, sizeof(a->text), "%.*s", (int)buffer_len(&p.text),
            (const char *)buffer_data(&p.text));
    a->notes[0] = '\0';
    for (size_t i = 0; i < json_array_size(p.notes); i++) {
        const char *note = json_string_value(json_array_get(p.notes, i));
        strncat(a->notes, note, sizeof(a->notes) - strlen(a->notes) - 2);
        strcat(a->notes, "\n");
    }
    paper_fini(&p);
    if (config_parse(a->text, "adopted", &a->config, &mistakes, &err) != CONEY_OK)
        fail_msg("%s\n%s", err.text, a->text);
    mistakes_fini(&mistakes);
}

static void adopt(struct fleet_fixture *x, struct adopted *a)
{
    char url[] = "amqp://guest:guest@localhost:5672/";
    char *urls[] = {url};
    const struct broker_config broker = {
            .urls = {.items = urls, .count = 1}, .tls = {.verify = true}};
    const struct adoption_options options = {.broker = &broker, .bridge = "/bridge"};
    adopt_with(x, &options, a);
}

static struct adopted a;

static void has(const char *text)
{
    if (!strstr(a.text, text))
        fail_msg("\"%s\" is not in\n%s", text, a.text);
}

static void notes(const char *text)
{
    if (!strstr(a.notes, text))
        fail_msg("\"%s\" is not noted:\n%s", text, a.notes);
}

static void an_application_moves_with_its_limits(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    fleet_one(&x,
            "\"task_time_limit\": 300, \"task_soft_time_limit\": 240.0,"
            "\"worker_max_tasks_per_child\": 100, \"worker_max_memory_per_child\": 200000,"
            "\"result_backend\": \"rpc:///\", \"result_expires\": \"5:00:00\","
            "\"include\": [\"shop.tasks\", \"celery.app.builtins\"], \"timezone\": \"UTC\","
            "\"os\": \"<module 'os' (frozen)>\"",
            "[\"shop.mail [rate_limit=10/m time_limit=60 soft_time_limit=50"
            " ignore_result=True queue=mail]\", \"shop.add\", \"shop.fast [time_limit=30]\","
            " \"flat [max_retries=3]\"]",
            "[" QUEUE("mail") ", " QUEUE("urgent") ", " QUEUE("bulk_reports") "]");
    adopt(&x, &a);

    assert_int_equal(a.config->worker.concurrency, 4);
    const struct queue_config *q = config_queue(a.config, "mail");
    assert_true(q && q->foreign && q->declare == DECLARE_PASSIVE);
    has("  urgent: {class: high, declare: passive, type: classic}\n");
    has("  bulk_reports: {class: low, declare: passive, type: classic}\n");
    const struct policy *mail = config_policy(a.config, "shop.mail");
    assert_int_equal(mail->rate_per_hour, 600);
    assert_int_equal(mail->time_limit_ms, 60000);
    assert_int_equal(mail->soft_time_limit_ms, 50000);
    assert_true(mail->ignore_result);
    assert_string_equal(mail->queue, "mail");
    assert_int_equal(mail->max_tasks, 100);
    assert_int_equal(mail->max_memory, INT64_C(200000) * 1024);
    const struct policy *add = config_policy(a.config, "shop.add");
    assert_int_equal(add->time_limit_ms, 300000);
    assert_int_equal(add->retry.max, 0);
    /* Celery's global soft limit stands behind the hard one of this task. */
    assert_int_equal(
            config_policy(a.config, "shop.fast")->soft_time_limit_ms, CONFIG_NONE);
    has("  \"shop.*\":\n    server: [/bridge, -A, shop]");
    has("  flat:\n    server: [/bridge, -A, shop]");
    has("    - \"amqp://guest:guest@localhost:5672/\"\n");
    has("  shop.add: {}\n");
    has("  expires: 5h\n");
    assert_string_equal(a.notes, "");
    config_free(a.config);
    fleet_end(&x);
}

static void routes_lead_to_queues_that_are_there(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    fleet_one(&x,
            "\"task_routes\": {\"s.mail\": {\"queue\": \"mail\", \"priority\": 3}, \"s.r*\":"
            " \"mail\", \"s.gone\": {\"queue\": \"gone\"}, \"s.x\": {\"exchange\": \"e\"}}",
            "[\"s.mail\"]", "[" QUEUE("mail") "]");
    adopt(&x, &a);
    assert_string_equal(config_policy(a.config, "s.mail")->queue, "mail");
    assert_int_equal(config_policy(a.config, "s.mail")->priority, 3);
    assert_string_equal(config_policy(a.config, "s.report")->queue, "mail");
    notes("route of s.gone to gone: no worker consumes from it");
    notes("route of s.x: exchange: \"e\"");
    notes("the application's name");
    config_free(a.config);
    fleet_end(&x);
}

static void a_schedule_is_taken_over_disabled(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    fleet_one(&x,
            "\"timezone\": \"Africa/Accra\", \"beat_schedule\": {"
            "\"remind\": {\"task\": \"s.mail\", \"schedule\":"
            " \"<crontab: 0 8 mon-fri 1 * (m/h/d/dM/MY)>\", \"args\": [1, \"x\"],"
            " \"kwargs\": {\"a: b\": \"#\\u00e9\\n\"}, \"options\": {\"queue\": \"mail\","
            " \"expires\": 3600, \"priority\": 2, \"headers\": {}}},"
            "\"every: two\": {\"task\": \"s.mail\", \"schedule\": 120.0},"
            "\"sun\": {\"task\": \"s.mail\", \"schedule\": \"<solar: dusk>\"},"
            "\"days\": {\"task\": \"s.mail\", \"schedule\": \"<freq: 2.04 days>\"},"
            "\"none\": {\"schedule\": 5}}",
            "[\"s.mail\"]", "[" QUEUE("mail") "]");
    adopt(&x, &a);
    assert_int_equal(a.config->entry_count, 3);
    const struct schedule_entry *e = &a.config->entries[0];
    assert_string_equal(e->name, "remind");
    assert_string_equal(e->crontab_text, "0 8 1 * mon-fri");
    assert_int_equal(e->crontab.combine, CRONTAB_DAYS_BOTH);
    assert_false(e->enabled);
    assert_string_equal(e->queue, "mail");
    assert_int_equal(e->expires_ms, 3600000);
    assert_int_equal(e->priority, 2);
    json_t *kwargs = json_pack("{s:s}", "a: b", "#\xc3\xa9\n");
    assert_true(json_equal(e->kwargs, kwargs));
    json_decref(kwargs);
    assert_string_equal(a.config->entries[1].name, "every: two");
    assert_int_equal(a.config->entries[1].every_ms, 120000);
    assert_string_equal(a.config->beat.timezone, "Africa/Accra");
    notes("schedule sun: no schedule of ours: <solar: dusk>");
    notes("schedule days: its interval is shown rounded");
    notes("schedule none: it names no task");
    notes("schedule remind: option headers: {}");
    config_free(a.config);
    fleet_end(&x);
}

static void names_of_our_classes_are_no_trouble(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    fleet_one(&x, "\"timezone\": \"UTC\"", "[\"s.a [queue=high]\"]",
            "[" QUEUE("high") ", " QUEUE("default") ", " QUEUE("low") "]");
    adopt(&x, &a);
    const struct queue_config *q = config_queue(a.config, "high");
    assert_true(q && q->foreign);
    assert_string_equal(q->name, "high");
    assert_string_equal(a.config->classes[q->class_index].name, "class-high");
    assert_string_equal(config_policy(a.config, "s.a")->queue, "high");
    config_free(a.config);
    fleet_end(&x);
}

static void queues_that_are_not_for_us_are_left_out(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    fleet_one(&x, "\"timezone\": \"Mars/Base\"", "[\"s.a [queue=news]\"]",
            "[{\"name\": \"news\", \"exchange\": {\"name\": \"news\", \"type\": \"fanout\"}},"
            " {\"name\": \"w1@vm.dq2\"}, {\"name\": \"tmp\", \"auto_delete\": true},"
            " {\"name\": \"a*b\"}, {\"name\": \"p\", \"max_priority\": 9}, {\"name\": \"q\","
            " \"routing_key\": \"q.k\", \"queue_arguments\": {\"x-queue-type\": \"quorum\"}}]");
    adopt(&x, &a);
    assert_null(config_queue(a.config, "news"));
    assert_null(config_queue(a.config, "w1@vm.dq2"));
    assert_null(config_queue(a.config, "tmp"));
    assert_int_equal(config_queue(a.config, "p")->max_priority, 9);
    assert_int_equal(config_queue(a.config, "q")->type, QUEUE_QUORUM);
    has("celery_delayed: q.k");
    notes("queue news: it is a broadcast");
    notes("queue a*b:");
    notes("task s.a: queue news: no worker consumes from it");
    notes("timezone: Mars/Base");
    config_free(a.config);
    fleet_end(&x);
}

static void hostile_names_stay_inside_their_quotes(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    fleet_one(&x,
            "\"strange\": \"a\\nworker: {concurrency: 1}\", \"result_backend\": \"db+x\\n#\"",
            "[\"true\", \"no.x: {command: [/bin/sh]} [queue=q]\", \"a.\\\"b\\\"\\\\ # [queue=q]\","
            " \"x\\ny\"]",
            "[" QUEUE("q") ", {\"name\": \"yes\"}, {\"name\": \"a: b, c\"}]");
    adopt(&x, &a);
    assert_int_equal(a.config->worker.concurrency, 4);
    assert_non_null(config_queue(a.config, "yes"));
    assert_non_null(config_queue(a.config, "a: b, c"));
    assert_string_equal(config_policy(a.config, "a.\"b\"\\ #")->queue, "q");
    notes("task x?y");
    notes("result_backend");
    config_free(a.config);
    fleet_end(&x);
}

static void passwords_are_left_out(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    char url[] = "amqps://me:geheim@rabbit:5671/shop";
    char other[] = "amqps://rabbit2/";
    char user[] = "you";
    char *urls[] = {url, other};
    const struct broker_config broker = {
            .urls = {.items = urls, .count = 2}, .user = user, .tls = {.verify = false}};
    const struct adoption_options options = {.broker = &broker,
            .bridge = "/bridge",
            .app = "my.app",
            .directory = "/srv/x"};
    fleet_one(&x, "\"result_backend\": \"redis://joe:********@r:6379/2?a=b\"",
            "[\"s.a\"]", "[]");
    adopt_with(&x, &options, &a);
    assert_null(strstr(a.text, "geheim"));
    assert_null(strstr(a.text, "***"));
    has("    - \"amqps://me@rabbit:5671/shop\"\n");
    has("    - \"amqps://rabbit2/\"\n");
    has("  url: \"redis://joe@r:6379/2\"\n");
    has("    server: [/bridge, -A, my.app]\n    directory: /srv/x\n");
    has("    verify: false\n");
    config_free(a.config);
    fleet_end(&x);
}

static void nodes_are_put_together(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    fleet_begin(&x);
    fleet_node(&x, "b@vm", "\"task_time_limit\": 5", "[\"s.b\"]", "[" QUEUE("b") "]");
    fleet_node(&x, "a@vm", "\"task_time_limit\": 9", "[\"s.a\"]", "[" QUEUE("a") "]");
    fleet_node(&x, "c@other", "\"x\": 1", "[\"s.a\", \"s.c\"]", "[" QUEUE("a") "]");
    fleet_node(&x, "coney@vm", "\"x\": 1", "[\"c.x\"]", "[" QUEUE("coney.high") "]");
    fleet_answer(
            &x, FLEET_DEFAULTS, "coney@vm", "{\"worker\": {}, \"broker_url\": \"x\"}");
    assert_int_equal(fleet_learn(x.questions, &x.fleet, NULL), CONEY_OK);
    assert_int_equal(x.fleet.node_count, 3);
    assert_string_equal(x.fleet.model, "a@vm");
    assert_int_equal(x.fleet.concurrency, 8);
    assert_int_equal(json_object_size(x.fleet.tasks), 3);
    assert_int_equal(json_object_size(x.fleet.queues), 2);
    adopt(&x, &a);
    assert_int_equal(config_policy(a.config, "s.c")->time_limit_ms, 9000);
    config_free(a.config);
    fleet_end(&x);
}

static void without_a_celery_worker_there_is_nothing_to_adopt(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    fleet_begin(&x);
    assert_int_equal(fleet_learn(x.questions, &x.fleet, NULL), CONEY_ENOTFOUND);
    fleet_end(&x);
    fleet_begin(&x);
    fleet_answer(&x, FLEET_DEFAULTS, "odd@vm", "[\"celery\"]");
    fleet_answer(&x, FLEET_STATS, "odd@vm", "7");
    assert_int_equal(fleet_learn(x.questions, &x.fleet, NULL), CONEY_ENOTFOUND);
    fleet_end(&x);
}

static void half_an_answer_is_none(void **state)
{
    (void)state;
    struct fleet_fixture x = {.fleet = {.node_count = 0}};
    struct coney_error err = {.text = ""};
    fleet_begin(&x);
    fleet_node(&x, "w1@vm", "", "[]", "[]");
    fleet_node(&x, "w2@vm", "", "[]", "[]");
    json_object_del(x.questions[FLEET_TASKS].replies, "w2@vm");
    assert_int_equal(fleet_learn(x.questions, &x.fleet, &err), CONEY_ETIMEOUT);
    assert_non_null(strstr(err.text, "w2@vm"));
    fleet_end(&x);
}

static void answers_of_any_form_do_no_harm(void **state)
{
    (void)state;
    static const char two_maps[] =
            "{\"beat_schedule\": {\"x\": 5, \"y\": {}}, \"task_routes\": {\"a\": 5},"
            " \"include\": {}, \"result_backend\": 5, \"timezone\": []}";
    static const char *const odd[] = {"null", "5", "\"x\"", "[]", "{}",
            "[null, 5, {}, []]",
            "{\"name\": 5, \"pool\": 5, \"beat_schedule\": [], \"task_routes\": [5, {}]}",
            two_maps};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct fleet_fixture x = {.fleet = {.node_count = 0}};
        fleet_begin(&x);
        fleet_node(&x, "w@vm", "", "[]", "[]");
        for (int q = 0; q < FLEET_QUESTIONS; q++)
            if (q != FLEET_DEFAULTS)
                fleet_answer(&x, (enum fleet_question)q, "w@vm", odd[i]);
        json_t *all = fleet_json(odd[i]);
        if (json_is_object(all))
            json_object_update(
                    json_object_get(x.questions[FLEET_DEFAULTS].replies, "w@vm"), all);
        json_decref(all);
        assert_int_equal(fleet_learn(x.questions, &x.fleet, NULL), CONEY_OK);
        adopt(&x, &a);
        config_free(a.config);
        fleet_end(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_application_moves_with_its_limits),
            cmocka_unit_test(routes_lead_to_queues_that_are_there),
            cmocka_unit_test(a_schedule_is_taken_over_disabled),
            cmocka_unit_test(names_of_our_classes_are_no_trouble),
            cmocka_unit_test(queues_that_are_not_for_us_are_left_out),
            cmocka_unit_test(hostile_names_stay_inside_their_quotes),
            cmocka_unit_test(passwords_are_left_out),
            cmocka_unit_test(nodes_are_put_together),
            cmocka_unit_test(without_a_celery_worker_there_is_nothing_to_adopt),
            cmocka_unit_test(half_an_answer_is_none),
            cmocka_unit_test(answers_of_any_form_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
