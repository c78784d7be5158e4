/* SPDX-License-Identifier: MIT */
/* scripted_peer.c - frames by hand, and a listener with one thread. */
#include "scripted_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, FRAME_ROOM = 256 * 1024 };

static void must(bool it_worked, const char *what)
{
    if (it_worked)
        return;
    perror(what);
    abort();
}

/* --- bytes ----------------------------------------------------------------------------
 */

void peer_bytes_fini(struct peer_bytes *b)
{
    free(b->data);
    *b = (struct peer_bytes){.data = NULL};
}

void peer_raw(struct peer_bytes *b, const void *data, size_t len)
{
    if (b->capacity - b->len < len) {
        b->capacity = 2 * (b->len + len) + 64;
        b->data = realloc(b->data, b->capacity);
        must(b->data, "realloc");
    }
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
}

void peer_number(struct peer_bytes *b, uint64_t value, size_t size)
{
    while (size-- > 0) {
        uint8_t octet = (uint8_t)(value >> (8 * size));
        peer_raw(b, &octet, 1);
    }
}

void peer_frame(struct peer_bytes *b, unsigned type, unsigned channel,
        const void *payload, size_t len)
{
    peer_number(b, type, 1);
    peer_number(b, channel, 2);
    peer_number(b, len, 4);
    peer_raw(b, payload, len);
    peer_number(b, 0xce, 1);
}

static void put_string(struct peer_bytes *b, const char *text, size_t length_size)
{
    peer_number(b, strlen(text), length_size);
    peer_raw(b, text, strlen(text));
}

static void put_argument(struct peer_bytes *b, char kind, va_list *ap)
{
    const struct peer_bytes *raw;

    switch (kind) {
    case 'o':
        peer_number(b, va_arg(*ap, unsigned), 1);
        break;
    case 'w':
        peer_number(b, va_arg(*ap, unsigned), 2);
        break;
    case 'l':
        peer_number(b, va_arg(*ap, unsigned), 4);
        break;
    case 'q':
        peer_number(b, va_arg(*ap, uint64_t), 8);
        break;
    case 's':
        put_string(b, va_arg(*ap, const char *), 1);
        break;
    case 'S':
        put_string(b, va_arg(*ap, const char *), 4);
        break;
    case 't':
        peer_number(b, 0, 4);
        break;
    case 'b':
        raw = va_arg(*ap, const struct peer_bytes *);
        peer_raw(b, raw->data, raw->len);
        break;
    default:
        abort();
    }
}

void peer_method(struct peer_bytes *b, unsigned channel, unsigned class_id,
        unsigned method_id, const char *format, ...)
{
    struct peer_bytes payload = {.data = NULL};
    va_list ap;

    peer_number(&payload, class_id, 2);
    peer_number(&payload, method_id, 2);
    va_start(ap, format);
    for (; *format; format++)
        put_argument(&payload, *format, &ap);
    va_end(ap);
    peer_frame(b, 1, channel, payload.data, payload.len);
    peer_bytes_fini(&payload);
}

void peer_header(struct peer_bytes *b, unsigned channel, uint64_t body_size,
        const struct peer_bytes *properties)
{
    struct peer_bytes payload = {.data = NULL};

    peer_number(&payload, 60, 2);
    peer_number(&payload, 0, 2);
    peer_number(&payload, body_size, 8);
    if (properties)
        peer_raw(&payload, properties->data, properties->len);
    else
        peer_number(&payload, 0, 2);
    peer_frame(b, 2, channel, payload.data, payload.len);
    peer_bytes_fini(&payload);
}

void peer_deliver(struct peer_bytes *b, unsigned channel, uint64_t tag,
        const struct peer_bytes *properties, const struct peer_body *body)
{
    const uint8_t *p = body->data;
    size_t len = body->len;
    size_t piece = body->piece;

    peer_method(b, channel, 60, 60, "sqoss", "tag", tag, 0u, "exchange", "key");
    peer_header(b, channel, len, properties);
    for (size_t done = 0; done < len; done += piece)
        peer_frame(b, 3, channel, p + done, len - done < piece ? len - done : piece);
}

void peer_headers(struct peer_bytes *properties, const struct peer_bytes *table)
{
    peer_number(properties, 1 << 13, 2);
    peer_raw(properties, table->data, table->len);
}

void peer_start(struct peer_bytes *b, const char *mechanisms)
{
    struct peer_bytes table = {.data = NULL};
    struct peer_bytes fields = {.data = NULL};

    put_string(&fields, "product", 1);
    peer_raw(&fields, "S", 1);
    put_string(&fields, "Scripted", 4);
    put_string(&fields, "version", 1);
    peer_raw(&fields, "S", 1);
    put_string(&fields, "1.0", 4);
    peer_number(&table, fields.len, 4);
    peer_raw(&table, fields.data, fields.len);
    peer_method(b, 0, 10, 10, "oobSS", 0u, 9u, &table, mechanisms, "en_US");
    peer_bytes_fini(&fields);
    peer_bytes_fini(&table);
}

