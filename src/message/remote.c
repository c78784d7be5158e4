/* SPDX-License-Identifier: MIT */
/* remote.c - requests of remote control, written, and replies to them, read. */
#include "message/remote.h"

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "message/body.h"
#include "message/task.h"

#include <string.h>

enum { METHOD_MAX = 64, NAME_MAX_LEN = 255, BODY_MAX = 1024 * 1024 };

/* Python ignores it on a request, and so does everybody else. */
static const double expires_after_s = 1.0;

/* --- what may be asked -------------------------------------------------------------- */

static enum coney_rc check_method(const char *method, struct coney_error *err)
{
    size_t len = strlen(method);
    if (len == 0 || len > METHOD_MAX ||
            strspn(method, "abcdefghijklmnopqrstuvwxyz_0123456789") != len)
        return error_set(err, CONEY_EINVAL, "\"%.64s\" is no name of a command", method);
    if (strcmp(method, "election") == 0)
        return error_set(err, CONEY_EINVAL,
                "\"election\" is for Celery's workers among themselves, and ends them");
    return CONEY_OK;
}

static bool is_name(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= NAME_MAX_LEN &&
           utf8_is_valid((struct bytes){.data = text, .len = len});
}

static enum coney_rc refuse_pattern(const char *pattern, struct coney_error *err)
{
    return error_set(err, CONEY_EINVAL, "\"%.100s\" is no regular expression", pattern);
}

/* A wrong one would be an error with a traceback in the log of every Python worker. */
static enum coney_rc check_expression(const char *pattern, struct coney_error *err)
{
    int open = 0;
    bool in_set = false;

    if (strchr("*+?{", pattern[0]))
        return refuse_pattern(pattern, err);
    for (const char *at = pattern; *at; at++) {
        if (*at == '\\') {
            if (*++at == '\0')
                return refuse_pattern(pattern, err);
            continue;
        }
        if (in_set)
            in_set = *at != ']';
        else if (*at == '[')
            in_set = true;
        else if (*at == '(')
            open++;
        else if (*at == ')' && --open < 0)
            return refuse_pattern(pattern, err);
    }
    return open == 0 && !in_set ? CONEY_OK : refuse_pattern(pattern, err);
}

static enum coney_rc check_pattern(const struct remote_target *t, struct coney_error *err)
{
    if (t->node_count > 0)
        return error_set(err, CONEY_EINVAL, "nodes by name or by a pattern, not both");
    if (!is_name(t->pattern))
        return error_set(err, CONEY_EINVAL, "the pattern is empty, too long or no UTF-8");
    if (t->matcher && strcmp(t->matcher, "glob") == 0)
        return CONEY_OK;
    if (t->matcher && strcmp(t->matcher, "pcre") == 0)
        return check_expression(t->pattern, err);
    return error_set(err, CONEY_EINVAL, "a pattern is matched by glob or by pcre");
}

enum coney_rc remote_check_target(const struct remote_target *t, struct coney_error *err)
{
    for (size_t i = 0; i < t->node_count; i++)
        if (!t->nodes[i] || !is_name(t->nodes[i]))
            return error_set(err, CONEY_EINVAL, "a node's name is empty or too long");
    return t->pattern ? check_pattern(t, err) : CONEY_OK;
}

static enum coney_rc check_request(
        const struct remote_request *r, struct coney_error *err)
{
    enum coney_rc rc = check_method(r->method, err);
    if (rc == CONEY_OK)
        rc = remote_check_target(&r->target, err);
    if (rc != CONEY_OK)
        return rc;
    if (r->arguments && !json_is_object(r->arguments))
        return error_set(err, CONEY_EINVAL, "the arguments are no object");
    if ((r->ticket != NULL) != (r->reply_key != NULL))
        return error_set(err, CONEY_EINVAL, "a reply needs a ticket and a key");
    if (r->ticket && (!is_name(r->ticket) || !is_name(r->reply_key)))
        return error_set(err, CONEY_EINVAL, "the ticket or its key is no name");
    return CONEY_OK;
}

