/* SPDX-License-Identifier: MIT */
/* broker.c - a session's options and the properties the management UI shows. */
#include "queue/broker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HOST_SIZE = 128, QUEUES_SIZE = 1024 };

void broker_host(char *name, size_t size)
{
    if (gethostname(name, size) != 0)
        snprintf(name, size, "localhost");
    name[size - 1] = '\0'; /* POSIX leaves a cut name unterminated */
}

static enum coney_rc add_queues(
        const struct config *c, struct table *properties, struct arena *a)
{
    char text[QUEUES_SIZE] = "";
    size_t len = 0;

    for (size_t i = 0; i < c->queue_count && len < sizeof(text); i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? " " : "",
                c->queues[i].name);
    char *copy = arena_strdup(a, text);
    return copy ? table_set_text(properties, a, "queues", copy) : CONEY_ENOMEM;
}

static enum coney_rc describe(const struct config *c, const struct broker_identity *id,
        const char *host, struct table *properties, struct arena *a)
{
    enum coney_rc rc = table_set_text(properties, a, "host", host);
    if (rc == CONEY_OK)
        rc = table_set_integer(properties, a, "pid", getpid());
    if (rc == CONEY_OK)
        rc = table_set_text(properties, a, "role", id->role);
    if (rc == CONEY_OK && id->concurrency > 0)
        rc = table_set_integer(properties, a, "concurrency", id->concurrency);
    if (rc == CONEY_OK && id->with_queues)
        rc = add_queues(c, properties, a);
    return rc;
}

enum coney_rc broker_options(const struct config *c, const struct broker_identity *id,
        struct arena *a, struct session_options *out)
{
    const struct broker_config *b = &c->broker;
    char host[HOST_SIZE];

    broker_host(host, sizeof(host));
    char *host_copy = arena_strdup(a, host);
    struct table *properties = arena_alloc(a, sizeof(*properties));
    const char **urls = arena_alloc(a, (b->urls.count + 1) * sizeof(char *));
    char *name = arena_printf(a, "coney %s%s%s@%s%s%s", id->role, id->instance ? "-" : "",
            id->instance ? id->instance : "", host, id->purpose ? " " : "",
            id->purpose ? id->purpose : "");
    if (!host_copy || !properties || !urls || !name)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < b->urls.count; i++)
        urls[i] = b->urls.items[i];

    *out = (struct session_options){
            .urls = urls,
            .url_count = b->urls.count,
            .user = b->user,
            .password = b->password,
            .auth = b->external ? SESSION_AUTH_EXTERNAL : SESSION_AUTH_PLAIN,
            .mode = SESSION_FOREVER,
            .tls =
                    {
                            .ca_file = b->tls.ca,
                            .cert_file = b->tls.cert,
                            .key_file = b->tls.key,
                            .crl_file = b->tls.crl,
                            .server_name = b->tls.server_name,
                            .verify = b->tls.verify ? TLS_VERIFY_FULL : TLS_VERIFY_NONE,
                    },
            .connection_name = name,
            .client_properties = properties,
            .heartbeat_s = b->heartbeat_s,
            .connect_timeout_ms = (unsigned)b->connect_timeout_ms,
            .backoff_base_ms = (unsigned)b->backoff_base_ms,
            .backoff_cap_ms = (unsigned)b->backoff_cap_ms,
            .body_max = c->worker.body_max,
    };
    return describe(c, id, host_copy, properties, a);
}
