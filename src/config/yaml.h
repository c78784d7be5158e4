/* SPDX-License-Identifier: MIT */
/*
 * yaml.h - YAML in and out: text to nodes and nodes to text. The only user of libyaml.
 *
 * Aliases are expanded, within a limit on nodes and depth that a file written by a person
 * never reaches. Refused are a second document, a key twice in one map, merge keys (<<),
 * tags other than YAML's own, and keys that are not a single value.
 */
#ifndef CONEY_CONFIG_YAML_H
#define CONEY_CONFIG_YAML_H

#include "base/buffer.h"
#include "config/config.h"
#include "config/node.h"

enum { YAML_NODES_MAX = 50000, YAML_DEPTH_MAX = 32 };

/*
 * Read @text, named @file in messages and places (borrowed for the arena's life), into
 * *@root, which is never NULL on success and is in @a. What is wrong is added to
 * @mistakes. An empty text is an empty scalar. CONEY_ESYNTAX: no YAML, or beyond the
 * limits, and *@root is NULL; other mistakes are mended and leave CONEY_OK. CONEY_ENOMEM.
 */
enum coney_rc yaml_read(struct bytes text, const char *file, struct arena *a,
        struct mistakes *mistakes, struct node **root) CONEY_MUST_CHECK;

/* Append @n on one line, as yaml_read() would read it back. CONEY_ENOMEM, CONEY_ELIMIT.
 */
enum coney_rc yaml_write_flow(struct buffer *out, const struct node *n) CONEY_MUST_CHECK;
/* Append the map @n, a member a line, nested maps indented; @indent is for the outermost.
 */
enum coney_rc yaml_write_block(
        struct buffer *out, const struct node *n, unsigned indent) CONEY_MUST_CHECK;

#endif /* CONEY_CONFIG_YAML_H */
