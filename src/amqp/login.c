/* SPDX-License-Identifier: MIT */
/*
 * login.c - start, tune and open: from the protocol header to open-ok (§2.2.4).
 *
 * Most of what goes wrong with a broker goes wrong here, and a person reads about it; so
 * each refusal becomes one sentence that names the user or virtual host and says what to
 * do, and never the password.
 */
#include "amqp/link_impl.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum {
    PROTOCOL_HEADER_SIZE = 8,
    VERSION_SIZE = 2,
    /* RabbitMQ's default limit; a broker that names none gets no more from us. */
    CHANNEL_MAX = 2047,
    TLS_ALERT = 0x15
};

enum coney_rc login_send_header(struct link *l)
{
    static const char header[PROTOCOL_HEADER_SIZE] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    return buffer_append(&l->out, header, sizeof(header));
}

/* A broker that speaks another version answers with that version's header (§2.2.4). */
bool login_is_header_coming(const struct link *l)
{
    size_t len = buffer_len(&l->in);
    return l->login_step == LOGIN_START && len > 0 && len < PROTOCOL_HEADER_SIZE &&
           buffer_data(&l->in)[0] == 'A';
}

/* Who answers on a wrong port gives himself away with the first byte. */
bool login_is_amqp(struct link *l)
{
    const uint8_t *p = buffer_data(&l->in);
    size_t len = buffer_len(&l->in);

    if (len == 0 || p[0] == FRAME_METHOD || login_is_header_coming(l))
        return true;
    if (p[0] == 'A' && memcmp(p, "AMQP", 4) == 0)
        link_fail(l, CONEY_EREFUSED, 0, "speaks AMQP %u-%u-%u, not 0-9-1", p[5], p[6],
                p[7]);
    else if (p[0] == TLS_ALERT)
        link_fail(l, CONEY_EREFUSED, 0, "this port expects TLS; use amqps:// in the URL");
    else
        link_fail(l, CONEY_EREFUSED, 0,
                "this is not a RabbitMQ port (it answered 0x%02x)", p[0]);
    return false;
}

/* --- start ----------------------------------------------------------------------------
 */

static const amqp_field_value_t *find_entry(const amqp_table_t *t, const char *key)
{
    size_t len = strlen(key);
    for (int i = 0; i < t->num_entries; i++)
        if (t->entries[i].key.len == len &&
                memcmp(t->entries[i].key.bytes, key, len) == 0)
            return &t->entries[i].value;
    return NULL;
}

static int text_len(const amqp_field_value_t *v)
{
    return v && v->kind == AMQP_FIELD_KIND_UTF8 && v->value.bytes.len < 40
                   ? (int)v->value.bytes.len
                   : 0;
}

static void remember_broker(struct link *l, const amqp_table_t *properties)
{
    const amqp_field_value_t *product = find_entry(properties, "product");
    const amqp_field_value_t *version = find_entry(properties, "version");
    int product_len = text_len(product);
    int version_len = text_len(version);
    snprintf(l->broker, sizeof(l->broker), "%.*s%s%.*s", product_len,
            product_len > 0 ? (const char *)product->value.bytes.bytes : "",
            version_len > 0 ? " " : "", version_len,
            version_len > 0 ? (const char *)version->value.bytes.bytes : "");
}

static const char *mechanism_name(const struct link *l)
{
    return l->options.auth == SESSION_AUTH_EXTERNAL ? "EXTERNAL" : "PLAIN";
}

static bool offers(amqp_bytes_t mechanisms, const char *name)
{
    const char *p = mechanisms.bytes;
    const char *end = p + mechanisms.len;
    size_t len = strlen(name);

    while (p < end) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        size_t word = (size_t)((space ? space : end) - p);
        if (word == len && memcmp(p, name, len) == 0)
            return true;
        p += word + 1;
    }
    return false;
}

/* One of the features we understand; RabbitMQ uses none that is not announced. */
static enum coney_rc announce(struct table *t, struct arena *a)
{
    static const char *const features[] = {"authentication_failure_close", "basic.nack",
            "connection.blocked", "consumer_cancel_notify", "exchange_exchange_bindings",
            "publisher_confirms"};
    struct field capabilities = {
            .key = {.data = "capabilities", .len = strlen("capabilities")},
            .type = FIELD_TABLE};

    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
        enum coney_rc rc =
                table_set_bool(&capabilities.value.table, a, features[i], true);
        if (rc != CONEY_OK)
            return rc;
    }
    return table_set(t, a, &capabilities);
}

/* RFC 4616: no authorisation identity, then user and password, each after a zero. */
static amqp_bytes_t plain_response(
        struct arena *a, const char *user, const char *password)
{
    size_t user_len = strlen(user);
    size_t len = user_len + strlen(password) + 2;
    char *text = arena_alloc(a, len + 1);
    if (text) {
        memcpy(text + 1, user, user_len);
        memcpy(text + 2 + user_len, password, strlen(password));
    }
    return (amqp_bytes_t){.len = len, .bytes = text};
}

static enum coney_rc send_start_ok(struct link *l, struct arena *a)
{
    struct table properties = {.fields = NULL};
    amqp_connection_start_ok_t ok = {.mechanism = codec_text(mechanism_name(l)),
            .locale = codec_text("en_US"),
            .response = codec_text("")};
    size_t size = 0;
    enum coney_rc rc = CONEY_OK;

    if (l->options.client_properties)
        rc = table_copy(&properties, a, l->options.client_properties);
    if (rc == CONEY_OK)
        rc = announce(&properties, a);
    if (rc == CONEY_OK)
        rc = codec_view_table(&properties, &l->out_pool, &ok.client_properties, &size);
    if (rc != CONEY_OK)
        return rc;
    if (l->options.auth == SESSION_AUTH_PLAIN) {
        ok.response = plain_response(a, l->options.user, l->options.password);
        if (!ok.response.bytes)
            return CONEY_ENOMEM;
        size += ok.response.len;
    }
    return link_send(l, 0, AMQP_CONNECTION_START_OK_METHOD, &ok, size);
}

