/* SPDX-License-Identifier: MIT */
/*
 * cli.h - the table of verbs, and what all verbs have in common: usage, exit codes, and
 * how a configuration that won't do is reported.
 */
#ifndef CONEY_CLI_CLI_H
#define CONEY_CLI_CLI_H

#include "config/config.h"

#include <stddef.h>
#include <sysexits.h>

/* What every verb returns. */
enum exit_code {
    CLI_OK = 0,
    CLI_FAILURE = 1,
    CLI_USAGE = EX_USAGE,        /* 64: the command line */
    CLI_NOBODY = EX_UNAVAILABLE, /* 69: no worker has answered */
    CLI_CONFIG = EX_CONFIG       /* 78: the configuration; nothing was started */
};

struct verb {
    const char *name;
    const char *summary; /* one line, for the list of verbs */
    /* argv[0] is the verb's name. Returns an exit code. */
    int (*run)(int argc, char **argv);
};

/*
 * Run the verb that argv[1] names. "--help" and "help [VERB]" list the verbs or ask one
 * for its own help; "--version" says which this is. Returns an exit code.
 */
int cli_main(int argc, char **argv, const struct verb *verbs, size_t count);

/* Say on standard error what is wrong with the command line of @verb, and where help is.
 * Returns CLI_USAGE. */
int cli_usage(const char *verb, const char *fmt, ...) CONEY_PRINTF(2, 3);
/* As above, for the option at which getopt_long() has just returned '?' or ':'. */
int cli_bad_option(const char *verb, int found, char **argv);
/* Say on standard error why @verb failed. Returns CLI_FAILURE. */
int cli_failure(const char *verb, const struct coney_error *err);

/* Write @text to standard output, unless @rc says that it could not be made, and release
 * it. Returns an exit code. */
int cli_show(const char *verb, enum coney_rc rc, struct buffer *text);

/*
 * Read the configuration @path (NULL: where it is looked for), and say on standard error
 * all that is wrong with it. CLI_OK: *@out is the caller's. Otherwise NULL, and
 * CLI_CONFIG or CLI_FAILURE.
 */
int cli_load_config(const char *verb, const char *path, struct config **out);

/* The verbs of this room. */
int cli_adopt(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_control(int argc, char **argv);
int cli_doctor(int argc, char **argv);
int cli_events(int argc, char **argv);
int cli_inspect(int argc, char **argv);
int cli_result(int argc, char **argv);
int cli_revoke(int argc, char **argv);
int cli_schedule(int argc, char **argv);
int cli_send(int argc, char **argv);
int cli_status(int argc, char **argv);

#endif /* CONEY_CLI_CLI_H */
