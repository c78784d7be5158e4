/* SPDX-License-Identifier: MIT */
/* inspect.c - `coney inspect` and `coney control`: one command to workers, one table of
 * what they answer. */
#include "base/clock.h"
#include "cli/asking_options.h"
#include "cli/cli.h"
#include "cli/commands.h"

#include <getopt.h>
#include <stdlib.h>

/* More than thousands of workers have to say. */
enum { OUTPUT_MAX = 256 * 1024 * 1024 };
enum { OPTION_ALL = 256 };

struct task {
    const char *verb;
    enum command_kind kind;
    struct asking_options options;
    const struct command *command;
    struct question question;
    bool to_all; /* said in as many words */
};

static int print_help(const struct task *t)
{
    bool inspects = t->kind == COMMAND_INSPECT;
    printf("usage: coney %s COMMAND [ARGUMENT...] [OPTION...]\n\n%s\n\n", t->verb,
            inspects ? "Ask workers, Coney's and Celery's alike, what they know."
                     : "Tell workers, Coney's and Celery's alike, what to do.");
    commands_print(t->kind, stdout);
    printf("\n%s%s", ASKING_HELP ASKING_HELP_JSON,
            inspects
                    ? ""
                    : "  --all              every worker, where none is named: shutdown wants "
                      "it said\n");
    printf("\nExit codes: 0 done, 1 a worker refused or did not answer, %d wrong usage,\n"
           "%d nobody answered, %d wrong configuration.\n",
            CLI_USAGE, CLI_NOBODY, CLI_CONFIG);
    return CLI_OK;
}

/* --- showing ------------------------------------------------------------------------ */

static enum coney_rc render(const struct task *t, struct buffer *out)
{
    enum coney_rc rc = CONEY_OK;
    size_t count;
    int64_t now_us = clock_wall_us();
    const char **nodes = question_nodes(&t->question, 1, &count);

    if (!nodes)
        return CONEY_ENOMEM;
    for (size_t i = 0; i < count && rc == CONEY_OK; i++)
        rc = render_reply(t->command->style, nodes[i],
                question_reply(&t->question, nodes[i]), now_us, out);
    free(nodes);
    return rc;
}

static enum coney_rc render_json(const json_t *replies, struct buffer *out)
{
    char *text = json_dumps(replies, JSON_SORT_KEYS | JSON_ENCODE_ANY);
    enum coney_rc rc = text ? buffer_printf(out, "%s\n", text) : CONEY_ENOMEM;
    free(text);
    return rc;
}

static bool has_refused(const struct question *q)
{
    const char *node;
    json_t *reply;
    json_object_foreach(q->replies, node, reply) if (render_error(reply)) return true;
    return false;
}

static int show(struct task *t)
{
    struct buffer text;
    const struct question *q = &t->question;

    if (t->command->is_silent) {
        fprintf(stderr, "coney %s: told; %s is not answered\n", t->verb, q->method);
        return CLI_OK;
    }
    buffer_init(&text, OUTPUT_MAX);
    enum coney_rc rc =
            t->options.as_json ? render_json(q->replies, &text) : render(t, &text);
    int code = cli_show(t->verb, rc, &text);
    if (code == CLI_OK)
        code = asking_missing(t->verb, &t->options, q, 1);
    return code == CLI_OK && has_refused(q) ? CLI_FAILURE : code;
}

/* --- the command line --------------------------------------------------------------- */

/* What ends processes is not meant for everybody just because nobody was named. */
static int check_target(const struct task *t)
{
    const struct asking_options *o = &t->options;
    bool names_some = o->node_count > 0 || o->pattern;
    if (t->command->is_silent && !names_some && !t->to_all)
        return cli_usage(t->verb, "%s: which nodes? -d NODE, --pattern, or --all for all",
                t->command->name);
    if (names_some && t->to_all)
        return cli_usage(t->verb, "--all, or some nodes, not both");
    return asking_options_check(t->verb, o);
}

static int read_command(struct task *t, char *const *words, size_t count)
{
    struct coney_error err;
    if (count == 0)
        return cli_usage(t->verb, "which command?");
    t->command = command_find(t->kind, words[0], &err);
    if (!t->command)
        return cli_usage(t->verb, "%s", err.text);
    enum coney_rc rc = command_arguments(
            t->command, words + 1, count - 1, &t->question.arguments, &err);
    if (rc != CONEY_OK)
        return cli_usage(t->verb, "%s", err.text);
    t->question.method = t->command->name;
    t->question.is_silent = t->command->is_silent;
    return check_target(t);
}

/* *@go: there is something to ask; else the return value is the exit code. */
static int read_line(struct task *t, int argc, char **argv, bool *go)
{
    static const struct option known[] = {
            ASKING_OPTIONS,
            {"all", no_argument, NULL, OPTION_ALL},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int found;
    *go = false;
    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":" ASKING_SHORT, known, NULL)) != -1) {
        if (found == 'h')
            return print_help(t);
        if (found == OPTION_ALL) {
            t->to_all = true;
            continue;
        }
        int code = asking_option(t->verb, &t->options, found, optarg);
        if (code < 0)
            return cli_bad_option(t->verb, found, argv);
        if (code != CLI_OK)
            return code;
    }
    int code = read_command(t, argv + optind, (size_t)(argc - optind));
    *go = code == CLI_OK;
    return code;
}

static int run(struct task *t, int argc, char **argv)
{
    bool go;
    asking_options_init(&t->options);
    int code = read_line(t, argc, argv, &go);
    if (go)
        code = asking_run(t->verb, &t->options, &t->question, 1);
    if (go && code == CLI_OK)
        code = show(t);
    questions_fini(&t->question, 1);
    return code;
}

int cli_inspect(int argc, char **argv)
{
    struct task t = {.verb = "inspect", .kind = COMMAND_INSPECT};
    return run(&t, argc, argv);
}

int cli_control(int argc, char **argv)
{
    struct task t = {.verb = "control", .kind = COMMAND_CONTROL};
    return run(&t, argc, argv);
}
