/* SPDX-License-Identifier: MIT */
/*
 * coney/client.h - send tasks to Coney and Celery workers through RabbitMQ.
 *
 *     struct coney_client *client = NULL;
 *     struct coney_message message;
 *     struct coney_error err;
 *     char id[CONEY_ID_SIZE];
 *
 *     if (coney_client_new(NULL, &client, &err) != CONEY_OK)
 *         goto failed;
 *     coney_message_init(&message, "notify.send_sms");
 *     message.args = "[\"+233 20 1234567\", \"hello\"]";
 *     message.countdown_ms = 5 * 1000;
 *     if (coney_send(client, &message, id, &err) != CONEY_OK)
 *         goto failed;
 *
 * A client sends to where the configuration file says a task goes, the same file that the
 * workers read. It keeps one connection, made at the first send, on a thread of its own:
 * heartbeats are answered, results are received and a lost connection is made again
 * whether the program is inside a call or not. The thread blocks all signals and calls
 * nothing of the program's.
 *
 * A message is sent when the broker has confirmed it, written to disk where the queue is
 * durable. If the connection is lost before the confirm, it is published again with the
 * same id: at least once, not exactly once.
 *
 * Threads: any number may use one client at the same time. Processes: a client that has
 * sent something belongs to the process that it did it in; in a child made by fork()
 * every call on it fails with CONEY_EINVAL, and coney_client_free() leaves the parent's
 * alone. No call waits for ever, or longer than it says.
 */
#ifndef CONEY_CLIENT_H
#define CONEY_CLIENT_H

#include <coney/error.h>
#include <coney/export.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room for any task id and its terminating zero. */
#define CONEY_ID_SIZE 256

struct coney_client;

/* --- making a client -------------------------------------------------------------- */

/* How much of the broker's certificate is believed without proof. */
enum coney_verify {
    CONEY_VERIFY_CONFIGURED, /* as the configuration says, else in full */
    CONEY_VERIFY_FULL,       /* chain and name */
    CONEY_VERIFY_NONE        /* anybody's certificate will do: for trials only */
};

/*
 * What became of a message given to coney_send_async(): CONEY_OK, or a code of
 * coney_send() with its @err. @id and @err are valid during the call only.
 */
typedef void (*coney_outcome_fn)(
        void *user, const char *id, enum coney_rc rc, const struct coney_error *err);

/* Begin with coney_client_options_init(). Strings are only read by coney_client_new(). */
struct coney_client_options {
    size_t size;             /* set by coney_client_options_init() */
    const char *config_file; /* NULL: $CONEY_CONFIG, else where `coney check` says; no
                                file at all is fine */
    const char *url;      /* amqps://[user[:password]@]host[:port][/vhost], instead of the
                             configuration's */
    const char *user;     /* instead of the URL's and the configuration's */
    const char *password; /* likewise */
    const char *ca_file;  /* PEM; these three likewise */
    const char *cert_file;
    const char *key_file;
    enum coney_verify verify;
    const char *name;            /* of the program, as the management UI shows it */
    unsigned timeout_ms;         /* how long a message may take to be sent; 0: 30000 */
    unsigned attempts;           /* how often it is published at most; 0: 10 */
    coney_outcome_fn on_outcome; /* of asynchronous sends; may be NULL. Called inside
                                    coney_send_async() and coney_flush(), one at a time
                                    but in whichever thread; may send, not flush */
    void *user_data;             /* handed to on_outcome */
};

/* All options as if not given. Since 0.1. */
static inline void coney_client_options_init(struct coney_client_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
}

/*
 * Read the configuration and the TLS files and make a client; nothing is connected yet.
 * @options may be NULL. On success *@out is the caller's, for coney_client_free().
 * CONEY_ESYNTAX (the configuration: the first mistake), CONEY_EINVAL (an option),
 * CONEY_EIO and CONEY_EREFUSED (a TLS file), CONEY_ENOMEM. Since 0.1.
 */
