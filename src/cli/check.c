/* SPDX-License-Identifier: MIT */
/*
 * check.c - `coney check`: is the configuration right, what does it amount to, and who
 * said so. Touches nothing and asks no broker.
 */
#include "cli/cli.h"
#include "config/keys.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* More than any configuration, of at most 1 MiB a file, can grow to. */
enum { OUTPUT_MAX = 256 * 1024 * 1024 };

/* What to do with a configuration that is right. */
enum action { SAY_SO, PRINT, EXPLAIN };

struct check_options {
    const char *config;
    const char *task; /* of EXPLAIN */
    enum action action;
};

static int print_help(void)
{
    printf("usage: coney check [--config FILE] [--print | --explain TASK]\n"
           "       coney check --keys\n\n"
           "Read the configuration and report every mistake with file, line and column.\n\n"
           "  --config FILE   instead of $CONEY_CONFIG, ~/.config/coney/coney.yaml or\n"
           "                  " CONEY_SYSCONFDIR "/coney/coney.yaml; conf.d beside it is "
           "read too\n"
           "  --print         print the merged result with all defaults, secrets masked\n"
           "  --explain TASK  print the policy of a task, and where each value comes "
           "from\n"
           "  --keys          print every key, tab separated: path, what is allowed, "
           "default,\n"
           "                  meaning\n\n"
           "Exit codes: 0 the configuration is right, %d it is not.\n",
            CLI_CONFIG);
    return CLI_OK;
}

static int print_keys(void)
{
    struct buffer text;
    buffer_init(&text, OUTPUT_MAX);
    enum coney_rc rc = keys_print(&text);
    return cli_show("check", rc, &text);
}

static enum coney_rc say_so(const struct config *c, struct buffer *text)
{
    return buffer_printf(text,
            "%s: right  classes=%zu queues=%zu tasks=%zu schedule=%zu\n", config_path(c),
            c->class_count, c->queue_count, c->task_patterns.count, c->entry_count);
}

static int check(const struct check_options *options)
{
    struct config *c;
    struct buffer text;
    enum coney_rc rc = CONEY_OK;
    int code = cli_load_config("check", options->config, &c);
    if (code != CLI_OK)
        return code;

    buffer_init(&text, OUTPUT_MAX);
    switch (options->action) {
    case SAY_SO:
        rc = say_so(c, &text);
        break;
    case PRINT:
        rc = config_print(c, &text);
        break;
    case EXPLAIN:
        rc = config_explain(c, options->task, &text);
        break;
    }
    config_free(c);
    return cli_show("check", rc, &text);
}

int cli_check(int argc, char **argv)
{
    static const struct option known[] = {
            {"config", required_argument, NULL, 'c'},
            {"print", no_argument, NULL, 'p'},
            {"explain", required_argument, NULL, 'e'},
            {"keys", no_argument, NULL, 'k'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    struct check_options options = {.action = SAY_SO};
    int found;

    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":c:h", known, NULL)) != -1) {
        switch (found) {
        case 'c':
            options.config = optarg;
            break;
        case 'p':
            options.action = PRINT;
            break;
        case 'e':
            options.action = EXPLAIN;
            options.task = optarg;
            break;
        case 'k':
            return print_keys();
        case 'h':
            return print_help();
        default:
            return cli_bad_option("check", found, argv);
        }
    }
    if (optind < argc)
        return cli_usage("check", "\"%s\" is one word too many", argv[optind]);
    return check(&options);
}
