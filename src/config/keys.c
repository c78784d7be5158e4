/* SPDX-License-Identifier: MIT */
/* keys.c - looking into the table of keys, and talking about it. */
#include "config/keys.h"

#include "base/duration.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *key_name(const struct key *k)
{
    const char *dot = strrchr(k->path, '.');
    return dot ? dot + 1 : k->path;
}

bool key_is_section(const struct key *k)
{
    return k->type == KEY_MAP || k->type == KEY_NAMES;
}

const char *key_fallback(const struct key *k)
{
    return k->fallback && k->fallback[0] != '(' ? k->fallback : NULL;
}

const struct key *key_find(const char *path)
{
    size_t count;
    const struct key *table = key_table(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].path, path) == 0)
            return &table[i];
    return NULL;
}

bool key_is_below(const struct key *k, const struct key *parent)
{
    if (!parent)
        return !strchr(k->path, '.');
    size_t len = strlen(parent->path);
    return strncmp(k->path, parent->path, len) == 0 && k->path[len] == '.' &&
           !strchr(k->path + len + 1, '.');
}

const struct key *key_below(const struct key *parent, const char *name)
{
    size_t count;
    const struct key *table = key_table(&count);
    bool any_name = parent && parent->type == KEY_NAMES;
    for (size_t i = 0; i < count; i++)
        if (key_is_below(&table[i], parent) &&
                (any_name || strcmp(key_name(&table[i]), name) == 0))
            return &table[i];
    return NULL;
}

/* --- what is allowed ---------------------------------------------------------------- */

/* "a|b|c" as "a, b or c" */
static void list_choices(const char *choices, char *text, size_t size)
{
    size_t len = 0;
    for (const char *s = choices; *s && len + 1 < size;) {
        size_t word = strcspn(s, "|");
        bool is_last = s[word] == '\0';
        const char *joint = s == choices ? "" : is_last ? " or " : ", ";
        int more = snprintf(text + len, size - len, "%s%.*s", joint, (int)word, s);
        len += (size_t)more;
        s += word + !is_last;
    }
}

static void describe_range(const struct key *k, const char *what, char *text, size_t size)
{
    if (k->min == 0 && k->max == 0)
        snprintf(text, size, "%s", what);
    else
        snprintf(text, size, "%s from %" PRId64 " to %" PRId64, what, k->min, k->max);
}

static void describe_duration(const struct key *k, char *text, size_t size)
{
    char min[DURATION_TEXT_SIZE];
    char max[DURATION_TEXT_SIZE];
    duration_format(k->min, min);
    duration_format(k->max, max);
    snprintf(text, size, "a duration such as 10s, %s to %s", min, max);
}

static void describe_size(const struct key *k, char *text, size_t size)
{
    char min[DURATION_TEXT_SIZE];
    char max[DURATION_TEXT_SIZE];
    size_format(k->min, min);
    size_format(k->max, max);
    snprintf(text, size, "a size such as 300M, %s to %s", min, max);
}

/* Of the types that need no bounds told. */
static const char *const fixed_descriptions[] = {
        [KEY_MAP] = "a map of keys",
        [KEY_NAMES] = "a map of names",
        [KEY_TEXT] = "a text",
        [KEY_WORD] = "letters, digits, \"-\", \"_\" and \".\"",
        [KEY_QUEUE] = "the name of a queue or a class",
        [KEY_PATH] = "an absolute path",
        [KEY_ZONE] = "a time zone such as Africa/Accra",
        [KEY_BOOL] = "true or false",
        [KEY_MODE] = "an octal number from 0 to 0777, such as 022",
        [KEY_RATE] = "a rate such as 10/m",
        [KEY_TEXTS] = "a list of texts such as [one, two]",
        [KEY_URLS] = "a list of URLs such as [\"amqps://user@host/\"]",
        [KEY_BACKEND] = "rpc:// or a URL such as rediss://:password@host/0",
        [KEY_PATHS] = "a list of absolute paths",
        [KEY_COMMAND] = "a list such as [/usr/bin/report, --json]",
        [KEY_VARIABLES] = "a map such as {LANG: C.UTF-8}",
        [KEY_CRONTAB] = "five fields such as \"0 8 * * *\", or @daily",
        [KEY_MISFIRE] = "skip, once, all or {all: 1} to {all: 100}",
        [KEY_ARRAY] = "a list",
        [KEY_OBJECT] = "a map",
};

