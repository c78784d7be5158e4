/* SPDX-License-Identifier: MIT */
/*
 * task_headers.c - a table of the headers we read, found in one pass.
 *
 * A name that comes twice is refused: our search would take the first, Python the last.
 */
#include "message/task_headers.h"

#include "base/error.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN_SIZE = 48 };

enum header {
    HEADER_TASK,
    HEADER_ID,
    HEADER_SHADOW,
    HEADER_ETA,
    HEADER_EXPIRES,
    HEADER_GROUP,
    HEADER_GROUP_INDEX,
    HEADER_RETRIES,
    HEADER_TIMELIMIT,
    HEADER_ROOT_ID,
    HEADER_PARENT_ID,
    HEADER_ORIGIN,
    HEADER_IGNORE_RESULT,
    HEADER_COMPRESSION,
    HEADER_COUNT
};

static const char *const names[HEADER_COUNT] = {
        [HEADER_TASK] = "task",
        [HEADER_ID] = "id",
        [HEADER_SHADOW] = "shadow",
        [HEADER_ETA] = "eta",
        [HEADER_EXPIRES] = "expires",
        [HEADER_GROUP] = "group",
        [HEADER_GROUP_INDEX] = "group_index",
        [HEADER_RETRIES] = "retries",
        [HEADER_TIMELIMIT] = "timelimit",
        [HEADER_ROOT_ID] = "root_id",
        [HEADER_PARENT_ID] = "parent_id",
        [HEADER_ORIGIN] = "origin",
        [HEADER_IGNORE_RESULT] = "ignore_result",
        [HEADER_COMPRESSION] = "compression",
};

struct reader {
    const struct envelope *e;
    size_t name_max;
    struct task_request *r;
    struct coney_error *err;
    const struct field *found[HEADER_COUNT]; /* NULL: absent or void */
};

static bool is_named(const struct field *f, const char *name)
{
    return f->key.len == strlen(name) && memcmp(f->key.data, name, f->key.len) == 0;
}

static enum coney_rc find_all(struct reader *rd)
{
    const struct table *t = &rd->e->headers;
    bool seen[HEADER_COUNT] = {false};

    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        size_t h = 0;
        while (h < HEADER_COUNT && !is_named(f, names[h]))
            h++;
        if (h == HEADER_COUNT)
            continue;
        if (seen[h])
            return error_set(rd->err, CONEY_ESYNTAX, "header %s comes twice", names[h]);
        seen[h] = true;
        rd->found[h] = f->type == FIELD_VOID ? NULL : f;
    }
    return CONEY_OK;
}

static enum coney_rc wrong(struct reader *rd, enum header h, const char *what)
{
    return error_set(rd->err, CONEY_ESYNTAX, "header %s is not %s", names[h], what);
}

static enum coney_rc copy_name(
        struct reader *rd, const char *what, struct bytes text, const char **out)
{
    if (text.len == 0) {
        *out = NULL; /* as in Python, an empty name is none */
        return CONEY_OK;
    }
    if (memchr(text.data, '\0', text.len) || !utf8_is_valid(text))
        return error_set(rd->err, CONEY_ESYNTAX, "%s is not UTF-8 text", what);
    if (text.len > rd->name_max)
        return error_set(rd->err, CONEY_ELIMIT, "%s has %zu bytes, more than %zu", what,
                text.len, rd->name_max);
    *out = arena_copy(rd->r->arena, text).data;
    return *out ? CONEY_OK : error_set_nomem(rd->err);
}

static enum coney_rc read_text(struct reader *rd, enum header h, const char **out)
{
    char what[32];
    const struct field *f = rd->found[h];

    *out = NULL;
    if (!f)
        return CONEY_OK;
    if (f->type != FIELD_STRING)
        return wrong(rd, h, "a text");
    snprintf(what, sizeof(what), "header %s", names[h]);
    return copy_name(rd, what, f->value.text, out);
}

static enum coney_rc read_required(struct reader *rd, enum header h, const char **out)
{
    enum coney_rc rc = read_text(rd, h, out);

    if (rc == CONEY_OK && !*out)
        return error_set(rd->err, CONEY_ESYNTAX, "no header %s", names[h]);
    return rc;
}

