/* SPDX-License-Identifier: MIT */
/*
 * source.h - what a struct config was made from, and what the files of this room share
 * while they make it. Private to the room.
 */
#ifndef CONEY_CONFIG_SOURCE_H
#define CONEY_CONFIG_SOURCE_H

#include "config/config.h"
#include "config/keys.h"
#include "config/node.h"

struct policies;

struct config_source {
    struct arena *arena;     /* owns all nodes and all strings of the config */
    struct node *root;       /* all files merged; sections completed with defaults */
    struct node **fallbacks; /* the default of each row of the table; NULL: none */
    const char **files;      /* in the order of reading */
    size_t file_count;
    struct policies *policies;
};

/* Read the table's defaults. CONEY_ENOMEM. */
enum coney_rc source_init_fallbacks(struct config_source *s) CONEY_MUST_CHECK;
/* The default of @k, or NULL. */
struct node *source_fallback(const struct config_source *s, const struct key *k);
/* Append to @map, whose row is @section, the defaults of all keys that it lacks, below
 * too. CONEY_ENOMEM. */
enum coney_rc source_complete(struct config_source *s, const struct key *section,
        struct node *map) CONEY_MUST_CHECK;
/* Store every value of the complete @map, whose row is @section, in the struct @into.
 * CONEY_ENOMEM. */
enum coney_rc source_store(struct config_source *s, const struct key *section,
        const struct node *map, void *into) CONEY_MUST_CHECK;

/* The section @name of the root; made when it is missing. NULL when out of memory. */
struct node *source_section(struct config_source *s, const char *name);

/* How far a map's own keys may be trusted: a mistake in it makes a rule about several
 * keys a guess. */
bool is_sound(const struct node *map);

#endif /* CONEY_CONFIG_SOURCE_H */
