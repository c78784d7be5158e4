/* SPDX-License-Identifier: MIT */
/* test_batch.c - canvases of a program, and the messages they begin with; no broker. */
#include "lib/canvas.h"
#include "message/signature.h"
#include "message/task.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char with_redis[] =
        "broker: {urls: [\"amqp://127.0.0.1:1/\"], prefix: shop}\n"
        "queues: {foreign: {class: low}}\n"
        "results: {url: \"redis://127.0.0.1:1/\", expires: 1h}\n"
        "tasks:\n"
        "  \"shop.*\": {queue: high, priority: 4, expires: 30m}\n";
static const char with_rpc[] = "broker: {urls: [\"amqp://127.0.0.1:1/\"]}\n";

struct sent {
    struct coney_client *client;
    struct batch batch;
    struct coney_error err;
    enum coney_rc rc;
};

static struct coney_canvas *task(const char *name, const char *args)
{
    struct coney_message m;

    coney_message_init(&m, name);
    m.args = args;
    return coney_signature(&m);
}

static struct coney_canvas *named(const char *name, const char *id, const char *queue)
{
    struct coney_message m;

    coney_message_init(&m, name);
    m.id = id;
    m.queue = queue;
    return coney_signature(&m);
}

static void prepare(struct sent *s, const char *config, struct coney_canvas *canvas)
{
    struct coney_client_options options;
    char *file = test_file(config);

    *s = (struct sent){.client = NULL};
    coney_client_options_init(&options);
    options.config_file = file;
    if (coney_client_new(&options, &s->client, &s->err) != CONEY_OK)
        fail_msg("%s", s->err.text);
    assert_non_null(canvas);
    assert_int_equal(canvas->error.rc, CONEY_OK);
    s->rc = batch_prepare(s->client, canvas, CONEY_REPLY_NONE, &s->batch, &s->err);
    coney_canvas_free(canvas);
    unlink(file);
    free(file);
}

static void done(struct sent *s)
{
    batch_fini(&s->batch);
    coney_client_free(s->client);
}

static struct task_request *request(const struct sent *s, size_t i)
{
    const struct message_limits limits = message_limits_default();
    struct task_request *r = NULL;

    assert_true(i < s->batch.count);
    assert_int_equal(
            task_decode(&s->batch.messages[i]->envelope, &limits, &r, NULL), CONEY_OK);
    return r;
}

static const char *option(const json_t *list, size_t i, const char *name)
{
    return signature_text(json_array_get(list, i), name);
}

static void a_chain_begins_with_its_first_and_carries_the_rest_backwards(void **state)
{
    struct sent s;
    (void)state;
    struct coney_canvas *steps[] = {task("shop.a", "[1]"), named("b", "the-b", "low"),
            named("c", "the-c", "foreign")};
    prepare(&s, with_redis, coney_chain(steps, 3));
    assert_int_equal(s.rc, CONEY_OK);
    assert_int_equal(s.batch.count, 1);
    assert_int_equal(s.batch.stored.count, 0);
    struct task_request *r = request(&s, 0);
    const json_t *rest = json_object_get(r->embed, "chain");
    assert_string_equal(r->task, "shop.a");
    assert_string_equal(s.batch.messages[0]->queue, "shop.high");
    assert_int_equal(s.batch.messages[0]->envelope.properties.priority, 4);
    assert_true(r->expires_us != TASK_NO_TIME);
    assert_int_equal(json_array_size(rest), 2);
    assert_string_equal(option(rest, 0, "task_id"), "the-c");
    assert_string_equal(option(rest, 0, "queue"), "foreign");
    assert_string_equal(
            option(rest, 1, "queue"), "shop.low"); /* as the broker calls it */
    assert_string_equal(
            json_string_value(json_array_get(json_array_get(s.batch.results, 0), 0)),
            "the-c");
    task_request_free(r);
    done(&s);
}

static void a_group_goes_out_whole(void **state)
{
    struct sent s;
    (void)state;
    struct coney_canvas *members[] = {task("a", "[1]"), task("a", "[2]")};
    prepare(&s, with_rpc, coney_group(members, 2));
    assert_int_equal(s.rc, CONEY_OK);
    assert_int_equal(s.batch.count, 2);
    for (size_t i = 0; i < 2; i++) {
        struct task_request *r = request(&s, i);
        assert_int_equal(r->group_index, i);
        assert_string_equal(r->group,
                json_string_value(json_array_get(json_array_get(s.batch.results, 0), 0)));
        task_request_free(r);
    }
    done(&s);
}

static void a_chord_has_its_size_stored_first(void **state)
{
    struct sent s;
    (void)state;
    struct coney_canvas *header[] = {task("a", "[1]"), task("a", "[2]")};
    prepare(&s, with_redis, coney_chord(header, 2, named("body", "the-body", "low")));
    assert_int_equal(s.rc, CONEY_OK);
    assert_int_equal(s.batch.count, 2);
    assert_int_equal(s.batch.stored.count, 1);
    struct task_request *r = request(&s, 1);
    const json_t *body = json_object_get(r->embed, "chord");
    assert_string_equal(signature_text(body, "task_id"), "the-body");
    assert_string_equal(signature_text(body, "queue"), "shop.low");
    task_request_free(r);
    done(&s);
}

static void a_chord_without_redis_is_refused(void **state)
{
    struct sent s;
    (void)state;
    struct coney_canvas *steps[] = {task("x", NULL), NULL};
    struct coney_canvas *header[] = {task("a", "[1]")};
    steps[1] = coney_chord(header, 1, task("body", NULL));
    prepare(&s, with_rpc, steps[1]);
    assert_int_equal(s.rc, CONEY_EINVAL);
    assert_string_equal(
            s.err.text, "a chord needs results in redis: let results.url name one");
    coney_canvas_free(steps[0]);
    done(&s);
}

