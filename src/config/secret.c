/* SPDX-License-Identifier: MIT */
/* secret.c - the broker's password, from where it is kept. */
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

enum coney_rc secret_read(struct config *c, struct mistakes *mistakes)
{
    struct arena *a = c->source->arena;
    struct coney_error err = {0};
    struct file_text file;
    const char *given = getenv("CONEY_BROKER_PASSWORD");

    if (given && *given) {
        c->broker.password = arena_strdup(a, given);
        return c->broker.password ? CONEY_OK : CONEY_ENOMEM;
    }
    if (!c->broker.password_file)
        return CONEY_OK;

    struct place at = node_find(c->source->root, "broker.password_file")->at;
    enum coney_rc rc = file_read(c->broker.password_file, PASSWORD_MAX, a, &file, &err);
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
        return mistakes_add(
                mistakes, at, "password_file: %s: %s", c->broker.password_file, wrong);
    c->broker.password = password;
    return CONEY_OK;
}
