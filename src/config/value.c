/* SPDX-License-Identifier: MIT */
/* value.c - one value: from a node, by the type of its key, into its struct. */
#include "config/value.h"

#include "base/duration.h"
#include "config/mistakes.h"
#include "config/texts.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One value being read. */
struct reading {
    const struct key *key;
    struct arena *arena;
    struct mistakes *mistakes;
};

static enum coney_rc mistaken(enum coney_rc added)
{
    return added == CONEY_OK ? CONEY_ESYNTAX : added;
}

/* What was found won't do; the error has said why. */
static enum coney_rc refuse(
        const struct reading *r, struct place at, const struct coney_error *err)
{
    if (err->rc == CONEY_ENOMEM)
        return CONEY_ENOMEM;
    if (r->key->type == KEY_CRONTAB) /* the text says so itself */
        return mistaken(mistakes_add(r->mistakes, at, "%s", err->text));
    return mistaken(mistakes_add(r->mistakes, at, "%s: %s", key_name(r->key), err->text));
}

/* What was found is none of what is allowed. */
static enum coney_rc refuse_node(const struct reading *r, const struct node *n)
{
    char allowed[160];
    key_allowed(r->key, allowed, sizeof(allowed));
    bool may_be_secret = r->key->type == KEY_URLS || r->key->type == KEY_BACKEND;
    if (n->kind == NODE_SCALAR && !node_is_null(n) && !may_be_secret)
        return mistaken(
                mistakes_add(r->mistakes, n->at, "%s: found \"%.100s\", allowed is %s",
                        key_name(r->key), n->text, allowed));
    return mistaken(mistakes_add(r->mistakes, n->at, "%s: found %s, allowed is %s",
            key_name(r->key), node_kind_name(n), allowed));
}

static enum coney_rc keep_text(const struct reading *r, const char *text, char **out)
{
    *out = arena_strdup(r->arena, text);
    return *out ? CONEY_OK : CONEY_ENOMEM;
}

/* --- single values ------------------------------------------------------------------ */

/* Plain decimal digits with an optional sign; not what else strtoll(3) takes. */
static bool parse_integer(const char *text, int base, int64_t *out)
{
    const char *digits = text + (*text == '-');
    const char *allowed = base == 8 ? "01234567" : "0123456789";
    if (!*digits || digits[strspn(digits, allowed)])
        return false;
    errno = 0;
    *out = strtoll(text, NULL, base);
    return errno == 0;
}

