/* SPDX-License-Identifier: MIT */
/*
 * store.h - where results are kept, and what happens while it can't be reached.
 *
 * The store hands requests to its backend (store_redis.c; a database would be another),
 * keeps those that are lost with the connection and sends them again: each is carried out
 * at least once, so it must bear to be carried out twice. It decides when an outage has
 * lasted too long and what follows then, and says so once an outage, not once a task.
 *
 * Pure: the time comes in, the backend is behind a struct of calls, and the owner calls
 * store_tick() when store_deadline_ms() has come.
 */
#ifndef CONEY_WORKER_STORE_H
#define CONEY_WORKER_STORE_H

#include "config/config.h"
#include "redis/codec.h"

#include <sys/queue.h>

enum store_kind {
    STORE_META,    /* a task's result: written unless a SUCCESS stands there already */
    STORE_COMMANDS /* any list of redis's commands, for what chords need */
};

enum store_state { STORE_IDLE, STORE_WAITING, STORE_SENT };

enum store_outcome {
    STORE_DONE,
    STORE_REFUSED, /* the backend will never take it: error */
    STORE_GIVEN_UP /* down for too long, and policy is to go on without */
};

/* One request; embedded in what it is about. */
struct store_request {
    TAILQ_ENTRY(store_request) entry;
    enum store_state state;
    /* To be filled in by the owner; what they own goes with store_request_fini(). */
    enum store_kind kind;
    bool fleeting;                  /* of no use later: never kept or repeated */
    char *id;                       /* META: owned */
    struct buffer meta;             /* META: the JSON text */
    struct redis_commands commands; /* COMMANDS */
    /* Never called during store_submit(). May submit requests, this one included. */
    void (*on_done)(void *ctx, struct store_request *q, enum store_outcome outcome);
    void *ctx;
    /* What has become of it. */
    struct redis_reply *reply; /* COMMANDS, DONE: an array with a reply for each; owned.
                                  None of them is an error */
    struct coney_error error;  /* REFUSED */
    /* The store's and the backend's own. */
    int64_t since_ms;
    unsigned phase;
};

TAILQ_HEAD(store_requests, store_request);

/* Everything zero but the buffers' bounds. */
void store_request_init(struct store_request *q, enum store_kind kind);
/* It must not be on its way. */
void store_request_fini(struct store_request *q);

/* --- the backend's side --- */

struct store_backend;

struct store_backend_ops {
    /* CONEY_ECLOSED: not up; CONEY_ELIMIT: full, until it has answered something;
     * CONEY_ENOMEM. Else one store_answered() follows, never during this call. */
    enum coney_rc (*send)(
            struct store_backend *b, struct store_request *q, int64_t now_ms);
    void (*free)(struct store_backend *b);
};

/* The head of every backend. */
struct store_backend {
    const struct store_backend_ops *ops;
};

enum store_verdict {
    VERDICT_DONE,
    VERDICT_REFUSED, /* q->error says why */
    VERDICT_LOST     /* the connection is lost, or the server can't do it now */
};

/* --- the store --- */

struct store;

struct store_options {
    enum when_down when_down;
    int64_t retry_for_ms;
};

/* NULL when out of memory. */
struct store *store_new(const struct store_options *options);
/* Takes the backend, and frees it with the store. */
void store_set_backend(struct store *s, struct store_backend *backend);
/* Forget what waits or is on its way, without an outcome. NULL is ignored. */
void store_free(struct store *s);

/*
 * Hand over @q, which is idle. False: it is given up at once, and that is all; else one
 * on_done follows.
 */
bool store_submit(struct store *s, struct store_request *q, int64_t now_ms);
/* Take back what still waits; false when it has left already. */
bool store_withdraw(struct store *s, struct store_request *q);
/* Everything that waits or is on its way is @to's from now on, which sends it (again). */
void store_move(struct store *s, struct store *to, int64_t now_ms);
/* Nobody will store any of it: each gets its outcome. */
void store_give_up(struct store *s);
/* What the clock has brought, and when to call next; CLOCK_NEVER. */
void store_tick(struct store *s, int64_t now_ms);
int64_t store_deadline_ms(const struct store *s);
/* Requests without their outcome. */
size_t store_pending(const struct store *s);

/* The backend's reports. */
void store_is_up(struct store *s, const char *peer, int64_t now_ms);
void store_is_down(struct store *s, const struct coney_error *why, int64_t now_ms);
void store_answered(struct store *s, struct store_request *q, enum store_verdict verdict,
        int64_t now_ms);

#endif /* CONEY_WORKER_STORE_H */
