/* SPDX-License-Identifier: MIT */
/* test_tls.c - our client against a plain OpenSSL server, in memory: whom it trusts, what
 * it says when it does not, and bytes in pieces of any size. */
#include "certificates.h"
#include "net/tls.h"

#include <openssl/ssl.h>
#include <unistd.h>

struct fixture {
    char *dir;
    struct identity ca, server, other_ca, client;
    char ca_file[256], other_ca_file[256], cert_file[256], key_file[256];
    struct tls_options options;
    const char *host;
    SSL_CTX *server_ctx;
    struct tls_context *context;
    struct tls *client_tls;
    SSL *server_ssl;
    BIO *to_server, *from_server; /* owned by server_ssl */
    char sni[64];
    struct coney_error err;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->dir = test_directory();
    f->ca = identity_new("Test CA", NULL, NULL, -DAY_S, DAY_S);
    f->other_ca = identity_new("Another CA", NULL, NULL, -DAY_S, DAY_S);
    f->server = identity_new("rabbit",
            "DNS:rabbit.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1", &f->ca, -DAY_S, DAY_S);
    f->client = identity_new("worker", "DNS:worker", &f->ca, -DAY_S, DAY_S);
    write_certificate(f->dir, "ca.pem", f->ca.cert, f->ca_file);
    write_certificate(f->dir, "other.pem", f->other_ca.cert, f->other_ca_file);
    write_certificate(f->dir, "client.pem", f->client.cert, f->cert_file);
    write_key(f->dir, "client-key.pem", f->client.key, NULL, f->key_file);
    f->options = (struct tls_options){.ca_file = f->ca_file};
    f->host = "rabbit.test";
    f->server_ctx = SSL_CTX_new(TLS_server_method());
    *state = f;
    return 0;
}

static void hang_up(struct fixture *f)
{
    tls_free(f->client_tls);
    tls_context_free(f->context);
    SSL_free(f->server_ssl);
    f->client_tls = NULL;
    f->context = NULL;
    f->server_ssl = NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    hang_up(f);
    SSL_CTX_free(f->server_ctx);
    identity_fini(&f->ca);
    identity_fini(&f->other_ca);
    identity_fini(&f->server);
    identity_fini(&f->client);
    test_remove_tree(f->dir);
    free(f->dir);
    free(f);
    return 0;
}

static int note_sni(SSL *ssl, int *alert, void *arg)
{
    struct fixture *f = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert;
    snprintf(f->sni, sizeof(f->sni), "%s", name ? name : "");
    return SSL_TLSEXT_ERR_OK;
}

static void dial(struct fixture *f)
{
    assert_int_equal(tls_context_new(&f->options, &f->context, &f->err), CONEY_OK);
    assert_int_equal(tls_new(f->context, f->host, &f->client_tls, &f->err), CONEY_OK);
    SSL_CTX_use_certificate(f->server_ctx, f->server.cert);
    SSL_CTX_use_PrivateKey(f->server_ctx, f->server.key);
    SSL_CTX_set_tlsext_servername_callback(f->server_ctx, note_sni);
    SSL_CTX_set_tlsext_servername_arg(f->server_ctx, f);
    f->server_ssl = SSL_new(f->server_ctx);
    f->to_server = BIO_new(BIO_s_mem());
    f->from_server = BIO_new(BIO_s_mem());
    SSL_set_bio(f->server_ssl, f->to_server, f->from_server);
    SSL_set_accept_state(f->server_ssl);
}

/* Carry at most @piece bytes each way; whether anything moved. */
static bool carry(struct fixture *f, size_t piece)
{
    struct buffer *out = tls_output(f->client_tls);
    uint8_t *space;
    size_t n = buffer_len(out) < piece ? buffer_len(out) : piece;
    if (n > 0)
        assert_int_equal(BIO_write(f->to_server, buffer_data(out), (int)n), (int)n);
    buffer_take(out, n);

    size_t waiting = BIO_ctrl_pending(f->from_server);
    size_t back = waiting < piece ? waiting : piece;
    if (back > 0) {
        assert_int_equal(
                buffer_reserve(tls_input(f->client_tls), back, &space), CONEY_OK);
        assert_int_equal(BIO_read(f->from_server, space, (int)back), (int)back);
        buffer_commit(tls_input(f->client_tls), back);
    }
    return n > 0 || back > 0;
}

/* Until both are done, or the client gives up, or neither has anything to say. */
static enum coney_rc shake(struct fixture *f, size_t piece)
{
    bool done = false;
    bool moved = true;
    enum coney_rc rc = CONEY_OK;

    while (rc == CONEY_OK && moved) {
        bool was_done = done;
        if (!done)
            rc = tls_handshake(f->client_tls, &done, &f->err);
        SSL_do_handshake(f->server_ssl);
        moved = carry(f, piece) || done != was_done;
    }
    return rc == CONEY_OK && !done ? CONEY_ETIMEOUT : rc;
}

