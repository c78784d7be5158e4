/* SPDX-License-Identifier: MIT */
/* body.c - content type, encoding and zlib, with limits on what comes out. */
#include "message/body.h"

#include "base/error.h"
#include "base/utf8.h"
#include "message/task.h"

#include <string.h>
#include <strings.h>
#define ZLIB_CONST /* next_in points to const */
#include <zlib.h>

/* Below this much output any ratio is fine: small texts of blanks compress well. */
enum { RATIO_FREE = 64 * 1024, CHUNK = 16 * 1024, SHOWN_SIZE = 64 };

static const char CONTENT_TYPE[] = "application/json";
static const char CONTENT_ENCODING[] = "utf-8";

static enum coney_rc check_type(const struct properties *p, struct coney_error *err)
{
    char shown[SHOWN_SIZE];
    const char *type = p->content_type;

    if (!type)
        return error_set(err, CONEY_ESYNTAX, "no content type, not %s", CONTENT_TYPE);
    if (strcmp(type, CONTENT_TYPE) == 0)
        return CONEY_OK;
    utf8_printable(
            shown, sizeof(shown), (struct bytes){.data = type, .len = strlen(type)});
    return error_set(
            err, CONEY_ESYNTAX, "content type \"%s\", not %s", shown, CONTENT_TYPE);
}

/* Python tolerates these for JSON; whether the text is UTF-8 the parser sees. */
static enum coney_rc check_encoding(const struct properties *p, struct coney_error *err)
{
    static const char *const fine[] = {"utf-8", "utf8", "binary"};
    char shown[SHOWN_SIZE];
    const char *encoding = p->content_encoding;

    if (!encoding)
        return CONEY_OK;
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        if (strcasecmp(encoding, fine[i]) == 0)
            return CONEY_OK;
    utf8_printable(shown, sizeof(shown),
            (struct bytes){.data = encoding, .len = strlen(encoding)});
    return error_set(err, CONEY_ESYNTAX, "content encoding \"%s\", not %s", shown,
            CONTENT_ENCODING);
}

static bool is_text(const struct field *f, const char *text)
{
    return f->type == FIELD_STRING && f->value.text.len == strlen(text) &&
           memcmp(f->value.text.data, text, f->value.text.len) == 0;
}

/* Celery calls a zlib stream (RFC 1950) gzip; real gzip is refused by its readers. */
static enum coney_rc find_packing(
        const struct table *headers, enum body_packing *packing, struct coney_error *err)
{
    char shown[SHOWN_SIZE] = "not a text";
    const struct field *f = table_find(headers, "compression");

    *packing = BODY_PLAIN;
    if (!f || f->type == FIELD_VOID)
        return CONEY_OK;
    *packing = BODY_ZLIB;
    if (is_text(f, "application/x-gzip") || is_text(f, "gzip") || is_text(f, "zlib"))
        return CONEY_OK;
    if (f->type == FIELD_STRING)
        utf8_printable(shown, sizeof(shown), f->value.text);
    return error_set(err, CONEY_ESYNTAX,
            "compression \"%s\"; supported: application/x-gzip, gzip, zlib", shown);
}

static size_t output_max(size_t input_len, const struct message_limits *limits)
{
    size_t by_ratio = RATIO_FREE;

    if (limits->ratio_max > 0 && input_len > limits->body_max / limits->ratio_max)
        return limits->body_max;
    if (input_len * limits->ratio_max > by_ratio)
        by_ratio = input_len * limits->ratio_max;
    return by_ratio < limits->body_max ? by_ratio : limits->body_max;
}

static enum coney_rc refuse_size(
        size_t max, const struct message_limits *limits, struct coney_error *err)
{
    if (max < limits->body_max)
        return error_set(err, CONEY_ELIMIT, "body decompresses to more than %zu times",
                limits->ratio_max);
    return error_set(err, CONEY_ELIMIT, "body decompresses to more than %zu bytes",
            limits->body_max);
}

/* One more chunk of output, at most up to and including the byte after @max, so that a
 * body of exactly that size is told from a larger one. */
