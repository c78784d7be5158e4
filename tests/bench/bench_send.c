/* SPDX-License-Identifier: MIT */
/*
 * bench_send.c - a sender with libconey, as fast as it can be or at fixed times.
 *
 *     bench_send CONFIG QUEUE TASK COUNT RATE [ARGUMENTS | @FILE | #SIZE]
 *
 * RATE is a second, 0: as fast as possible. ARGUMENTS is a JSON array; with @FILE each
 * message has the monotonic time in nanoseconds at which it is sent, and FILE; with #SIZE
 * it is a string of so many bytes. The n-th message is due n / RATE seconds after the
 * first, whatever happened to those before it. Prints, as JSON, how long it took until
 * the last was confirmed, and how late the latest was sent.
 */
#include <coney/client.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NS = 1000000000, FLUSH_MS = 600000 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
    const struct timespec t = {.tv_sec = ns / NS, .tv_nsec = ns % NS};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

static int fail(const char *what, const struct coney_error *err)
{
    fprintf(stderr, "bench_send: %s: %s\n", what, err->text);
    return 1;
}

static json_t *long_text(size_t size)
{
    char *text = malloc(size + 1);
    json_t *args = NULL;
    if (text) {
        memset(text, 'x', size);
        args = json_pack("[s%]", text, size);
    }
    free(text);
    return args;
}

static char *arguments(const char *given)
{
    json_t *args = given[0] == '@' ? json_pack("[I, s]", (json_int_t)now_ns(), given + 1)
                   : given[0] == '#' ? long_text(strtoul(given + 1, NULL, 10))
                                     : json_loads(given, 0, NULL);
    char *text = args ? json_dumps(args, JSON_COMPACT) : NULL;
    json_decref(args);
    return text;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: bench_send CONFIG QUEUE TASK COUNT RATE [ARGUMENTS]\n");
        return 64;
    }
    const long count = strtol(argv[4], NULL, 10);
    const double rate = strtod(argv[5], NULL);
    struct coney_client_options options;
    struct coney_client *client;
    struct coney_error err;
    int64_t latest = 0;

    coney_client_options_init(&options);
    options.config_file = argv[1];
    if (coney_client_new(&options, &client, &err) != CONEY_OK)
        return fail("client", &err);
    int64_t start = now_ns();
    for (long i = 0; i < count; i++) {
        struct coney_message m;
        int64_t due = rate > 0 ? start + (int64_t)((double)i * NS / rate) : start;
        if (rate > 0) {
            sleep_until(due);
            int64_t late = now_ns() - due;
            latest = late > latest ? late : latest;
        }
        char *args = arguments(argc > 6 ? argv[6] : "[]");
        coney_message_init(&m, argv[3]);
        m.queue = argv[2];
        m.args = args;
        enum coney_rc rc = coney_send_async(client, &m, NULL, &err);
        free(args);
        if (rc != CONEY_OK)
            return fail("send", &err);
    }
    if (coney_flush(client, FLUSH_MS, &err) != CONEY_OK)
        return fail("flush", &err);
    printf("{\"sent\": %ld, \"seconds\": %.6f, \"latest_ms\": %.3f}\n", count,
            (double)(now_ns() - start) / NS, (double)latest / 1e6);
    coney_client_free(client);
    return 0;
}