static void assert_refused(struct fixture *f, const char *text)
{
    dial(f);
    assert_int_equal(shake(f, 100000), CONEY_EREFUSED);
    if (!strstr(f->err.text, text))
        fail_msg("\"%s\" does not say \"%s\"", f->err.text, text);
    hang_up(f);
}

static void assert_accepted(struct fixture *f)
{
    dial(f);
    if (shake(f, 100000) != CONEY_OK)
        fail_msg("%s", f->err.text);
    hang_up(f);
}

/* --- whom to trust --------------------------------------------------------------------
 */

static void the_right_name_or_address_is_accepted(void **state)
{
    struct fixture *f = *state;
    static const char *const hosts[] = {
            "rabbit.test", "RABBIT.test", "one.wild.test", "127.0.0.1", "::1"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        f->host = hosts[i];
        assert_accepted(f);
        bool is_name = strchr(hosts[i], 't') != NULL;
        assert_string_equal(f->sni, is_name ? hosts[i] : "");
    }
}

static void another_name_or_address_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const hosts[] = {"rabbit", "rabbit.test.evil", "wild.test",
            "a.b.wild.test", "127.0.0.2", "localhost"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        f->host = hosts[i];
        assert_refused(f, "made out to another host");
        assert_non_null(strstr(f->err.text, hosts[i]));
    }
}

static void the_name_to_verify_may_be_given(void **state)
{
    struct fixture *f = *state;
    f->host = "10.1.2.3";
    f->options.server_name = "rabbit.test";
    assert_accepted(f);
    assert_string_equal(f->sni, "rabbit.test");
}

static void an_unknown_issuer_is_refused(void **state)
{
    struct fixture *f = *state;
    f->options.ca_file = f->other_ca_file;
    assert_refused(f, "its issuer is unknown; set tls.ca");
    f->options.ca_file = NULL; /* the system does not know it either */
    assert_refused(f, "its issuer is unknown; set tls.ca");
}

static void a_self_signed_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    identity_fini(&f->server);
    f->server = identity_new("rabbit", "DNS:rabbit.test", NULL, -DAY_S, DAY_S);
    assert_refused(f, "it is self-signed and not in the CA file");
}

static void a_certificate_out_of_its_time_is_refused(void **state)
{
    struct fixture *f = *state;
    identity_fini(&f->server);
    f->server = identity_new("rabbit", "DNS:rabbit.test", &f->ca, -2 * DAY_S, -DAY_S);
    assert_refused(f, "it has expired");
    identity_fini(&f->server);
    f->server = identity_new("rabbit", "DNS:rabbit.test", &f->ca, DAY_S, 2 * DAY_S);
    assert_refused(f, "it is not valid yet");
}

static void a_revoked_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    char crl[256];

    write_crl(f->dir, "crl.pem", &f->ca, NULL, crl);
    f->options.crl_file = crl;
    assert_accepted(f);
    write_crl(f->dir, "crl.pem", &f->ca, f->server.cert, crl);
    assert_refused(f, "it has been revoked");
    write_crl(f->dir, "crl.pem", &f->other_ca, NULL, crl);
    assert_refused(f, "its issuer's revocation list is not in tls.crl");
}

static void verification_is_off_only_when_asked(void **state)
{
    struct fixture *f = *state;
    f->options.ca_file = f->other_ca_file;
    f->host = "anything";
    f->options.verify = TLS_VERIFY_NONE;
    assert_accepted(f);
    f->options.verify = TLS_VERIFY_FULL;
    assert_refused(f, "refused");
}

