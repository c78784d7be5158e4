/* SPDX-License-Identifier: MIT */
/*
 * session.h - a connection to RabbitMQ that comes back: what the other rooms see of amqp.
 *
 * A session owns one socket at a time. It tries its URLs and their addresses in turn,
 * each step with a deadline, speaks TLS and AMQP 0-9-1, and after a loss tries again with
 * backoff and jitter. It never blocks: the owner polls session_fd() for session_wants()
 * until session_deadline_ms(), calls session_step(), and then takes events until there
 * are none. Calls queue bytes; they leave in one write at the end of the next step.
 *
 * After SESSION_UP the owner opens channels, declares and consumes, each time anew:
 * nothing outlives a connection. Every call names a channel by number and generation, so
 * that a call or an ack meant for a channel that is gone does nothing but return
 * CONEY_ECLOSED.
 */
#ifndef CONEY_AMQP_SESSION_H
#define CONEY_AMQP_SESSION_H

#include "base/envelope.h"
#include "base/rng.h"
#include "net/tls_options.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

enum session_auth { SESSION_AUTH_PLAIN, SESSION_AUTH_EXTERNAL };
/* Whether a session that fails or is lost tries again by itself or ends. */
enum session_mode { SESSION_FOREVER, SESSION_ONCE };

/* Everything is copied by session_new(). A zero takes the default given in brackets. */
struct session_options {
    const char *const *urls; /* amqp[s]://[user[:password]@]host[:port][/vhost] */
    size_t url_count;
    const char *user;     /* instead of the URL's; NULL: the URL's, else guest */
    const char *password; /* likewise */
    enum session_auth auth;
    enum session_mode mode;
    struct tls_options tls;
    const char *connection_name;
    const struct table
            *client_properties; /* beside product, version, platform, … ; may be NULL */
    unsigned heartbeat_s;       /* [20] what we propose; 0xffff: off */
    unsigned connect_timeout_ms; /* [10000] per address: TCP, TLS and login together */
    unsigned backoff_base_ms;    /* [500] */
    unsigned backoff_cap_ms;     /* [30000] */
    uint32_t frame_max;          /* [131072] */
    size_t body_max;             /* [16 MiB] a larger delivery is an event without body */
    size_t output_max;           /* [64 MiB] bytes waiting to be written */
    unsigned headers_depth_max;  /* [32] nesting of a header table */
};

struct session;

/* A channel of one life of the connection; number 0 is no channel. */
struct amqp_channel {
    uint16_t number;
    uint32_t generation;
};

enum session_event_type {
    SESSION_UP,             /* logged in; no channel exists yet */
    SESSION_DOWN,           /* connection or attempt over: error, retry_ms */
    SESSION_BLOCKED,        /* broker alarm: publish nothing; text */
    SESSION_UNBLOCKED,      /* */
    SESSION_REPLY,          /* the answer to a call: cookie, and what it brought */
    SESSION_CHANNEL_CLOSED, /* by the broker: channel, code, error, cookie of the failed
                               call */
    SESSION_DELIVERY,       /* channel, delivery */
    SESSION_CANCELLED,      /* the broker ended a consumer: channel, consumer_tag */
    SESSION_PUBLISHED, /* cookie, outcome: exactly one for each publish with a cookie */
    SESSION_RETURNED   /* an unroutable message, before its SESSION_PUBLISHED: code, text,
                          cookie (0 when it was published without one) */
};

enum publish_outcome {
    PUBLISH_ACKED,
    PUBLISH_NACKED,   /* not taken: overflow, or the queue failed */
    PUBLISH_RETURNED, /* mandatory, and no queue */
    PUBLISH_UNKNOWN   /* channel or connection lost before the confirm */
};

/* Why a delivery has no usable content. The raw body is kept when it fits. */
enum delivery_flaw {
    DELIVERY_WHOLE,
    DELIVERY_BODY_TOO_LARGE,  /* over body_max: body empty, body_size says how large */
    DELIVERY_HEADERS_REFUSED, /* headers too deep or not decodable: headers empty */
};

