/* SPDX-License-Identifier: MIT */
/* tls_options.h - what TLS is asked to trust and to show; apart from tls.h for those who
 * only pass it on. */
#ifndef CONEY_NET_TLS_OPTIONS_H
#define CONEY_NET_TLS_OPTIONS_H

enum tls_verify { TLS_VERIFY_FULL, TLS_VERIFY_NONE };

/* File names; NULL: none. All PEM. */
struct tls_options {
    const char *ca_file; /* NULL: the system's store */
    const char *cert_file;
    const char *key_file;
    const char *crl_file;
    const char *server_name; /* to verify instead of the URL's host */
    enum tls_verify verify;
};

#endif /* CONEY_NET_TLS_OPTIONS_H */
