/* SPDX-License-Identifier: MIT */
/* test_protocol1.c - old messages become new ones that say the same, or stay as they are.
 */
#include "message/protocol1.h"
#include "unit/messages.h"

#include <stdlib.h>
#include <zlib.h>

/* What Celery sends with task_protocol = 1 for add.apply_async((2, 3), {"y": NaN}). */
#define OLD_BODY                                                                          \
    "{\"task\": \"proj.add\", \"id\": \"an-id\", \"args\": [2, 18446744073709551616], "   \
    "\"kwargs\": {\"y\": NaN, \"z\": \"a, } \\\\\\\" b\"}, \"group\": null, "             \
    "\"group_index\": 3, \"retries\": 1, \"eta\": \"2026-11-20T13:03:53.003744+00:00\", " \
    "\"expires\": null, \"utc\": true, \"callbacks\": [{\"task\": \"proj.mul\", "         \
    "\"args\": [], \"kwargs\": {}, \"options\": {}}], \"errbacks\": null, "               \
    "\"timelimit\": [60, 50.5], \"taskset\": \"a-group\", \"chord\": null}"
#define NEW_BODY                                                               \
    "[[2, 18446744073709551616], {\"y\": NaN, \"z\": \"a, } \\\\\\\" b\"}, "   \
    "{\"callbacks\": [{\"task\": \"proj.mul\", \"args\": [], \"kwargs\": {}, " \
    "\"options\": {}}], \"errbacks\": null, \"chain\": null, \"chord\": null}]"

static struct envelope old_message(const char *body)
{
    struct envelope e;
    assert_int_equal(envelope_init(&e), CONEY_OK);
    e.properties.content_type = "application/json";
    e.properties.content_encoding = "utf-8";
    e.properties.reply_to = "replies";
    e.properties.correlation_id = "an-id";
    set_body(&e, body, strlen(body));
    return e;
}

