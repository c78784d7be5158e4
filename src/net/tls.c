/* SPDX-License-Identifier: MIT */
/* tls.c - OpenSSL behind the policy of tls.h, and its errors in words. */
#include "net/tls.h"

#include "base/error.h"
#include "net/tls_bio.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* One read of the socket, and the handshake's or a batch's records on the way out. */
    INPUT_MAX = 512 * 1024,
    OUTPUT_MAX = 1024 * 1024
};

struct tls_context {
    SSL_CTX *ssl;       /* owned */
    BIO_METHOD *method; /* owned */
    char *server_name;  /* owned; NULL: the host */
};

struct tls {
    SSL *ssl; /* owned, with its BIO */
    struct tls_buffers buffers;
    char *host; /* owned; what is verified */
};

/* --- files ----------------------------------------------------------------------------
 */

/* OpenSSL's reason for the last failure, without its file and function names. */
static const char *last_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "unknown error";
}

/* OpenSSL says "system lib" for a missing file; ask the system itself. */
static enum coney_rc file_error(
        struct coney_error *err, const char *what, const char *file)
{
    if (access(file, R_OK) != 0)
        return error_set_errno(err, "%s \"%s\"", what, file);
    return error_set(err, CONEY_EIO, "%s \"%s\": %s", what, file, last_reason());
}

/* A password prompt would stop the program; an encrypted key is refused instead. */
static int no_password(char *text, int size, int is_write, void *ctx)
{
    (void)text;
    (void)size;
    (void)is_write;
    (void)ctx;
    return -1;
}

static enum coney_rc load_trust(
        SSL_CTX *ssl, const struct tls_options *o, struct coney_error *err)
{
    if (o->ca_file) {
        if (SSL_CTX_load_verify_file(ssl, o->ca_file) != 1)
            return file_error(err, "CA file", o->ca_file);
    } else if (SSL_CTX_set_default_verify_paths(ssl) != 1) {
        return error_set(err, CONEY_EIO, "the system's CA store: %s", last_reason());
    }
    if (!o->crl_file)
        return CONEY_OK;
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (!lookup)
        return error_set_nomem(err);
    if (X509_load_crl_file(lookup, o->crl_file, X509_FILETYPE_PEM) <= 0)
        return file_error(err, "revocation list", o->crl_file);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return CONEY_OK;
}

static enum coney_rc load_certificate(
        SSL_CTX *ssl, const struct tls_options *o, struct coney_error *err)
{
    if (!o->cert_file && !o->key_file)
        return CONEY_OK;
    if (!o->cert_file || !o->key_file)
        return error_set(err, CONEY_EINVAL,
                "a client certificate needs both its file and "
                "its key's");
    if (SSL_CTX_use_certificate_chain_file(ssl, o->cert_file) != 1)
        return file_error(err, "client certificate", o->cert_file);
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    if (SSL_CTX_use_PrivateKey_file(ssl, o->key_file, SSL_FILETYPE_PEM) != 1 &&
            ERR_GET_REASON(ERR_peek_last_error()) != X509_R_KEY_VALUES_MISMATCH)
        return file_error(err, "key", o->key_file);
    if (SSL_CTX_check_private_key(ssl) != 1)
        return error_set(err, CONEY_EREFUSED,
                "key \"%s\" does not belong to certificate \"%s\"", o->key_file,
                o->cert_file);
    return CONEY_OK;
}

static enum coney_rc set_policy(
        SSL_CTX *ssl, const struct tls_options *o, struct coney_error *err)
{
    if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1)
        return error_set(err, CONEY_EIO, "TLS 1.2: %s", last_reason());
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(
            ssl, o->verify == TLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return CONEY_OK;
}

enum coney_rc tls_context_new(const struct tls_options *options, struct tls_context **out,
        struct coney_error *err)
{
    ERR_clear_error();
    struct tls_context *c = calloc(1, sizeof(*c));
    if (!c)
        return error_set_nomem(err);
    enum coney_rc rc;
    c->ssl = SSL_CTX_new(TLS_client_method());
    c->method = tls_bio_method_new();
    if (options->server_name)
        c->server_name = strdup(options->server_name);
    if (!c->ssl || !c->method || (options->server_name && !c->server_name)) {
        rc = error_set_nomem(err);
        goto out;
    }
    rc = set_policy(c->ssl, options, err);
    if (rc == CONEY_OK)
        rc = load_trust(c->ssl, options, err);
    if (rc == CONEY_OK)
        rc = load_certificate(c->ssl, options, err);
out:
    if (rc != CONEY_OK) {
        tls_context_free(c);
        return rc;
    }
    *out = c;
    return CONEY_OK;
}

void tls_context_free(struct tls_context *c)
{
    if (!c)
        return;
    SSL_CTX_free(c->ssl);
    BIO_meth_free(c->method);
    free(c->server_name);
    free(c);
}

/* --- one connection -------------------------------------------------------------------
 */

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 ||
           inet_pton(AF_INET6, host, address) == 1;
}

/* What the certificate must say; an address is not a name, and has no SNI (RFC 6066 §3).
 */
