/* SPDX-License-Identifier: MIT */
/* launch.c - two NULL-terminated lists of strings and a descriptor. */
#include "worker/launch.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What may pass from the master's environment: how times are shown, nothing else. */
static const char *const passed[] = {"TZ"};
static const char *const fixed[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"};

enum {
    PASSED_COUNT = sizeof(passed) / sizeof(*passed),
    FIXED_COUNT = sizeof(fixed) / sizeof(*fixed),
    FIXED_ARGUMENTS = 6 /* coney-runner --parent PID MODE --node NAME */
};

static void free_strings(char **strings)
{
    for (size_t i = 0; strings && strings[i]; i++)
        free(strings[i]);
    free(strings);
}

/* Append a copy; the list has room. */
static enum coney_rc append(char **strings, const char *text)
{
    size_t n = 0;
    while (strings[n])
        n++;
    strings[n] = strdup(text);
    return strings[n] ? CONEY_OK : CONEY_ENOMEM;
}

static enum coney_rc make_environ(struct launch *l)
{
    enum coney_rc rc = CONEY_OK;
    l->environ = calloc(FIXED_COUNT + PASSED_COUNT + 1, sizeof(*l->environ));
    if (!l->environ)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < FIXED_COUNT && rc == CONEY_OK; i++)
        rc = append(l->environ, fixed[i]);
    for (size_t i = 0; i < PASSED_COUNT && rc == CONEY_OK; i++) {
        char text[256];
        const char *value = getenv(passed[i]);
        if (value && snprintf(text, sizeof(text), "%s=%s", passed[i], value) <
                             (int)sizeof(text))
            rc = append(l->environ, text);
    }
    return rc;
}

static enum coney_rc open_program(
        struct launch *l, const char *path, struct coney_error *err)
{
    struct stat st;
    l->program_fd = open(path, O_PATH | O_CLOEXEC);
    if (l->program_fd < 0 || fstat(l->program_fd, &st) != 0 || access(path, X_OK) != 0)
        return error_set_errno(err, "%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, CONEY_EIO, "%s: not a program", path);
    return CONEY_OK;
}

enum coney_rc launch_init(struct launch *l, const char *path, struct coney_error *err)
{
    *l = (struct launch){.program_fd = -1};
    enum coney_rc rc = open_program(l, path, err);
    if (rc == CONEY_OK && make_environ(l) != CONEY_OK)
        rc = error_set_nomem(err);
    if (rc != CONEY_OK)
        launch_fini(l);
    return rc;
}

void launch_fini(struct launch *l)
{
    free_strings(l->argv);
    free_strings(l->environ);
    if (l->program_fd >= 0)
        close(l->program_fd);
    *l = (struct launch){.program_fd = -1};
}

enum coney_rc launch_set_arguments(struct launch *l, const char *mode, const char *node,
        const struct string_list *plugins)
{
    char parent[24];
    snprintf(parent, sizeof(parent), "%ld", (long)getpid());
    char **argv = calloc(FIXED_ARGUMENTS + plugins->count + 1, sizeof(*argv));
    if (!argv)
        return CONEY_ENOMEM;

    const char *head[FIXED_ARGUMENTS + 1] = {"coney-runner"};
    size_t n = 1;
    if (mode)
        head[n++] = mode;
    head[n++] = "--parent";
    head[n++] = parent;
    if (node) {
        head[n++] = "--node";
        head[n++] = node;
    }
    enum coney_rc rc = CONEY_OK;
    for (size_t i = 0; i < n && rc == CONEY_OK; i++)
        rc = append(argv, head[i]);
    for (size_t i = 0; i < plugins->count && rc == CONEY_OK; i++)
        rc = append(argv, plugins->items[i]);
    if (rc != CONEY_OK) {
        free_strings(argv);
        return rc;
    }
    free_strings(l->argv);
    l->argv = argv;
    return CONEY_OK;
}
