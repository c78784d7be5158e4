/* SPDX-License-Identifier: MIT */
/*
 * config.h - what the operator wrote, checked and merged.
 *
 * Files are read in order (coney.yaml, then conf.d/ next to it), every mistake is
 * collected with file, line and column, and the result is plain structs that the other
 * rooms only read. One table of keys (keys.c) drives parsing, checking, printing and
 * explaining. All values are owned by the struct config they stand in and live until
 * config_free().
 */
#ifndef CONEY_CONFIG_CONFIG_H
#define CONEY_CONFIG_CONFIG_H

#include "base/buffer.h"
#include "base/log.h"
#include "schedule/schedule.h"
#include <coney/error.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* No limit, not set. */
#define CONFIG_NONE INT64_C(-1)

enum priority_mode { PRIORITY_STRICT, PRIORITY_WEIGHTED };
enum declare_mode { DECLARE_ACTIVE, DECLARE_PASSIVE };
enum queue_type { QUEUE_QUORUM, QUEUE_CLASSIC };
enum jitter { JITTER_FULL, JITTER_EQUAL, JITTER_NONE };
/* What becomes of a task whose result can't be stored. */
enum when_down { DOWN_ACK, DOWN_HOLD };
enum handler_kind { HANDLER_NATIVE, HANDLER_COMMAND, HANDLER_SERVER };

struct string_list {
    char **items;
    size_t count;
};

struct int_list {
    int *items;
    size_t count;
};

/* broker: */
struct broker_config {
    struct string_list urls; /* at least one */
    char *user;              /* NULL: the URL's */
    char *password; /* from password_file or $CONEY_BROKER_PASSWORD; NULL: the URL's */
    char *password_file;
    struct {
        char *ca, *cert, *key, *crl, *server_name;
        bool verify;
    } tls;
    bool external; /* auth: external */
    unsigned heartbeat_s;
    int64_t connect_timeout_ms;
    int64_t backoff_base_ms, backoff_cap_ms;
    char *prefix;              /* "coney" */
    enum declare_mode declare; /* for all objects of ours */
    enum queue_type queue_type;
};

/* worker: */
struct worker_config {
    unsigned concurrency; /* runners; default: the number of processors */
    enum priority_mode priority;
    char *instance; /* node name coney-<instance>@host; NULL: coney@host */
    struct string_list plugins;
    unsigned held_max;        /* 0: 4 x concurrency + 64 */
    unsigned prefetch;        /* per queue; 0: 2 x concurrency, at least 4 */
    int64_t drain_timeout_ms; /* SIGTERM: how long running jobs may take */
    int64_t orphan_ttl_ms;    /* how long a finished orphan waits for its copy */
    unsigned orphans_max;
    unsigned poison_limit;
    int64_t unknown_task_ttl_ms;
    size_t body_max; /* of a message */
    enum log_level log_level;
    struct string_list foreign; /* where else messages may send others; globs */
};

/* results: */
struct results_config {
    char *url;      /* "rpc://", or redis's; NULL: no results at all */
    char *password; /* from password_file or $CONEY_RESULTS_PASSWORD; NULL: the URL's */
    char *password_file; /* the rest, down to extended, is for a store */
    struct {
        char *ca, *cert, *key, *server_name;
        bool verify;
    } tls;
    char *prefix;       /* in front of every key; NULL: none */
    int64_t expires_ms; /* CONFIG_NONE: kept for ever */
    bool extended;      /* with the request's name, arguments and so on */
    bool track_started;
    enum when_down when_down;
    int64_t retry_for_ms;
};

struct class_config {
    char *name;
    unsigned weight;      /* weighted: share of the starts */
    unsigned reserve;     /* runners kept free for this class */
    unsigned max_running; /* 0: no cap */
    int64_t ageing_ms;    /* CONFIG_NONE: off */
    char *pool;           /* "main" */
};

struct queue_config {
    char *name;         /* as in the broker: coney.high, notifications */
    size_t class_index; /* into config.classes */
    enum declare_mode declare;
    enum queue_type type;
    unsigned max_priority; /* classic only; 0: none */
    bool foreign;          /* not ours: named by the operator without our prefix */
    unsigned prefetch;     /* 0: the worker's */
    char *celery_delayed;  /* the key Celery's delayed messages for it end in; NULL: none
                            */
};

struct retry_policy {
    unsigned max;
    int64_t base_ms;
    double factor;
    int64_t cap_ms;
    enum jitter jitter;
    struct string_list on;     /* error types to retry; empty: all */
    struct string_list not_on; /* error types not to retry */
};

/* A command, or a server, which has no exit codes and no output. */
struct command_policy {
    struct string_list argv;        /* absolute program and arguments */
    struct string_list server;      /* likewise */
    int64_t start_ms;               /* for a server to become ready */
    char *directory;                /* NULL: / */
    struct string_list environment; /* "KEY=value" */
    struct int_list ok_exit;        /* default 0 */
    struct int_list retry_exit;     /* default 75 */
    struct int_list reject_exit;    /* default none */
    size_t max_output;
    int umask;
};

