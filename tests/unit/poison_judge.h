/* SPDX-License-Identifier: MIT */
/*
 * poison_judge.h - would a Python worker choke on this message?
 *
 * Written from the table of hand-made messages that were tried on real workers. It shares
 * no code with the encoder: its own type and time checks, and jansson in its strictest
 * mode.
 */
#ifndef CONEY_TESTS_POISON_JUDGE_H
#define CONEY_TESTS_POISON_JUDGE_H

#include "unit/messages.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>

static inline bool is_utf8(const char *s, size_t len)
{
    /* jansson refuses a string that is not UTF-8. */
    json_t *v = json_stringn(s, len);
    json_decref(v);
    return v != NULL;
}

static inline bool is_short_string(const char *s)
{
    return !s || (strlen(s) <= 255 && is_utf8(s, strlen(s)));
}

/* YYYY-MM-DDTHH:MM:SS.ffffff+00:00, by position and range. */
static inline bool is_our_time(struct bytes text)
{
    static const char shape[] = "0000-00-00T00:00:00.000000+00:00";
    const char *s = text.data;
    if (text.len != strlen(shape))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (shape[i] == '0' && i < 26 ? !isdigit((unsigned char)s[i]) : s[i] != shape[i])
            return false;
    int month = atoi(s + 5);
    int day = atoi(s + 8);
    return month >= 1 && month <= 12 && day >= 1 && day <= 31 && atoi(s) >= 1 &&
           atoi(s + 11) < 24 && atoi(s + 14) < 60 && atoi(s + 17) < 60;
}

/* Of RabbitMQ's types those that py-amqp reads as they were meant: S I L d t V A F. */
static inline const char *type_flaw(const struct table *t, bool has_keys)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        if (!strchr("SIldtVAF", (int)f->type))
            return "a field type that is misread";
        if (has_keys && (f->key.len > 255 || !is_utf8(f->key.data, f->key.len)))
            return "a key that is misread";
        if (f->type == FIELD_STRING && !is_utf8(f->value.text.data, f->value.text.len))
            return "a text that is misread";
        const char *inner = f->type == FIELD_TABLE   ? type_flaw(&f->value.table, true)
                            : f->type == FIELD_ARRAY ? type_flaw(&f->value.table, false)
                                                     : NULL;
        if (inner)
            return inner;
        for (size_t k = 0; has_keys && k < i; k++)
            if (t->fields[k].key.len == f->key.len &&
                    memcmp(t->fields[k].key.data, f->key.data, f->key.len) == 0)
                return "a key that comes twice";
    }
    return NULL;
}

static inline const char *signature_flaw(const json_t *s)
{
    return json_is_object(s) && json_is_string(json_object_get(s, "task")) &&
                           json_is_array(json_object_get(s, "args")) &&
                           json_is_object(json_object_get(s, "kwargs")) &&
                           json_is_object(json_object_get(s, "options"))
                   ? NULL
                   : "a signature with something missing";
}

static inline const char *embed_flaw(const json_t *embed)
{
    static const char *const lists[] = {"callbacks", "errbacks", "chain"};
    const json_t *chord = json_object_get(embed, "chord");

    if (!json_is_object(embed) || json_object_size(embed) != 4)
        return "embed is not an object of four";
    for (size_t i = 0; i < 3; i++) {
        const json_t *list = json_object_get(embed, lists[i]);
        if (!json_is_null(list) && !json_is_array(list))
            return "a list of signatures that is none";
        for (size_t k = 0; k < json_array_size(list); k++)
            if (signature_flaw(json_array_get(list, k)))
                return signature_flaw(json_array_get(list, k));
    }
    return json_is_null(chord) ? NULL : signature_flaw(chord);
}

static inline const char *tag_flaw(json_t *v)
{
    static const char *const known[] = {
            "datetime", "date", "time", "decimal", "uuid", "bytes", "base64"};
    const char *flaw = NULL;
    const char *key;
    json_t *member;
    size_t i;

    if (json_object_size(v) == 2 && json_object_get(v, "__type__") &&
            json_object_get(v, "__value__")) {
        const char *name = json_string_value(json_object_get(v, "__type__"));
        bool is_known = false;
        for (i = 0; name && i < sizeof(known) / sizeof(known[0]); i++)
            is_known = is_known || strcmp(name, known[i]) == 0;
        if (!is_known)
            return "an unknown __type__";
    }
    json_object_foreach(v, key, member) if (!flaw) flaw = tag_flaw(member);
    json_array_foreach(v, i, member) if (!flaw) flaw = tag_flaw(member);
    return flaw;
}

