/* SPDX-License-Identifier: MIT */
/* doctor.c - `coney doctor --celery`: what would not move, before anything is moved. */
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/asking_options.h"
#include "cli/cli.h"
#include "cli/diagnosis.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_MAX = 64 * 1024 * 1024, OPTION_CELERY = 256, NAME_SIZE = 256 };

static int print_help(void)
{
    printf("usage: coney doctor --celery [OPTION...]\n\n"
           "Ask the Celery workers that run how they are set up, and say what would not "
           "move to\nConey, or would not be the same there. Nothing is changed.\n\n"
           "  --celery           examine Celery's workers\n" ASKING_HELP ASKING_HELP_JSON
           "\nExit codes: 0 everything moves, 1 something does not, %d wrong usage,\n"
           "%d no Celery worker answered, %d wrong configuration.\n",
            CLI_USAGE, CLI_NOBODY, CLI_CONFIG);
    return CLI_OK;
}

/* --- showing ------------------------------------------------------------------------ */

static enum coney_rc put_findings(
        const char *heading, const json_t *findings, struct buffer *out)
{
    if (json_array_size(findings) == 0)
        return CONEY_OK;
    enum coney_rc rc = buffer_printf(out, "\n%s\n", heading);
    for (size_t i = 0; i < json_array_size(findings) && rc == CONEY_OK; i++)
        rc = buffer_printf(
                out, "  - %s\n", json_string_value(json_array_get(findings, i)));
    return rc;
}

static enum coney_rc render(
        const struct celery_fleet *f, const struct diagnosis *d, struct buffer *out)
{
    char name[NAME_SIZE];
    const json_t *blocks = d->findings[FINDING_BLOCKS];
    size_t entries = json_object_size(fleet_setting(f, "beat_schedule"));
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < f->node_count && rc == CONEY_OK; i++) {
        const char *node = f->nodes[i];
        utf8_printable(name, sizeof(name), (struct bytes){node, strlen(node)});
        rc = buffer_printf(out, "%s%s", i > 0 ? ", " : "examined: ", name);
    }
    if (rc == CONEY_OK)
        rc = buffer_printf(out, "  queues=%zu tasks=%zu schedule=%zu\n",
                json_object_size(f->queues), json_object_size(f->tasks), entries);
    if (rc == CONEY_OK)
        rc = put_findings("does not move as it is:", blocks, out);
    if (rc == CONEY_OK)
        rc = put_findings("moves, and is different:", d->findings[FINDING_DIFFERS], out);
    if (rc == CONEY_OK)
        rc = buffer_printf(out, "\n%s\n",
                json_array_size(blocks) > 0 ? "There is something to be changed first."
                                            : "Everything moves.");
    if (rc == CONEY_OK)
        rc = buffer_printf(out, "Not to be seen from here: bootsteps, signals and "
                                "elections in the application's code.\n");
    return rc;
}

static enum coney_rc render_json(const struct diagnosis *d, struct buffer *out)
{
    json_t *all = json_pack("{s:O, s:O}", "blocks", d->findings[FINDING_BLOCKS],
            "differs", d->findings[FINDING_DIFFERS]);
    char *text = all ? json_dumps(all, 0) : NULL;
    enum coney_rc rc = text ? buffer_printf(out, "%s\n", text) : CONEY_ENOMEM;
    free(text);
    json_decref(all);
    return rc;
}

static int examine(const struct asking_options *o, const struct celery_fleet *f)
{
    struct diagnosis d;
    struct buffer text;

    buffer_init(&text, OUTPUT_MAX);
    diagnose(f, clock_wall_us(), &d);
    enum coney_rc rc = d.rc;
    if (rc == CONEY_OK)
        rc = o->as_json ? render_json(&d, &text) : render(f, &d, &text);
    int code = cli_show("doctor", rc, &text);
    if (code == CLI_OK && json_array_size(d.findings[FINDING_BLOCKS]) > 0)
        code = CLI_FAILURE;
    diagnosis_fini(&d);
    return code;
}

/* What answers in another language than JSON is somebody all the same. */
static int find_nobody(const struct asking_options *o)
{
    if (*o->foreign_type) {
        printf("does not move as it is:\n  - workers that speak %s: set task_serializer and "
               "accept_content to json first\n",
                o->foreign_type);
        return CLI_FAILURE;
    }
    fprintf(stderr, "coney doctor: no Celery worker answers on this broker; if they use "
                    "another, such as Redis,\nmove them to RabbitMQ first\n");
    return CLI_NOBODY;
}

static int doctor(struct asking_options *o)
{
    struct question questions[FLEET_QUESTIONS] = {{.method = NULL}};
    struct celery_fleet fleet;
    struct coney_error err = {.rc = CONEY_ENOMEM, .text = "out of memory"};

    int code = fleet_questions(questions) == CONEY_OK
                       ? asking_run("doctor", o, questions, FLEET_QUESTIONS)
                       : cli_failure("doctor", &err);
    if (code == CLI_OK) {
        enum coney_rc rc = fleet_learn(questions, &fleet, &err);
        if (rc == CONEY_OK)
            code = examine(o, &fleet);
        else if (rc == CONEY_ENOTFOUND)
            code = find_nobody(o);
        else
            code = cli_failure("doctor", &err);
        fleet_fini(&fleet);
    }
    questions_fini(questions, FLEET_QUESTIONS);
    return code;
}

int cli_doctor(int argc, char **argv)
{
    static const struct option known[] = {
            {"celery", no_argument, NULL, OPTION_CELERY},
            ASKING_OPTIONS,
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    struct asking_options options;
    bool is_celery = false;
    int found;

    asking_options_init(&options);
    options.timeout_ms = FLEET_TIMEOUT_MS;
    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":" ASKING_SHORT, known, NULL)) != -1) {
        if (found == 'h')
            return print_help();
        is_celery |= found == OPTION_CELERY;
        if (found == OPTION_CELERY)
            continue;
        int code = asking_option("doctor", &options, found, optarg);
        if (code < 0)
            return cli_bad_option("doctor", found, argv);
        if (code != CLI_OK)
            return code;
    }
    if (optind < argc)
        return cli_usage("doctor", "\"%s\" is one word too many", argv[optind]);
    if (!is_celery)
        return cli_usage("doctor", "what is to be examined? --celery");
    int code = asking_options_check("doctor", &options);
    return code == CLI_OK ? doctor(&options) : code;
}
