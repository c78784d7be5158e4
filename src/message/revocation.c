/* SPDX-License-Identifier: MIT */
/* revocation.c - entries of the stream of revocations, written and read. */
#include "message/revocation.h"

#include "base/error.h"
#include "base/json.h"
#include "message/body.h"
#include "message/task.h"

#include <string.h>

enum { VERSION = 1, ENTRY_BYTES_MAX = 1024 * 1024 };

static bool is_list_of_texts(const json_t *v)
{
    size_t i;
    json_t *item;

    if (!json_is_array(v))
        return false;
    json_array_foreach(v, i, item) if (!json_is_string(item)) return false;
    return true;
}

static bool is_stamps(json_t *v)
{
    const char *key;
    json_t *values;
    bool fine = json_is_object(v);

    json_object_foreach(v, key, values) fine = fine && json_is_array(values);
    return fine;
}

/* --- writing ------------------------------------------------------------------------ */

static bool set(json_t *root, const char *key, json_t *value)
{
    return json_object_set_new(root, key, value) == 0;
}

static json_t *build(const struct revocation *r)
{
    json_t *root = json_object();
    bool fine = root && set(root, "version", json_integer(VERSION)) &&
                set(root, "at", json_real((double)r->at_us / 1e6));

    if (fine && r->node)
        fine = set(root, "node", json_string(r->node));
    if (fine && r->ids)
        fine = set(root, "ids", json_incref(r->ids));
    if (fine && r->headers)
        fine = set(root, "headers", json_incref(r->headers));
    if (fine && r->marker)
        fine = set(root, "marker", json_string(r->marker));
    if (fine)
        return root;
    json_decref(root);
    return NULL;
}

enum coney_rc revocation_encode(const struct revocation *r, struct envelope *out)
{
    struct buffer text;

    if ((r->ids && !is_list_of_texts(r->ids)) || (r->headers && !is_stamps(r->headers)))
        return CONEY_EINVAL;
    buffer_init(&text, ENTRY_BYTES_MAX);
    enum coney_rc rc = envelope_init(out);
    if (rc != CONEY_OK)
        return rc;
    json_t *root = build(r);
    rc = root ? json_write(root, &text) : CONEY_ENOMEM;
    if (rc == CONEY_OK)
        rc = body_set(out, &text);
    body_set_type(&out->properties);
    out->properties.delivery_mode = DELIVERY_PERSISTENT;
    out->properties.type = "coney.revocation";
    out->properties.app_id = "coney";
    out->properties.timestamp_s = r->at_us / 1000000;
    if (rc != CONEY_OK)
        envelope_fini(out);
    json_decref(root);
    buffer_fini(&text);
    return rc;
}

/* --- reading ------------------------------------------------------------------------ */

static enum coney_rc take_members(struct revocation *r, struct coney_error *err)
{
    const json_t *version = json_object_get(r->root, "version");
    const json_t *at = json_object_get(r->root, "at");
    json_t *ids = json_object_get(r->root, "ids");
    json_t *headers = json_object_get(r->root, "headers");
    double at_s = json_number_value(at);

    if (!json_is_object(r->root) || json_integer_value(version) != VERSION)
        return error_set(err, CONEY_ESYNTAX, "revocation: not one of version 1");
    if (!json_is_number(at) || !(at_s > 0 && at_s < 1e11))
        return error_set(err, CONEY_ESYNTAX, "revocation: no time");
    if ((ids && !is_list_of_texts(ids)) || (headers && !is_stamps(headers)))
        return error_set(err, CONEY_ESYNTAX, "revocation: ids or headers are no lists");
    r->at_us = (int64_t)(at_s * 1e6);
    r->node = json_string_value(json_object_get(r->root, "node"));
    r->marker = json_string_value(json_object_get(r->root, "marker"));
    r->ids = ids;
    r->headers = headers;
    return CONEY_OK;
}

enum coney_rc revocation_decode(
        const struct envelope *e, struct revocation *out, struct coney_error *err)
{
    struct message_limits limits = message_limits_default();

    *out = (struct revocation){.root = NULL};
    limits.body_max = ENTRY_BYTES_MAX;
    enum coney_rc rc = body_json(e, &limits, &out->root, err);
    if (rc == CONEY_OK)
        rc = take_members(out, err);
    if (rc != CONEY_OK)
        revocation_fini(out);
    return rc;
}

void revocation_fini(struct revocation *r)
{
    json_decref(r->root);
    *r = (struct revocation){.root = NULL};
}

/* --- stamps ------------------------------------------------------------------------- */

/* @value, one or a list, behind those that @stamps has for @name. */
static bool add_stamp(json_t *stamps, const char *name, json_t *value)
{
    json_t *values = json_object_get(stamps, name);

    if (!values) {
        values = json_array();
        if (json_object_set_new(stamps, name, values) != 0)
            return false;
    }
    return json_is_array(value) ? json_array_extend(values, value) == 0
                                : json_array_append(values, value) == 0;
}

/* "stamp=value" */
static bool add_pair(json_t *stamps, const char *pair)
{
    const char *equals = pair ? strchr(pair, '=') : NULL;
    char name[256];

    if (!equals || equals == pair || (size_t)(equals - pair) >= sizeof(name))
        return false;
    memcpy(name, pair, (size_t)(equals - pair));
    name[equals - pair] = '\0';
    json_t *value = json_string(equals + 1);
    bool fine = value && add_stamp(stamps, name, value);
    json_decref(value);
    return fine;
}

json_t *revocation_stamps(json_t *from)
{
    json_t *stamps = json_object();
    bool fine = stamps && (json_is_object(from) || json_is_array(from));
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach(from, key, value) fine = fine && add_stamp(stamps, key, value);
    json_array_foreach(from, i, value) fine =
            fine && add_pair(stamps, json_string_value(value));
    if (fine)
        return stamps;
    json_decref(stamps);
    return NULL;
}
