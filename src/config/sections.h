/* SPDX-License-Identifier: MIT */
/* sections.h - from the merged tree into the structs, section by section. Private. */
#ifndef CONEY_CONFIG_SECTIONS_H
#define CONEY_CONFIG_SECTIONS_H

#include "config/config.h"

/*
 * Complete broker, worker, beat, classes and queues of c->source->root with their
 * defaults and store them in @c. Dangling names are added to @mistakes. CONEY_ENOMEM.
 */
enum coney_rc sections_fill(struct config *c, struct mistakes *mistakes) CONEY_MUST_CHECK;

/* The class @name, or -1. */
long class_find(const struct config *c, const char *name);
/* ", did you mean "high"?" or the names there are. */
void class_hint(const struct config *c, const char *name, char *text, size_t size);
void queue_hint(const struct config *c, const char *name, char *text, size_t size);

#endif /* CONEY_CONFIG_SECTIONS_H */
