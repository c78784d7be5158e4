/* SPDX-License-Identifier: MIT */
/*
 * send_options.c - the command line of `coney send`.
 *
 * Arguments of a task are JSON, and are checked one by one before they become an array:
 * what the worker gets is what was written, or nothing is sent.
 */
#include "base/duration.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/send.h"
#include "config/texts.h"
#include "message/task.h"

#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_code {
    OPTION_ARGS = 256,
    OPTION_KWARGS,
    OPTION_QUEUE,
    OPTION_COUNTDOWN,
    OPTION_ETA,
    OPTION_EXPIRES,
    OPTION_PRIORITY,
    OPTION_HEADER,
    OPTION_ID,
    OPTION_TIME_LIMIT,
    OPTION_SOFT_TIME_LIMIT,
    OPTION_WAIT,
    OPTION_TIMEOUT,
    OPTION_SEND_TIMEOUT,
    OPTION_COUNT,
    OPTION_URL,
    OPTION_CA
};

/* The command line while it is read. */
struct reader {
    struct send_options *o;
    struct arena *a;
    struct buffer args; /* the arguments given one by one, as "[1, 2" */
    bool from_stdin;
};

static int print_help(void)
{
    printf("usage: coney send TASK [ARGUMENT...] [OPTION...]\n\n"
           "Send a task and print its id. Each ARGUMENT is JSON: 5, true, '\"text\"', "
           "'{\"a\": 1}';\na single - reads all of them from standard input, as a JSON "
           "array. Where the task\ngoes is in the configuration, unless --queue says so. "
           "D is a duration such as 90s\nor 1h30m, T a time such as "
           "2026-11-20T13:00:00+00:00.\n\n"
           "  --args JSON         all arguments as an array\n"
           "  --kwargs JSON       keyword arguments, an object\n"
           "  --queue NAME        a queue, or a class such as high\n"
           "  --countdown D       run it that much later\n"
           "  --eta T             run it at that time\n"
           "  --expires D|T       not to be started later than that\n"
           "  --priority N        0 to 255, for queues that have priorities\n"
           "  --header NAME=TEXT  a header of your own; may be repeated\n"
           "  --id ID             instead of a new UUID\n"
           "  --time-limit D, --soft-time-limit D\n"
           "                      of one attempt, instead of the task's own\n");
    printf("  --wait              wait for the result and print it, as JSON, instead of "
           "the id\n"
           "  --timeout D         how long to wait for the result (default 60s)\n"
           "  --send-timeout D    how long sending may take (default 30s)\n"
           "  --count N           send it N times, for load\n"
           "  --url URL           amqps://user@host/vhost instead of the "
           "configuration's; the\n"
           "                      password from $CONEY_BROKER_PASSWORD or the "
           "configuration\n"
           "  --ca FILE           certificate authority of --url\n"
           "  -c, --config FILE   see coney check --help\n\n"
           "Exit codes: 0 sent (with --wait: succeeded), 1 not sent, or failed, 2 no "
           "result in\ntime, %d wrong usage, %d wrong configuration.\n",
            CLI_USAGE, CLI_CONFIG);
    return CLI_OK;
}

/* --- values ----------------------------------------------------------------------- */

static int read_span(const char *option, const char *text, int64_t *ms)
{
    struct coney_error err;
    if (duration_parse(text, ms, &err) != CONEY_OK)
        return cli_usage("send", "--%s: %s", option, err.text);
    if (*ms == 0)
        return cli_usage("send", "--%s: it must be longer than nothing", option);
    return CLI_OK;
}

static int read_timeout(const char *option, const char *text, unsigned *ms)
{
    int64_t span;
    int code = read_span(option, text, &span);
    if (code == CLI_OK)
        *ms = span > INT_MAX ? INT_MAX : (unsigned)span;
    return code;
}

static int read_number(const char *option, const char *text, long most, unsigned *value)
{
    char *end = NULL;
    long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 0 || n > most)
        return cli_usage(
                "send", "--%s: \"%s\" is no number from 0 to %ld", option, text, most);
    *value = (unsigned)n;
    return CLI_OK;
}

static int read_eta(struct coney_message *m, const char *text)
{
    if (time_parse(text, &m->eta_us) != CONEY_OK || m->eta_us == 0)
        return cli_usage(
                "send", "--eta: \"%s\" is no time like 2026-11-20T13:00:00+00:00", text);
    return CLI_OK;
}

static int read_expires(struct coney_message *m, const char *text)
{
    if (time_parse(text, &m->expires_at_us) == CONEY_OK && m->expires_at_us != 0)
        return CLI_OK;
    m->expires_at_us = 0;
    return read_span("expires", text, &m->expires_ms);
}

