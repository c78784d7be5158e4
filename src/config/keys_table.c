/* SPDX-License-Identifier: MIT */
/*
 * keys_table.c - every key there is: path, type, default, bounds, where it goes, meaning.
 *
 * Nothing but data. A default is written as an operator would write it and passes through
 * the same reading and checking as what he wrote.
 */
#include "config/config.h"
#include "config/keys.h"

/* Where the value goes: the member's type decides how it is stored, so that table and
 * struct can't drift apart unnoticed. An enum is an unsigned int to gcc and clang. */
#define AT(type, member) \
    .offset = offsetof(struct type, member),                                             \
    .store = _Generic(((struct type *)0)->member, char *                                 \
                      : STORE_TEXT, bool                                                 \
                      : STORE_BOOL, int                                                  \
                      : STORE_INT, unsigned                                              \
                      : STORE_UNSIGNED, int64_t                                          \
                      : STORE_INT64, size_t                                              \
                      : STORE_SIZE, double                                               \
                      : STORE_DOUBLE, struct string_list                                 \
                      : STORE_TEXTS, struct int_list                                     \
                      : STORE_INTS)

#define SECONDS(n) (INT64_C(1000) * (n))
#define HOURS(n)   (SECONDS(3600) * (n))
#define DAYS(n)    (HOURS(24) * (n))
#define KIB(n)     (INT64_C(1024) * (n))
#define MIB(n)     (KIB(1024) * (n))