static int inflate_chunk(z_stream *z, struct buffer *out)
{
    size_t len = out->max - buffer_len(out);
    uint8_t *space;

    len = len < CHUNK ? len : CHUNK;
    if (buffer_reserve(out, len, &space) != CONEY_OK)
        return Z_MEM_ERROR;
    z->next_out = space;
    z->avail_out = (uInt)len;
    int status = inflate(z, Z_NO_FLUSH);
    buffer_commit(out, len - z->avail_out);
    return status;
}

static enum coney_rc inflate_all(z_stream *z, const struct message_limits *limits,
        struct buffer *out, struct coney_error *err)
{
    size_t max = out->max - 1;
    int status;

    do {
        status = inflate_chunk(z, out);
        if (buffer_len(out) > max)
            return refuse_size(max, limits, err);
    } while (status == Z_OK);
    if (status == Z_MEM_ERROR)
        return error_set_nomem(err);
    if (status != Z_STREAM_END)
        return error_set(err, CONEY_ESYNTAX, "body is not a whole zlib stream: %s",
                z->msg ? z->msg : "cut short");
    if (z->avail_in > 0)
        return error_set(
                err, CONEY_ESYNTAX, "%u bytes follow the zlib stream", z->avail_in);
    return CONEY_OK;
}

static enum coney_rc decompress(struct bytes in, const struct message_limits *limits,
        struct arena *a, struct bytes *text, struct coney_error *err)
{
    z_stream z = {.next_in = in.data, .avail_in = (uInt)in.len};
    struct buffer out;

    if (in.len > UINT32_MAX)
        return error_set(err, CONEY_ELIMIT, "compressed body of %zu bytes", in.len);
    if (inflateInit(&z) != Z_OK)
        return error_set_nomem(err);
    buffer_init(&out, output_max(in.len, limits) + 1);
    enum coney_rc rc = inflate_all(&z, limits, &out, err);
    if (rc != CONEY_OK)
        goto out;
    *text = arena_copy(
            a, (struct bytes){.data = buffer_data(&out), .len = buffer_len(&out)});
    if (!text->data)
        rc = error_set_nomem(err);
out:
    buffer_fini(&out);
    inflateEnd(&z);
    return rc;
}

enum coney_rc body_check(
        const struct envelope *e, enum body_packing *packing, struct coney_error *err)
{
    enum coney_rc rc = check_type(&e->properties, err);

    if (rc == CONEY_OK)
        rc = check_encoding(&e->properties, err);
    return rc == CONEY_OK ? find_packing(&e->headers, packing, err) : rc;
}

enum coney_rc body_text(const struct envelope *e, const struct message_limits *limits,
        struct arena *a, struct bytes *out, struct coney_error *err)
{
    enum body_packing packing;

    enum coney_rc rc = body_check(e, &packing, err);
    if (rc != CONEY_OK)
        return rc;
    if (e->body.len > limits->body_max)
        return error_set(err, CONEY_ELIMIT, "body of %zu bytes, more than %zu",
                e->body.len, limits->body_max);
    if (packing == BODY_ZLIB)
        return decompress(e->body, limits, a, out, err);
    *out = arena_copy(a, e->body);
    return out->data ? CONEY_OK : error_set_nomem(err);
}

enum coney_rc body_json(const struct envelope *e, const struct message_limits *limits,
        json_t **out, struct coney_error *err)
{
    const struct json_limits json = message_json_limits(limits);
    struct arena *a = arena_new(0);
    struct bytes text = {.data = NULL};

    enum coney_rc rc = a ? body_text(e, limits, a, &text, err) : error_set_nomem(err);
    if (rc == CONEY_OK)
        rc = json_read(text, &json, out, err);
    arena_free(a);
    return rc;
}

void body_set_type(struct properties *p)
{
    p->content_type = CONTENT_TYPE;
    p->content_encoding = CONTENT_ENCODING;
}

enum coney_rc body_set(struct envelope *e, const struct buffer *text)
{
    e->body = arena_copy(
            e->arena, (struct bytes){.data = buffer_data(text), .len = buffer_len(text)});
    return e->body.data ? CONEY_OK : CONEY_ENOMEM;
}
