/* SPDX-License-Identifier: MIT */
/*
 * json.c - a scanner in front of jansson.
 *
 * The scanner knows tokens and nesting, not grammar: what it does not recognise it leaves
 * for jansson to refuse. It runs once to check and to measure; only a text that needs
 * rewriting is copied, by a second run.
 */
#include "base/json.h"

#include "base/error.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { REAL_TEXT_MAX = 511, INTEGER_DIGITS_SAFE = 18, ESCAPE_LEN = 6 };

struct scan {
    const char *at;
    const char *end;
    char *out; /* NULL: only measure */
    size_t out_len;
    size_t rewritten; /* tokens */
    size_t values;
    unsigned depth;
    const struct json_limits *limits;
};

static void emit(struct scan *s, const char *text, size_t len)
{
    if (s->out)
        memcpy(s->out + s->out_len, text, len);
    s->out_len += len;
}

static void emit_quoted(struct scan *s, const char *text, size_t len)
{
    emit(s, "\"", 1);
    emit(s, text, len);
    emit(s, "\"", 1);
    s->rewritten++;
}

/* The code unit of a \uXXXX at @p, or -1. */
static int escape_unit(const char *p, const char *end)
{
    int unit = 0;

    if (end - p < ESCAPE_LEN || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < ESCAPE_LEN; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = p[i] ? strchr(digits, p[i] | 0x20) : NULL;
        if (!digit || (p[i] < '0'))
            return -1;
        unit = unit * 16 + (int)(digit - digits);
    }
    return unit;
}