static bool expect_host(SSL *ssl, char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

enum coney_rc tls_new(struct tls_context *c, const char *host, struct tls **out,
        struct coney_error *err)
{
    struct tls *t = calloc(1, sizeof(*t));
    if (!t)
        return error_set_nomem(err);
    buffer_init(&t->buffers.in, INPUT_MAX);
    buffer_init(&t->buffers.out, OUTPUT_MAX);
    t->host = strdup(c->server_name ? c->server_name : host);
    t->ssl = SSL_new(c->ssl);
    BIO *bio = tls_bio_new(c->method, &t->buffers);
    if (!t->host || !t->ssl || !bio || !expect_host(t->ssl, t->host)) {
        BIO_free(bio);
        tls_free(t);
        return error_set_nomem(err);
    }
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_connect_state(t->ssl);
    *out = t;
    return CONEY_OK;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    buffer_fini(&t->buffers.in);
    buffer_fini(&t->buffers.out);
    free(t->host);
    free(t);
}

struct buffer *tls_input(struct tls *t)
{
    return &t->buffers.in;
}

struct buffer *tls_output(struct tls *t)
{
    return &t->buffers.out;
}

const char *tls_version(const struct tls *t)
{
    return SSL_get_version(t->ssl);
}

/* --- what went wrong ------------------------------------------------------------------
 */

static enum coney_rc certificate_error(
        const struct tls *t, long result, struct coney_error *err)
{
    const char *remedy;

    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        remedy = "it has expired; renew it";
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        remedy = "it is not valid yet; check the clocks";
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        remedy =
                "it is self-signed and not in the CA file; set tls.ca to the CA it comes "
                "from";
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        remedy = "its issuer is unknown; set tls.ca to the CA it comes from";
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        remedy = "it is made out to another host; use its name in the URL, or set "
                 "tls.server_name";
        break;
    case X509_V_ERR_CERT_REVOKED:
        remedy = "it has been revoked";
        break;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        remedy = "its issuer's revocation list is not in tls.crl";
        break;
    case X509_V_ERR_CRL_HAS_EXPIRED:
        remedy = "its issuer's revocation list has expired; renew tls.crl";
        break;
    default:
        remedy = X509_verify_cert_error_string(result);
        break;
    }
    return error_set(
            err, CONEY_EREFUSED, "certificate of \"%s\" refused: %s", t->host, remedy);
}

/* Alerts about a certificate are the peer's word on ours (RFC 8446 §6.2). */
static bool is_certificate_alert(int reason)
{
    switch (reason) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

static enum coney_rc protocol_error(const struct tls *t, struct coney_error *err)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);

    if (SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE &&
            reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return certificate_error(t, SSL_get_verify_result(t->ssl), err);
    const char *text = ERR_reason_error_string(code);
    if (is_certificate_alert(reason))
        return error_set(err, CONEY_EREFUSED,
                "the server refuses our client certificate (%s); check tls.cert and "
                "tls.key",
                text ? text : "no reason given");
    if (reason == SSL_R_WRONG_VERSION_NUMBER)
        return error_set(err, CONEY_EREFUSED,
                "this port does not speak TLS; use amqp:// in the URL or the TLS port");
    return error_set(err, CONEY_EIO, "TLS: %s", text ? text : "unknown error");
}

/* What @result of an SSL_… call means. CONEY_OK: more bytes are needed. */
static enum coney_rc explain(const struct tls *t, int result, struct coney_error *err)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return CONEY_OK;
    case SSL_ERROR_ZERO_RETURN:
        return error_set(err, CONEY_ECLOSED, "the server closed the connection");
    case SSL_ERROR_SSL:
        return protocol_error(t, err);
    default:
        return error_set(err, CONEY_EIO, "TLS: %s", last_reason());
    }
}

/* --- bytes ----------------------------------------------------------------------------
 */

enum coney_rc tls_handshake(struct tls *t, bool *done, struct coney_error *err)
{
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    *done = result == 1;
    return *done ? CONEY_OK : explain(t, result, err);
}

enum coney_rc tls_read(
        struct tls *t, void *data, size_t len, size_t *got, struct coney_error *err)
{
    *got = 0;
    while (*got < len) {
        size_t n = 0;
        ERR_clear_error();
        int result = SSL_read_ex(t->ssl, (char *)data + *got, len - *got, &n);
        if (result != 1) {
            enum coney_rc rc = explain(t, result, err);
            /* What has been decrypted counts; the next call meets the end again. */
            return *got > 0 ? CONEY_OK : rc;
        }
        *got += n;
    }
    return CONEY_OK;
}

/* An incomplete record is not input: only more ciphertext helps it. */
bool tls_has_input(struct tls *t)
{
    return buffer_len(&t->buffers.in) > 0 || SSL_pending(t->ssl) > 0;
}

enum coney_rc tls_write(struct tls *t, struct bytes data, struct coney_error *err)
{
    size_t written = 0;

    if (data.len == 0)
        return CONEY_OK;
    ERR_clear_error();
    int result = SSL_write_ex(t->ssl, data.data, data.len, &written);
    if (result == 1)
        return CONEY_OK;
    enum coney_rc rc = explain(t, result, err);
    /* Our buffers never make it wait, and renegotiation is off. */
    return rc != CONEY_OK ? rc : error_set(err, CONEY_EIO, "TLS: cannot encrypt");
}

void tls_shutdown(struct tls *t)
{
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl))
        SSL_shutdown(t->ssl);
}
