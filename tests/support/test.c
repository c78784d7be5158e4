/* SPDX-License-Identifier: MIT */
/* test.c - files of a test, and allocations that fail on request. */
#include "test.h"

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static unsigned allocations_left; /* 0: never fail */
static bool allocation_failed;

void test_fail_allocation(unsigned n)
{
    allocations_left = n;
    allocation_failed = false;
}

bool test_allocation_failed(void)
{
    return allocation_failed;
}

static bool must_fail(void)
{
    if (allocations_left == 0 || --allocations_left > 0)
        return false;
    allocation_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return must_fail() ? NULL : __real_realloc(p, size);
}

/* Where the tests' files go, as a template for mkstemp and mkdtemp. */
static char *template(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    int length = asprintf(&path, "%s/coney-test-XXXXXX", parent ? parent : "/tmp");
    assert_true(length > 0);
    return path;
}

char *test_file(const char *text)
{
    char *path = template();
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    return path;
}

char *test_directory(void)
{
    char *path = template();
    assert_non_null(mkdtemp(path));
    return path;
}

void test_remove_tree(const char *path)
{
    char *roots[] = {strdup(path), NULL};
    assert_non_null(roots[0]);
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    assert_non_null(tree);
    for (FTSENT *entry = fts_read(tree); entry; entry = fts_read(tree)) {
        if (entry->fts_info != FTS_D)
            remove(entry->fts_accpath);
    }
    fts_close(tree);
    free(roots[0]);
}

void test_text(const char *text, const char *expected)
{
    if (expected)
        assert_string_equal(text, expected);
    else
        assert_null(text);
}
