/* SPDX-License-Identifier: MIT */
/* server.c - which servers a runner has, and one question and its answer. */
#include "runner/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "runner/exchange.h"
#include "runner/server_proc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    ASK_TRIES = 3,   /* of servers that end before they are asked */
    SERVERS_MAX = 8, /* of one runner; beyond it the one longest unused is ended */
    STOP_MS = 3000,
    MUTE_MS = 1000, /* for its death, after it has closed its descriptor 4 */
    THROTTLE_BASE_MS = 1000,
    THROTTLE_CAP_MS = 60 * 1000,
    REQUEUE_MIN_MS = 2000,
    END_TEXT_SIZE = 80,
    TASKS_MAX = 512 * 1024, /* bytes of their names */
    OUTCOME_TEXTS_MAX =
            64 * 1024 /* of an outcome's other texts: exchange.c bounds them */
};

struct server {
    TAILQ_ENTRY(server) entry;
    struct arena *arena; /* owned; of the command */
    struct record_command command;
    struct server_proc proc;
    bool wants_signal;
    struct buffer tasks; /* what it has told of itself, until that is passed on */
    int64_t throttle_ms; /* 0: its last start went well */
    int64_t next_start_ms;
};

struct server_set {
    const char *node;                    /* borrowed */
    TAILQ_HEAD(server_list, server) all; /* the last used first */
    size_t count;
};

/* --- the set ------------------------------------------------------------------------ */

struct server_set *server_set_new(const char *node)
{
    struct server_set *set = calloc(1, sizeof(*set));
    if (!set)
        return NULL;
    set->node = node;
    TAILQ_INIT(&set->all);
    return set;
}

static void server_free(struct server *s)
{
    server_proc_kill(&s->proc);
    server_proc_fini(&s->proc);
    buffer_fini(&s->tasks);
    arena_free(s->arena);
    free(s);
}

static void dismiss(struct server_set *set, struct server *s)
{
    TAILQ_REMOVE(&set->all, s, entry);
    set->count--;
    server_proc_stop(&s->proc, STOP_MS);
    server_free(s);
}

void server_set_free(struct server_set *set)
{
    struct server *next;
    if (!set)
        return;
    for (struct server *s = TAILQ_FIRST(&set->all); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        dismiss(set, s);
    }
    free(set);
}

void server_set_reaped(struct server_set *set, pid_t pid, int wait_status)
{
    struct server *s;
    TAILQ_FOREACH(s, &set->all, entry)
    if (s->proc.pid == pid)
        server_proc_reaped(&s->proc, wait_status);
}

static bool are_same_texts(const struct record_texts *a, const struct record_texts *b)
{
    return texts_are_same((const char *const *)a->items, a->count,
            (const char *const *)b->items, b->count);
}

static bool is_for(const struct server *s, const struct record_command *c)
{
    const struct record_command *own = &s->command;
    const char *directory = own->directory ? own->directory : "/";
    return own->umask == c->umask && are_same_texts(&own->argv, &c->argv) &&
           are_same_texts(&own->environment, &c->environment) &&
           strcmp(directory, c->directory ? c->directory : "/") == 0;
}

static bool copy_texts(
        struct arena *a, const struct record_texts *from, struct record_texts *to)
{
    char **items = arena_alloc(a, (from->count + 1) * sizeof(*items));
    for (size_t i = 0; items && i < from->count; i++)
        if (!(items[i] = arena_strdup(a, from->items[i])))
            return false;
    *to = (struct record_texts){items, from->count};
    return items != NULL;
}

/* NULL: out of memory. */
static struct server *server_new(const struct record_command *c)
{
    struct server *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    server_proc_init(&s->proc);
    buffer_init(&s->tasks, TASKS_MAX);
    s->arena = arena_new(0);
    s->command = (struct record_command){.umask = c->umask, .start_ms = c->start_ms};
    bool is_whole = s->arena && copy_texts(s->arena, &c->argv, &s->command.argv) &&
                    copy_texts(s->arena, &c->environment, &s->command.environment);
    if (is_whole && c->directory) {
        s->command.directory = arena_strdup(s->arena, c->directory);
        is_whole = s->command.directory != NULL;
    }
    if (is_whole)
        return s;
    server_free(s);
    return NULL;
}

