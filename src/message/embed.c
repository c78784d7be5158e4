/* SPDX-License-Identifier: MIT */
/* embed.c - one table of the four keys; a loose check and a strict one over it. */
#include "message/embed.h"

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <string.h>

enum shape { ONE_SIGNATURE, LIST_OF_SIGNATURES };
enum strictness { READING, WRITING };

static const struct {
    const char *name;
    enum shape shape;
} keys[] = {
        {"callbacks", LIST_OF_SIGNATURES},
        {"errbacks", LIST_OF_SIGNATURES},
        {"chain", LIST_OF_SIGNATURES},
        {"chord", ONE_SIGNATURE},
};
enum { KEY_COUNT = sizeof(keys) / sizeof(keys[0]) };

static const char *signature_flaw(const json_t *s, enum strictness strictness)
{
    if (!json_is_object(s))
        return "not an object";
    if (json_string_length(json_object_get(s, "task")) == 0)
        return "without a task name";
    if (strictness == READING)
        return NULL;
    if (!json_is_array(json_object_get(s, "args")))
        return "without args";
    if (!json_is_object(json_object_get(s, "kwargs")))
        return "without kwargs";
    if (!json_is_object(json_object_get(s, "options")))
        return "without options";
    return NULL;
}

static enum coney_rc check_list(const char *name, const json_t *list,
        enum strictness strictness, enum coney_rc wrong, struct coney_error *err)
{
    if (!json_is_array(list))
        return error_set(err, wrong, "embed: %s is not an array", name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *flaw = signature_flaw(json_array_get(list, i), strictness);
        if (flaw)
            return error_set(
                    err, wrong, "embed: %s[%zu] is a signature %s", name, i, flaw);
    }
    return CONEY_OK;
}

static enum coney_rc check_all(const json_t *embed, enum strictness strictness,
        enum coney_rc wrong, struct coney_error *err)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const json_t *v = json_object_get(embed, keys[i].name);
        enum coney_rc rc = CONEY_OK;
        if (!v || json_is_null(v))
            continue;
        if (keys[i].shape == LIST_OF_SIGNATURES)
            rc = check_list(keys[i].name, v, strictness, wrong, err);
        else if (signature_flaw(v, strictness))
            rc = error_set(err, wrong, "embed: %s is a signature %s", keys[i].name,
                    signature_flaw(v, strictness));
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

enum coney_rc embed_check_read(const json_t *embed, struct coney_error *err)
{
    if (json_is_null(embed))
        return CONEY_OK;
    if (!json_is_object(embed))
        return error_set(
                err, CONEY_ESYNTAX, "embed (third of the body) is not an object");
    return check_all(embed, READING, CONEY_ESYNTAX, err);
}

enum coney_rc embed_check_write(const json_t *embed, struct coney_error *err)
{
    size_t known = 0;

    if (!embed || json_is_null(embed))
        return CONEY_OK;
    if (!json_is_object(embed))
        return error_set(err, CONEY_EINVAL, "embed is not an object");
    for (size_t i = 0; i < KEY_COUNT; i++)
        known += json_object_get(embed, keys[i].name) != NULL;
    if (json_object_size(embed) > known)
        return error_set(err, CONEY_EINVAL,
                "embed has keys beside callbacks, errbacks, chain and chord");
    return check_all(embed, WRITING, CONEY_EINVAL, err);
}

enum coney_rc embed_write(const json_t *embed, struct buffer *out)
{
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < KEY_COUNT && rc == CONEY_OK; i++) {
        const json_t *v = json_object_get(embed, keys[i].name);
        rc = buffer_printf(out, "%s\"%s\": ", i == 0 ? "{" : ", ", keys[i].name);
        if (rc == CONEY_OK)
            rc = v ? json_write(v, out) : buffer_append(out, "null", 4);
    }
    return rc == CONEY_OK ? buffer_append(out, "}", 1) : rc;
}
