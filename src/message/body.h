/* SPDX-License-Identifier: MIT */
/*
 * body.h - from the body of a message, as it came, to the JSON text in it.
 *
 * Tasks and results share this: the content type must be application/json, with no
 * parameters (a Python worker refuses those too), the encoding UTF-8 under one of its
 * names or left out, and the header "compression" absent or one of zlib's names.
 */
#ifndef CONEY_MESSAGE_BODY_H
#define CONEY_MESSAGE_BODY_H

#include "base/envelope.h"
#include "base/json.h"

struct message_limits;

enum body_packing { BODY_PLAIN, BODY_ZLIB };

/* Whether body_text() would try to read @e at all. CONEY_ESYNTAX: refused, text names
 * what was found. */
enum coney_rc body_check(const struct envelope *e, enum body_packing *packing,
        struct coney_error *err) CONEY_MUST_CHECK;

/*
 * The text of @e in *@out, terminated, from @a, so that it outlives @e. A body that
 * decompresses to at most 64 KiB may do so at any ratio. As body_check(), and
 * CONEY_ESYNTAX for a broken stream; CONEY_ELIMIT; CONEY_ENOMEM.
 */
enum coney_rc body_text(const struct envelope *e, const struct message_limits *limits,
        struct arena *a, struct bytes *out, struct coney_error *err) CONEY_MUST_CHECK;

/* The JSON in the body of @e, in *@out, owned. As body_text() and json_read(). */
enum coney_rc body_json(const struct envelope *e, const struct message_limits *limits,
        json_t **out, struct coney_error *err) CONEY_MUST_CHECK;

/* Name the type and encoding of every body that we make. */
void body_set_type(struct properties *p);

/* A buffer's content as the body of @e. CONEY_ENOMEM. */
enum coney_rc body_set(struct envelope *e, const struct buffer *text) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_BODY_H */