static struct task_request *received(struct envelope *e)
{
    struct message_limits limits = message_limits_default();
    struct task_request *r;
    struct coney_error err;
    if (task_receive(e, &limits, &r, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return r;
}

static void assert_refused(
        struct envelope *e, const struct message_limits *limits, const char *word)
{
    struct task_request *r;
    struct coney_error err = {.text = ""};
    const struct envelope before = *e;
    assert_int_not_equal(task_receive(e, limits, &r, &err), CONEY_OK);
    assert_null(r);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not say %s", err.text, word);
    assert_memory_equal(&before, e, sizeof(before)); /* the evidence is as it came */
}

static void an_old_message_is_read_whole(void **state)
{
    (void)state;
    struct envelope e = old_message(OLD_BODY);
    struct task_request *r = received(&e);

    assert_string_equal(r->task, "proj.add");
    assert_string_equal(r->id, "an-id");
    assert_string_equal(r->root_id, "an-id");
    assert_string_equal(r->group, "a-group");
    assert_string_equal(r->reply_to, "replies");
    assert_null(r->parent_id);
    assert_int_equal(r->group_index, 3);
    assert_int_equal(r->retries, 1);
    assert_int_equal(r->time_limit_ms, 60000);
    assert_int_equal(r->soft_time_limit_ms, 50500);
    assert_true(r->eta_us != TASK_NO_TIME && r->expires_us == TASK_NO_TIME);
    assert_string_equal(r->body.data, NEW_BODY);
    assert_string_equal(e.body.data, NEW_BODY);
    task_request_free(r);
    envelope_fini(&e);
}

static void its_retry_is_of_protocol_two(void **state)
{
    (void)state;
    static const char *const names[] = {"lang", "task", "id", "shadow", "eta", "expires",
            "group", "group_index", "retries", "timelimit", "root_id", "parent_id",
            "argsrepr", "kwargsrepr", "origin", "ignore_result"};
    const struct task_again again = {.retries = 2, .eta_us = TASK_NO_TIME};
    struct message_limits limits = message_limits_default();
    struct envelope e = old_message(OLD_BODY), out;
    struct task_request *r = received(&e);
    task_request_free(r);

    assert_int_equal(task_encode_again(&e, &again, &out, NULL), CONEY_OK);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!table_find(&out.headers, names[i]))
            fail_msg("no header %s", names[i]);
    assert_string_equal(
            table_text(&out.headers, "argsrepr").data, "(2, '18446744073709551616')");
    assert_int_equal(task_decode(&out, &limits, &r, NULL), CONEY_OK);
    assert_int_equal(r->retries, 2);
    assert_string_equal(r->body.data, NEW_BODY);
    task_request_free(r);
    envelope_fini(&out);
    envelope_fini(&e);
}

static void task_id_and_args_are_enough(void **state)
{
    (void)state;
    struct envelope e = old_message("{\"task\":\"t\",\"id\":\"i\",\"args\":[]}");
    struct task_request *r = received(&e);
    assert_string_equal(e.body.data, "[[], {}, " PLAIN_EMBED "]");
    assert_int_equal(r->retries, 0);
    task_request_free(r);
    envelope_fini(&e);
}

static void users_headers_stay(void **state)
{
    (void)state;
    struct envelope e = old_message(OLD_BODY);
    set_header(&e, "x-custom", "v1");
    task_request_free(received(&e));
    assert_string_equal(table_text(&e.headers, "x-custom").data, "v1");
    envelope_fini(&e);
}

static void a_hybrids_headers_count_for_more_than_its_body(void **state)
{
    (void)state;
    struct envelope e = captured_task();
    set_integer_header(&e, "retries", 2);
    set_body(&e, OLD_BODY, strlen(OLD_BODY));
    struct task_request *r = received(&e);
    assert_string_equal(r->id, "bab6b8bb-b4ec-4335-8d5b-3c727a42b4c0");
    assert_int_equal(r->retries, 2);
    assert_true(r->eta_us == TASK_NO_TIME);
    assert_string_equal(r->origin, "gen4659@vm");
    assert_string_equal(r->body.data, NEW_BODY);
    task_request_free(r);
    envelope_fini(&e);
}

static void a_new_message_stays_as_it_is(void **state)
{
    (void)state;
    struct message_limits limits = message_limits_default();
    struct envelope e = captured_task();
    const struct envelope before = e;
    assert_int_equal(protocol1_upgrade(&e, &limits, NULL), CONEY_OK);
    assert_memory_equal(&before, &e, sizeof(before));
    envelope_fini(&e);
}

static void a_compressed_one_becomes_plain(void **state)
{
    (void)state;
    uint8_t packed[1024];
    uLongf len = sizeof(packed);
    assert_int_equal(
            compress(packed, &len, (const uint8_t *)OLD_BODY, strlen(OLD_BODY)), Z_OK);
    struct envelope e = old_message("");
    set_header(&e, "compression", "application/x-gzip");
    set_body(&e, packed, len);
    struct task_request *r = received(&e);
    assert_string_equal(e.body.data, NEW_BODY);
    assert_null(table_find(&e.headers, "compression"));
    task_request_free(r);
    envelope_fini(&e);
}

static void what_is_wrong_is_said_and_the_message_kept(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *word;
    } rows[] = {{"{}", "no header id"}, {"{\"id\":\"i\",\"args\":[]}", "no header task"},
            {"{\"task\":\"t\",\"args\":[]}", "no header id"}, {"{\"task\":", "not JSON"},
            {"{\"task\":{},\"id\":\"i\"}", "header task is not"},
            {"{\"task\":\"t\",\"id\":7}", "header id is not"},
            {"{\"task\":\"t\",\"id\":\"i\",\"args\":{}}", "args"},
            {"{\"task\":\"t\",\"id\":\"i\",\"kwargs\":[]}", "kwargs"},
            {"{\"task\":\"t\",\"id\":\"i\",\"kwargs\":null}", "kwargs"},
            {"{\"task\":\"t\",\"id\":\"i\",\"callbacks\":{}}", "callbacks"},
            {"{\"task\":\"t\",\"id\":\"i\",\"timelimit\":[5]}", "array of two"},
            {"{\"task\":\"t\",\"id\":\"i\",\"timelimit\":[[],{}]}", "two numbers"},
            {"{\"task\":\"t\",\"id\":\"i\",\"eta\":\"\"}", "header eta"},
            {"{\"task\":\"t\",\"id\":\"i\",\"eta\":{\"a\":1}}", "header eta"},
            {"{\"task\":\"t\",\"id\":\"i\",\"\\u0061rgs\":[1]}", "escaped"},
            {"{\"task\":\"t\",\"task\":\"u\",\"id\":\"i\"}", "twice"}};
    struct message_limits limits = message_limits_default();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct envelope e = old_message(rows[i].body);
        assert_refused(&e, &limits, rows[i].word);
        envelope_fini(&e);
    }
}

