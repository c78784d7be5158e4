/* SPDX-License-Identifier: MIT */
/*
 * result.h - what became of a task, as Celery's clients read it.
 *
 * A result goes to the queue a request names in reply_to (the rpc backend), or into a
 * store, where it is called a task's meta and says more. Failures are always objects of
 * exc_type, exc_message and exc_module; a string or null there breaks Python clients.
 */
#ifndef CONEY_MESSAGE_RESULT_H
#define CONEY_MESSAGE_RESULT_H

#include "base/envelope.h"
#include <coney/error.h>

#include <jansson.h>

enum result_status {
    RESULT_SUCCESS,
    RESULT_FAILURE,
    RESULT_RETRY,
    RESULT_REVOKED,
    RESULT_STARTED
};

/* What the request was, for results that are to say so. Borrowed. */
struct result_request {
    const char *name;
    struct bytes args, kwargs; /* JSON texts */
    const char *worker;        /* the node's name */
    int64_t retries;
    const char *queue;
    const struct field *stamps; /* the header: a table of names and values; NULL: none */
};

/* Everything is borrowed. */
struct result {
    const char *task_id;
    const char *correlation_id; /* NULL: the task id */
    enum result_status status;
    const json_t *value;     /* SUCCESS, STARTED; NULL: null */
    struct bytes value_text; /* how that is spelled, and to be written; empty: as usual */
    const char *exc_type;    /* FAILURE, RETRY, REVOKED; NULL: "TaskError" */
    const char *exc_module;  /* NULL: "coney" */
    const char *exc_text;    /* one positional argument; NULL: none */
    const json_t
            *exc_message;   /* an array of arguments instead of exc_text; may be NULL */
    const char *traceback;  /* NULL: null */
    const json_t *children; /* result tuples of what the task has sent; NULL: none */
    /* Only told to a store: */
    int64_t done_us;      /* wall time, when the task is through with; 0: it is not yet */
    const char *group_id; /* NULL: none; likewise parent_id */
    const char *parent_id;
    const struct result_request *request; /* NULL: not told */
};

const char *result_status_name(enum result_status status);

/* Encode for the rpc backend, transient. @out is the caller's, for envelope_fini(). Text
 * that is not UTF-8 is repaired, never refused. CONEY_ENOMEM, CONEY_ELIMIT; CONEY_EINVAL:
 * @r's JSON holds an object with a __type__ that no Python client could read, which would
 * lose it the whole message (typed.h); text says which. */
enum coney_rc result_encode(const struct result *r, struct envelope *out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Append to @out the JSON text that a store keeps, written as Python writes it. Errors as
 * above. */
enum coney_rc result_write_meta(const struct result *r, struct buffer *out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* Append only what it came to, the value or the exception, as it stands in both. Errors
 * as above. */
enum coney_rc result_write_value(const struct result *r, struct buffer *out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* A failure that says @why (borrowed) @r can't be written, in its place. */
struct result result_unwritable(const struct result *r, const char *why);

/* A result as read. */
struct result_message {
    char *task_id;   /* owned */
    char *status;    /* owned; any word */
    json_t *value;   /* owned; result as it stands in the message */
    char *traceback; /* owned; NULL: none */
    json_t *root;    /* owned; all of it */
};

/* CONEY_ESYNTAX, CONEY_ELIMIT, CONEY_ENOMEM. */
enum coney_rc result_decode(const struct envelope *e, struct result_message *out,
        struct coney_error *err) CONEY_MUST_CHECK;
/* The same of a store's text. */
enum coney_rc result_read_meta(struct bytes text, struct result_message *out,
        struct coney_error *err) CONEY_MUST_CHECK;
void result_message_fini(struct result_message *m);

#endif /* CONEY_MESSAGE_RESULT_H */
