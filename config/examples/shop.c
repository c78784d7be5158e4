/* SPDX-License-Identifier: MIT */
/*
 * shop.c - the example application's producer: a program that sends work with libconey.
 *
 * In each round, every 250 ms, it sends what is due of each task, without waiting for the
 * broker's confirms in between, and prints "<task> <id> <microseconds>" for each. It
 * reads the same configuration as the workers ($CONEY_CONFIG), and so knows where a task
 * goes. Exit status 0: all are confirmed.
 *
 *     cc -std=c11 -o shop shop.c $(pkg-config --cflags --libs coney)
 */
#define _POSIX_C_SOURCE 200809L
#include <coney/coney.h>

#include <stdio.h>
#include <time.h>

enum { ROUNDS = 40, ROUND_MS = 250, CONFIRM_MS = 30 * 1000 };

/* Sent in every so many rounds, so often. */
struct order {
    const char *task;
    const char *before; /* of its arguments, the number of the round */
    const char *after;
    int every;
    int times;
};

static const struct order orders[] = {
        {"notify.send_email", "[\"ama@example.org\", \"your order ", "\"]", 1, 3},
        {"notify.send_sms", "[\"+233201234567\", \"your order ", "\"]", 1, 2},
        {"billing.charge", "[", "]", 2, 1},
        {"reports.daily", "[", "]", 2, 1},
        {"images.resize", "[\"cat-", ".png\"]", 5, 1},
        {"video.encode", "[\"film-", "\"]", 5, 1},
};
enum { ORDER_COUNT = sizeof(orders) / sizeof(orders[0]) };

static void on_outcome(
        void *user, const char *id, enum coney_rc rc, const struct coney_error *err)
{
    (void)user;
    if (rc != CONEY_OK)
        fprintf(stderr, "shop: %s: %s\n", id, err->text);
}

static enum coney_rc send_order(struct coney_client *client, const struct order *order,
        int round, struct coney_error *err)
{
    struct coney_message message;
    struct timespec now;
    char args[128];
    char id[CONEY_ID_SIZE];

    snprintf(args, sizeof(args), "%s%d%s", order->before, round, order->after);
    coney_message_init(&message, order->task);
    message.args = args;
    clock_gettime(CLOCK_REALTIME, &now);
    enum coney_rc rc = coney_send_async(client, &message, id, err);
    if (rc == CONEY_OK)
        printf("%s %s %lld%06ld\n", order->task, id, (long long)now.tv_sec,
                now.tv_nsec / 1000);
    return rc;
}

static enum coney_rc send_round(
        struct coney_client *client, int round, struct coney_error *err)
{
    for (int i = 0; i < ORDER_COUNT; i++)
        for (int n = 0; round % orders[i].every == 0 && n < orders[i].times; n++) {
            enum coney_rc rc = send_order(client, &orders[i], round, err);
            if (rc != CONEY_OK)
                return rc;
        }
    fflush(stdout);
    return CONEY_OK;
}

int main(void)
{
    const struct timespec pause = {.tv_nsec = ROUND_MS * 1000000L};
    struct coney_client_options options;
    struct coney_client *client = NULL;
    struct coney_error err;

    coney_client_options_init(&options);
    options.name = "shop";
    options.on_outcome = on_outcome;
    enum coney_rc rc = coney_client_new(&options, &client, &err);
    for (int round = 1; rc == CONEY_OK && round <= ROUNDS; round++) {
        rc = send_round(client, round, &err);
        nanosleep(&pause, NULL);
    }
    if (rc == CONEY_OK)
        rc = coney_flush(client, CONFIRM_MS, &err);
    if (rc != CONEY_OK)
        fprintf(stderr, "shop: %s\n", err.text);
    coney_client_free(client);
    return rc == CONEY_OK ? 0 : 1;
}
