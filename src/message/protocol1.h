/* SPDX-License-Identifier: MIT */
/*
 * protocol1.h - task messages of Celery's protocol 1, turned into protocol 2.
 *
 * Protocol 1 (Celery 3, `task_protocol = 1`, and several clients in other languages) has
 * no task headers: its body is one object with everything in it. A hybrid has protocol
 * 2's headers and such a body all the same. Both are rewritten as they arrive, so that
 * all that follows, retries and dead letters included, knows protocol 2 alone.
 */
#ifndef CONEY_MESSAGE_PROTOCOL1_H
#define CONEY_MESSAGE_PROTOCOL1_H

#include "message/task.h"

/*
 * Give @e the headers and the body that protocol 2 has for what it says; values keep
 * their spelling. The old ones stay valid, in @e's arena. A message that is not of
 * protocol 1 is left alone, and so is one that fails: CONEY_ESYNTAX, CONEY_ELIMIT,
 * CONEY_ENOMEM. What only task_decode() checks, it still has to check.
 */
enum coney_rc protocol1_upgrade(struct envelope *e, const struct message_limits *limits,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_PROTOCOL1_H */
