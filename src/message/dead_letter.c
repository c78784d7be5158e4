/* SPDX-License-Identifier: MIT */
/*
 * dead_letter.c - evidence written into headers, within its two limits.
 *
 * The one is DEAD_EVIDENCE_MAX. The other is the frame: headers travel in one, and a
 * letter that can't be published would hold up its queue for ever. So when a message
 * comes with headers that leave too little room, the evidence shrinks to its core, and
 * in the end the largest of those headers go.
 */
#include "message/dead_letter.h"

#include "base/utf8.h"
#include "message/history.h"
#include "message/time.h"

#include <string.h>

enum {
    FRAME_ROOM = 120 * 1024, /* of RabbitMQ's frame_max of 128 KiB, properties aside */
    QUEUE_MAX = 255
};

static const char *const evidence_names[] = {"coney-reason", "coney-error",
        "coney-attempts", HISTORY_HEADER, "coney-queue", "coney-dead-at", "coney-signal",
        "coney-exit-status", "coney-max-rss-kib", "coney-stderr"};

const char *dead_reason_name(enum dead_reason reason)
{
    switch (reason) {
    case DEAD_MAX_RETRIES:
        return "max_retries";
    case DEAD_FAILED:
        return "failed";
    case DEAD_CRASHED:
        return "crashed";
    case DEAD_TIMED_OUT:
        return "timed_out";
    case DEAD_MALFORMED:
        return "malformed";
    case DEAD_UNKNOWN_TASK:
        return "unknown_task";
    case DEAD_REJECTED:
        return "rejected";
    case DEAD_FORBIDDEN:
        return "forbidden";
    }
    return "failed";
}

/* --- sizes on the wire (AMQP 0-9-1 §4.2.5.5) -----------------------------------------
 */

static size_t table_size(const struct table *t, bool has_keys);

static size_t value_size(const struct field *f)
{
    switch (f->type) {
    case FIELD_VOID:
        return 0;
    case FIELD_BOOL:
    case FIELD_I8:
    case FIELD_U8:
        return 1;
    case FIELD_I16:
    case FIELD_U16:
        return 2;
    case FIELD_I32:
    case FIELD_U32:
    case FIELD_F32:
        return 4;
    case FIELD_DECIMAL:
        return 5;
    case FIELD_I64:
    case FIELD_F64:
    case FIELD_TIME:
        return 8;
    case FIELD_STRING:
    case FIELD_BYTES:
        return 4 + f->value.text.len;
    case FIELD_TABLE:
    case FIELD_ARRAY:
        break;
    }
    return 4 + table_size(&f->value.table, f->type == FIELD_TABLE);
}

static size_t field_size(const struct field *f, bool has_key)
{
    return (has_key ? 1 + f->key.len : 0) + 1 + value_size(f);
}

static size_t table_size(const struct table *t, bool has_keys)
{
    size_t size = 0;

    for (size_t i = 0; i < t->count; i++)
        size += field_size(&t->fields[i], has_keys);
    return size;
}

/* --- writing -------------------------------------------------------------------------
 */

/* The evidence in the making; what may shrink stands on its own. */
struct letter {
    struct arena *a;
    const struct evidence *evidence;
    struct history history;
    struct bytes error;       /* data NULL: none */
    struct bytes stderr_tail; /* likewise */
};

static enum coney_rc set_bytes(
        struct table *t, struct arena *a, const char *key, struct bytes text)
{
    struct field f = {.key = {.data = key, .len = strlen(key)}, .type = FIELD_STRING};

    if (!text.data)
        return CONEY_OK;
    f.value.text = text;
    return table_set(t, a, &f);
}

static enum coney_rc set_text(
        struct table *t, struct arena *a, const char *key, const char *text, size_t max)
{
    if (!text)
        return CONEY_OK;
    struct bytes b = utf8_repair(a, (struct bytes){.data = text, .len = strlen(text)});
    if (!b.data)
        return CONEY_ENOMEM;
    b.len = utf8_cut(b, max);
    return set_bytes(t, a, key, b);
}

static enum coney_rc set_count(
        struct table *t, struct arena *a, const char *key, int64_t value, bool is_known)
{
    return is_known ? table_set_integer(t, a, key, value) : CONEY_OK;
}

/* What is short, and always there. */
static enum coney_rc write_core(const struct letter *l, struct table *t)
{
    const struct evidence *ev = l->evidence;
    char at[TIME_TEXT_SIZE];

    time_format(ev->dead_at_us, at);
    enum coney_rc rc =
            set_text(t, l->a, "coney-reason", dead_reason_name(ev->reason), QUEUE_MAX);
    if (rc == CONEY_OK)
        rc = set_text(t, l->a, "coney-dead-at", at, sizeof(at));
    if (rc == CONEY_OK)
        rc = set_text(t, l->a, "coney-queue", ev->queue, QUEUE_MAX);
    if (rc == CONEY_OK)
        rc = set_count(t, l->a, "coney-attempts", ev->attempts, true);
    if (rc == CONEY_OK)
        rc = set_count(t, l->a, "coney-signal", ev->signal, ev->signal != 0);
    if (rc == CONEY_OK)
        rc = set_count(
                t, l->a, "coney-exit-status", ev->exit_status, ev->exit_status >= 0);
    if (rc == CONEY_OK)
        rc = set_count(
                t, l->a, "coney-max-rss-kib", ev->max_rss_kib, ev->max_rss_kib >= 0);
    return rc;
}

