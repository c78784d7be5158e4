/* SPDX-License-Identifier: MIT */
/* check.h - one file's tree against the table of keys. Private to the room. */
#ifndef CONEY_CONFIG_CHECK_H
#define CONEY_CONFIG_CHECK_H

#include "config/config.h"
#include "config/node.h"

/* Who may read the file that a tree comes from. */
enum readers { READERS_TRUSTED, READERS_EVERYBODY };

/*
 * Look at every key and value of *@root. What is wrong is added to @mistakes and taken
 * out of the tree, so that the rest of it is sound by itself. Values are read into @a and
 * dropped. CONEY_ENOMEM.
 */
enum coney_rc check_tree(struct node *root, enum readers readers, struct arena *a,
        struct mistakes *mistakes) CONEY_MUST_CHECK;

#endif /* CONEY_CONFIG_CHECK_H */
