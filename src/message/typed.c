/* SPDX-License-Identifier: MIT */
/*
 * typed.c - one table of tags; a writer, a reader and a check for each.
 *
 * "Readable" is what the strictest reader takes, Python before 3.11: fromisoformat() with
 * three or six fraction digits, an offset of +HH:MM or none, no Z.
 */
#include "message/typed.h"

#include "base/error.h"
#include "base/utf8.h"
#include "message/time.h"

#include <string.h>

enum { HEX_LEN = 32, SHOWN_SIZE = 48 };

static const char TAG[] = "__type__";
static const char VALUE[] = "__value__";
static const char BASE64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* --- what a readable value looks like ------------------------------------------------
 */

static bool has_readable_clock(const char **text, struct time_parts *p)
{
    return time_read_clock(text, p) &&
           (p->fraction_digits == 0 || p->fraction_digits == 3 ||
                   p->fraction_digits == 6) &&
           (p->offset == OFFSET_NONE || p->offset == OFFSET_COLON);
}

static bool is_date(const char *text)
{
    struct time_parts p;
    return time_read_date(&text, &p) && *text == '\0';
}

static bool is_time(const char *text)
{
    struct time_parts p;
    return has_readable_clock(&text, &p) && *text == '\0';
}

static bool is_datetime(const char *text)
{
    struct time_parts p;
    return time_read_date(&text, &p) && *text++ == 'T' && has_readable_clock(&text, &p) &&
           *text == '\0';
}

static size_t skip_digits(const char **text)
{
    size_t count = strspn(*text, "0123456789");
    *text += count;
    return count;
}

/* As decimal.Decimal reads it; the exponent's length keeps it inside decimal's range. */
static bool is_decimal(const char *text)
{
    enum { EXPONENT_DIGITS = 17 };

    text += *text == '-' || *text == '+';
    if (strcmp(text, "NaN") == 0 || strcmp(text, "Infinity") == 0 ||
            strcmp(text, "sNaN") == 0)
        return true;
    size_t digits = skip_digits(&text);
    if (*text == '.') {
        text++;
        digits += skip_digits(&text);
    }
    if (digits == 0)
        return false;
    if (*text == 'e' || *text == 'E') {
        text++;
        text += *text == '-' || *text == '+';
        digits = skip_digits(&text);
        if (digits == 0 || digits > EXPONENT_DIGITS)
            return false;
    }
    return *text == '\0';
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c == '\0'              ? NULL
                        : c >= 'A' && c <= 'F' ? strchr(digits, c - 'A' + 'a')
                                               : strchr(digits, c);
    return found ? (int)(found - digits) : -1;
}

/* The 32 digits of @text in lower case; hyphens may stand anywhere, as for uuid.UUID. */
static bool read_hex(const char *text, char hex[HEX_LEN + 1])
{
    size_t len = 0;

    for (; *text; text++) {
        int digit = hex_digit(*text);
        if (*text == '-')
            continue;
        if (digit < 0 || len == HEX_LEN)
            return false;
        hex[len++] = "0123456789abcdef"[digit];
    }
    hex[len] = '\0';
    return len == HEX_LEN;
}

/* The text of a string without zero bytes, or NULL. */
static const char *plain_text(const json_t *v)
{
    const char *text = json_string_value(v);
    return text && strlen(text) == json_string_length(v) ? text : NULL;
}

/* Beside "hex" there may be the version that kombu 5.3 and 5.4 add. */
static const char *uuid_hex(const json_t *value)
{
    const json_t *version = json_object_get(value, "version");

    if (json_object_size(value) > (version ? 2u : 1u))
        return NULL;
    if (version && (!json_is_integer(version) || json_integer_value(version) < 1 ||
                           json_integer_value(version) > 5))
        return NULL;
    return plain_text(json_object_get(value, "hex"));
}

static bool is_uuid(const json_t *value)
{
    char hex[HEX_LEN + 1];
    const char *text = uuid_hex(value);
    return text && read_hex(text, hex);
}

static bool is_base64(const char *text)
{
    size_t len = strspn(text, BASE64);
    size_t padding = strspn(text + len, "=");
    return text[len + padding] == '\0' && (len + padding) % 4 == 0 && padding <= 2;
}

/* --- tags ----------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    bool (*is_text)(const char *text); /* NULL: not by its text alone */
} tags[] = {
        [TYPED_NONE] = {NULL, NULL},
        [TYPED_DATETIME] = {"datetime", is_datetime},
        [TYPED_DATE] = {"date", is_date},
        [TYPED_TIME] = {"time", is_time},
        [TYPED_DECIMAL] = {"decimal", is_decimal},
        [TYPED_UUID] = {"uuid", NULL},
        [TYPED_BYTES] = {"bytes", NULL},
        [TYPED_BASE64] = {"base64", is_base64},
};
enum { TAG_COUNT = sizeof(tags) / sizeof(tags[0]) };