static enum coney_rc write_evidence(const struct letter *l, struct table *t)
{
    struct field history;

    *t = (struct table){.fields = NULL};
    enum coney_rc rc = write_core(l, t);
    if (rc == CONEY_OK)
        rc = set_bytes(t, l->a, "coney-error", l->error);
    if (rc == CONEY_OK)
        rc = set_bytes(t, l->a, "coney-stderr", l->stderr_tail);
    if (rc != CONEY_OK || l->history.count == 0)
        return rc;
    rc = history_field(&l->history, l->a, &history);
    return rc == CONEY_OK ? table_append(t, l->a, &history) : rc;
}

/* --- fitting -------------------------------------------------------------------------
 */

/* Drop at least @excess bytes from the front, and then the rest of that line: the last
 * lines tell most. */
static struct bytes cut_front(struct bytes text, size_t excess)
{
    const char *start = text.data;
    const char *line =
            excess < text.len ? memchr(start + excess, '\n', text.len - excess) : NULL;

    if (!line || line + 1 == start + text.len)
        return (struct bytes){.data = NULL};
    return (struct bytes){
            .data = line + 1, .len = (size_t)(start + text.len - (line + 1))};
}

/* Take away one piece; false when there is nothing left to take. */
static bool shrink(struct letter *l, size_t excess)
{
    if (l->history.count > 0)
        history_drop_oldest(&l->history);
    else if (l->stderr_tail.data)
        l->stderr_tail = cut_front(l->stderr_tail, excess);
    else if (l->error.len > excess)
        l->error.len = utf8_cut(l->error, l->error.len - excess);
    else if (l->error.data)
        l->error = (struct bytes){.data = NULL};
    else
        return false;
    return true;
}

static enum coney_rc write_fitting(struct letter *l, size_t max, struct table *out)
{
    for (;;) {
        enum coney_rc rc = write_evidence(l, out);
        if (rc != CONEY_OK)
            return rc;
        size_t size = table_size(out, true);
        if (size <= max || !shrink(l, size - max))
            return CONEY_OK;
    }
}

static void drop_largest(struct table *t)
{
    size_t largest = 0;

    for (size_t i = 1; i < t->count; i++)
        if (field_size(&t->fields[i], true) > field_size(&t->fields[largest], true))
            largest = i;
    t->count--;
    memmove(t->fields + largest, t->fields + largest + 1,
            (t->count - largest) * sizeof(t->fields[0]));
}

/* --- the letter ----------------------------------------------------------------------
 */

static enum coney_rc open_letter(struct letter *l, const struct envelope *e)
{
    const struct evidence *ev = l->evidence;
    struct bytes tail = ev->stderr_tail;

    enum coney_rc rc = history_read(&e->headers, l->a, &l->history);
    if (rc == CONEY_OK && ev->last)
        rc = history_add(&l->history, l->a, ev->last);
    if (rc == CONEY_OK && ev->error) {
        l->error = utf8_repair(
                l->a, (struct bytes){.data = ev->error, .len = strlen(ev->error)});
        rc = l->error.data ? CONEY_OK : CONEY_ENOMEM;
    }
    if (rc != CONEY_OK || tail.len == 0)
        return rc;
    if (tail.len > DEAD_EVIDENCE_MAX) {
        tail.data = (const char *)tail.data + (tail.len - DEAD_EVIDENCE_MAX);
        tail.len = DEAD_EVIDENCE_MAX;
    }
    l->stderr_tail = utf8_repair(l->a, tail);
    return l->stderr_tail.data ? CONEY_OK : CONEY_ENOMEM;
}

static enum coney_rc add_evidence(struct envelope *out, const struct evidence *evidence)
{
    struct letter l = {.a = out->arena, .evidence = evidence};
    struct table added;

    enum coney_rc rc = open_letter(&l, out);
    if (rc != CONEY_OK)
        return rc;
    for (size_t i = 0; i < sizeof(evidence_names) / sizeof(evidence_names[0]); i++)
        table_remove(&out->headers, evidence_names[i]);
    size_t taken = table_size(&out->headers, true);
    size_t room = taken < FRAME_ROOM ? FRAME_ROOM - taken : 0;
    rc = write_fitting(&l, room < DEAD_EVIDENCE_MAX ? room : DEAD_EVIDENCE_MAX, &added);
    while (out->headers.count > 0 &&
            table_size(&out->headers, true) + table_size(&added, true) > FRAME_ROOM)
        drop_largest(&out->headers);
    for (size_t i = 0; i < added.count && rc == CONEY_OK; i++)
        rc = table_append(&out->headers, out->arena, &added.fields[i]);
    return rc;
}

enum coney_rc dead_letter_encode(
        const struct envelope *e, const struct evidence *evidence, struct envelope *out)
{
    enum coney_rc rc = envelope_copy(out, e);

    if (rc != CONEY_OK)
        return rc;
    envelope_strip_broker_headers(out);
    out->properties.delivery_mode = DELIVERY_PERSISTENT;
    rc = add_evidence(out, evidence);
    if (rc != CONEY_OK)
        envelope_fini(out);
    return rc;
}