static bool is_high(int unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* A backslash and what belongs to it. */
static void scan_escape(struct scan *s)
{
    int unit = escape_unit(s->at, s->end);
    size_t len = unit >= 0 ? ESCAPE_LEN : 2;

    if (is_high(unit) && is_low(escape_unit(s->at + ESCAPE_LEN, s->end)))
        len = 2 * (size_t)ESCAPE_LEN;
    else if (is_high(unit) || is_low(unit)) {
        emit(s, "\\ufffd", ESCAPE_LEN);
        s->rewritten++;
        s->at += ESCAPE_LEN;
        return;
    }
    if (len > (size_t)(s->end - s->at))
        len = (size_t)(s->end - s->at);
    emit(s, s->at, len);
    s->at += len;
}

static void scan_string(struct scan *s)
{
    const char *from = s->at++;

    while (s->at < s->end && *s->at != '"') {
        if (*s->at != '\\') {
            s->at++;
            continue;
        }
        emit(s, from, (size_t)(s->at - from));
        scan_escape(s);
        from = s->at;
    }
    if (s->at < s->end)
        s->at++;
    emit(s, from, (size_t)(s->at - from));
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* The end of the JSON integer at @p (RFC 8259 §6), or NULL. */
static const char *integer_end(const char *p, const char *end)
{
    if (p < end && *p == '-')
        p++;
    const char *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return NULL;
    return p;
}

/* Whether [p, end) continues an integer as a JSON number: fraction, exponent, or both. */
static bool is_fraction(const char *p, const char *end)
{
    if (p < end && *p == '.') {
        const char *digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        const char *digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return false;
    }
    return p == end;
}

/* Whether the integer [p, end) lies outside int64_t. */
static bool is_large_integer(const char *p, const char *end)
{
    char text[24];
    size_t len = (size_t)(end - p);

    if (len <= INTEGER_DIGITS_SAFE)
        return false;
    if (len >= sizeof(text))
        return true;
    memcpy(text, p, len);
    text[len] = '\0';
    errno = 0;
    strtoll(text, NULL, 10);
    return errno == ERANGE;
}

/* Whether the real number [p, end) is beyond double. In a locale with another decimal
 * point strtod() stops early; jansson then refuses the number instead. */
static bool is_large_real(const char *p, const char *end)
{
    char text[REAL_TEXT_MAX + 1];
    size_t len = (size_t)(end - p);

    if (len > REAL_TEXT_MAX)
        return true;
    memcpy(text, p, len);
    text[len] = '\0';
    return isinf(strtod(text, NULL));
}

/* Numbers and bare words are rewritten as strings; as keys both are errors, and stay. */
static bool is_key(const char *p, const char *end)
{
    while (p < end && strchr(" \t\r\n", *p) && *p != '\0')
        p++;
    return p < end && *p == ':';
}

static bool is_word(const char *p, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(p, word, len) == 0;
}

static bool is_beyond_jansson(const char *p, const char *end)
{
    size_t len = (size_t)(end - p);

    if (is_word(p, len, "NaN") || is_word(p, len, "Infinity") ||
            is_word(p, len, "-Infinity"))
        return true;
    const char *point = integer_end(p, end);
    if (!point)
        return false;
    if (point == end)
        return is_large_integer(p, end);
    return is_fraction(point, end) && is_large_real(p, end);
}

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '-' || c == '+' || c == '.';
}

static void scan_token(struct scan *s)
{
    const char *from = s->at;

    while (s->at < s->end && is_token_char(*s->at))
        s->at++;
    size_t len = (size_t)(s->at - from);
    if (is_beyond_jansson(from, s->at) && !is_key(s->at, s->end))
        emit_quoted(s, from, len);
    else
        emit(s, from, len);
}

static enum coney_rc scan_one(struct scan *s, struct coney_error *err)
{
    char c = *s->at;
    bool is_open = c == '[' || c == '{';

    if (is_open || c == '"' || is_token_char(c)) {
        if (++s->values > s->limits->values_max)
            return error_set(err, CONEY_ELIMIT, "more than %zu JSON values",
                    s->limits->values_max);
        if (is_open && ++s->depth > s->limits->depth_max)
            return error_set(err, CONEY_ELIMIT, "JSON nested deeper than %u",
                    s->limits->depth_max);
    }
    if ((c == ']' || c == '}') && s->depth > 0)
        s->depth--;
    if (c == '"')
        scan_string(s);
    else if (is_token_char(c))
        scan_token(s);
    else
        emit(s, s->at++, 1);
    return CONEY_OK;
}

static enum coney_rc scan(struct scan *s, struct bytes text, char *out,
        const struct json_limits *limits, struct coney_error *err)
{
    *s = (struct scan){.at = text.data, .out = out, .limits = limits};
    s->end = s->at + text.len;
    while (s->at < s->end) {
        enum coney_rc rc = scan_one(s, err);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

/* jansson's own sentences quote the text, which is not for logs. */
static const char *reason(const json_error_t *e)
{
    static const struct {
        enum json_error_code code;
        const char *text;
    } reasons[] = {
            {json_error_invalid_utf8, "not UTF-8"},
            {json_error_premature_end_of_input, "ends too early"},
            {json_error_end_of_input_expected, "something follows the value"},
            {json_error_null_byte_in_key, "a key with a zero byte"},
            {json_error_duplicate_key, "a key comes twice in one object"},
            {json_error_numeric_overflow, "a number is too large"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].code == json_error_code(e))
            return reasons[i].text;
    return "syntax error";
}

static enum coney_rc parse(const char *text, size_t len, bool is_rewritten, json_t **out,
        struct coney_error *err)
{
    json_error_t e;

    *out = json_loadb(
            text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);
    if (*out)
        return CONEY_OK;
    /* jansson says nothing at all when an allocation fails. */
    if (e.text[0] == '\0')
        return error_set_nomem(err);
    unsigned line = e.line > 0 ? (unsigned)e.line : 0;
    unsigned column = e.column > 0 && !is_rewritten ? (unsigned)e.column : 0;
    error_set(err, CONEY_ESYNTAX, "not JSON: %s (line %u, column %u)", reason(&e), line,
            column);
    error_set_position(err, line, column);
    return CONEY_ESYNTAX;
}

enum coney_rc json_read(struct bytes text, const struct json_limits *limits, json_t **out,
        struct coney_error *err)
{
    struct scan s;

    *out = NULL;
    if (text.len > limits->text_max)
        return error_set(err, CONEY_ELIMIT, "JSON of %zu bytes, more than %zu", text.len,
                limits->text_max);
    if (text.len == 0)
        return error_set(err, CONEY_ESYNTAX, "not JSON: empty");
    enum coney_rc rc = scan(&s, text, NULL, limits, err);
    if (rc != CONEY_OK)
        return rc;
    if (s.rewritten == 0)
        return parse(text.data, text.len, false, out, err);

    char *copy = malloc(s.out_len);
    if (!copy)
        return error_set_nomem(err);
    rc = scan(&s, text, copy, limits, err);
    if (rc == CONEY_OK)
        rc = parse(copy, s.out_len, true, out, err);
    free(copy);
    return rc;
}

struct sink {
    struct buffer *out;
    enum coney_rc rc;
};

const char *json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int append(const char *text, size_t len, void *data)
{
    struct sink *sink = data;

    sink->rc = buffer_append(sink->out, text, len);
    return sink->rc == CONEY_OK ? 0 : -1;
}

enum coney_rc json_write(const json_t *value, struct buffer *out)
{
    struct sink sink = {.out = out, .rc = CONEY_OK};

    if (json_dump_callback(value, append, &sink, JSON_ENCODE_ANY | JSON_ENSURE_ASCII) ==
            0)
        return CONEY_OK;
    return sink.rc != CONEY_OK ? sink.rc : CONEY_EINVAL;
}
