/* SPDX-License-Identifier: MIT */
/* user_header.c - a deep copy with a filter on types, names and texts. */
#include "message/user_header.h"

#include "base/error.h"
#include "base/utf8.h"

#include <string.h>

enum { NAME_MAX_LEN = 255, DEPTH_MAX = 16 };

static enum coney_rc copy_field(const struct field *from, struct arena *a, unsigned depth,
        struct field *to, struct coney_error *err);

static bool is_clean_text(struct bytes text)
{
    return text.len == 0 || (!memchr(text.data, '\0', text.len) && utf8_is_valid(text));
}

static enum coney_rc copy_members(const struct field *from, struct arena *a,
        unsigned depth, struct field *to, struct coney_error *err)
{
    const struct table *t = &from->value.table;

    if (depth == 0)
        return error_set(err, CONEY_ELIMIT, "nested deeper than %d", DEPTH_MAX);
    to->value.table = (struct table){.fields = NULL};
    for (size_t i = 0; i < t->count; i++) {
        struct field member;
        enum coney_rc rc = copy_field(&t->fields[i], a, depth - 1, &member, err);
        if (rc == CONEY_OK && table_append(&to->value.table, a, &member) != CONEY_OK)
            rc = error_set_nomem(err);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static enum coney_rc copy_value(const struct field *from, struct arena *a, unsigned depth,
        struct field *to, struct coney_error *err)
{
    to->value = from->value;
    switch (from->type) {
    case FIELD_VOID:
    case FIELD_BOOL:
    case FIELD_F64:
        return CONEY_OK;
    case FIELD_F32:
        to->type = FIELD_F64;
        return CONEY_OK;
    case FIELD_I8:
    case FIELD_U8:
    case FIELD_I16:
    case FIELD_U16:
    case FIELD_I32:
    case FIELD_U32:
    case FIELD_I64:
        /* py-amqp reads 's' as a text and swaps the signs of 'b' and 'B'. */
        to->type = from->value.integer >= INT32_MIN && from->value.integer <= INT32_MAX
                           ? FIELD_I32
                           : FIELD_I64;
        return CONEY_OK;
    case FIELD_STRING:
        if (!is_clean_text(from->value.text))
            return error_set(err, CONEY_EINVAL, "not UTF-8 text");
        to->value.text = arena_copy(a, from->value.text);
        return to->value.text.data ? CONEY_OK : error_set_nomem(err);
    case FIELD_TABLE:
    case FIELD_ARRAY:
        return copy_members(from, a, depth, to, err);
    case FIELD_BYTES:
    case FIELD_DECIMAL:
    case FIELD_TIME:
        break;
    }
    return error_set(
            err, CONEY_EINVAL, "a type that Celery's peers do not all read alike");
}

static enum coney_rc copy_field(const struct field *from, struct arena *a, unsigned depth,
        struct field *to, struct coney_error *err)
{
    if (from->key.len > NAME_MAX_LEN || !is_clean_text(from->key))
        return error_set(err, CONEY_EINVAL,
                "a name that is not UTF-8 of at most %d bytes", NAME_MAX_LEN);
    to->type = from->type;
    to->key = arena_copy(a, from->key);
    if (!to->key.data)
        return error_set_nomem(err);
    return copy_value(from, a, depth, to, err);
}

enum coney_rc user_header_copy(const struct field *from, struct arena *a,
        struct field *to, struct coney_error *err)
{
    return copy_field(from, a, DEPTH_MAX, to, err);
}
