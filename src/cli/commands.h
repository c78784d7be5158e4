/* SPDX-License-Identifier: MIT */
/*
 * commands.h - the remote control commands that workers know: their arguments, read from
 * words of a command line, and how to show what they answer. Pure.
 */
#ifndef CONEY_CLI_COMMANDS_H
#define CONEY_CLI_COMMANDS_H

#include "cli/render.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdio.h>

enum parameter_type {
    PARAMETER_TEXT,
    PARAMETER_TEXTS,    /* all words that are left; at least one */
    PARAMETER_INTEGER,  /* 1 or more */
    PARAMETER_RATE,     /* 10/m, or none */
    PARAMETER_DURATION, /* in seconds on the wire; or none */
    PARAMETER_SIGNAL    /* TERM, SIGTERM or 15 */
};

struct parameter {
    const char *name;  /* on the wire; NULL: there are no more */
    const char *shown; /* in help */
    enum parameter_type type;
    bool is_optional;
};

enum { PARAMETERS_MAX = 4 };

struct command {
    const char *name; /* method on the wire as well */
    const char *summary;
    struct parameter parameters[PARAMETERS_MAX];
    enum render_style style;
    bool is_silent; /* it is not answered */
};

enum command_kind { COMMAND_INSPECT, COMMAND_CONTROL };

const struct command *commands_of(enum command_kind kind, size_t *count);

/* The command @name of @kind, or NULL, and @err says which one may be meant. */
const struct command *command_find(
        enum command_kind kind, const char *name, struct coney_error *err);

/*
 * The arguments of @command as an object, from @count @words. The caller's.
 * CONEY_EINVAL: too few, too many, or one that is wrong; CONEY_ENOMEM.
 */
enum coney_rc command_arguments(const struct command *command, char *const *words,
        size_t count, json_t **out, struct coney_error *err) CONEY_MUST_CHECK;

/* A line for each command of @kind: name, arguments, what it does. */
void commands_print(enum command_kind kind, FILE *to);

/* The number of the signal that @text names, such as TERM, SIGTERM or 15; 0: none. */
int signal_number(const char *text);

#endif /* CONEY_CLI_COMMANDS_H */
