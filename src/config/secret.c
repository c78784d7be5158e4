/* SPDX-License-Identifier: MIT */
/* secret.c - the passwords of broker and result store, from where they are kept. */
#include "config/secret.h"

#include "config/files.h"
#include "config/mistakes.h"
#include "config/source.h"

#include <stdlib.h>
#include <string.h>

enum { PASSWORD_MAX = 1024 };

/* What is wrong with the file's text as a password, or NULL. */
static const char *fault(const struct file_text *file, const char *password)
{
    if (file->readers == READERS_EVERYBODY)
        return "everybody may read it: chmod o= it";
    if (memchr(file->text.data, '\0', file->text.len))
        return "it holds a zero byte";
    if (!*password)
        return "it is empty";
    if (strpbrk(password, "\r\n"))
        return "it has more than one line";
    return NULL;
}

/* Editors end a file with a newline; it is not part of the password. */
static void drop_newline(char *text)
{
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len > 0 && text[len - 1] == '\r')
        text[--len] = '\0';
}

/* A password and where it may come from. */
struct secret {
    const char *variable;
    const char *section;
    const char *file; /* NULL: none */
    char **password;
};

static enum coney_rc read_file(
        struct config *c, const struct secret *s, struct mistakes *mistakes)
{
    struct arena *a = c->source->arena;
    struct coney_error err = {0};
    struct file_text file;
    const struct node *section = node_get(c->source->root, s->section);
    struct place at = node_get(section, "password_file")->at;

    enum coney_rc rc = file_read(s->file, PASSWORD_MAX, a, &file, &err);
    if (rc == CONEY_ENOMEM)
        return rc;
    if (rc != CONEY_OK)
        return mistakes_add(mistakes, at, "password_file: %s", err.text);

    char *password = arena_strdup(a, file.text.data);
    if (!password)
        return CONEY_ENOMEM;
    drop_newline(password);
    const char *wrong = fault(&file, password);
    if (wrong)
        return mistakes_add(mistakes, at, "password_file: %s: %s", s->file, wrong);
    *s->password = password;
    return CONEY_OK;
}

static enum coney_rc find_secret(
        struct config *c, const struct secret *s, struct mistakes *mistakes)
{
    const char *given = getenv(s->variable);
    if (!given || !*given)
        return s->file ? read_file(c, s, mistakes) : CONEY_OK;
    *s->password = arena_strdup(c->source->arena, given);
    return *s->password ? CONEY_OK : CONEY_ENOMEM;
}

enum coney_rc secret_read(struct config *c, struct mistakes *mistakes)
{
    const struct secret broker = {"CONEY_BROKER_PASSWORD", "broker",
            c->broker.password_file, &c->broker.password};
    const struct secret results = {"CONEY_RESULTS_PASSWORD", "results",
            c->results.password_file, &c->results.password};
    enum coney_rc rc = find_secret(c, &broker, mistakes);
    return rc == CONEY_OK ? find_secret(c, &results, mistakes) : rc;
}
