/* SPDX-License-Identifier: MIT */
/*
 * task.h - task messages: Celery's protocol 2 (docs.celeryq.dev, "Message Protocol"), and
 * protocol 1 as it comes in.
 *
 * Decoding takes an envelope apart into a task_request and refuses what is malformed or
 * too large; encoding builds the envelope of a new task, of a retry or of a message put
 * back. The encoders can't produce a message that a Python worker would choke on: every
 * one they make has an id, json/utf-8, a body of exactly three elements, a time limit of
 * two, and times with six digits and a numeric offset, or null.
 */
#ifndef CONEY_MESSAGE_TASK_H
#define CONEY_MESSAGE_TASK_H

#include "base/envelope.h"
#include "base/json.h"
#include "base/rng.h"
#include "message/time.h"
#include <coney/error.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* An absent eta or expiry. */
#define TASK_NO_TIME INT64_MIN
/* An absent time limit or group index. */
#define TASK_NONE INT64_C(-1)

/* Beside these, a body may hold one JSON value for each 16 bytes of body_max (4096 are
 * always fine), which bounds the memory that parsing takes; and ratio_max counts only
 * beyond 64 KiB of output. */
struct message_limits {
    size_t body_max;    /* bytes, before and after decompression        [16 MiB] */
    size_t ratio_max;   /* decompressed bytes per compressed byte       [100]    */
    unsigned depth_max; /* nesting of the JSON body                     [64]     */
    size_t name_max;    /* bytes of a task name or an id                [255]    */
};

struct message_limits message_limits_default(void);
/* The part of @limits that json_read() checks. */
struct json_limits message_json_limits(const struct message_limits *limits);

enum task_ignore_result { TASK_RESULT_DEFAULT, TASK_RESULT_KEEP, TASK_RESULT_IGNORE };

/* What one message asks for. Strings and JSON belong to the request. */
struct task_request {
    struct arena *arena;
    const char *id;
    const char *task;
    const char *shadow; /* NULL: none; likewise below */
    const char *root_id;
    const char *parent_id;
    const char *group;
    const char *origin;
    const char *reply_to;       /* NULL or non-empty */
    const char *correlation_id; /* the property, else the id */
    int64_t group_index;
    int64_t retries;
    int64_t eta_us;     /* wall time; TASK_NO_TIME */
    int64_t expires_us; /* wall time; TASK_NO_TIME */
    int64_t time_limit_ms;
    int64_t soft_time_limit_ms;
    enum task_ignore_result ignore_result;
    struct bytes body; /* the JSON text [args, kwargs, embed], decompressed; terminated */
    json_t *args;      /* array */
    json_t *kwargs;    /* object */
    json_t *embed;     /* object or null */
};

/*
 * Decode @e, which is only read. Numbers that C has no type for arrive in args and kwargs
 * as strings (base/json.h says which); body is the text as it came. On success *@out is
 * the caller's, for task_request_free(). CONEY_ESYNTAX: malformed, text says how and
 * where; CONEY_ELIMIT; CONEY_ENOMEM. Whatever of id and task could be read is put into
 * @err's text.
 */
enum coney_rc task_decode(const struct envelope *e, const struct message_limits *limits,
        struct task_request **out, struct coney_error *err) CONEY_MUST_CHECK;
/*
 * The same for a message as it comes from a queue, of protocol 1 as well: that one
 * becomes the message of protocol 2 that says the same, in @e's arena. On failure @e is
 * as it was.
 */
enum coney_rc task_receive(struct envelope *e, const struct message_limits *limits,
        struct task_request **out, struct coney_error *err) CONEY_MUST_CHECK;
void task_request_free(struct task_request *r);

/* A task to be sent. Zero and NULL mean absent, except where said. Everything is
 * borrowed. */
struct task_spec {
    const char *id;       /* NULL: a new UUID */
    const char *task;     /* required */
    const json_t *args;   /* array; NULL: [] */
    const json_t *kwargs; /* object; NULL: {} */
    const json_t *embed;  /* object with callbacks, errbacks, chain, chord; NULL: none */
    int64_t eta_us;       /* TASK_NO_TIME */
    int64_t expires_us;   /* TASK_NO_TIME; also sets the AMQP expiration, never below 0 */
    int64_t time_limit_ms;      /* TASK_NONE */
    int64_t soft_time_limit_ms; /* TASK_NONE */
    int64_t group_index;        /* TASK_NONE */
    int64_t retries;
    int64_t replaced_nesting; /* times it has replaced itself */
    const char *group;
    const char *root_id; /* NULL: the id */
    const char *parent_id;
    const char *shadow;
    const char *reply_to;
    const char *origin; /* "gen<pid>@<host>" */
    const char *app_id; /* NULL: "coney" */
    int priority;       /* 0..255; -1: none */
    enum task_ignore_result ignore_result;
    const struct table *headers; /* of the user; a name of Celery's own is refused */
    const struct table *stamps;  /* names and values */
};

/* A spec with every field absent. */
struct task_spec task_spec_none(void);

/*
 * Encode @spec as a new message into @out, which is initialised here and the caller's for
 * envelope_fini(). @now_us stamps it and gives the expiration. The properties type,
 * message_id, timestamp and app_id are set for the people who look at queues.
 * CONEY_EINVAL (text names the field), CONEY_ELIMIT, CONEY_ENOMEM.
 */
enum coney_rc task_encode(const struct task_spec *spec, int64_t now_us, struct rng *rng,
        struct envelope *out, struct coney_error *err) CONEY_MUST_CHECK;

/* What changes when a message goes round again. */
struct task_again {
    int64_t retries;       /* the new count */
    int64_t eta_us;        /* TASK_NO_TIME: runs at once */
    const char *parent_id; /* NULL: unchanged */
    const struct table *
            headers; /* set in addition, each a name beginning with coney-; may be NULL */
    struct bytes
            arguments; /* JSON [args, kwargs] to take the place of those there; empty:
                          unchanged. They go into the message as they are spelled */
    struct bytes body; /* with arguments: the request's body, for what follows them */
};

/*
 * The message @e once more: same id, body and headers, types untouched, but for what
 * @again says (new arguments also change their descriptions and drop the compression),
 * and what envelope_strip_broker_headers() takes away: the broker's own headers, the AMQP
 * expiration (the expires header decides) and more. Persistent always; the priority
 * travels along. @out as for task_encode(). CONEY_ENOMEM; CONEY_EINVAL: @e would not
 * decode but for its body, or @again is out of range or no arguments.
 */
enum coney_rc task_encode_again(const struct envelope *e, const struct task_again *again,
        struct envelope *out, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_MESSAGE_TASK_H */
