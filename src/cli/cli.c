/* SPDX-License-Identifier: MIT */
/* cli.c - finding the verb, and what all verbs have in common. */
#include "cli/cli.h"

#include "config/keys.h"
#include <coney/version.h>

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct verb *find_verb(
        const struct verb *verbs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static void print_help(const struct verb *verbs, size_t count)
{
    printf("usage: coney VERB [OPTION...]\n\n");
    for (size_t i = 0; i < count; i++)
        printf("  %-10s  %s\n", verbs[i].name, verbs[i].summary);
    printf("\n`coney VERB --help` tells more. Exit codes: 0 done, 1 failed, "
           "%d wrong usage,\n%d wrong configuration.\n",
            CLI_USAGE, CLI_CONFIG);
}

static int refuse_verb(const struct verb *verbs, size_t count, const char *name)
{
    const struct verb *best = NULL;
    unsigned best_distance = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned distance = edit_distance(verbs[i].name, name);
        if (is_near(name, distance) && (!best || distance < best_distance)) {
            best = &verbs[i];
            best_distance = distance;
        }
    }
    fprintf(stderr, "coney: there is no verb \"%s\"%s%s%s (see coney --help)\n", name,
            best ? "; did you mean \"" : "", best ? best->name : "", best ? "\"?" : "");
    return CLI_USAGE;
}

/* `coney help VERB` is `coney VERB --help`. */
static int run_help(const struct verb *verbs, size_t count, const char *name)
{
    if (!name) {
        print_help(verbs, count);
        return CLI_OK;
    }
    const struct verb *verb = find_verb(verbs, count, name);
    if (!verb)
        return refuse_verb(verbs, count, name);

    char word[64];
    char option[] = "--help";
    char *argv[] = {word, option, NULL};
    snprintf(word, sizeof(word), "%s", name);
    return verb->run(2, argv);
}

int cli_main(int argc, char **argv, const struct verb *verbs, size_t count)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    if (!name) {
        fprintf(stderr, "coney: which verb? (see coney --help)\n");
        return CLI_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("coney %s\n", coney_version());
        return CLI_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
            strcmp(name, "help") == 0)
        return run_help(verbs, count, argc > 2 ? argv[2] : NULL);
    const struct verb *verb = find_verb(verbs, count, name);
    return verb ? verb->run(argc - 1, argv + 1) : refuse_verb(verbs, count, name);
}

/* --- saying what is wrong ----------------------------------------------------------- */

int cli_usage(const char *verb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "coney %s: ", verb);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, " (see coney %s --help)\n", verb);
    va_end(ap);
    return CLI_USAGE;
}

int cli_bad_option(const char *verb, int found, char **argv)
{
    const char *option = argv[optind - 1];
    if (found == ':')
        return cli_usage(verb, "%s needs a value", option);
    return cli_usage(verb, "there is no option %s", option);
}

int cli_failure(const char *verb, const struct coney_error *err)
{
    fprintf(stderr, "coney %s: %s\n", verb, err->text);
    return CLI_FAILURE;
}

int cli_show(const char *verb, enum coney_rc rc, struct buffer *text)
{
    int code = CLI_OK;
    size_t len = buffer_len(text);
    if (rc != CONEY_OK) {
        const struct coney_error err = {.rc = rc,
                .text = "out of memory, or there is more to show than anybody can read"};
        code = cli_failure(verb, &err);
    } else if ((len > 0 && fwrite(buffer_data(text), 1, len, stdout) != len) ||
               fflush(stdout) != 0) {
        const struct coney_error err = {
                .rc = CONEY_EIO, .text = "can't write to standard output"};
        code = cli_failure(verb, &err);
    }
    buffer_fini(text);
    return code;
}

int cli_load_config(const char *verb, const char *path, struct config **out)
{
    struct mistakes mistakes;
    struct coney_error err = {0};
    enum coney_rc rc = config_load(path, out, &mistakes, &err);

    if (rc == CONEY_ESYNTAX)
        mistakes_print(&mistakes, stderr);
    else if (rc != CONEY_OK)
        fprintf(stderr, "coney %s: %s\n", verb, err.text);
    mistakes_fini(&mistakes);
    if (rc == CONEY_OK)
        return CLI_OK;
    return rc == CONEY_ENOMEM ? CLI_FAILURE : CLI_CONFIG;
}
