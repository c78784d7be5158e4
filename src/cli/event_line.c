/* SPDX-License-Identifier: MIT */
/* event_line.c - events as lines: when, what, where, and what matters about it. */
#include "cli/event_line.h"

#include "base/json.h"
#include "base/utf8.h"
#include "cli/render.h"

#include <string.h>
#include <time.h>

enum { NAMES_MAX = 8192, CELL_SIZE = 512, CLOCK_SIZE = 32 };

enum coney_rc event_lines_init(struct event_lines *l)
{
    l->names = json_object();
    return l->names ? CONEY_OK : CONEY_ENOMEM;
}

void event_lines_fini(struct event_lines *l)
{
    json_decref(l->names);
}

bool event_is_one(const json_t *event)
{
    const char *type = json_text(event, "type");
    return type && *type;
}

bool event_is_heartbeat(const json_t *event)
{
    const char *type = json_text(event, "type");
    return type && strcmp(type, "worker-heartbeat") == 0;
}

/* --- pieces ------------------------------------------------------------------------- */

/* Of this place, to the millisecond. The key utcoffset is ignored: the timestamp counts
 * from 1970 in UTC already. */
static void clock_text(const json_t *event, int64_t now_us, char text[CLOCK_SIZE])
{
    const json_t *at = json_object_get(event, "timestamp");
    double seconds = json_is_number(at) ? json_number_value(at) : -1;
    int64_t at_us = seconds >= 0 && seconds < 1e11 ? (int64_t)(seconds * 1e6) : now_us;
    time_t second = (time_t)(at_us / 1000000);
    char clock[16];
    struct tm tm;

    if (!localtime_r(&second, &tm))
        memset(&tm, 0, sizeof(tm));
    strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    snprintf(text, CLOCK_SIZE, "%s.%03d", clock, (int)(at_us % 1000000 / 1000));
}

/* Append " @word@text", made fit for a terminal; nothing for an empty text. */
static enum coney_rc put(struct buffer *out, const char *word, const char *text)
{
    char cell[CELL_SIZE];
    if (!text || !*text)
        return CONEY_OK;
    utf8_printable(cell, sizeof(cell), (struct bytes){.data = text, .len = strlen(text)});
    return buffer_printf(out, " %s%s", word, cell);
}

static enum coney_rc put_number(
        struct buffer *out, const char *word, const json_t *event, const char *key)
{
    const json_t *n = json_object_get(event, key);
    return json_is_integer(n) ? buffer_printf(out, " %s%" JSON_INTEGER_FORMAT, word,
                                        json_integer_value(n))
                              : CONEY_OK;
}

static bool is_set(const json_t *event, const char *key)
{
    return json_is_true(json_object_get(event, key));
}

/* --- tasks -------------------------------------------------------------------------- */

static const char *find_name(struct event_lines *l, const json_t *event, const char *id)
{
    const char *name = json_text(event, "name");
    if (!name)
        return json_string_value(json_object_get(l->names, id));
    if (json_object_size(l->names) >= NAMES_MAX)
        json_object_clear(l->names);
    (void)json_object_set_new(l->names, id, json_string(name));
    return name;
}

static enum coney_rc put_arguments(const json_t *event, struct buffer *out)
{
    const char *kwargs = json_text(event, "kwargs");
    enum coney_rc rc = put(out, "", json_text(event, "args"));
    if (rc == CONEY_OK && kwargs && strcmp(kwargs, "{}") != 0)
        rc = put(out, "", kwargs);
    if (rc == CONEY_OK && json_integer_value(json_object_get(event, "retries")) > 0)
        rc = put_number(out, "retry ", event, "retries");
    if (rc == CONEY_OK)
        rc = put(out, "eta ", json_text(event, "eta"));
    return rc == CONEY_OK ? put(out, "to ", json_text(event, "queue")) : rc;
}

static enum coney_rc put_outcome(const json_t *event, struct buffer *out)
{
    char span[RENDER_SPAN_SIZE];
    const json_t *runtime = json_object_get(event, "runtime");
    enum coney_rc rc = put(out, "= ", json_text(event, "result"));
    if (rc == CONEY_OK)
        rc = put(out, "", json_text(event, "exception"));
    if (rc == CONEY_OK && json_is_number(runtime)) {
        double seconds = json_number_value(runtime);
        render_span(seconds, span);
        rc = seconds < 1 ? buffer_printf(out, " in %.0fms", seconds * 1000)
                         : buffer_printf(out, " in %s", span);
    }
    if (rc == CONEY_OK && is_set(event, "expired"))
        rc = put(out, "", "expired");
    if (rc == CONEY_OK && is_set(event, "terminated"))
        rc = put(out, "", "terminated");
    if (rc == CONEY_OK)
        rc = put_number(out, "signal ", event, "signum");
    if (rc == CONEY_OK && is_set(event, "requeue"))
        rc = put(out, "", "back to its queue");
    return rc;
}

static enum coney_rc put_task(
        struct event_lines *l, const json_t *event, const char *id, struct buffer *out)
{
    const char *name = find_name(l, event, id);
    enum coney_rc rc = put(out, "", id);
    if (rc == CONEY_OK)
        rc = put(out, "", name);
    if (rc == CONEY_OK)
        rc = put_arguments(event, out);
    return rc == CONEY_OK ? put_outcome(event, out) : rc;
}

/* --- workers ------------------------------------------------------------------------ */

static enum coney_rc put_worker(const json_t *event, struct buffer *out)
{
    const json_t *load = json_array_get(json_object_get(event, "loadavg"), 0);
    enum coney_rc rc = put(out, "", json_text(event, "sw_ident"));
    if (rc == CONEY_OK)
        rc = put(out, "", json_text(event, "sw_ver"));
    if (rc == CONEY_OK)
        rc = put_number(out, "pid ", event, "pid");
    if (rc == CONEY_OK)
        rc = put_number(out, "active ", event, "active");
    if (rc == CONEY_OK)
        rc = put_number(out, "processed ", event, "processed");
    if (rc == CONEY_OK && json_is_number(load))
        rc = buffer_printf(out, " load %.2f", json_number_value(load));
    return rc;
}

enum coney_rc event_line(
        struct event_lines *l, const json_t *event, int64_t now_us, struct buffer *out)
{
    char clock[CLOCK_SIZE];
    char type[32];
    char node[CELL_SIZE];
    const char *id = json_text(event, "uuid");
    const char *hostname = json_text(event, "hostname");

    if (!event_is_one(event))
        return CONEY_OK;
    clock_text(event, now_us, clock);
    utf8_printable(type, sizeof(type),
            (struct bytes){.data = json_text(event, "type"),
                    .len = strlen(json_text(event, "type"))});
    hostname = hostname ? hostname : "?";
    utf8_printable(node, sizeof(node),
            (struct bytes){.data = hostname, .len = strlen(hostname)});
    enum coney_rc rc = buffer_printf(out, "%s %-16s %s", clock, type, node);
    if (rc == CONEY_OK)
        rc = id ? put_task(l, event, id, out) : put_worker(event, out);
    return rc == CONEY_OK ? buffer_append(out, "\n", 1) : rc;
}