static const struct key table[] = {
        /* broker: */
        {"broker", KEY_MAP, .doc = "the RabbitMQ to connect to"},
        {"broker.urls", KEY_URLS, "[\"amqp://guest:guest@localhost:5672/\"]",
                AT(broker_config, urls), .doc = "nodes, tried in turn"},
        {"broker.user", KEY_TEXT, "none", .word = "none", AT(broker_config, user),
                .doc = "user, instead of the URL's"},
        {"broker.password_file", KEY_PATH, "none", .word = "none",
                AT(broker_config, password_file),
                .doc = "file with the password; $CONEY_BROKER_PASSWORD goes before it"},
        {"broker.auth", KEY_CHOICE, "password", .choices = "password|external",
                AT(broker_config, external),
                .doc = "external: by the client certificate"},
        {"broker.tls", KEY_MAP, .doc = "TLS, for amqps:// URLs"},
        {"broker.tls.ca", KEY_PATH, "none", .word = "none", AT(broker_config, tls.ca),
                .doc = "certificates to trust; none: the system's"},
        {"broker.tls.cert", KEY_PATH, "none", .word = "none", AT(broker_config, tls.cert),
                .doc = "client certificate, with its chain"},
        {"broker.tls.key", KEY_PATH, "none", .word = "none", AT(broker_config, tls.key),
                .doc = "private key of the client certificate"},
        {"broker.tls.crl", KEY_PATH, "none", .word = "none", AT(broker_config, tls.crl),
                .doc = "revoked certificates"},
        {"broker.tls.server_name", KEY_TEXT, "none", .word = "none",
                AT(broker_config, tls.server_name),
                .doc = "name to verify, instead of the URL's host"},
        {"broker.tls.verify", KEY_BOOL, "true", AT(broker_config, tls.verify),
                .doc = "verify the broker's certificate and name"},
        {"broker.heartbeat", KEY_SECONDS, "20s", SECONDS(1), HOURS(1),
                AT(broker_config, heartbeat_s),
                .doc = "heartbeat to propose to the broker"},
        {"broker.connect_timeout", KEY_DURATION, "10s", 100, HOURS(1),
                AT(broker_config, connect_timeout_ms),
                .doc = "per address: TCP, TLS and login together"},
        {"broker.backoff", KEY_MAP, .doc = "waits between attempts to connect"},
        {"broker.backoff.base", KEY_DURATION, "500ms", 10, HOURS(1),
                AT(broker_config, backoff_base_ms),
                .doc = "the first wait, then doubled"},
        {"broker.backoff.cap", KEY_DURATION, "30s", 10, HOURS(1),
                AT(broker_config, backoff_cap_ms), .doc = "the longest wait"},
        {"broker.prefix", KEY_WORD, "coney", AT(broker_config, prefix),
                .doc = "first word of the names of all our exchanges and queues"},
        {"broker.declare", KEY_CHOICE, "active", .choices = "active|passive",
                AT(broker_config, declare),
                .doc = "passive: somebody else declares our exchanges and queues"},
        {"broker.queue_type", KEY_CHOICE, "quorum", .choices = "quorum|classic",
                AT(broker_config, queue_type), .doc = "type of the queues we declare"},

        /* worker: */
        {"worker", KEY_MAP, .doc = "the worker process"},
        {"worker.concurrency", KEY_INTEGER, "auto", 1, 4096, .word = "auto",
                AT(worker_config, concurrency),
                .doc = "runners; auto: the number of processors"},
        {"worker.priority", KEY_CHOICE, "weighted", .choices = "strict|weighted",
                AT(worker_config, priority),
                .doc = "strict: the highest class first; weighted: shares by weight"},
        {"worker.instance", KEY_WORD, "none", .word = "none", AT(worker_config, instance),
                .doc = "node name coney-<instance>@host, for several on one host"},
        {"worker.plugins", KEY_PATHS, "[]", AT(worker_config, plugins),
                .doc = "shared objects with tasks"},
        {"worker.held_max", KEY_INTEGER, "auto", 1, 100000, .word = "auto",
                AT(worker_config, held_max),
                .doc = "most jobs held for their time; auto: 4 x concurrency + 64"},
        {"worker.prefetch", KEY_INTEGER, "auto", 1, 65535, .word = "auto",
                AT(worker_config, prefetch),
                .doc = "per queue; auto: 2 x concurrency, at least 4"},
        {"worker.drain_timeout", KEY_DURATION, "60s", 0, DAYS(7),
                AT(worker_config, drain_timeout_ms),
                .doc = "how long running jobs may take after SIGTERM"},
        {"worker.orphan_ttl", KEY_DURATION, "10m", 0, DAYS(7),
                AT(worker_config, orphan_ttl_ms),
                .doc = "how long a finished orphan waits for its copy"},
        {"worker.orphans_max", KEY_INTEGER, "1024", 0, 1000000,
                AT(worker_config, orphans_max), .doc = "most finished orphans kept"},
        {"worker.poison_limit", KEY_INTEGER, "20", 1, 1000000,
                AT(worker_config, poison_limit),
                .doc = "deliveries without an end before a message runs alone"},
        {"worker.unknown_task_ttl", KEY_DURATION, "10m", 0, DAYS(365),
                AT(worker_config, unknown_task_ttl_ms),
                .doc = "how long an unknown task goes round before its dead letter"},
        {"worker.body_max", KEY_SIZE, "16M", KIB(1), MIB(512),
                AT(worker_config, body_max), .doc = "largest body of a message"},
        {"worker.log_level", KEY_CHOICE, "info", .choices = "error|warning|info|debug",
                AT(worker_config, log_level), .doc = "what is logged"},
        {"worker.results", KEY_BOOL, "true", AT(worker_config, results),
                .doc = "answer reply_to with the result"},

        /* classes: */
        {"classes", KEY_NAMES,
                "{high: {weight: 6, reserve: 1}, default: {weight: 3}, "
                "low: {weight: 1, max_running: 4, ageing: 10m}}",
                .doc = "priorities, highest first; those written replace the three"},
        {"classes.*", KEY_MAP, .doc = "a priority"},
        {"classes.*.weight", KEY_INTEGER, "1", 1, 1000, AT(class_config, weight),
                .doc = "share of the starts while all classes wait (weighted)"},
        {"classes.*.reserve", KEY_INTEGER, "0", 0, 4096, AT(class_config, reserve),
                .doc = "runners kept free for this class"},
        {"classes.*.max_running", KEY_INTEGER, "none", 1, 4096, .word = "none",
                AT(class_config, max_running), .doc = "most jobs running at once"},
        {"classes.*.ageing", KEY_DURATION, "none", SECONDS(1), DAYS(365), .word = "none",
                AT(class_config, ageing_ms),
                .doc = "after this wait a job is served as one of the next class up"},
        {"classes.*.pool", KEY_CHOICE, "main", .choices = "main", AT(class_config, pool),
                .doc = "the set of runners it uses"},

        /* queues: */
        {"queues", KEY_NAMES, .doc = "queues to consume, beside <prefix>.<class> each"},
        {"queues.*", KEY_MAP, .doc = "a class of ours by its name, or a broker's queue"},
        {"queues.*.class", KEY_WORD, "(the class it is named after, else default)",
                .doc = "class of its jobs"},
        {"queues.*.declare", KEY_CHOICE, "(broker.declare; passive if not ours)",
                .choices = "active|passive", AT(queue_config, declare),
                .doc = "passive: it is there already"},
        {"queues.*.type", KEY_CHOICE, "(broker.queue_type)", .choices = "quorum|classic",
                AT(queue_config, type), .doc = "type to declare"},
        {"queues.*.max_priority", KEY_INTEGER, "none", 1, 255, .word = "none",
                AT(queue_config, max_priority),
                .doc = "x-max-priority of a classic queue"},
        {"queues.*.prefetch", KEY_INTEGER, "auto", 1, 65535, .word = "auto",
                AT(queue_config, prefetch), .doc = "auto: worker.prefetch"},

        /* tasks: */
        {"tasks", KEY_NAMES,
                .doc = "policies by task name; * and ? match, the most specific wins"},
        {"tasks.*", KEY_MAP, .doc = "the policy of a task or of all that match"},
        {"tasks.*.queue", KEY_QUEUE, "(the queue of the class default)",
                .doc = "queue it is sent to, or a class"},
        {"tasks.*.priority", KEY_INTEGER, "none", 0, 255, .word = "none",
                AT(policy, priority), .doc = "message priority within the queue"},
        {"tasks.*.retry", KEY_MAP, .doc = "what happens after a failure"},
        {"tasks.*.retry.max", KEY_INTEGER, "3", 0, 1000000, AT(policy, retry.max),
                .doc = "attempts after the first"},
        {"tasks.*.retry.base", KEY_DURATION, "1s", 1, DAYS(365),
                AT(policy, retry.base_ms), .doc = "the first wait"},
        {"tasks.*.retry.factor", KEY_NUMBER, "2", 1, 1000, AT(policy, retry.factor),
                .doc = "by which each further wait is longer"},
        {"tasks.*.retry.cap", KEY_DURATION, "10m", 1, DAYS(3650),
                AT(policy, retry.cap_ms), .doc = "the longest wait"},
        {"tasks.*.retry.jitter", KEY_CHOICE, "full", .choices = "full|equal|none",
                AT(policy, retry.jitter), .doc = "how much of the wait is random"},
        {"tasks.*.retry.on", KEY_TEXTS, "[]", AT(policy, retry.on),
                .doc = "error types to retry; none given: all"},
        {"tasks.*.retry.not_on", KEY_TEXTS, "[]", AT(policy, retry.not_on),
                .doc = "error types not to retry"},
        {"tasks.*.soft_time_limit", KEY_DURATION, "none", 1, DAYS(365), .word = "none",
                AT(policy, soft_time_limit_ms), .doc = "the task is told"},
        {"tasks.*.time_limit", KEY_DURATION, "none", 1, DAYS(365), .word = "none",
                AT(policy, time_limit_ms), .doc = "the task is killed"},
        {"tasks.*.expires", KEY_DURATION, "none", 1, DAYS(3650), .word = "none",
                AT(policy, expires_ms), .doc = "after this it is not started any more"},
        {"tasks.*.rate_limit", KEY_RATE, "none", .word = "none",
                AT(policy, rate_per_hour), .doc = "most starts in a time"},
        {"tasks.*.max_tasks", KEY_INTEGER, "none", 1, 1000000000, .word = "none",
                AT(policy, max_tasks), .doc = "a runner is replaced after so many"},
        {"tasks.*.max_memory", KEY_SIZE, "none", MIB(1), MIB(1048576), .word = "none",
                AT(policy, max_memory),
                .doc = "a runner above it after a task is replaced"},
        {"tasks.*.ignore_result", KEY_BOOL, "false", AT(policy, ignore_result),
                .doc = "send no result even where one is asked for"},
        {"tasks.*.command", KEY_COMMAND, "none", .word = "none", AT(policy, command.argv),
                .doc = "program and arguments; none: a plugin's task"},
        {"tasks.*.directory", KEY_PATH, "none", .word = "none",
                AT(policy, command.directory), .doc = "where the command runs; none: /"},
        {"tasks.*.environment", KEY_VARIABLES,
                .doc = "its variables; nothing else is inherited"},
        {"tasks.*.ok_exit", KEY_CODES, "[0]", 0, 255, AT(policy, command.ok_exit),
                .doc = "exit codes of success"},
        {"tasks.*.retry_exit", KEY_CODES, "[75]", 0, 255, AT(policy, command.retry_exit),
                .doc = "exit codes to try again"},
        {"tasks.*.reject_exit", KEY_CODES, "[]", 0, 255, AT(policy, command.reject_exit),
                .doc = "exit codes for the dead letter, without a retry"},
        {"tasks.*.max_output", KEY_SIZE, "1M", KIB(1), MIB(256),
                AT(policy, command.max_output), .doc = "most bytes on standard output"},
        {"tasks.*.umask", KEY_MODE, "022", 0, 0777, AT(policy, command.umask),
                .doc = "umask of the command"},

        /* beat: */
        {"beat", KEY_MAP, .doc = "the scheduler"},
        {"beat.name", KEY_WORD, "main", AT(beat_config, name),
                .doc = "beats of one name share a token, and so a schedule"},
        {"beat.timezone", KEY_ZONE, "UTC", AT(beat_config, timezone),
                .doc = "time zone of entries that name none"},

        /* schedule: */
        {"schedule", KEY_NAMES, .doc = "what beat sends, and when"},
        {"schedule.*", KEY_MAP, .doc = "an entry"},
        {"schedule.*.task", KEY_TEXT, .doc = "task to send; required"},
        {"schedule.*.crontab", KEY_CRONTAB, .doc = "when; this or every"},
        {"schedule.*.every", KEY_DURATION, NULL, SCHEDULE_EVERY_MIN_MS, DAYS(3650),
                .doc = "interval, counted from 1970; this or crontab"},
        {"schedule.*.timezone", KEY_ZONE, "(beat.timezone)",
                .doc = "time zone of the crontab"},
        {"schedule.*.args", KEY_ARRAY, "[]", .doc = "arguments by position"},
        {"schedule.*.kwargs", KEY_OBJECT, "{}", .doc = "arguments by name"},
        {"schedule.*.queue", KEY_QUEUE, "(the task's)", .doc = "queue to send it to"},
        {"schedule.*.priority", KEY_INTEGER, "(the task's)", 0, 255,
                .doc = "message priority"},
        {"schedule.*.expires", KEY_DURATION, "(the task's)", 1, DAYS(3650),
                .doc = "after the tick by this it is not started any more"},
        {"schedule.*.enabled", KEY_BOOL, "true", AT(schedule_entry, enabled),
                .doc = "false: never sent"},
        {"schedule.*.days", KEY_CHOICE, NULL, .choices = "both|either",
                .doc = "how days of the month and of the week combine"},
        {"schedule.*.misfire", KEY_MISFIRE, "once",
                .doc = "ticks missed: drop them, send the last, send all"},
        {"schedule.*.deadline", KEY_DURATION, "none", 1, DAYS(3650), .word = "none",
                .doc = "a tick older than this is dropped"},
};

const struct key *key_table(size_t *count)
{
    *count = sizeof(table) / sizeof(table[0]);
    return table;
}
