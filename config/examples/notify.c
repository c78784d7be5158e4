/* SPDX-License-Identifier: MIT */
/*
 * notify.c - the example application's native tasks: one of each kind of fate.
 *
 * There is no gateway behind it. What a task does is to write down that it was here: a
 * line of the file `ledger`, in the directory that the worker was started in, "<task>
 * <id> <retries> <event> <microseconds>", one write(2) in append mode. scripts/quickstart
 * judges by it.
 *
 *     cc -std=c11 -shared -fPIC $(pkg-config --cflags coney jansson) -o notify.so
 * notify.c \
 *         $(pkg-config --libs jansson)
 */
#define _POSIX_C_SOURCE 200809L
#include <coney/task.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int note(const struct coney_task *task, const char *event)
{
    char line[1024];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int len = snprintf(line, sizeof(line), "%s %s %lld %s %lld%06ld\n",
            coney_task_name(task), coney_task_id(task),
            (long long)coney_task_retries(task), event, (long long)now.tv_sec,
            now.tv_nsec / 1000);
    int fd = open("ledger", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    ssize_t written = write(fd, line, (size_t)len);
    close(fd);
    return written == len ? 0 : -1;
}

/* A result, unless there is no trace of it. */
static enum coney_outcome done(struct coney_task *task, json_t *result_take)
{
    if (note(task, "done") == 0)
        return coney_succeed(task, result_take);
    json_decref(result_take);
    return coney_reject(task, "OSError", "the ledger can't be written");
}

/* send_sms(number, text): the gateway is busy twice, then takes it. */
static enum coney_outcome send_sms(struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *number, *text;
    (void)kwargs;
    if (json_unpack(args, "[s, s]", &number, &text) != 0)
        return coney_reject(task, "TypeError", "send_sms wants a number and a text");
    (void)note(task, "started");
    if (coney_task_retries(task) < 2)
        return coney_retry(task, CONEY_POLICY_DELAY, "GatewayBusy", "503 for %s", number);
    return done(task, json_pack("{s:s, s:i}", "to", number, "parts",
                              (int)(strlen(text) / 160 + 1)));
}

/* send_email(to, subject): as it should be. */
static enum coney_outcome send_email(
        struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *to, *subject;
    (void)kwargs;
    if (json_unpack(args, "[s, s]", &to, &subject) != 0)
        return coney_reject(
                task, "TypeError", "send_email wants an address and a subject");
    (void)note(task, "started");
    return done(task, json_pack("{s:s, s:s}", "to", to, "subject", subject));
}

/* charge(order): fails whenever it is tried. */
static enum coney_outcome charge(struct coney_task *task, json_t *args, json_t *kwargs)
{
    json_int_t order;
    (void)kwargs;
    if (json_unpack(args, "[I]", &order) != 0)
        return coney_reject(task, "TypeError", "charge wants the number of an order");
    (void)note(task, "started");
    return coney_fail(
            task, "CardDeclined", "order %lld is not covered", (long long)order);
}

/* resize(picture): a bug as C has them. It takes its runner down, and nothing else. */
static enum coney_outcome resize(struct coney_task *task, json_t *args, json_t *kwargs)
{
    const char *picture;
    volatile char *volatile row = NULL;
    (void)kwargs;
    if (json_unpack(args, "[s]", &picture) != 0)
        return coney_reject(task, "TypeError", "resize wants the name of a picture");
    (void)note(task, "started");
    fprintf(stderr, "resize: %s: row 7 has no pixels\n", picture);
    row[0] = 0;
    return CONEY_SUCCESS;
}

static const struct coney_task_def tasks[] = {
        {"notify.send_sms", send_sms, 0, 0, 0,
                "a short message; the gateway is busy twice"},
        {"notify.send_email", send_email, 0, 0, 0, "an e-mail"},
        {"billing.charge", charge, 0, 0, 0, "always declined"},
        {"images.resize", resize, 0, 0, 0, "crashes"},
};

CONEY_PLUGIN("notify", tasks, NULL, NULL);
