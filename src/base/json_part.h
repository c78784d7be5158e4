/* SPDX-License-Identifier: MIT */
/*
 * json_part.h - a part of a JSON text, as it was written.
 *
 * What is only passed on must not go through a parser: C has no type for some of what
 * Python writes (json.h says what). So it is cut out of the text around it.
 */
#ifndef CONEY_BASE_JSON_PART_H
#define CONEY_BASE_JSON_PART_H

#include "base/buffer.h"

/*
 * The text of an element of the array @text, or of the member @key of the object @text,
 * without white space around it; borrowed from @text, which json_read() has accepted. A
 * key counts only if it is spelled without escapes. No data: there is none, or @text is
 * another kind of value.
 */
struct bytes json_element(struct bytes text, size_t index);
struct bytes json_member(struct bytes text, const char *key);

#endif /* CONEY_BASE_JSON_PART_H */
