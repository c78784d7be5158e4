/* SPDX-License-Identifier: MIT */
/*
 * coney/task.h - how to write a task.
 *
 * A plugin is a shared object that exports one symbol, coney_plugin. It links jansson and
 * nothing of Coney: whatever it asks of the worker goes through a table of functions that
 * comes with each task. C11 and C++11. Since 0.1.
 *
 *     #include <coney/task.h>
 *
 *     static enum coney_outcome add(struct coney_task *task, json_t *args, json_t
 * *kwargs)
 *     {
 *         json_int_t x, y;
 *         if (json_unpack(args, "[I, I]", &x, &y) != 0)
 *             return coney_fail(task, "TypeError", "add wants two integers");
 *         return coney_succeed(task, json_integer(x + y));
 *     }
 *     static const struct coney_task_def tasks[] = {{"demo.add", add, 0, 0, 0, "x + y"}};
 *     CONEY_PLUGIN("demo", tasks, NULL, NULL);
 *
 *     cc -std=c11 -shared -fPIC $(pkg-config --cflags coney jansson) -o demo.so demo.c \
 *         $(pkg-config --libs jansson)
 *
 * Where it runs. A runner is a process of its own; it loads the plugin, calls the init
 * hook, and runs one task at a time, always in the same thread. A task may block, crash
 * or leak: only its own runner suffers. Standard input is empty; what is written to
 * standard output and error goes to the worker's log, and the last lines of it into the
 * dead letter of a task that crashes.
 *
 * Soft limit. When a task's soft time limit passes, coney_is_soft_limit_passed() turns
 * true and the process gets SIGUSR1, whose handler does nothing and is installed without
 * SA_RESTART: a blocking call returns -1 with EINTR. The task should clean up and return.
 * At the hard limit the runner is killed together with its process group and whatever
 * else it has started.
 *
 * Signals. Leave SIGUSR1, SIGTERM, SIGINT, SIGHUP and SIGPIPE as they are: the runner
 * catches them and does nothing, so writing to a closed socket gives EPIPE.
 *
 * Children. A child of the runner that has ended when a task returns is reaped.
 *
 * Threads. A task may have some, but only the thread that it was called in may use the
 * functions below, and none of them may outlive the call with the task's pointers.
 *
 * C++. No exception may leave a task or a hook.
 *
 * Versions. CONEY_TASK_ABI changes when an old plugin could not work any more; a worker
 * refuses a plugin of another ABI by name. Otherwise structures only grow at their end,
 * and each carries its size: an old plugin meets a newer worker safely, and a new plugin
 * finds out what an older worker has with CONEY_API_HAS().
 */
#ifndef CONEY_TASK_H
#define CONEY_TASK_H

#include <coney/export.h>

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the agreement in this header. Since 0.1. */
#define CONEY_TASK_ABI 1u

/* As max_retries: none at all (0 says nothing). Since 0.1. */
#define CONEY_NO_RETRIES (-1)
/* As a delay: what the task's retry policy says. Since 0.1. */
#define CONEY_POLICY_DELAY INT64_C(0)
/* As a deadline or remaining time: there is no limit. Since 0.1. */
#define CONEY_NO_DEADLINE INT64_MAX

/* What a task returns; it decides, whatever was said before. Since 0.1. */
enum coney_outcome {
    CONEY_SUCCESS = 0, /* with the result of coney_succeed(), else null */
    CONEY_RETRY = 1,   /* again later, as long as the policy allows */
    CONEY_FAIL = 2,    /* the policy decides, by the error type, about a retry */
    CONEY_REJECT = 3,  /* never again: to the dead letters */
    CONEY_IGNORE = 4   /* done, and nobody is told a result */
};

/* Since 0.1. */
enum coney_level {
    CONEY_LEVEL_ERROR = 0,
    CONEY_LEVEL_WARNING = 1,
    CONEY_LEVEL_INFO = 2,
    CONEY_LEVEL_DEBUG = 3
};

struct coney_api;

/* One attempt at a task, valid until the task returns. There is more behind it, of the
 * worker's own. Since 0.1. */
struct coney_task {
    const struct coney_api *api;
};

/* The process that the tasks run in, valid during a hook. Since 0.1. */
struct coney_runner {
    const struct coney_api *api;
};

/*
 * What the worker does for a task. Texts that come back are borrowed until the task
 * returns; texts that go in are copied. The functions further down are more comfortable.
 * Since 0.1.
 */
struct coney_api {
    size_t size;  /* of this structure in the worker */
    uint32_t abi; /* CONEY_TASK_ABI of the worker */

