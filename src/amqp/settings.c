/* SPDX-License-Identifier: MIT */
/* settings.c - a session's options, copied, checked and completed. */
#include "amqp/session_impl.h"
#include "base/error.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    DEFAULT_HEARTBEAT_S = 20,
    HEARTBEAT_OFF = 0xffff,
    DEFAULT_CONNECT_TIMEOUT_MS = 10000,
    DEFAULT_BACKOFF_BASE_MS = 500,
    DEFAULT_BACKOFF_CAP_MS = 30000,
    DEFAULT_FRAME_MAX = 131072,
    LEAST_FRAME_MAX = 8192, /* RabbitMQ 4.1 and later refuse less */
    DEFAULT_BODY_MAX = 16 * 1024 * 1024,
    DEFAULT_OUTPUT_MAX = 64 * 1024 * 1024,
    DEFAULT_HEADERS_DEPTH = 32
};

static unsigned or_default(unsigned value, unsigned when_zero)
{
    return value != 0 ? value : when_zero;
}

static void take_numbers(struct settings *set, const struct session_options *o)
{
    unsigned heartbeat_s = or_default(o->heartbeat_s, DEFAULT_HEARTBEAT_S);
    unsigned depth = or_default(o->headers_depth_max, DEFAULT_HEADERS_DEPTH);

    set->dialer.mode = o->mode == SESSION_ONCE ? DIAL_ONCE : DIAL_FOREVER;
    set->dialer.connect_timeout_ms =
            or_default(o->connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT_MS);
    set->dialer.backoff_base_ms = or_default(o->backoff_base_ms, DEFAULT_BACKOFF_BASE_MS);
    set->dialer.backoff_cap_ms = or_default(o->backoff_cap_ms, DEFAULT_BACKOFF_CAP_MS);
    set->link.auth = o->auth;
    set->link.heartbeat_s = heartbeat_s >= HEARTBEAT_OFF ? 0 : heartbeat_s;
    set->dialer.user_timeout_ms = set->link.heartbeat_s * 2000;
    set->link.frame_max = or_default(o->frame_max, DEFAULT_FRAME_MAX);
    if (set->link.frame_max < LEAST_FRAME_MAX)
        set->link.frame_max = LEAST_FRAME_MAX;
    set->link.body_max = o->body_max > 0 ? o->body_max : DEFAULT_BODY_MAX;
    set->link.output_max = o->output_max > 0 ? o->output_max : DEFAULT_OUTPUT_MAX;
    /* What comes in may have to go out again. */
    set->link.headers_depth_max = depth < TABLE_DEPTH_MAX ? depth : TABLE_DEPTH_MAX - 1;
}

static enum coney_rc take_text(
        struct arena *a, const char *text, const char **out, struct coney_error *err)
{
    if (!text)
        return CONEY_OK;
    *out = arena_strdup(a, text);
    return *out ? CONEY_OK : error_set_nomem(err);
}

static enum coney_rc take_urls(struct settings *set, const struct session_options *o,
        bool *wants_tls, struct coney_error *err)
{
    *wants_tls = false;
    if (o->url_count == 0)
        return error_set(err, CONEY_EINVAL, "no broker URL");
    set->brokers = arena_alloc(set->arena, o->url_count * sizeof(*set->brokers));
    const struct url **urls =
            arena_alloc(set->arena, o->url_count * sizeof(struct url *));
    if (!set->brokers || !urls)
        return error_set_nomem(err);
    set->dialer.urls = urls;
    set->dialer.url_count = o->url_count;
    for (size_t i = 0; i < o->url_count; i++) {
        struct broker_url *b = &set->brokers[i];
        enum coney_rc rc = broker_url_parse(o->urls[i], set->arena, b, err);
        if (rc != CONEY_OK) {
            error_prefix(err, "broker URL %zu", i + 1);
            return rc;
        }
        urls[i] = &b->url;
        *wants_tls |= b->url.is_tls;
    }
    return CONEY_OK;
}

