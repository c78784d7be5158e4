/* SPDX-License-Identifier: MIT */
/* entries.h - schedule: as entries for the schedule room. Private to the config room. */
#ifndef CONEY_CONFIG_ENTRIES_H
#define CONEY_CONFIG_ENTRIES_H

#include "config/config.h"

/* Fill c->entries from the checked tree; what is missing, contradictory or dangling is
 * added to @mistakes. CONEY_ENOMEM. */
enum coney_rc entries_fill(struct config *c, struct mistakes *mistakes) CONEY_MUST_CHECK;
void entries_free(struct config *c);

#endif /* CONEY_CONFIG_ENTRIES_H */
