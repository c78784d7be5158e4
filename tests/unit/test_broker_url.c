/* SPDX-License-Identifier: MIT */
/* test_broker_url.c - broker URLs, and that no error repeats what may be a password. */
#include "amqp/broker_url.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

struct good {
    const char *text;
    bool is_tls;
    const char *host, *port, *user, *password, *vhost, *label;
};

static void every_part_is_found_and_decoded(void **state)
{
    (void)state;
    static const struct good good[] = {
            {"amqp://h", false, "h", "5672", NULL, NULL, "/", "h:5672"},
            {"amqps://h", true, "h", "5671", NULL, NULL, "/", "h:5671"},
            {"AMQPS://h/", true, "h", "5671", NULL, NULL, "/", "h:5671"},
            {"amqp://h//", false, "h", "5672", NULL, NULL, "/", "h:5672"},
            {"amqp://h/%2F", false, "h", "5672", NULL, NULL, "/", "h:5672"},
            {"amqp://h/%2f", false, "h", "5672", NULL, NULL, "/", "h:5672"},
            {"amqp://h/a%2Fb", false, "h", "5672", NULL, NULL, "a/b", "h:5672"},
            {"amqp://h:1/v", false, "h", "1", NULL, NULL, "v", "h:1"},
            {"amqp://h:65535", false, "h", "65535", NULL, NULL, "/", "h:65535"},
            {"amqp://h:05672", false, "h", "5672", NULL, NULL, "/", "h:5672"},
            {"amqp://u@h", false, "h", "5672", "u", NULL, "/", "h:5672"},
            {"amqp://u:p@h", false, "h", "5672", "u", "p", "/", "h:5672"},
            {"amqp://u:@h", false, "h", "5672", "u", "", "/", "h:5672"},
            {"amqp://u:p:q@h", false, "h", "5672", "u", "p:q", "/", "h:5672"},
            {"amqp://%75:%40%2F%25%3A@h:7/v", false, "h", "7", "u", "@/%:", "v", "h:7"},
            {"amqp://[::1]", false, "::1", "5672", NULL, NULL, "/", "[::1]:5672"},
            {"amqps://u:p@[fe80::1%25eth0]:9/v", true, "fe80::1%eth0", "9", "u", "p", "v",
                    "[fe80::1%eth0]:9"},
            {"amqp://127.0.0.1:5/", false, "127.0.0.1", "5", NULL, NULL, "/",
                    "127.0.0.1:5"},
            {"amqp://u:p\xc3\xa4ss@h/v\xc3\xb6", false, "h", "5672", "u", "p\xc3\xa4ss",
                    "v\xc3\xb6", "h:5672"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct arena *a = arena_new(0);
        struct broker_url b;
        struct coney_error err = {.text = ""};
        assert_int_equal(broker_url_parse(good[i].text, a, &b, &err), CONEY_OK);
        assert_int_equal(b.url.is_tls, good[i].is_tls);
        test_text(b.url.host, good[i].host);
        test_text(b.url.port, good[i].port);
        test_text(b.url.user, good[i].user);
        test_text(b.url.password, good[i].password);
        test_text(b.vhost, good[i].vhost);
        test_text(b.url.label, good[i].label);
        arena_free(a);
    }
}

static void what_is_no_broker_url_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "h", "http://h", "amqp:/h", "amqp//h",
            "amqp://", "amqp:///v", "amqp://u@", "amqp://u@/v", "amqp://:5672",
            "amqp://h:", "amqp://h:0", "amqp://h:65536", "amqp://h:99999999999999999999",
            "amqp://h:5x", "amqp://h:-1", "amqp://[::1", "amqp://[]", "amqp://[::1]5672",
            "amqp://::1", "amqp://h/a/b", "amqp://h///", "amqp://h/%", "amqp://h/%2",
            "amqp://h/%2g", "amqp://h/%00", "amqp://h/a%0ab", "amqp://u%@h",
            "amqp://u:%zz@h", "amqp://h o", "amqp://h?x=1", "amqp://h#x", "amqp://u@v@h",
            "amqp://u:p/q@h", "amqp://h\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct arena *a = arena_new(0);
        struct broker_url b;
        struct coney_error err = {.text = ""};
        if (broker_url_parse(bad[i], a, &b, &err) != CONEY_EINVAL)
            fail_msg("accepted \"%s\"", bad[i]);
        assert_true(strlen(err.text) > 0);
        arena_free(a);
    }
}

static void a_virtual_host_is_no_longer_than_the_protocol_allows(void **state)
{
    (void)state;
    for (int len = 254; len <= 256; len++) {
        struct arena *a = arena_new(0);
        struct broker_url b;
        char text[300];
        snprintf(text, sizeof(text), "amqp://h/%0*d", len, 0);
        assert_int_equal(broker_url_parse(text, a, &b, NULL),
                len <= 255 ? CONEY_OK : CONEY_EINVAL);
        arena_free(a);
    }
}

static void no_error_repeats_a_password(void **state)
{
    (void)state;
    static const char *const leaky[] = {"amqp://u:S3CR3T", "amqp://u:S3CR3T@",
            "amqp://u:S3CR3T/x@h", "amqp://u:S3CR3T?@h", "amqp://u:S3CR3T#@h",
            "amqp://u:S3CR3T%@h", "amqp://u:S3CR3T@@h", "amqp://u:S3CR3T@h:x", "S3CR3T",
            "amqp://u:S3CR3T@h/%"};
    for (size_t i = 0; i < sizeof(leaky) / sizeof(leaky[0]); i++) {
        struct arena *a = arena_new(0);
        struct broker_url b;
        struct coney_error err;
        assert_int_equal(broker_url_parse(leaky[i], a, &b, &err), CONEY_EINVAL);
        assert_null(strstr(err.text, "S3CR3T"));
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_part_is_found_and_decoded),
            cmocka_unit_test(what_is_no_broker_url_is_refused),
            cmocka_unit_test(a_virtual_host_is_no_longer_than_the_protocol_allows),
            cmocka_unit_test(no_error_repeats_a_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