static struct server *find_or_add(struct server_set *set, const struct record_command *c)
{
    struct server *s;
    TAILQ_FOREACH(s, &set->all, entry)
    if (is_for(s, c))
        break;
    if (s) {
        TAILQ_REMOVE(&set->all, s, entry);
        set->count--;
    } else {
        if (set->count == SERVERS_MAX)
            dismiss(set, TAILQ_LAST(&set->all, server_list));
        s = server_new(c);
    }
    if (s) {
        TAILQ_INSERT_HEAD(&set->all, s, entry);
        set->count++;
    }
    return s;
}

/* --- what it says ------------------------------------------------------------------- */

static void say(struct attempt *a, enum log_level level, const char *text)
{
    a->host->log(a->host->ctx, level, text);
}

/* "killed by signal 9 (KILL)" */
static const char *describe_end(const struct server_proc *p, char text[END_TEXT_SIZE])
{
    const char *name = p->signal ? sigabbrev_np(p->signal) : NULL;
    if (p->signal)
        snprintf(text, END_TEXT_SIZE, "was killed by signal %d (%s)", p->signal,
                name ? name : "?");
    else if (p->exit_status >= 0)
        snprintf(text, END_TEXT_SIZE, "exited with status %d", p->exit_status);
    else
        snprintf(text, END_TEXT_SIZE, "is gone");
    return text;
}

/*
 * The next message that isn't a log line; those are logged. CONEY_ENOTFOUND: none yet;
 * CONEY_ESYNTAX: it broke the protocol; CONEY_ENOMEM. On CONEY_OK *@text is to be dropped
 * once the message has been used.
 */
static enum coney_rc next_message(struct server *s, struct attempt *a,
        struct exchange_message *m, struct bytes *text, struct coney_error *err)
{
    for (;;) {
        enum coney_rc rc = exchange_peek(
                &s->proc.in, s->proc.in.max - EXCHANGE_HEAD_SIZE, text, err);
        if (rc != CONEY_OK)
            return rc == CONEY_ELIMIT ? CONEY_ESYNTAX : rc;
        rc = exchange_read(*text, a->arena, m, err);
        if (rc != CONEY_OK || m->kind != EXCHANGE_LOG)
            return rc;
        say(a, m->level, m->text);
        exchange_drop(&s->proc.in, *text);
    }
}

/* One that can't answer any more is about to die, or of no use. */
static void listen_to(struct server *s, struct attempt *a, int64_t wait_ms)
{
    server_proc_pump(&s->proc, a->host->wake_fd, wait_ms);
    if (s->proc.from < 0)
        server_proc_await_end(&s->proc, MUTE_MS);
}

/* --- starting ----------------------------------------------------------------------- */

static enum coney_rc await_ready(
        struct server *s, struct attempt *a, struct coney_error *err)
{
    char end[END_TEXT_SIZE];
    struct exchange_message m;
    struct bytes text;
    int64_t until_ms = clock_mono_ms() + s->command.start_ms;
    enum coney_rc rc;
    while ((rc = next_message(s, a, &m, &text, err)) == CONEY_ENOTFOUND) {
        int64_t left_ms = until_ms - clock_mono_ms();
        if (s->proc.has_ended)
            return error_set(err, CONEY_EIO, "it %s before it was ready",
                    describe_end(&s->proc, end));
        if (left_ms <= 0)
            return error_set(err, CONEY_EIO, "it was not ready within %.1f s",
                    (double)s->command.start_ms / 1000);
        listen_to(s, a, left_ms);
    }
    if (rc == CONEY_OK && m.kind != EXCHANGE_READY)
        rc = error_set(err, CONEY_ESYNTAX, "it gave an outcome before it was ready");
    if (rc != CONEY_OK)
        return rc;
    s->wants_signal = m.wants_signal;
    buffer_clear(&s->tasks);
    if (m.tasks.len > 0 &&
            buffer_append(&s->tasks, m.tasks.data, m.tasks.len) != CONEY_OK)
        say(a, LOG_LEVEL_WARNING, "the server's list of tasks is too long to be kept");
    exchange_drop(&s->proc.in, text);
    return CONEY_OK;
}

