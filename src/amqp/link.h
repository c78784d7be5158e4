/* SPDX-License-Identifier: MIT */
/*
 * link.h - one AMQP 0-9-1 connection without a socket or a clock.
 *
 * A link eats bytes and the time and gives bytes, events and a deadline. It logs in,
 * keeps the heartbeats, knows the channels, puts content together and matches answers to
 * calls. Where the bytes come from and what happens after an end is the session's
 * business. That makes it testable with byte arrays, and a good target for a fuzzer.
 */
#ifndef CONEY_AMQP_LINK_H
#define CONEY_AMQP_LINK_H

#include "amqp/rabbitmq.h"
#include "amqp/session.h"
#include "base/buffer.h"

enum link_phase {
    LINK_LOGIN,   /* protocol header sent, until open-ok */
    LINK_UP,      /* */
    LINK_CLOSING, /* our connection.close is on the way */
    LINK_OVER     /* link_error() says why; CONEY_OK after our own close */
};

/* Borrowed for the life of the link. All sizes and times are set, none is a default. */
struct link_options {
    const char *host; /* for error texts */
    const char *user;
    const char *password;
    const char *vhost;
    enum session_auth auth;
    const struct table *client_properties; /* without capabilities, which are ours */
    unsigned heartbeat_s;                  /* 0: off */
    uint32_t frame_max;
    size_t body_max;
    size_t output_max;
    unsigned headers_depth_max;
    uint32_t *generation; /* counts channels over all connections of a session */
};

struct link;

/* A link whose protocol header waits in its output. CONEY_ENOMEM. */
enum coney_rc link_new(const struct link_options *options, int64_t now_ms,
        struct link **out) CONEY_MUST_CHECK;
/* NULL is ignored. Events not taken are released. */
void link_free(struct link *l);

enum link_phase link_phase(const struct link *l);
/* Why it is over: rc, and one sentence that begins with the host. */
const struct coney_error *link_error(const struct link *l);
/* AMQP reply code that the end came with, or 0. */
unsigned link_error_code(const struct link *l);
/* Product and version from connection.start; "" before. */
const char *link_broker(const struct link *l);
bool link_is_blocked(const struct link *l);
/* Whether nothing has come in for a whole heartbeat interval. */
bool link_is_silent(const struct link *l, int64_t now_ms);

/*
 * Input. link_wants_input() is false while whole frames wait to be processed; then only
 * link_process() helps. Otherwise room for @len bytes, and how many of them came.
 */
bool link_wants_input(const struct link *l);
enum coney_rc link_input_reserve(
        struct link *l, size_t len, uint8_t **space) CONEY_MUST_CHECK;
void link_input_commit(struct link *l, size_t len, int64_t now_ms);
/* The peer has closed its end; what came before is processed first. A second reason is
 * ignored. */
void link_input_end(struct link *l, const struct coney_error *why);

/* Handle what has come, until it is used up or enough events wait. */
void link_process(struct link *l);
/* True when link_process() could go on at once. */
bool link_has_work(const struct link *l);
/* Heartbeats: send one, or notice that the peer has gone silent. */
void link_tick(struct link *l, int64_t now_ms);
/* When to call link_tick(); CLOCK_NEVER. */
int64_t link_deadline_ms(const struct link *l);

/* Bytes to be sent, and that so many of them were. */
struct bytes link_output(const struct link *l);
void link_output_sent(struct link *l, size_t len, int64_t now_ms);

/* SESSION_REPLY … SESSION_RETURNED; the session makes the first two. After LINK_OVER all
 * publishes still come out as PUBLISH_UNKNOWN before there are no more events. */
bool link_next_event(struct link *l, struct session_event *ev);
/* Names in events taken so far may go. */
void link_release_names(struct link *l);

/* Send connection.close; when not logged in, or already closing, be over at once. */
void link_close(struct link *l);
/* Be over for a reason outside of AMQP; an earlier reason stays. */
void link_abort(struct link *l, const struct coney_error *why);

/* --- calls, see session.h -------------------------------------------------------------
 */

enum link_answer { LINK_ANSWERED, LINK_UNANSWERED };

/* A method to be sent; only read during the call. */
struct link_method {
    amqp_method_number_t number;
    void *decoded;           /* rabbitmq-c's struct of it, with checked strings */
    size_t size;             /* what its tables take */
    enum link_answer answer; /* whether the broker answers it */
    uint64_t cookie;         /* other than 0: comes back with the answer */
};

enum coney_rc link_channel_open(struct link *l, struct amqp_channel *ch) CONEY_MUST_CHECK;
enum coney_rc link_channel_close(struct link *l, struct amqp_channel ch);
bool link_channel_is_open(const struct link *l, struct amqp_channel ch);
size_t link_unconfirmed(const struct link *l, struct amqp_channel ch);
enum coney_rc link_call(struct link *l, struct amqp_channel ch,
        const struct link_method *m) CONEY_MUST_CHECK;
/* For tables of calls; emptied by each call. */
amqp_pool_t *link_call_pool(struct link *l);
enum coney_rc link_confirm_select(
        struct link *l, struct amqp_channel ch) CONEY_MUST_CHECK;
enum coney_rc link_publish(struct link *l, struct amqp_channel ch,
        const struct publish *p, uint64_t cookie) CONEY_MUST_CHECK;

#endif /* CONEY_AMQP_LINK_H */
