/* SPDX-License-Identifier: MIT */
/* url.c - cutting a URL at its separators first, decoding the pieces after. */
#include "net/url.h"

#include "base/error.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PORT_MAX = 65535 };

/* A stretch of the text, not yet decoded. data NULL: not there. */
struct piece {
    const char *data;
    size_t len;
};

struct pieces {
    struct piece user, password, host, port, path;
};

static struct piece between(const char *from, const char *to)
{
    return (struct piece){.data = from, .len = (size_t)(to - from)};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20); /* lower case */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode @p. *@out stays NULL for a piece that is not there. CONEY_EINVAL: a bad escape,
 * a zero, or a control character. */
static enum coney_rc decode(struct piece p, struct arena *a, const char **out)
{
    *out = NULL;
    if (!p.data)
        return CONEY_OK;
    char *text = arena_alloc(a, p.len + 1);
    if (!text)
        return CONEY_ENOMEM;
    size_t len = 0;
    for (size_t i = 0; i < p.len; i++) {
        int c = (unsigned char)p.data[i];
        if (c == '%') {
            bool is_whole = p.len - i > 2;
            int high = is_whole ? hex_value(p.data[i + 1]) : -1;
            int low = is_whole ? hex_value(p.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return CONEY_EINVAL;
            c = high * 16 + low;
            i += 2;
        }
        if (c < 0x20 || c == 0x7f)
            return CONEY_EINVAL;
        text[len++] = (char)c;
    }
    *out = text;
    return CONEY_OK;
}

static const char *find(const char *from, const char *end, char c)
{
    const char *p = memchr(from, c, (size_t)(end - from));
    return p ? p : end;
}

static const char *cut_user(const char *p, const char *end, struct pieces *out)
{
    const char *at = find(p, end, '@');
    if (at == end)
        return p;
    const char *colon = find(p, at, ':');
    out->user = between(p, colon);
    if (colon < at)
        out->password = between(colon + 1, at);
    return at + 1;
}

static enum coney_rc cut_host(
        const char *p, const char *end, struct pieces *out, struct coney_error *err)
{
    const char *host_end;
    if (p < end && *p == '[') {
        host_end = find(p, end, ']');
        if (host_end == end)
            return error_set(err, CONEY_EINVAL, "no ] after the IPv6 address");
        out->host = between(p + 1, host_end);
        host_end++;
    } else {
        host_end = find(p, end, ':');
        out->host = between(p, host_end);
    }
    if (out->host.len == 0)
        return error_set(err, CONEY_EINVAL, "no host");
    if (host_end == end)
        return CONEY_OK;
    if (*host_end != ':')
        return error_set(err, CONEY_EINVAL, "more after the IPv6 address than a port");
    out->port = between(host_end + 1, end);
    return CONEY_OK;
}

static enum coney_rc cut(const char *p, struct pieces *out, struct coney_error *err)
{
    const char *end = p + strlen(p);
    const char *authority_end = find(p, end, '/');

    if (find(p, end, '?') < end || find(p, end, '#') < end)
        return error_set(err, CONEY_EINVAL,
                "? and # have no meaning here (in a password write %%3F and %%23)");
    if (authority_end < end)
        out->path = between(authority_end + 1, end);
    if (find(authority_end, end, '@') < end)
        return error_set(
                err, CONEY_EINVAL, "an @ after the first / (write %%2F and %%40)");
    p = cut_user(p, authority_end, out);
    if (find(p, authority_end, '@') < authority_end)
        return error_set(err, CONEY_EINVAL, "more than one @ (in a password write %%40)");
    return cut_host(p, authority_end, out, err);
}

static enum coney_rc take_port(
        struct piece port, struct arena *a, struct url *url, struct coney_error *err)
{
    if (!port.data)
        return CONEY_OK;
    unsigned value = 0;
    for (size_t i = 0; i < port.len && value <= PORT_MAX; i++) {
        if (!isdigit((unsigned char)port.data[i]))
            value = PORT_MAX + 1;
        else
            value = value * 10 + (unsigned)(port.data[i] - '0');
    }
    /* Not repeated: in a URL without @ it may be a password. */
    if (value == 0 || value > PORT_MAX)
        return error_set(err, CONEY_EINVAL, "the port is not a number from 1 to 65535");
    url->port = arena_printf(a, "%u", value);
    return url->port ? CONEY_OK : error_set_nomem(err);
}

/* As it stands, since what a slash in it means is the protocol's. */
static enum coney_rc take_path(
        struct piece path, struct arena *a, struct url *url, struct coney_error *err)
{
    if (!path.data)
        return CONEY_OK;
    struct bytes copy = arena_copy(a, (struct bytes){.data = path.data, .len = path.len});
    url->path = (const char *)copy.data;
    return url->path ? CONEY_OK : error_set_nomem(err);
}

static enum coney_rc take_names(
        const struct pieces *p, struct arena *a, struct url *url, struct coney_error *err)
{
    enum coney_rc rc = decode(p->host, a, &url->host);
    if (rc != CONEY_OK || strchr(url->host, ' '))
        return error_set(
                err, rc != CONEY_OK ? rc : CONEY_EINVAL, "the host is malformed");
    rc = decode(p->user, a, &url->user);
    if (rc == CONEY_OK)
        rc = decode(p->password, a, &url->password);
    if (rc != CONEY_OK)
        return error_set(err, rc, "a malformed %%-escape before the @");
    url->label = strchr(url->host, ':') ? arena_printf(a, "[%s]:%s", url->host, url->port)
                                        : arena_printf(a, "%s:%s", url->host, url->port);
    return url->label ? CONEY_OK : error_set_nomem(err);
}

/* What comes after "@scheme://" in @text; NULL when it begins otherwise. */
static const char *skip_scheme(const char *text, const char *scheme)
{
    size_t len = strlen(scheme);
    if (strncasecmp(text, scheme, len) != 0 || strncmp(text + len, "://", 3) != 0)
        return NULL;
    return text + len + 3;
}

static const char *take_scheme(
        const char *text, const struct url_schemes *schemes, struct url *url)
{
    const char *rest = skip_scheme(text, schemes->tls);
    url->is_tls = rest != NULL;
    url->port = rest ? schemes->tls_port : schemes->plain_port;
    return rest ? rest : skip_scheme(text, schemes->plain);
}

enum coney_rc url_parse(const char *text, const struct url_schemes *schemes,
        struct arena *a, struct url *url, struct coney_error *err)
{
    struct pieces p = {.user = {.data = NULL}};

    *url = (struct url){.host = NULL};
    const char *rest = take_scheme(text, schemes, url);
    if (!rest)
        return error_set(err, CONEY_EINVAL, "it does not begin with %s:// or %s://",
                schemes->tls, schemes->plain);
    enum coney_rc rc = cut(rest, &p, err);
    if (rc == CONEY_OK)
        rc = take_port(p.port, a, url, err);
    if (rc == CONEY_OK)
        rc = take_names(&p, a, url, err);
    if (rc == CONEY_OK)
        rc = take_path(p.path, a, url, err);
    return rc;
}

enum coney_rc url_decode(const char *text, struct arena *a, const char **out)
{
    return decode(between(text, text + strlen(text)), a, out);
}
