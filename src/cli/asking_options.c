/* SPDX-License-Identifier: MIT */
/* asking_options.c - whom to ask, read from a command line; and who did not answer. */
#include "cli/asking_options.h"

#include "base/duration.h"
#include "cli/cli.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

void asking_options_init(struct asking_options *o)
{
    *o = (struct asking_options){.matcher = "glob", .timeout_ms = ASKING_TIMEOUT_MS};
}

static int add_node(const char *verb, struct asking_options *o, const char *name)
{
    if (o->node_count == ASKING_NODES_MAX)
        return cli_usage(verb, "-d: %d nodes are enough", ASKING_NODES_MAX);
    if (strchr(name, ','))
        return cli_usage(
                verb, "-d: one node each: -d %.*s -d ...", (int)strcspn(name, ","), name);
    o->nodes[o->node_count++] = name;
    return CLI_OK;
}

static int read_timeout(const char *verb, struct asking_options *o, const char *text)
{
    struct coney_error err;
    int64_t ms = 0;
    if (duration_parse(text, &ms, &err) != CONEY_OK)
        return cli_usage(verb, "--timeout: %s", err.text);
    if (ms == 0 || ms > INT_MAX / 100)
        return cli_usage(verb, "--timeout: too %s", ms == 0 ? "short" : "long");
    o->timeout_ms = (unsigned)ms;
    return CLI_OK;
}

int asking_option(
        const char *verb, struct asking_options *o, int found, const char *value)
{
    switch (found) {
    case 'd':
        return add_node(verb, o, value);
    case 't':
        return read_timeout(verb, o, value);
    case ASKING_PATTERN:
        o->pattern = value;
        return CLI_OK;
    case ASKING_MATCHER:
        o->matcher = value;
        return CLI_OK;
    case ASKING_JSON:
        o->as_json = true;
        return CLI_OK;
    default:
        return connection_option(verb, &o->connection, found, value);
    }
}

struct remote_target asking_target(const struct asking_options *o)
{
    return (struct remote_target){.nodes = o->nodes,
            .node_count = o->node_count,
            .pattern = o->pattern,
            .matcher = o->pattern ? o->matcher : NULL};
}

int asking_options_check(const char *verb, const struct asking_options *o)
{
    struct coney_error err;
    const struct remote_target target = asking_target(o);
    if (remote_check_target(&target, &err) != CONEY_OK)
        return cli_usage(verb, "%s", err.text);
    return CLI_OK;
}

int asking_ask(const char *verb, struct asking_options *o, struct question *questions,
        size_t count)
{
    struct coney_error err;
    struct inquiry inquiry = {.target = asking_target(o),
            .questions = questions,
            .count = count,
            .timeout_ms = o->timeout_ms};
    if (ask(&o->connection, &inquiry, &err) != CONEY_OK)
        return cli_failure(verb, &err);
    memcpy(o->foreign_type, inquiry.foreign_type, sizeof(o->foreign_type));
    if (*o->foreign_type)
        fprintf(stderr,
                "coney %s: a worker answers in %s, which can't be read (task_serializer)\n",
                verb, o->foreign_type);
    return CLI_OK;
}

int asking_run(const char *verb, struct asking_options *o, struct question *questions,
        size_t count)
{
    int code = connection_open(verb, &o->connection);
    if (code == CLI_OK)
        code = asking_ask(verb, o, questions, count);
    connection_close(&o->connection);
    return code;
}

/* --- who is missing ----------------------------------------------------------------- */

static bool has_answered(const struct question *questions, size_t count, const char *node)
{
    for (size_t i = 0; i < count; i++)
        if (question_reply(&questions[i], node))
            return true;
    return false;
}

int asking_missing(const char *verb, const struct asking_options *o,
        const struct question *questions, size_t count)
{
    size_t answers = 0;
    int code = CLI_OK;

    for (size_t i = 0; i < count; i++)
        answers += json_object_size(questions[i].replies);
    for (size_t i = 0; i < o->node_count; i++) {
        if (has_answered(questions, count, o->nodes[i]))
            continue;
        fprintf(stderr, "coney %s: %s does not answer\n", verb, o->nodes[i]);
        code = CLI_FAILURE;
    }
    if (answers > 0)
        return code;
    if (o->node_count == 0)
        fprintf(stderr, "coney %s: no worker answers\n", verb);
    return CLI_NOBODY;
}
