/* SPDX-License-Identifier: MIT */
/*
 * change.h - a configuration in force is changed by command: the queues consumed from.
 * The file it came from does not change; the next reload forgets it.
 */
#ifndef CONEY_CONFIG_CHANGE_H
#define CONEY_CONFIG_CHANGE_H

#include "config/config.h"

/* One more queue, which exists already: passive, in the class "default" or the first.
 * CONEY_EINVAL: not a name, text says why; CONEY_ENOMEM. Pointers to queues before this
 * call stay good, but are no longer those of @c. */
enum coney_rc config_add_queue(
        struct config *c, const char *name, struct coney_error *err) CONEY_MUST_CHECK;
/* False: there is no such queue. */
bool config_remove_queue(struct config *c, const char *name);

#endif /* CONEY_CONFIG_CHANGE_H */
