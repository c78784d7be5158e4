/* SPDX-License-Identifier: MIT */
/* control.c - pidbox messages, read with patience and written with care. */
#include "message/control.h"

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "message/body.h"
#include "message/task.h"

#include <fnmatch.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REQUEST_BYTES_MAX = 1024 * 1024, /* a list of some ten thousand ids */
    REPLY_BYTES_MAX = 16 * 1024 * 1024,
    PATTERN_MAX = 255,
    NAME_MAX_LEN = 255,
    TEXT_SIZE = 1024
};

/* --- reading ------------------------------------------------------------------------ */

/* A text without a zero byte, else NULL. */
static const char *text_of(const json_t *v)
{
    const char *text = json_string_value(v);
    return text && strlen(text) == json_string_length(v) ? text : NULL;
}

static const char *text_at(const json_t *object, const char *key)
{
    return text_of(json_object_get(object, key));
}

/* A short one: what is to be an AMQP name. */
static const char *name_at(const json_t *object, const char *key)
{
    const char *text = text_at(object, key);
    return text && strlen(text) <= NAME_MAX_LEN ? text : NULL;
}

static int64_t clock_of(const struct envelope *e)
{
    int64_t clock = 0;
    /* Every peer takes the largest clock it sees: one that is out of all measure would
     * stay with all of them for good. */
    if (!table_integer(&e->headers, "clock", &clock) || clock < 0 || clock > INT32_MAX)
        return 0;
    return clock;
}

static enum coney_rc take_members(struct control_request *r, struct coney_error *err)
{
    const json_t *reply_to = json_object_get(r->body, "reply_to");
    json_t *arguments = json_object_get(r->body, "arguments");

    r->method = name_at(r->body, "method");
    if (!r->method || !*r->method)
        return error_set(err, CONEY_ESYNTAX, "control: no method");
    r->arguments = json_is_object(arguments) ? json_incref(arguments) : json_object();
    if (!r->arguments)
        return error_set_nomem(err);
    r->destination = json_object_get(r->body, "destination");
    r->pattern = text_at(r->body, "pattern");
    r->matcher = text_at(r->body, "matcher");
    r->ticket = name_at(r->body, "ticket");
    r->reply_exchange = name_at(reply_to, "exchange");
    r->reply_key = name_at(reply_to, "routing_key");
    if (!r->reply_exchange || !r->reply_key)
        r->reply_exchange = r->reply_key = NULL;
    return CONEY_OK;
}

enum coney_rc control_decode(
        const struct envelope *e, struct control_request **out, struct coney_error *err)
{
    struct message_limits limits = message_limits_default();
    struct control_request *r = calloc(1, sizeof(*r));
    if (!r)
        return error_set_nomem(err);
    limits.body_max = REQUEST_BYTES_MAX;
    enum coney_rc rc = body_json(e, &limits, &r->body, err);
    if (rc == CONEY_OK && !json_is_object(r->body))
        rc = error_set(err, CONEY_ESYNTAX, "control: not an object");
    if (rc == CONEY_OK)
        rc = take_members(r, err);
    if (rc != CONEY_OK) {
        control_request_free(r);
        return rc;
    }
    r->clock = clock_of(e);
    *out = r;
    return CONEY_OK;
}

void control_request_free(struct control_request *r)
{
    if (!r)
        return;
    json_decref(r->arguments);
    json_decref(r->body);
    free(r);
}

/* --- for whom ----------------------------------------------------------------------- */

/* What stands at @p, as POSIX writes it: *@taken bytes of the pattern become *@piece
 * (NULL: they stay). False: it has no form there. */
static bool translate_piece(const char *p, size_t *taken, const char **piece)
{
    *taken = 1;
    *piece = NULL;
    if (p[0] == '\\' && p[1]) {
        *taken = 2;
        if (p[1] == 'd')
            *piece = "[0-9]";
        else if (p[1] == 'D')
            *piece = "[^0-9]";
        return p[1] < '1' || p[1] > '9';
    }
    if (p[0] == '(' && p[1] == '?') {
        *taken = 3;
        *piece = "(";
        return p[2] == ':';
    }
    return true;
}

