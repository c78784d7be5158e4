/* SPDX-License-Identifier: MIT */
/* commands.c - the table of remote control commands, and their arguments. */
#include "cli/commands.h"

#include "base/duration.h"
#include "base/error.h"
#include "config/keys.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { INTEGER_MAX = 100000 };

static const struct command inspect_commands[] = {
        {.name = "active", .summary = "tasks that run now", .style = RENDER_ACTIVE},
        {.name = "active_queues",
                .summary = "queues it consumes from",
                .style = RENDER_QUEUES},
        {.name = "clock", .summary = "its logical clock", .style = RENDER_TREE},
        {.name = "conf", .summary = "its settings", .style = RENDER_TREE},
        {.name = "ping", .summary = "whether it answers", .style = RENDER_ANSWER},
        {.name = "query_task",
                .summary = "what it knows of these tasks",
                .parameters = {{"ids", "ID", PARAMETER_TEXTS, false}},
                .style = RENDER_QUERY},
        {.name = "registered", .summary = "tasks it can run", .style = RENDER_NAMES},
        {.name = "report", .summary = "versions and settings", .style = RENDER_TEXT},
        {.name = "reserved",
                .summary = "tasks it has taken and not started",
                .style = RENDER_RESERVED},
        {.name = "revoked", .summary = "ids that it will not run", .style = RENDER_NAMES},
        {.name = "scheduled",
                .summary = "tasks it holds for their time",
                .style = RENDER_SCHEDULED},
        {.name = "stats",
                .summary = "process, pool, connection, counts",
                .style = RENDER_TREE},
};

static const struct command control_commands[] = {
        {.name = "add_consumer",
                .summary = "consume from a further queue",
                .parameters = {{"queue", "QUEUE", PARAMETER_TEXT, false},
                        {"exchange", "EXCHANGE", PARAMETER_TEXT, true},
                        {"exchange_type", "TYPE", PARAMETER_TEXT, true},
                        {"routing_key", "KEY", PARAMETER_TEXT, true}}},
        {.name = "autoscale",
                .summary = "bounds of the pool's size",
                .parameters = {{"max", "MAX", PARAMETER_INTEGER, false},
                        {"min", "MIN", PARAMETER_INTEGER, true}}},
        {.name = "cancel_consumer",
                .summary = "consume from a queue no more",
                .parameters = {{"queue", "QUEUE", PARAMETER_TEXT, false}}},
        {.name = "disable_events", .summary = "send no events about tasks"},
        {.name = "enable_events", .summary = "send events about tasks"},
        {.name = "heartbeat", .summary = "send a heartbeat now"},
        {.name = "pool_grow",
                .summary = "more processes",
                .parameters = {{"n", "N", PARAMETER_INTEGER, true}}},
        {.name = "pool_restart", .summary = "replace the processes of the pool"},
        {.name = "pool_shrink",
                .summary = "fewer processes",
                .parameters = {{"n", "N", PARAMETER_INTEGER, true}}},
        {.name = "rate_limit",
                .summary = "most starts of a task in a time: 10/m, or none",
                .parameters = {{"task_name", "TASK", PARAMETER_TEXT, false},
                        {"rate_limit", "RATE", PARAMETER_RATE, false}}},
        {.name = "shutdown",
                .summary = "finish the running tasks and end",
                .is_silent = true},
        {.name = "terminate",
                .summary = "end running tasks by a signal, such as TERM",
                .parameters = {{"signal", "SIGNAL", PARAMETER_SIGNAL, false},
                        {"task_id", "ID", PARAMETER_TEXTS, false}}},
        {.name = "time_limit",
                .summary = "time limits of a task: 60s, or none",
                .parameters = {{"task_name", "TASK", PARAMETER_TEXT, false},
                        {"soft", "SOFT", PARAMETER_DURATION, false},
                        {"hard", "HARD", PARAMETER_DURATION, true}}},
};

const struct command *commands_of(enum command_kind kind, size_t *count)
{
    if (kind == COMMAND_INSPECT) {
        *count = sizeof(inspect_commands) / sizeof(inspect_commands[0]);
        return inspect_commands;
    }
    *count = sizeof(control_commands) / sizeof(control_commands[0]);
    return control_commands;
}

/* --- finding ------------------------------------------------------------------------ */

