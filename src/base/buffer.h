/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - a byte queue with a stated maximum.
 *
 * Bytes are appended at the end and taken from the front. A buffer never grows beyond the
 * maximum it was made with: the append fails with CONEY_ELIMIT and changes nothing.
 */
#ifndef CONEY_BASE_BUFFER_H
#define CONEY_BASE_BUFFER_H

#include <coney/error.h>

#include <stddef.h>
#include <stdint.h>

/* A run of bytes that somebody else owns; not terminated. */
struct bytes {
    const void *data;
    size_t len;
};

struct buffer {
    uint8_t *data; /* owned */
    size_t start;  /* first byte not yet taken */
    size_t end;
    size_t capacity;
    size_t max; /* most bytes held at once */
};

void buffer_init(struct buffer *b, size_t max);
void buffer_fini(struct buffer *b);

/* Bytes waiting, and where they begin. The pointer is valid until the next append. */
size_t buffer_len(const struct buffer *b);
uint8_t *buffer_data(const struct buffer *b);

/* CONEY_ENOMEM, CONEY_ELIMIT; nothing is appended then. */
enum coney_rc buffer_append(
        struct buffer *b, const void *data, size_t len) CONEY_MUST_CHECK;
enum coney_rc buffer_printf(struct buffer *b, const char *fmt, ...)
        CONEY_PRINTF(2, 3) CONEY_MUST_CHECK;

/*
 * Room for @len more bytes at the end, to be filled by the caller and then announced with
 * buffer_commit(). *@space is valid until the next call.
 */
enum coney_rc buffer_reserve(
        struct buffer *b, size_t len, uint8_t **space) CONEY_MUST_CHECK;
void buffer_commit(struct buffer *b, size_t len);

/* Drop @len bytes from the front (at most buffer_len()). */
void buffer_take(struct buffer *b, size_t len);
/* Drop everything; memory above 64 KiB is given back. */
void buffer_clear(struct buffer *b);

#endif /* CONEY_BASE_BUFFER_H */
