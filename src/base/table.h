/* SPDX-License-Identifier: MIT */
/*
 * table.h - a field table: the typed key-value list that AMQP 0-9-1 uses for headers and
 * arguments (§4.2.5.5), held in memory without any wire format.
 *
 * Types are kept as they came, so that a header we only pass on keeps its type. Keys and
 * values are borrowed from an arena or from whoever built the table; a table itself is a
 * plain array in an arena and is never freed on its own.
 */
#ifndef CONEY_BASE_TABLE_H
#define CONEY_BASE_TABLE_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

/* The values are the type octets RabbitMQ uses on the wire. */
enum field_type {
    FIELD_VOID = 'V',
    FIELD_BOOL = 't',
    FIELD_I8 = 'b',
    FIELD_U8 = 'B',
    FIELD_I16 = 's',
    FIELD_U16 = 'u',
    FIELD_I32 = 'I',
    FIELD_U32 = 'i',
    FIELD_I64 = 'l', /* written as 'L', read as either: see the amqp room's codec */
    FIELD_F32 = 'f',
    FIELD_F64 = 'd',
    FIELD_DECIMAL = 'D',
    FIELD_STRING = 'S',
    FIELD_BYTES = 'x',
    FIELD_TIME = 'T', /* seconds since 1970 */
    FIELD_TABLE = 'F',
    FIELD_ARRAY = 'A'
};

struct field;

struct table {
    struct field *fields;
    size_t count;
    size_t capacity;
};

struct field {
    struct bytes key; /* empty for the elements of an array */
    enum field_type type;
    union {
        bool boolean;
        int64_t integer; /* every integer type, and the seconds of FIELD_TIME */
        double number;   /* both float types */
        struct {
            uint8_t scale;
            uint32_t digits;
        } decimal;
        struct bytes text;  /* FIELD_STRING, FIELD_BYTES */
        struct table table; /* FIELD_TABLE, and FIELD_ARRAY with empty keys */
    } value;
};

/* The first field named @key, or NULL. */
const struct field *table_find(const struct table *t, const char *key);
/* The text of a FIELD_STRING named @key (terminated when it came from an arena); data
 * NULL when absent, void or of another type. */
struct bytes table_text(const struct table *t, const char *key);
/* The value of an integer field of any width. False when absent or of another type. */
bool table_integer(const struct table *t, const char *key, int64_t *value);

/*
 * Append one field, or replace the one of the same key. @key and text are borrowed for as
 * long as the table lives. CONEY_ENOMEM.
 */
enum coney_rc table_set(
        struct table *t, struct arena *a, const struct field *field) CONEY_MUST_CHECK;
enum coney_rc table_set_text(struct table *t, struct arena *a, const char *key,
        const char *text) CONEY_MUST_CHECK;
/* FIELD_I32 when it fits, else FIELD_I64. */
enum coney_rc table_set_integer(struct table *t, struct arena *a, const char *key,
        int64_t value) CONEY_MUST_CHECK;
enum coney_rc table_set_bool(
        struct table *t, struct arena *a, const char *key, bool value) CONEY_MUST_CHECK;
enum coney_rc table_set_void(
        struct table *t, struct arena *a, const char *key) CONEY_MUST_CHECK;
/* Append without looking for a field of the same key (arrays, and tables built in one
 * go). */
enum coney_rc table_append(
        struct table *t, struct arena *a, const struct field *field) CONEY_MUST_CHECK;

/* A shallow copy: an array of its own, the same keys and values. */
enum coney_rc table_copy(
        struct table *to, struct arena *a, const struct table *from) CONEY_MUST_CHECK;
/* A copy that shares nothing with @from. */
enum coney_rc table_copy_deep(
        struct table *to, struct arena *a, const struct table *from) CONEY_MUST_CHECK;
void table_remove(struct table *t, const char *key);
/* Remove every field whose key begins with @prefix. */
void table_remove_prefix(struct table *t, const char *prefix);

#endif /* CONEY_BASE_TABLE_H */
