/* SPDX-License-Identifier: MIT */
/* refusal.h - what the broker meant when it refused an object, and what to do about it.
 */
#ifndef CONEY_QUEUE_REFUSAL_H
#define CONEY_QUEUE_REFUSAL_H

#include "queue/topology.h"

/*
 * Set @err to one sentence about the refusal of @item (NULL: not known which) with the
 * AMQP reply @code and the broker's @text: the object, what is wrong with it (for a 406
 * the argument and both values, for a 403 the permission), and the remedy. Its rc is
 * CONEY_ENOTFOUND for a 404, else CONEY_EREFUSED.
 */
void refusal_explain(const struct declaration *item, unsigned code, const char *text,
        struct coney_error *err);

#endif /* CONEY_QUEUE_REFUSAL_H */
