/* SPDX-License-Identifier: MIT */
/* paper.c - YAML written by hand, because its emitter knows no comments. */
#include "cli/paper.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE_SIZE = 1024, COMMENT_SIZE = 256 };

void paper_init(struct paper *p, size_t text_max)
{
    *p = (struct paper){.arena = arena_new(0), .notes = json_array()};
    buffer_init(&p->text, text_max);
    if (!p->arena || !p->notes)
        p->rc = CONEY_ENOMEM;
}

void paper_fini(struct paper *p)
{
    buffer_fini(&p->text);
    arena_free(p->arena);
    json_decref(p->notes);
}

/* --- writing ------------------------------------------------------------------------ */

void paper_put(struct paper *p, const char *fmt, ...)
{
    va_list ap;
    char *line = NULL;

    if (p->rc != CONEY_OK)
        return;
    va_start(ap, fmt);
    int len = vasprintf(&line, fmt, ap);
    va_end(ap);
    p->rc = len < 0 ? CONEY_ENOMEM : buffer_append(&p->text, line, (size_t)len);
    if (len >= 0)
        free(line);
}

void paper_note(struct paper *p, const char *fmt, ...)
{
    va_list ap;
    char line[LINE_SIZE];
    char clean[LINE_SIZE];

    if (p->rc != CONEY_OK)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    utf8_printable(
            clean, sizeof(clean), (struct bytes){.data = line, .len = strlen(line)});
    if (json_array_append_new(p->notes, json_string(clean)) != 0)
        p->rc = CONEY_ENOMEM;
}

void paper_put_notes(struct paper *p)
{
    for (size_t i = 0; i < json_array_size(p->notes); i++)
        paper_put(p, "# - %s\n", json_string_value(json_array_get(p->notes, i)));
}

/* --- pieces ------------------------------------------------------------------------- */

/* What a reader of YAML 1.1 takes for something else than a text. */
static bool is_word_of_yaml(const char *text)
{
    static const char *const words[] = {
            "true", "false", "yes", "no", "on", "off", "null", "none", "auto", "y", "n"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(words[i], text) == 0)
            return true;
    return false;
}

static bool is_plain(const char *text)
{
    static const char letters[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
    static const char others[] = "0123456789.-+@";
    if (!*text || !strchr(letters, *text) || is_word_of_yaml(text))
        return false;
    for (; *text; text++)
        if (!strchr(letters, *text) && !strchr(others, *text))
            return false;
    return true;
}

static const char *keep(struct paper *p, char *text)
{
    const char *copy = text && p->arena ? arena_strdup(p->arena, text) : NULL;
    free(text);
    if (!copy && p->rc == CONEY_OK)
        p->rc = CONEY_ENOMEM;
    return copy ? copy : "";
}

const char *paper_json(struct paper *p, const json_t *value)
{
    return keep(p, json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)));
}

const char *paper_scalar(struct paper *p, const char *text)
{
    if (is_plain(text))
        return keep(p, strdup(text));
    json_t *s = json_string(text);
    const char *quoted = paper_json(p, s ? s : json_null());
    json_decref(s);
    return quoted;
}

const char *paper_comment(struct paper *p, const char *text)
{
    char clean[COMMENT_SIZE];
    utf8_printable(
            clean, sizeof(clean), (struct bytes){.data = text, .len = strlen(text)});
    return keep(p, strdup(clean));
}