/* An address without TLS has no certificate to log in with. */
static enum coney_rc check_auth(const struct settings *set,
        const struct session_options *o, struct coney_error *err)
{
    if (o->auth != SESSION_AUTH_EXTERNAL)
        return CONEY_OK;
    if (!o->tls.cert_file)
        return error_set(err, CONEY_EINVAL,
                "login by certificate (EXTERNAL) needs a client certificate");
    for (size_t i = 0; i < set->dialer.url_count; i++)
        if (!set->brokers[i].url.is_tls)
            return error_set(err, CONEY_EINVAL,
                    "login by certificate (EXTERNAL) needs amqps://, not amqp://%s",
                    set->brokers[i].url.label);
    return CONEY_OK;
}

/* --- who we are, for the operator's eyes ----------------------------------------------
 */

static enum coney_rc describe_client(
        struct table *t, struct arena *a, const struct session_options *o)
{
    struct utsname os;
    bool known = uname(&os) == 0;
    const struct {
        const char *key, *text;
    } texts[] = {
            {"product", "Coney"},
            {"version", CONEY_VERSION},
            {"platform",
                    known ? arena_printf(a, "C, %s %s", os.sysname, os.machine) : "C"},
            {"host", known ? arena_strdup(a, os.nodename) : NULL},
            {"connection_name",
                    o->connection_name ? arena_strdup(a, o->connection_name) : NULL},
    };
    enum coney_rc rc = CONEY_OK;
    for (size_t i = 0; rc == CONEY_OK && i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].text)
            rc = table_set_text(t, a, texts[i].key, texts[i].text);
    if (rc == CONEY_OK)
        rc = table_set_integer(t, a, "pid", getpid());
    return rc;
}

static enum coney_rc take_client_properties(
        struct settings *set, const struct session_options *o, struct coney_error *err)
{
    struct table extra = {.fields = NULL};
    size_t size = 0;
    amqp_pool_t pool;
    amqp_table_t view;

    enum coney_rc rc = describe_client(&set->client_properties, set->arena, o);
    if (rc == CONEY_OK && o->client_properties)
        rc = table_copy_deep(&extra, set->arena, o->client_properties);
    for (size_t i = 0; rc == CONEY_OK && i < extra.count; i++)
        rc = table_set(&set->client_properties, set->arena, &extra.fields[i]);
    if (rc != CONEY_OK)
        return error_set_nomem(err);

    init_amqp_pool(&pool, 0);
    rc = codec_view_table(&set->client_properties, &pool, &view, &size);
    empty_amqp_pool(&pool);
    if (rc == CONEY_OK && size > LEAST_FRAME_MAX / 2)
        rc = CONEY_EINVAL;
    return rc == CONEY_OK
                   ? CONEY_OK
                   : error_set(err, rc, "client properties are malformed or over 4 KiB");
}

enum coney_rc settings_init(struct settings *set, const struct session_options *options,
        struct coney_error *err)
{
    bool wants_tls;

    *set = (struct settings){.arena = arena_new(0)};
    if (!set->arena)
        return error_set_nomem(err);
    take_numbers(set, options);
    enum coney_rc rc = take_text(set->arena, options->user, &set->user, err);
    if (rc == CONEY_OK)
        rc = take_text(set->arena, options->password, &set->password, err);
    if (rc == CONEY_OK)
        rc = take_urls(set, options, &wants_tls, err);
    if (rc == CONEY_OK)
        rc = check_auth(set, options, err);
    if (rc == CONEY_OK)
        rc = take_client_properties(set, options, err);
    if (rc == CONEY_OK && wants_tls)
        rc = tls_context_new(&options->tls, &set->tls, err);
    set->dialer.tls = set->tls;
    set->link.client_properties = &set->client_properties;
    return rc;
}

void settings_fini(struct settings *set)
{
    tls_context_free(set->tls);
    arena_free(set->arena);
    *set = (struct settings){.arena = NULL};
}
