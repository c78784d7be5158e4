/* SPDX-License-Identifier: MIT */
/* transport.c - a non-blocking TCP socket and, if wanted, the TLS on it. */
#include "net/transport.h"

#include "base/error.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_SIZE = 128 * 1024,
    /* Plaintext of one write; its records fit the TLS output beside what is there. */
    TLS_WRITE_SIZE = 256 * 1024,
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_INTERVAL_S = 15,
    KEEPALIVE_COUNT = 4
};

struct transport {
    int fd;
    enum transport_phase phase;
    struct tls *tls; /* owned; NULL: plain */
    bool is_full;    /* the socket takes no more until poll says so */
    char peer[INET6_ADDRSTRLEN + 32];
};

/* Options that make a connection faster or its death known sooner; without them it works
 * as well, so that a failure is no reason to give up. */
static void set_options(int fd, unsigned user_timeout_ms)
{
    static const struct {
        int level, name, value;
    } options[] = {
            {IPPROTO_TCP, TCP_NODELAY, 1},
            {SOL_SOCKET, SO_KEEPALIVE, 1},
            {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
            {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
            {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                sizeof(options[i].value));
    if (user_timeout_ms > 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms,
                sizeof(user_timeout_ms));
}

static void describe(struct transport *t, const struct addrinfo *address)
{
    char host[INET6_ADDRSTRLEN + 1];
    char port[8];
    int status = getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof(host),
            port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    if (status != 0)
        snprintf(t->peer, sizeof(t->peer), "unknown address");
    else if (address->ai_family == AF_INET6)
        snprintf(t->peer, sizeof(t->peer), "[%s]:%s", host, port);
    else
        snprintf(t->peer, sizeof(t->peer), "%s:%s", host, port);
}

enum coney_rc transport_open(const struct addrinfo *address,
        const struct transport_options *options, struct transport **out,
        struct coney_error *err)
{
    enum coney_rc rc;
    struct transport *t = calloc(1, sizeof(*t));
    if (!t)
        return error_set_nomem(err);
    t->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    describe(t, address);
    if (t->fd < 0) {
        rc = error_set_errno(err, "%s: no socket", t->peer);
        goto out;
    }
    set_options(t->fd, options->user_timeout_ms);
    if (options->tls) {
        rc = tls_new(options->tls, options->host, &t->tls, err);
        if (rc != CONEY_OK)
            goto out;
    }
    rc = CONEY_OK;
    if (connect(t->fd, address->ai_addr, address->ai_addrlen) < 0 && errno != EINPROGRESS)
        rc = error_set_errno(err, "%s", t->peer);
out:
    if (rc != CONEY_OK) {
        transport_free(t);
        return rc;
    }
    *out = t;
    return CONEY_OK;
}

/* 0 also when the socket is full; then it stays marked as such. */
static enum coney_rc send_some(
        struct transport *t, struct bytes data, size_t *sent, struct coney_error *err)
{
    *sent = 0;
    if (data.len == 0)
        return CONEY_OK;
    ssize_t n = send(t->fd, data.data, data.len, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno == EINTR)
            return CONEY_OK;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return error_set(err, CONEY_ECLOSED, "connection lost: %s", strerror(errno));
        n = 0;
    }
    *sent = (size_t)n;
    t->is_full = *sent < data.len;
    return CONEY_OK;
}

static enum coney_rc send_ciphertext(struct transport *t, struct coney_error *err)
{
    struct buffer *out = tls_output(t->tls);
    struct bytes data = {.data = buffer_data(out), .len = buffer_len(out)};
    size_t sent;
    enum coney_rc rc = send_some(t, data, &sent, err);
    buffer_take(out, sent);
    return rc;
}

void transport_free(struct transport *t)
{
    if (!t)
        return;
    if (t->tls && t->phase == TRANSPORT_READY) {
        tls_shutdown(t->tls);
        enum coney_rc rc = send_ciphertext(t, NULL);
        (void)rc; /* it was a courtesy */
    }
    tls_free(t->tls);
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

int transport_fd(const struct transport *t)
{
    return t->fd;
}

enum transport_phase transport_phase(const struct transport *t)
{
    return t->phase;
}

const char *transport_peer(const struct transport *t)
{
    return t->peer;
}

short transport_wants(const struct transport *t)
{
    if (t->phase == TRANSPORT_CONNECTING)
        return POLLOUT;
    return (short)(POLLIN | (t->is_full ? POLLOUT : 0));
}

/* --- reading --------------------------------------------------------------------------
 */

static enum coney_rc receive(
        struct transport *t, void *data, size_t len, size_t *got, struct coney_error *err)
{
    *got = 0;
    ssize_t n = recv(t->fd, data, len, 0);
    if (n == 0)
        return error_set(err, CONEY_ECLOSED, "the server closed the connection");
    if (n < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
            return CONEY_OK;
        return error_set(err, CONEY_ECLOSED, "connection lost: %s", strerror(errno));
    }
    *got = (size_t)n;
    return CONEY_OK;
}

static enum coney_rc receive_ciphertext(struct transport *t, struct coney_error *err)
{
    uint8_t *space;
    size_t got;
    enum coney_rc rc = buffer_reserve(tls_input(t->tls), READ_SIZE, &space);
    if (rc != CONEY_OK)
        return error_set(err, rc, "no room to read into");
    rc = receive(t, space, READ_SIZE, &got, err);
    if (rc == CONEY_OK)
        buffer_commit(tls_input(t->tls), got);
    return rc;
}

bool transport_has_input(struct transport *t)
{
    return t->tls && t->phase == TRANSPORT_READY && tls_has_input(t->tls);
}

enum coney_rc transport_read(
        struct transport *t, void *data, size_t len, size_t *got, struct coney_error *err)
{
    if (!t->tls)
        return receive(t, data, len, got, err);

    /* Decrypt what is there before more is fetched: that bounds the buffer. */
    enum coney_rc rc = tls_read(t->tls, data, len, got, err);
    if (rc != CONEY_OK || *got > 0)
        return rc;
    struct coney_error end;
    enum coney_rc received = receive_ciphertext(t, &end);
    rc = tls_read(t->tls, data, len, got, err);
    if (rc != CONEY_OK || *got > 0 || received == CONEY_OK)
        return rc;
    return error_set(err, end.rc, "%s", end.text);
}

/* --- writing --------------------------------------------------------------------------
 */

bool transport_can_write(struct transport *t, short revents)
{
    if (revents & (POLLOUT | POLLERR | POLLHUP))
        t->is_full = false;
    return t->phase == TRANSPORT_READY && !t->is_full;
}

enum coney_rc transport_write(
        struct transport *t, struct bytes data, size_t *taken, struct coney_error *err)
{
    if (!t->tls)
        return send_some(t, data, taken, err);

    *taken = 0;
    if (transport_unsent(t) < TLS_WRITE_SIZE) {
        if (data.len > TLS_WRITE_SIZE)
            data.len = TLS_WRITE_SIZE;
        enum coney_rc rc = tls_write(t->tls, data, err);
        if (rc != CONEY_OK)
            return rc;
        *taken = data.len;
    }
    return send_ciphertext(t, err);
}

size_t transport_unsent(struct transport *t)
{
    return t->tls ? buffer_len(tls_output(t->tls)) : 0;
}

/* --- towards readiness ----------------------------------------------------------------
 */

static enum coney_rc connected(struct transport *t, struct coney_error *err)
{
    int status = 0;
    socklen_t len = sizeof(status);

    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &status, &len) < 0)
        status = errno;
    if (status != 0)
        return error_set(err, CONEY_EIO, "%s: %s", t->peer, strerror(status));
    t->phase = t->tls ? TRANSPORT_HANDSHAKING : TRANSPORT_READY;
    return CONEY_OK;
}

static enum coney_rc handshake(
        struct transport *t, short revents, struct coney_error *err)
{
    struct coney_error end;
    enum coney_rc received = CONEY_OK;
    bool done;

    if (revents & POLLOUT)
        t->is_full = false;
    if (revents & (POLLIN | POLLERR | POLLHUP))
        received = receive_ciphertext(t, &end);
    enum coney_rc rc = tls_handshake(t->tls, &done, err);
    /* Also after a failure: the alert tells the peer why. */
    enum coney_rc sent =
            t->is_full ? CONEY_OK : send_ciphertext(t, rc == CONEY_OK ? err : NULL);
    if (rc == CONEY_OK && !done && received != CONEY_OK)
        return error_set(err, received, "TLS handshake: %s", end.text);
    if (rc == CONEY_OK)
        rc = sent;
    if (rc != CONEY_OK || !done)
        return rc;
    size_t len = strlen(t->peer);
    snprintf(t->peer + len, sizeof(t->peer) - len, " (%s)", tls_version(t->tls));
    t->phase = TRANSPORT_READY;
    return CONEY_OK;
}

enum coney_rc transport_continue(
        struct transport *t, short revents, struct coney_error *err)
{
    if (t->phase == TRANSPORT_CONNECTING) {
        if (!(revents & (POLLOUT | POLLERR | POLLHUP)))
            return CONEY_OK;
        enum coney_rc rc = connected(t, err);
        if (rc != CONEY_OK || !t->tls)
            return rc;
        revents = 0;
    }
    return t->phase == TRANSPORT_HANDSHAKING ? handshake(t, revents, err) : CONEY_OK;
}
