/* SPDX-License-Identifier: MIT */
/* certificates.h - a certificate authority for one test, all in memory or in one
 * directory.
 */
#ifndef CONEY_TESTS_CERTIFICATES_H
#define CONEY_TESTS_CERTIFICATES_H

#include "test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

enum { DAY_S = 24 * 3600 };

static inline void identity_fini(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static inline void certificate_extend(
        X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

/*
 * A certificate for @name with the subject alternative names @san (NULL: it is a CA),
 * signed by @ca (NULL: by itself), valid from @from_s to @to_s, relative to now.
 */
static inline struct identity identity_new(const char *name, const char *san,
        const struct identity *ca, long from_s, long to_s)
{
    static long serial = 1;
    struct identity id = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
    assert_non_null(id.key);
    X509_set_version(id.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), to_s);
    X509_set_pubkey(id.cert, id.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_ASC,
            (const unsigned char *)name, -1, -1, 0);
    const struct identity *issuer = ca ? ca : &id;
    X509_set_issuer_name(id.cert, X509_get_subject_name(issuer->cert));
    if (san)
        certificate_extend(id.cert, issuer->cert, NID_subject_alt_name, san);
    else
        certificate_extend(
                id.cert, issuer->cert, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(id.cert, issuer->key, EVP_sha256()) > 0);
    return id;
}

static inline FILE *certificate_file(const char *dir, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    return f;
}

static inline void write_certificate(
        const char *dir, const char *name, X509 *cert, char path[256])
{
    FILE *f = certificate_file(dir, name, path);
    assert_int_equal(PEM_write_X509(f, cert), 1);
    fclose(f);
}

/* @password NULL: in the clear. */
static inline void write_key(const char *dir, const char *name, EVP_PKEY *key,
        const char *password, char path[256])
{
    FILE *f = certificate_file(dir, name, path);
    assert_int_equal(
            PEM_write_PKCS8PrivateKey(f, key, password ? EVP_aes_128_cbc() : NULL,
                    password, password ? (int)strlen(password) : 0, NULL, NULL),
            1);
    fclose(f);
}

/* A list in which @ca revokes @revoked (NULL: nobody). */
static inline void write_crl(const char *dir, const char *name, const struct identity *ca,
        X509 *revoked, char path[256])
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -DAY_S);
    ASN1_TIME *next = X509_gmtime_adj(NULL, DAY_S);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert));
    X509_CRL_set1_lastUpdate(crl, now);
    X509_CRL_set1_nextUpdate(crl, next);
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked));
        X509_REVOKED_set_revocationDate(entry, now);
        X509_CRL_add0_revoked(crl, entry);
    }
    assert_true(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0);
    FILE *f = certificate_file(dir, name, path);
    assert_int_equal(PEM_write_X509_CRL(f, crl), 1);
    fclose(f);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    X509_CRL_free(crl);
}

#endif /* CONEY_TESTS_CERTIFICATES_H */
