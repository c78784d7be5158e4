/* SPDX-License-Identifier: MIT */
/*
 * test.h - what the C tests share, and cmocka with what its header expects before it.
 *
 * Failing allocations: every malloc, calloc and realloc that our own code calls goes
 * through a counter, so that a test can walk a function through the failure of each of
 * them. The libraries' own allocations are not seen.
 */
#ifndef CONEY_TESTS_TEST_H
#define CONEY_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A fresh file that holds @text. Owned by the caller: unlink and free. Never NULL. */
char *test_file(const char *text);

/* A fresh, empty directory. Owned by the caller: test_remove_tree(), free. Never NULL. */
char *test_directory(void);

/* Remove @path and everything below it. */
void test_remove_tree(const char *path);

/* Fail unless @text is @expected, or both are NULL. */
void test_text(const char *text, const char *expected);

/* Let the @n-th allocation from now on return NULL, once; 0 lets none fail. */
void test_fail_allocation(unsigned n);

/* Whether the allocation asked for has been reached (and has failed). */
bool test_allocation_failed(void);

#endif /* CONEY_TESTS_TEST_H */
