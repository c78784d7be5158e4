/* SPDX-License-Identifier: MIT */
/*
 * record.h - what master and runner tell each other, and its form in bytes.
 *
 * Integers are little-endian and of fixed width; a text is its length, its bytes and a
 * zero, so that a decoded record points into the bytes it came from. Decoding reads each
 * byte once, from memory that nobody else can change, and refuses everything that the
 * encoder would not have written.
 */
#ifndef CONEY_BOARD_RECORD_H
#define CONEY_BOARD_RECORD_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/log.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

/* An absent limit, delay, status or size. */
#define RECORD_NONE INT64_C(-1)

enum {
    RECORD_LIST_MAX = 4096,   /* elements of a list */
    RECORD_STDERR_MAX = 8192, /* bytes of a stderr tail */
    RECORD_LOG_MAX = 2048     /* bytes of a logged line; what is longer is cut */
};

enum record_handler { RECORD_NATIVE, RECORD_COMMAND, RECORD_SERVER };

struct record_texts {
    char *const *items;
    size_t count;
};

struct record_numbers {
    const int *items;
    size_t count;
};

/* How a command or a server is started, and how a command's exit status is read. */
struct record_command {
    struct record_texts argv;        /* at least the absolute path of a program */
    const char *directory;           /* NULL: / */
    struct record_texts environment; /* "KEY=value" */
    struct record_numbers ok_exit;   /* empty: 0; likewise 75 below */
    struct record_numbers retry_exit;
    struct record_numbers reject_exit;
    size_t max_output; /* bytes of stdout */
    int64_t start_ms;  /* RECORD_SERVER: for the server to become ready */
    int umask;
};

/* One job, for one attempt. A NULL text means: none. */
struct record_job {
    const char *id;   /* required */
    const char *task; /* required */
    const char *root_id;
    const char *parent_id;
    const char *queue;
    int64_t retries;
    bool redelivered;
    bool wants_rss;  /* the outcome is to say rss_kib */
    int64_t soft_ms; /* after the start; RECORD_NONE */
    int64_t hard_ms;
    enum record_handler handler;
    struct record_command command; /* RECORD_COMMAND, RECORD_SERVER */
    struct bytes context; /* RECORD_SERVER: a JSON object of what else the message says */
    struct bytes body;    /* the JSON text [args, kwargs, embed] */
};

enum record_kind {
    RECORD_SUCCESS,
    RECORD_RETRY,
    RECORD_FAIL,
    RECORD_REJECT,
    RECORD_IGNORE,
    RECORD_CRASHED, /* the server died under it */
    RECORD_REQUEUE, /* not done, not counted: somebody, later */
    RECORD_UNKNOWN  /* this runner has no such task */
};

/* What became of an attempt. JSON texts are not checked here; an empty one: none. */
struct record_outcome {
    enum record_kind kind;
    struct bytes value;       /* RECORD_SUCCESS: JSON text; empty: null */
    const char *error_type;   /* never NULL for RETRY, FAIL, REJECT, CRASHED */
    const char *error_text;   /* likewise */
    const char *error_module; /* of the error's class; NULL: none */
    struct bytes error_args;  /* JSON array of the exception's arguments */
    const char *traceback;    /* NULL: none */
    struct bytes children; /* JSON array of Celery's result tuples: tasks it has sent */
    bool no_result;        /* the task wants none to be stored */
    struct bytes publish;  /* JSON array of signatures to send for it */
    struct bytes tasks;    /* JSON array of names: what its server, new, has told */
    struct bytes again;    /* RETRY: JSON [args, kwargs] for the next attempt */
    int64_t delay_ms;      /* RETRY: RECORD_NONE: the policy's */
    int64_t max_retries;   /* RETRY, FAIL: RECORD_NONE: the policy's */
    int64_t started_us;    /* wall time */
    int64_t duration_ms;
    int64_t rss_kib; /* resident memory afterwards, if it is wanted; RECORD_NONE: unknown
                      */
    int64_t max_rss_kib;      /* peak: of the command, else of the runner's whole life */
    int exit_status;          /* of a command; -1: none */
    int signal;               /* that ended a command; 0: none */
    struct bytes stderr_tail; /* of a command: the last RECORD_STDERR_MAX bytes. A native
                                 task's stderr is read by the master, see board.h */
};

/* A line that a task logged, or the runner's own trouble. */
struct record_log {
    enum log_level level;
    const char *text;
};

/*
 * Append the encoding to @out. CONEY_EINVAL: a required field is missing, a list is too
 * long or a number out of range; CONEY_ELIMIT: more than @out may hold; CONEY_ENOMEM.
 */
enum coney_rc record_job_encode(const struct record_job *job, struct buffer *out,
        struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc record_outcome_encode(const struct record_outcome *o, struct buffer *out,
        struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc record_log_encode(const struct record_log *l, struct buffer *out,
        struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Decode @in, which must stay unchanged as long as the result is used: texts point into
 * it, lists come from @arena. CONEY_ESYNTAX: not what the encoder writes; CONEY_ENOMEM.
 */
enum coney_rc record_job_decode(struct bytes in, struct arena *arena,
        struct record_job *job, struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc record_outcome_decode(struct bytes in, struct record_outcome *o,
        struct coney_error *err) CONEY_MUST_CHECK;
enum coney_rc record_log_decode(
        struct bytes in, struct record_log *l, struct coney_error *err) CONEY_MUST_CHECK;

#endif /* CONEY_BOARD_RECORD_H */
