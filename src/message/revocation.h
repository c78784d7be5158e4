/* SPDX-License-Identifier: MIT */
/*
 * revocation.h - one entry of the stream of revocations: which tasks shall not run.
 *
 *     {"version": 1, "node": "coney@host", "at": 1795176393.946851,
 *      "ids": ["..."], "headers": {"tenant": ["acme"]}}
 *
 * Whoever revokes writes one, every worker reads them all from the first. A reader's own
 * marker is an entry as well, with "marker" and nothing to revoke: when it comes by, what
 * was written before has been read. An entry of a later version is skipped.
 */
#ifndef CONEY_MESSAGE_REVOCATION_H
#define CONEY_MESSAGE_REVOCATION_H

#include "base/envelope.h"

#include <jansson.h>

/* Everything is borrowed when written. */
struct revocation {
    const char *node;   /* who wrote it; NULL: unknown */
    int64_t at_us;      /* wall time */
    json_t *ids;        /* array of texts; NULL: none */
    json_t *headers;    /* object: stamp to array of values; NULL: none */
    const char *marker; /* NULL: none */
    json_t *root;       /* owned, of what was read; the rest is borrowed from it */
};

/* A persistent message for the stream; @out is the caller's, for envelope_fini().
 * CONEY_EINVAL: ids or headers of another form; CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc revocation_encode(
        const struct revocation *r, struct envelope *out) CONEY_MUST_CHECK;

/* For revocation_fini() on success. CONEY_ESYNTAX, CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc revocation_decode(const struct envelope *e, struct revocation *out,
        struct coney_error *err) CONEY_MUST_CHECK;
void revocation_fini(struct revocation *r);

/*
 * @from, the argument `headers` of revoke_by_stamped_headers as an object of arrays: from
 * an object (stamp to value or list) or a list of "stamp=value". New, the caller's; NULL:
 * neither, or out of memory.
 */
json_t *revocation_stamps(json_t *from);

#endif /* CONEY_MESSAGE_REVOCATION_H */
