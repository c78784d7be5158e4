/* SPDX-License-Identifier: MIT */
/* test_texts.c - which texts are names, paths and URLs, and which hold secrets. */
#include "config/texts.h"
#include "unit/with_config.h"

typedef enum coney_rc (*checker)(const char *, struct coney_error *);

static void assert_allowed(checker check, const char *text)
{
    struct coney_error err = {0};
    if (check(text, &err) != CONEY_OK)
        fail_msg("\"%s\": %s", text, err.text);
}

static void assert_refused(checker check, const char *text, const char *part)
{
    struct coney_error err = {0};
    assert_int_equal(check(text, &err), CONEY_EINVAL);
    if (!strstr(err.text, part))
        fail_msg("\"%s\": expected \"%s\" in \"%s\"", text, part, err.text);
}

/* @len times "a"; static. */
static const char *letters(size_t len)
{
    static char text[512];
    memset(text, 'a', len);
    text[len] = '\0';
    return text;
}

static void words_are_letters_digits_and_three_signs(void **state)
{
    (void)state;
    assert_allowed(text_check_word, "blue-2_a.B");
    assert_allowed(text_check_word, letters(WORD_LENGTH_MAX));
    assert_refused(text_check_word, letters(WORD_LENGTH_MAX + 1), "longer than 64");
    assert_refused(text_check_word, "", "empty");
    assert_refused(text_check_word, "a b", "found \"a b\"");
    assert_refused(text_check_word, "caf\xc3\xa9", "allowed are letters");
    assert_refused(text_check_word, "a\nb", "control character (0x0a)");
}

static void queues_are_what_the_delay_levels_can_address(void **state)
{
    (void)state;
    assert_allowed(text_check_queue, "coney.high");
    assert_allowed(text_check_queue, "a queue with blanks");
    assert_allowed(text_check_queue, letters(QUEUE_NAME_MAX));
    assert_refused(text_check_queue, letters(QUEUE_NAME_MAX + 1), "longer than 199");
    assert_refused(text_check_queue, "a*", "wildcards");
    assert_refused(text_check_queue, "#", "wildcards");
    assert_refused(text_check_queue, "amq.gen-x", "keeps for itself");
}

static void paths_are_absolute(void **state)
{
    (void)state;
    assert_allowed(text_check_path, "/");
    assert_refused(text_check_path, "bin/true", "absolute");
    assert_refused(text_check_path, "~/x", "absolute");
    assert_refused(text_check_path, "", "empty");
}

static void variables_are_what_a_shell_could_set(void **state)
{
    (void)state;
    assert_allowed(text_check_variable, "LANG");
    assert_allowed(text_check_variable, "_a1");
    assert_refused(text_check_variable, "1A", "no digit first");
    assert_refused(text_check_variable, "A=B", "no name");
    assert_refused(text_check_variable, "", "no name");
}

static void urls_name_a_scheme_and_a_host(void **state)
{
    (void)state;
    assert_allowed(text_check_url, "amqp://h");
    assert_allowed(text_check_url, "amqps://u:p@h:5671/v%2Fw");
    assert_allowed(text_check_url, "amqps://[::1]:5671/");
    assert_allowed(text_check_url, "amqps://u@[fe80::1]/");
    assert_refused(text_check_url, "http://h", "begin with amqps://");
    assert_refused(text_check_url, "h:5672", "begin with amqps://");
    assert_refused(text_check_url, "amqp:///v", "no host");
    assert_refused(text_check_url, "amqp://u:p@", "no host");
    assert_refused(text_check_url, "amqp://h:", "1 to 65535");
    assert_refused(text_check_url, "amqp://h:0", "1 to 65535");
    assert_refused(text_check_url, "amqp://h:65536", "1 to 65535");
    assert_refused(text_check_url, "amqp://h:5x", "1 to 65535");
    assert_refused(text_check_url, "amqp://h/?heartbeat=3", "%3F");
    assert_refused(text_check_url, "amqp://u:p w@h/", "%20");
}

static void a_refused_url_is_not_repeated_for_it_may_hold_a_password(void **state)
{
    (void)state;
    struct coney_error err = {0};
    assert_int_equal(text_check_url("http://u:s3cret@h", &err), CONEY_EINVAL);
    assert_null(strstr(err.text, "s3cret"));
}

static void assert_masked(const char *url, const char *expected)
{
    struct buffer out;
    buffer_init(&out, 1024);
    assert_int_equal(url_mask(&out, url), CONEY_OK);
    assert_int_equal(buffer_append(&out, "", 1), CONEY_OK);
    assert_string_equal((char *)buffer_data(&out), expected);
    buffer_fini(&out);
}

static void the_password_of_a_url_is_masked_and_nothing_else(void **state)
{
    (void)state;
    assert_masked("amqp://u:s3cret@h:1/v", "amqp://u:***@h:1/v");
    assert_masked("amqp://u:a@b:c@h/", "amqp://u:***@h/");
    assert_masked("amqp://u:@h/", "amqp://u:***@h/");
    assert_masked("amqp://u@h:1/", "amqp://u@h:1/");
    assert_masked("amqp://[::1]:5671/a:b@c", "amqp://[::1]:5671/a:b@c");
    assert_masked("no url", "no url");
}

static void a_backend_is_rpc_or_redis(void **state)
{
    (void)state;
    assert_allowed(text_check_backend, "rpc://");
    assert_allowed(text_check_backend, "redis://h");
    assert_allowed(text_check_backend, "redis://:p@h/0");
    assert_allowed(text_check_backend, "rediss://u:p@[::1]:6380/15");
    assert_refused(text_check_backend, "rpc", "it must be rpc://");
    assert_refused(text_check_backend, "amqp://h", "begin with rediss://");
    assert_refused(text_check_backend, "redis://:p@", "no host");
    assert_refused(text_check_backend, "redis://h:0", "port");
    assert_refused(text_check_backend, "redis://h/x", "a database");
    assert_refused(text_check_backend, "redis://h/1/2", "a database");
    assert_refused(text_check_backend, "redis://h/0?ssl_cert_reqs=none", "%3F");
}

static void everybodys_password_is_no_secret(void **state)
{
    (void)state;
    assert_true(url_has_secret("amqp://u:p@h/"));
    assert_true(url_has_secret("amqp://guest:guest2@h/"));
    assert_false(url_has_secret("amqp://guest:guest@h/"));
    assert_false(url_has_secret("amqp://u@h/"));
}

static void a_variable_is_secret_by_its_name(void **state)
{
    (void)state;
    assert_true(is_secret_variable("DB_PASSWORD"));
    assert_true(is_secret_variable("api_token"));
    assert_true(is_secret_variable("AWS_SECRET_ACCESS_KEY"));
    assert_false(is_secret_variable("LANG"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(words_are_letters_digits_and_three_signs),
            cmocka_unit_test(queues_are_what_the_delay_levels_can_address),
            cmocka_unit_test(paths_are_absolute),
            cmocka_unit_test(variables_are_what_a_shell_could_set),
            cmocka_unit_test(urls_name_a_scheme_and_a_host),
            cmocka_unit_test(a_refused_url_is_not_repeated_for_it_may_hold_a_password),
            cmocka_unit_test(the_password_of_a_url_is_masked_and_nothing_else),
            cmocka_unit_test(a_backend_is_rpc_or_redis),
            cmocka_unit_test(everybodys_password_is_no_secret),
            cmocka_unit_test(a_variable_is_secret_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
