/* SPDX-License-Identifier: MIT */
/*
 * scripted_peer.h - the broker's side of AMQP 0-9-1, for what a broker won't do.
 *
 * Writes bytes on its own, without a line of the code under test: whole frames and
 * methods, and broken ones. And a listener on loopback that serves each connection with a
 * function of the test's, in a thread.
 */
#ifndef CONEY_TESTS_SCRIPTED_PEER_H
#define CONEY_TESTS_SCRIPTED_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- bytes ----------------------------------------------------------------------------
 */

struct peer_bytes {
    uint8_t *data; /* owned */
    size_t len;
    size_t capacity;
};

void peer_bytes_fini(struct peer_bytes *b);
void peer_raw(struct peer_bytes *b, const void *data, size_t len);
/* Numbers in network order, @size of 1, 2, 4 or 8 bytes. */
void peer_number(struct peer_bytes *b, uint64_t value, size_t size);

/* One frame of any kind, well formed whatever it holds. */
void peer_frame(struct peer_bytes *b, unsigned type, unsigned channel,
        const void *payload, size_t len);
/*
 * A method frame. @format has one letter for each argument: o octet, w 16 bits, l 32,
 * q 64 (as uint64_t), s short string, S long string, t a table that is empty (no
 * argument), b raw bytes (const struct peer_bytes *).
 */
void peer_method(struct peer_bytes *b, unsigned channel, unsigned class_id,
        unsigned method_id, const char *format, ...);
/* A content header frame; @properties with their flags, or NULL for none. */
void peer_header(struct peer_bytes *b, unsigned channel, uint64_t body_size,
        const struct peer_bytes *properties);
/* A delivery's body, sent in frames of at most @piece bytes. */
struct peer_body {
    const void *data;
    size_t len;
    size_t piece;
};
/* A basic.deliver with header and body. */
void peer_deliver(struct peer_bytes *b, unsigned channel, uint64_t tag,
        const struct peer_bytes *properties, const struct peer_body *body);
/* Properties with nothing but headers: the encoded table @table, its length first. */
void peer_headers(struct peer_bytes *properties, const struct peer_bytes *table);

/* start, tune and open-ok: all that a client needs to hear to be logged in. */
void peer_start(struct peer_bytes *b, const char *mechanisms);
void peer_tune(struct peer_bytes *b, unsigned channel_max, unsigned frame_max,
        unsigned heartbeat_s);
void peer_open_ok(struct peer_bytes *b);
void peer_handshake(struct peer_bytes *b, unsigned heartbeat_s);

/* --- connections ----------------------------------------------------------------------
 */

/* Serve connection number @n (from 0) on @fd, which is closed afterwards. */
typedef void peer_serve_fn(void *ctx, int fd, unsigned n);

struct scripted_peer;

/* Listen on 127.0.0.1. Never NULL: a failure ends the test program. */
struct scripted_peer *scripted_peer_new(peer_serve_fn *serve, void *ctx);
unsigned scripted_peer_port(const struct scripted_peer *p);
/* Connections accepted so far. */
unsigned scripted_peer_accepted(struct scripted_peer *p);
/* Stop listening, wait until the connection being served is done, free. */
void scripted_peer_free(struct scripted_peer *p);

/* All of @b, or false when the other side is gone. */
bool peer_send(int fd, const struct peer_bytes *b);
/* Read frames until this method has come; false when it has not within 10 s. The client's
 * protocol header is skipped. */
bool peer_await(int fd, unsigned class_id, unsigned method_id);
/* Log a client in. */
bool peer_log_in(int fd, unsigned heartbeat_s);
/* Wait until the other side has closed, at most 10 s. */
void peer_await_end(int fd);

#endif /* CONEY_TESTS_SCRIPTED_PEER_H */
