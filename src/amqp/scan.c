/* SPDX-License-Identifier: MIT */
/* scan.c - the walk over encoded tables; its recursion is bounded by the depth limit. */
#include "amqp/scan.h"

#include "amqp/frame.h"

#include <stdbool.h>

enum {
    HAS_CONTENT_TYPE = 1 << 15,
    HAS_CONTENT_ENCODING = 1 << 14,
    HAS_HEADERS = 1 << 13,
    HAS_MORE_FLAGS = 1 << 0
};

struct cursor {
    const uint8_t *at;
    size_t left;
    unsigned fields_left;
    unsigned depth_left;
};

static enum coney_rc scan_container(struct cursor *c, bool has_keys);

static bool skip(struct cursor *c, size_t len)
{
    if (len > c->left)
        return false;
    c->at += len;
    c->left -= len;
    return true;
}

static bool skip_short_string(struct cursor *c)
{
    return c->left >= 1 && skip(c, (size_t)c->at[0] + 1);
}

size_t scan_scalar_size(uint8_t type)
{
    switch (type) {
    case 'V':
        return 0;
    case 't':
    case 'b':
    case 'B':
        return 1;
    case 's':
    case 'u':
        return 2;
    case 'I':
    case 'i':
    case 'f':
        return 4;
    case 'D':
        return 5;
    case 'l':
    case 'L':
    case 'd':
    case 'T':
        return 8;
    default:
        return SCAN_NO_SCALAR;
    }
}

static enum coney_rc scan_value(struct cursor *c)
{
    if (c->left < 1)
        return CONEY_ESYNTAX;
    if (c->fields_left == 0)
        return CONEY_ELIMIT;
    c->fields_left--;

    uint8_t type = c->at[0];
    skip(c, 1);
    if (type == 'F' || type == 'A')
        return scan_container(c, type == 'F');
    if (type == 'S' || type == 'x') {
        if (c->left < 4)
            return CONEY_ESYNTAX;
        return skip(c, (size_t)frame_get_u32(c->at) + 4) ? CONEY_OK : CONEY_ESYNTAX;
    }
    size_t size = scan_scalar_size(type);
    return size != SCAN_NO_SCALAR && skip(c, size) ? CONEY_OK : CONEY_ESYNTAX;
}

/* A table, or an array, which is a table without keys; its length comes first. */
static enum coney_rc scan_container(struct cursor *c, bool has_keys)
{
    if (c->left < 4 || frame_get_u32(c->at) > c->left - 4)
        return CONEY_ESYNTAX;
    if (c->depth_left == 0)
        return CONEY_ELIMIT;

    struct cursor inner = *c;
    inner.at += 4;
    inner.left = frame_get_u32(c->at);
    inner.depth_left--;
    skip(c, inner.left + 4);
    while (inner.left > 0) {
        if (has_keys && !skip_short_string(&inner))
            return CONEY_ESYNTAX;
        enum coney_rc rc = scan_value(&inner);
        if (rc != CONEY_OK)
            return rc;
    }
    c->fields_left = inner.fields_left;
    return CONEY_OK;
}

enum coney_rc scan_table(
        struct bytes data, const struct scan_limits *limits, size_t *used)
{
    struct cursor c = {.at = data.data,
            .left = data.len,
            .fields_left = limits->fields_max,
            .depth_left = limits->depth_max};

    *used = 0;
    if (data.len < 4 || frame_get_u32(data.data) > data.len - 4)
        return CONEY_ESYNTAX;
    *used = (size_t)frame_get_u32(data.data) + 4;
    return scan_container(&c, true);
}

enum coney_rc scan_properties(
        struct bytes data, const struct scan_limits *limits, struct scan_headers *headers)
{
    struct cursor c = {.at = data.data, .left = data.len};

    *headers = (struct scan_headers){.offset = 0};
    if (c.left < 2)
        return CONEY_ESYNTAX;
    unsigned flags = frame_get_u16(c.at);
    skip(&c, 2);
    /* The class has 14 properties, so that a second word of flags can only be a mistake.
     */
    if (flags & HAS_MORE_FLAGS)
        return CONEY_ESYNTAX;
    if ((flags & HAS_CONTENT_TYPE) && !skip_short_string(&c))
        return CONEY_ESYNTAX;
    if ((flags & HAS_CONTENT_ENCODING) && !skip_short_string(&c))
        return CONEY_ESYNTAX;
    if (!(flags & HAS_HEADERS))
        return CONEY_OK;

    struct bytes rest = {.data = c.at, .len = c.left};
    enum coney_rc rc = scan_table(rest, limits, &headers->len);
    if (headers->len > 0)
        headers->offset = data.len - rest.len;
    return rc;
}
