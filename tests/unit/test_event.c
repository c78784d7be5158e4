/* SPDX-License-Identifier: MIT */
/* test_event.c - events as Celery's monitors read them, and never as they die of. */
#include "base/json.h"
#include "base/rng.h"
#include "message/event.h"
#include "unit/messages.h"

#include <math.h>

static json_t *parsed(struct bytes text)
{
    json_error_t err;
    json_t *v = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &err);
    if (!v)
        fail_msg("%s: %.*s", err.text, (int)text.len, (const char *)text.data);
    return v;
}

static struct event an_event(enum event_type type)
{
    struct event ev = {.type = type,
            .hostname = "coney@h",
            .pid = 17,
            .clock = 5,
            .at_us = 1795177801500000};
    if (event_is_of_task(type))
        ev.about.task.id = "t-1";
    else if (type == EVENT_WORKER_ELECT_ACK)
        ev.about.election = "e-1";
    else
        ev.about.worker = (struct event_worker){.freq_s = 2,
                .active = 1,
                .processed = 3,
                .loadavg = {0.25, 0, 1},
                .sw_version = "1.2"};
    return ev;
}

static void expect_body(const struct event *ev, const char *body)
{
    struct envelope e;
    assert_int_equal(event_encode(ev, &e), CONEY_OK);
    assert_string_equal(e.body.data, body);
    assert_string_equal(e.properties.content_type, "application/json");
    assert_string_equal(e.properties.content_encoding, "utf-8");
    assert_int_equal(e.properties.delivery_mode, DELIVERY_TRANSIENT);
    assert_string_equal(table_text(&e.headers, "hostname").data, ev->hostname);
    envelope_fini(&e);
}

static void a_worker_event_has_what_celery_writes_but_the_offset(void **state)
{
    (void)state;
    const struct event ev = an_event(EVENT_WORKER_ONLINE);
    expect_body(&ev,
            "{\"hostname\": \"coney@h\", \"pid\": 17, \"clock\": 5, \"freq\": 2.0, "
            "\"active\": 1, \"processed\": 3, \"loadavg\": [0.25, 0.0, 1.0], "
            "\"sw_ident\": \"coney\", \"sw_ver\": \"1.2\", \"sw_sys\": \"Linux\", "
            "\"timestamp\": 1795177801.5, \"type\": \"worker-online\"}");
    assert_string_equal(event_routing_key(EVENT_WORKER_ONLINE), "worker.online");
    assert_string_equal(event_routing_key(EVENT_WORKER_ELECT_ACK), "worker.elect.ack");
}

static void a_task_event_has_the_fields_of_its_type(void **state)
{
    (void)state;
    static const char received[] =
            "\"name\": \"a\", \"args\": null, \"kwargs\": null, \"root_id\": null, "
            "\"parent_id\": null, \"retries\": 0, \"eta\": null, \"expires\": null, ";
    static const char sent[] =
            "\"name\": \"a\", \"args\": null, \"kwargs\": null, \"root_id\": null, "
            "\"parent_id\": null, \"retries\": 0, \"eta\": null, \"expires\": null, "
            "\"queue\": null, \"exchange\": null, \"routing_key\": null, ";
    static const char *const fields[EVENT_TYPES] = {
            [EVENT_TASK_SENT] = sent,
            [EVENT_TASK_RECEIVED] = received,
            [EVENT_TASK_STARTED] = "",
            [EVENT_TASK_SUCCEEDED] = "\"result\": \"None\", \"runtime\": 4.0, ",
            [EVENT_TASK_FAILED] = "\"exception\": \"\", \"traceback\": null, ",
            [EVENT_TASK_RETRIED] = "\"exception\": \"\", \"traceback\": null, ",
            [EVENT_TASK_REVOKED] =
                    "\"terminated\": false, \"signum\": null, \"expired\": false, ",
            [EVENT_TASK_REJECTED] = "\"requeue\": false, ",
    };
    for (int i = EVENT_TASK_SENT; i < EVENT_TYPES; i++) {
        char body[600];
        struct event ev = an_event((enum event_type)i);
        ev.about.task.name = "a";
        ev.about.task.runtime_s = 4;
        snprintf(body, sizeof(body),
                "{\"hostname\": \"coney@h\", \"pid\": 17, \"clock\": 5, \"uuid\": "
                "\"t-1\", %s\"timestamp\": 1795177801.5, \"type\": \"%s\"}",
                fields[i], event_type_name(ev.type));
        expect_body(&ev, body);
    }
}

