/* SPDX-License-Identifier: MIT */
/* canvas_ends.c - a walk over signatures as they came, which trusts nothing. */
#include "message/canvas_ends.h"

#include "message/canvas.h"
#include "message/canvas_shape.h"
#include "message/task.h"

#include <stddef.h>

struct walk {
    canvas_end_fn *each;
    void *ctx;
    size_t count;
    unsigned depth;
    bool in_header;
};

static void visit(struct walk *w, const json_t *s);

static void visit_all(struct walk *w, const json_t *tasks)
{
    for (size_t i = 0; i < json_array_size(tasks); i++)
        visit(w, json_array_get(tasks, i));
}

static void visit_task(struct walk *w, const json_t *s)
{
    const json_t *index = signature_option(s, "group_index");
    const struct canvas_end end = {
            .id = signature_text(s, "task_id"),
            .reply_to = signature_text(s, "reply_to"),
            .group = signature_text(s, "group_id"),
            .group_index = json_is_integer(index) ? json_integer_value(index) : TASK_NONE,
            .chord = w->in_header ? NULL : signature_option(s, "chord"),
            .ignore_result = json_is_true(signature_option(s, "ignore_result")),
    };

    if (end.id)
        w->each(w->ctx, &end);
}

static void visit_chord(struct walk *w, const json_t *s)
{
    const json_t *header = canvas_header(s);
    bool was_in_header = w->in_header;

    w->in_header = true;
    if (json_is_array(header))
        visit_all(w, header);
    else
        visit(w, header);
    w->in_header = was_in_header;
    visit(w, canvas_body(s));
}

static void visit(struct walk *w, const json_t *s)
{
    if (w->depth == CANVAS_DEPTH_MAX || w->count == CANVAS_TASKS_MAX)
        return;
    w->depth++;
    w->count++;
    switch (signature_kind(s)) {
    case SIGNATURE_CHAIN:
    case SIGNATURE_GROUP:
        visit_all(w, canvas_tasks(s));
        break;
    case SIGNATURE_CHORD:
        visit_chord(w, s);
        break;
    case SIGNATURE_TASK:
    case SIGNATURE_CHUNKS:
        visit_task(w, s);
        break;
    }
    w->depth--;
}

void canvas_ends(const json_t *chain, canvas_end_fn *each, void *ctx)
{
    struct walk w = {.each = each, .ctx = ctx};

    for (size_t i = json_array_size(chain); i > 0; i--)
        visit(&w, json_array_get(chain, i - 1));
}
