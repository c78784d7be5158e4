/* SPDX-License-Identifier: MIT */
/* rules.h - what several keys must be to each other. Private to the config room. */
#ifndef CONEY_CONFIG_RULES_H
#define CONEY_CONFIG_RULES_H

#include "config/config.h"

/* Look at the whole of @c, filled; what contradicts itself, points to nothing or can't
 * work is added to @mistakes. CONEY_ENOMEM. */
enum coney_rc rules_check(struct config *c, struct mistakes *mistakes) CONEY_MUST_CHECK;

#endif /* CONEY_CONFIG_RULES_H */