static enum coney_rc read_count(
        struct reader *rd, enum header h, int64_t absent, int64_t *out)
{
    *out = absent;
    if (!rd->found[h])
        return CONEY_OK;
    if (!table_integer(&rd->e->headers, names[h], out))
        return wrong(rd, h, "an integer");
    if (*out < 0 || *out > INT32_MAX)
        return wrong(rd, h, "from 0 to 2147483647");
    return CONEY_OK;
}

static enum coney_rc read_time(struct reader *rd, enum header h, int64_t *out)
{
    char shown[SHOWN_SIZE];
    const struct field *f = rd->found[h];
    char text[SHOWN_SIZE];

    *out = TASK_NO_TIME;
    if (!f)
        return CONEY_OK;
    if (f->type != FIELD_STRING)
        return wrong(rd, h, "a time in text");
    struct bytes b = f->value.text;
    if (b.len > 0 && b.len < sizeof(text) && !memchr(b.data, '\0', b.len)) {
        memcpy(text, b.data, b.len);
        text[b.len] = '\0';
        if (time_parse(text, out) == CONEY_OK)
            return CONEY_OK;
    }
    utf8_printable(shown, sizeof(shown), b);
    return error_set(rd->err, CONEY_ESYNTAX, "header %s is \"%s\", not an ISO 8601 time",
            names[h], shown);
}

static bool is_number(const struct field *f, double *value)
{
    switch (f->type) {
    case FIELD_I8:
    case FIELD_U8:
    case FIELD_I16:
    case FIELD_U16:
    case FIELD_I32:
    case FIELD_U32:
    case FIELD_I64:
        *value = (double)f->value.integer;
        return true;
    case FIELD_F32:
    case FIELD_F64:
        *value = f->value.number;
        return true;
    case FIELD_DECIMAL:
        *value = f->value.decimal.digits;
        for (int i = 0; i < f->value.decimal.scale; i++)
            *value /= 10;
        return true;
    case FIELD_VOID:
    case FIELD_BOOL:
    case FIELD_STRING:
    case FIELD_BYTES:
    case FIELD_TIME:
    case FIELD_TABLE:
    case FIELD_ARRAY:
        break;
    }
    return false;
}

/* Seconds, of which 0 means no limit, as in Python. A fraction of a millisecond counts as
 * a whole one, so that a limit never becomes none. */
static enum coney_rc read_limit(
        struct reader *rd, const struct field *f, int64_t *limit_ms)
{
    double seconds;

    *limit_ms = TASK_NONE;
    if (f->type == FIELD_VOID)
        return CONEY_OK;
    if (!is_number(f, &seconds))
        return wrong(rd, HEADER_TIMELIMIT, "two numbers or nulls");
    /* Said this way round, not-a-number is refused too. */
    if (!(seconds >= 0 && seconds <= (double)TASK_TIME_LIMIT_MAX_MS / 1000))
        return wrong(rd, HEADER_TIMELIMIT, "from 0 to 1000000000 s");
    if (seconds == 0)
        return CONEY_OK;
    *limit_ms = (int64_t)(seconds * 1000);
    if ((double)*limit_ms < seconds * 1000)
        ++*limit_ms;
    return CONEY_OK;
}

static enum coney_rc read_limits(struct reader *rd)
{
    const struct field *f = rd->found[HEADER_TIMELIMIT];
    struct task_request *r = rd->r;

    r->time_limit_ms = r->soft_time_limit_ms = TASK_NONE;
    if (!f)
        return CONEY_OK;
    if (f->type != FIELD_ARRAY ||
            (f->value.table.count != 0 && f->value.table.count != 2))
        return wrong(rd, HEADER_TIMELIMIT, "an array of two");
    if (f->value.table.count == 0)
        return CONEY_OK;
    enum coney_rc rc = read_limit(rd, &f->value.table.fields[0], &r->time_limit_ms);
    if (rc == CONEY_OK)
        rc = read_limit(rd, &f->value.table.fields[1], &r->soft_time_limit_ms);
    return rc;
}

static enum coney_rc read_ignore_result(struct reader *rd)
{
    const struct field *f = rd->found[HEADER_IGNORE_RESULT];

