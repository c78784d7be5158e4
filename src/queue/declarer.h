/* SPDX-License-Identifier: MIT */
/*
 * declarer.h - makes sure that every broker object exists, on a channel of its own.
 *
 * The list of objects comes from topology.h; all declarations leave pipelined in one
 * write, so an existing set costs one round trip. The owner starts a declarer after each
 * SESSION_UP, hands it every event, and goes on when it is done. A refusal (406) ends it
 * with an error that names the object, the argument and both values.
 */
#ifndef CONEY_QUEUE_DECLARER_H
#define CONEY_QUEUE_DECLARER_H

#include "amqp/session.h"
#include "queue/topology.h"

enum declarer_state { DECLARER_IDLE, DECLARER_BUSY, DECLARER_DONE, DECLARER_FAILED };

struct declarer;

/* @topology is borrowed for the declarer's life. NULL when out of memory. */
struct declarer *declarer_new(const struct topology *topology);
void declarer_free(struct declarer *d);

/* Begin (again) on @s, which must be up. CONEY_ECLOSED, CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc declarer_start(struct declarer *d, struct session *s) CONEY_MUST_CHECK;
/* Look at @ev; true when it was about this declarer's channel and needs no further look.
 */
bool declarer_handle(
        struct declarer *d, struct session *s, const struct session_event *ev);
enum declarer_state declarer_state(const struct declarer *d);
/* Why it failed. */
const struct coney_error *declarer_error(const struct declarer *d);
/* Messages that were ready in @queue when it was declared; -1 unknown. */
int64_t declarer_ready_count(const struct declarer *d, const char *queue);

#endif /* CONEY_QUEUE_DECLARER_H */