static enum coney_rc start(struct server_set *set, struct server *s, struct attempt *a,
        struct coney_error *err)
{
    size_t frame_max = a->host->result_max;
    enum coney_rc rc =
            server_proc_start(&s->proc, &s->command, frame_max + EXCHANGE_HEAD_SIZE, err);
    if (rc != CONEY_OK)
        return rc;
    rc = exchange_hello(set->node, frame_max, &s->proc.out);
    if (rc == CONEY_OK)
        rc = await_ready(s, a, err);
    if (rc != CONEY_OK) {
        server_proc_kill(&s->proc);
        server_proc_fini(&s->proc);
    }
    return rc;
}

/* The task has not begun, and it isn't its fault: it waits. */
static void wait_for_server(struct server *s, struct attempt *a, const char *why)
{
    int64_t wait_ms = s->next_start_ms - clock_mono_ms();
    attempt_set_error(a, RECORD_REQUEUE, "ServerNotStarted", why);
    a->outcome.delay_ms = wait_ms > REQUEUE_MIN_MS ? wait_ms : REQUEUE_MIN_MS;
}

static void fail_start(struct server *s, struct attempt *a, const char *why)
{
    char text[sizeof(((struct coney_error *)0)->text) + 300];
    s->throttle_ms = s->throttle_ms ? 2 * s->throttle_ms : THROTTLE_BASE_MS;
    if (s->throttle_ms > THROTTLE_CAP_MS)
        s->throttle_ms = THROTTLE_CAP_MS;
    s->next_start_ms = clock_mono_ms() + s->throttle_ms;
    snprintf(text, sizeof(text),
            "server can't be started: %s; task put back, next start in %.0f s  server=%s",
            why, (double)s->throttle_ms / 1000, s->command.argv.items[0]);
    say(a, LOG_LEVEL_ERROR, text);
    wait_for_server(s, a, why);
}

/* False: the outcome says why. */
static bool make_ready(struct server_set *set, struct server *s, struct attempt *a)
{
    char text[END_TEXT_SIZE + 80];
    char end[END_TEXT_SIZE];
    struct coney_error err;
    if (server_proc_is_alive(&s->proc))
        return true;
    if (s->proc.pid != 0) {
        snprintf(text, sizeof(text), "server[%ld] %s between two tasks; started again",
                (long)s->proc.pid, describe_end(&s->proc, end));
        say(a, LOG_LEVEL_WARNING, text);
        server_proc_fini(&s->proc);
    }
    if (clock_mono_ms() < s->next_start_ms) {
        wait_for_server(s, a, "its server could not be started a moment ago");
        return false;
    }
    if (start(set, s, a, &err) != CONEY_OK) {
        fail_start(s, a, err.text);
        return false;
    }
    s->throttle_ms = 0;
    return true;
}

/* --- one task ----------------------------------------------------------------------- */

static struct bytes keep(struct attempt *a, struct bytes json)
{
    return json.len > 0 ? arena_copy(a->arena, json) : json;
}

/* What is said becomes the attempt's own. */
static void keep_outcome(struct attempt *a, const struct record_outcome *said)
{
    if (said->kind == RECORD_SUCCESS)
        attempt_set_json(a, said->value);
    else
        attempt_set_error(a, said->kind, said->error_type, said->error_text);
    struct record_outcome *o = &a->outcome;
    o->error_module = said->error_module;
    o->error_args = keep(a, said->error_args);
    o->traceback = said->traceback;
    o->children = keep(a, said->children);
    o->no_result = said->no_result;
    o->publish = keep(a, said->publish);
    o->again = said->again; /* the arena has it already */
    o->delay_ms = said->delay_ms;
    o->max_retries = said->max_retries;
}

static void keep_crash(struct attempt *a, const struct server_proc *p)
{
    char end[END_TEXT_SIZE];
    attempt_set_errorf(
            a, RECORD_CRASHED, "WorkerLostError", "the server %s", describe_end(p, end));
    a->outcome.error_module = "billiard.exceptions";
    a->outcome.signal = p->signal;
    a->outcome.exit_status = p->exit_status;
}

