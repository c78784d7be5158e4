/* SPDX-License-Identifier: MIT */
/*
 * pool_bench.h - a pool on a loop of its own; its runners are the test program itself,
 * unless the test names others.
 *
 * Counts what the pool says about each job, and checks at the end of every test what must
 * hold after all of them: one outcome for each job, no process, descriptor or handle
 * left. All static, in a header: what lies in support/ is linked to every test, and this
 * needs the worker.
 */
#ifndef CONEY_TESTS_POOL_BENCH_H
#define CONEY_TESTS_POOL_BENCH_H

#include "base/clock.h"
#include "support/test.h"
#include "worker/descendants.h"
#include "worker/pool.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, JOBS_MAX = 200, TAIL_MAX = 8192 };

/* What the pool said about one job. */
struct report {
    bool assigned;
    unsigned outcomes;
    struct outcome o; /* its texts are these: */
    char type[64], text[512], value[256], tail[TAIL_MAX + 1];
    unsigned lines;
    char last_line[1100];
};

struct bench {
    uv_loop_t loop;
    uv_timer_t tick; /* so that no turn takes for ever */
    struct pool *pool;
    struct pool_options options;
    struct coney_error error; /* of pool_new() */
    struct policy policy;
    struct string_list plugins;
    char *plugin;
    unsigned descriptors; /* before the pool */
    struct report reports[JOBS_MAX];
    unsigned next; /* report */
    unsigned outcomes;
    unsigned warnings;
    char last_warning[600];
    char own_lines[4096]; /* what runners said without a job */
    bool closed;
    bool assigning;
    const char *refill; /* a task to start whenever a runner is free; NULL: none */
};

#define wait_until(b, condition)                                  \
    do {                                                          \
        int64_t patience_ends_ms = clock_mono_ms() + PATIENCE_MS; \
        while (!(condition)) {                                    \
            assert_true(clock_mono_ms() < patience_ends_ms);      \
            uv_run(&(b)->loop, UV_RUN_ONCE);                      \
        }                                                         \
    } while (0)

static inline const char *copy_text(char *space, size_t size, const char *text)
{
    if (!text)
        return NULL;
    snprintf(space, size, "%s", text);
    return space;
}

static inline void on_outcome(void *ctx, void *job, const struct outcome *o)
{
    struct bench *b = ctx;
    struct report *r = job;
    assert_false(b->assigning);
    b->outcomes++;
    r->outcomes++;
    r->o = *o;
    r->o.error_type = copy_text(r->type, sizeof(r->type), o->error_type);
    r->o.error_text = copy_text(r->text, sizeof(r->text), o->error_text);
    snprintf(r->value, sizeof(r->value), "%.*s", (int)o->value.len,
            (const char *)o->value.data);
    assert_true(o->stderr_tail.len < sizeof(r->tail));
    snprintf(r->tail, sizeof(r->tail), "%.*s", (int)o->stderr_tail.len,
            (const char *)o->stderr_tail.data);
}

/* Give the pool a job whose body is @body. */
static inline struct report *assign_body(
        struct bench *b, const char *task, const char *body)
{
    struct coney_error err;
    assert_true(b->next < JOBS_MAX);
    struct report *r = &b->reports[b->next++];
    struct assignment a = {.id = "7f3a",
            .task = task,
            .queue = "coney.default",
            .body = {body, strlen(body)},
            .policy = &b->policy,
            .soft_ms = b->policy.soft_time_limit_ms,
            .hard_ms = b->policy.time_limit_ms,
            .job = r};
    b->assigning = true;
    assert_int_equal(pool_assign(b->pool, &a, &err), CONEY_OK);
    b->assigning = false;
    r->assigned = true;
    return r;
}

static inline struct report *assign(struct bench *b, const char *task)
{
    return assign_body(b, task, "[[2, 3], {}, {}]");
}

static inline void on_free(void *ctx)
{
    struct bench *b = ctx;
    assert_true(pool_free_count(b->pool) > 0);
    while (b->refill && pool_free_count(b->pool) > 0 && b->next < JOBS_MAX)
        assign(b, b->refill);
}

static inline void on_log(void *ctx, void *job, enum log_level level, const char *text)
{
    struct bench *b = ctx;
    struct report *r = job;
    if (r) {
        r->lines++;
        snprintf(r->last_line, sizeof(r->last_line), "%s", text);
    } else if (level <= LOG_LEVEL_WARNING) {
        b->warnings++;
        snprintf(b->last_warning, sizeof(b->last_warning), "%s", text);
    } else {
        size_t len = strlen(b->own_lines);
        snprintf(b->own_lines + len, sizeof(b->own_lines) - len, "%s\n", text);
    }
}

static inline void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static inline void on_done(void *ctx)
{
    *(bool *)ctx = true;
}

static inline unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static inline unsigned count_children(void)
{
    pid_t *pids = NULL;
    size_t count = 0;
    assert_int_equal(descendants_list(&pids, &count, NULL), CONEY_OK);
    free(pids);
    return (unsigned)count;
}

static inline enum coney_rc try_pool(struct bench *b, unsigned size)
{
    b->options.size = size;
    b->options.plugins = &b->plugins;
    if (!b->options.runner_path)
        b->options.runner_path = "/proc/self/exe";
    b->options.node = "coney@test";
    b->options.callbacks = (struct pool_callbacks){
            .on_outcome = on_outcome, .on_free = on_free, .on_log = on_log, .ctx = b};
    return pool_new(&b->loop, &b->options, &b->pool, &b->error);
}

static inline void make_pool(struct bench *b, unsigned size)
{
    assert_int_equal(try_pool(b, size), CONEY_OK);
}

/* Loop and defaults; the test changes what it likes before make_pool(). */
static inline struct bench *begin(char *plugin)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->plugin = plugin;
    b->plugins = (struct string_list){&b->plugin, 1};
    b->policy = (struct policy){.soft_time_limit_ms = CONFIG_NONE,
            .time_limit_ms = CONFIG_NONE,
            .max_memory = CONFIG_NONE};
    b->options.kill_after_soft_ms = CONFIG_NONE;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    uv_timer_init(&b->loop, &b->tick);
    uv_timer_start(&b->tick, on_tick, 0, 20);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    b->descriptors = count_descriptors();
    return b;
}

static inline struct bench *begin_working(unsigned size)
{
    static char work_plugin[] = "work";
    struct bench *b = begin(work_plugin);
    make_pool(b, size);
    wait_until(b, pool_free_count(b->pool) == size);
    return b;
}

/* Whatever happened: one outcome for each job, no process, no descriptor, no handle. */
static inline void end(struct bench *b)
{
    b->refill = NULL;
    if (b->pool) {
        pool_kill(b->pool);
        pool_close(b->pool, on_done, &b->closed);
        wait_until(b, b->closed);
    }
    for (unsigned i = 0; i < b->next; i++)
        assert_int_equal(b->reports[i].outcomes, b->reports[i].assigned);
    assert_int_equal(count_children(), 0);
    assert_int_equal(count_descriptors(), b->descriptors);
    uv_close((uv_handle_t *)&b->tick, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    free(b);
}

/* Run one job to its end. */
static inline struct report *run(struct bench *b, const char *task)
{
    wait_until(b, pool_free_count(b->pool) > 0);
    struct report *r = assign(b, task);
    wait_until(b, r->outcomes > 0);
    return r;
}

#endif /* CONEY_TESTS_POOL_BENCH_H */
