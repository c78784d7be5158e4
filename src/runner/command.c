/* SPDX-License-Identifier: MIT */
/* command.c - a job as input and environment of a program, its exit as an outcome. */
#include "runner/command.h"

#include "base/json.h"
#include "base/utf8.h"
#include "runner/child.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_RETRY = 75, LINE_MAX_BYTES = 400, DEPTH_MAX = 512 };

static const char *const own_variables[] = {
        "CONEY_ID", "CONEY_TASK", "CONEY_RETRIES", "CONEY_DEADLINE"};
enum { OWN_COUNT = sizeof(own_variables) / sizeof(own_variables[0]) };

static const char default_path[] = "PATH=/usr/local/bin:/usr/bin:/bin";

/* --- what it is told ---------------------------------------------------------------- */

static bool names(const char *variable, const char *name)
{
    size_t len = strlen(name);
    return strncmp(variable, name, len) == 0 && variable[len] == '=';
}

static bool is_own(const char *variable)
{
    for (int i = 0; i < OWN_COUNT; i++)
        if (names(variable, own_variables[i]))
            return true;
    return false;
}

/* The whole environment, or NULL when out of memory. */
static char **make_environ(struct attempt *a)
{
    const struct record_texts *given = &a->job->command.environment;
    char **all = arena_alloc(a->arena, (given->count + OWN_COUNT + 2) * sizeof(*all));
    if (!all)
        return NULL;

    size_t n = 0;
    int64_t deadline_us;
    bool has_path = false;
    all[n++] = arena_printf(a->arena, "CONEY_ID=%s", a->job->id);
    all[n++] = arena_printf(a->arena, "CONEY_TASK=%s", a->job->task);
    all[n++] = arena_printf(a->arena, "CONEY_RETRIES=%" PRId64, a->job->retries);
    if (attempt_deadline(a, &deadline_us))
        all[n++] =
                arena_printf(a->arena, "CONEY_DEADLINE=%" PRId64, deadline_us / 1000000);
    for (size_t i = 0; i < given->count; i++) {
        if (is_own(given->items[i]))
            continue;
        has_path = has_path || names(given->items[i], "PATH");
        all[n++] = given->items[i];
    }
    if (!has_path)
        all[n++] = arena_strdup(a->arena, default_path);
    for (size_t i = 0; i < n; i++)
        if (!all[i])
            return NULL;
    return all;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* A new reference, or NULL. */
static json_t *describe(struct attempt *a, json_t *args, json_t *kwargs)
{
    const struct record_job *job = a->job;
    int64_t deadline_us;
    json_t *deadline = attempt_deadline(a, &deadline_us)
                               ? json_real((double)deadline_us / 1e6)
                               : json_null();
    return json_pack("{s:s, s:s, s:O, s:O, s:I, s:b, s:o, s:o, s:o, s:o}", "id", job->id,
            "task", job->task, "args", args, "kwargs", kwargs, "retries",
            (json_int_t)job->retries, "redelivered", job->redelivered ? 1 : 0, "queue",
            text_or_null(job->queue), "root_id", text_or_null(job->root_id), "parent_id",
            text_or_null(job->parent_id), "deadline", deadline);
}

/* False: the outcome says why. */
static bool make_input(struct attempt *a, struct buffer *input)
{
    json_t *args, *kwargs;
    if (!attempt_decode(a, &args, &kwargs))
        return false;
    json_t *whole = describe(a, args, kwargs);
    bool made = whole && json_write(whole, input) == CONEY_OK &&
                buffer_append(input, "\n", 1) == CONEY_OK;
    json_decref(whole);
    if (!made)
        attempt_set_error(a, RECORD_FAIL, "MemoryError", "no memory for the arguments");
    return made;
}

/* --- what came of it ---------------------------------------------------------------- */

static bool has_number(const struct record_numbers *list, int number, int otherwise)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == number)
            return true;
    return list->count == 0 && number == otherwise;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct bytes trim(struct bytes text)
{
    const char *data = text.data;
    while (text.len > 0 && is_blank(data[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_blank(*data)) {
        data++;
        text.len--;
    }
    return (struct bytes){data, text.len};
}

static void keep_result(struct attempt *a, const struct buffer *output)
{
    struct bytes text = trim((struct bytes){buffer_data(output), buffer_len(output)});
    const struct json_limits limits = {
            .text_max = SIZE_MAX, .values_max = SIZE_MAX, .depth_max = DEPTH_MAX};
    json_t *value = NULL;
    if (text.len == 0)
        return;
    if (json_read(text, &limits, &value, NULL) == CONEY_OK) {
        attempt_set_value(a, value);
    } else {
        struct bytes repaired = utf8_repair(a->arena, text);
        if (repaired.data)
            value = json_stringn(repaired.data, repaired.len);
        attempt_set_value(a, value);
    }
    json_decref(value);
}

/* ": " and the last line of what was written to standard error, or nothing. */
static void last_line(const struct child_result *r, char *out, size_t size)
{
    struct bytes all = trim((struct bytes){r->tail, r->tail_len});
    const char *begin = all.len > 0 ? memrchr(all.data, '\n', all.len) : NULL;
    out[0] = '\0';
    if (all.len == 0)
        return;
    if (begin)
        all = (struct bytes){
                begin + 1, all.len - (size_t)(begin + 1 - (const char *)all.data)};
    out[0] = ':';
    out[1] = ' ';
    utf8_printable(out + 2, size - 2, all);
}

static void keep_failure(struct attempt *a, const struct child_result *r)
{
    char line[LINE_MAX_BYTES];
    last_line(r, line, sizeof(line));
    if (r->has_overflowed)
        attempt_set_errorf(a, RECORD_FAIL, "OutputTooLarge",
                "it wrote more than %zu bytes to standard output",
                a->job->command.max_output);
    else if (r->was_stopped)
        attempt_set_errorf(a, RECORD_FAIL, "SoftTimeLimitExceeded",
                "it ended at its soft time limit%s", line);
    else if (r->signal != 0)
        attempt_set_errorf(a, RECORD_FAIL, "CommandCrashed", "killed by signal %d (%s)%s",
                r->signal, sigabbrev_np(r->signal) ? sigabbrev_np(r->signal) : "?", line);
    else if (r->exit_status >= 0)
        attempt_set_errorf(a, RECORD_FAIL, "CommandFailed", "exit status %d%s",
                r->exit_status, line);
    else
        attempt_set_error(a, RECORD_FAIL, "CommandFailed", "how it ended is not known");
}

static void judge(
        struct attempt *a, const struct child_result *r, const struct buffer *output)
{
    const struct record_command *c = &a->job->command;
    int status = r->exit_status;
    char line[LINE_MAX_BYTES];
    last_line(r, line, sizeof(line));
    if (r->has_overflowed || status < 0)
        keep_failure(a, r);
    else if (has_number(&c->reject_exit, status, -1))
        attempt_set_errorf(
                a, RECORD_REJECT, "CommandRejected", "exit status %d%s", status, line);
    else if (has_number(&c->retry_exit, status, EXIT_RETRY))
        attempt_set_errorf(
                a, RECORD_RETRY, "CommandRetry", "exit status %d%s", status, line);
    else if (has_number(&c->ok_exit, status, EXIT_OK))
        keep_result(a, output);
    else
        keep_failure(a, r);
}

/* Evidence that goes along with every outcome of a command that has run. */
static void keep_evidence(struct attempt *a, const struct child_result *r)
{
    struct bytes tail = arena_copy(a->arena, (struct bytes){r->tail, r->tail_len});
    a->outcome.exit_status = r->exit_status;
    a->outcome.signal = r->signal;
    a->outcome.max_rss_kib = r->max_rss_kib;
    if (!tail.data)
        return;
    a->outcome.stderr_tail = tail;
    if (a->outcome.kind != RECORD_SUCCESS && tail.len > 0)
        a->outcome.traceback = utf8_repair(a->arena, tail).data;
}

void command_run(struct attempt *a)
{
    const struct record_command *c = &a->job->command;
    struct buffer input, output;
    struct child_result result;
    struct coney_error err;
    buffer_init(&input, SIZE_MAX / 2);
    buffer_init(&output, c->max_output);
    if (!make_input(a, &input))
        goto out;

    struct child_options options = {.argv = c->argv.items,
            .environ = make_environ(a),
            .directory = c->directory ? c->directory : "/",
            .umask = (mode_t)c->umask,
            .input = {buffer_data(&input), buffer_len(&input)},
            .must_stop = a->host->is_soft_limit,
            .ctx = a->host->ctx,
            .wake_fd = a->host->wake_fd,
            .forward_fd = STDERR_FILENO};
    if (!options.environ) {
        attempt_set_error(a, RECORD_FAIL, "MemoryError", "no memory for the environment");
    } else if (child_run(&options, &output, &result, &err) != CONEY_OK) {
        attempt_set_error(a, RECORD_FAIL, "CommandNotStarted", err.text);
    } else {
        judge(a, &result, &output);
        keep_evidence(a, &result);
    }
out:
    buffer_fini(&input);
    buffer_fini(&output);
}
