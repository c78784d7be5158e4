/* SPDX-License-Identifier: MIT */
/*
 * ledger.c - tasks that write down what they did, in a file that only ever grows.
 *
 * A line is one write(2) in append mode: "<label> <retries> <event> <microseconds>", so
 * that a test can tell from the tasks' own record what ran, how often and when.
 */
#include <coney/task.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int note(const struct coney_task *task, const char *path, const char *label,
        const char *event)
{
    char line[512];
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    int len = snprintf(line, sizeof(line), "%s %lld %s %lld\n", label,
            (long long)coney_task_retries(task), event, (long long)now_us());
    ssize_t written = write(fd, line, (size_t)len);
    close(fd);
    return written == len ? 0 : -1;
}

/* splitmix64: the test computes the same and so knows what every attempt will do. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* [path, seed, n, percent]: attempt r fails when mix(mix(seed + n) + r) % 100 < percent.
 */
static enum coney_outcome work(struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *path;
    json_int_t seed, n, percent;
    char label[32];
    (void)kwargs;

    if (json_unpack(args, "[s, I, I, I]", &path, &seed, &n, &percent) != 0)
        return coney_reject(
                task, "TypeError", "ledger.work wants path, seed, n, percent");
    uint64_t draw = mix(mix((uint64_t)(seed + n)) + (uint64_t)coney_task_retries(task));
    int fails = draw % 100 < (uint64_t)percent;
    snprintf(label, sizeof(label), "%lld", (long long)n);
    if (note(task, path, label, fails ? "failed" : "done") != 0)
        return coney_reject(task, "OSError", "ledger %s can't be written", path);
    if (fails)
        return coney_fail(task, "RandomError", "attempt %lld of %lld was to fail",
                (long long)coney_task_retries(task), (long long)n);
    return coney_succeed(task, json_integer(n));
}

/* [path, label, milliseconds]: note the start, sleep, note the end. */
static enum coney_outcome sleep_task(
        struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *path, *label;
    json_int_t ms;
    (void)kwargs;

    if (json_unpack(args, "[s, s, I]", &path, &label, &ms) != 0)
        return coney_reject(
                task, "TypeError", "ledger.sleep wants path, label, milliseconds");
    if (note(task, path, label, "started") != 0)
        return coney_reject(task, "OSError", "ledger %s can't be written", path);
    struct timespec ts = {
            .tv_sec = (time_t)(ms / 1000), .tv_nsec = (ms % 1000) * 1000000};
    while (nanosleep(&ts, &ts) != 0)
        ;
    if (note(task, path, label, "done") != 0)
        return coney_reject(task, "OSError", "ledger %s can't be written", path);
    return coney_succeed(task, json_string(label));
}

/* [path, label, gate]: note the start, wait for the file @gate, note the end. */
static enum coney_outcome wait_task(struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *path, *label, *gate;
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    (void)kwargs;

    if (json_unpack(args, "[s, s, s]", &path, &label, &gate) != 0)
        return coney_reject(task, "TypeError", "ledger.wait wants path, label, gate");
    if (note(task, path, label, "started") != 0)
        return coney_reject(task, "OSError", "ledger %s can't be written", path);
    while (access(gate, F_OK) != 0)
        nanosleep(&pause, NULL);
    if (note(task, path, label, "done") != 0)
        return coney_reject(task, "OSError", "ledger %s can't be written", path);
    return coney_succeed(task, json_string(label));
}

/* [path, label, times]: ask for a retry until there were so many, by the policy's delay.
 */
static enum coney_outcome again(struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *path, *label;
    json_int_t times;
    (void)kwargs;

    if (json_unpack(args, "[s, s, I]", &path, &label, &times) != 0)
        return coney_reject(task, "TypeError", "ledger.again wants path, label, times");
    if (note(task, path, label, "started") != 0)
        return coney_reject(task, "OSError", "ledger %s can't be written", path);
    if (coney_task_retries(task) < times)
        return coney_retry(task, CONEY_POLICY_DELAY, "NotYet", "so far %lld times",
                (long long)coney_task_retries(task));
    return coney_succeed(task, json_integer(coney_task_retries(task)));
}

static const struct coney_task_def tasks[] = {
        {"ledger.work", work, 0, 0, 0, "fail as a seed foretells"},
        {"ledger.sleep", sleep_task, 0, 0, 0, "note the start and the end of a sleep"},
        {"ledger.wait", wait_task, 0, 0, 0, "note the start and the end of a wait"},
        {"ledger.again", again, 0, 0, 0, "ask for retries"},
};

CONEY_PLUGIN("ledger", tasks, NULL, NULL);