/* Tell it, once, that the soft limit has passed. */
static enum coney_rc tell_limit(struct server *s, const struct attempt *a)
{
    enum coney_rc rc = exchange_soft_limit(a->job->id, &s->proc.out);
    if (s->wants_signal)
        (void)kill(s->proc.pid, SIGUSR1);
    return rc;
}

/*
 * CONEY_OK: @a has its outcome. CONEY_ECLOSED: it is dead; CONEY_ENOTFOUND: and has not
 * even read the task of @size bytes. Else it must be killed.
 */
static enum coney_rc await_outcome(
        struct server *s, struct attempt *a, size_t size, struct coney_error *err)
{
    struct exchange_message m;
    struct bytes text;
    bool is_told = false;
    enum coney_rc rc;
    while ((rc = next_message(s, a, &m, &text, err)) == CONEY_ENOTFOUND) {
        if (s->proc.has_ended)
            return server_proc_unread(&s->proc) >= size ? CONEY_ENOTFOUND : CONEY_ECLOSED;
        if (!is_told && a->host->is_soft_limit(a->host->ctx)) {
            is_told = true;
            rc = tell_limit(s, a);
            if (rc != CONEY_OK)
                return rc;
        }
        listen_to(s, a, -1);
    }
    if (rc == CONEY_OK && (m.kind != EXCHANGE_OUTCOME || strcmp(m.id, a->job->id) != 0))
        rc = error_set(err, CONEY_ESYNTAX, "an answer that nobody asked for");
    if (rc != CONEY_OK)
        return rc;
    keep_outcome(a, &m.outcome);
    exchange_drop(&s->proc.in, text);
    return CONEY_OK;
}

/* False: it had ended before it was asked. */
static bool ask(struct server *s, struct attempt *a)
{
    struct coney_error err;
    enum coney_rc rc = exchange_task(a, &s->proc.out);
    if (rc == CONEY_EINVAL) {
        attempt_set_error(a, RECORD_FAIL, "TypeError",
                "the arguments must be an array and an object");
        return true;
    }
    rc = rc == CONEY_OK ? await_outcome(s, a, buffer_len(&s->proc.out), &err)
                        : error_set_nomem(&err);
    if (rc == CONEY_ENOTFOUND)
        return false;
    if (a->job->wants_rss)
        a->outcome.rss_kib = server_proc_rss_kib(&s->proc);
    a->outcome.max_rss_kib = server_proc_max_rss_kib(&s->proc);
    if (rc == CONEY_ECLOSED)
        keep_crash(a, &s->proc);
    else if (rc != CONEY_OK)
        attempt_set_errorf(
                a, RECORD_CRASHED, "ServerError", "the server was killed: %s", err.text);
    if (rc != CONEY_OK) {
        server_proc_kill(&s->proc);
        server_proc_fini(&s->proc);
    }
    return true;
}

/* What a new server can run goes with the first outcome that has room for it. */
static void pass_on_tasks(struct server *s, struct attempt *a)
{
    struct record_outcome *o = &a->outcome;
    const struct bytes tasks = {buffer_data(&s->tasks), buffer_len(&s->tasks)};
    size_t used = buffer_len(&a->value) + o->children.len + o->publish.len +
                  o->again.len + o->error_args.len + OUTCOME_TEXTS_MAX;

    if (tasks.len == 0 || used + tasks.len > a->host->result_max)
        return;
    o->tasks = arena_copy(a->arena, tasks);
    buffer_clear(&s->tasks);
}

void server_run(struct server_set *set, struct attempt *a)
{
    struct server *s = find_or_add(set, &a->job->command);
    if (!s) {
        attempt_set_error(a, RECORD_FAIL, "MemoryError", "no memory for the server");
        return;
    }
    for (int tries = 0; tries < ASK_TRIES; tries++)
        if (!make_ready(set, s, a) || ask(s, a)) {
            pass_on_tasks(s, a);
            return;
        }
    keep_crash(a, &s->proc);
}
