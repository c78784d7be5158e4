/* SPDX-License-Identifier: MIT */
/* status.c - `coney status`: which workers answer, and a line about each. */
#include "cli/asking_options.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/render.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_MAX = 64 * 1024 * 1024, VERSION_SIZE = 64, QUEUES_SIZE = COLUMN_CELL_SIZE };
enum { PING, STATS, ACTIVE, RESERVED, QUEUES, REPORT, QUESTIONS };

static int print_help(void)
{
    printf("usage: coney status [OPTION...]\n\n"
           "Ask every worker, Coney's and Celery's alike, how it is.\n\n" ASKING_HELP
                    ASKING_HELP_JSON
           "\nExit codes: 0 all answered, 1 one that was named did not, %d wrong usage,\n"
           "%d nobody answered, %d wrong configuration.\n",
            CLI_USAGE, CLI_NOBODY, CLI_CONFIG);
    return CLI_OK;
}

/* --- what is known of a node -------------------------------------------------------- */

/* "celery 5.2.6", from the "software -> celery:5.2.6 (...)" of a report. */
static void find_version(const json_t *report, char version[VERSION_SIZE])
{
    static const char mark[] = "software -> ";
    const char *text = json_string_value(json_object_get(report, "ok"));
    const char *at = text ? strstr(text, mark) : NULL;

    version[0] = '\0';
    if (!at)
        return;
    at += strlen(mark);
    size_t len = strcspn(at, " \n");
    snprintf(version, VERSION_SIZE, "%.*s", len < VERSION_SIZE ? (int)len : 0, at);
    char *colon = strchr(version, ':');
    if (colon)
        *colon = ' ';
}

static void list_queues(const json_t *queues, char text[QUEUES_SIZE])
{
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(queues) && len < QUEUES_SIZE; i++) {
        const json_t *queue = json_array_get(queues, i);
        const char *name = json_string_value(json_object_get(queue, "name"));
        len += (size_t)snprintf(text + len, QUEUES_SIZE - len, "%s%s", i > 0 ? " " : "",
                name ? name : "?");
    }
}

/* "-" where the node has not said how many. */
static const char *count_text(const json_t *list, struct arena *a)
{
    return json_is_array(list) ? arena_printf(a, "%zu", json_array_size(list)) : NULL;
}

static const char *number_text(const json_t *number, struct arena *a)
{
    return json_is_integer(number)
                   ? arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(number))
                   : NULL;
}

static const char *uptime_text(const json_t *stats, struct arena *a)
{
    char span[RENDER_SPAN_SIZE];
    const json_t *uptime = json_object_get(stats, "uptime");
    if (!json_is_number(uptime))
        return NULL;
    render_span(json_number_value(uptime), span);
    return arena_strdup(a, span);
}

static const char *pool_text(const json_t *stats, struct arena *a)
{
    const json_t *pool = json_object_get(stats, "pool");
    return number_text(json_object_get(pool, "max-concurrency"), a);
}

/* --- showing ------------------------------------------------------------------------ */

static void add_node(
        struct columns *c, const struct question *questions, const char *node)
{
    char version[VERSION_SIZE];
    char queues[QUEUES_SIZE];
    const json_t *stats = question_reply(&questions[STATS], node);

    find_version(question_reply(&questions[REPORT], node), version);
    list_queues(question_reply(&questions[QUEUES], node), queues);
    const char *cells[] = {node, "ok",
            number_text(json_object_get(stats, "pid"), c->arena), version,
            uptime_text(stats, c->arena), pool_text(stats, c->arena),
            count_text(question_reply(&questions[ACTIVE], node), c->arena),
            count_text(question_reply(&questions[RESERVED], node), c->arena), queues};
    columns_add(c, cells);
}

static void add_missing(struct columns *c, const char *node)
{
    const char *cells[COLUMNS_MAX] = {node, "silent"};
    columns_add(c, cells);
}

static enum coney_rc render(const struct asking_options *o,
        const struct question *questions, struct buffer *out)
{
    static const char *const headings[] = {"NODE", "STATE", "PID", "VERSION", "UPTIME",
            "POOL", "ACTIVE", "RESERVED", "QUEUES", NULL};
    struct columns c;
    size_t count;
    const char **nodes = question_nodes(questions, QUESTIONS, &count);

    if (!nodes)
        return CONEY_ENOMEM;
    columns_init(&c, headings);
    for (size_t i = 0; i < count; i++)
        add_node(&c, questions, nodes[i]);
    for (size_t i = 0; i < o->node_count; i++)
        if (!question_reply(&questions[PING], o->nodes[i]))
            add_missing(&c, o->nodes[i]);
    enum coney_rc rc = count + o->node_count > 0 ? columns_write(&c, 0, out) : CONEY_OK;
    columns_fini(&c);
    free(nodes);
    return rc;
}

static enum coney_rc render_json(const struct question *questions, struct buffer *out)
{
    size_t count;
    json_t *all = json_object();
    const char **nodes = question_nodes(questions, QUESTIONS, &count);

    for (size_t i = 0; all && nodes && i < count; i++) {
        json_t *node = json_object();
        for (size_t q = STATS; q < QUESTIONS; q++)
            (void)json_object_set(node, questions[q].method,
                    json_object_get(questions[q].replies, nodes[i]));
        (void)json_object_set_new(all, nodes[i], node);
    }
    char *text = all && nodes ? json_dumps(all, JSON_SORT_KEYS) : NULL;
    enum coney_rc rc = text ? buffer_printf(out, "%s\n", text) : CONEY_ENOMEM;
    free(text);
    free(nodes);
    json_decref(all);
    return rc;
}

static int status(struct asking_options *o)
{
    struct question questions[QUESTIONS] = {[PING] = {.method = "ping"},
            [STATS] = {.method = "stats"},
            [ACTIVE] = {.method = "active"},
            [RESERVED] = {.method = "reserved"},
            [QUEUES] = {.method = "active_queues"},
            [REPORT] = {.method = "report"}};
    struct buffer text;

    int code = asking_run("status", o, questions, QUESTIONS);
    if (code == CLI_OK) {
        buffer_init(&text, OUTPUT_MAX);
        enum coney_rc rc =
                o->as_json ? render_json(questions, &text) : render(o, questions, &text);
        code = cli_show("status", rc, &text);
    }
    if (code == CLI_OK)
        code = asking_missing("status", o, questions, QUESTIONS);
    questions_fini(questions, QUESTIONS);
    return code;
}

int cli_status(int argc, char **argv)
{
    static const struct option known[] = {
            ASKING_OPTIONS,
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    struct asking_options options;
    int found;

    asking_options_init(&options);
    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":" ASKING_SHORT, known, NULL)) != -1) {
        if (found == 'h')
            return print_help();
        int code = asking_option("status", &options, found, optarg);
        if (code < 0)
            return cli_bad_option("status", found, argv);
        if (code != CLI_OK)
            return code;
    }
    if (optind < argc)
        return cli_usage("status", "\"%s\" is one word too many", argv[optind]);
    int code = asking_options_check("status", &options);
    return code == CLI_OK ? status(&options) : code;
}
