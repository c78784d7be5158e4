/* SPDX-License-Identifier: MIT */
/*
 * events.h - what monitors are told as it happens: the places to call from.
 *
 * Each call is cheap when nobody wants events, and never fails as far as the caller is
 * concerned: events wait in a bounded line and are dropped, and counted, rather than
 * delay a task.
 */
#ifndef CONEY_WORKER_EVENTS_H
#define CONEY_WORKER_EVENTS_H

#include "message/dead_letter.h"
#include "worker/pool.h"

struct job;
struct worker;

/* Why a task was revoked. */
enum revoked_why { REVOKED_EXPIRED, REVOKED_ASKED, REVOKED_TERMINATED };

void events_received(struct worker *w, const struct job *j);
void events_started(struct worker *w, const struct job *j);
void events_succeeded(struct worker *w, const struct job *j, const struct outcome *o);
void events_failed(struct worker *w, const struct job *j, const struct outcome *o);
void events_retried(struct worker *w, const struct job *j, const struct outcome *o);
/* The task itself wants never to see it again. */
void events_rejected(struct worker *w, const struct job *j);
/* It could not run at all. */
void events_unfit(
        struct worker *w, const struct job *j, enum dead_reason reason, const char *text);
void events_revoked(
        struct worker *w, const struct job *j, enum revoked_why why, int signum);

#endif /* CONEY_WORKER_EVENTS_H */
