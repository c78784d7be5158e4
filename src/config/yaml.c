/* SPDX-License-Identifier: MIT */
/* yaml.c - YAML in and out: text to nodes and nodes to text. */
#include "config/yaml.h"

#include "config/mistakes.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* One conversion of a libyaml document into nodes. */
struct reading {
    yaml_document_t *document;
    struct bytes text;
    const char *file;
    struct arena *arena;
    struct mistakes *mistakes;
    size_t nodes; /* so far, aliases expanded */
};

static struct place place_of(const struct reading *r, yaml_mark_t mark)
{
    return (struct place){.file = r->file,
            .line = (unsigned)mark.line + 1,
            .column = (unsigned)mark.column + 1};
}

/* --- syntax errors ------------------------------------------------------------------ */

/* libyaml says only at which byte it could not read on. */
static struct place place_of_offset(const struct reading *r, size_t offset)
{
    struct place at = {.file = r->file, .line = 1, .column = 1};
    const char *text = r->text.data;
    for (size_t i = 0; i < offset && i < r->text.len; i++) {
        at.column++;
        if (text[i] == '\n') {
            at.line++;
            at.column = 1;
        }
    }
    return at;
}

/* The byte at @mark, which counts in characters; 0 beyond the end. */
static char byte_at(const struct reading *r, yaml_mark_t mark)
{
    const char *s = r->text.data;
    const char *end = s + r->text.len;
    for (size_t line = 0; line < mark.line; line++) {
        const char *newline = memchr(s, '\n', (size_t)(end - s));
        if (!newline)
            return '\0';
        s = newline + 1;
    }
    for (size_t column = 0; s < end; s++) {
        bool starts_character = (*s & 0xc0) != 0x80;
        if (starts_character && column++ == mark.column)
            return *s;
    }
    return '\0';
}

static enum coney_rc add_syntax_error(const struct reading *r, const yaml_parser_t *p)
{
    enum coney_rc rc;
    if (p->error == YAML_MEMORY_ERROR)
        return CONEY_ENOMEM;
    if (p->error == YAML_READER_ERROR)
        rc = mistakes_add(r->mistakes, place_of_offset(r, p->problem_offset),
                "not UTF-8 text: %s", p->problem);
    else if (byte_at(r, p->problem_mark) == '\t')
        rc = mistakes_add(r->mistakes, place_of(r, p->problem_mark),
                "a tab: YAML is indented with spaces");
    else if (p->context && p->error != YAML_COMPOSER_ERROR)
        rc = mistakes_add(r->mistakes, place_of(r, p->problem_mark),
                "no YAML: %s, %s that begins at line %zu", p->problem, p->context,
                p->context_mark.line + 1);
    else
        rc = mistakes_add(
                r->mistakes, place_of(r, p->problem_mark), "no YAML: %s", p->problem);
    return rc == CONEY_OK ? CONEY_ESYNTAX : rc;
}

/* --- text to nodes ------------------------------------------------------------------ */

static enum coney_rc convert(
        struct reading *r, int index, unsigned depth, struct node **out);

static enum coney_rc check_tag(const struct reading *r, const yaml_node_t *from)
{
    static const char own[] = "tag:yaml.org,2002:";
    const char *tag = (const char *)from->tag;
    if (!tag || strncmp(tag, own, sizeof(own) - 1) == 0)
        return CONEY_OK;
    return mistakes_add(r->mistakes, place_of(r, from->start_mark),
            "the tag \"%.64s\" has no meaning here", tag);
}

static enum coney_rc convert_scalar(
        const struct reading *r, const yaml_node_t *from, struct node *to)
{
    const char *text = (const char *)from->data.scalar.value;
    size_t len = from->data.scalar.length;

    to->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    to->text = arena_strdup(r->arena, text);
    if (!to->text)
        return CONEY_ENOMEM;
    return strlen(text) == len
                   ? CONEY_OK
                   : mistakes_add(r->mistakes, to->at, "a text can't hold a zero byte");
}

