/* SPDX-License-Identifier: MIT */
/*
 * topology_declare.c - what the queue room does, for tests to ask for.
 *
 *     declare CONFIG             declare all objects; prints the ready count of each task
 *                                queue, or why it was refused (exit 1)
 *     route PREFIX SECONDS QUEUE prints exchange and routing key of a delay
 */
#include "base/clock.h"
#include "queue/declarer.h"
#include "queue/names.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 30000 };

static int fail(const struct coney_error *err)
{
    fprintf(stderr, "%s: %s\n", coney_rc_name(err->rc), err->text);
    return 1;
}

static struct session *connect_as_configured(const struct config *c, struct rng *rng)
{
    struct session *s = NULL;
    struct coney_error err;
    struct session_options options = {.mode = SESSION_ONCE,
            .urls = (const char *const *)c->broker.urls.items,
            .url_count = c->broker.urls.count,
            .user = c->broker.user,
            .password = c->broker.password,
            .connection_name = "topology_declare"};
    options.tls.ca_file = c->broker.tls.ca;
    if (session_new(&options, rng, &s, &err) != CONEY_OK)
        exit(fail(&err));
    return s;
}

/* One poll and one step; false when the connection is over. */
static bool turn(struct session *s, struct declarer *d)
{
    struct session_event ev;
    bool is_over = false;
    struct pollfd fd = {.fd = session_fd(s), .events = session_wants(s)};
    int64_t left_ms = session_deadline_ms(s) - clock_mono_ms();
    poll(&fd, 1, left_ms < 0 ? 0 : left_ms > 100 ? 100 : (int)left_ms);
    session_step(s, fd.revents, clock_mono_ms());
    while (session_next_event(s, &ev)) {
        if (!declarer_handle(d, s, &ev) && ev.type == SESSION_DOWN) {
            is_over = true;
            fail(&ev.error);
        }
        if (ev.type == SESSION_UP && declarer_start(d, s) != CONEY_OK)
            exit(fail(declarer_error(d)));
        session_event_fini(&ev);
    }
    return !is_over;
}

static int declare(const char *path)
{
    struct config *c = NULL;
    struct mistakes mistakes = {.count = 0};
    struct topology *t = NULL;
    struct coney_error err = {.rc = CONEY_OK};
    struct rng rng;
    rng_seed_random(&rng);
    if (config_load(path, &c, &mistakes, &err) != CONEY_OK ||
            topology_new(c, TOPOLOGY_TASKS | TOPOLOGY_TOKEN, &t, &err) != CONEY_OK)
        return fail(&err);

    struct session *s = connect_as_configured(c, &rng);
    struct declarer *d = declarer_new(t);
    int64_t end_ms = clock_mono_ms() + TIMEOUT_MS;
    while (declarer_state(d) != DECLARER_DONE && declarer_state(d) != DECLARER_FAILED &&
            clock_mono_ms() < end_ms && turn(s, d))
        ;
    int status = declarer_state(d) == DECLARER_DONE ? 0 : 1;
    if (declarer_state(d) == DECLARER_FAILED)
        fail(declarer_error(d));
    for (size_t i = 0; status == 0 && i < c->queue_count; i++)
        printf("%s %" PRId64 "\n", c->queues[i].name,
                declarer_ready_count(d, c->queues[i].name));

    declarer_free(d);
    session_free(s);
    topology_free(t);
    config_free(c);
    mistakes_fini(&mistakes);
    return status;
}

static int print_route(const char *prefix, const char *seconds, const char *queue)
{
    struct delay_route r;
    if (delay_route(prefix, strtoll(seconds, NULL, 10), queue, &r) != CONEY_OK)
        return 1;
    printf("%s\n%s\n", r.exchange, r.routing_key);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "declare") == 0)
        return declare(argv[2]);
    if (argc == 5 && strcmp(argv[1], "route") == 0)
        return print_route(argv[2], argv[3], argv[4]);
    return 2;
}
