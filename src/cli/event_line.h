/* SPDX-License-Identifier: MIT */
/*
 * event_line.h - one event of a worker or of a task as one line for people. Pure.
 *
 * Events come from strangers: whatever is missing is left out, and what can't be an event
 * becomes no line. Only the first event of a task tells its name, so names are remembered
 * by id, for the latest few thousand tasks.
 */
#ifndef CONEY_CLI_EVENT_LINE_H
#define CONEY_CLI_EVENT_LINE_H

#include "base/buffer.h"

#include <jansson.h>
#include <stdbool.h>

struct event_lines {
    json_t *names; /* owned: id to task name */
};

/* CONEY_ENOMEM. */
enum coney_rc event_lines_init(struct event_lines *l) CONEY_MUST_CHECK;
void event_lines_fini(struct event_lines *l);

/* Whether @event is one at all: an object that has a type. */
bool event_is_one(const json_t *event);
/* Whether it says no more than that a worker is still there. */
bool event_is_heartbeat(const json_t *event);

/* Append the line of @event, or nothing if it is none; @now_us where it has no time of
 * its own. CONEY_ENOMEM, CONEY_ELIMIT. */
enum coney_rc event_line(struct event_lines *l, const json_t *event, int64_t now_us,
        struct buffer *out) CONEY_MUST_CHECK;

#endif /* CONEY_CLI_EVENT_LINE_H */
