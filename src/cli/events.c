/* SPDX-License-Identifier: MIT */
/*
 * events.c - `coney events`: what workers and tasks do, as it happens, Coney's and
 * Celery's alike.
 *
 * The queue is exclusive and gone with the connection. What nobody reads within seconds
 * the broker drops, so that a stopped terminal holds nothing up.
 */
#include "base/clock.h"
#include "base/json.h"
#include "cli/asking.h"
#include "cli/cli.h"
#include "cli/event_line.h"
#include "message/remote.h"
#include "message/task.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define EVENT_EXCHANGE "celeryev"

enum { QUEUE_EXPIRES_MS = 60000, QUEUE_TTL_MS = 5000, OUTPUT_MAX = 64 * 1024 * 1024 };
enum { COOKIE_CONSUMING = 1 };
enum { OPTION_JSON = 256, OPTION_ALL, OPTION_ENABLE };

struct watch {
    struct connection connection;
    struct event_lines lines;
    struct buffer output;
    bool as_json;
    bool with_heartbeats;
    bool enables; /* tells workers to send events first */
    unsigned long unreadable;
};

static volatile sig_atomic_t is_told_to_stop;

static void on_signal(int number)
{
    (void)number;
    is_told_to_stop = 1;
}

static int print_help(void)
{
    printf("usage: coney events [OPTION...]\n\n"
           "Show what workers and tasks do, a line each, until ctrl-C. Workers of Celery "
           "tell\nabout tasks only when started with -E, or told to.\n\n"
           "  --enable           tell all workers to send events about tasks\n"
           "  --heartbeats       show the heartbeats of workers as well\n"
           "  --json             every event as it came, a line each\n" CONNECTION_HELP
           "\nExit codes: 0 told to stop, 1 failed, %d wrong usage, %d wrong "
           "configuration.\n",
            CLI_USAGE, CLI_CONFIG);
    return CLI_OK;
}

/* --- the queue ---------------------------------------------------------------------- */

static enum coney_rc declare(struct watch *w, const char *queue)
{
    struct connection *c = &w->connection;
    struct session *s = wire_session(c->wire);
    struct amqp_channel ch = wire_channel(c->wire);
    struct table arguments = {.count = 0};
    const struct exchange_declare events = {
            .exchange = EVENT_EXCHANGE, .type = "topic", .durable = true};
    const struct queue_declare inbox = {.queue = queue,
            .exclusive = true,
            .auto_delete = true,
            .arguments = &arguments};
    const struct binding binding = {.to = queue, .from = EVENT_EXCHANGE, .key = "#"};
    const struct consume consume = {.queue = queue, .consumer_tag = "", .no_ack = true};

    enum coney_rc rc =
            table_set_integer(&arguments, c->arena, "x-expires", QUEUE_EXPIRES_MS);
    if (rc == CONEY_OK)
        rc = table_set_integer(&arguments, c->arena, "x-message-ttl", QUEUE_TTL_MS);
    if (rc == CONEY_OK)
        rc = session_declare_exchange(s, ch, &events, 0);
    if (rc == CONEY_OK)
        rc = session_declare_queue(s, ch, &inbox, 0);
    if (rc == CONEY_OK)
        rc = session_bind_queue(s, ch, &binding, 0);
    return rc == CONEY_OK ? session_consume(s, ch, &consume, COOKIE_CONSUMING) : rc;
}

static enum coney_rc subscribe(struct watch *w, struct coney_error *err)
{
    char uuid[UUID_TEXT_SIZE];
    char queue[UUID_TEXT_SIZE + sizeof(EVENT_EXCHANGE) + 1];

    rng_uuid(&w->connection.rng, uuid);
    snprintf(queue, sizeof(queue), EVENT_EXCHANGE ".%s", uuid);
    enum coney_rc rc = declare(w, queue);
    return rc == CONEY_OK ? wire_await(w->connection.wire, COOKIE_CONSUMING, err) : rc;
}

static enum coney_rc enable_events(struct watch *w, struct coney_error *err)
{
    struct envelope e;
    const struct remote_request request = {.method = "enable_events"};
    const struct publish p = {
            .exchange = REMOTE_EXCHANGE, .routing_key = "", .envelope = &e};
    const struct exchange_declare requests = {
            .exchange = REMOTE_EXCHANGE, .type = "fanout"};
    struct session *s = wire_session(w->connection.wire);
    struct amqp_channel ch = wire_channel(w->connection.wire);

    enum coney_rc rc = remote_encode(&request, clock_wall_us(), &e, err);
    if (rc != CONEY_OK)
        return rc;
    rc = session_declare_exchange(s, ch, &requests, 0);
    if (rc == CONEY_OK)
        rc = session_publish(s, ch, &p, 0);
    envelope_fini(&e);
    return rc;
}

/* --- what comes --------------------------------------------------------------------- */

