/* SPDX-License-Identifier: MIT */
/* json_part.c - one level of a text that is known to be JSON, value by value. */
#include "base/json_part.h"

#include <stdbool.h>
#include <string.h>

struct walk {
    const char *at; /* after the bracket or the comma before the next value */
    const char *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct walk *w)
{
    while (w->at < w->end && is_blank(*w->at))
        w->at++;
}

static void skip_string(struct walk *w)
{
    for (w->at++; w->at < w->end && *w->at != '"'; w->at++)
        if (*w->at == '\\' && w->end - w->at > 1)
            w->at++;
    if (w->at < w->end)
        w->at++;
}

static bool is_end(char c)
{
    return c == ',' || c == ']' || c == '}' || c == ':' || is_blank(c);
}

static void skip_token(struct walk *w)
{
    while (w->at < w->end && !is_end(*w->at))
        w->at++;
}

static void skip_nested(struct walk *w)
{
    size_t depth = 0;
    do {
        char c = *w->at;
        if (c == '"') {
            skip_string(w);
            continue;
        }
        if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--;
        w->at++;
    } while (depth > 0 && w->at < w->end);
}

/* The next value or key, and what separates it from the one after it. */
static struct bytes take(struct walk *w)
{
    skip_blanks(w);
    const char *from = w->at;
    if (from == w->end || *from == ']' || *from == '}')
        return (struct bytes){NULL, 0};
    if (*from == '"')
        skip_string(w);
    else if (*from == '[' || *from == '{')
        skip_nested(w);
    else
        skip_token(w);
    struct bytes value = {from, (size_t)(w->at - from)};
    skip_blanks(w);
    if (w->at < w->end && (*w->at == ',' || *w->at == ':'))
        w->at++;
    return value;
}

/* Whether @text is an array or an object, as @bracket says; @w stands inside then. */
static bool enter(struct walk *w, struct bytes text, char bracket)
{
    if (text.len == 0)
        return false;
    w->at = text.data;
    w->end = w->at + text.len;
    skip_blanks(w);
    return w->at < w->end && *w->at++ == bracket;
}

struct bytes json_element(struct bytes text, size_t index)
{
    struct walk w;
    if (!enter(&w, text, '['))
        return (struct bytes){NULL, 0};
    for (; index > 0 && take(&w).data; index--)
        ;
    return take(&w);
}

static bool is_key(struct bytes quoted, const char *key)
{
    size_t len = strlen(key);
    return quoted.len == len + 2 && memcmp((const char *)quoted.data + 1, key, len) == 0;
}

struct bytes json_member(struct bytes text, const char *key)
{
    struct walk w;
    struct bytes name;
    if (!enter(&w, text, '{'))
        return (struct bytes){NULL, 0};
    while ((name = take(&w)).data) {
        struct bytes value = take(&w);
        if (is_key(name, key))
            return value;
    }
    return (struct bytes){NULL, 0};
}