static int read_header(struct reader *r, const char *text)
{
    struct coney_message *m = &r->o->message;
    const char *sign = strchr(text, '=');
    if (!sign || sign == text)
        return cli_usage("send", "--header: \"%s\" is not NAME=TEXT", text);
    if (m->header_count == SEND_HEADERS_MAX)
        return cli_usage("send", "--header: %d are enough", SEND_HEADERS_MAX);
    struct coney_header *h = &r->o->headers[m->header_count];
    h->name = arena_printf(r->a, "%.*s", (int)(sign - text), text);
    h->value = sign + 1;
    if (!h->name)
        return cli_failure("send", &(struct coney_error){.text = "out of memory"});
    m->headers = r->o->headers;
    m->header_count++;
    return CLI_OK;
}

/* The list of processes is everybody's to read, and so is the shell's history. */
static int read_url(struct send_options *o, const char *text)
{
    struct coney_error err;
    if (url_has_secret(text))
        return cli_usage("send",
                "--url: everybody can read a password on the command line; leave it out "
                "and set $CONEY_BROKER_PASSWORD or broker.password_file");
    if (text_check_url(text, &err) != CONEY_OK)
        return cli_usage("send", "--url: %s", err.text);
    o->client.url = text;
    return CLI_OK;
}

/* --- arguments of the task -------------------------------------------------------- */

static int check_json(const char *what, struct bytes text, struct coney_error *err)
{
    struct message_limits limits = message_limits_default();
    struct json_limits json_limits = message_json_limits(&limits);
    json_t *value = NULL;
    if (json_read(text, &json_limits, &value, err) != CONEY_OK)
        return cli_usage("send", "%s: %s; a text is written '\"text\"'", what, err->text);
    json_decref(value);
    return CLI_OK;
}

static int add_argument(struct reader *r, const char *text)
{
    char what[64];
    struct coney_error err;
    snprintf(what, sizeof(what), "argument \"%.40s\"", text);
    if (strcmp(text, "-") == 0) {
        r->from_stdin = true;
        return CLI_OK;
    }
    int code = check_json(what, (struct bytes){text, strlen(text)}, &err);
    if (code != CLI_OK)
        return code;
    const char *before = buffer_len(&r->args) == 0 ? "[" : ", ";
    if (buffer_printf(&r->args, "%s%s", before, text) != CONEY_OK)
        return cli_failure(
                "send", &(struct coney_error){.text = "the arguments are too large"});
    return CLI_OK;
}

static int read_stdin(struct reader *r)
{
    uint8_t *space;
    for (;;) {
        size_t n = 0;
        enum coney_rc rc = buffer_reserve(&r->args, 4096, &space);
        if (rc == CONEY_OK)
            n = fread(space, 1, 4096, stdin);
        if (rc != CONEY_OK || ferror(stdin))
            return cli_failure("send",
                    &(struct coney_error){
                            .text = "standard input can't be read, or is too large"});
        buffer_commit(&r->args, n);
        if (n == 0)
            break;
    }
    struct coney_error err;
    struct bytes text = {buffer_data(&r->args), buffer_len(&r->args)};
    return check_json("standard input", text, &err);
}

/* Arguments come in one of three ways: as words, by --args, or by standard input. */
static int finish_arguments(struct reader *r)
{
    struct coney_message *m = &r->o->message;
    bool has_words = buffer_len(&r->args) > 0;
    if ((m->args != NULL) + has_words + r->from_stdin > 1)
        return cli_usage("send", "give the arguments as words, by --args or by -, not "
                                 "in two ways");
    if (has_words && buffer_append(&r->args, "]", 1) != CONEY_OK)
        return cli_failure("send", &(struct coney_error){.text = "out of memory"});
    if (r->from_stdin) {
        int code = read_stdin(r);
        if (code != CLI_OK)
            return code;
    }
    if (buffer_len(&r->args) > 0) {
        struct bytes text = {buffer_data(&r->args), buffer_len(&r->args)};
        m->args = arena_copy(r->a, text).data;
        if (!m->args)
            return cli_failure("send", &(struct coney_error){.text = "out of memory"});
    }
    return CLI_OK;
}

/* --- the line --------------------------------------------------------------------- */

static int read_message_option(struct reader *r, int code, const char *value)
{
    struct coney_message *m = &r->o->message;
    unsigned number = 0;
    int result;
    switch (code) {
    case OPTION_ARGS:
        m->args = value;
        return CLI_OK;
    case OPTION_KWARGS:
        m->kwargs = value;
        return CLI_OK;
    case OPTION_QUEUE:
        m->queue = value;
        return CLI_OK;
    case OPTION_ID:
        m->id = value;
        return CLI_OK;
    case OPTION_COUNTDOWN:
        return read_span("countdown", value, &m->countdown_ms);
    case OPTION_ETA:
        return read_eta(m, value);
    case OPTION_EXPIRES:
        return read_expires(m, value);
    case OPTION_TIME_LIMIT:
        return read_span("time-limit", value, &m->time_limit_ms);
    case OPTION_SOFT_TIME_LIMIT:
        return read_span("soft-time-limit", value, &m->soft_time_limit_ms);
    case OPTION_HEADER:
        return read_header(r, value);
    case OPTION_PRIORITY:
        result = read_number("priority", value, 255, &number);
        m->priority = (int)number;
        return result;
    default:
        return -1;
    }
}