static bool is_tagged(const json_t *v)
{
    return json_object_size(v) == 2 && json_object_get(v, TAG) &&
           json_object_get(v, VALUE);
}

enum typed_kind typed_kind(const json_t *v)
{
    const char *name = is_tagged(v) ? plain_text(json_object_get(v, TAG)) : NULL;

    for (int kind = TYPED_NONE + 1; name && kind < TAG_COUNT; kind++)
        if (strcmp(name, tags[kind].name) == 0)
            return (enum typed_kind)kind;
    return TYPED_NONE;
}

static bool is_readable(enum typed_kind kind, const json_t *value)
{
    if (kind == TYPED_UUID)
        return is_uuid(value);
    if (kind == TYPED_BYTES)
        return json_is_string(value);
    const char *text = plain_text(value);
    return text && tags[kind].is_text(text);
}

/* --- writing -------------------------------------------------------------------------
 */

static json_t *tagged(enum typed_kind kind, json_t *value_take)
{
    json_t *v = json_object();

    if (!v || !value_take ||
            json_object_set_new(v, TAG, json_string(tags[kind].name)) != 0 ||
            json_object_set(v, VALUE, value_take) != 0) {
        json_decref(v);
        v = NULL;
    }
    json_decref(value_take);
    return v;
}

static json_t *tagged_text(enum typed_kind kind, const char *text)
{
    return tags[kind].is_text(text) ? tagged(kind, json_string(text)) : NULL;
}

json_t *typed_datetime(int64_t wall_us)
{
    char text[TIME_TEXT_SIZE];

    if (wall_us < TIME_MIN_US || wall_us > TIME_MAX_US)
        return NULL;
    time_format(wall_us, text);
    return tagged_text(TYPED_DATETIME, text);
}

json_t *typed_date(const char *text)
{
    return tagged_text(TYPED_DATE, text);
}

json_t *typed_time(const char *text)
{
    return tagged_text(TYPED_TIME, text);
}

json_t *typed_decimal(const char *text)
{
    return tagged_text(TYPED_DECIMAL, text);
}

json_t *typed_uuid(const char *text)
{
    char hex[HEX_LEN + 1];
    return read_hex(text, hex) ? tagged(TYPED_UUID, json_pack("{s:s}", "hex", hex))
                               : NULL;
}

/* Four characters for each three bytes, the last group padded (RFC 4648 §4). */
static json_t *base64_string(struct bytes b)
{
    const uint8_t *in = b.data;
    struct buffer out;
    json_t *v = NULL;
    uint8_t *to;

    buffer_init(&out, SIZE_MAX / 4);
    if (b.len > SIZE_MAX / 8 ||
            buffer_reserve(&out, (b.len + 2) / 3 * 4 + 1, &to) != CONEY_OK)
        goto out;
    size_t len = 0;
    for (size_t i = 0; i < b.len; i += 3) {
        size_t left = b.len - i;
        uint32_t bits = (uint32_t)in[i] << 16;
        bits |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        bits |= left > 2 ? in[i + 2] : 0;
        to[len++] = (uint8_t)BASE64[bits >> 18];
        to[len++] = (uint8_t)BASE64[bits >> 12 & 63];
        to[len++] = left > 1 ? (uint8_t)BASE64[bits >> 6 & 63] : '=';
        to[len++] = left > 2 ? (uint8_t)BASE64[bits & 63] : '=';
    }
    v = json_stringn((const char *)to, len);
out:
    buffer_fini(&out);
    return v;
}

json_t *typed_bytes(struct bytes b)
{
    if (utf8_is_valid(b))
        return tagged(TYPED_BYTES, json_stringn(b.len > 0 ? b.data : "", b.len));
    return tagged(TYPED_BASE64, base64_string(b));
}

/* --- reading -------------------------------------------------------------------------
 */

/* The text of @v, tagged as @kind or plain. */
static const char *text_of(const json_t *v, enum typed_kind kind)
{
    if (json_is_object(v))
        v = typed_kind(v) == kind ? json_object_get(v, VALUE) : NULL;
    return plain_text(v);
}

enum coney_rc typed_read_datetime(const json_t *v, int64_t *wall_us)
{
    const char *text = text_of(v, TYPED_DATETIME);
    return text ? time_parse(text, wall_us) : CONEY_ESYNTAX;
}

static enum coney_rc read_text(const json_t *v, enum typed_kind kind, const char **text)
{
    *text = text_of(v, kind);
    return *text && tags[kind].is_text(*text) ? CONEY_OK : CONEY_ESYNTAX;
}

