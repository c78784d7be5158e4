/* SPDX-License-Identifier: MIT */
/* test_refusal.c - the sentences made from what the broker says, word for word. */
#include "queue/refusal.h"
#include "support/test.h"

#include <string.h>

static const struct declaration level = {
        .kind = DECLARE_QUEUE, .name = "coney.v1.delay.03", .arguments = {.count = 6}};
static const struct declaration exchange = {
        .kind = DECLARE_EXCHANGE, .name = "coney.dlx", .arguments = {.count = 1}};
static const struct declaration plain = {
        .kind = DECLARE_EXCHANGE, .name = "coney.unrouted"};
static const struct declaration foreign = {
        .kind = DECLARE_QUEUE, .mode = DECLARE_PASSIVE, .name = "notifications"};
static const struct declaration binding = {.kind = BIND_QUEUE,
        .name = "notifications",
        .source = "coney.v1.delayed",
        .key = "#"};

static void assert_explained(const struct declaration *item, unsigned code,
        const char *text, enum coney_rc rc, const char *sentence)
{
    struct coney_error err = {.rc = CONEY_OK};
    refusal_explain(item, code, text, &err);
    assert_int_equal(err.rc, rc);
    assert_string_equal(err.text, sentence);
}

static void another_value_is_shown_beside_ours(void **state)
{
    (void)state;
    assert_explained(&level, 406,
            "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue "
            "'coney.v1.delay.03' in vhost '/': received the value '8000' of type "
            "'signedint' but current is the value '9000' of type 'long'",
            CONEY_EREFUSED,
            "queue 'coney.v1.delay.03' exists with x-message-ttl 9000 where 8000 is "
            "wanted: delete it once it is empty, or say `declare: passive` to use it as "
            "it is");
}

static void an_argument_that_is_not_there_is_not_set(void **state)
{
    (void)state;
    assert_explained(&level, 406,
            "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue "
            "'coney.v1.delay.03' in vhost '/': received the value '8000' of type "
            "'signedint' but current is none",
            CONEY_EREFUSED,
            "queue 'coney.v1.delay.03' exists with x-message-ttl not set where 8000 is "
            "wanted: delete it once it is empty, or say `declare: passive` to use it as "
            "it is");
    assert_explained(&level, 406,
            "PRECONDITION_FAILED - inequivalent arg 'x-expires' for queue "
            "'coney.v1.delay.03' in vhost '/': received none but current is the value "
            "'5' of type 'signedint'",
            CONEY_EREFUSED,
            "queue 'coney.v1.delay.03' exists with x-expires 5 where not set is wanted: "
            "delete it once it is empty, or say `declare: passive` to use it as it is");
}

static void an_exchange_of_another_type_is_explained(void **state)
{
    (void)state;
    assert_explained(&exchange, 406,
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'coney.dlx' in "
            "vhost '/': received 'topic' but current is 'fanout'",
            CONEY_EREFUSED,
            "exchange 'coney.dlx' exists with type fanout where topic is wanted: delete "
            "it, or say `declare: passive` to use it as it is");
}

static void a_missing_passive_object_is_named_with_a_remedy(void **state)
{
    (void)state;
    assert_explained(&foreign, 404, "NOT_FOUND - no queue 'notifications' in vhost '/'",
            CONEY_ENOTFOUND,
            "queue 'notifications' does not exist and may only be used, not declared: "
            "create it, or do without `declare: passive`");
    assert_explained(&binding, 404,
            "NOT_FOUND - no exchange 'coney.v1.delayed' in vhost '/'", CONEY_ENOTFOUND,
            "queue 'notifications' can't be bound to 'coney.v1.delayed': NOT_FOUND - no "
            "exchange 'coney.v1.delayed' in vhost '/'");
}

static void a_missing_permission_is_named(void **state)
{
    (void)state;
    struct {
        const struct declaration *item;
        const char *text;
        const char *permission;
    } cases[] = {
            {&level,
                    "ACCESS_REFUSED - access to queue 'coney.v1.delay.03' in vhost '/' "
                    "refused for user 'bob'",
                    "lacks the configure (and read) permission on queue "
                    "'coney.v1.delay.03'"},
            {&level,
                    "ACCESS_REFUSED - access to exchange 'coney.v1.delay.02' in vhost "
                    "'/' refused for user 'bob'",
                    "lacks the write permission on exchange 'coney.v1.delay.02'"},
            {&plain,
                    "ACCESS_REFUSED - access to exchange 'coney.unrouted' in vhost '/' "
                    "refused for user 'bob'",
                    "lacks the configure permission on exchange 'coney.unrouted'"},
            {&binding,
                    "ACCESS_REFUSED - access to queue 'notifications' in vhost '/' "
                    "refused for user 'bob'",
                    "lacks the write permission on queue 'notifications'"},
            {&binding,
                    "ACCESS_REFUSED - access to exchange 'coney.v1.delayed' in vhost "
                    "'/' refused for user 'bob'",
                    "lacks the read permission on exchange 'coney.v1.delayed'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct coney_error err = {.rc = CONEY_OK};
        refusal_explain(cases[i].item, 403, cases[i].text, &err);
        assert_int_equal(err.rc, CONEY_EREFUSED);
        assert_non_null(strstr(err.text, "user 'bob'"));
        assert_non_null(strstr(err.text, cases[i].permission));
    }
}

static void an_unknown_wording_is_passed_on(void **state)
{
    (void)state;
    assert_explained(&foreign, 405, "RESOURCE_LOCKED - cannot obtain exclusive access",
            CONEY_EREFUSED,
            "queue 'notifications' was refused: RESOURCE_LOCKED - cannot obtain "
            "exclusive access");
    assert_explained(&level, 406, "PRECONDITION_FAILED - inequivalent arg 'x-mess",
            CONEY_EREFUSED,
            "queue 'coney.v1.delay.03' was refused: PRECONDITION_FAILED - inequivalent "
            "arg 'x-mess");
    assert_explained(NULL, 504, "CHANNEL_ERROR", CONEY_EREFUSED,
            "the broker refused a declaration: CHANNEL_ERROR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(another_value_is_shown_beside_ours),
            cmocka_unit_test(an_argument_that_is_not_there_is_not_set),
            cmocka_unit_test(an_exchange_of_another_type_is_explained),
            cmocka_unit_test(a_missing_passive_object_is_named_with_a_remedy),
            cmocka_unit_test(a_missing_permission_is_named),
            cmocka_unit_test(an_unknown_wording_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
