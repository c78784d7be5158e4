/* SPDX-License-Identifier: MIT */
/*
 * adopt.c - `coney adopt`: from the Celery workers that run to a configuration.
 *
 * The file is read back before it is written, as `coney check` would, so that what is
 * wrong with it is known at once. An existing file is never overwritten.
 */
#include "base/error.h"
#include "cli/adoption.h"
#include "cli/asking_options.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BRIDGE CONEY_DATADIR "/coney/bridge/celery"

enum { OUTPUT_MAX = 16 * 1024 * 1024, MODE = 0640 };
enum { OPTION_APP = 256, OPTION_BRIDGE, OPTION_DIRECTORY };

struct adopting {
    struct asking_options asking;
    struct adoption_options adoption;
    const char *output; /* NULL: standard output */
};

static int print_help(void)
{
    printf("usage: coney adopt [--output FILE] [OPTION...]\n\n"
           "Ask the Celery workers that run for their queues, tasks, limits and schedule, "
           "and\nwrite a configuration with which Coney runs the same tasks. What has no "
           "counterpart\nis listed at its end and on standard error.\n\n"
           "  -o, --output FILE  a new file instead of standard output\n"
           "  -A, --app NAME     the application, as in celery -A; else a guess\n"
           "  --directory DIR    where it can be imported\n"
           "  --bridge FILE      program that runs the tasks (default\n"
           "                     " BRIDGE ")\n" ASKING_HELP
           "\nExit codes: 0 written, 1 failed, %d wrong usage, %d no Celery worker "
           "answered,\n%d wrong configuration.\n",
            CLI_USAGE, CLI_NOBODY, CLI_CONFIG);
    return CLI_OK;
}

/* --- the command line --------------------------------------------------------------- */

static int read_path(const char *option, const char *text, const char **out)
{
    if (*text != '/')
        return cli_usage("adopt", "%s: an absolute path, with a \"/\" in front", option);
    *out = text;
    return CLI_OK;
}

static int read_option(struct adopting *a, int found, const char *value)
{
    switch (found) {
    case 'o':
        a->output = value;
        return CLI_OK;
    case 'A':
        a->adoption.app = value;
        return CLI_OK;
    case OPTION_BRIDGE:
        return read_path("--bridge", value, &a->adoption.bridge);
    case OPTION_DIRECTORY:
        return read_path("--directory", value, &a->adoption.directory);
    default:
        return asking_option("adopt", &a->asking, found, value);
    }
}

static int read_line(struct adopting *a, int argc, char **argv, bool *go)
{
    static const struct option known[] = {
            {"output", required_argument, NULL, 'o'},
            {"app", required_argument, NULL, 'A'},
            {"bridge", required_argument, NULL, OPTION_BRIDGE},
            {"directory", required_argument, NULL, OPTION_DIRECTORY},
            ASKING_OPTIONS,
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int found;
    *go = false;
    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":o:A:" ASKING_SHORT, known, NULL)) != -1) {
        if (found == 'h')
            return print_help();
        int code = read_option(a, found, optarg);
        if (code < 0)
            return cli_bad_option("adopt", found, argv);
        if (code != CLI_OK)
            return code;
    }
    if (optind < argc)
        return cli_usage("adopt", "\"%s\" is one word too many", argv[optind]);
    if (a->asking.as_json)
        return cli_usage("adopt", "a configuration is YAML; there is no --json");
    int code = asking_options_check("adopt", &a->asking);
    *go = code == CLI_OK;
    return code;
}

/* --- what was written --------------------------------------------------------------- */

static int fail(const char *what, const char *path)
{
    struct coney_error err;
    error_set_errno(&err, "%s %s", what, path);
    return cli_failure("adopt", &err);
}

static int save(const struct adopting *a, struct paper *p)
{
    size_t len = buffer_len(&p->text);
    int fd = open(a->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    if (fd < 0)
        return fail("can't create", a->output);
    ssize_t written = write(fd, buffer_data(&p->text), len);
    bool is_whole = written >= 0 && (size_t)written == len && fsync(fd) == 0;
    if (close(fd) != 0 || !is_whole)
        return fail("can't write", a->output);
    fprintf(stderr, "coney adopt: written to %s\n", a->output);
    return CLI_OK;
}

/* What `coney check` will say. */
static int check(struct paper *p, const char *name)
{
    struct config *config = NULL;
    struct mistakes mistakes = {.count = 0};
    struct coney_error err;

    paper_put(p, "%c", '\0');
    enum coney_rc rc = p->rc;
    if (rc == CONEY_OK)
        rc = config_parse(
                (const char *)buffer_data(&p->text), name, &config, &mistakes, &err);
    p->text.end--;
    if (rc == CONEY_ESYNTAX) {
        fprintf(stderr, "coney adopt: to be put right before it can be used:\n");
        mistakes_print(&mistakes, stderr);
    }
    mistakes_fini(&mistakes);
    config_free(config);
    return rc == CONEY_OK || rc == CONEY_ESYNTAX ? CLI_OK : cli_failure("adopt", &err);
}

static int hand_over(const struct adopting *a, struct paper *p)
{
    const struct coney_error err = {.rc = p->rc, .text = "out of memory, or too large"};
    if (p->rc != CONEY_OK)
        return cli_failure("adopt", &err);

    int code = check(p, a->output ? a->output : "coney.yaml");
    if (code != CLI_OK)
        return code;
    for (size_t i = 0; i < json_array_size(p->notes); i++)
        fprintf(stderr, "coney adopt: not taken over: %s\n",
                json_string_value(json_array_get(p->notes, i)));
    if (a->output)
        return save(a, p);
    code = cli_show("adopt", CONEY_OK, &p->text);
    buffer_init(&p->text, 0);
    return code;
}

static int write_all(struct adopting *a, const struct question *questions)
{
    struct celery_fleet fleet;
    struct paper paper;
    struct coney_error err;
    int code;

    enum coney_rc rc = fleet_learn(questions, &fleet, &err);
    if (rc != CONEY_OK) {
        code = cli_failure("adopt", &err);
        code = rc == CONEY_ENOTFOUND ? CLI_NOBODY : code;
    } else {
        paper_init(&paper, OUTPUT_MAX);
        adoption_write(&fleet, &a->adoption, &paper);
        code = hand_over(a, &paper);
        paper_fini(&paper);
    }
    fleet_fini(&fleet);
    return code;
}

static int adopt(struct adopting *a)
{
    struct question questions[FLEET_QUESTIONS] = {{.method = NULL}};
    struct connection *c = &a->asking.connection;

    int code = fleet_questions(questions) == CONEY_OK
                       ? asking_run("adopt", &a->asking, questions, FLEET_QUESTIONS)
                       : cli_failure(
                                 "adopt", &(struct coney_error){.text = "out of memory"});
    /* The configuration once more: what led to the workers leads the file. */
    if (code == CLI_OK)
        code = connection_load("adopt", c);
    if (code == CLI_OK) {
        a->adoption.broker = &c->config->broker;
        a->adoption.url = c->url;
        a->adoption.ca = c->ca;
        code = write_all(a, questions);
    }
    questions_fini(questions, FLEET_QUESTIONS);
    connection_close(c);
    return code;
}

int cli_adopt(int argc, char **argv)
{
    struct adopting a = {.adoption = {.bridge = BRIDGE}};
    bool go = false;

    asking_options_init(&a.asking);
    a.asking.timeout_ms = FLEET_TIMEOUT_MS;
    int code = read_line(&a, argc, argv, &go);
    return go ? adopt(&a) : code;
}