static enum coney_rc show_event(struct watch *w, const json_t *event)
{
    if (!event_is_one(event)) {
        w->unreadable++;
        return CONEY_OK;
    }
    if (event_is_heartbeat(event) && !w->with_heartbeats)
        return CONEY_OK;
    if (!w->as_json)
        return event_line(&w->lines, event, clock_wall_us(), &w->output);
    enum coney_rc rc = json_write(event, &w->output);
    return rc == CONEY_OK ? buffer_append(&w->output, "\n", 1) : rc;
}

/* One message: an event, or an array of them. */
static enum coney_rc show_message(struct watch *w, const struct envelope *e)
{
    const struct message_limits limits = message_limits_default();
    const struct json_limits json_limits = message_json_limits(&limits);
    json_t *value = NULL;
    enum coney_rc rc = json_read(e->body, &json_limits, &value, NULL);

    if (rc == CONEY_ENOMEM)
        return rc;
    if (rc != CONEY_OK) {
        w->unreadable++;
        return CONEY_OK;
    }
    if (json_is_array(value))
        for (size_t i = 0; i < json_array_size(value) && rc == CONEY_OK; i++)
            rc = show_event(w, json_array_get(value, i));
    else
        rc = show_event(w, value);
    json_decref(value);
    return rc;
}

static enum coney_rc flush(struct watch *w, struct coney_error *err)
{
    size_t len = buffer_len(&w->output);
    if (len == 0)
        return CONEY_OK;
    bool is_written =
            fwrite(buffer_data(&w->output), 1, len, stdout) == len && fflush(stdout) == 0;
    buffer_clear(&w->output);
    if (is_written)
        return CONEY_OK;
    *err = (struct coney_error){
            .rc = CONEY_EIO, .text = "can't write to standard output"};
    return CONEY_EIO;
}

static enum coney_rc watch(struct watch *w, struct coney_error *err)
{
    struct session_event ev;
    while (!is_told_to_stop) {
        enum coney_rc rc = wire_next(w->connection.wire, CLOCK_NEVER, &ev, err);
        if (rc == CONEY_ETIMEOUT) /* a signal */
            continue;
        if (rc != CONEY_OK)
            return rc;
        bool is_whole = ev.type == SESSION_DELIVERY && ev.delivery.flaw == DELIVERY_WHOLE;
        if (is_whole)
            rc = show_message(w, &ev.delivery.envelope);
        session_event_fini(&ev);
        if (rc == CONEY_OK && is_whole)
            rc = flush(w, err);
        if (rc != CONEY_OK)
            return rc;
    }
    return CONEY_OK;
}

/* --- the verb ----------------------------------------------------------------------- */

/* Blocked but for the waits: none is missed between looking at the flag and waiting. */
static void catch_signals(struct watch *w)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t stops, before;

    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigprocmask(SIG_BLOCK, &stops, &before);
    wire_set_mask(w->connection.wire, &before);
}

static int run(struct watch *w)
{
    struct coney_error err = {.rc = CONEY_ENOMEM, .text = "out of memory"};
    int code = connection_open("events", &w->connection);
    if (code != CLI_OK)
        return code;
    catch_signals(w);
    enum coney_rc rc = event_lines_init(&w->lines);
    if (rc == CONEY_OK)
        rc = subscribe(w, &err);
    if (rc == CONEY_OK && w->enables)
        rc = enable_events(w, &err);
    if (rc == CONEY_OK)
        rc = watch(w, &err);
    event_lines_fini(&w->lines);
    if (w->unreadable > 0)
        fprintf(stderr, "coney events: %lu were no events\n", w->unreadable);
    return rc == CONEY_OK ? CLI_OK : cli_failure("events", &err);
}

int cli_events(int argc, char **argv)
{
    static const struct option known[] = {
            {"json", no_argument, NULL, OPTION_JSON},
            {"heartbeats", no_argument, NULL, OPTION_ALL},
            {"enable", no_argument, NULL, OPTION_ENABLE},
            CONNECTION_OPTIONS,
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    struct watch w = {.as_json = false};
    int found;

    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":c:h", known, NULL)) != -1) {
        if (found == 'h')
            return print_help();
        w.as_json |= found == OPTION_JSON;
        w.with_heartbeats |= found == OPTION_ALL;
        w.enables |= found == OPTION_ENABLE;
        if (found == OPTION_JSON || found == OPTION_ALL || found == OPTION_ENABLE)
            continue;
        int code = connection_option("events", &w.connection, found, optarg);
        if (code < 0)
            return cli_bad_option("events", found, argv);
        if (code != CLI_OK)
            return code;
    }
    if (optind < argc)
        return cli_usage("events", "\"%s\" is one word too many", argv[optind]);
    buffer_init(&w.output, OUTPUT_MAX);
    int code = run(&w);
    connection_close(&w.connection);
    buffer_fini(&w.output);
    return code;
}
