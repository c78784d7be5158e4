/* SPDX-License-Identifier: MIT */
/* test_error.c - sentences are built, prefixed and cut, never overrun. */
#include "base/error.h"
#include "test.h"
#include <coney/version.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void setting_an_error_hands_back_its_code(void **state)
{
    (void)state;
    struct coney_error err;
    memset(&err, 0xff, sizeof(err));
    assert_int_equal(error_set(&err, CONEY_EINVAL, "%s %d", "queue", 7), CONEY_EINVAL);
    assert_int_equal(err.rc, CONEY_EINVAL);
    assert_string_equal(err.text, "queue 7");
    assert_int_equal(err.line, 0);
    assert_int_equal(err.column, 0);
}

static void nobody_need_be_interested(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, CONEY_EIO, "x"), CONEY_EIO);
    assert_int_equal(error_set_nomem(NULL), CONEY_ENOMEM);
    errno = ENOENT;
    assert_int_equal(error_set_errno(NULL, "x"), CONEY_EIO);
    error_prefix(NULL, "x");
    error_set_position(NULL, 1, 2);
}

static void errno_is_told_and_left_alone(void **state)
{
    (void)state;
    struct coney_error err;
    errno = ENOENT;
    assert_int_equal(error_set_errno(&err, "open %s", "/x"), CONEY_EIO);
    assert_string_equal(err.text, "open /x: No such file or directory");
    assert_int_equal(errno, ENOENT);
    errno = ENOMEM;
    assert_int_equal(error_set_errno(&err, "map"), CONEY_ENOMEM);
    assert_int_equal(err.rc, CONEY_ENOMEM);
    assert_int_equal(errno, ENOMEM);
}

static void a_prefix_stands_before_and_keeps_code_and_place(void **state)
{
    (void)state;
    struct coney_error err;
    error_set(&err, CONEY_ESYNTAX, "bad value");
    error_set_position(&err, 3, 14);
    error_prefix(&err, "%s", "coney.yaml");
    assert_string_equal(err.text, "coney.yaml: bad value");
    assert_int_equal(err.rc, CONEY_ESYNTAX);
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 14);
}

static void long_texts_are_cut_and_terminated(void **state)
{
    (void)state;
    char large[1000];
    struct coney_error err;

    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    error_set(&err, CONEY_EIO, "%s", large);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    error_prefix(&err, "where");
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_memory_equal(err.text, "where: xxx", 10);
    error_prefix(&err, "%s", large);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    errno = EACCES;
    error_set_errno(&err, "%s", large);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = CONEY_OK; a <= CONEY_ENOTFOUND; a++) {
        assert_memory_equal(coney_rc_name((enum coney_rc)a), "CONEY_", 6);
        for (int b = CONEY_OK; b < a; b++)
            assert_string_not_equal(
                    coney_rc_name((enum coney_rc)a), coney_rc_name((enum coney_rc)b));
    }
    assert_string_equal(coney_rc_name((enum coney_rc)999), "unknown");
}

static void the_library_is_of_the_headers_version(void **state)
{
    (void)state;
    char version[32];
    snprintf(version, sizeof(version), "%d.%d.%d", CONEY_VERSION_MAJOR,
            CONEY_VERSION_MINOR, CONEY_VERSION_PATCH);
    assert_string_equal(coney_version(), version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(setting_an_error_hands_back_its_code),
            cmocka_unit_test(nobody_need_be_interested),
            cmocka_unit_test(errno_is_told_and_left_alone),
            cmocka_unit_test(a_prefix_stands_before_and_keeps_code_and_place),
            cmocka_unit_test(long_texts_are_cut_and_terminated),
            cmocka_unit_test(every_code_has_a_name_of_its_own),
            cmocka_unit_test(the_library_is_of_the_headers_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