/* False: @pattern says more than can be said there. */
static bool translate(const char *pattern, char *out, size_t size)
{
    unsigned counts = 0;
    size_t len = 2;
    size_t taken;

    memcpy(out, "^(", 2);
    for (const char *p = pattern; *p; p += taken) {
        const char *piece;
        /* One inside another multiplies the memory of the compiled form. */
        if (*p == '{' && ++counts > 1)
            return false;
        if (!translate_piece(p, &taken, &piece))
            return false;
        size_t given = piece ? strlen(piece) : taken;
        if (len + given + sizeof(")") > size)
            return false;
        memcpy(out + len, piece ? piece : p, given);
        len += given;
    }
    memcpy(out + len, ")", sizeof(")"));
    return true;
}

static bool expression_fits(const char *pattern, const char *text)
{
    char posix[4 * PATTERN_MAX];
    regex_t compiled;

    if (!translate(pattern, posix, sizeof(posix)) ||
            regcomp(&compiled, posix, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool fits = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return fits;
}

bool control_pattern_fits(const char *matcher, const char *pattern, const char *text)
{
    if (strlen(pattern) > PATTERN_MAX)
        return false;
    if (strcmp(matcher, "glob") == 0)
        return fnmatch(pattern, text, FNM_NOESCAPE) == 0;
    return strcmp(matcher, "pcre") == 0 && expression_fits(pattern, text);
}

/* Nobody named means everybody. */
static bool has_destinations(const struct control_request *r)
{
    if (json_is_array(r->destination))
        return json_array_size(r->destination) > 0;
    return text_of(r->destination) && *text_of(r->destination);
}

bool control_is_named(const struct control_request *r, const char *node)
{
    const char *one = text_of(r->destination);
    size_t i;
    json_t *name;

    if (one)
        return strcmp(one, node) == 0;
    json_array_foreach(r->destination, i,
            name) if (text_of(name) && strcmp(text_of(name), node) == 0) return true;
    return false;
}

bool control_is_for(const struct control_request *r, const char *node)
{
    if (has_destinations(r))
        return control_is_named(r, node);
    if (r->pattern && *r->pattern && r->matcher && *r->matcher)
        return control_pattern_fits(r->matcher, r->pattern, node);
    return true;
}

/* --- replies ------------------------------------------------------------------------ */

static enum coney_rc set_header(struct envelope *e, const char *key, const char *text)
{
    if (!text)
        return table_set_void(&e->headers, e->arena, key);
    char *copy = arena_strdup(e->arena, text);
    return copy ? table_set_text(&e->headers, e->arena, key, copy) : CONEY_ENOMEM;
}

static enum coney_rc write_reply(
        const char *node, const json_t *reply, struct buffer *text)
{
    json_t *name = json_string(node);
    enum coney_rc rc = name ? buffer_append(text, "{", 1) : CONEY_EINVAL;

    if (rc == CONEY_OK)
        rc = json_write(name, text);
    if (rc == CONEY_OK)
        rc = buffer_append(text, ": ", 2);
    if (rc == CONEY_OK)
        rc = json_write(reply, text);
    if (rc == CONEY_OK)
        rc = buffer_append(text, "}", 1);
    json_decref(name);
    return rc;
}

enum coney_rc control_encode_reply(const char *node, const char *ticket, int64_t clock,
        const json_t *reply, struct envelope *out)
{
    struct buffer text;

    buffer_init(&text, REPLY_BYTES_MAX);
    enum coney_rc rc = envelope_init(out);
    if (rc != CONEY_OK)
        return rc;
    body_set_type(&out->properties);
    out->properties.delivery_mode = DELIVERY_TRANSIENT;
    out->properties.priority = 0;
    rc = set_header(out, "ticket", ticket);
    if (rc == CONEY_OK)
        rc = table_set_integer(&out->headers, out->arena, "clock", clock);
    if (rc == CONEY_OK)
        rc = write_reply(node, reply, &text);
    if (rc == CONEY_OK)
        rc = body_set(out, &text);
    if (rc != CONEY_OK)
        envelope_fini(out);
    buffer_fini(&text);
    return rc;
}

CONEY_PRINTF(2, 0)
static json_t *answer(const char *key, const char *fmt, va_list args)
{
    char text[TEXT_SIZE];
    char fine[TEXT_SIZE];
    json_t *o = json_object();

    (void)vsnprintf(text, sizeof(text), fmt, args);
    /* What it quotes came from outside. */
    utf8_printable(fine, sizeof(fine), (struct bytes){.data = text, .len = strlen(text)});
    if (o && json_object_set_new_nocheck(o, key, json_string(fine)) != 0) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *control_error(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    json_t *o = answer("error", fmt, args);
    va_end(args);
    return o;
}

json_t *control_ok(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    json_t *o = answer("ok", fmt, args);
    va_end(args);
    return o;
}
