/* SPDX-License-Identifier: MIT */
/*
 * resolve.h - getaddrinfo() that nobody has to wait for.
 *
 * The C library's resolver blocks, sometimes for half a minute. It runs in a thread of
 * its own, which says through a descriptor that it is done. Whoever loses interest frees
 * the handle at once; the thread ends when it can and cleans up after itself.
 */
#ifndef CONEY_NET_RESOLVE_H
#define CONEY_NET_RESOLVE_H

#include <coney/error.h>

#include <netdb.h>
#include <stdbool.h>

struct resolve;

/* Begin to look up @host and @port (both copied). An address needs no thread and is done
 * at once. CONEY_ENOMEM, CONEY_EIO. */
enum coney_rc resolve_start(const char *host, const char *port, struct resolve **out,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Done or not; NULL is ignored. */
void resolve_free(struct resolve *r);

/* Readable once it is done. */
int resolve_fd(const struct resolve *r);
bool resolve_is_done(struct resolve *r);
/*
 * The addresses, the caller's to release with freeaddrinfo(); only once, and only when
 * done. CONEY_ENOTFOUND (no such host), CONEY_EIO (no answer from the resolver).
 */
enum coney_rc resolve_take(struct resolve *r, struct addrinfo **addresses,
        struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_NET_RESOLVE_H */