static bool parse_number(const char *text, double *out)
{
    char *end;
    if (!*text || text[strspn(text, "0123456789.")])
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

static bool parse_choice(const char *choices, const char *text, int64_t *out)
{
    size_t len = strlen(text);
    int64_t index = 0;
    for (const char *s = choices; *s; index++) {
        size_t word = strcspn(s, "|");
        if (word == len && memcmp(s, text, len) == 0) {
            *out = index;
            return true;
        }
        s += word + (s[word] == '|');
    }
    return false;
}

static bool is_within(const struct key *k, int64_t n)
{
    return (k->min == 0 && k->max == 0) || (n >= k->min && n <= k->max);
}

/* Numbers, yes and no, choices: what may be found is the same for all of them. */
static enum coney_rc read_number(
        const struct reading *r, const struct node *n, struct value *out)
{
    const struct key *k = r->key;
    bool ok = false;

    if (k->type == KEY_BOOL) {
        out->integer = strcmp(n->text, "true") == 0;
        ok = out->integer || strcmp(n->text, "false") == 0;
    } else if (k->type == KEY_CHOICE) {
        ok = parse_choice(k->choices, n->text, &out->integer);
        if (ok && keep_text(r, n->text, &out->text) != CONEY_OK)
            return CONEY_ENOMEM;
    } else if (k->type == KEY_NUMBER) {
        ok = parse_number(n->text, &out->number) && out->number >= (double)k->min &&
             out->number <= (double)k->max;
    } else {
        ok = parse_integer(n->text, k->type == KEY_MODE ? 8 : 10, &out->integer) &&
             is_within(k, out->integer);
    }
    return ok ? CONEY_OK : refuse_node(r, n);
}

static enum coney_rc read_quantity(
        const struct reading *r, const struct node *n, struct value *out)
{
    struct coney_error err = {0};
    enum coney_rc rc;

    if (r->key->type == KEY_SIZE)
        rc = size_parse(n->text, &out->integer, &err);
    else if (r->key->type == KEY_RATE)
        rc = rate_parse(n->text, &out->integer, &err);
    else
        rc = duration_parse(n->text, &out->integer, &err);
    if (rc != CONEY_OK)
        return refuse(r, n->at, &err);
    if (!is_within(r->key, out->integer))
        return refuse_node(r, n);
    if (r->key->type == KEY_SECONDS && out->integer % 1000 != 0)
        return mistaken(mistakes_add(r->mistakes, n->at,
                "%s: found \"%s\", wanted are whole seconds", key_name(r->key), n->text));
    return CONEY_OK;
}

static enum coney_rc check_text(
        enum key_type type, const char *text, struct coney_error *err)
{
    if (type == KEY_WORD)
        return text_check_word(text, err);
    if (type == KEY_QUEUE)
        return text_check_queue(text, err);
    if (type == KEY_PATH || type == KEY_PATHS)
        return text_check_path(text, err);
    if (type == KEY_URLS)
        return text_check_url(text, err);
    if (type == KEY_BACKEND)
        return text_check_backend(text, err);
    return text_check(text, err);
}

static enum coney_rc check_zone(const char *text, struct coney_error *err)
{
    struct zone *zone;
    enum coney_rc rc = zone_load(NULL, text, &zone, err);
    zone_free(zone);
    return rc;
}

static enum coney_rc read_text(
        const struct reading *r, const struct node *n, struct value *out)
{
    struct coney_error err = {0};
    struct place at = n->at;
    enum coney_rc rc = check_text(r->key->type, n->text, &err);

    if (rc == CONEY_OK && r->key->type == KEY_ZONE)
        rc = check_zone(n->text, &err);
    if (rc == CONEY_OK && r->key->type == KEY_CRONTAB) {
        struct crontab crontab;
        rc = crontab_parse(n->text, &crontab, &err);
        if (rc != CONEY_OK && err.column > 0)
            at.column += err.column - 1 + !n->plain; /* a quote comes first */
    }
    return rc == CONEY_OK ? keep_text(r, n->text, &out->text) : refuse(r, at, &err);
}

/* --- lists -------------------------------------------------------------------------- */

static enum coney_rc read_texts(
        const struct reading *r, const struct node *n, struct value *out)
{
    struct coney_error err = {0};
    enum coney_rc verdict = CONEY_OK;

    out->texts.items = arena_alloc(r->arena, (n->count + 1) * sizeof(char *));
    if (!out->texts.items)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < n->count; i++) {
        const struct node *item = n->members[i].value;
        enum coney_rc rc = CONEY_OK;
        if (item->kind != NODE_SCALAR || node_is_null(item))
            rc = refuse_node(r, item);
        else if (r->key->type == KEY_COMMAND && i == 0 &&
                 text_check_path(item->text, &err) != CONEY_OK)
            rc = refuse(r, item->at, &err);
        else if (r->key->type != KEY_COMMAND &&
                 check_text(r->key->type, item->text, &err) != CONEY_OK)
            rc = refuse(r, item->at, &err);
        else
            rc = keep_text(r, item->text, &out->texts.items[out->texts.count++]);
        if (rc == CONEY_ENOMEM)
            return rc;
        verdict = rc == CONEY_OK ? verdict : rc;
    }
    bool needs_one = r->key->type == KEY_COMMAND || r->key->type == KEY_URLS;
    return needs_one && n->count == 0 ? refuse_node(r, n) : verdict;
}

static enum coney_rc read_codes(
        const struct reading *r, const struct node *n, struct value *out)
{
    enum coney_rc verdict = CONEY_OK;

    out->integers.items = arena_alloc(r->arena, (n->count + 1) * sizeof(int));
    if (!out->integers.items)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < n->count; i++) {
        const struct node *item = n->members[i].value;
        int64_t code;
        if (item->kind == NODE_SCALAR && parse_integer(item->text, 10, &code) &&
                is_within(r->key, code))
            out->integers.items[out->integers.count++] = (int)code;
        else
            verdict = refuse_node(r, item);
        if (verdict == CONEY_ENOMEM)
            return verdict;
    }
    return verdict;
}

/* --- maps --------------------------------------------------------------------------- */

static enum coney_rc check_variables(const struct reading *r, const struct node *n)
{
    struct coney_error err = {0};
    enum coney_rc verdict = CONEY_OK;

    for (size_t i = 0; i < n->count; i++) {
        const struct member *m = &n->members[i];
        enum coney_rc rc = CONEY_OK;
        if (text_check_variable(m->name, &err) != CONEY_OK)
            rc = refuse(r, m->at, &err);
        else if (m->value->kind != NODE_SCALAR)
            rc = mistaken(mistakes_add(r->mistakes, m->value->at,
                    "%s: found %s, allowed is a text", m->name,
                    node_kind_name(m->value)));
        if (rc == CONEY_ENOMEM)
            return rc;
        verdict = rc == CONEY_OK ? verdict : rc;
    }
    return verdict;
}

static enum coney_rc check_json(const struct reading *r, const struct node *n)
{
    const struct node *number = node_too_large(n);
    if (!number)
        return CONEY_OK;
    return mistaken(mistakes_add(r->mistakes, number->at,
            "%s: %.64s has no room in 64 bits: put it in quotes, as a text",
            key_name(r->key), number->text));
}