enum coney_rc typed_read_date(const json_t *v, const char **text)
{
    return read_text(v, TYPED_DATE, text);
}

enum coney_rc typed_read_time(const json_t *v, const char **text)
{
    return read_text(v, TYPED_TIME, text);
}

enum coney_rc typed_read_decimal(const json_t *v, const char **text)
{
    return read_text(v, TYPED_DECIMAL, text);
}

enum coney_rc typed_read_uuid(const json_t *v, char text[TYPED_UUID_SIZE])
{
    char hex[HEX_LEN + 1];
    const char *written = json_is_object(v)
                                  ? typed_kind(v) == TYPED_UUID
                                            ? uuid_hex(json_object_get(v, VALUE))
                                            : NULL
                                  : plain_text(v);

    if (!written || !read_hex(written, hex))
        return CONEY_ESYNTAX;
    for (int i = 0; i < HEX_LEN; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *text++ = '-';
        *text++ = hex[i];
    }
    *text = '\0';
    return CONEY_OK;
}

static enum coney_rc decode_base64(const char *text, struct arena *a, struct bytes *out)
{
    size_t len = strspn(text, BASE64);
    uint8_t *to = arena_alloc(a, len / 4 * 3 + 3);
    uint32_t bits = 0;
    size_t count = 0;

    if (!to)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 6 | (uint32_t)(strchr(BASE64, text[i]) - BASE64);
        if (i % 4 > 0)
            to[count++] = (uint8_t)(bits >> (6 - i % 4 * 2));
    }
    *out = (struct bytes){.data = to, .len = count};
    return CONEY_OK;
}

enum coney_rc typed_read_bytes(const json_t *v, struct arena *a, struct bytes *out)
{
    enum typed_kind kind = typed_kind(v);
    const json_t *value = json_object_get(v, VALUE);

    if ((kind != TYPED_BYTES && kind != TYPED_BASE64) || !is_readable(kind, value))
        return CONEY_ESYNTAX;
    if (kind == TYPED_BASE64)
        return decode_base64(json_string_value(value), a, out);
    *out = arena_copy(a, (struct bytes){.data = json_string_value(value),
                                 .len = json_string_length(value)});
    return out->data ? CONEY_OK : CONEY_ENOMEM;
}

/* --- checking ------------------------------------------------------------------------
 */

static enum coney_rc check_tag(const json_t *v, struct coney_error *err)
{
    char shown[SHOWN_SIZE] = "";
    enum typed_kind kind = typed_kind(v);
    const json_t *name = json_object_get(v, TAG);

    if (kind != TYPED_NONE && is_readable(kind, json_object_get(v, VALUE)))
        return CONEY_OK;
    if (json_is_string(name))
        utf8_printable(shown, sizeof(shown),
                (struct bytes){.data = json_string_value(name),
                        .len = json_string_length(name)});
    if (kind != TYPED_NONE)
        return error_set(
                err, CONEY_EINVAL, "__type__ \"%s\" with a value of another", shown);
    return error_set(
            err, CONEY_EINVAL, "__type__ \"%s\", which Celery's peers can't read", shown);
}

static enum coney_rc check_object(
        const json_t *v, unsigned depth_max, struct coney_error *err)
{
    enum coney_rc rc = is_tagged(v) ? check_tag(v, err) : CONEY_OK;
    /* jansson's iterators take a pointer to non-const, but change nothing. */
    json_t *object = (json_t *)(uintptr_t)v;

    for (void *at = json_object_iter(object); at && rc == CONEY_OK;
            at = json_object_iter_next(object, at)) {
        const char *key = json_object_iter_key(at);
        if (!utf8_is_valid((struct bytes){.data = key, .len = strlen(key)}))
            return error_set(err, CONEY_EINVAL, "a key that is not UTF-8");
        rc = typed_check(json_object_iter_value(at), depth_max - 1, err);
    }
    return rc;
}

static enum coney_rc check_array(
        const json_t *v, unsigned depth_max, struct coney_error *err)
{
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < json_array_size(v) && rc == CONEY_OK; i++)
        rc = typed_check(json_array_get(v, i), depth_max - 1, err);
    return rc;
}

enum coney_rc typed_check(const json_t *v, unsigned depth_max, struct coney_error *err)
{
    if ((json_is_object(v) || json_is_array(v)) && depth_max == 0)
        return error_set(err, CONEY_ELIMIT, "nested too deep");
    if (json_is_object(v))
        return check_object(v, depth_max, err);
    if (json_is_array(v))
        return check_array(v, depth_max, err);
    if (json_is_string(v) && !utf8_is_valid((struct bytes){.data = json_string_value(v),
                                     .len = json_string_length(v)}))
        return error_set(err, CONEY_EINVAL, "a text that is not UTF-8");
    return CONEY_OK;
}