    const char *(*id)(const struct coney_task *task);
    const char *(*name)(const struct coney_task *task);
    const char *(*root_id)(const struct coney_task *task);   /* NULL: none */
    const char *(*parent_id)(const struct coney_task *task); /* NULL: none */
    const char *(*queue)(const struct coney_task *task);     /* NULL: unknown */
    int64_t (*retries)(const struct coney_task *task);
    int (*is_redelivered)(const struct coney_task *task);
    int64_t (*deadline_us)(const struct coney_task *task);
    int64_t (*remaining_ms)(const struct coney_task *task);
    int (*is_soft_limit_passed)(const struct coney_task *task);
    void (*log)(struct coney_task *task, enum coney_level level, const char *text);
    void (*set_result)(struct coney_task *task, json_t *value_take);
    void (*set_error)(struct coney_task *task, const char *type, const char *text,
            int64_t delay_ms);
    void (*runner_log)(
            struct coney_runner *runner, enum coney_level level, const char *text);
    const char *(*node)(const struct coney_runner *runner);
    const char *(*send)(struct coney_task *task, json_t *signature_take);
};

/* Whether the worker's table has @member; ask before using one that is younger than the
 * oldest worker the plugin is for. Since 0.1. */
#define CONEY_API_HAS(api, member)                       \
    ((api)->size >= offsetof(struct coney_api, member) + \
                            sizeof(((struct coney_api *)0)->member))

/* --- what a plugin offers -------------------------------------------------------------
 */

/*
 * A task. @args is an array and @kwargs an object, never NULL; both are borrowed, and may
 * be changed. A JSON value that C can't hold (NaN, an integer beyond 64 bits) comes as a
 * string. Since 0.1.
 */
typedef enum coney_outcome coney_task_fn(
        struct coney_task *task, json_t *args, json_t *kwargs);

/* A task that the plugin offers. The operator's configuration goes before the limits
 * here. Since 0.1. */
struct coney_task_def {
    const char *name; /* "notify.send_sms"; 1 to 255 bytes of UTF-8 */
    coney_task_fn *run;
    int64_t soft_time_limit_ms; /* 0: says nothing; likewise below */
    int64_t time_limit_ms;
    int max_retries; /* or CONEY_NO_RETRIES */
    const char *doc; /* a sentence for people; may be NULL */
};

/* The one exported object; CONEY_PLUGIN() fills it in. Since 0.1. */
struct coney_plugin {
    uint32_t abi;       /* CONEY_TASK_ABI, first in every version */
    uint32_t size;      /* sizeof(struct coney_plugin) */
    uint32_t task_size; /* sizeof(struct coney_task_def) */
    uint32_t reserved;  /* 0 */
    const char *name;   /* for people */
    const struct coney_task_def *tasks;
    size_t task_count;
    /* Called once in each runner, before its first task; may be NULL. Not 0: the runner
     * ends, and another one is tried later. */
    int (*init)(struct coney_runner *runner);
    /* Called before a runner ends in peace (never when it is killed); may be NULL. */
    void (*fini)(struct coney_runner *runner);
};

#if defined(__GNUC__)
#define CONEY_PLUGIN_EXPORT extern __attribute__((visibility("default")))
#else
#define CONEY_PLUGIN_EXPORT extern
#endif
CONEY_PLUGIN_EXPORT const struct coney_plugin coney_plugin;

/* Define the exported object: a name, an array of tasks, init and fini hooks or NULL.
 * Since 0.1. */
#define CONEY_PLUGIN(plugin_name, task_array, init_hook, fini_hook)              \
    const struct coney_plugin coney_plugin = {CONEY_TASK_ABI,                    \
            (uint32_t)sizeof(struct coney_plugin),                               \
            (uint32_t)sizeof(struct coney_task_def), 0, plugin_name, task_array, \
            sizeof(task_array) / sizeof((task_array)[0]), init_hook, fini_hook}

/* --- what a task can ask --------------------------------------------------------------
 */

/* The task's id, unique among all. Since 0.1. */
static inline const char *coney_task_id(const struct coney_task *task)
{
    return task->api->id(task);
}

/* The name that it was sent by. Since 0.1. */
static inline const char *coney_task_name(const struct coney_task *task)
{
    return task->api->name(task);
}

/* The first task of the workflow it belongs to, and the task that sent it. NULL: none.
 * Since 0.1. */
static inline const char *coney_task_root_id(const struct coney_task *task)
{
    return task->api->root_id(task);
}

static inline const char *coney_task_parent_id(const struct coney_task *task)
{
    return task->api->parent_id(task);
}

/* The queue that it came from. NULL: unknown. Since 0.1. */
static inline const char *coney_task_queue(const struct coney_task *task)
{
    return task->api->queue(task);
}

/* How many attempts there were before this one. Since 0.1. */
static inline int64_t coney_task_retries(const struct coney_task *task)
{
    return task->api->retries(task);
}

/* 1: the broker has delivered it before, so it may have run before, in whole or in part.
 * Since 0.1. */
static inline int coney_task_is_redelivered(const struct coney_task *task)
{
    return task->api->is_redelivered(task);
}

/* When its first limit passes, soft or hard: microseconds since 1970, or
 * CONEY_NO_DEADLINE. Since 0.1. */
