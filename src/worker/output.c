/* SPDX-License-Identifier: MIT */
/* output.c - a ring for the tail, a line being collected, and a bucket of credit. */
#include "worker/output.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    LINE_COST_MS = 1000 / OUTPUT_LINES_PER_S,
    CREDIT_MAX_MS = OUTPUT_LINES_BURST * LINE_COST_MS
};

void output_init(struct output *o, output_line_fn *on_line, void *ctx, int64_t now_ms)
{
    o->on_line = on_line;
    o->ctx = ctx;
    o->credit_ms = CREDIT_MAX_MS;
    o->credited_ms = now_ms;
    o->unseen = 0;
    o->written = 0;
    o->line_len = 0;
}

static void earn_credit(struct output *o, int64_t now_ms)
{
    int64_t earned_ms = now_ms - o->credited_ms;
    o->credited_ms = now_ms;
    o->credit_ms += earned_ms < CREDIT_MAX_MS ? earned_ms : CREDIT_MAX_MS;
    if (o->credit_ms > CREDIT_MAX_MS)
        o->credit_ms = CREDIT_MAX_MS;
}

static void report_unseen(struct output *o)
{
    char text[96];
    if (o->unseen == 0)
        return;
    snprintf(text, sizeof(text), "output held back  lines=%lu limit=%d/s", o->unseen,
            OUTPUT_LINES_PER_S);
    o->unseen = 0;
    o->on_line(o->ctx, text);
}

static bool spend_credit(struct output *o)
{
    if (o->credit_ms < LINE_COST_MS) {
        o->unseen++;
        return false;
    }
    o->credit_ms -= LINE_COST_MS;
    report_unseen(o);
    return true;
}

bool output_spend(struct output *o, int64_t now_ms)
{
    earn_credit(o, now_ms);
    return spend_credit(o);
}

static void end_line(struct output *o)
{
    o->line[o->line_len] = '\0';
    o->line_len = 0;
    if (spend_credit(o))
        o->on_line(o->ctx, o->line);
}

static void collect_lines(struct output *o, const char *data, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(data, '\n', len);
        size_t piece = newline ? (size_t)(newline - data) : len;
        size_t room = OUTPUT_LINE_MAX - o->line_len;
        bool fits = piece <= room;
        if (!fits)
            piece = room;
        memcpy(o->line + o->line_len, data, piece);
        o->line_len += piece;
        data += piece;
        len -= piece;
        if (!fits || newline)
            end_line(o);
        if (fits && newline) {
            data++;
            len--;
        }
    }
}

static void keep_tail(struct output *o, const char *data, size_t len)
{
    if (len > OUTPUT_TAIL_SIZE) {
        o->written += len - OUTPUT_TAIL_SIZE;
        data += len - OUTPUT_TAIL_SIZE;
        len = OUTPUT_TAIL_SIZE;
    }
    size_t at = (size_t)(o->written % OUTPUT_TAIL_SIZE);
    size_t first = len < OUTPUT_TAIL_SIZE - at ? len : OUTPUT_TAIL_SIZE - at;
    memcpy(o->tail + at, data, first);
    memcpy(o->tail, data + first, len - first);
    o->written += len;
}

void output_take(struct output *o, const char *data, size_t len, int64_t now_ms)
{
    keep_tail(o, data, len);
    earn_credit(o, now_ms);
    collect_lines(o, data, len);
}

void output_flush(struct output *o, int64_t now_ms)
{
    earn_credit(o, now_ms);
    if (o->line_len > 0)
        end_line(o);
    report_unseen(o);
}

void output_forget(struct output *o)
{
    o->written = 0;
}

size_t output_tail(const struct output *o, char space[OUTPUT_TAIL_SIZE])
{
    if (o->written <= OUTPUT_TAIL_SIZE) {
        memcpy(space, o->tail, (size_t)o->written);
        return (size_t)o->written;
    }
    size_t oldest = (size_t)(o->written % OUTPUT_TAIL_SIZE);
    memcpy(space, o->tail + oldest, OUTPUT_TAIL_SIZE - oldest);
    memcpy(space + OUTPUT_TAIL_SIZE - oldest, o->tail, oldest);
    return OUTPUT_TAIL_SIZE;
}
