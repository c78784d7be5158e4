/* SPDX-License-Identifier: MIT */
/* render.c - replies of remote control as text. */
#include "cli/render.h"

#include "base/json.h"
#include "base/utf8.h"
#include "cli/columns.h"
#include "message/repr.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 2048, INDENT = 2, DEPTH_MAX = 16 };

static struct bytes bytes_of(const json_t *text)
{
    return (struct bytes){
            .data = json_string_value(text), .len = json_string_length(text)};
}

const char *render_error(const json_t *reply)
{
    return json_string_value(json_object_get(reply, "error"));
}

void render_span(double seconds, char text[RENDER_SPAN_SIZE])
{
    double whole = seconds > 0 ? floor(seconds) : 0;
    unsigned long s = whole < 1e15 ? (unsigned long)whole : 0;

    if (s < 10)
        snprintf(text, RENDER_SPAN_SIZE, "%.1fs", seconds > 0 ? seconds : 0.0);
    else if (s < 60)
        snprintf(text, RENDER_SPAN_SIZE, "%lus", s);
    else if (s < 3600)
        snprintf(text, RENDER_SPAN_SIZE, "%lum%lus", s / 60, s % 60);
    else if (s < 86400)
        snprintf(text, RENDER_SPAN_SIZE, "%luh%lum", s / 3600, s / 60 % 60);
    else
        snprintf(text, RENDER_SPAN_SIZE, "%lud%luh", s / 86400, s / 3600 % 24);
}

/* --- trees -------------------------------------------------------------------------- */

static enum coney_rc write_scalar(const json_t *value, struct buffer *out)
{
    char line[LINE_SIZE];
    switch (json_typeof(value)) {
    case JSON_STRING:
        utf8_printable(line, sizeof(line), bytes_of(value));
        return buffer_printf(out, "%s", json_string_length(value) > 0 ? line : "\"\"");
    case JSON_INTEGER:
        return buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL:
        return buffer_printf(out, "%.15g", json_real_value(value));
    case JSON_TRUE:
        return buffer_printf(out, "true");
    case JSON_FALSE:
        return buffer_printf(out, "false");
    case JSON_NULL:
        return buffer_printf(out, "none");
    case JSON_OBJECT:
        return buffer_printf(out, json_object_size(value) > 0 ? "{...}" : "{}");
    case JSON_ARRAY:
        return buffer_printf(out, json_array_size(value) > 0 ? "[...]" : "[]");
    }
    return CONEY_OK;
}

static bool is_nested(const json_t *value)
{
    return json_object_size(value) > 0 || json_array_size(value) > 0;
}

static bool is_flat_list(const json_t *value)
{
    const json_t *element;
    size_t i;
    if (!json_is_array(value))
        return false;
    json_array_foreach(value, i, element) if (is_nested(element)) return false;
    return true;
}

static enum coney_rc write_flat_list(const json_t *list, struct buffer *out)
{
    enum coney_rc rc = CONEY_OK;
    for (size_t i = 0; i < json_array_size(list) && rc == CONEY_OK; i++) {
        rc = i > 0 ? buffer_append(out, ", ", 2) : CONEY_OK;
        if (rc == CONEY_OK)
            rc = write_scalar(json_array_get(list, i), out);
    }
    return rc;
}

static enum coney_rc write_tree(
        const json_t *value, unsigned indent, unsigned depth, struct buffer *out);

/* "key: value", or "key:" and what is below it. */
static enum coney_rc write_member(const char *key, const json_t *value, unsigned indent,
        unsigned depth, struct buffer *out)
{
    char name[LINE_SIZE];
    utf8_printable(name, sizeof(name), (struct bytes){.data = key, .len = strlen(key)});
    enum coney_rc rc = buffer_printf(out, "%*s%s:", (int)indent, "", name);
    bool is_below = is_nested(value) && !is_flat_list(value) && depth < DEPTH_MAX;

    if (rc == CONEY_OK)
        rc = buffer_printf(out, is_below ? "\n" : " ");
    if (rc != CONEY_OK)
        return rc;
    if (is_below)
        return write_tree(value, indent + INDENT, depth + 1, out);
    rc = is_flat_list(value) && is_nested(value) ? write_flat_list(value, out)
                                                 : write_scalar(value, out);
    return rc == CONEY_OK ? buffer_append(out, "\n", 1) : rc;
}

static enum coney_rc write_element(
        const json_t *value, unsigned indent, unsigned depth, struct buffer *out)
{
    enum coney_rc rc = buffer_printf(out, "%*s-", (int)indent, "");
    if (rc == CONEY_OK && is_nested(value) && depth < DEPTH_MAX) {
        rc = buffer_append(out, "\n", 1);
        return rc == CONEY_OK ? write_tree(value, indent + INDENT, depth + 1, out) : rc;
    }
    if (rc == CONEY_OK)
        rc = buffer_append(out, " ", 1);
    if (rc == CONEY_OK)
        rc = write_scalar(value, out);
    return rc == CONEY_OK ? buffer_append(out, "\n", 1) : rc;
}

