/* SPDX-License-Identifier: MIT */
/* secret.h - the broker's password, from where it is kept. Private to the config room. */
#ifndef CONEY_CONFIG_SECRET_H
#define CONEY_CONFIG_SECRET_H

#include "config/config.h"

/* Set c->broker.password from $CONEY_BROKER_PASSWORD, else from the password_file, which
 * nobody but owner and group may read. What is wrong is added to @mistakes. CONEY_ENOMEM.
 */
enum coney_rc secret_read(struct config *c, struct mistakes *mistakes) CONEY_MUST_CHECK;

#endif /* CONEY_CONFIG_SECRET_H */
