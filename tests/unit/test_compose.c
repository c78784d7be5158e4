/* SPDX-License-Identifier: MIT */
/* test_compose.c - from what a caller says to the message, without any broker. */
#include "base/clock.h"
#include "lib/client_impl.h"
#include "message/task.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char config_text[] =
        "broker: {urls: [\"amqp://127.0.0.1:1/\"], prefix: shop}\n"
        "queues: {foreign: {class: low}}\n"
        "tasks:\n"
        "  \"shop.*\": {queue: high, priority: 4, expires: 30m}\n"
        "  shop.report: {queue: foreign}\n";

static struct coney_client *client;
static char *config_file;

static int setup(void **state)
{
    struct coney_client_options options;
    struct coney_error err;
    (void)state;
    config_file = test_file(config_text);
    coney_client_options_init(&options);
    options.config_file = config_file;
    if (coney_client_new(&options, &client, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    coney_client_free(client);
    unlink(config_file);
    free(config_file);
    return 0;
}

static struct outgoing *made(const struct coney_message *m)
{
    struct outgoing *o = NULL;
    struct coney_error err;
    if (compose(client, m, OUTGOING_AWAITED, &o, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return o;
}

static void assert_refused(
        const struct coney_message *m, enum coney_rc rc, const char *hint)
{
    struct outgoing *o = NULL;
    struct coney_error err = {.rc = CONEY_OK};
    assert_int_equal(compose(client, m, OUTGOING_AWAITED, &o, &err), rc);
    assert_null(o);
    if (!strstr(err.text, hint))
        fail_msg("\"%s\" does not say \"%s\"", err.text, hint);
}

static void assert_goes_to(const char *task, const char *queue, const char *expected)
{
    struct coney_message m;
    coney_message_init(&m, task);
    m.queue = queue;
    struct outgoing *o = made(&m);
    assert_string_equal(o->queue, expected);
    outgoing_free(o);
}

static void the_configuration_routes_a_task_unless_a_queue_is_named(void **state)
{
    (void)state;
    assert_goes_to("shop.order", NULL, "shop.high");
    assert_goes_to("shop.report", NULL, "foreign");
    assert_goes_to("other", NULL, "shop.default");
    assert_goes_to("shop.order", "low", "shop.low");
    assert_goes_to("shop.order", "anything.else", "anything.else");
}

static void the_configuration_gives_priority_and_expiry_unless_the_message_does(
        void **state)
{
    (void)state;
    struct coney_message m;
    coney_message_init(&m, "shop.order");
    struct outgoing *o = made(&m);
    assert_int_equal(o->envelope.properties.priority, 4);
    int64_t expires_us;
    const char *expires = table_text(&o->envelope.headers, "expires").data;
    assert_int_equal(time_parse(expires, &expires_us), CONEY_OK);
    assert_in_range(expires_us - clock_wall_us(), INT64_C(1790) * 1000000,
            INT64_C(1800) * 1000000);
    outgoing_free(o);

    m.priority = 0;
    m.expires_at_us = INT64_C(1800000000000000);
    o = made(&m);
    assert_int_equal(o->envelope.properties.priority, 0);
    assert_string_equal(table_text(&o->envelope.headers, "expires").data,
            "2027-01-15T08:00:00.000000+00:00");
    outgoing_free(o);
}

static void the_broker_is_never_told_to_drop_a_message(void **state)
{
    (void)state;
    struct coney_message m;
    coney_message_init(&m, "t");
    m.expires_ms = 1000;
    struct outgoing *o = made(&m);
    assert_null(o->envelope.properties.expiration);
    assert_non_null(table_text(&o->envelope.headers, "expires").data);
    outgoing_free(o);
}

static void a_countdown_is_an_eta(void **state)
{
    (void)state;
    struct coney_message m;
    coney_message_init(&m, "t");
    struct outgoing *o = made(&m);
    assert_true(o->eta_us == TASK_NO_TIME);
    outgoing_free(o);
    m.countdown_ms = 1500;
    o = made(&m);
    assert_in_range(o->eta_us - clock_wall_us(), 1400000, 1500000);
    outgoing_free(o);
    m.countdown_ms = 0;
    m.eta_us = 123;
    o = made(&m);
    assert_int_equal(o->eta_us, 123);
    outgoing_free(o);
}

static void a_reply_is_asked_for_only_when_it_is_wanted(void **state)
{
    (void)state;
    struct coney_message m;
    coney_message_init(&m, "t");
    struct outgoing *o = made(&m);
    assert_int_equal(o->reply, OUTGOING_NO_REPLY);
    assert_false(client->wants_replies);
    outgoing_free(o);
    m.reply = CONEY_REPLY_WANTED;
    o = made(&m);
    assert_int_equal(o->reply, OUTGOING_REPLY);
    assert_true(client->wants_replies);
    assert_string_equal(o->envelope.properties.reply_to, client->reply_queue);
    assert_memory_equal(client->reply_queue, "shop.reply.", strlen("shop.reply."));
    outgoing_free(o);
}

static void each_message_has_an_id_of_its_own(void **state)
{
    (void)state;
    struct coney_message m;
    coney_message_init(&m, "t");
    struct outgoing *a = made(&m), *b = made(&m);
    assert_string_not_equal(a->id, b->id);
    m.id = "mine";
    struct outgoing *c = made(&m);
    assert_string_equal(c->id, "mine");
    outgoing_free(a);
    outgoing_free(b);
    outgoing_free(c);
}

static void what_can_not_be_sent_is_said_with_its_reason(void **state)
{
    (void)state;
    const struct coney_header twice[] = {{"a", "1"}, {"a", "2"}};
    const struct coney_header ours[] = {{"task", "other"}};
    const struct coney_header empty[] = {{"a", NULL}};
    struct {
        struct coney_message m;
        enum coney_rc rc;
        const char *hint;
    } cases[] = {
            {{.task = NULL}, CONEY_EINVAL, "no task"},
            {{.task = ""}, CONEY_EINVAL, "task"},
            {{.args = "{}"}, CONEY_EINVAL, "args"},
            {{.args = "[1"}, CONEY_ESYNTAX, "args"},
            {{.kwargs = "[]"}, CONEY_EINVAL, "kwargs"},
            {{.kwargs = "{\"a\": 1, \"a\": 2}"}, CONEY_ESYNTAX, "kwargs"},
            {{.queue = ""}, CONEY_EINVAL, "queue"},
            {{.queue = "a.#"}, CONEY_EINVAL, "queue 'a.#'"},
            {{.countdown_ms = -1}, CONEY_EINVAL, "countdown_ms"},
            {{.countdown_ms = INT64_MAX}, CONEY_EINVAL, "countdown_ms"},
            {{.countdown_ms = 1, .eta_us = 1}, CONEY_EINVAL, "only one"},
            {{.expires_ms = 1, .expires_at_us = 1}, CONEY_EINVAL, "only one"},
            {{.priority = 256}, CONEY_EINVAL, "priority"},
            {{.headers = twice, .header_count = 2}, CONEY_EINVAL, "'a' is given twice"},
            {{.headers = ours, .header_count = 1}, CONEY_EINVAL, "task"},
            {{.headers = empty, .header_count = 1}, CONEY_EINVAL, "no value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cases[i].m.size = sizeof(cases[i].m);
        if (i > 1)
            cases[i].m.task = "t";
        assert_refused(&cases[i].m, cases[i].rc, cases[i].hint);
    }
}

static void a_message_that_was_not_begun_properly_is_refused(void **state)
{
    (void)state;
    struct coney_message m = {.task = "t"};
    assert_refused(&m, CONEY_EINVAL, "coney_message_init()");
    m.size = sizeof(m) + 8;
    assert_refused(&m, CONEY_EINVAL, "message.size");
}

static void an_older_programs_shorter_message_is_read(void **state)
{
    (void)state;
    struct coney_message m;
    coney_message_init(&m, "t");
    m.size = offsetof(struct coney_message, reply);
    m.reply = CONEY_REPLY_WANTED; /* beyond the end: what lies there is not ours */
    struct outgoing *o = made(&m);
    assert_int_equal(o->reply, OUTGOING_NO_REPLY);
    outgoing_free(o);
}

static void running_out_of_memory_is_said(void **state)
{
    (void)state;
    const struct coney_header headers[] = {{"a", "1"}};
    struct coney_message m;
    coney_message_init(&m, "shop.order");
    m.args = "[1]";
    m.headers = headers;
    m.header_count = 1;
    outgoing_free(made(&m));
    for (unsigned n = 1;; n++) {
        struct outgoing *o = NULL;
        test_fail_allocation(n);
        enum coney_rc rc = compose(client, &m, OUTGOING_AWAITED, &o, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (!failed) {
            assert_int_equal(rc, CONEY_OK);
            outgoing_free(o);
            break;
        }
        assert_int_equal(rc, CONEY_ENOMEM);
        assert_null(o);
    }
}

static void a_client_without_a_configuration_has_the_built_in_one(void **state)
{
    (void)state;
    struct coney_client *plain = NULL;
    struct coney_client_options options;
    struct coney_error err;
    char *home = test_directory();
    unsetenv("CONEY_CONFIG");
    setenv("XDG_CONFIG_HOME", home, 1);
    if (access(CONEY_SYSCONFDIR "/coney/coney.yaml", F_OK) == 0)
        skip(); /* this machine has one for all */
    coney_client_options_init(&options);
    assert_int_equal(coney_client_new(NULL, &plain, &err), CONEY_OK);
    assert_string_equal(plain->config->broker.prefix, "coney");
    coney_client_free(plain);

    options.config_file = "/nonexistent/coney.yaml";
    assert_int_not_equal(coney_client_new(&options, &plain, &err), CONEY_OK);
    assert_non_null(strstr(err.text, "/nonexistent/coney.yaml"));
    options.size = 0;
    assert_int_equal(coney_client_new(&options, &plain, &err), CONEY_EINVAL);
    test_remove_tree(home);
    free(home);
}

static void a_client_that_never_sent_can_be_freed(void **state)
{
    (void)state;
    coney_client_free(NULL);
    coney_result_free(NULL);
    struct coney_result *result = NULL;
    assert_int_equal(coney_wait(client, "x", 10, &result, NULL), CONEY_EINVAL);
    assert_int_equal(coney_flush(client, 10, NULL), CONEY_OK);
}

#define COMPOSE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            COMPOSE_TEST(the_configuration_routes_a_task_unless_a_queue_is_named),
            COMPOSE_TEST(
                    the_configuration_gives_priority_and_expiry_unless_the_message_does),
            COMPOSE_TEST(the_broker_is_never_told_to_drop_a_message),
            COMPOSE_TEST(a_countdown_is_an_eta),
            COMPOSE_TEST(a_reply_is_asked_for_only_when_it_is_wanted),
            COMPOSE_TEST(each_message_has_an_id_of_its_own),
            COMPOSE_TEST(what_can_not_be_sent_is_said_with_its_reason),
            COMPOSE_TEST(a_message_that_was_not_begun_properly_is_refused),
            COMPOSE_TEST(an_older_programs_shorter_message_is_read),
            COMPOSE_TEST(running_out_of_memory_is_said),
            COMPOSE_TEST(a_client_without_a_configuration_has_the_built_in_one),
            COMPOSE_TEST(a_client_that_never_sent_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
