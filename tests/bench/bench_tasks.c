/* SPDX-License-Identifier: MIT */
/* bench_tasks.c - a plugin whose tasks cost what they say, and nothing else. */
#include <coney/task.h>

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { NS = 1000000000 };

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

static enum coney_outcome noop(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)task;
    (void)args;
    (void)kwargs;
    return CONEY_SUCCESS;
}

/* spin(us): of this thread's processor time. */
static enum coney_outcome spin(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)task;
    (void)kwargs;
    int64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) +
                  json_integer_value(json_array_get(args, 0)) * 1000;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        ;
    return CONEY_SUCCESS;
}

/* sleep(ms) */
static enum coney_outcome sleep_for(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)task;
    (void)kwargs;
    json_int_t ms = json_integer_value(json_array_get(args, 0));
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&left, NULL);
    return CONEY_SUCCESS;
}

/* Fails the first time. */
static enum coney_outcome once_more(struct coney_task *task, json_t *args, json_t *kwargs)
{
    (void)args;
    (void)kwargs;
    if (coney_task_retries(task) == 0)
        return coney_retry(task, CONEY_POLICY_DELAY, "Again", "the first attempt");
    return CONEY_SUCCESS;
}

/* stamp(sent_ns, file): how long ago that was, a line in the file. */
static enum coney_outcome stamp(struct coney_task *task, json_t *args, json_t *kwargs)
{
    static int fd = -1;
    int64_t now = now_ns(CLOCK_MONOTONIC);
    char line[32];
    (void)kwargs;
    if (fd < 0)
        fd = open(json_string_value(json_array_get(args, 1)),
                O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int64_t sent = json_integer_value(json_array_get(args, 0));
    int len = snprintf(line, sizeof(line), "%lld\n", (long long)(now - sent));
    if (write(fd, line, (size_t)len) != len)
        return coney_fail(task, "OSError", "the file of latencies");
    return CONEY_SUCCESS;
}

static const struct coney_task_def tasks[] = {
        {"bench.noop", noop, 0, 0, 0, "nothing"},
        {"bench.spin", spin, 0, 0, 0, "so many microseconds of processor time"},
        {"bench.sleep", sleep_for, 0, 0, 0, "so many milliseconds"},
        {"bench.once_more", once_more, 0, 0, 0, "retried once"},
        {"bench.stamp", stamp, 0, 0, 0, "how long it took to get here"},
};
CONEY_PLUGIN("bench", tasks, NULL, NULL);