static enum coney_rc write_tree(
        const json_t *value, unsigned indent, unsigned depth, struct buffer *out)
{
    enum coney_rc rc = CONEY_OK;
    if (json_is_object(value)) {
        json_t *object = (json_t *)(uintptr_t)value;
        for (void *at = json_object_iter(object); at && rc == CONEY_OK;
                at = json_object_iter_next(object, at))
            rc = write_member(json_object_iter_key(at), json_object_iter_value(at),
                    indent, depth, out);
        return rc;
    }
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value) && rc == CONEY_OK; i++)
            rc = write_element(json_array_get(value, i), indent, depth, out);
        return rc;
    }
    rc = buffer_printf(out, "%*s", (int)indent, "");
    if (rc == CONEY_OK)
        rc = write_scalar(value, out);
    return rc == CONEY_OK ? buffer_append(out, "\n", 1) : rc;
}

enum coney_rc render_tree(const json_t *value, unsigned indent, struct buffer *out)
{
    return write_tree(value, indent, 0, out);
}

/* --- tasks -------------------------------------------------------------------------- */

/* "(2, 'x') {'y': 3}", as a person wrote it; a worker may have made a text of it. */
static const char *arguments_of(const json_t *task, struct arena *a)
{
    const json_t *args = json_object_get(task, "args");
    const json_t *kwargs = json_object_get(task, "kwargs");
    const char *first =
            json_is_string(args) ? json_string_value(args) : repr_args(args, a);
    const char *second =
            json_is_string(kwargs) ? json_string_value(kwargs) : repr_kwargs(kwargs, a);
    if (!first || !second)
        return NULL;
    return strcmp(second, "{}") == 0 ? first : arena_printf(a, "%s %s", first, second);
}

static const char *pid_of(const json_t *task, struct arena *a)
{
    const json_t *pid = json_object_get(task, "worker_pid");
    return json_is_integer(pid)
                   ? arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(pid))
                   : NULL;
}

static const char *running_of(const json_t *task, int64_t now_us, struct arena *a)
{
    char text[RENDER_SPAN_SIZE];
    const json_t *start = json_object_get(task, "time_start");
    if (!json_is_number(start))
        return NULL;
    render_span((double)now_us / 1e6 - json_number_value(start), text);
    return arena_strdup(a, text);
}

static void print_name(const char *node, char name[COLUMN_CELL_SIZE])
{
    utf8_printable(
            name, COLUMN_CELL_SIZE, (struct bytes){.data = node, .len = strlen(node)});
}

/* "w1@vm: 2 tasks" */
static enum coney_rc write_heading(
        const char *node, size_t count, const char *noun, struct buffer *out)
{
    char name[COLUMN_CELL_SIZE];
    print_name(node, name);
    if (count == 0)
        return buffer_printf(out, "%s: no %ss\n", name, noun);
    return buffer_printf(out, "%s: %zu %s%s\n", name, count, noun, count == 1 ? "" : "s");
}

static void add_task(struct columns *c, const json_t *item, int64_t now_us)
{
    const json_t *request = json_object_get(item, "request");
    const json_t *task = request ? request : item;
    const char *when =
            request ? json_text(item, "eta") : running_of(task, now_us, c->arena);
    const char *cells[] = {json_text(task, "id"), json_text(task, "name"),
            arguments_of(task, c->arena), when, pid_of(task, c->arena)};
    columns_add(c, cells);
}

static enum coney_rc write_tasks(const char *node, const json_t *list,
        const char *const *headings, int64_t now_us, struct buffer *out)
{
    struct columns c;
    size_t count = json_array_size(list);

    enum coney_rc rc = write_heading(node, count, "task", out);
    if (rc != CONEY_OK || count == 0)
        return rc;
    columns_init(&c, headings);
    for (size_t i = 0; i < count && c.rc == CONEY_OK; i++)
        add_task(&c, json_array_get(list, i), now_us);
    rc = columns_write(&c, INDENT, out);
    columns_fini(&c);
    return rc;
}

static enum coney_rc write_query(
        const char *node, const json_t *found, struct buffer *out)
{
    static const char *const headings[] = {"ID", "STATE", "TASK", "ARGUMENTS", NULL};
    struct columns c;
    json_t *object = (json_t *)(uintptr_t)found;
    void *at = json_object_iter(object);

    enum coney_rc rc = write_heading(node, json_object_size(found), "task", out);
    if (rc != CONEY_OK || !at)
        return rc;
    columns_init(&c, headings);
    for (; at && c.rc == CONEY_OK; at = json_object_iter_next(object, at)) {
        const json_t *pair = json_object_iter_value(at);
        const json_t *task = json_array_get(pair, 1);
        const char *cells[] = {json_object_iter_key(at),
                json_string_value(json_array_get(pair, 0)), json_text(task, "name"),
                arguments_of(task, c.arena)};
        columns_add(&c, cells);
    }
    rc = columns_write(&c, INDENT, out);
    columns_fini(&c);
    return rc;
}

/* --- queues ------------------------------------------------------------------------- */

