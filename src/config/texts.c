/* SPDX-License-Identifier: MIT */
/* texts.c - which texts are names, paths and URLs. */
#include "config/texts.h"

#include "base/error.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

enum coney_rc text_check(const char *text, struct coney_error *err)
{
    if (!*text)
        return error_set(err, CONEY_EINVAL, "found an empty text");
    for (const char *s = text; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return error_set(err, CONEY_EINVAL, "found a control character (0x%02x)",
                    (unsigned)(unsigned char)*s);
    return CONEY_OK;
}

static enum coney_rc check_length(const char *text, size_t max, struct coney_error *err)
{
    enum coney_rc rc = text_check(text, err);
    if (rc == CONEY_OK && strlen(text) > max)
        rc = error_set(
                err, CONEY_EINVAL, "\"%.40s...\" is longer than %zu bytes", text, max);
    return rc;
}

enum coney_rc text_check_word(const char *text, struct coney_error *err)
{
    enum coney_rc rc = check_length(text, WORD_LENGTH_MAX, err);
    size_t len = strspn(text, LETTERS DIGITS "-_.");
    if (rc == CONEY_OK && text[len])
        rc = error_set(err, CONEY_EINVAL,
                "found \"%.100s\", allowed are letters, digits, \"-\", \"_\" and \".\"",
                text);
    return rc;
}

enum coney_rc text_check_queue(const char *text, struct coney_error *err)
{
    enum coney_rc rc = check_length(text, QUEUE_NAME_MAX, err);
    if (rc == CONEY_OK && strpbrk(text, "*#"))
        rc = error_set(err, CONEY_EINVAL,
                "\"%.100s\" can't be a queue here: * and # are wildcards in the bindings "
                "of the delay levels",
                text);
    if (rc == CONEY_OK && strncmp(text, "amq.", 4) == 0)
        rc = error_set(err, CONEY_EINVAL,
                "\"%.100s\" is a name that RabbitMQ keeps for itself (amq.)", text);
    return rc;
}

enum coney_rc text_check_task(const char *text, struct coney_error *err)
{
    return check_length(text, TASK_NAME_MAX, err);
}

enum coney_rc text_check_path(const char *text, struct coney_error *err)
{
    enum coney_rc rc = text_check(text, err);
    if (rc == CONEY_OK && *text != '/')
        rc = error_set(err, CONEY_EINVAL,
                "found \"%.100s\", wanted is an absolute path, with a \"/\" in front",
                text);
    return rc;
}

enum coney_rc text_check_variable(const char *text, struct coney_error *err)
{
    bool starts_well = *text && strspn(text, LETTERS "_") > 0;
    if (starts_well && text[strspn(text, LETTERS DIGITS "_")] == '\0')
        return CONEY_OK;
    return error_set(err, CONEY_EINVAL,
            "\"%.100s\" is no name of a variable: letters, digits and \"_\", no digit "
            "first",
            text);
}

/* --- URLs --------------------------------------------------------------------------- */

/* The parts of a URL, as they stand in it; data NULL: not there. */
struct url_parts {
    struct bytes scheme, user, password, host, port;
};

static struct bytes span(const char *from, const char *to)
{
    return (struct bytes){.data = from, .len = (size_t)(to - from)};
}

static struct url_parts split_url(const char *url)
{
    struct url_parts parts = {0};
    const char *mark = strstr(url, "://");
    if (!mark)
        return parts;
    parts.scheme = span(url, mark);

    const char *at = mark + 3;
    const char *end = at + strcspn(at, "/?#");
    const char *host = memrchr(at, '@', (size_t)(end - at));
    if (host) {
        const char *colon = memchr(at, ':', (size_t)(host - at));
        parts.user = span(at, colon ? colon : host);
        if (colon)
            parts.password = span(colon + 1, host);
        at = host + 1;
    }
    const char *bracket = *at == '[' ? memchr(at, ']', (size_t)(end - at)) : NULL;
    const char *from = bracket ? bracket : at;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    parts.host = span(at, colon ? colon : end);
    if (colon)
        parts.port = span(colon + 1, end);
    return parts;
}

static bool is_text(struct bytes b, const char *text)
{
    return b.len == strlen(text) && memcmp(b.data, text, b.len) == 0;
}

static bool is_port(struct bytes b)
{
    const char *s = b.data;
    unsigned port = 0;
    if (b.len == 0 || b.len > 5)
        return false;
    for (size_t i = 0; i < b.len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        port = port * 10 + (unsigned)(s[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

/* What is the same with every scheme. The text itself is not quoted: it may hold a
 * password. */
static enum coney_rc check_parts(
        const char *text, const struct url_parts *parts, struct coney_error *err)
{
    if (parts->host.len == 0)
        return error_set(err, CONEY_EINVAL, "the URL names no host");
    if (parts->port.data && !is_port(parts->port))
        return error_set(err, CONEY_EINVAL, "the URL's port is not 1 to 65535");
    if (strpbrk(text, " ?#"))
        return error_set(err, CONEY_EINVAL,
                "the URL holds a blank, \"?\" or \"#\": write them as %%20, %%3F, %%23");
    return CONEY_OK;
}

enum coney_rc text_check_url(const char *text, struct coney_error *err)
{
    enum coney_rc rc = text_check(text, err);
    if (rc != CONEY_OK)
        return rc;

    struct url_parts parts = split_url(text);
    if (!parts.scheme.data ||
            !(is_text(parts.scheme, "amqp") || is_text(parts.scheme, "amqps")))
        return error_set(err, CONEY_EINVAL,
                "the URL must begin with amqps:// or amqp://, as in "
                "amqps://user@host:5671/vhost");
    return check_parts(text, &parts, err);
}

/* Of redis's URL: nothing, or the number of a database. */
static bool is_database(const char *url)
{
    const char *path = strchr(strstr(url, "://") + 3, '/');
    return !path || (strspn(path + 1, DIGITS) == strlen(path + 1) && strlen(path) <= 6);
}

enum coney_rc text_check_backend(const char *text, struct coney_error *err)
{
    enum coney_rc rc = text_check(text, err);
    if (rc != CONEY_OK || strcmp(text, "rpc://") == 0)
        return rc;

    struct url_parts parts = split_url(text);
    if (!parts.scheme.data ||
            !(is_text(parts.scheme, "redis") || is_text(parts.scheme, "rediss")))
        return error_set(err, CONEY_EINVAL,
                "it must be rpc://, or begin with rediss:// or redis://, as in "
                "rediss://:password@host:6379/0");
    rc = check_parts(text, &parts, err);
    if (rc == CONEY_OK && !is_database(text))
        rc = error_set(
                err, CONEY_EINVAL, "after the URL's host may stand a database: /0");
    return rc;
}

bool url_has_secret(const char *url)
{
    struct url_parts parts = split_url(url);
    return parts.password.data && !is_text(parts.password, "guest");
}

enum coney_rc url_mask(struct buffer *out, const char *url)
{
    struct url_parts parts = split_url(url);
    if (!parts.password.data)
        return buffer_append(out, url, strlen(url));

    const char *password = parts.password.data;
    const char *rest = password + parts.password.len;
    enum coney_rc rc = buffer_append(out, url, (size_t)(password - url));
    if (rc == CONEY_OK)
        rc = buffer_append(out, "***", 3);
    return rc == CONEY_OK ? buffer_append(out, rest, strlen(rest)) : rc;
}

bool is_secret_variable(const char *name)
{
    static const char *const words[] = {
            "PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "KEY"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasestr(name, words[i]))
            return true;
    return false;
}
