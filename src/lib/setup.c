/* SPDX-License-Identifier: MIT */
/* setup.c - from options and configuration to a session that knows where to connect. */
#include "base/error.h"
#include "lib/client_impl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A client is waited for: it tries again sooner than a worker would. */
enum { TIMEOUT_MS = 30000, ATTEMPTS = 10, BACKOFF_BASE_MS = 100, BACKOFF_CAP_MS = 2000 };

/* The operator's file; without one, and none asked for, what is built in. */
static enum coney_rc load_config(
        const char *path, struct config **out, struct coney_error *err)
{
    struct mistakes mistakes = {.count = 0};
    enum coney_rc rc = config_load(path, out, &mistakes, err);
    mistakes_fini(&mistakes);
    if (rc != CONEY_ENOTFOUND || path)
        return rc;
    rc = config_parse("", "built-in", out, &mistakes, err);
    mistakes_fini(&mistakes);
    return rc;
}

static const char *either(const char *first, const char *second)
{
    return first ? first : second;
}

/* Whether the part before the host holds a password of its own. */
static bool has_password(const char *url)
{
    const char *authority = strstr(url, "://");
    if (!authority)
        return false;
    authority += strlen("://");
    size_t len = strcspn(authority, "/");
    const char *at = memchr(authority, '@', len);
    return at && memchr(authority, ':', (size_t)(at - authority));
}

static void choose_login(struct session_options *s, const struct coney_client_options *o,
        const struct broker_config *b)
{
    s->user = either(o->user, o->url ? NULL : b->user);
    s->password = o->password;
    if (!o->password && !(o->url && has_password(o->url)))
        s->password = b->password;
    s->auth = b->external ? SESSION_AUTH_EXTERNAL : SESSION_AUTH_PLAIN;
}

static void choose_tls(struct tls_options *t, const struct coney_client_options *o,
        const struct broker_config *b)
{
    t->ca_file = either(o->ca_file, b->tls.ca);
    t->cert_file = either(o->cert_file, b->tls.cert);
    t->key_file = either(o->key_file, b->tls.key);
    t->crl_file = b->tls.crl;
    t->server_name = b->tls.server_name;
    bool verify = b->tls.verify;
    if (o->verify != CONEY_VERIFY_CONFIGURED)
        verify = o->verify == CONEY_VERIFY_FULL;
    t->verify = verify ? TLS_VERIFY_FULL : TLS_VERIFY_NONE;
}

static enum coney_rc make_session(struct coney_client *c,
        const struct coney_client_options *o, struct coney_error *err)
{
    const struct broker_config *b = &c->config->broker;
    char name[400];
    snprintf(name, sizeof(name), "%.100s@%s", either(o->name, "coney client"), c->host);

    struct session_options s = {.mode = SESSION_FOREVER,
            .connection_name = name,
            .heartbeat_s = b->heartbeat_s,
            .connect_timeout_ms = (unsigned)b->connect_timeout_ms,
            .backoff_base_ms = BACKOFF_BASE_MS,
            .backoff_cap_ms = BACKOFF_CAP_MS};
    s.urls = o->url ? &o->url : (const char *const *)b->urls.items;
    s.url_count = o->url ? 1 : b->urls.count;
    choose_login(&s, o, b);
    choose_tls(&s.tls, o, b);
    c->url_count = s.url_count;
    return session_new(&s, &c->rng, &c->session, err);
}

enum coney_rc client_set_up(struct coney_client *c, const struct coney_client_options *o,
        struct coney_error *err)
{
    char uuid[UUID_TEXT_SIZE];
    rng_seed_random(&c->rng);
    if (gethostname(c->host, sizeof(c->host) - 1) != 0)
        snprintf(c->host, sizeof(c->host), "localhost");
    enum coney_rc rc = load_config(o->config_file, &c->config, err);
    if (rc == CONEY_OK)
        rc = make_session(c, o, err);
    if (rc != CONEY_OK)
        return rc;

    rng_uuid(&c->rng, uuid);
    snprintf(c->reply_queue, sizeof(c->reply_queue), "%.200s.reply.%s",
            c->config->broker.prefix, uuid);
    c->on_outcome = o->on_outcome;
    c->user_data = o->user_data;
    outbox_init(&c->outbox, o->attempts > 0 ? o->attempts : ATTEMPTS,
            o->timeout_ms > 0 ? o->timeout_ms : TIMEOUT_MS);
    replies_init(&c->replies, REPLIES_MAX, REPLIES_BYTES_MAX);
    return CONEY_OK;
}