/* --- writing ------------------------------------------------------------------------ */

static json_t *destinations(const struct remote_target *t)
{
    if (t->node_count == 0)
        return json_null();
    json_t *list = json_array();
    for (size_t i = 0; list && i < t->node_count; i++) {
        if (json_array_append_new(list, json_string(t->nodes[i])) == 0)
            continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* New, or NULL when out of memory. */
static json_t *request_json(const struct remote_request *r)
{
    const struct remote_target *t = &r->target;
    json_t *arguments = r->arguments ? json_deep_copy(r->arguments) : json_object();
    json_t *body = json_pack("{s:s, s:o, s:o, s:s?, s:s?}", "method", r->method,
            "arguments", arguments, "destination", destinations(t), "pattern", t->pattern,
            "matcher", t->pattern ? t->matcher : NULL);
    if (!body || !r->ticket)
        return body;
    json_t *reply_to = json_pack(
            "{s:s, s:s}", "exchange", REMOTE_REPLY_EXCHANGE, "routing_key", r->reply_key);
    bool is_complete = json_object_set_new(body, "ticket", json_string(r->ticket)) == 0;
    is_complete &= json_object_set_new(body, "reply_to", reply_to) == 0;
    if (is_complete)
        return body;
    json_decref(body);
    return NULL;
}

static enum coney_rc set_headers(struct envelope *e, int64_t now_us)
{
    const struct field expires = {.key = {.data = "expires", .len = strlen("expires")},
            .type = FIELD_F64,
            .value.number = (double)now_us / 1e6 + expires_after_s};
    enum coney_rc rc = table_set_integer(&e->headers, e->arena, "clock", 1);
    return rc == CONEY_OK ? table_set(&e->headers, e->arena, &expires) : rc;
}

static enum coney_rc fill(
        const struct remote_request *r, int64_t now_us, struct envelope *e)
{
    struct buffer text;
    json_t *body = request_json(r);

    buffer_init(&text, BODY_MAX);
    enum coney_rc rc = body ? json_write(body, &text) : CONEY_ENOMEM;
    json_decref(body);
    if (rc == CONEY_OK)
        rc = body_set(e, &text);
    if (rc == CONEY_OK)
        rc = set_headers(e, now_us);
    body_set_type(&e->properties);
    e->properties.delivery_mode = DELIVERY_PERSISTENT;
    e->properties.priority = 0;
    buffer_fini(&text);
    return rc;
}

enum coney_rc remote_encode(const struct remote_request *r, int64_t now_us,
        struct envelope *out, struct coney_error *err)
{
    enum coney_rc rc = check_request(r, err);
    if (rc != CONEY_OK)
        return rc;
    rc = envelope_init(out);
    if (rc != CONEY_OK)
        return error_set_nomem(err);
    rc = fill(r, now_us, out);
    if (rc == CONEY_OK)
        return CONEY_OK;
    envelope_fini(out);
    if (rc == CONEY_ELIMIT)
        return error_set(err, rc, "the request is larger than %d bytes", BODY_MAX);
    if (rc == CONEY_EINVAL)
        return error_set(err, rc, "the arguments hold a text that is no UTF-8");
    return error_set_nomem(err);
}

/* --- reading ------------------------------------------------------------------------ */

bool remote_answers(const struct envelope *e, const char *ticket)
{
    struct bytes found = table_text(&e->headers, "ticket");
    return found.data && found.len == strlen(ticket) &&
           memcmp(found.data, ticket, found.len) == 0;
}

enum coney_rc remote_decode(
        const struct envelope *e, json_t **out, struct coney_error *err)
{
    const struct message_limits limits = message_limits_default();

    *out = NULL;
    enum coney_rc rc = body_json(e, &limits, out, err);
    if (rc != CONEY_OK || json_is_object(*out))
        return rc;
    json_decref(*out);
    *out = NULL;
    return error_set(err, CONEY_ESYNTAX, "a reply that is no object");
}
