/* SPDX-License-Identifier: MIT */
/* with_config.h - what the tests about configurations share. */
#ifndef CONEY_TESTS_WITH_CONFIG_H
#define CONEY_TESTS_WITH_CONFIG_H

#include "config/config.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The mistakes, "line:column: text" each on its line. Owned by the caller. */
static inline char *text_of_mistakes(const struct mistakes *m)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    for (size_t i = 0; i < m->count; i++)
        fprintf(to, "%u:%u: %s\n", m->items[i].line, m->items[i].column,
                m->items[i].text);
    fclose(to);
    return text;
}

/* @text read without a mistake; the caller's. */
static inline struct config *config_of(const char *text)
{
    struct config *c = NULL;
    struct mistakes mistakes = {0};
    struct coney_error err = {0};
    enum coney_rc rc = config_parse(text, "test.yaml", &c, &mistakes, &err);
    if (rc != CONEY_OK)
        fail_msg("%s in:\n%s", err.text, text);
    assert_int_equal(mistakes.count, 0);
    mistakes_fini(&mistakes);
    return c;
}

/* @text has just these mistakes, written as text_of_mistakes() does. */
static inline void assert_mistakes(const char *text, const char *expected)
{
    struct config *c = NULL;
    struct mistakes mistakes = {0};
    struct coney_error err = {0};
    enum coney_rc rc = config_parse(text, "test.yaml", &c, &mistakes, &err);
    char *found = text_of_mistakes(&mistakes);

    assert_string_equal(found, expected);
    assert_int_equal(rc, CONEY_ESYNTAX);
    assert_null(c);
    assert_int_equal(err.line, mistakes.items[0].line);
    assert_int_equal(err.column, mistakes.items[0].column);
    free(found);
    mistakes_fini(&mistakes);
}

/* @text has a mistake in which @part stands. */
static inline void assert_mistake(const char *text, const char *part)
{
    struct config *c = NULL;
    struct mistakes mistakes = {0};
    enum coney_rc rc = config_parse(text, "test.yaml", &c, &mistakes, NULL);
    char *found = text_of_mistakes(&mistakes);

    if (rc != CONEY_ESYNTAX || !strstr(found, part))
        fail_msg("expected \"%s\" in:\n%sfor:\n%s", part, found, text);
    assert_null(c);
    free(found);
    mistakes_fini(&mistakes);
}

#endif /* CONEY_TESTS_WITH_CONFIG_H */
