/* SPDX-License-Identifier: MIT */
/* result_store.c - the configuration's results section as redis's options. */
#include "queue/result_store.h"

#include <string.h>

bool result_store_is_used(const struct results_config *c)
{
    return c->url && strncmp(c->url, "redis", 5) == 0;
}

struct redis_options result_store_options(const struct results_config *c)
{
    return (struct redis_options){
            .url = c->url,
            .password = c->password,
            .tls =
                    {
                            .ca_file = c->tls.ca,
                            .cert_file = c->tls.cert,
                            .key_file = c->tls.key,
                            .server_name = c->tls.server_name,
                            .verify = c->tls.verify ? TLS_VERIFY_FULL : TLS_VERIFY_NONE,
                    },
            .mode = DIAL_FOREVER,
    };
}

int64_t result_store_expires_s(const struct results_config *c)
{
    return c->expires_ms == CONFIG_NONE ? 0 : c->expires_ms / 1000;
}
