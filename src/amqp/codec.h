/* SPDX-License-Identifier: MIT */
/*
 * codec.h - between our tables and envelopes and rabbitmq-c's.
 *
 * rabbitmq-c turns methods, properties and tables into bytes and back. It takes a string
 * or key over 255 bytes and wraps its length silently, so everything is checked here
 * first; and it recurses, so what comes in is scanned first.
 */
#ifndef CONEY_AMQP_CODEC_H
#define CONEY_AMQP_CODEC_H

#include "amqp/rabbitmq.h"
#include "amqp/scan.h"
#include "base/envelope.h"

enum { SHORT_STRING_MAX = 255, TABLE_DEPTH_MAX = 64 };

/* Borrowed; NULL is the empty string. */
amqp_bytes_t codec_text(const char *text);
/* CONEY_EINVAL when @text is longer than a short string can be; NULL is fine. */
enum coney_rc codec_check_short(const char *text) CONEY_MUST_CHECK;
/* A terminated copy in @a; NULL when out of memory. */
char *codec_copy_text(struct arena *a, amqp_bytes_t text);

/*
 * A view of @t for the encoder, in @pool; text is borrowed from @t. *@size grows by the
 * bytes it takes when encoded. CONEY_EINVAL: a key over 255 bytes, text over 4 GiB, a
 * type that does not exist, deeper than TABLE_DEPTH_MAX. CONEY_ENOMEM.
 */
enum coney_rc codec_view_table(const struct table *t, amqp_pool_t *pool,
        amqp_table_t *view, size_t *size) CONEY_MUST_CHECK;
/* Likewise for the properties and headers of @e; *@size is that of the encoded list with
 * its flags. */
enum coney_rc codec_view_properties(const struct envelope *e, amqp_pool_t *pool,
        amqp_basic_properties_t *view, size_t *size) CONEY_MUST_CHECK;

/* A copy of @view in @a. CONEY_ENOMEM. */
enum coney_rc codec_copy_table(
        struct table *t, struct arena *a, const amqp_table_t *view) CONEY_MUST_CHECK;

enum codec_headers { HEADERS_TAKEN, HEADERS_REFUSED };

/*
 * Decode a list of properties into @e, whose arena exists. When the headers break a limit
 * or do not parse, *@taken says so and @e gets the other properties; when nothing can be
 * made out, none at all. CONEY_ENOMEM.
 */
enum coney_rc codec_read_properties(struct bytes data, const struct scan_limits *limits,
        amqp_pool_t *pool, struct envelope *e,
        enum codec_headers *taken) CONEY_MUST_CHECK;

#endif /* CONEY_AMQP_CODEC_H */
