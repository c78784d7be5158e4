/* SPDX-License-Identifier: MIT */
/*
 * refusal.c - reading RabbitMQ's refusals.
 *
 * The protocol gives a code and a sentence; which argument and which values are in the
 * sentence only. Its wording has been the same from 3.8 to 4.2 (rabbit_misc:
 * assert_args_equivalence, rabbit_access_control). Where it is not what we know, it is
 * passed on as it stands.
 */
#include "queue/refusal.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { AMQP_ACCESS_REFUSED = 403, AMQP_NOT_FOUND = 404, AMQP_PRECONDITION_FAILED = 406 };
enum { VALUE_SIZE = 64, RESOURCE_SIZE = 256, NAME_SHOWN = 80 };

/* "queue", "exchange": of a binding, its destination. */
static const char *noun_of(const struct declaration *item)
{
    switch (item->kind) {
    case DECLARE_QUEUE:
    case BIND_QUEUE:
        return "queue";
    case DECLARE_EXCHANGE:
    case BIND_EXCHANGE:
        return "exchange";
    }
    return "";
}

static bool is_binding(const struct declaration *item)
{
    return item->kind == BIND_QUEUE || item->kind == BIND_EXCHANGE;
}

/* Copy what stands in quotes right behind @mark. False when it is not in @text. */
static bool quoted_after(
        const char *text, const char *mark, char *value, size_t size, const char **rest)
{
    const char *at = text ? strstr(text, mark) : NULL;
    if (!at)
        return false;
    at += strlen(mark);
    size_t len = strcspn(at, "'");
    if (at[len] != '\'')
        return false;
    snprintf(value, size, "%.*s", (int)len, at);
    if (rest)
        *rest = at + len + 1;
    return true;
}

/* "the value '8000' of type ..." or, of flags and exchange types, "'true'"; or none. */
static void value_after(const char *text, const char *mark, char value[VALUE_SIZE])
{
    char first[VALUE_SIZE];
    const char *at = strstr(text, mark);
    snprintf(value, VALUE_SIZE, "not set");
    if (!at)
        return;
    at += strlen(mark);
    if (strncmp(at, "the value '", strlen("the value '")) == 0)
        at += strlen("the value ");
    if (*at == '\'' && quoted_after(at, "'", first, sizeof(first), NULL))
        snprintf(value, VALUE_SIZE, "%s", first);
}

static bool explain_arguments(
        const struct declaration *item, const char *text, struct coney_error *err)
{
    char argument[VALUE_SIZE], wanted[VALUE_SIZE], found[VALUE_SIZE];
    const char *rest = NULL;
    if (!quoted_after(text, "inequivalent arg '", argument, sizeof(argument), &rest))
        return false;
    value_after(rest, "received ", wanted);
    value_after(rest, "but current is ", found);
    error_set(err, CONEY_EREFUSED,
            "%s '%.*s' exists with %s %s where %s is wanted: delete it%s, or say "
            "`declare: passive` to use it as it is",
            noun_of(item), NAME_SHOWN, item->name, argument, found, wanted,
            item->kind == DECLARE_QUEUE ? " once it is empty" : "");
    return true;
}

/* Which permission of the user guide's table it is that we lack on @resource. */
static const char *permission_for(const struct declaration *item, const char *resource)
{
    bool is_itself = strcmp(resource, item->name) == 0;
    if (is_binding(item))
        return is_itself ? "write" : "read";
    if (is_itself)
        return item->arguments.count > 0 ? "configure (and read)" : "configure";
    return "write"; /* where dead letters or strays are to go */
}

static bool explain_access(
        const struct declaration *item, const char *text, struct coney_error *err)
{
    char resource[RESOURCE_SIZE], user[VALUE_SIZE] = "?";
    const char *rest = NULL;
    const char *noun = "queue";
    if (!quoted_after(text, "access to queue '", resource, sizeof(resource), &rest)) {
        noun = "exchange";
        if (!quoted_after(
                    text, "access to exchange '", resource, sizeof(resource), &rest))
            return false;
    }
    quoted_after(rest, "for user '", user, sizeof(user), NULL);
    error_set(err, CONEY_EREFUSED,
            "user '%s' lacks the %s permission on %s '%.*s': grant it, or have the "
            "objects declared by another and say `declare: passive`",
            user, permission_for(item, resource), noun, NAME_SHOWN, resource);
    return true;
}

static void explain_missing(
        const struct declaration *item, const char *text, struct coney_error *err)
{
    if (is_binding(item))
        error_set(err, CONEY_ENOTFOUND, "%s '%.*s' can't be bound to '%s': %s",
                noun_of(item), NAME_SHOWN, item->name, item->source, text);
    else
        error_set(err, CONEY_ENOTFOUND,
                "%s '%.*s' does not exist and may only be used, not declared: create it, "
                "or do without `declare: passive`",
                noun_of(item), NAME_SHOWN, item->name);
}

void refusal_explain(const struct declaration *item, unsigned code, const char *text,
        struct coney_error *err)
{
    if (!item) {
        error_set(err, CONEY_EREFUSED, "the broker refused a declaration: %s", text);
        return;
    }
    if (code == AMQP_NOT_FOUND) {
        explain_missing(item, text, err);
        return;
    }
    if (code == AMQP_PRECONDITION_FAILED && explain_arguments(item, text, err))
        return;
    if (code == AMQP_ACCESS_REFUSED && explain_access(item, text, err))
        return;
    error_set(err, CONEY_EREFUSED, "%s '%.*s' was refused: %s", noun_of(item), NAME_SHOWN,
            item->name, text);
}