    rd->r->ignore_result = TASK_RESULT_DEFAULT;
    if (!f)
        return CONEY_OK;
    if (f->type != FIELD_BOOL)
        return wrong(rd, HEADER_IGNORE_RESULT, "true, false or null");
    rd->r->ignore_result = f->value.boolean ? TASK_RESULT_IGNORE : TASK_RESULT_KEEP;
    return CONEY_OK;
}

static enum coney_rc read_property(
        struct reader *rd, const char *what, const char *text, const char **out)
{
    *out = NULL;
    if (!text)
        return CONEY_OK;
    return copy_name(rd, what, (struct bytes){.data = text, .len = strlen(text)}, out);
}

static enum coney_rc read_properties(struct reader *rd)
{
    const struct properties *p = &rd->e->properties;
    struct task_request *r = rd->r;

    enum coney_rc rc = read_property(rd, "property reply_to", p->reply_to, &r->reply_to);
    if (rc == CONEY_OK)
        rc = read_property(
                rd, "property correlation_id", p->correlation_id, &r->correlation_id);
    if (!r->correlation_id)
        r->correlation_id = r->id;
    return rc;
}

static enum coney_rc read_names(struct reader *rd)
{
    enum coney_rc id = read_required(rd, HEADER_ID, &rd->r->id);
    struct coney_error *err = rd->err;
    if (id != CONEY_OK)
        rd->err = NULL; /* the first complaint stands; task is still of interest */
    enum coney_rc task = read_required(rd, HEADER_TASK, &rd->r->task);
    rd->err = err;
    return id != CONEY_OK ? id : task;
}

enum coney_rc task_headers_read(const struct envelope *e, size_t name_max,
        struct task_request *r, struct coney_error *err)
{
    struct reader rd = {.e = e, .name_max = name_max, .r = r, .err = err};
    const struct {
        enum header header;
        const char **out;
    } texts[] = {{HEADER_SHADOW, &r->shadow}, {HEADER_ROOT_ID, &r->root_id},
            {HEADER_PARENT_ID, &r->parent_id}, {HEADER_GROUP, &r->group},
            {HEADER_ORIGIN, &r->origin}};

    enum coney_rc rc = find_all(&rd);
    if (rc == CONEY_OK)
        rc = read_names(&rd);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && rc == CONEY_OK; i++)
        rc = read_text(&rd, texts[i].header, texts[i].out);
    if (rc == CONEY_OK)
        rc = read_count(&rd, HEADER_RETRIES, 0, &r->retries);
    if (rc == CONEY_OK)
        rc = read_count(&rd, HEADER_GROUP_INDEX, TASK_NONE, &r->group_index);
    if (rc == CONEY_OK)
        rc = read_time(&rd, HEADER_ETA, &r->eta_us);
    if (rc == CONEY_OK)
        rc = read_time(&rd, HEADER_EXPIRES, &r->expires_us);
    if (rc == CONEY_OK)
        rc = read_limits(&rd);
    if (rc == CONEY_OK)
        rc = read_ignore_result(&rd);
    return rc == CONEY_OK ? read_properties(&rd) : rc;
}

bool task_headers_is_reserved(struct bytes key)
{
    static const char *const reserved[] = {"lang", "task", "id", "shadow", "eta",
            "expires", "group", "group_index", "retries", "timelimit", "root_id",
            "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result",
            "replaced_task_nesting", "stamped_headers", "stamps", "compression",
            /* attributes and methods of celery.app.task.Context */
            "args", "kwargs", "callbacks", "errbacks", "chain", "chord",
            "called_directly", "correlation_id", "delivery_info", "headers", "hostname",
            "is_eager", "logfile", "loglevel", "properties", "reply_to", "taskset", "utc",
            "update", "clear", "get", "as_execution_options", "children", "_children",
            "_protected", "_get_custom_headers",
            /* the broker: sender-selected distribution would repeat with every retry */
            "CC", "BCC", "x-death", "x-delivery-count", "x-acquired-count"};
    static const char *const prefixes[] = {"__", "x-first-death-", "x-last-death-"};
    struct field f = {.key = key};

    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (is_named(&f, reserved[i]))
            return true;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t len = strlen(prefixes[i]);
        if (key.len >= len && memcmp(key.data, prefixes[i], len) == 0)
            return true;
    }
    return false;
}