static void a_termination_names_its_signal(void **state)
{
    (void)state;
    struct event ev = an_event(EVENT_TASK_REVOKED);
    ev.about.task.terminated = true;
    ev.about.task.signum = 9;
    expect_body(&ev, "{\"hostname\": \"coney@h\", \"pid\": 17, \"clock\": 5, \"uuid\": "
                     "\"t-1\", \"terminated\": true, \"signum\": 9, \"expired\": false, "
                     "\"timestamp\": 1795177801.5, \"type\": \"task-revoked\"}");
}

static void what_a_monitor_needs_is_demanded(void **state)
{
    (void)state;
    struct envelope e;
    struct event ev = an_event(EVENT_TASK_STARTED);
    ev.about.task.id = NULL;
    assert_int_equal(event_encode(&ev, &e), CONEY_EINVAL);
    ev.about.task.id = "";
    assert_int_equal(event_encode(&ev, &e), CONEY_EINVAL);
    ev = an_event(EVENT_WORKER_ELECT_ACK);
    ev.about.election = NULL;
    assert_int_equal(event_encode(&ev, &e), CONEY_EINVAL);
    ev = an_event(EVENT_WORKER_HEARTBEAT);
    ev.hostname = "";
    assert_int_equal(event_encode(&ev, &e), CONEY_EINVAL);
}

static void only_task_events_go_out_as_a_batch(void **state)
{
    (void)state;
    struct event_batch b;
    struct envelope e;
    const struct event worker = an_event(EVENT_WORKER_HEARTBEAT);
    const struct event task = an_event(EVENT_TASK_STARTED);

    event_batch_init(&b, 64 * 1024);
    assert_int_equal(event_batch_add(&b, &worker), CONEY_EINVAL);
    for (int i = 0; i < EVENT_BATCH_MAX; i++)
        assert_int_equal(event_batch_add(&b, &task), CONEY_OK);
    assert_int_equal(event_batch_add(&b, &task), CONEY_ELIMIT);
    assert_int_equal(event_batch_encode(&b, "coney@h", &e), CONEY_OK);
    json_t *v = parsed(e.body);
    assert_int_equal(json_array_size(v), EVENT_BATCH_MAX);
    assert_int_equal(b.count, 0);
    json_decref(v);
    envelope_fini(&e);
    event_batch_fini(&b);
}

static void a_full_batch_can_still_be_closed(void **state)
{
    (void)state;
    struct event_batch b;
    struct envelope e;
    const struct event task = an_event(EVENT_TASK_STARTED);

    event_batch_init(&b, 300);
    unsigned added = 0;
    while (event_batch_add(&b, &task) == CONEY_OK)
        added++;
    assert_true(added > 0 && added < 4);
    assert_int_equal(event_batch_encode(&b, "coney@h", &e), CONEY_OK);
    json_t *v = parsed(e.body);
    assert_int_equal(json_array_size(v), added);
    json_decref(v);
    envelope_fini(&e);
    event_batch_fini(&b);
}

/* --- whatever is put in, what comes out harms nobody -------------------------------- */

static const char *some_text(struct rng *r, char *space, size_t size)
{
    size_t len = rng_below(r, 9) == 0 ? size - 1 : rng_below(r, 20);
    if (rng_below(r, 4) == 0)
        return NULL;
    for (size_t i = 0; i < len; i++)
        space[i] = (char)(1 + rng_below(r, 255));
    space[len] = '\0';
    return space;
}