static inline int64_t coney_task_deadline_us(const struct coney_task *task)
{
    return task->api->deadline_us(task);
}

/* The time left until then in milliseconds, never below 0, or CONEY_NO_DEADLINE. Since
 * 0.1. */
static inline int64_t coney_task_remaining_ms(const struct coney_task *task)
{
    return task->api->remaining_ms(task);
}

/* 1: its soft limit has passed: clean up and return. Cheap enough for every turn of a
 * loop. Since 0.1. */
static inline int coney_is_soft_limit_passed(const struct coney_task *task)
{
    return task->api->is_soft_limit_passed(task);
}

/* --- what a task can say --------------------------------------------------------------
 */

/* Longest text of the functions below in bytes; what is longer is cut. Since 0.1. */
#define CONEY_TEXT_MAX 1023

/* Log a line of progress, as printf. It never waits: a line too many is dropped and
 * counted. Since 0.1. */
CONEY_PRINTF(3, 4)
static inline void coney_log(
        struct coney_task *task, enum coney_level level, const char *fmt, ...)
{
    char text[CONEY_TEXT_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    task->api->log(task, level, text);
}

/*
 * Success with a result, which is taken: return coney_succeed(task, json_integer(5)). For
 * NULL (jansson was out of memory, or the text not UTF-8) the attempt fails as
 * ResultError. Without a result just return CONEY_SUCCESS. Since 0.1.
 */
static inline enum coney_outcome coney_succeed(
        struct coney_task *task, json_t *result_take)
{
    task->api->set_result(task, result_take);
    return CONEY_SUCCESS;
}

/* Try again after @delay_ms (CONEY_POLICY_DELAY: the policy's delay), because of an error
 * of such a type ("SmsError") and text, as printf. Since 0.1. */
CONEY_PRINTF(4, 5)
static inline enum coney_outcome coney_retry(
        struct coney_task *task, int64_t delay_ms, const char *type, const char *fmt, ...)
{
    char text[CONEY_TEXT_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    task->api->set_error(task, type, text, delay_ms);
    return CONEY_RETRY;
}

/* The attempt has failed; the policy says whether to retry for an error of this type.
 * Since 0.1. */
CONEY_PRINTF(3, 4)
static inline enum coney_outcome coney_fail(
        struct coney_task *task, const char *type, const char *fmt, ...)
{
    char text[CONEY_TEXT_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    task->api->set_error(task, type, text, CONEY_POLICY_DELAY);
    return CONEY_FAIL;
}

/* Never again: to the dead letters with it. Since 0.1. */
CONEY_PRINTF(3, 4)
static inline enum coney_outcome coney_reject(
        struct coney_task *task, const char *type, const char *fmt, ...)
{
    char text[CONEY_TEXT_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    task->api->set_error(task, type, text, CONEY_POLICY_DELAY);
    return CONEY_REJECT;
}

/* --- tasks that it sends --------------------------------------------------------------
 */

/*
 * Have a task sent when this one succeeds: a signature as Celery writes it, an object of
 * task, args, kwargs and options (queue, countdown, eta, expires, priority, task_id,
 * headers and so on), or a chain, group or chord of them (subtask_type). Taken.
 *
 * Returns the id of its result: options.task_id, else a new one; borrowed until the task
 * returns. NULL, with the reason in the log: it names no task, or is too large: result
 * and signatures together may have 1 MiB.
 *
 * It goes out after the attempt and before this task is acknowledged, as its child: its
 * parent is this task, its root this one's root, and it stands among the children of the
 * result. Where it may go is what worker.foreign and queues say. An attempt that does not
 * succeed sends nothing, so that one that is repeated does not send twice; one whose
 * worker dies may. Since 0.1.
 */
static inline const char *coney_send_canvas(
        struct coney_task *task, json_t *signature_take)
{
    return task->api->send(task, signature_take);
}

/* The same for the task @name, with an array of arguments and an object of options. Both
 * are taken; NULL: none. Since 0.1. */
static inline const char *coney_send_task(struct coney_task *task, const char *name,
        json_t *args_take, json_t *options_take)
{
    json_t *args = args_take ? args_take : json_array();
    json_t *options = options_take ? options_take : json_object();
    return task->api->send(task, json_pack("{s:s, s:o, s:{}, s:o}", "task", name, "args",
                                         args, "kwargs", "options", options));
}

/* --- what a hook can ask and say ------------------------------------------------------
 */

/* The worker's name, "coney@host". Since 0.1. */
static inline const char *coney_runner_node(const struct coney_runner *runner)
{
    return runner->api->node(runner);
}

/* Log a line from a hook, as printf. Since 0.1. */
CONEY_PRINTF(3, 4)
static inline void coney_runner_log(
        struct coney_runner *runner, enum coney_level level, const char *fmt, ...)
{
    char text[CONEY_TEXT_MAX + 1];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    runner->api->runner_log(runner, level, text);
}

#ifdef __cplusplus
}
#endif

#endif /* CONEY_TASK_H */