static void a_time_in_nobodys_zone_is_refused(void **state)
{
    (void)state;
#define TIMED(utc, eta) \
    "{\"task\":\"t\",\"id\":\"i\",\"utc\":" utc ",\"expires\":null,\"eta\":\"" eta "\"}"
    struct message_limits limits = message_limits_default();
    struct envelope e = old_message(TIMED("false", "2030-01-02T03:04:05"));
    assert_refused(&e, &limits, "eta has no offset");
    envelope_fini(&e);
    e = old_message(TIMED("false", "2030-01-02T03:04:05+02:00"));
    task_request_free(received(&e));
    envelope_fini(&e);
    e = old_message(TIMED("true", "2030-01-02T03:04:05"));
    task_request_free(received(&e));
    envelope_fini(&e);
}

static void limits_hold(void **state)
{
    (void)state;
    struct message_limits limits = message_limits_default();
    struct envelope e = old_message(OLD_BODY);
    limits.body_max = strlen(OLD_BODY) - 1;
    assert_refused(&e, &limits, "more than");
    limits = message_limits_default();
    limits.depth_max = 2;
    assert_refused(&e, &limits, "");
    envelope_fini(&e);
}

/* Whatever is cut off or altered, it neither crashes nor leaks, and a refusal leaves the
 * message alone. */
static void every_damage_is_survived(void **state)
{
    (void)state;
    static const char odd[] = "\"{}[],:\\ \0\xff";
    struct message_limits limits = message_limits_default();
    for (size_t at = 0; at < strlen(OLD_BODY); at++)
        for (size_t c = 0; c < sizeof(odd); c++) {
            char text[] = OLD_BODY;
            struct envelope e = old_message("");
            struct task_request *r;
            text[at] = odd[c];
            set_body(&e, text, c + 1 == sizeof(odd) ? at : strlen(OLD_BODY));
            const struct envelope before = e;
            if (task_receive(&e, &limits, &r, NULL) != CONEY_OK)
                assert_memory_equal(&before, &e, sizeof(before));
            task_request_free(r);
            envelope_fini(&e);
        }
}

static void memory_that_runs_short_is_reported(void **state)
{
    (void)state;
    struct message_limits limits = message_limits_default();
    for (unsigned n = 1;; n++) {
        struct envelope e = old_message(OLD_BODY);
        struct task_request *r;
        test_fail_allocation(n);
        enum coney_rc rc = task_receive(&e, &limits, &r, NULL);
        bool has_failed = test_allocation_failed();
        test_fail_allocation(0);
        task_request_free(r);
        envelope_fini(&e);
        assert_int_equal(rc, has_failed ? CONEY_ENOMEM : CONEY_OK);
        if (!has_failed) {
            assert_true(n > 3);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(an_old_message_is_read_whole),
            cmocka_unit_test(its_retry_is_of_protocol_two),
            cmocka_unit_test(task_id_and_args_are_enough),
            cmocka_unit_test(users_headers_stay),
            cmocka_unit_test(a_hybrids_headers_count_for_more_than_its_body),
            cmocka_unit_test(a_new_message_stays_as_it_is),
            cmocka_unit_test(a_compressed_one_becomes_plain),
            cmocka_unit_test(what_is_wrong_is_said_and_the_message_kept),
            cmocka_unit_test(a_time_in_nobodys_zone_is_refused),
            cmocka_unit_test(limits_hold),
            cmocka_unit_test(every_damage_is_survived),
            cmocka_unit_test(memory_that_runs_short_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