static void describe_type(const struct key *k, char *text, size_t size)
{
    switch (k->type) {
    case KEY_INTEGER:
        describe_range(k, "a whole number", text, size);
        return;
    case KEY_NUMBER:
        describe_range(k, "a number", text, size);
        return;
    case KEY_CODES:
        describe_range(k, "a list of numbers", text, size);
        return;
    case KEY_DURATION:
    case KEY_SECONDS:
        describe_duration(k, text, size);
        return;
    case KEY_SIZE:
        describe_size(k, text, size);
        return;
    case KEY_CHOICE:
        list_choices(k->choices, text, size);
        return;
    case KEY_MAP:
    case KEY_NAMES:
    case KEY_TEXT:
    case KEY_WORD:
    case KEY_QUEUE:
    case KEY_PATH:
    case KEY_ZONE:
    case KEY_BOOL:
    case KEY_MODE:
    case KEY_RATE:
    case KEY_TEXTS:
    case KEY_URLS:
    case KEY_BACKEND:
    case KEY_PATHS:
    case KEY_COMMAND:
    case KEY_VARIABLES:
    case KEY_CRONTAB:
    case KEY_MISFIRE:
    case KEY_ARRAY:
    case KEY_OBJECT:
        break;
    }
    snprintf(text, size, "%s", fixed_descriptions[k->type]);
}

void key_allowed(const struct key *k, char *text, size_t size)
{
    describe_type(k, text, size);
    if (k->word) {
        size_t len = strlen(text);
        snprintf(text + len, size - len, ", or %s", k->word);
    }
}

/* --- what may have been meant ------------------------------------------------------- */

enum { WORD_MAX = 64 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

unsigned edit_distance(const char *a, const char *b)
{
    size_t a_len = strnlen(a, WORD_MAX);
    size_t b_len = strnlen(b, WORD_MAX);
    unsigned rows[3][WORD_MAX + 1]; /* the row in work and the two before it, in turn */

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned changed = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min3(changed, above[j] + 1, row[j - 1] + 1);
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && two_above[j - 2] + 1 < row[j])
                row[j] = two_above[j - 2] + 1;
        }
    }
    return rows[a_len % 3][b_len];
}

bool is_near(const char *name, unsigned distance)
{
    return distance <= (strlen(name) + 2) / 3;
}

/* The member of @parent most like @name; one that @name begins counts as near. */
static const struct key *nearest(const struct key *parent, const char *name)
{
    size_t count;
    const struct key *table = key_table(&count);
    const struct key *best = NULL;
    unsigned best_distance = 0;
    size_t len = strlen(name);

    for (size_t i = 0; i < count; i++) {
        const char *candidate = key_name(&table[i]);
        if (!key_is_below(&table[i], parent) || *candidate == '*')
            continue;
        bool begins = len >= 3 && strncmp(candidate, name, len) == 0;
        unsigned distance = begins ? 1 : edit_distance(candidate, name);
        if (is_near(name, distance) && (!best || distance < best_distance)) {
            best = &table[i];
            best_distance = distance;
        }
    }
    return best;
}

/* A key of just that name in another place. */
static const struct key *elsewhere(const char *name)
{
    size_t count;
    const struct key *table = key_table(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(key_name(&table[i]), name) == 0)
            return &table[i];
    return NULL;
}

static void list_members(const struct key *parent, char *text, size_t size)
{
    size_t count;
    const struct key *table = key_table(&count);
    size_t len = (size_t)snprintf(text, size, "; there are");
    const char *joint = " ";
    for (size_t i = 0; i < count && len < size; i++) {
        if (!key_is_below(&table[i], parent))
            continue;
        len += (size_t)snprintf(
                text + len, size - len, "%s%s", joint, key_name(&table[i]));
        joint = ", ";
    }
}

void key_hint(const struct key *parent, const char *name, char *text, size_t size)
{
    const struct key *meant = nearest(parent, name);
    if (meant) {
        snprintf(text, size, "; did you mean \"%s\"?", key_name(meant));
        return;
    }
    meant = elsewhere(name);
    if (meant)
        snprintf(text, size, "; did you mean %s?", meant->path);
    else
        list_members(parent, text, size);
}

/* --- the table for people ----------------------------------------------------------- */

enum coney_rc keys_print(struct buffer *out)
{
    size_t count;
    const struct key *table = key_table(&count);
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; rc == CONEY_OK && i < count; i++) {
        char allowed[160];
        key_allowed(&table[i], allowed, sizeof(allowed));
        rc = buffer_printf(out, "%s\t%s\t%s\t%s\n", table[i].path, allowed,
                table[i].fallback ? table[i].fallback : "-", table[i].doc);
    }
    return rc;
}
