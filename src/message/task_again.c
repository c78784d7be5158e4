/* SPDX-License-Identifier: MIT */
/*
 * task_again.c - a task that goes round once more: a retry, or a message put back.
 *
 * What the message says of itself stays as its sender wrote it, down to the wire types;
 * only the few fields that this round changes are written anew.
 */
#include "base/error.h"
#include "base/json.h"
#include "base/json_part.h"
#include "base/utf8.h"
#include "message/body.h"
#include "message/repr.h"
#include "message/task.h"
#include "message/task_headers.h"
#include "message/user_header.h"

#include <string.h>

static const char OWN_PREFIX[] = "coney-";

static enum coney_rc check_again(const struct task_again *again, struct coney_error *err)
{
    if (again->retries < 0 || again->retries > INT32_MAX)
        return error_set(err, CONEY_EINVAL, "retries is out of range");
    if (again->eta_us != TASK_NO_TIME &&
            (again->eta_us < TIME_MIN_US || again->eta_us > TIME_MAX_US))
        return error_set(err, CONEY_EINVAL, "eta is out of range");
    if (!again->parent_id)
        return CONEY_OK;
    size_t len = strlen(again->parent_id);
    if (len > 255 || !utf8_is_valid((struct bytes){.data = again->parent_id, .len = len}))
        return error_set(
                err, CONEY_EINVAL, "parent_id is not UTF-8 of at most 255 bytes");
    return CONEY_OK;
}

/* Whoever reads it next may be Python, so only what decodes may go round. */
static enum coney_rc check_source(const struct envelope *e, struct coney_error *err)
{
    struct task_request r = {.arena = arena_new(0)};
    enum body_packing packing;

    if (!r.arena)
        return error_set_nomem(err);
    enum coney_rc rc = body_check(e, &packing, err);
    if (rc == CONEY_OK)
        rc = task_headers_read(e, SIZE_MAX, &r, err);
    arena_free(r.arena);
    return rc == CONEY_OK || rc == CONEY_ENOMEM ? rc : CONEY_EINVAL;
}

static enum coney_rc add_headers(
        const struct table *headers, struct envelope *out, struct coney_error *err)
{
    size_t prefix_len = strlen(OWN_PREFIX);

    for (size_t i = 0; headers && i < headers->count; i++) {
        const struct field *f = &headers->fields[i];
        struct field copy;
        if (f->key.len <= prefix_len || memcmp(f->key.data, OWN_PREFIX, prefix_len) != 0)
            return error_set(err, CONEY_EINVAL,
                    "a header to be added whose name does not begin with %s", OWN_PREFIX);
        enum coney_rc rc = user_header_copy(f, out->arena, &copy, err);
        if (rc != CONEY_OK)
            return rc;
        if (table_set(&out->headers, out->arena, &copy) != CONEY_OK)
            return error_set_nomem(err);
    }
    return CONEY_OK;
}

static enum coney_rc set_text(struct envelope *out, const char *key, const char *text)
{
    if (!text)
        return table_set_void(&out->headers, out->arena, key);
    const char *copy = arena_strdup(out->arena, text);
    return copy ? table_set_text(&out->headers, out->arena, key, copy) : CONEY_ENOMEM;
}

static enum coney_rc change_headers(const struct task_again *again, struct envelope *out)
{
    char eta[TIME_TEXT_SIZE];

    if (again->eta_us != TASK_NO_TIME)
        time_format(again->eta_us, eta);
    enum coney_rc rc = set_text(out, "eta", again->eta_us != TASK_NO_TIME ? eta : NULL);
    if (rc == CONEY_OK)
        rc = table_set_integer(&out->headers, out->arena, "retries", again->retries);
    if (rc == CONEY_OK && again->parent_id)
        rc = set_text(out, "parent_id", again->parent_id);
    return rc;
}

/* --- new arguments ------------------------------------------------------------------ */

static enum coney_rc read_arguments(
        struct bytes text, json_t **out, struct coney_error *err)
{
    const struct message_limits l = message_limits_default();
    const struct json_limits limits = message_json_limits(&l);
    enum coney_rc rc = json_read(text, &limits, out, err);

    if (rc == CONEY_OK &&
            (json_array_size(*out) != 2 || !json_is_array(json_array_get(*out, 0)) ||
                    !json_is_object(json_array_get(*out, 1))))
        rc = error_set(err, CONEY_EINVAL, "not an array and an object");
    if (rc != CONEY_OK)
        error_prefix(err, "new arguments");
    return rc == CONEY_OK || rc == CONEY_ENOMEM ? rc : CONEY_EINVAL;
}

static enum coney_rc set_body(const struct task_again *again, struct envelope *out)
{
    struct buffer text;
    struct bytes args = json_element(again->arguments, 0);
    struct bytes kwargs = json_element(again->arguments, 1);
    struct bytes embed = json_element(again->body, 2);

    if (!embed.data)
        embed = (struct bytes){"null", 4};
    buffer_init(&text, SIZE_MAX / 2);
    enum coney_rc rc = buffer_printf(&text, "[%.*s, %.*s, %.*s]", (int)args.len,
            (const char *)args.data, (int)kwargs.len, (const char *)kwargs.data,
            (int)embed.len, (const char *)embed.data);
    if (rc == CONEY_OK)
        rc = body_set(out, &text);
    buffer_fini(&text);
    return rc;
}

/* What Flower shows of them. */
static enum coney_rc describe_arguments(const json_t *arguments, struct envelope *out)
{
    const char *args = repr_args(json_array_get(arguments, 0), out->arena);
    const char *kwargs = repr_kwargs(json_array_get(arguments, 1), out->arena);
    enum coney_rc rc = CONEY_ENOMEM;

    if (args && kwargs)
        rc = table_set_text(&out->headers, out->arena, "argsrepr", args);
    if (rc == CONEY_OK)
        rc = table_set_text(&out->headers, out->arena, "kwargsrepr", kwargs);
    return rc;
}

static enum coney_rc change_arguments(
        const struct task_again *again, struct envelope *out, struct coney_error *err)
{
    json_t *arguments = NULL;
    if (again->arguments.len == 0)
        return CONEY_OK;
    enum coney_rc rc = read_arguments(again->arguments, &arguments, err);
    if (rc != CONEY_OK)
        goto out;
    table_remove(&out->headers, "compression");
    rc = set_body(again, out);
    if (rc == CONEY_OK)
        rc = describe_arguments(arguments, out);
    if (rc != CONEY_OK)
        error_set_nomem(err);
out:
    json_decref(arguments);
    return rc;
}

enum coney_rc task_encode_again(const struct envelope *e, const struct task_again *again,
        struct envelope *out, struct coney_error *err)
{
    *out = (struct envelope){.arena = NULL};
    enum coney_rc rc = check_again(again, err);
    if (rc == CONEY_OK)
        rc = check_source(e, err);
    if (rc != CONEY_OK)
        return rc;
    rc = envelope_copy(out, e);
    if (rc != CONEY_OK)
        return error_set_nomem(err);
    envelope_strip_broker_headers(out);
    out->properties.delivery_mode = DELIVERY_PERSISTENT;
    rc = change_headers(again, out);
    if (rc != CONEY_OK)
        error_set_nomem(err);
    else
        rc = add_headers(again->headers, out, err);
    if (rc == CONEY_OK)
        rc = change_arguments(again, out, err);
    if (rc != CONEY_OK)
        envelope_fini(out);
    return rc;
}