struct delivery {
    struct envelope envelope; /* owned by whoever holds the event */
    uint64_t tag;
    uint64_t body_size; /* as announced */
    bool redelivered;
    enum delivery_flaw flaw;
    const char *exchange; /* these three live in the envelope's arena */
    const char *routing_key;
    const char *consumer_tag;
};

struct session_event {
    enum session_event_type type;
    struct amqp_channel channel;
    uint64_t cookie;
    enum publish_outcome outcome;
    unsigned code;           /* AMQP reply code, 0 when the broker gave none */
    uint32_t message_count;  /* queue.declare, purge, delete */
    uint32_t consumer_count; /* queue.declare */
    int64_t retry_ms; /* SESSION_DOWN: until the next attempt; -1: none will be made */
    struct coney_error
            error; /* SESSION_DOWN, SESSION_CHANNEL_CLOSED, SESSION_RETURNED, …BLOCKED */
    const char *name; /* queue or consumer tag of a reply, SESSION_CANCELLED's tag; valid
                         until the next session_step() */
    struct delivery delivery; /* SESSION_DELIVERY */
};

/*
 * Read the options and the TLS files; connecting starts with the first step. @rng is
 * borrowed for the session's life. CONEY_EINVAL (a URL, named without its password),
 * CONEY_EIO (a file), CONEY_EREFUSED (certificate and key do not match), CONEY_ENOMEM.
 */
enum coney_rc session_new(const struct session_options *options, struct rng *rng,
        struct session **out, struct coney_error *err) CONEY_MUST_CHECK;
/* Close the socket at once and free. NULL is ignored. */
void session_free(struct session *s);

/* What to poll: -1 while nothing is open. It may change with every step. */
int session_fd(const struct session *s);
/* POLLIN and POLLOUT as wanted. */
short session_wants(const struct session *s);
/* When to step at the latest, on clock_mono_ms(); CLOCK_NEVER. Never a time long past: a
 * session that wants to be stepped at once gives 0. */
int64_t session_deadline_ms(const struct session *s);
/* Do what can be done at @now_ms without waiting. @revents as from poll(2), 0 for none.
 */
void session_step(struct session *s, short revents, int64_t now_ms);
/* True and *@ev when something happened. What @ev owns is the caller's. */
bool session_next_event(struct session *s, struct session_event *ev);
/* Release what an event owns; harmless on an event that owns nothing. */
void session_event_fini(struct session_event *ev);

bool session_is_up(const struct session *s);
/* "127.0.0.1:5671 (TLSv1.3)" or where the attempt stands; for logs. */
const char *session_peer(const struct session *s);
/* Where it is connected to, or tries to be; borrowed until the next step. */
struct session_place {
    const char *host;
    const char *port; /* decimal */
    const char *user;
    const char *vhost;
    bool tls;
};
struct session_place session_place(const struct session *s);
/* The broker's product and version, such as "RabbitMQ 3.10.8"; "" before the first login.
 */
const char *session_broker(const struct session *s);
/* Whether a broker alarm is on. */
bool session_is_blocked(const struct session *s);
/* Whether nothing has come in for a whole heartbeat interval (the negotiated one; never
 * when there is none). Half an interval later the connection is given up; whoever must
 * not act on a dead one stops now. */
bool session_is_silent(const struct session *s, int64_t now_ms);
/* Bytes that wait to be written; the owner stops publishing above a bound of its own. */
size_t session_output_len(const struct session *s);
/* Publishes on @ch without their confirm yet. */
size_t session_unconfirmed(const struct session *s, struct amqp_channel ch);

/* Say goodbye: what is queued is written, connection.close sent, and SESSION_DOWN with
 * CONEY_OK comes on close-ok or after @timeout_ms. No reconnect. */
void session_close(struct session *s, unsigned timeout_ms);

/*
 * Calls. They queue the method and return: CONEY_OK, CONEY_ECLOSED (stale channel or no
 * connection), CONEY_EINVAL (a string over 255 bytes), CONEY_ELIMIT (output full),
 * CONEY_ENOMEM. A @cookie other than 0 comes back in SESSION_REPLY, or in
 * SESSION_CHANNEL_CLOSED when the broker closes the channel over this call. Strings and
 * tables are only read during the call.
 */