static void links_are_in_the_message(void **state)
{
    struct sent s;
    (void)state;
    struct coney_canvas *a = task("a", "[1]");
    struct coney_canvas *callback = named("called", NULL, "high");
    coney_immutable(callback);
    coney_link(a, callback);
    coney_link_error(a, task("failed", NULL));
    prepare(&s, with_redis, a);
    struct task_request *r = request(&s, 0);
    const json_t *callbacks = json_object_get(r->embed, "callbacks");
    assert_int_equal(json_array_size(callbacks), 1);
    assert_true(json_is_true(json_object_get(json_array_get(callbacks, 0), "immutable")));
    assert_string_equal(option(callbacks, 0, "queue"), "shop.high");
    assert_int_equal(json_array_size(json_object_get(r->embed, "errbacks")), 1);
    task_request_free(r);
    done(&s);
}

static void what_a_message_says_is_kept_for_later(void **state)
{
    const struct coney_header headers[] = {{"tenant", "42"}};
    struct coney_message m;
    (void)state;
    coney_message_init(&m, "a");
    m.kwargs = "{\"k\": 1}";
    m.countdown_ms = 1500;
    m.expires_at_us = INT64_C(1798761600000000);
    m.time_limit_ms = 30000;
    m.soft_time_limit_ms = 20500;
    m.priority = 7;
    m.headers = headers;
    m.header_count = 1;
    struct coney_canvas *c = coney_signature(&m);
    char *text = json_dumps(json_object_get(c->signature, "options"), JSON_SORT_KEYS);
    assert_string_equal(text,
            "{\"countdown\": 1.5, \"expires\": \"2027-01-01T00:00:00.000000+00:00\", \"headers\": "
            "{\"tenant\": \"42\"}, \"priority\": 7, \"soft_time_limit\": 20.5, "
            "\"time_limit\": 30}");
    free(text);
    coney_canvas_free(c);
}

static void assert_spoilt(struct coney_canvas *c, enum coney_rc rc, const char *hint)
{
    assert_non_null(c);
    assert_int_equal(c->error.rc, rc);
    if (!strstr(c->error.text, hint))
        fail_msg("\"%s\" does not say \"%s\"", c->error.text, hint);
    coney_canvas_free(c);
}

static void a_mistake_stays_in_what_is_made_of_it(void **state)
{
    const struct coney_header reserved[] = {{"retries", "42"}};
    struct coney_message m;
    (void)state;
    assert_spoilt(task("a", "{}"), CONEY_EINVAL, "args is not a JSON array");
    assert_spoilt(task("a", "[1"), CONEY_ESYNTAX, "args");
    assert_spoilt(task(NULL, NULL), CONEY_EINVAL, "no task is named");
    assert_spoilt(coney_chain(NULL, 0), CONEY_EINVAL, "of nothing");
    coney_message_init(&m, "a");
    m.headers = reserved;
    m.header_count = 1;
    assert_spoilt(coney_signature(&m), CONEY_EINVAL, "Celery uses itself");
    struct coney_canvas *steps[] = {task("a", "{}"), task("b", NULL), NULL};
    assert_spoilt(coney_chain(steps, 2), CONEY_EINVAL, "args is not a JSON array");
    steps[0] = task("a", NULL);
    assert_spoilt(coney_group(steps, 1), CONEY_OK, "");
    struct coney_canvas *a = task("a", NULL);
    coney_link(a, task("b", "{}"));
    assert_spoilt(a, CONEY_EINVAL, "args is not a JSON array");
    a = task("a", NULL);
    coney_link(a, NULL);
    assert_spoilt(a, CONEY_ENOMEM, "memory");
    coney_link(NULL, task("b", NULL));
    coney_immutable(NULL);
    coney_canvas_free(NULL);
    assert_null(coney_canvas_results(NULL));
}

static struct coney_canvas *everything(void)
{
    struct coney_canvas *header[] = {task("a", "[1]"), task("a", "[2]")};
    struct coney_canvas *steps[] = {task("first", NULL), NULL, NULL};
    steps[1] = coney_chord(header, 2, task("body", NULL));
    coney_link(steps[1], task("called", NULL));
    struct coney_canvas *members[] = {named("last", "id", "high")};
    steps[2] = coney_group(members, 1);
    return coney_chain(steps, 3);
}

static void no_failing_allocation_is_overlooked(void **state)
{
    unsigned n = 0;
    (void)state;
    do {
        test_fail_allocation(++n);
        struct coney_canvas *c = everything();
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (c && c->error.rc == CONEY_OK && failed)
            fail_msg("allocation %u failed, and nothing says so", n);
        coney_canvas_free(c);
        if (!failed)
            break;
    } while (n < 1000);
    assert_in_range(n, 5, 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(
                    a_chain_begins_with_its_first_and_carries_the_rest_backwards),
            cmocka_unit_test(a_group_goes_out_whole),
            cmocka_unit_test(a_chord_has_its_size_stored_first),
            cmocka_unit_test(a_chord_without_redis_is_refused),
            cmocka_unit_test(links_are_in_the_message),
            cmocka_unit_test(what_a_message_says_is_kept_for_later),
            cmocka_unit_test(a_mistake_stays_in_what_is_made_of_it),
            cmocka_unit_test(no_failing_allocation_is_overlooked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
