/* SPDX-License-Identifier: MIT */
/* broker_url.c - AMQP's schemes, and the virtual host in a URL's path. */
#include "amqp/broker_url.h"

#include "base/error.h"

#include <string.h>

enum { NAME_MAX_LEN = 255 };

static const struct url_schemes schemes = {
        .tls = "amqps", .tls_port = "5671", .plain = "amqp", .plain_port = "5672"};

static enum coney_rc take_vhost(
        const char *path, struct arena *a, struct broker_url *b, struct coney_error *err)
{
    b->vhost = "/";
    if (!path || strcmp(path, "") == 0 || strcmp(path, "/") == 0)
        return CONEY_OK;
    if (strchr(path, '/'))
        return error_set(err, CONEY_EINVAL, "a / in the virtual host (write %%2F)");
    enum coney_rc rc = url_decode(path, a, &b->vhost);
    if (rc == CONEY_OK && strlen(b->vhost) > NAME_MAX_LEN)
        rc = CONEY_EINVAL;
    return rc == CONEY_OK ? CONEY_OK
                          : error_set(err, rc,
                                    "the virtual host is malformed or over 255 bytes");
}

enum coney_rc broker_url_parse(
        const char *text, struct arena *a, struct broker_url *b, struct coney_error *err)
{
    enum coney_rc rc = url_parse(text, &schemes, a, &b->url, err);
    return rc == CONEY_OK ? take_vhost(b->url.path, a, b, err) : rc;
}
