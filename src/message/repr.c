/* SPDX-License-Identifier: MIT */
/* repr.c - one walk over the values that stops when the text is full. */
#include "message/repr.h"

#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 1024, LEVELS = 3 };

/* Bytes rather than characters: at most as long as what Python would show. */
struct repr {
    char text[TEXT_MAX + sizeof("...")];
    size_t len; /* TEXT_MAX and more: full */
};

static void put(struct repr *r, const char *text, size_t len)
{
    if (r->len >= TEXT_MAX)
        return;
    if (len > TEXT_MAX - r->len) {
        size_t cut =
                utf8_cut((struct bytes){.data = text, .len = len}, TEXT_MAX - r->len);
        memcpy(r->text + r->len, text, cut);
        memcpy(r->text + r->len + cut, "...", sizeof("..."));
        r->len = TEXT_MAX;
        return;
    }
    memcpy(r->text + r->len, text, len);
    r->len += len;
    r->text[r->len] = '\0';
}

static void put_word(struct repr *r, const char *word)
{
    put(r, word, strlen(word));
}

static void put_string(struct repr *r, const char *text, size_t len)
{
    char escape[8];

    put_word(r, "'");
    for (size_t i = 0, from = 0; i < len && r->len < TEXT_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_special = c < 0x20 || c == 0x7f || c == '\'' || c == '\\';
        if (!is_special && i + 1 < len)
            continue;
        put(r, text + from, i - from + !is_special);
        from = i + 1;
        if (!is_special)
            continue;
        if (c == '\'' || c == '\\')
            snprintf(escape, sizeof(escape), "\\%c", c);
        else if (c == '\n')
            snprintf(escape, sizeof(escape), "\\n");
        else
            snprintf(escape, sizeof(escape), "\\x%02x", c);
        put_word(r, escape);
    }
    put_word(r, "'");
}

static void put_value(struct repr *r, const json_t *v, int level);

static void put_items(
        struct repr *r, const json_t *v, int level, const char *open, const char *close)
{
    put_word(r, open);
    if (level >= LEVELS && json_array_size(v) > 0)
        put_word(r, "...");
    for (size_t i = 0; i < json_array_size(v) && level < LEVELS && r->len < TEXT_MAX;
            i++) {
        put_word(r, i > 0 ? ", " : "");
        put_value(r, json_array_get(v, i), level + 1);
    }
    put_word(r, close);
}

static void put_members(struct repr *r, const json_t *v, int level)
{
    /* jansson's iterators take a pointer to non-const, but change nothing. */
    json_t *object = (json_t *)(uintptr_t)v;
    void *first = json_object_iter(object);

    put_word(r, level >= LEVELS && first ? "{..." : "{");
    for (void *at = first; at && level < LEVELS && r->len < TEXT_MAX;
            at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        put_word(r, at != first ? ", " : "");
        put_string(r, key, strlen(key));
        put_word(r, ": ");
        put_value(r, json_object_iter_value(at), level + 1);
    }
    put_word(r, "}");
}

static void put_value(struct repr *r, const json_t *v, int level)
{
    char number[40];

    switch (json_typeof(v)) {
    case JSON_OBJECT:
        put_members(r, v, level);
        return;
    case JSON_ARRAY:
        put_items(r, v, level, "[", "]");
        return;
    case JSON_STRING:
        put_string(r, json_string_value(v), json_string_length(v));
        return;
    case JSON_INTEGER:
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_REAL:
        snprintf(number, sizeof(number), "%.17g", json_real_value(v));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(number, sizeof(number), "%s", json_is_true(v) ? "True" : "False");
        break;
    case JSON_NULL:
        snprintf(number, sizeof(number), "None");
        break;
    }
    put_word(r, number);
}

const char *repr_args(const json_t *args, struct arena *a)
{
    struct repr r = {.len = 0};

    /* A tuple: one element is followed by a comma. */
    put_items(&r, args, 0, "(", json_array_size(args) == 1 ? ",)" : ")");
    return arena_strdup(a, r.text);
}

const char *repr_kwargs(const json_t *kwargs, struct arena *a)
{
    struct repr r = {.len = 0};

    put_members(&r, kwargs, 0);
    return arena_strdup(a, r.text);
}

const char *repr_value(const json_t *value, struct arena *a)
{
    struct repr r = {.len = 0};

    put_value(&r, value, 0);
    return arena_strdup(a, r.text);
}
