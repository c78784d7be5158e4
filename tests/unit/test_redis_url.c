/* SPDX-License-Identifier: MIT */
/* test_redis_url.c - addresses of redis, as Celery writes them. */
#include "redis/redis_url.h"
#include "test.h"

#include <string.h>

static void every_part_is_found_and_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_tls;
        const char *host, *port, *user, *password;
        unsigned db;
    } good[] = {
            {"redis://h", false, "h", "6379", NULL, NULL, 0},
            {"redis://h/", false, "h", "6379", NULL, NULL, 0},
            {"redis://h/0", false, "h", "6379", NULL, NULL, 0},
            {"rediss://h:7000/15", true, "h", "7000", NULL, NULL, 15},
            {"redis://:p%40ss@h/1", false, "h", "6379", "", "p@ss", 1},
            {"redis://ada:p@[::1]:1/007", false, "::1", "1", "ada", "p", 7},
            {"redis://h/65535", false, "h", "6379", NULL, NULL, 65535},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct arena *a = arena_new(0);
        struct redis_url r;
        assert_int_equal(redis_url_parse(good[i].text, a, &r, NULL), CONEY_OK);
        assert_int_equal(r.url.is_tls, good[i].is_tls);
        test_text(r.url.host, good[i].host);
        test_text(r.url.port, good[i].port);
        test_text(r.url.user, good[i].user);
        test_text(r.url.password, good[i].password);
        assert_int_equal(r.db, good[i].db);
        arena_free(a);
    }
}

static void what_is_no_redis_url_is_refused_without_its_password(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "h", "amqp://:S3CR3T@h", "redis:/h", "redis://",
            "redis://:S3CR3T@h/x", "redis://:S3CR3T@h/-1", "redis://:S3CR3T@h/65536",
            "redis://:S3CR3T@h/99999999999999999999", "redis://:S3CR3T@h/1/2",
            "rediss://:S3CR3T@h/0?ssl_cert_reqs=none", "redis://:S3CR3T"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct arena *a = arena_new(0);
        struct redis_url r;
        struct coney_error err = {.text = ""};
        if (redis_url_parse(bad[i], a, &r, &err) != CONEY_EINVAL)
            fail_msg("accepted \"%s\"", bad[i]);
        assert_true(strlen(err.text) > 0);
        assert_null(strstr(err.text, "S3CR3T"));
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_part_is_found_and_decoded),
            cmocka_unit_test(what_is_no_redis_url_is_refused_without_its_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