static const char *spelled(const json_t *value, struct arena *a)
{
    char *text = value && is_nested(value) ? json_dumps(value, JSON_COMPACT) : NULL;
    const char *copy = text ? arena_strdup(a, text) : NULL;
    free(text);
    return copy;
}

static void add_queue(struct columns *c, const json_t *queue)
{
    const json_t *exchange = json_object_get(queue, "exchange");
    const char *name = json_text(exchange, "name");
    const char *type = json_text(exchange, "type");
    const char *cells[] = {json_text(queue, "name"),
            name && type
                    ? arena_printf(c->arena, "%s(%s)", *name ? name : "default", type)
                    : NULL,
            json_text(queue, "routing_key"),
            json_is_true(json_object_get(queue, "durable")) ? "yes" : "no",
            spelled(json_object_get(queue, "queue_arguments"), c->arena)};
    columns_add(c, cells);
}

static enum coney_rc write_queues(
        const char *node, const json_t *list, struct buffer *out)
{
    static const char *const headings[] = {
            "QUEUE", "EXCHANGE", "KEY", "DURABLE", "ARGUMENTS", NULL};
    struct columns c;
    size_t count = json_array_size(list);

    enum coney_rc rc = write_heading(node, count, "queue", out);
    if (rc != CONEY_OK || count == 0)
        return rc;
    columns_init(&c, headings);
    for (size_t i = 0; i < count && c.rc == CONEY_OK; i++)
        add_queue(&c, json_array_get(list, i));
    rc = columns_write(&c, INDENT, out);
    columns_fini(&c);
    return rc;
}

/* --- the rest ----------------------------------------------------------------------- */

static enum coney_rc write_names(const char *node, const json_t *list, struct buffer *out)
{
    enum coney_rc rc = write_heading(node, json_array_size(list), "task", out);
    for (size_t i = 0; i < json_array_size(list) && rc == CONEY_OK; i++) {
        rc = buffer_printf(out, "%*s", INDENT, "");
        if (rc == CONEY_OK)
            rc = write_scalar(json_array_get(list, i), out);
        if (rc == CONEY_OK)
            rc = buffer_append(out, "\n", 1);
    }
    return rc;
}

static enum coney_rc write_lines(const char *node, const char *text, struct buffer *out)
{
    char line[LINE_SIZE];
    print_name(node, line);
    enum coney_rc rc = buffer_printf(out, "%s:\n", line);
    while (*text && rc == CONEY_OK) {
        size_t len = strcspn(text, "\n");
        utf8_printable(line, sizeof(line), (struct bytes){.data = text, .len = len});
        if (len > 0)
            rc = buffer_printf(out, "%*s%s\n", INDENT, "", line);
        text += len + (text[len] == '\n');
    }
    return rc;
}

/* "w1@vm: pool will grow" */
static enum coney_rc write_answer(
        const char *node, const json_t *reply, struct buffer *out)
{
    char name[COLUMN_CELL_SIZE];
    const json_t *ok = json_object_get(reply, "ok");
    const json_t *error = json_object_get(reply, "error");
    const json_t *said = error ? error : ok;

    print_name(node, name);
    if (!said && is_nested(reply)) {
        enum coney_rc rc = buffer_printf(out, "%s:\n", name);
        return rc == CONEY_OK ? render_tree(reply, INDENT, out) : rc;
    }
    enum coney_rc rc = buffer_printf(out, "%s: %s", name, error ? "error: " : "");
    if (rc == CONEY_OK && !said && json_is_null(reply))
        rc = buffer_printf(out, "done");
    else if (rc == CONEY_OK)
        rc = write_scalar(said ? said : reply, out);
    return rc == CONEY_OK ? buffer_append(out, "\n", 1) : rc;
}

/* The columns of a list of tasks; NULL: @style is none. */
static const char *const *task_columns(enum render_style style)
{
    static const char *const active[] = {
            "ID", "TASK", "ARGUMENTS", "RUNNING", "PID", NULL};
    static const char *const reserved[] = {"ID", "TASK", "ARGUMENTS", NULL};
    static const char *const scheduled[] = {"ID", "TASK", "ARGUMENTS", "ETA", NULL};

    if (style == RENDER_ACTIVE)
        return active;
    if (style == RENDER_RESERVED)
        return reserved;
    return style == RENDER_SCHEDULED ? scheduled : NULL;
}

enum coney_rc render_reply(enum render_style style, const char *node, const json_t *reply,
        int64_t now_us, struct buffer *out)
{
    const char *const *columns = task_columns(style);
    const char *text = json_text(reply, "ok");
    bool is_list = json_is_array(reply);

    if (render_error(reply))
        return write_answer(node, reply, out);
    if (columns && is_list)
        return write_tasks(node, reply, columns, now_us, out);
    if (style == RENDER_NAMES && is_list)
        return write_names(node, reply, out);
    if (style == RENDER_QUEUES && is_list)
        return write_queues(node, reply, out);
    if (style == RENDER_QUERY && json_is_object(reply))
        return write_query(node, reply, out);
    if (style == RENDER_TEXT && text)
        return write_lines(node, text, out);
    return write_answer(node, reply, out);
}