/* Everything that decides how a task is handled; merged for one task name. */
struct policy {
    char *task; /* the name it was resolved for; but see config_policy() on floods */
    bool known; /* named in tasks: by more than "*", or given a handler */
    enum handler_kind handler;
    struct command_policy command; /* HANDLER_COMMAND, HANDLER_SERVER */
    char *queue;                   /* broker name of the queue it is sent to */
    int priority;                  /* -1: none */
    struct retry_policy retry;
    int64_t soft_time_limit_ms; /* CONFIG_NONE: none */
    int64_t time_limit_ms;
    int64_t expires_ms;
    int64_t rate_per_hour; /* rate_limit: 10/m -> 600; CONFIG_NONE: none */
    unsigned max_tasks;    /* per runner; 0: no limit */
    int64_t max_memory;    /* bytes; CONFIG_NONE */
    bool ignore_result;
    uint64_t said; /* which keys the operator wrote, for policy_says() */
};

/* events: */
struct events_config {
    bool enabled;         /* of tasks, from the start; enable_events switches them on */
    int64_t heartbeat_ms; /* CONFIG_NONE: none */
    unsigned buffer;      /* events of tasks that wait to be sent, at most */
    char *exchange;       /* "celeryev" */
};

/* control: */
struct control_config {
    bool enabled;
    char *exchange;          /* "celery": celery.pidbox */
    struct string_list deny; /* commands that are refused */
    bool record;             /* keep revocations in the broker */
    unsigned revoked_max;    /* ids and stamps remembered at most */
    int64_t revoked_ttl_ms;  /* how long, when the broker does not keep them */
    int64_t revoked_wait_ms; /* for those that it keeps, before tasks are consumed */
};

struct beat_config {
    char *name;     /* coney.beat.<name>, "main" */
    char *timezone; /* default for entries */
};

struct config {
    struct broker_config broker;
    struct worker_config worker;
    struct results_config results;
    struct events_config events;
    struct control_config control;
    struct beat_config beat;
    struct class_config *classes;
    size_t class_count;
    struct queue_config *queues;
    size_t queue_count;
    struct schedule_entry *entries; /* schedule: */
    size_t entry_count;
    struct string_list task_patterns; /* the keys of tasks:, as written */
    struct config_source *source; /* where each value came from; for explain and print */
};

/* One mistake: where, what was found, what is allowed. */
struct mistake {
    char *file;
    unsigned line;
    unsigned column;
    char *text;
};

struct mistakes {
    struct mistake *items;
    size_t count;
};

/*
 * Read @path (NULL: $CONEY_CONFIG, else ~/.config or /etc as the room's rules say) and
 * its conf.d. On failure *@out is NULL and @mistakes lists everything wrong, in order;
 * both are the caller's. CONEY_ESYNTAX: mistakes, and @err tells the first of them;
 * CONEY_EIO, CONEY_ELIMIT: @err names the file; CONEY_ENOTFOUND: there is no file to be
 * found (@path is NULL); CONEY_ENOMEM.
 */
enum coney_rc config_load(const char *path, struct config **out,
        struct mistakes *mistakes, struct coney_error *err) CONEY_MUST_CHECK;
/* As if the file held @text; for tests and for clients without a file ("" gives
 * defaults). */
enum coney_rc config_parse(const char *text, const char *file, struct config **out,
        struct mistakes *mistakes, struct coney_error *err) CONEY_MUST_CHECK;
void config_free(struct config *c);
void mistakes_fini(struct mistakes *m);
/* "file:line:column: text", a line each. */
void mistakes_print(const struct mistakes *m, FILE *to);
/* The main file that it was read from, as named there; borrowed. */
const char *config_path(const struct config *c);

/*
 * The policy of @task: most specific name wins, key by key (exact, then the glob with the
 * longest literal prefix, then shorter ones, then "*", then built-in). Resolved once and
 * kept in @c; borrowed, and not for use by two threads at once. NULL when out of memory.
 * Names come from whoever may send: after the first 4096 of them a policy is shared by
 * all further names that the same patterns match, and its task is the first of these
 * patterns.
 */
const struct policy *config_policy(struct config *c, const char *task);
/*
 * Whether tasks: says anything about @key ("time_limit", "retry.max") for this task, and
 * the value is no built-in default; then it beats what a plugin wants for its task.
 */
bool policy_says(const struct policy *policy, const char *key);
/* Whether @error_type ("SmsError") is to be retried under @r. */
bool retry_policy_covers(const struct retry_policy *r, const char *error_type);
/* The queue named @name (as in the broker, or a class name of ours such as "high"), or
 * NULL. */
const struct queue_config *config_queue(const struct config *c, const char *name);

/* Whether a message may name @name (an exchange, or a queue of the default exchange) as
 * where to send another: it is a queue in the configuration, or worker.foreign says so.
 */
bool config_allows_target(const struct config *c, const char *name);

/* The merged result as YAML that would load again, passwords masked. */
enum coney_rc config_print(const struct config *c, struct buffer *out) CONEY_MUST_CHECK;
/* The same as a JSON object, the caller's; NULL when out of memory. */
json_t *config_json(const struct config *c);
/* Each key of the policy of @task: its value and the file, line or default it came from.
 */
enum coney_rc config_explain(
        struct config *c, const char *task, struct buffer *out) CONEY_MUST_CHECK;

#endif /* CONEY_CONFIG_CONFIG_H */
