/* SPDX-License-Identifier: MIT */
/*
 * asking_options.h - what the verbs that ask workers have in common on their command
 * lines: whom to ask, how long to wait, and how to show it.
 */
#ifndef CONEY_CLI_ASKING_OPTIONS_H
#define CONEY_CLI_ASKING_OPTIONS_H

#include "cli/asking.h"

enum { ASKING_NODES_MAX = 256 };

struct asking_options {
    struct connection connection;
    const char *nodes[ASKING_NODES_MAX];
    size_t node_count;
    const char *pattern;
    const char *matcher;
    unsigned timeout_ms;
    bool as_json;
    /* Filled in by asking_run(): see struct inquiry. */
    char foreign_type[CONTENT_TYPE_SIZE];
};

enum { ASKING_PATTERN = 1100, ASKING_MATCHER, ASKING_JSON };
#define ASKING_OPTIONS                                            \
    {"destination", required_argument, NULL, 'd'},                \
            {"pattern", required_argument, NULL, ASKING_PATTERN}, \
            {"matcher", required_argument, NULL, ASKING_MATCHER}, \
            {"timeout", required_argument, NULL, 't'},            \
            {"json", no_argument, NULL, ASKING_JSON}, CONNECTION_OPTIONS
#define ASKING_SHORT "c:d:t:h"
#define ASKING_HELP                                                                       \
    "  -d, --destination NODE\n"                                                          \
    "                     only this node, such as coney@host; may be repeated\n"          \
    "  --pattern TEXT     only nodes whose name fits\n"                                   \
    "  --matcher KIND     what the pattern is: glob (default) or pcre\n"                  \
    "  -t, --timeout D    how long to wait for a further answer (default 1s; adopt and\n" \
    "                     doctor: 3s)\n" CONNECTION_HELP
#define ASKING_HELP_JSON "  --json             one line of JSON: node to answer\n"

void asking_options_init(struct asking_options *o);
/* Take the option @found with its @value. -1: it is none of these; else an exit code. */
int asking_option(
        const char *verb, struct asking_options *o, int found, const char *value);
/* Whom they mean. The pattern and the names have been checked. */
struct remote_target asking_target(const struct asking_options *o);
/* After the last option: do they go together? An exit code. */
int asking_options_check(const char *verb, const struct asking_options *o);

/* Ask on the connection that is there. CLI_OK, or it has been said and this is the exit
 * code. */
int asking_ask(const char *verb, struct asking_options *o, struct question *questions,
        size_t count);
/* Connect, ask and say goodbye. CLI_OK, or it has been said and this is the exit code. */
int asking_run(const char *verb, struct asking_options *o, struct question *questions,
        size_t count);

/* Say who of the named has not answered any of @questions. Whether all have that should:
 * CLI_OK, CLI_FAILURE, or CLI_NOBODY when there is no answer at all. */
int asking_missing(const char *verb, const struct asking_options *o,
        const struct question *questions, size_t count);

#endif /* CONEY_CLI_ASKING_OPTIONS_H */
