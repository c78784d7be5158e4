/* SPDX-License-Identifier: MIT */
/*
 * client_impl.h - what the files of the client share. Private to the room.
 *
 * client.c is the public face, setup.c reads options and configuration, compose.c makes a
 * message out of what the caller said, driver.c is the thread that owns the connection,
 * stored.c asks the result store, and
 * canvas.c and batch.c are for canvas.h.
 */
#ifndef CONEY_LIB_CLIENT_IMPL_H
#define CONEY_LIB_CLIENT_IMPL_H

#include "amqp/session.h"
#include "base/rng.h"
#include "config/config.h"
#include "lib/outbox.h"
#include "lib/reader.h"
#include "lib/replies.h"
#include "queue/names.h"
#include <coney/client.h>

#include <jansson.h>
#include <pthread.h>
#include <sys/types.h>

/* The queue that results come to. It lives and dies with the connection. */
enum reply_state { REPLY_ABSENT, REPLY_ASKED_FOR, REPLY_READY };

struct coney_client {
    pthread_mutex_t lock;   /* of everything below it that changes */
    pthread_cond_t changed; /* something was decided, or a result came */
    struct config *config;  /* owned */
    struct rng rng;
    coney_outcome_fn on_outcome;
    void *user_data;
    char host[256];

    struct outbox outbox;
    struct replies replies;
    struct coney_error failure; /* first of the asynchronous sends since the last flush */
    size_t failures;
    bool is_reporting; /* a thread is calling on_outcome: this one */
    pthread_t reporter;

    struct session *session; /* owned */
    size_t url_count;
    size_t refusals;        /* in a row, of login or certificate */
    struct coney_error why; /* nothing can be published now; CONEY_OK: it can, or we have
                               only begun */
    struct amqp_channel publish_channel;
    struct amqp_channel reply_channel;
    enum reply_state reply_state;
    bool wants_replies;
    struct reader *readers; /* owned; of the result store, idle ones */
    size_t reader_count;
    char reply_queue[AMQP_NAME_SIZE];
    int64_t reply_retry_ms;
    struct coney_error reply_error;

    pthread_t thread;
    bool is_running;
    bool is_stopping;
    bool is_woken;       /* a wake-up is on its way already */
    _Atomic pid_t owner; /* the process that has the thread; 0: none yet */
    int wake_fd;         /* owned; eventfd(2) */
};

/* --- setup.c */

/* Fill in config, session, host and limits of a zeroed client. */
enum coney_rc client_set_up(struct coney_client *c, const struct coney_client_options *o,
        struct coney_error *err) CONEY_MUST_CHECK;

/* --- compose.c */

/* What the configuration says about a task; the texts live as long as the client. */
struct defaults {
    const char *queue;
    int priority; /* -1: nothing */
    int64_t expires_ms;
};

/* Copy and check what a program has filled in. */
enum coney_rc compose_read_message(const struct coney_message *from,
        struct coney_message *to, struct coney_error *err) CONEY_MUST_CHECK;
/* *@out stays as it is without a @text; @name is for errors. */
enum coney_rc compose_read_json(const char *text, const char *name, json_t **out,
        struct coney_error *err) CONEY_MUST_CHECK;
/* A class of ours by its short name, or a queue as the broker calls it. */
const char *compose_queue(const struct coney_client *c, const char *name);
/* These two take and release the lock. */
void compose_seed(struct coney_client *c, struct rng *rng);
enum coney_rc compose_defaults(struct coney_client *c, const struct coney_message *m,
        struct defaults *out, struct coney_error *err) CONEY_MUST_CHECK;
/* @e is taken. */
enum coney_rc compose_wrap(struct envelope *e, const struct defaults *d,
        const struct coney_message *m, struct outgoing **out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Make @message ready to be published. Takes and releases the lock. *@out is the
 * caller's. */
enum coney_rc compose(struct coney_client *c, const struct coney_message *message,
        enum outgoing_owner owner, struct outgoing **out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* --- stored.c; each takes and releases the lock */

bool stored_is_used(const struct coney_client *c);
/* As coney_result_get(), coney_wait() and coney_forget(). */
enum coney_rc stored_get(struct coney_client *c, const char *id, unsigned timeout_ms,
        struct coney_result **out, struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc stored_wait(struct coney_client *c, const char *id, unsigned timeout_ms,
        struct coney_result **out, struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc stored_forget(struct coney_client *c, const char *id, unsigned timeout_ms,
        struct coney_error *err) CONEY_MUST_CHECK;
/* Carry out @commands, in order. */
enum coney_rc stored_write(struct coney_client *c, const struct redis_commands *commands,
        unsigned timeout_ms, struct coney_error *err) CONEY_MUST_CHECK;
/* Free the idle readers; no lock. */
void stored_free(struct coney_client *c);

/* --- driver.c; the lock is held for all of these */

/* Start the thread if it does not run yet. CONEY_EIO. */
enum coney_rc driver_start(
        struct coney_client *c, struct coney_error *err) CONEY_MUST_CHECK;
/* Let it look at the outbox. */
void driver_wake(struct coney_client *c);
/* Say goodbye, wait for its end; releases the lock meanwhile. */
void driver_stop(struct coney_client *c);

#endif /* CONEY_LIB_CLIENT_IMPL_H */