static const struct command *find_exact(enum command_kind kind, const char *name)
{
    size_t count;
    const struct command *commands = commands_of(kind, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static const char *find_near(enum command_kind kind, const char *name)
{
    size_t count;
    const struct command *commands = commands_of(kind, &count);
    const char *best = NULL;
    unsigned best_distance = 0;

    if (strlen(name) > 64)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        unsigned distance = edit_distance(commands[i].name, name);
        if (is_near(name, distance) && (!best || distance < best_distance)) {
            best = commands[i].name;
            best_distance = distance;
        }
    }
    return best;
}

const struct command *command_find(
        enum command_kind kind, const char *name, struct coney_error *err)
{
    static const char *const verbs[] = {"inspect", "control"};
    const enum command_kind other =
            kind == COMMAND_INSPECT ? COMMAND_CONTROL : COMMAND_INSPECT;
    const struct command *command = find_exact(kind, name);
    const char *near = find_near(kind, name);

    if (command)
        return command;
    if (find_exact(other, name))
        error_set(err, CONEY_ENOTFOUND, "\"%s\" is a command of coney %s", name,
                verbs[other]);
    else if (strncmp(name, "revoke", 6) == 0)
        error_set(err, CONEY_ENOTFOUND, "for that there is coney revoke");
    else
        error_set(err, CONEY_ENOTFOUND, "there is no command \"%.64s\"%s%s%s", name,
                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

/* --- arguments ---------------------------------------------------------------------- */

int signal_number(const char *text)
{
    char *end = NULL;
    long number = strtol(text, &end, 10);
    if (end != text && *end == '\0')
        return number > 0 && number < NSIG ? (int)number : 0;
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *name = sigabbrev_np(i);
        if (name && strcasecmp(name, text) == 0)
            return i;
    }
    return 0;
}

static json_t *texts_json(char *const *words, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (json_array_append_new(list, json_string(words[i])) != 0)
            break;
    if (json_array_size(list) == count)
        return list;
    json_decref(list);
    return NULL;
}

static enum coney_rc read_integer(
        const char *word, json_t **value, struct coney_error *err)
{
    char *end = NULL;
    long n = strtol(word, &end, 10);
    if (end == word || *end != '\0' || n < 1 || n > INTEGER_MAX)
        return error_set(err, CONEY_EINVAL, "\"%.64s\" is no number from 1 to %d", word,
                INTEGER_MAX);
    *value = json_integer(n);
    return CONEY_OK;
}

static enum coney_rc read_duration(
        const char *word, json_t **value, struct coney_error *err)
{
    int64_t ms = 0;
    if (strcmp(word, "none") == 0) {
        *value = json_null();
        return CONEY_OK;
    }
    enum coney_rc rc = duration_parse(word, &ms, err);
    if (rc != CONEY_OK)
        return rc;
    if (ms == 0)
        return error_set(err, CONEY_EINVAL, "a limit of nothing; \"none\" is no limit");
    *value = ms % 1000 == 0 ? json_integer(ms / 1000) : json_real((double)ms / 1000.0);
    return CONEY_OK;
}

/* Celery knows 0 as "no limit", and fractions; ours are whole. */
static enum coney_rc read_rate(const char *word, json_t **value, struct coney_error *err)
{
    int64_t per_hour = 0;
    if (strcmp(word, "none") == 0 || strcmp(word, "0") == 0) {
        *value = json_integer(0);
        return CONEY_OK;
    }
    enum coney_rc rc = rate_parse(word, &per_hour, err);
    if (rc == CONEY_OK)
        *value = json_string(word);
    return rc;
}

static enum coney_rc read_signal(
        const char *word, json_t **value, struct coney_error *err)
{
    char name[32];
    int number = signal_number(word);
    if (number == 0)
        return error_set(err, CONEY_EINVAL, "\"%.32s\" is no signal such as TERM", word);
    snprintf(name, sizeof(name), "SIG%s", sigabbrev_np(number));
    *value = json_string(name);
    return CONEY_OK;
}

static enum coney_rc read_word(const struct parameter *p, const char *word,
        json_t **value, struct coney_error *err)
{
    switch (p->type) {
    case PARAMETER_TEXT:
    case PARAMETER_TEXTS:
        *value = json_string(word);
        return *value ? CONEY_OK : error_set(err, CONEY_EINVAL, "%s: no UTF-8", p->shown);
    case PARAMETER_INTEGER:
        return read_integer(word, value, err);
    case PARAMETER_RATE:
        return read_rate(word, value, err);
    case PARAMETER_DURATION:
        return read_duration(word, value, err);
    case PARAMETER_SIGNAL:
        return read_signal(word, value, err);
    }
    return CONEY_EINVAL;
}

/* Words taken, 0 when @err is set. */
static size_t read_parameter(const struct parameter *p, char *const *words, size_t count,
        json_t *object, struct coney_error *err)
{
    json_t *value = NULL;
    size_t taken = p->type == PARAMETER_TEXTS ? count : 1;

    if (p->type == PARAMETER_TEXTS)
        value = texts_json(words, count);
    else if (read_word(p, words[0], &value, err) != CONEY_OK)
        return 0;
    if (!value || json_object_set_new(object, p->name, value) != 0) {
        error_set(err, CONEY_EINVAL, "%s: no UTF-8, or out of memory", p->shown);
        return 0;
    }
    return taken;
}

enum coney_rc command_arguments(const struct command *command, char *const *words,
        size_t count, json_t **out, struct coney_error *err)
{
    json_t *object = json_object();
    size_t at = 0;

    *out = NULL;
    if (!object)
        return error_set_nomem(err);
    for (size_t i = 0; i < PARAMETERS_MAX && command->parameters[i].name; i++) {
        const struct parameter *p = &command->parameters[i];
        size_t taken = 0;
        if (at == count && p->is_optional)
            break;
        if (at == count)
            error_set(err, CONEY_EINVAL, "%s: which %s?", command->name, p->shown);
        else
            taken = read_parameter(p, words + at, count - at, object, err);
        if (taken == 0) {
            json_decref(object);
            return CONEY_EINVAL;
        }
        at += taken;
    }
    if (at < count) {
        json_decref(object);
        return error_set(err, CONEY_EINVAL, "\"%.64s\" is one word too many", words[at]);
    }
    *out = object;
    return CONEY_OK;
}

void commands_print(enum command_kind kind, FILE *to)
{
    size_t count;
    const struct command *commands = commands_of(kind, &count);
    for (size_t i = 0; i < count; i++) {
        char line[128];
        size_t len = (size_t)snprintf(line, sizeof(line), "%s", commands[i].name);
        const struct parameter *p = commands[i].parameters;
        for (size_t n = 0; n < PARAMETERS_MAX && p[n].name && len < sizeof(line); n++)
            len += (size_t)snprintf(line + len, sizeof(line) - len, " %s%s%s%s",
                    p[n].is_optional ? "[" : "", p[n].shown,
                    p[n].type == PARAMETER_TEXTS ? "..." : "",
                    p[n].is_optional ? "]" : "");
        fprintf(to, "  %-44s  %s\n", line, commands[i].summary);
    }
}
