/* SPDX-License-Identifier: MIT */
/* buffer.c - a byte queue in one allocation, compacted when it must grow. */
#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_CAPACITY = 512, KEPT_CAPACITY = 64 * 1024 };

void buffer_init(struct buffer *b, size_t max)
{
    *b = (struct buffer){.max = max};
}

void buffer_fini(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){.max = b->max};
}

size_t buffer_len(const struct buffer *b)
{
    return b->end - b->start;
}

uint8_t *buffer_data(const struct buffer *b)
{
    return b->data ? b->data + b->start : NULL;
}

static void compact(struct buffer *b)
{
    if (b->start == 0)
        return;
    assert(b->data);
    memmove(b->data, b->data + b->start, buffer_len(b));
    b->end -= b->start;
    b->start = 0;
}

/* The capacity for @need bytes: doubled, until it is enough. */
static size_t grown_capacity(size_t capacity, size_t need)
{
    if (capacity < MIN_CAPACITY)
        capacity = MIN_CAPACITY;
    while (capacity < need)
        capacity = capacity <= SIZE_MAX / 2 ? capacity * 2 : need;
    return capacity;
}

/* Room for @len more bytes, whatever the maximum. */
static enum coney_rc make_room(struct buffer *b, size_t len)
{
    if (b->data && len <= b->capacity - b->end)
        return CONEY_OK;
    compact(b);
    if (len > SIZE_MAX - b->end)
        return CONEY_ENOMEM;
    size_t capacity = grown_capacity(b->capacity, b->end + len);
    if (capacity == b->capacity)
        return CONEY_OK;
    uint8_t *grown = realloc(b->data, capacity);
    if (!grown)
        return CONEY_ENOMEM;
    b->data = grown;
    b->capacity = capacity;
    return CONEY_OK;
}

enum coney_rc buffer_reserve(struct buffer *b, size_t len, uint8_t **space)
{
    if (len > b->max - buffer_len(b))
        return CONEY_ELIMIT;
    enum coney_rc rc = make_room(b, len);
    if (rc == CONEY_OK)
        *space = b->data + b->end;
    return rc;
}

void buffer_commit(struct buffer *b, size_t len)
{
    assert(len <= b->capacity - b->end);
    b->end += len;
}

enum coney_rc buffer_append(struct buffer *b, const void *data, size_t len)
{
    uint8_t *space;

    if (len == 0)
        return CONEY_OK;
    enum coney_rc rc = buffer_reserve(b, len, &space);
    if (rc != CONEY_OK)
        return rc;
    memcpy(space, data, len);
    buffer_commit(b, len);
    return CONEY_OK;
}

enum coney_rc buffer_printf(struct buffer *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(len >= 0);

    /* The terminating zero needs room, but does not count against the maximum. */
    enum coney_rc rc = CONEY_ELIMIT;
    if ((size_t)len <= b->max - buffer_len(b))
        rc = make_room(b, (size_t)len + 1);
    if (rc == CONEY_OK) {
        vsnprintf((char *)b->data + b->end, (size_t)len + 1, fmt, again);
        buffer_commit(b, (size_t)len);
    }
    va_end(again);
    return rc;
}

void buffer_take(struct buffer *b, size_t len)
{
    assert(len <= buffer_len(b));
    b->start += len;
    if (b->start == b->end)
        b->start = b->end = 0;
}

void buffer_clear(struct buffer *b)
{
    b->start = b->end = 0;
    if (b->capacity > KEPT_CAPACITY)
        buffer_fini(b);
}
