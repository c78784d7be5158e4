/* SPDX-License-Identifier: MIT */
/*
 * redis.h - a connection to redis that comes back: what the other rooms see of it.
 *
 * It is driven as an AMQP session is (amqp/session.h): the owner polls redis_fd() for
 * redis_wants() until redis_deadline_ms(), calls redis_step(), and then takes events
 * until there are none. Lists of commands are queued and leave in one write at the end of
 * the next step; many may be on the way at once, and each is answered by one event.
 *
 * An answer that does not come in time, or that says that the server can't do its work
 * now, costs the connection: whatever it is, trying again from the beginning is the way
 * out of it. Commands whose answer is lost may have been carried out.
 */
#ifndef CONEY_REDIS_REDIS_H
#define CONEY_REDIS_REDIS_H

#include "base/rng.h"
#include "net/dialer.h"
#include "redis/codec.h"

/* Everything is copied by redis_new(). A zero takes the default given in brackets. */
struct redis_options {
    const char *url;      /* redis[s]://[[user]:password@]host[:port][/db] */
    const char *user;     /* instead of the URL's; NULL: the URL's */
    const char *password; /* likewise */
    const char *name;     /* of the connection, for CLIENT LIST; no spaces; NULL: none */
    struct tls_options tls;
    enum dial_mode mode;
    unsigned connect_timeout_ms; /* [10000] per address: TCP, TLS and login together */
    unsigned answer_timeout_ms;  /* [10000] of a command */
    unsigned heartbeat_ms;       /* [20000] a PING after so long a silence */
    unsigned backoff_base_ms;    /* [500] */
    unsigned backoff_cap_ms;     /* [30000] */
    size_t output_max;           /* [64 MiB] bytes waiting to be written */
    size_t reply_max;            /* [64 MiB] of one reply */
};

struct redis;

enum redis_event_type {
    REDIS_UP,       /* logged in, and the server answers */
    REDIS_DOWN,     /* connection or attempt over: error, retry_ms */
    REDIS_ANSWERED, /* cookie; reply, or error: exactly one for each redis_send() */
    REDIS_MESSAGE   /* on a channel subscribed to: channel, payload */
};

struct redis_event {
    enum redis_event_type type;
    uint64_t cookie;
    /* Owned. REDIS_ANSWERED: an array with a reply for each command, or NULL when the
     * connection was lost first; REDIS_MESSAGE: where channel and payload are. */
    struct redis_reply *reply;
    struct bytes channel, payload; /* terminated */
    struct coney_error error;      /* CONEY_OK while there is none */
    int64_t retry_ms; /* REDIS_DOWN: until the next attempt; -1: none will be made */
};

/*
 * Read the options and the TLS files; connecting starts with the first step. @rng is
 * borrowed. CONEY_EINVAL (the URL, named without its password), CONEY_EIO (a file),
 * CONEY_EREFUSED (certificate and key do not match), CONEY_ENOMEM.
 */
enum coney_rc redis_new(const struct redis_options *options, struct rng *rng,
        struct redis **out, struct coney_error *err) CONEY_MUST_CHECK;
/* Close the socket at once and free. NULL is ignored. */
void redis_free(struct redis *r);

/* As session_fd() and so on. */
int redis_fd(const struct redis *r);
short redis_wants(const struct redis *r);
int64_t redis_deadline_ms(const struct redis *r);
void redis_step(struct redis *r, short revents, int64_t now_ms);
/* True and *@ev when something happened. What @ev owns is the caller's. */
bool redis_next_event(struct redis *r, struct redis_event *ev);
void redis_event_fini(struct redis_event *ev);

bool redis_is_up(const struct redis *r);
/* "127.0.0.1:6379 (TLSv1.3)" or where the attempt stands; for logs. */
const char *redis_peer(const struct redis *r);
/* Lists of commands without their answer yet. */
size_t redis_unanswered(const struct redis *r);

/*
 * Queue @c, which is only read, to be answered by a REDIS_ANSWERED with @cookie. An error
 * among the replies is not this function's: the replies are as the server gave them.
 * CONEY_ECLOSED (not up), CONEY_ELIMIT (output full), CONEY_ENOMEM; then there is no
 * event.
 */
enum coney_rc redis_send(struct redis *r, const struct redis_commands *c, uint64_t cookie,
        int64_t now_ms) CONEY_MUST_CHECK;
/*
 * Hear what is published on @channel; its answer is a REDIS_ANSWERED as above. From the
 * first on, a connection is good for (un)subscribing only; and a new one, after a loss,
 * is subscribed to nothing.
 */
enum coney_rc redis_subscribe(struct redis *r, const char *channel, uint64_t cookie,
        int64_t now_ms) CONEY_MUST_CHECK;
enum coney_rc redis_unsubscribe(struct redis *r, const char *channel, uint64_t cookie,
        int64_t now_ms) CONEY_MUST_CHECK;

/* Give the connection up because of @why, which its owner has found out from a reply, and
 * try again with backoff. Does nothing while it is not up. */
void redis_renounce(struct redis *r, const struct coney_error *why);

#endif /* CONEY_REDIS_REDIS_H */