/* A channel may be used at once; its open is on the way. */
enum coney_rc session_channel_open(
        struct session *s, struct amqp_channel *ch) CONEY_MUST_CHECK;
/* Close without an event; unsettled deliveries go back to their queue. */
enum coney_rc session_channel_close(struct session *s, struct amqp_channel ch);
bool session_channel_is_open(const struct session *s, struct amqp_channel ch);

struct queue_declare {
    const char *queue; /* "": the broker chooses the name */
    bool passive;
    bool durable;
    bool exclusive;
    bool auto_delete;
    const struct table *arguments; /* may be NULL */
};

struct exchange_declare {
    const char *exchange;
    const char *type;
    bool passive;
    bool durable;
    bool auto_delete;
    bool internal;
    const struct table *arguments;
};

struct binding {
    const char *to;   /* queue or exchange */
    const char *from; /* exchange */
    const char *key;
};

struct consume {
    const char *queue;
    const char *consumer_tag; /* "": the broker chooses */
    bool no_ack;
    bool exclusive;
    const struct table *arguments;
};

enum coney_rc session_declare_queue(struct session *s, struct amqp_channel ch,
        const struct queue_declare *d, uint64_t cookie) CONEY_MUST_CHECK;
enum coney_rc session_declare_exchange(struct session *s, struct amqp_channel ch,
        const struct exchange_declare *d, uint64_t cookie) CONEY_MUST_CHECK;
enum coney_rc session_bind_queue(struct session *s, struct amqp_channel ch,
        const struct binding *b, uint64_t cookie) CONEY_MUST_CHECK;
enum coney_rc session_bind_exchange(struct session *s, struct amqp_channel ch,
        const struct binding *b, uint64_t cookie) CONEY_MUST_CHECK;
enum coney_rc session_delete_queue(struct session *s, struct amqp_channel ch,
        const char *queue, uint64_t cookie) CONEY_MUST_CHECK;
enum coney_rc session_purge_queue(struct session *s, struct amqp_channel ch,
        const char *queue, uint64_t cookie) CONEY_MUST_CHECK;

/* Per consumer (global=false), for consumers made afterwards. */
enum coney_rc session_qos(
        struct session *s, struct amqp_channel ch, uint16_t prefetch) CONEY_MUST_CHECK;
enum coney_rc session_consume(struct session *s, struct amqp_channel ch,
        const struct consume *c, uint64_t cookie) CONEY_MUST_CHECK;
/* Deliveries already on the way still come before the reply. */
enum coney_rc session_cancel(struct session *s, struct amqp_channel ch,
        const char *consumer_tag, uint64_t cookie) CONEY_MUST_CHECK;

enum coney_rc session_ack(struct session *s, struct amqp_channel ch, uint64_t tag,
        bool multiple) CONEY_MUST_CHECK;
enum coney_rc session_nack(struct session *s, struct amqp_channel ch, uint64_t tag,
        bool multiple, bool requeue) CONEY_MUST_CHECK;

/* Every publish on @ch from now on is confirmed. */
enum coney_rc session_confirm_select(
        struct session *s, struct amqp_channel ch) CONEY_MUST_CHECK;

struct publish {
    const char *exchange; /* "": the default exchange, key = queue */
    const char *routing_key;
    bool mandatory;
    const struct envelope *envelope;
};

/* A publish with a cookie, on a channel in confirm mode, gets exactly one
 * SESSION_PUBLISHED, at the latest just before the SESSION_CHANNEL_CLOSED or SESSION_DOWN
 * that makes it PUBLISH_UNKNOWN. On failure there is none. CONEY_EINVAL also when the
 * headers do not fit one frame. */
enum coney_rc session_publish(struct session *s, struct amqp_channel ch,
        const struct publish *p, uint64_t cookie) CONEY_MUST_CHECK;

#endif /* CONEY_AMQP_SESSION_H */