CONEY_API enum coney_rc coney_client_new(const struct coney_client_options *options,
        struct coney_client **out, struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Say goodbye to the broker, for a second at most, and free. What coney_send_async() was
 * given and coney_flush() has not seen off may be lost. No other call on @client may be
 * running. NULL is ignored. Since 0.1.
 */
CONEY_API void coney_client_free(struct coney_client *client);

/* --- sending ---------------------------------------------------------------------- */

enum coney_reply {
    CONEY_REPLY_NONE,  /* nobody will ask for the result */
    CONEY_REPLY_WANTED /* coney_wait() will */
};

/* A header of the user's, as text. Names that Celery uses itself are refused. */
struct coney_header {
    const char *name;
    const char *value;
};

/*
 * A task to be run. Begin with coney_message_init(); what stays zero is absent. Strings
 * are only read during the call.
 */
struct coney_message {
    size_t size;          /* set by coney_message_init() */
    const char *task;     /* its name */
    const char *args;     /* a JSON array; NULL: [] */
    const char *kwargs;   /* a JSON object; NULL: {} */
    const char *id;       /* at most 255 bytes; NULL: a new UUID */
    const char *queue;    /* of the broker, or one of our classes such as "high"; NULL: by
                             the configuration, from the task's name */
    int64_t countdown_ms; /* run that much later, or ... */
    int64_t eta_us;       /* ... at this time: microseconds since 1970-01-01 UTC */
    int64_t expires_ms;   /* not to be started later than that from now, or ... */
    int64_t expires_at_us; /* ... than this time; both 0: as the configuration says */
    int64_t time_limit_ms; /* of one attempt; 0: the worker's own */
    int64_t soft_time_limit_ms;
    int priority; /* 0 to 255; -1: as the configuration says */
    enum coney_reply reply;
    const struct coney_header *headers;
    size_t header_count;
};

/* A message that asks for @task with no arguments. Since 0.1. */
static inline void coney_message_init(struct coney_message *message, const char *task)
{
    memset(message, 0, sizeof(*message));
    message->size = sizeof(*message);
    message->task = task;
    message->priority = -1;
}

/*
 * Send @message and wait until the broker has it, at most options.timeout_ms. The id of
 * the task is written into @id (NULL is fine), whenever the message could be made.
 *   CONEY_OK           confirmed
 *   CONEY_EINVAL, CONEY_ESYNTAX, CONEY_ELIMIT   the message; err says which part
 *   CONEY_EUNROUTABLE  there is no such queue; err names it
 *   CONEY_ENOTFOUND    it is to be delayed and the delay levels don't exist yet: workers
 *                      declare them
 *   CONEY_EREFUSED     the broker refused connection or message
 *   CONEY_ENACKED      the broker did not take it: the queue is full or failed, or the
 *                      broker short of memory or disk
 *   CONEY_ECLOSED      not sent: no broker could be reached
 *   CONEY_ETIMEOUT     published, but never confirmed: it may run or not
 *   CONEY_ENOMEM
 * Since 0.1.
 */
CONEY_API enum coney_rc coney_send(struct coney_client *client,
        const struct coney_message *message, char id[CONEY_ID_SIZE],
        struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Take @message and return without waiting for the confirm: for thousands a second. What
 * becomes of it, options.on_outcome and coney_flush() tell. Waits, at most
 * options.timeout_ms, only while 1024 messages or 64 MiB are on their way. Fails for the
 * message itself (CONEY_EINVAL, CONEY_ESYNTAX, CONEY_ELIMIT, CONEY_ENOMEM), or with
 * CONEY_ETIMEOUT when there was no room. Since 0.1.
 */
CONEY_API enum coney_rc coney_send_async(struct coney_client *client,
        const struct coney_message *message, char id[CONEY_ID_SIZE],
        struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Wait until everything taken by coney_send_async() is decided, @timeout_ms at most.
 * CONEY_OK: all that was taken since the last flush is confirmed. CONEY_ETIMEOUT: some
 * of it is still on its way. Else the code of the first that failed; err names it and how
 * many others did. Since 0.1.
 */
CONEY_API enum coney_rc coney_flush(struct coney_client *client, unsigned timeout_ms,
        struct coney_error *err) CONEY_MUST_CHECK;

/* --- results ---------------------------------------------------------------------- */

enum coney_status {
    CONEY_STATUS_SUCCESS,
    CONEY_STATUS_FAILURE,
    CONEY_STATUS_REVOKED,
    CONEY_STATUS_PENDING /* not through yet: state says how far it is */
};

/* What a task came to. Everything belongs to the result; NULL: not there. */
struct coney_result {
    const char *id;
    enum coney_status status;
    const char *value;      /* CONEY_STATUS_SUCCESS: JSON; also what a task that is not
                               through tells of itself */
    const char *error_type; /* else: "ValueError" */
    const char *error_text;
    const char *traceback;
    const char *state; /* Celery's word, such as SUCCESS, STARTED, RETRY; PENDING also of
                          a task that nobody has heard of */
    const char *details; /* from a result store: all that it has, as a JSON object */
};

/*
 * Wait for the result of the task @id, @timeout_ms at most (0: only look). On CONEY_OK
 * *@out is the caller's, for coney_result_free(); whether the task succeeded is its
 * status, which is never CONEY_STATUS_PENDING. CONEY_ETIMEOUT.
 *
 * Where results.url of the configuration names a store, any task's result can be waited
 * for, and more than once. CONEY_ECLOSED and CONEY_EREFUSED: the store is not to be
 * reached, or refuses us; CONEY_ESYNTAX: what it has is no result.
 *
 * Else results come to this client (CONEY_EINVAL: it asked for none), and the task is one
 * that it has sent with CONEY_REPLY_WANTED. Then a result is handed out once. The newest
 * 1000 (and 64 MiB) are kept until somebody waits for them. They live with the
 * connection: one that the worker sends while it is lost never arrives. Since 0.1.
 */
CONEY_API enum coney_rc coney_wait(struct coney_client *client, const char *id,
        unsigned timeout_ms, struct coney_result **out,
        struct coney_error *err) CONEY_MUST_CHECK;

/*
 * How far the task @id is: its result if it is through, else one with
 * CONEY_STATUS_PENDING. @timeout_ms is for the store itself (5 s at least). Errors as of
 * coney_wait(). Since 0.1.
 */
CONEY_API enum coney_rc coney_result_get(struct coney_client *client, const char *id,
        unsigned timeout_ms, struct coney_result **out,
        struct coney_error *err) CONEY_MUST_CHECK;

/*
 * Let the result store delete what it has of the task @id; nothing is no mistake.
 * CONEY_EINVAL: results.url names no store. Errors as above. Since 0.1.
 */
CONEY_API enum coney_rc coney_forget(struct coney_client *client, const char *id,
        unsigned timeout_ms, struct coney_error *err) CONEY_MUST_CHECK;

/* NULL is ignored. Since 0.1. */
CONEY_API void coney_result_free(struct coney_result *result);

#ifdef __cplusplus
}
#endif

#endif /* CONEY_CLIENT_H */
