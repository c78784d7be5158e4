/* SPDX-License-Identifier: MIT */
/* table.c - field tables as arrays in an arena; they are short, so a search is a walk. */
#include "base/table.h"

#include <string.h>

enum { FIRST_CAPACITY = 8 };

/* An empty key may have no data, which memcmp() must not see. */
static bool has_key(const struct field *f, struct bytes key)
{
    return f->key.len == key.len &&
           (key.len == 0 || memcmp(f->key.data, key.data, key.len) == 0);
}

static bool is_key(const struct field *f, const char *key)
{
    return has_key(f, (struct bytes){.data = key, .len = strlen(key)});
}

static struct field *find(const struct table *t, const char *key)
{
    for (size_t i = 0; i < t->count; i++)
        if (is_key(&t->fields[i], key))
            return &t->fields[i];
    return NULL;
}

const struct field *table_find(const struct table *t, const char *key)
{
    return find(t, key);
}

struct bytes table_text(const struct table *t, const char *key)
{
    const struct field *f = find(t, key);
    if (!f || f->type != FIELD_STRING)
        return (struct bytes){.data = NULL};
    return f->value.text;
}

bool table_integer(const struct table *t, const char *key, int64_t *value)
{
    const struct field *f = find(t, key);
    if (!f || !strchr("bBsuIil", (int)f->type))
        return false;
    *value = f->value.integer;
    return true;
}

static enum coney_rc grow(struct table *t, struct arena *a)
{
    size_t capacity = t->capacity > 0 ? t->capacity * 2 : FIRST_CAPACITY;
    struct field *fields = arena_alloc(a, capacity * sizeof(*fields));
    if (!fields)
        return CONEY_ENOMEM;
    if (t->count > 0)
        memcpy(fields, t->fields, t->count * sizeof(*fields));
    t->fields = fields;
    t->capacity = capacity;
    return CONEY_OK;
}

enum coney_rc table_append(struct table *t, struct arena *a, const struct field *field)
{
    if (t->count == t->capacity) {
        enum coney_rc rc = grow(t, a);
        if (rc != CONEY_OK)
            return rc;
    }
    t->fields[t->count] = *field;
    t->count++;
    return CONEY_OK;
}

enum coney_rc table_set(struct table *t, struct arena *a, const struct field *field)
{
    for (size_t i = 0; i < t->count; i++) {
        if (has_key(&t->fields[i], field->key)) {
            t->fields[i] = *field;
            return CONEY_OK;
        }
    }
    return table_append(t, a, field);
}

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){.data = text, .len = strlen(text)};
}

enum coney_rc table_set_text(
        struct table *t, struct arena *a, const char *key, const char *text)
{
    struct field f = {.key = text_bytes(key), .type = FIELD_STRING};
    f.value.text = text_bytes(text);
    return table_set(t, a, &f);
}

enum coney_rc table_set_integer(
        struct table *t, struct arena *a, const char *key, int64_t value)
{
    struct field f = {.key = text_bytes(key)};
    f.type = value >= INT32_MIN && value <= INT32_MAX ? FIELD_I32 : FIELD_I64;
    f.value.integer = value;
    return table_set(t, a, &f);
}

enum coney_rc table_set_bool(
        struct table *t, struct arena *a, const char *key, bool value)
{
    struct field f = {.key = text_bytes(key), .type = FIELD_BOOL};
    f.value.boolean = value;
    return table_set(t, a, &f);
}

enum coney_rc table_set_void(struct table *t, struct arena *a, const char *key)
{
    struct field f = {.key = text_bytes(key), .type = FIELD_VOID};
    return table_set(t, a, &f);
}

enum coney_rc table_copy(struct table *to, struct arena *a, const struct table *from)
{
    *to = (struct table){.fields = NULL};
    for (size_t i = 0; i < from->count; i++) {
        enum coney_rc rc = table_append(to, a, &from->fields[i]);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static enum coney_rc copy_field_deep(
        struct field *to, struct arena *a, const struct field *from)
{
    *to = *from;
    to->key = arena_copy(a, from->key);
    if (!to->key.data)
        return CONEY_ENOMEM;
    if (from->type == FIELD_STRING || from->type == FIELD_BYTES) {
        to->value.text = arena_copy(a, from->value.text);
        return to->value.text.data ? CONEY_OK : CONEY_ENOMEM;
    }
    if (from->type == FIELD_TABLE || from->type == FIELD_ARRAY)
        return table_copy_deep(&to->value.table, a, &from->value.table);
    return CONEY_OK;
}

enum coney_rc table_copy_deep(struct table *to, struct arena *a, const struct table *from)
{
    *to = (struct table){.fields = NULL};
    for (size_t i = 0; i < from->count; i++) {
        struct field f;
        enum coney_rc rc = copy_field_deep(&f, a, &from->fields[i]);
        if (rc == CONEY_OK)
            rc = table_append(to, a, &f);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static void keep_unless(struct table *t, bool (*drop)(const struct field *, const char *),
        const char *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++)
        if (!drop(&t->fields[i], text))
            t->fields[kept++] = t->fields[i];
    t->count = kept;
}

static bool has_prefix(const struct field *f, const char *prefix)
{
    size_t len = strlen(prefix);
    return f->key.len >= len && memcmp(f->key.data, prefix, len) == 0;
}

void table_remove(struct table *t, const char *key)
{
    keep_unless(t, is_key, key);
}

void table_remove_prefix(struct table *t, const char *prefix)
{
    keep_unless(t, has_prefix, prefix);
}
