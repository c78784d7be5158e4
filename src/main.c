/* SPDX-License-Identifier: MIT */
/* main.c - the table of verbs: the one place that knows every room. */
#include "beat/beat.h"
#include "cli/cli.h"
#include "worker/worker.h"

#include <getopt.h>
#include <stdio.h>

static int daemon_help(const char *verb, const char *what)
{
    printf("usage: coney %s [--config FILE]\n\n%s\n\n"
           "  --config FILE  instead of $CONEY_CONFIG, ~/.config/coney/coney.yaml or\n"
           "                 " CONEY_SYSCONFDIR
           "/coney/coney.yaml; conf.d beside it is read "
           "too\n\n"
           "Exit codes: 0 told to stop, 1 failed, %d wrong configuration.\n",
            verb, what, CLI_CONFIG);
    return CLI_OK;
}

/* The command line of a daemon: -1 when it is to run, else the exit code. */
static int parse_daemon(int argc, char **argv, const char *what, const char **config_path)
{
    static const struct option options[] = {
            {"config", required_argument, NULL, 'c'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int found;

    optind = 1;
    while ((found = getopt_long(argc, argv, ":c:h", options, NULL)) != -1) {
        if (found == 'h')
            return daemon_help(argv[0], what);
        if (found != 'c')
            return cli_bad_option(argv[0], found, argv);
        *config_path = optarg;
    }
    if (optind < argc)
        return cli_usage(argv[0], "takes no argument \"%s\"", argv[optind]);
    return -1;
}

static int run_worker(int argc, char **argv)
{
    struct worker_options options = {.config_path = NULL};
    int code = parse_daemon(argc, argv,
            "Consume tasks and run them. SIGTERM drains, a second one stops at once, SIGHUP\n"
            "reloads tasks, classes, queues, plugins and certificates.",
            &options.config_path);
    return code >= 0 ? code : worker_run(&options);
}

static int run_beat(int argc, char **argv)
{
    struct beat_options options = {.config_path = NULL};
    int code = parse_daemon(argc, argv,
            "Publish scheduled tasks. Any number of beats may run; one of them leads.",
            &options.config_path);
    return code >= 0 ? code : beat_run(&options);
}

int main(int argc, char **argv)
{
    static const struct verb verbs[] = {
            {"worker", "consume tasks and run them", run_worker},
            {"beat", "publish scheduled tasks", run_beat},
            {"send", "send a task, perhaps wait for its result", cli_send},
            {"result", "what became of a task, from the result store", cli_result},
            {"check", "check, print or explain the configuration", cli_check},
            {"schedule", "show what is scheduled and when it comes next", cli_schedule},
            {"status", "which workers answer, and how they are", cli_status},
            {"inspect", "ask workers what they are doing", cli_inspect},
            {"control", "tell workers to do something", cli_control},
            {"revoke", "see to it that tasks do not run, or end", cli_revoke},
            {"events", "watch what workers and tasks do", cli_events},
            {"doctor", "say what of Celery would not move", cli_doctor},
            {"adopt", "write a configuration for what Celery workers do", cli_adopt},
    };
    return cli_main(argc, argv, verbs, sizeof(verbs) / sizeof(verbs[0]));
}
