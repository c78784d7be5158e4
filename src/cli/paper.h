/* SPDX-License-Identifier: MIT */
/*
 * paper.h - a configuration in the writing: YAML with comments, and notes about what did
 * not get into it.
 *
 * What comes from workers is quoted where YAML would take it for something else, and made
 * fit for one line where it stands in a comment. The first failure is kept; what follows
 * it does nothing.
 */
#ifndef CONEY_CLI_PAPER_H
#define CONEY_CLI_PAPER_H

#include "base/arena.h"

#include <jansson.h>

struct paper {
    struct buffer text;
    struct arena *arena; /* owned */
    json_t *notes;       /* owned; array of texts */
    enum coney_rc rc;
};

void paper_init(struct paper *p, size_t text_max);
void paper_fini(struct paper *p);

/* Append text as printf. */
void paper_put(struct paper *p, const char *fmt, ...) CONEY_PRINTF(2, 3);
/* Remember what could not be written, made fit for one line. */
void paper_note(struct paper *p, const char *fmt, ...) CONEY_PRINTF(2, 3);
/* All notes as comments, each after "# - ". */
void paper_put_notes(struct paper *p);

/* @text as YAML: plain where that is safe, else in double quotes. From the paper's arena;
 * "" after a failure. */
const char *paper_scalar(struct paper *p, const char *text);
/* @value as YAML in one line, which JSON is. Likewise. */
const char *paper_json(struct paper *p, const json_t *value);
/* @text for a comment. Likewise. */
const char *paper_comment(struct paper *p, const char *text);

#endif /* CONEY_CLI_PAPER_H */
