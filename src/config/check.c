/* SPDX-License-Identifier: MIT */
/*
 * check.c - one file's tree against the table of keys: unknown keys, wrong types, bad
 * values. What several keys say together is for rules.c, after all files are merged.
 */
#include "config/check.h"

#include "config/keys.h"
#include "config/mistakes.h"
#include "config/texts.h"
#include "config/value.h"

#include <stdio.h>
#include <string.h>

struct checking {
    struct arena *arena;
    struct mistakes *mistakes;
    enum readers readers;
};

static enum coney_rc check_section(const struct checking *c, const struct key *section,
        struct node *map, const char *path);

/* Whether a member may stay where it is. */
enum verdict { KEEP, REMOVE };

static enum coney_rc check_name(const struct checking *c, const struct key *names,
        const struct member *m, enum verdict *verdict)
{
    struct coney_error err = {0};
    enum coney_rc rc;

    if (strcmp(names->path, "classes") == 0)
        rc = text_check_word(m->name, &err);
    else if (strcmp(names->path, "queues") == 0)
        rc = text_check_queue(m->name, &err);
    else
        rc = text_check_task(m->name, &err);
    if (rc == CONEY_OK)
        return CONEY_OK;
    *verdict = REMOVE;
    return mistakes_add(c->mistakes, m->at, "%s: %s", names->path, err.text);
}

static enum coney_rc refuse_unknown(const struct checking *c, const struct key *section,
        const struct member *m, const char *path)
{
    char hint[300];
    key_hint(section, m->name, hint, sizeof(hint));
    return mistakes_add(c->mistakes, m->at, "unknown key \"%.64s\"%s%.100s%s", m->name,
            *path ? " in " : "", path, hint);
}

static enum coney_rc refuse_kind(const struct checking *c, const struct key *section,
        const struct node *n, const char *path)
{
    char allowed[160];
    key_allowed(section, allowed, sizeof(allowed));
    return mistakes_add(c->mistakes, n->at, "%.100s: found %s, allowed is %s", path,
            node_kind_name(n), allowed);
}

/* A password is no secret in a file that everybody may read. */
static enum coney_rc check_secret(
        const struct checking *c, const struct key *k, const struct node *url)
{
    if (c->readers == READERS_TRUSTED || url->kind != NODE_SCALAR ||
            !url_has_secret(url->text))
        return CONEY_OK;
    return mistakes_add(c->mistakes, url->at,
            "%s: a password in a file that everybody may read: chmod o= the file, or put "
            "the password into a password_file",
            key_name(k));
}

static enum coney_rc check_secrets(
        const struct checking *c, const struct key *k, const struct node *n)
{
    enum coney_rc rc = CONEY_OK;
    if (k->type == KEY_BACKEND)
        return check_secret(c, k, n);
    for (size_t i = 0; rc == CONEY_OK && k->type == KEY_URLS && i < n->count; i++)
        rc = check_secret(c, k, n->members[i].value);
    return rc;
}

static enum coney_rc check_value(const struct checking *c, const struct key *k,
        const struct node *n, enum verdict *verdict)
{
    struct value value;
    enum coney_rc rc = value_read(k, n, c->arena, c->mistakes, &value);
    if (rc == CONEY_ESYNTAX) {
        *verdict = REMOVE;
        rc = CONEY_OK;
    }
    return rc == CONEY_OK ? check_secrets(c, k, n) : rc;
}

/* A section that is empty in the file, for all its lines are commented out, is a map. */
static void accept_empty(struct node *n)
{
    if (node_is_null(n))
        n->kind = NODE_MAP;
}

static enum coney_rc check_member(const struct checking *c, const struct key *section,
        struct member *m, const char *path, enum verdict *verdict)
{
    char below[300];
    const struct key *k = key_below(section, m->name);

    *verdict = KEEP;
    if (!k) {
        *verdict = REMOVE;
        return refuse_unknown(c, section, m, path);
    }
    if (section && section->type == KEY_NAMES) {
        enum coney_rc rc = check_name(c, section, m, verdict);
        if (rc != CONEY_OK || *verdict == REMOVE)
            return rc;
    }
    if (!key_is_section(k))
        return check_value(c, k, m->value, verdict);

    snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", m->name);
    accept_empty(m->value);
    if (m->value->kind != NODE_MAP) {
        *verdict = REMOVE;
        return refuse_kind(c, k, m->value, below);
    }
    return check_section(c, k, m->value, below);
}

static enum coney_rc check_section(const struct checking *c, const struct key *section,
        struct node *map, const char *path)
{
    for (size_t i = 0; i < map->count;) {
        enum verdict verdict;
        enum coney_rc rc = check_member(c, section, &map->members[i], path, &verdict);
        if (rc != CONEY_OK)
            return rc;
        if (verdict == REMOVE)
            node_remove(map, i);
        else
            i++;
    }
    return CONEY_OK;
}

enum coney_rc check_tree(struct node *root, enum readers readers, struct arena *a,
        struct mistakes *mistakes)
{
    const struct checking c = {.arena = a, .mistakes = mistakes, .readers = readers};

    accept_empty(root);
    if (root->kind == NODE_MAP)
        return check_section(&c, NULL, root, "");
    root->kind = NODE_MAP;
    root->count = 0;
    root->mended = true;
    return mistakes_add(mistakes, root->at,
            "a configuration is a map of sections, such as \"worker:\"");
}