static void a_version_below_1_2_is_refused(void **state)
{
    struct fixture *f = *state;
    SSL_CTX_set_security_level(f->server_ctx, 0);
    SSL_CTX_set_min_proto_version(f->server_ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(f->server_ctx, TLS1_1_VERSION);
    dial(f);
    assert_int_equal(shake(f, 100000), CONEY_EIO);
    hang_up(f);
    SSL_CTX_set_max_proto_version(f->server_ctx, TLS1_2_VERSION);
    assert_accepted(f);
}

/* --- our own certificate --------------------------------------------------------------
 */

static void require_client_certificate(struct fixture *f, const struct identity *ca)
{
    X509_STORE_add_cert(SSL_CTX_get_cert_store(f->server_ctx), ca->cert);
    SSL_CTX_set_verify(
            f->server_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static void our_certificate_is_shown_when_asked_for(void **state)
{
    struct fixture *f = *state;
    require_client_certificate(f, &f->ca);
    f->options.cert_file = f->cert_file;
    f->options.key_file = f->key_file;
    dial(f);
    assert_int_equal(shake(f, 100000), CONEY_OK);
    X509 *seen = SSL_get1_peer_certificate(f->server_ssl);
    assert_int_equal(X509_cmp(seen, f->client.cert), 0);
    X509_free(seen);
}

/* In TLS 1.3 the client has finished before the server says no. */
static void a_refusal_of_our_certificate_is_told_as_such(void **state)
{
    struct fixture *f = *state;
    char byte;
    size_t got;

    require_client_certificate(f, &f->other_ca);
    f->options.cert_file = f->cert_file;
    f->options.key_file = f->key_file;
    dial(f);
    assert_int_equal(shake(f, 100000), CONEY_OK);
    assert_int_equal(tls_read(f->client_tls, &byte, 1, &got, &f->err), CONEY_EREFUSED);
    assert_non_null(strstr(f->err.text, "the server refuses our client certificate"));
    hang_up(f);

    SSL_CTX_set_max_proto_version(f->server_ctx, TLS1_2_VERSION);
    f->options.cert_file = NULL;
    f->options.key_file = NULL;
    dial(f);
    assert_int_not_equal(shake(f, 100000), CONEY_OK);
}

static void assert_no_context(
        struct fixture *f, enum coney_rc rc, const char *first, const char *second)
{
    struct tls_context *c = NULL;
    assert_int_equal(tls_context_new(&f->options, &c, &f->err), rc);
    assert_null(c);
    assert_non_null(strstr(f->err.text, first));
    assert_non_null(strstr(f->err.text, second));
}

static void files_that_cannot_be_used_are_named(void **state)
{
    struct fixture *f = *state;
    char key[256];
    char *garbage = test_file("not a certificate\n");

    f->options.ca_file = "/nonexistent/ca.pem";
    assert_no_context(f, CONEY_EIO, "/nonexistent/ca.pem", "No such file");
    f->options.ca_file = garbage;
    assert_no_context(f, CONEY_EIO, "CA file", garbage);
    f->options.ca_file = f->ca_file;
    f->options.crl_file = garbage;
    assert_no_context(f, CONEY_EIO, "revocation list", garbage);
    f->options.crl_file = NULL;
    f->options.cert_file = f->cert_file;
    assert_no_context(f, CONEY_EINVAL, "needs both", "key");
    f->options.key_file = garbage;
    assert_no_context(f, CONEY_EIO, "key", garbage);
    f->options.key_file = "/nonexistent/key.pem";
    assert_no_context(f, CONEY_EIO, "key", "No such file");
    write_key(f->dir, "other-key.pem", f->server.key, NULL, key);
    f->options.key_file = key;
    assert_no_context(f, CONEY_EREFUSED, "does not belong to certificate", key);
    write_key(f->dir, "locked-key.pem", f->client.key, "secret", key);
    assert_no_context(f, CONEY_EIO, "key", key); /* and no prompt on the terminal */
    unlink(garbage);
    free(garbage);
}

/* --- bytes ----------------------------------------------------------------------------
 */

static void a_handshake_survives_pieces_of_any_size(void **state)
{
    struct fixture *f = *state;
    for (size_t piece = 1; piece < 2000; piece = piece * 3 / 2 + 1) {
        dial(f);
        assert_int_equal(shake(f, piece), CONEY_OK);
        assert_string_equal(tls_version(f->client_tls), "TLSv1.3");
        hang_up(f);
    }
}

static void bytes_arrive_as_they_were_sent(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 200 * 1000 };
    uint8_t *sent = malloc(SIZE);
    uint8_t *got = malloc(SIZE);
    size_t have = 0;

    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (uint8_t)(i * 31 + i / 255);
    dial(f);
    assert_int_equal(shake(f, 100000), CONEY_OK);
    while (carry(f, 100000))
        ;
    assert_int_equal(
            tls_write(f->client_tls, (struct bytes){.data = sent, .len = SIZE}, &f->err),
            CONEY_OK);
    while (carry(f, 777))
        for (int n; (n = SSL_read(f->server_ssl, got + have, (int)(SIZE - have))) > 0;)
            have += (size_t)n;
    assert_int_equal(have, SIZE);
    assert_memory_equal(got, sent, SIZE);

    size_t n;
    have = 0;
    memset(got, 0, SIZE);
    assert_int_equal(SSL_write(f->server_ssl, sent, SIZE), SIZE);
    while (carry(f, 777) || tls_has_input(f->client_tls)) {
        assert_int_equal(tls_read(f->client_tls, got + have,
                                 SIZE - have < 999 ? SIZE - have : 999, &n, &f->err),
                CONEY_OK);
        have += n;
        if (have == SIZE)
            break;
    }
    assert_memory_equal(got, sent, SIZE);
    assert_false(tls_has_input(f->client_tls));
    free(sent);
    free(got);
}

static void half_a_record_is_no_input(void **state)
{
    struct fixture *f = *state;
    char text[8];
    size_t got;

    dial(f);
    assert_int_equal(shake(f, 100000), CONEY_OK);
    assert_int_equal(tls_read(f->client_tls, text, 8, &got, &f->err), CONEY_OK);
    assert_int_equal(SSL_write(f->server_ssl, "hello", 5), 5);
    size_t record = BIO_ctrl_pending(f->from_server);
    for (size_t i = 0; i < record; i++) {
        assert_int_equal(got, 0);
        carry(f, 1);
        assert_int_equal(tls_read(f->client_tls, text, 8, &got, &f->err), CONEY_OK);
        assert_false(tls_has_input(f->client_tls));
    }
    assert_int_equal(got, 5);
    assert_memory_equal(text, "hello", 5);
}

static void an_orderly_end_is_told_after_the_last_byte(void **state)
{
    struct fixture *f = *state;
    char text[8];
    size_t got;

    dial(f);
    assert_int_equal(shake(f, 100000), CONEY_OK);
    SSL_write(f->server_ssl, "bye", 3);
    SSL_shutdown(f->server_ssl);
    carry(f, 100000);
    assert_int_equal(tls_read(f->client_tls, text, 8, &got, &f->err), CONEY_OK);
    assert_int_equal(got, 3);
    assert_int_equal(tls_read(f->client_tls, text, 8, &got, &f->err), CONEY_ECLOSED);
    tls_shutdown(f->client_tls);
    assert_true(buffer_len(tls_output(f->client_tls)) > 0);
}

static void what_is_not_tls_is_recognised(void **state)
{
    struct fixture *f = *state;
    bool done;

    dial(f);
    assert_int_equal(tls_handshake(f->client_tls, &done, &f->err), CONEY_OK);
    assert_false(done);
    assert_int_equal(
            buffer_append(tls_input(f->client_tls), "AMQP\0\0\11\1", 8), CONEY_OK);
    assert_int_equal(tls_handshake(f->client_tls, &done, &f->err), CONEY_EREFUSED);
    assert_non_null(strstr(f->err.text, "does not speak TLS"));
}

static void garbled_ciphertext_is_never_taken_for_data(void **state)
{
    struct fixture *f = *state;
    for (unsigned bit = 0; bit < 200; bit += 7) {
        char text[8];
        uint8_t *space;
        size_t got;
        dial(f);
        assert_int_equal(shake(f, 100000), CONEY_OK);
        assert_int_equal(tls_read(f->client_tls, text, 8, &got, &f->err), CONEY_OK);
        SSL_write(f->server_ssl, "hello", 5);
        int len = (int)BIO_ctrl_pending(f->from_server);
        assert_int_equal(
                buffer_reserve(tls_input(f->client_tls), (size_t)len, &space), CONEY_OK);
        assert_int_equal(BIO_read(f->from_server, space, len), len);
        space[bit / 8 % (unsigned)len] ^= (uint8_t)(1u << bit % 8);
        buffer_commit(tls_input(f->client_tls), (size_t)len);
        enum coney_rc rc = tls_read(f->client_tls, text, 8, &got, &f->err);
        assert_int_equal(got, 0);
        /* A longer length only makes it wait for the rest. */
        assert_true(rc != CONEY_OK || (bit >= 24 && bit < 40));
        hang_up(f);
    }
}

/* The system's own configuration must not be what makes us strict. */
static char *lax_configuration(void)
{
    return test_file("openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\n"
                     "system_default = lax\n[lax]\nMinProtocol = TLSv1\n"
                     "CipherString = ALL@SECLEVEL=0\n");
}

int main(void)
{
    char *configuration = lax_configuration();
    setenv("OPENSSL_CONF", configuration, 1);
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
            TEST(the_right_name_or_address_is_accepted),
            TEST(another_name_or_address_is_refused),
            TEST(the_name_to_verify_may_be_given),
            TEST(an_unknown_issuer_is_refused),
            TEST(a_self_signed_certificate_is_refused),
            TEST(a_certificate_out_of_its_time_is_refused),
            TEST(a_revoked_certificate_is_refused),
            TEST(verification_is_off_only_when_asked),
            TEST(a_version_below_1_2_is_refused),
            TEST(our_certificate_is_shown_when_asked_for),
            TEST(a_refusal_of_our_certificate_is_told_as_such),
            TEST(files_that_cannot_be_used_are_named),
            TEST(a_handshake_survives_pieces_of_any_size),
            TEST(bytes_arrive_as_they_were_sent),
            TEST(half_a_record_is_no_input),
            TEST(an_orderly_end_is_told_after_the_last_byte),
            TEST(what_is_not_tls_is_recognised),
            TEST(garbled_ciphertext_is_never_taken_for_data),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(configuration);
    free(configuration);
    return failed;
}