static enum coney_rc convert_list(
        struct reading *r, const yaml_node_t *from, unsigned depth, struct node *to)
{
    for (const yaml_node_item_t *item = from->data.sequence.items.start;
            item < from->data.sequence.items.top; item++) {
        struct node *value;
        enum coney_rc rc = convert(r, *item, depth + 1, &value);
        if (rc == CONEY_OK)
            rc = node_append(to, r->arena, NULL, value->at, value);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

/* Add one pair to @map, unless there is something wrong with its key. */
static enum coney_rc add_pair(const struct reading *r, struct node *map,
        const struct node *key, struct node *value)
{
    if (key->kind != NODE_SCALAR) {
        map->mended = true;
        return mistakes_add(r->mistakes, key->at, "a key must be a single value, not %s",
                node_kind_name(key));
    }
    if (node_is_word(key, "<<")) {
        map->mended = true;
        return mistakes_add(r->mistakes, key->at,
                "merge keys (<<) are not read: repeat the keys, or name several tasks "
                "with a glob");
    }
    const struct member *first = node_member(map, key->text);
    if (first) {
        map->mended = true;
        return mistakes_add(r->mistakes, key->at,
                "the key \"%.100s\" is repeated, it is already at line %u", key->text,
                first->at.line);
    }
    return node_append(map, r->arena, key->text, key->at, value);
}

static enum coney_rc convert_map(
        struct reading *r, const yaml_node_t *from, unsigned depth, struct node *to)
{
    for (const yaml_node_pair_t *pair = from->data.mapping.pairs.start;
            pair < from->data.mapping.pairs.top; pair++) {
        struct node *key;
        struct node *value;
        enum coney_rc rc = convert(r, pair->key, depth + 1, &key);
        if (rc == CONEY_OK)
            rc = convert(r, pair->value, depth + 1, &value);
        if (rc == CONEY_OK)
            rc = add_pair(r, to, key, value);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

static enum coney_rc check_limits(struct reading *r, struct place at, unsigned depth)
{
    enum coney_rc rc = CONEY_OK;
    if (depth > YAML_DEPTH_MAX)
        rc = mistakes_add(
                r->mistakes, at, "nested deeper than %d levels", YAML_DEPTH_MAX);
    else if (++r->nodes > YAML_NODES_MAX)
        rc = mistakes_add(r->mistakes, at,
                "more than %d values, aliases (*) counted each time", YAML_NODES_MAX);
    else
        return CONEY_OK;
    return rc == CONEY_OK ? CONEY_ESYNTAX : rc;
}

static enum coney_rc convert(
        struct reading *r, int index, unsigned depth, struct node **out)
{
    const yaml_node_t *from = yaml_document_get_node(r->document, index);
    struct place at = place_of(r, from->start_mark);
    enum node_kind kind = from->type == YAML_SCALAR_NODE     ? NODE_SCALAR
                          : from->type == YAML_SEQUENCE_NODE ? NODE_LIST
                                                             : NODE_MAP;

    enum coney_rc rc = check_limits(r, at, depth);
    if (rc == CONEY_OK)
        rc = check_tag(r, from);
    if (rc != CONEY_OK)
        return rc;
    *out = node_new(r->arena, kind, at);
    if (!*out)
        return CONEY_ENOMEM;
    switch (kind) {
    case NODE_SCALAR:
        return convert_scalar(r, from, *out);
    case NODE_LIST:
        return convert_list(r, from, depth, *out);
    case NODE_MAP:
        return convert_map(r, from, depth, *out);
    }
    return CONEY_OK;
}

static enum coney_rc convert_document(struct reading *r, struct node **root)
{
    if (yaml_document_get_root_node(r->document))
        return convert(r, 1, 0, root);

    *root = node_new_text(r->arena, "", (struct place){r->file, 1, 1});
    if (!*root)
        return CONEY_ENOMEM;
    (*root)->plain = true;
    return CONEY_OK;
}

/* Read on to the end: what follows the document must be neither another nor rubbish. */
static enum coney_rc check_end(struct reading *r, yaml_parser_t *parser)
{
    yaml_document_t more;
    if (!yaml_parser_load(parser, &more))
        return add_syntax_error(r, parser);

    enum coney_rc rc = CONEY_OK;
    if (yaml_document_get_root_node(&more)) {
        rc = mistakes_add(r->mistakes, place_of(r, more.start_mark),
                "a second document: a file holds one, the next belongs into conf.d");
        rc = rc == CONEY_OK ? CONEY_ESYNTAX : rc;
    }
    yaml_document_delete(&more);
    return rc;
}

enum coney_rc yaml_read(struct bytes text, const char *file, struct arena *a,
        struct mistakes *mistakes, struct node **root)
{
    yaml_parser_t parser;
    yaml_document_t document;
    struct reading r = {.document = &document,
            .text = text,
            .file = file,
            .arena = a,
            .mistakes = mistakes};
    enum coney_rc rc;

    *root = NULL;
    if (!yaml_parser_initialize(&parser))
        return CONEY_ENOMEM;
    yaml_parser_set_input_string(&parser, text.data, text.len);
    if (!yaml_parser_load(&parser, &document)) {
        rc = add_syntax_error(&r, &parser);
        goto out;
    }
    rc = convert_document(&r, root);
    yaml_document_delete(&document);
    if (rc == CONEY_OK)
        rc = check_end(&r, &parser);

out:
    yaml_parser_delete(&parser);
    if (rc != CONEY_OK)
        *root = NULL;
    return rc;
}

/* --- nodes to text ------------------------------------------------------------------ */

/* Whether @text means the same without quotes, wherever it stands. */
static bool is_safe_plain(const char *text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789_./+-";
    return *text && text[strspn(text, safe)] == '\0' && text[strspn(text, "-")] != '\0' &&
           text[strspn(text, ".")] != '\0';
}

/*
 * The code point of the character at @s, which is UTF-8, when it must be escaped in
 * double quotes: a control, or what libyaml takes for a line break or won't read. Else 0.
 */
static unsigned unprintable(const unsigned char *s)
{
    unsigned code = s[0] < 0x80             ? s[0]
                    : (s[0] & 0xe0) == 0xc0 ? ((unsigned)s[0] & 0x1f) << 6 | (s[1] & 0x3f)
                    : (s[0] & 0xf0) == 0xe0
                            ? ((unsigned)s[0] & 0x0f) << 12 |
                                      ((unsigned)s[1] & 0x3f) << 6 | (s[2] & 0x3f)
                            : 0x10000;
    bool is_control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    bool is_break = code == 0x2028 || code == 0x2029;
    return is_control || is_break || code == 0xfeff || code == 0xfffe || code == 0xffff
                   ? code
                   : 0;
}

static enum coney_rc write_quoted(struct buffer *out, const char *text)
{
    enum coney_rc rc = buffer_append(out, "\"", 1);
    for (const char *s = text; rc == CONEY_OK && *s;) {
        size_t len = 1;
        while (((unsigned char)s[len] & 0xc0) == 0x80)
            len++;
        unsigned code = unprintable((const unsigned char *)s);
        if (*s == '"' || *s == '\\')
            rc = buffer_printf(out, "\\%c", *s);
        else if (code)
            rc = buffer_printf(out, "\\u%04x", code);
        else
            rc = buffer_append(out, s, len);
        s += len;
    }
    return rc == CONEY_OK ? buffer_append(out, "\"", 1) : rc;
}

static enum coney_rc write_scalar(struct buffer *out, const struct node *n)
{
    if (node_is_null(n))
        return buffer_printf(out, "null");
    /* what needs quotes could not have been a number, a boolean or null without them */
    if (n->plain && is_safe_plain(n->text))
        return buffer_printf(out, "%s", n->text);
    return write_quoted(out, n->text);
}

/* A key; what follows it begins with a blank or a new line. */
static enum coney_rc write_name(struct buffer *out, const char *name)
{
    enum coney_rc rc = is_safe_plain(name) ? buffer_printf(out, "%s", name)
                                           : write_quoted(out, name);
    return rc == CONEY_OK ? buffer_append(out, ":", 1) : rc;
}

enum coney_rc yaml_write_flow(struct buffer *out, const struct node *n)
{
    if (n->kind == NODE_SCALAR)
        return write_scalar(out, n);

    bool is_map = n->kind == NODE_MAP;
    enum coney_rc rc = buffer_append(out, is_map ? "{" : "[", 1);
    for (size_t i = 0; rc == CONEY_OK && i < n->count; i++) {
        if (i > 0)
            rc = buffer_append(out, ", ", 2);
        if (rc == CONEY_OK && is_map)
            rc = write_name(out, n->members[i].name);
        if (rc == CONEY_OK && is_map)
            rc = buffer_append(out, " ", 1);
        if (rc == CONEY_OK)
            rc = yaml_write_flow(out, n->members[i].value);
    }
    return rc == CONEY_OK ? buffer_append(out, is_map ? "}" : "]", 1) : rc;
}

enum coney_rc yaml_write_block(struct buffer *out, const struct node *n, unsigned indent)
{
    enum coney_rc rc = CONEY_OK;
    for (size_t i = 0; rc == CONEY_OK && i < n->count; i++) {
        const struct member *m = &n->members[i];
        bool nested = m->value->kind == NODE_MAP && m->value->count > 0;
        rc = buffer_printf(out, "%*s", (int)indent, "");
        if (rc == CONEY_OK)
            rc = write_name(out, m->name);
        if (rc == CONEY_OK)
            rc = buffer_append(out, nested ? "\n" : " ", 1);
        if (rc == CONEY_OK)
            rc = nested ? yaml_write_block(out, m->value, indent + 2)
                        : yaml_write_flow(out, m->value);
        if (rc == CONEY_OK && !nested)
            rc = buffer_append(out, "\n", 1);
    }
    return rc;
}
