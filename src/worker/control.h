/* SPDX-License-Identifier: MIT */
/*
 * control.h - remote control and events of one worker, as its other parts see them.
 *
 * A worker without them (control.enabled: false) has no struct control; every call
 * accepts that.
 */
#ifndef CONEY_WORKER_CONTROL_H
#define CONEY_WORKER_CONTROL_H

#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

struct config;
struct control;
struct job;
struct limits;
struct task_request;
struct worker;

/* Begin, by the configuration in force: sets w->control, or leaves it NULL. */
enum coney_rc control_start(struct worker *w, struct coney_error *err) CONEY_MUST_CHECK;
/* A new configuration is in force after @old: what was changed by command is forgotten,
 * connections and timers go by what it says. */
void control_reload(struct worker *w, const struct config *old, bool is_same_broker);
/* Outside of all callbacks: free what is closed, connect anew. */
void control_sweep(struct worker *w);
/* Say that this worker goes, and goodbye; no more commands. */
void control_stop(struct worker *w);
/* Nothing of it is on the wire any more. */
bool control_is_closed(const struct worker *w);
/* What holds for @task after what commands have said. */
int64_t control_rate(const struct worker *w, const char *task, int64_t configured);
void control_limits(const struct worker *w, const char *task,
        const struct task_request *r, struct limits *limits);
/* Whether @j is revoked, by its id or a stamp. */
bool control_is_revoked(const struct worker *w, const struct job *j);
/* Whether tasks may be consumed: what the broker keeps of revocations has been read, or
 * was waited for long enough. connect_consume() follows otherwise. */
bool control_may_consume(struct worker *w);
/* At once; the loop must run on to let go of the timers. */
void control_free(struct worker *w);

#endif /* CONEY_WORKER_CONTROL_H */
