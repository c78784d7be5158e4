/* SPDX-License-Identifier: MIT */
/*
 * link_impl.h - what the files that make up the link share, and nobody else includes.
 *
 * link.c has bytes, time and events; login.c what comes before open-ok; dispatch.c the
 * methods after it; content.c messages coming in; send.c everything going out.
 */
#ifndef CONEY_AMQP_LINK_IMPL_H
#define CONEY_AMQP_LINK_IMPL_H

#include "amqp/channel.h"
#include "amqp/event_queue.h"
#include "amqp/frame.h"
#include "amqp/link.h"

/* Fields of all levels that a header table may have: 1000 Celery headers and to spare,
 * and yet no frame that decodes to many times its size. */
enum { HEADER_FIELDS_MAX = 8192 };

enum login_step { LOGIN_START, LOGIN_TUNE, LOGIN_OPEN };

/*
 * Publishes that share an outcome. One method may settle a hundred thousand of them, so
 * their events are made one by one as they are taken, and no frame is read meanwhile.
 */
struct drain {
    struct channel *channel; /* borrowed; NULL when there is nothing to drain */
    uint64_t upto;
    enum publish_outcome outcome;
    struct session_event after; /* comes last, once the channel is removed */
    bool has_after;
};

struct link {
    struct link_options options;
    enum link_phase phase;
    enum login_step login_step;
    struct buffer in;
    struct buffer out;
    amqp_pool_t in_pool;
    amqp_pool_t out_pool;
    uint32_t frame_max;
    unsigned heartbeat_s;
    int64_t last_in_ms;
    int64_t last_out_ms;
    bool is_blocked;
    bool has_input_ended;
    struct coney_error end_error; /* of input that ended */
    struct channel_set channels;
    struct event_queue events;
    struct drain drain;
    struct arena *names; /* owned; made when first needed */
    struct coney_error error;
    unsigned error_code;
    char broker[64];
};

/* Be over. "<host>: " is put before the text. */
void link_fail(struct link *l, enum coney_rc rc, unsigned code, const char *fmt, ...)
        CONEY_PRINTF(4, 5);
void link_fail_nomem(struct link *l);
/* A new event, or NULL after link_fail_nomem(). */
struct session_event *link_push(struct link *l, enum session_event_type type);
/* A copy that lives until link_release_names(). NULL after link_fail_nomem(). */
const char *link_keep_name(struct link *l, amqp_bytes_t name);

/* Decode the method in @payload; NULL after link_fail(). */
void *link_decode(struct link *l, struct bytes payload);
/* Append one method frame. CONEY_EINVAL when it does not fit a frame, CONEY_ELIMIT. */
enum coney_rc link_send(struct link *l, uint16_t channel, amqp_method_number_t method,
        void *decoded, size_t size) CONEY_MUST_CHECK;
/* As link_send() for answers that must not be lost; fails the link instead. */
void link_send_or_fail(
        struct link *l, uint16_t channel, amqp_method_number_t method, void *decoded);

/* login.c */
enum coney_rc login_send_header(struct link *l) CONEY_MUST_CHECK;
/* Whether the first bytes can be those of a broker; fails the link if not. */
bool login_is_amqp(struct link *l);
/* Whether a protocol header, instead of a frame, is not complete yet. */
bool login_is_header_coming(const struct link *l);
void login_method(struct link *l, amqp_method_number_t method, struct bytes payload);
/* The peer closed its end before the login was done. */
void login_ended(struct link *l);
void login_closed(struct link *l, const amqp_connection_close_t *close);

/* dispatch.c */
void dispatch_method(struct link *l, const struct frame *f);
/* What an AMQP reply code means to a caller. */
enum coney_rc dispatch_rc(unsigned code);

/* content.c */
void content_begin(
        struct link *l, struct channel *c, enum content_kind kind, struct bytes payload);
void content_header(struct link *l, struct channel *c, struct bytes payload);
void content_body(struct link *l, struct channel *c, struct bytes payload);
/* What a publish and its basic.return have in common. Never 0. */
uint64_t content_route(amqp_bytes_t exchange, amqp_bytes_t routing_key,
        const struct properties *p, uint64_t body_size);

#endif /* CONEY_AMQP_LINK_IMPL_H */