static void handle_start(struct link *l, struct bytes payload)
{
    struct scan_limits limits = {
            .depth_max = l->options.headers_depth_max, .fields_max = HEADER_FIELDS_MAX};
    const uint8_t *p = payload.data;
    size_t used;

    if (payload.len < 4 + VERSION_SIZE ||
            scan_table((struct bytes){.data = p + 4 + VERSION_SIZE,
                               .len = payload.len - 4 - VERSION_SIZE},
                    &limits, &used) != CONEY_OK) {
        link_fail(l, CONEY_ESYNTAX, 0, "protocol violation: malformed connection.start");
        return;
    }
    amqp_connection_start_t *start = link_decode(l, payload);
    if (!start)
        return;
    remember_broker(l, &start->server_properties);
    if (!offers(start->mechanisms, mechanism_name(l))) {
        link_fail(l, CONEY_EREFUSED, 0, "the broker does not offer %s, only: %.*s%s",
                mechanism_name(l),
                start->mechanisms.len < 100 ? (int)start->mechanisms.len : 100,
                (const char *)start->mechanisms.bytes,
                l->options.auth == SESSION_AUTH_EXTERNAL
                        ? "; enable rabbitmq_auth_mechanism_ssl there"
                        : "");
        return;
    }

    struct arena *a = arena_new(0);
    enum coney_rc rc = a ? send_start_ok(l, a) : CONEY_ENOMEM;
    arena_free(a);
    if (rc != CONEY_OK)
        link_fail(l, rc, 0, "cannot answer connection.start (%s)", coney_rc_name(rc));
    else
        l->login_step = LOGIN_TUNE;
}

/* --- tune and open --------------------------------------------------------------------
 */

static uint32_t lower_limit(uint32_t ours, uint32_t theirs)
{
    return theirs != 0 && theirs < ours ? theirs : ours;
}

static void handle_tune(struct link *l, struct bytes payload)
{
    const amqp_connection_tune_t *tune = link_decode(l, payload);
    if (!tune)
        return;
    uint32_t frame_max = lower_limit(l->options.frame_max, tune->frame_max);
    if (frame_max < FRAME_MAX_MIN) {
        link_fail(l, CONEY_ESYNTAX, 0,
                "protocol violation: frame_max %u, less than %d bytes", frame_max,
                FRAME_MAX_MIN);
        return;
    }
    l->frame_max = frame_max;
    l->channels.max = (uint16_t)lower_limit(CHANNEL_MAX, tune->channel_max);
    l->heartbeat_s = lower_limit(l->options.heartbeat_s, tune->heartbeat);

    amqp_connection_tune_ok_t ok = {.channel_max = l->channels.max,
            .frame_max = frame_max,
            .heartbeat = (uint16_t)l->heartbeat_s};
    amqp_connection_open_t open = {.virtual_host = codec_text(l->options.vhost)};
    link_send_or_fail(l, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok);
    link_send_or_fail(l, 0, AMQP_CONNECTION_OPEN_METHOD, &open);
    l->login_step = LOGIN_OPEN;
}

void login_method(struct link *l, amqp_method_number_t method, struct bytes payload)
{
    if (l->login_step == LOGIN_START && method == AMQP_CONNECTION_START_METHOD)
        handle_start(l, payload);
    else if (l->login_step == LOGIN_TUNE && method == AMQP_CONNECTION_TUNE_METHOD)
        handle_tune(l, payload);
    else if (l->login_step == LOGIN_OPEN && method == AMQP_CONNECTION_OPEN_OK_METHOD)
        l->phase = LINK_UP;
    else
        link_fail(l, CONEY_ESYNTAX, 0, "protocol violation: method 0x%08x during login",
                (unsigned)method);
}

/* --- refusals -------------------------------------------------------------------------
 */

static void login_refused(struct link *l, int len, const char *text)
{
    if (l->options.auth == SESSION_AUTH_EXTERNAL)
        link_fail(l, CONEY_EREFUSED, AMQP_ACCESS_REFUSED,
                "login with the client certificate refused (403); its name must be a user "
                "of the broker (%.*s)",
                len, text);
    else
        link_fail(l, CONEY_EREFUSED, AMQP_ACCESS_REFUSED,
                "login of user \"%s\" refused (403): wrong user name or password",
                l->options.user);
}

void login_closed(struct link *l, const amqp_connection_close_t *close)
{
    int len = (int)close->reply_text.len;
    const char *text = close->reply_text.bytes;
    unsigned code = close->reply_code;

    if (l->login_step == LOGIN_TUNE && code == AMQP_ACCESS_REFUSED)
        login_refused(l, len, text);
    else if (l->login_step == LOGIN_OPEN &&
             (code == AMQP_ACCESS_REFUSED || code == AMQP_NOT_ALLOWED))
        link_fail(l, CONEY_EREFUSED, code,
                "virtual host \"%s\" refused to user \"%s\" (%u): %.*s", l->options.vhost,
                l->options.user, code, len, text);
    else
        link_fail(l, dispatch_rc(code), code, "closed during login (%u): %.*s", code, len,
                text);
}

void login_ended(struct link *l)
{
    if (l->login_step == LOGIN_START)
        link_fail(l, CONEY_ECLOSED, 0,
                "closed the connection before it said anything; is this the right port, "
                "and does it want TLS?");
    else
        link_fail(l, CONEY_ECLOSED, 0, "closed the connection during login, unexplained");
}