static int read_other_option(struct reader *r, int code, const char *value)
{
    struct send_options *o = r->o;
    switch (code) {
    case 'c':
        o->client.config_file = value;
        return CLI_OK;
    case OPTION_WAIT:
        o->is_waiting = true;
        o->message.reply = CONEY_REPLY_WANTED;
        return CLI_OK;
    case OPTION_TIMEOUT:
        return read_timeout("timeout", value, &o->timeout_ms);
    case OPTION_SEND_TIMEOUT:
        return read_timeout("send-timeout", value, &o->client.timeout_ms);
    case OPTION_COUNT:
        return read_number("count", value, SEND_COUNT_MAX, &o->count);
    case OPTION_URL:
        return read_url(o, value);
    case OPTION_CA:
        o->client.ca_file = value;
        return CLI_OK;
    default:
        return -1;
    }
}

static int read_line(struct reader *r, int argc, char **argv, bool *go)
{
    static const struct option known[] = {
            {"args", required_argument, NULL, OPTION_ARGS},
            {"kwargs", required_argument, NULL, OPTION_KWARGS},
            {"queue", required_argument, NULL, OPTION_QUEUE},
            {"countdown", required_argument, NULL, OPTION_COUNTDOWN},
            {"eta", required_argument, NULL, OPTION_ETA},
            {"expires", required_argument, NULL, OPTION_EXPIRES},
            {"priority", required_argument, NULL, OPTION_PRIORITY},
            {"header", required_argument, NULL, OPTION_HEADER},
            {"id", required_argument, NULL, OPTION_ID},
            {"time-limit", required_argument, NULL, OPTION_TIME_LIMIT},
            {"soft-time-limit", required_argument, NULL, OPTION_SOFT_TIME_LIMIT},
            {"wait", no_argument, NULL, OPTION_WAIT},
            {"timeout", required_argument, NULL, OPTION_TIMEOUT},
            {"send-timeout", required_argument, NULL, OPTION_SEND_TIMEOUT},
            {"count", required_argument, NULL, OPTION_COUNT},
            {"url", required_argument, NULL, OPTION_URL},
            {"ca", required_argument, NULL, OPTION_CA},
            {"config", required_argument, NULL, 'c'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int found;
    *go = false;
    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":c:h", known, NULL)) != -1) {
        if (found == 'h')
            return print_help();
        if (found == '?' || found == ':')
            return cli_bad_option("send", found, argv);
        int code = read_message_option(r, found, optarg);
        if (code < 0)
            code = read_other_option(r, found, optarg);
        if (code != CLI_OK)
            return code;
    }
    if (optind == argc)
        return cli_usage("send", "which task?");
    r->o->message.task = argv[optind++];
    for (; optind < argc; optind++) {
        int code = add_argument(r, argv[optind]);
        if (code != CLI_OK)
            return code;
    }
    *go = true;
    return finish_arguments(r);
}

/* A negative number is an argument, not an option: a blank before it is no part of JSON,
 * and keeps getopt_long() off. */
static bool protect_numbers(int argc, char **argv, struct arena *a)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || !isdigit((unsigned char)argv[i][1]))
            continue;
        argv[i] = arena_printf(a, " %s", argv[i]);
        if (!argv[i])
            return false;
    }
    return true;
}

static int check_together(const struct send_options *o)
{
    const struct coney_message *m = &o->message;
    if (m->countdown_ms != 0 && m->eta_us != 0)
        return cli_usage("send", "--countdown or --eta, not both");
    if (o->count == 0)
        return cli_usage("send", "--count: nothing to do");
    if (o->count > 1 && (o->is_waiting || m->id))
        return cli_usage("send", "--count goes neither with --wait nor with --id");
    return CLI_OK;
}

int send_read_options(
        int argc, char **argv, struct arena *a, struct send_options *o, bool *go)
{
    struct reader r = {.o = o, .a = a};
    *o = (struct send_options){.timeout_ms = 60000, .count = 1};
    coney_message_init(&o->message, NULL);
    coney_client_options_init(&o->client);
    o->client.name = "coney send";
    buffer_init(&r.args, message_limits_default().body_max);
    *go = false;
    if (!protect_numbers(argc, argv, a))
        return cli_failure("send", &(struct coney_error){.text = "out of memory"});

    int code = read_line(&r, argc, argv, go);
    if (*go && code == CLI_OK)
        code = check_together(o);
    *go = *go && code == CLI_OK;
    buffer_fini(&r.args);
    return code;
}