static inline const char *body_flaw(struct bytes body)
{
    json_t *root = json_loadb(body.data, body.len, JSON_ALLOW_NUL, NULL);
    const char *flaw = NULL;

    if (!root)
        return "the body is not JSON";
    for (size_t i = 0; i < body.len && !flaw; i++)
        if (((const uint8_t *)body.data)[i] >= 0x80)
            flaw = "the body is not ASCII";
    if (!json_is_array(root) || json_array_size(root) != 3)
        flaw = "the body has not three elements";
    else if (!json_is_array(json_array_get(root, 0)))
        flaw = "args is not an array";
    else if (!json_is_object(json_array_get(root, 1)))
        flaw = "kwargs is not an object";
    else if (!flaw)
        flaw = embed_flaw(json_array_get(root, 2));
    if (!flaw)
        flaw = tag_flaw(root);
    json_decref(root);
    return flaw;
}

static inline const char *time_flaw(const struct table *h, const char *name)
{
    const struct field *f = table_find(h, name);
    if (f && f->type == FIELD_VOID)
        return NULL;
    if (!f || f->type != FIELD_STRING || !is_our_time(f->value.text))
        return "a time that is not null nor of our form";
    return NULL;
}

static inline const char *limit_flaw(const struct table *h)
{
    const struct field *f = table_find(h, "timelimit");
    if (!f || f->type != FIELD_ARRAY || f->value.table.count != 2)
        return "timelimit is not an array of two";
    for (size_t i = 0; i < 2; i++) {
        const struct field *limit = &f->value.table.fields[i];
        if (limit->type == FIELD_VOID)
            continue;
        if (!(limit->type == FIELD_I32 && limit->value.integer > 0) &&
                !(limit->type == FIELD_F64 && limit->value.number > 0))
            return "a time limit that is no positive number";
    }
    return NULL;
}

static inline const char *header_flaw(const struct table *h)
{
    static const char *const refused[] = {"compression", "x-death", "x-delivery-count",
            "CC", "BCC", "get", "update", "__class__"};
    int64_t retries;

    if (table_text(h, "task").len == 0)
        return "no task";
    if (table_text(h, "id").len == 0)
        return "no id";
    if (!table_integer(h, "retries", &retries) || retries < 0)
        return "retries is no number";
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (table_find(h, refused[i]))
            return "a header that must not be there";
    if (time_flaw(h, "eta") || time_flaw(h, "expires"))
        return "a time that is not null nor of our form";
    return limit_flaw(h) ? limit_flaw(h) : type_flaw(h, true);
}

static inline const char *property_flaw(const struct properties *p)
{
    if (!p->content_type || strcmp(p->content_type, "application/json") != 0)
        return "content type";
    if (!p->content_encoding || strcmp(p->content_encoding, "utf-8") != 0)
        return "content encoding";
    if (!p->correlation_id || !p->reply_to)
        return "correlation id or reply_to is missing";
    if (!is_short_string(p->correlation_id) || !is_short_string(p->reply_to) ||
            !is_short_string(p->message_id) || !is_short_string(p->type) ||
            !is_short_string(p->app_id))
        return "a property that is no short string";
    if (p->expiration && (strspn(p->expiration, "0123456789") != strlen(p->expiration) ||
                                 strtoll(p->expiration, NULL, 10) > 315360000000))
        return "an expiration the broker refuses";
    if (p->delivery_mode != 2 || p->priority < -1 || p->priority > 255 || p->user_id)
        return "delivery mode, priority or user id";
    if (p->timestamp_s < -1 || p->timestamp_s > 253402300799)
        return "a timestamp out of range";
    return NULL;
}

/* Why a Python worker would choke on @e; NULL: it would not. */
static inline const char *flaw(const struct envelope *e)
{
    if (property_flaw(&e->properties))
        return property_flaw(&e->properties);
    return header_flaw(&e->headers) ? header_flaw(&e->headers) : body_flaw(e->body);
}

#endif /* CONEY_TESTS_POISON_JUDGE_H */
