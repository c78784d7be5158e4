/* SPDX-License-Identifier: MIT */
/* tls_bio.c - a BIO method over struct buffer. OpenSSL's own memory BIO would move every
 * byte once more, and clear it. */
#include "net/tls_bio.h"

#include <string.h>

static int bio_read(BIO *bio, char *data, size_t len, size_t *got)
{
    struct tls_buffers *b = BIO_get_data(bio);
    size_t have = buffer_len(&b->in);

    BIO_clear_retry_flags(bio);
    *got = 0;
    if (have == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *got = len < have ? len : have;
    memcpy(data, buffer_data(&b->in), *got);
    buffer_take(&b->in, *got);
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *written)
{
    struct tls_buffers *b = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    *written = 0;
    if (buffer_append(&b->out, data, len) != CONEY_OK)
        return 0;
    *written = len;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *tls_bio_method_new(void)
{
    BIO_METHOD *method =
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coney buffers");
    if (!method)
        return NULL;
    if (!BIO_meth_set_read_ex(method, bio_read) ||
            !BIO_meth_set_write_ex(method, bio_write) ||
            !BIO_meth_set_ctrl(method, bio_ctrl)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

BIO *tls_bio_new(const BIO_METHOD *method, struct tls_buffers *buffers)
{
    BIO *bio = BIO_new(method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, buffers);
    BIO_set_init(bio, 1);
    return bio;
}
