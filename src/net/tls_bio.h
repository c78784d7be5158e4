/* SPDX-License-Identifier: MIT */
/* tls_bio.h - OpenSSL reading from and writing to our buffers, without a copy between. */
#ifndef CONEY_NET_TLS_BIO_H
#define CONEY_NET_TLS_BIO_H

#include "base/buffer.h"

#include <openssl/bio.h>

/* The two directions of one connection; borrowed by the BIO. */
struct tls_buffers {
    struct buffer in;
    struct buffer out;
};

/* NULL when out of memory. */
BIO_METHOD *tls_bio_method_new(void);
/* A BIO on @buffers; NULL when out of memory. */
BIO *tls_bio_new(const BIO_METHOD *method, struct tls_buffers *buffers);

#endif /* CONEY_NET_TLS_BIO_H */