static double some_number(struct rng *r)
{
    static const double odd[] = {0, 1, -1, 1e308, 1e-320};
    uint64_t which = rng_below(r, 8);
    if (which < 5)
        return odd[which];
    return which == 5 ? NAN : which == 6 ? INFINITY : rng_unit(r);
}

static void expect_harmless(const json_t *ev, enum event_type type)
{
    const char *hostname = json_string_value(json_object_get(ev, "hostname"));
    assert_string_equal(
            json_string_value(json_object_get(ev, "type")), event_type_name(type));
    assert_true(hostname && *hostname);
    assert_true(json_is_real(json_object_get(ev, "timestamp")));
    assert_true(json_integer_value(json_object_get(ev, "clock")) >= 1);
    assert_true(json_is_integer(json_object_get(ev, "pid")));
    assert_null(json_object_get(ev, "utcoffset"));
    if (event_is_of_task(type))
        assert_true(json_string_length(json_object_get(ev, "uuid")) > 0);
    else if (type == EVENT_WORKER_ELECT_ACK)
        assert_true(json_string_length(json_object_get(ev, "id")) > 0);
    else
        assert_true(json_is_real(json_object_get(ev, "freq")));
}

static void fill(struct rng *r, struct event *ev, char space[14][3000])
{
    struct event_task *t = &ev->about.task;
    ev->clock = (int64_t)rng_next(r);
    ev->pid = (int64_t)rng_below(r, 100000);
    if (!event_is_of_task(ev->type)) {
        ev->about.election = some_text(r, space[0], 200);
        if (ev->type != EVENT_WORKER_ELECT_ACK)
            ev->about.worker = (struct event_worker){.freq_s = some_number(r),
                    .loadavg = {some_number(r), some_number(r), some_number(r)}};
        return;
    }
    const char **texts[] = {&t->id, &t->name, &t->args, &t->kwargs, &t->root_id,
            &t->parent_id, &t->eta, &t->expires, &t->queue, &t->exchange, &t->routing_key,
            &t->result, &t->exception, &t->traceback};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = some_text(r, space[i], 3000);
    t->runtime_s = some_number(r);
    t->signum = (int)rng_below(r, 70) - 3;
}

static void nothing_that_is_written_ends_a_python_worker(void **state)
{
    (void)state;
    static char space[14][3000];
    struct rng r;

    rng_seed(&r, 7);
    for (int i = 0; i < 20000; i++) {
        struct event ev = {.type = (enum event_type)rng_below(&r, EVENT_TYPES),
                .hostname = "coney@h\xff",
                .at_us = (int64_t)rng_below(&r, 2000000000000000)};
        struct envelope e;
        fill(&r, &ev, space);
        enum coney_rc rc = event_encode(&ev, &e);
        if (rc == CONEY_EINVAL)
            continue;
        assert_int_equal(rc, CONEY_OK);
        assert_non_null(table_text(&e.headers, "hostname").data);
        json_t *v = parsed(e.body);
        assert_true(json_is_object(v));
        expect_harmless(v, ev.type);
        json_decref(v);
        envelope_fini(&e);
    }
}

static void an_allocation_that_fails_is_an_error(void **state)
{
    (void)state;
    const struct event ev = an_event(EVENT_TASK_RECEIVED);
    struct envelope e;
    enum coney_rc rc = CONEY_ENOMEM;
    for (unsigned n = 1; rc != CONEY_OK; n++) {
        test_fail_allocation(n);
        rc = event_encode(&ev, &e);
        test_fail_allocation(0);
        assert_true(rc == CONEY_OK || rc == CONEY_ENOMEM);
    }
    envelope_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_worker_event_has_what_celery_writes_but_the_offset),
            cmocka_unit_test(a_task_event_has_the_fields_of_its_type),
            cmocka_unit_test(a_termination_names_its_signal),
            cmocka_unit_test(what_a_monitor_needs_is_demanded),
            cmocka_unit_test(only_task_events_go_out_as_a_batch),
            cmocka_unit_test(a_full_batch_can_still_be_closed),
            cmocka_unit_test(nothing_that_is_written_ends_a_python_worker),
            cmocka_unit_test(an_allocation_that_fails_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