void peer_tune(struct peer_bytes *b, unsigned channel_max, unsigned frame_max,
        unsigned heartbeat_s)
{
    peer_method(b, 0, 10, 30, "wlw", channel_max, frame_max, heartbeat_s);
}

void peer_open_ok(struct peer_bytes *b)
{
    peer_method(b, 0, 10, 41, "s", "");
}

void peer_handshake(struct peer_bytes *b, unsigned heartbeat_s)
{
    peer_start(b, "AMQPLAIN PLAIN");
    peer_tune(b, 2047, 131072, heartbeat_s);
    peer_open_ok(b);
}

/* --- connections ----------------------------------------------------------------------
 */

struct scripted_peer {
    int listener;
    unsigned port;
    peer_serve_fn *serve;
    void *ctx;
    pthread_t thread;
    atomic_uint accepted;
    atomic_bool is_stopping;
};

static void *run(void *arg)
{
    struct scripted_peer *p = arg;
    const int yes = 1;

    while (!atomic_load(&p->is_stopping)) {
        int fd = accept(p->listener, NULL, NULL);
        if (fd < 0)
            break;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        unsigned n = atomic_fetch_add(&p->accepted, 1);
        p->serve(p->ctx, fd, n);
        close(fd);
    }
    return NULL;
}

struct scripted_peer *scripted_peer_new(peer_serve_fn *serve, void *ctx)
{
    struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct scripted_peer *p = calloc(1, sizeof(*p));

    must(p, "calloc");
    p->serve = serve;
    p->ctx = ctx;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(p->listener >= 0, "socket");
    must(bind(p->listener, (struct sockaddr *)&address, len) == 0, "bind");
    must(listen(p->listener, 8) == 0, "listen");
    must(getsockname(p->listener, (struct sockaddr *)&address, &len) == 0, "getsockname");
    p->port = ntohs(address.sin_port);
    must(pthread_create(&p->thread, NULL, run, p) == 0, "pthread_create");
    return p;
}

unsigned scripted_peer_port(const struct scripted_peer *p)
{
    return p->port;
}

unsigned scripted_peer_accepted(struct scripted_peer *p)
{
    return atomic_load(&p->accepted);
}

void scripted_peer_free(struct scripted_peer *p)
{
    atomic_store(&p->is_stopping, true);
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listener);
    free(p);
}

bool peer_send(int fd, const struct peer_bytes *b)
{
    for (size_t done = 0; done < b->len;) {
        ssize_t n = send(fd, b->data + done, b->len - done, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) == 1;
}

static bool read_all(int fd, uint8_t *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = wait_readable(fd) ? recv(fd, data + done, len - done, 0) : -1;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool peer_await(int fd, unsigned class_id, unsigned method_id)
{
    uint8_t prefix[7];
    uint8_t *payload = calloc(1, FRAME_ROOM);
    bool found = false;

    must(payload, "calloc");
    while (!found && read_all(fd, prefix, sizeof(prefix))) {
        if (memcmp(prefix, "AMQP", 4) == 0) {
            if (!read_all(fd, payload, 1))
                break;
            continue;
        }
        size_t len = (size_t)prefix[3] << 24 | (size_t)prefix[4] << 16 |
                     (size_t)prefix[5] << 8 | prefix[6];
        if (len + 1 > FRAME_ROOM || !read_all(fd, payload, len + 1))
            break;
        found = prefix[0] == 1 && len >= 4 &&
                (unsigned)(payload[0] << 8 | payload[1]) == class_id &&
                (unsigned)(payload[2] << 8 | payload[3]) == method_id;
    }
    free(payload);
    return found;
}

bool peer_log_in(int fd, unsigned heartbeat_s)
{
    struct peer_bytes b = {.data = NULL};

    peer_start(&b, "PLAIN");
    bool done = peer_send(fd, &b) && peer_await(fd, 10, 11);
    b.len = 0;
    peer_tune(&b, 2047, 131072, heartbeat_s);
    done = done && peer_send(fd, &b) && peer_await(fd, 10, 40);
    b.len = 0;
    peer_open_ok(&b);
    done = done && peer_send(fd, &b);
    peer_bytes_fini(&b);
    return done;
}

void peer_await_end(int fd)
{
    uint8_t some[4096];
    while (wait_readable(fd) && recv(fd, some, sizeof(some), 0) > 0)
        ;
}