/* skip, once, all or {all: 10} */
static enum coney_rc read_misfire(
        const struct reading *r, const struct node *n, struct value *out)
{
    const struct node *most = node_get(n, "all");
    int64_t max = SCHEDULE_MISFIRE_MAX;
    bool ok;

    if (n->kind == NODE_SCALAR) {
        ok = parse_choice("skip|once|all", n->text, &out->integer);
    } else {
        out->integer = SCHEDULE_ALL;
        ok = n->count == 1 && most && most->kind == NODE_SCALAR &&
             parse_integer(most->text, 10, &max) && max >= 1 &&
             max <= SCHEDULE_MISFIRE_MAX;
    }
    out->most = max;
    return ok ? CONEY_OK : refuse_node(r, n);
}

/* --- reading and storing ------------------------------------------------------------ */

/* Whether @type is written as a node of this kind. */
static bool is_kind(enum key_type type, enum node_kind kind)
{
    bool is_list = type == KEY_TEXTS || type == KEY_URLS || type == KEY_PATHS ||
                   type == KEY_COMMAND || type == KEY_CODES || type == KEY_ARRAY;
    bool is_map = type == KEY_VARIABLES || type == KEY_OBJECT || type == KEY_MISFIRE;

    switch (kind) {
    case NODE_SCALAR:
        return !is_list && (!is_map || type == KEY_MISFIRE);
    case NODE_LIST:
        return is_list;
    case NODE_MAP:
        return is_map;
    }
    return false;
}

/* "none" and "auto": -1 where that is how a number says "not set", else 0. */
static void read_word(const struct key *k, struct value *out)
{
    out->is_word = true;
    out->integer = k->store == STORE_INT64 || k->store == STORE_INT ? CONFIG_NONE : 0;
}

/* In quotes it is the same word, as JSON has to write it, but where any text may stand.
 */
static bool is_word(const struct key *k, const struct node *n)
{
    bool any_text = k->type == KEY_TEXT || k->type == KEY_WORD;
    return n->kind == NODE_SCALAR && (n->plain || !any_text) &&
           strcmp(n->text, k->word) == 0;
}

enum coney_rc value_read(const struct key *k, const struct node *n, struct arena *a,
        struct mistakes *mistakes, struct value *out)
{
    const struct reading r = {.key = k, .arena = a, .mistakes = mistakes};

    *out = (struct value){0};
    if (k->word && is_word(k, n)) {
        read_word(k, out);
        return CONEY_OK;
    }
    if (!is_kind(k->type, n->kind) || node_is_null(n))
        return refuse_node(&r, n);
    switch (k->type) {
    case KEY_BOOL:
    case KEY_INTEGER:
    case KEY_NUMBER:
    case KEY_MODE:
    case KEY_CHOICE:
        return read_number(&r, n, out);
    case KEY_DURATION:
    case KEY_SECONDS:
    case KEY_SIZE:
    case KEY_RATE:
        return read_quantity(&r, n, out);
    case KEY_TEXT:
    case KEY_WORD:
    case KEY_QUEUE:
    case KEY_PATH:
    case KEY_ZONE:
    case KEY_BACKEND:
    case KEY_CRONTAB:
        return read_text(&r, n, out);
    case KEY_TEXTS:
    case KEY_URLS:
    case KEY_PATHS:
    case KEY_COMMAND:
        return read_texts(&r, n, out);
    case KEY_CODES:
        return read_codes(&r, n, out);
    case KEY_VARIABLES:
        return check_variables(&r, n);
    case KEY_MISFIRE:
        return read_misfire(&r, n, out);
    case KEY_ARRAY:
    case KEY_OBJECT:
        return check_json(&r, n);
    case KEY_MAP:
    case KEY_NAMES:
        break; /* sections are no values */
    }
    return CONEY_OK;
}

void value_store(const struct key *k, const struct value *v, void *section)
{
    void *at = (char *)section + k->offset;
    int64_t integer = k->type == KEY_SECONDS ? v->integer / 1000 : v->integer;

    switch (k->store) {
    case STORE_NONE:
        return;
    case STORE_TEXT:
        *(char **)at = v->text;
        return;
    case STORE_BOOL:
        *(bool *)at = integer != 0;
        return;
    case STORE_INT:
        *(int *)at = (int)integer;
        return;
    case STORE_UNSIGNED:
        *(unsigned *)at = (unsigned)integer;
        return;
    case STORE_INT64:
        *(int64_t *)at = integer;
        return;
    case STORE_SIZE:
        *(size_t *)at = (size_t)integer;
        return;
    case STORE_DOUBLE:
        *(double *)at = v->number;
        return;
    case STORE_TEXTS:
        *(struct string_list *)at = v->texts;
        return;
    case STORE_INTS:
        *(struct int_list *)at = v->integers;
        return;
    }
}
