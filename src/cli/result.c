/* SPDX-License-Identifier: MIT */
/* result.c - `coney result`: what became of a task, out of the result store. */
#include "base/duration.h"
#include "cli/cli.h"
#include "queue/result_store.h"
#include <coney/client.h>

#include <getopt.h>
#include <limits.h>
#include <stdio.h>

/* Beside the exit codes that all verbs have. */
enum { RESULT_NOT_YET = 2, TIMEOUT_MS = 30000 };

enum option_code {
    OPTION_WAIT = 256,
    OPTION_TIMEOUT,
    OPTION_TRACEBACK,
    OPTION_JSON,
    OPTION_STATE,
    OPTION_FORGET,
    OPTION_CONFIG
};

/* What to show of it. */
enum shown { SHOW_VALUE, SHOW_STATE, SHOW_JSON };

struct result_options {
    const char *id;
    const char *config_file;
    bool is_waiting;
    bool with_traceback;
    bool is_forgetting;
    enum shown shown;
    unsigned timeout_ms;
};

static int print_help(void)
{
    printf("usage: coney result ID [OPTION...]\n\n"
           "Print what became of the task ID, as the result store of the configuration\n"
           "(results.url) has it: its value as JSON. A failure goes to standard error.\n\n"
           "  --wait        until it is through\n"
           "  --timeout D   that long at most, a duration such as 90s; default 30s\n"
           "  --traceback   with the traceback of a failure\n"
           "  --state       print its state instead: PENDING, STARTED, RETRY, SUCCESS, ...\n"
           "  --json        print all that the store has of it instead\n"
           "  --forget      let the store delete it, after it has been printed\n"
           "  --config FILE the configuration\n\n"
           "Exit codes: 0 it succeeded, 1 it failed or can't be read, 2 it is not through "
           "yet,\n64 wrong usage, 78 wrong configuration. With --state 0 whatever it is.\n");
    return CLI_OK;
}

static int read_timeout(const char *text, struct result_options *o)
{
    struct coney_error err;
    int64_t ms;
    if (duration_parse(text, &ms, &err) != CONEY_OK)
        return cli_usage("result", "--timeout: %s", err.text);
    if (ms > UINT_MAX)
        return cli_usage("result", "--timeout: %s is too long", text);
    o->timeout_ms = (unsigned)ms;
    return CLI_OK;
}

/* An exit code, or -1: go on. */
static int read_option(int found, char **argv, struct result_options *o)
{
    switch (found) {
    case OPTION_WAIT:
        o->is_waiting = true;
        return -1;
    case OPTION_TIMEOUT:
        return read_timeout(optarg, o) == CLI_OK ? -1 : CLI_USAGE;
    case OPTION_TRACEBACK:
        o->with_traceback = true;
        return -1;
    case OPTION_JSON:
        o->shown = SHOW_JSON;
        return -1;
    case OPTION_STATE:
        o->shown = SHOW_STATE;
        return -1;
    case OPTION_FORGET:
        o->is_forgetting = true;
        return -1;
    case OPTION_CONFIG:
        o->config_file = optarg;
        return -1;
    case 'h':
        return print_help();
    default:
        return cli_bad_option("result", found, argv);
    }
}

static int read_options(int argc, char **argv, struct result_options *o)
{
    static const struct option options[] = {
            {"wait", no_argument, NULL, OPTION_WAIT},
            {"timeout", required_argument, NULL, OPTION_TIMEOUT},
            {"traceback", no_argument, NULL, OPTION_TRACEBACK},
            {"json", no_argument, NULL, OPTION_JSON},
            {"state", no_argument, NULL, OPTION_STATE},
            {"forget", no_argument, NULL, OPTION_FORGET},
            {"config", required_argument, NULL, OPTION_CONFIG},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int found;

    *o = (struct result_options){.timeout_ms = TIMEOUT_MS};
    optind = 1;
    while ((found = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        int code = read_option(found, argv, o);
        if (code >= 0)
            return code;
    }
    if (argc - optind != 1)
        return cli_usage("result", "which task? One id is wanted");
    o->id = argv[optind];
    return -1;
}

/* --- showing ------------------------------------------------------------------------ */

static int print_line(const char *text)
{
    if (printf("%s\n", text) < 0 || fflush(stdout) != 0)
        return cli_failure("result",
                &(struct coney_error){.text = "can't write to standard output"});
    return CLI_OK;
}

static void explain(const struct coney_result *r, const struct result_options *o)
{
    bool has_error = r->error_type != NULL;
    fprintf(stderr, "coney result: task %s is %s%s%s%s%s\n", r->id, r->state,
            has_error ? ": " : "", has_error ? r->error_type : "",
            r->error_text ? ": " : "", r->error_text ? r->error_text : "");
    if (o->with_traceback && r->traceback)
        fprintf(stderr, "%s\n", r->traceback);
}

static int code_of(const struct coney_result *r)
{
    if (r->status == CONEY_STATUS_SUCCESS)
        return CLI_OK;
    return r->status == CONEY_STATUS_PENDING ? RESULT_NOT_YET : CLI_FAILURE;
}

static int show(const struct coney_result *r, const struct result_options *o)
{
    int code = CLI_OK;
    if (o->shown == SHOW_STATE)
        return print_line(r->state);
    if (o->shown == SHOW_JSON && r->details)
        code = print_line(r->details);
    else if (r->status == CONEY_STATUS_SUCCESS)
        code = print_line(r->value);
    else
        explain(r, o);
    return code != CLI_OK ? code : code_of(r);
}

static int ask(struct coney_client *client, const struct result_options *o)
{
    struct coney_result *result = NULL;
    struct coney_error err;
    enum coney_rc rc = o->is_waiting
                               ? coney_wait(client, o->id, o->timeout_ms, &result, &err)
                               : coney_result_get(client, o->id, 0, &result, &err);
    if (rc != CONEY_OK) {
        cli_failure("result", &err);
        return rc == CONEY_ETIMEOUT && o->is_waiting ? RESULT_NOT_YET : CLI_FAILURE;
    }
    int code = show(result, o);
    coney_result_free(result);
    if (o->is_forgetting && coney_forget(client, o->id, 0, &err) != CONEY_OK)
        return cli_failure("result", &err);
    return code;
}

int cli_result(int argc, char **argv)
{
    struct result_options o;
    struct coney_client_options options;
    struct coney_client *client = NULL;
    struct config *c = NULL;
    struct coney_error err;

    int code = read_options(argc, argv, &o);
    if (code >= 0)
        return code;
    code = cli_load_config("result", o.config_file, &c);
    if (code != CLI_OK)
        return code;
    bool has_store = result_store_is_used(&c->results);
    config_free(c);
    if (!has_store)
        return cli_failure(
                "result", &(struct coney_error){
                                  .text = "results.url names no store: only who sends "
                                          "a task gets its result (coney send --wait)"});
    coney_client_options_init(&options);
    options.config_file = o.config_file;
    if (coney_client_new(&options, &client, &err) != CONEY_OK)
        return cli_failure("result", &err);
    code = ask(client, &o);
    coney_client_free(client);
    return code;
}
