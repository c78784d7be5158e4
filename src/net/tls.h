/* SPDX-License-Identifier: MIT */
/*
 * tls.h - TLS without a socket: ciphertext in one buffer, ciphertext out in another.
 *
 * A context holds what all connections share: certificates and policy, which is TLS 1.2
 * or later and a peer whose chain and name are verified during the handshake, before
 * anything of ours is sent. Every failure becomes one sentence for a person.
 */
#ifndef CONEY_NET_TLS_H
#define CONEY_NET_TLS_H

#include "base/buffer.h"
#include "net/tls_options.h"
#include <coney/error.h>

#include <stdbool.h>

struct tls_context;
struct tls;

/* Read the files that @options names. CONEY_EIO (a file, named), CONEY_EREFUSED
 * (certificate and key do not match), CONEY_ENOMEM. */
enum coney_rc tls_context_new(const struct tls_options *options, struct tls_context **out,
        struct coney_error *err) CONEY_MUST_CHECK;
void tls_context_free(struct tls_context *c);

/* The client side of a connection to @host, a name or an address; it is verified against
 * the options' server_name if there is one. CONEY_ENOMEM. */
enum coney_rc tls_new(struct tls_context *c, const char *host, struct tls **out,
        struct coney_error *err) CONEY_MUST_CHECK;
void tls_free(struct tls *t);

/* Where ciphertext from the peer goes, and where ciphertext for it comes from. */
struct buffer *tls_input(struct tls *t);
struct buffer *tls_output(struct tls *t);

/* Go on with the handshake; *@done once it is complete. CONEY_EREFUSED: the peer's
 * certificate, or the peer refuses ours; CONEY_EIO: it does not speak TLS; … */
enum coney_rc tls_handshake(
        struct tls *t, bool *done, struct coney_error *err) CONEY_MUST_CHECK;
/* Decrypt up to @len bytes; *@got may be 0. CONEY_ECLOSED: the peer ended it. */
enum coney_rc tls_read(struct tls *t, void *data, size_t len, size_t *got,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Whether tls_read() may have something without more ciphertext. */
bool tls_has_input(struct tls *t);
/* Encrypt all of @data. */
enum coney_rc tls_write(
        struct tls *t, struct bytes data, struct coney_error *err) CONEY_MUST_CHECK;
/* Announce our end in the output. */
void tls_shutdown(struct tls *t);
/* Such as "TLSv1.3"; static storage. */
const char *tls_version(const struct tls *t);

#endif /* CONEY_NET_TLS_H */
