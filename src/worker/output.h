/* SPDX-License-Identifier: MIT */
/*
 * output.h - what a runner writes to its standard output and error.
 *
 * Keeps the last 8 KiB of an attempt as evidence and hands on whole lines for the log, so
 * many a second and no more. It is given bytes and the time and touches no descriptor.
 */
#ifndef CONEY_WORKER_OUTPUT_H
#define CONEY_WORKER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OUTPUT_TAIL_SIZE = 8 * 1024,
    OUTPUT_LINE_MAX = 1024,   /* a longer line is handed on in pieces */
    OUTPUT_LINES_BURST = 100, /* at once, and then this many a second: */
    OUTPUT_LINES_PER_S = 20
};

/* @line is terminated and borrowed for the call; it has no newline. */
typedef void output_line_fn(void *ctx, const char *line);

struct output {
    output_line_fn *on_line;
    void *ctx;            /* borrowed */
    int64_t credit_ms;    /* earned by time, spent by lines */
    int64_t credited_ms;  /* when it was last earned */
    unsigned long unseen; /* lines that found no credit, not yet reported */
    uint64_t written;     /* bytes of this attempt; its last ones are in tail[] */
    size_t line_len;
    char line[OUTPUT_LINE_MAX + 1];
    char tail[OUTPUT_TAIL_SIZE]; /* a ring: byte n is at n modulo its size */
};

void output_init(struct output *o, output_line_fn *on_line, void *ctx, int64_t now_ms);
void output_take(struct output *o, const char *data, size_t len, int64_t now_ms);
/* Hand on what has no newline yet, and the number of lines that were held back. */
void output_flush(struct output *o, int64_t now_ms);
/* Whether a line that came another way may be shown; if not, it counts as held back. */
bool output_spend(struct output *o, int64_t now_ms);
/* A new attempt begins: its tail is empty. */
void output_forget(struct output *o);
/* Copy the tail to @space; returns its length. */
size_t output_tail(const struct output *o, char space[OUTPUT_TAIL_SIZE]);

#endif /* CONEY_WORKER_OUTPUT_H */
