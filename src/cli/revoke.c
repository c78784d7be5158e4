/* SPDX-License-Identifier: MIT */
/* revoke.c - `coney revoke`: tasks that shall not run, or end, by their ids or stamps. */
#include "base/clock.h"
#include "base/error.h"
#include "cli/asking_options.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "message/revocation.h"
#include "queue/names.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_TERMINATE = 256, OPTION_SIGNAL, OPTION_STAMP };
enum { BY_ID, BY_STAMP, QUESTIONS_MAX };

struct revoking {
    struct asking_options options;
    json_t *ids;    /* owned; array of texts */
    json_t *stamps; /* owned; stamp to array of values */
    bool terminates;
    int signal; /* 0: none was named */
    struct question questions[QUESTIONS_MAX];
    size_t count;
    bool is_recorded;
};

static int print_help(void)
{
    printf("usage: coney revoke ID... [OPTION...]\n"
           "       coney revoke --stamp NAME=VALUE... [OPTION...]\n\n"
           "Tell all workers, Coney's and Celery's alike, that tasks are not to be run. "
           "Where\nConey's workers have made the stream coney.revoked it is recorded there, "
           "and holds\nfor a worker that starts later.\n\n"
           "  --terminate        end those that run already\n"
           "  --signal NAME      by this signal (default TERM)\n"
           "  --stamp NAME=VALUE all tasks with this stamp (Celery 5.3 and later); may "
           "be\n"
           "                     repeated\n" ASKING_HELP ASKING_HELP_JSON
           "\nExit codes: 0 revoked, 1 a worker refused or did not answer, %d wrong usage,"
           "\n%d nobody answered, %d wrong configuration.\n",
            CLI_USAGE, CLI_NOBODY, CLI_CONFIG);
    return CLI_OK;
}

/* --- the command line --------------------------------------------------------------- */

static int read_stamp(struct revoking *r, const char *text)
{
    const char *sign = strchr(text, '=');
    char name[256];
    if (!sign || sign == text || (size_t)(sign - text) >= sizeof(name))
        return cli_usage("revoke", "--stamp: \"%s\" is not NAME=VALUE", text);
    snprintf(name, sizeof(name), "%.*s", (int)(sign - text), text);
    json_t *values = json_object_get(r->stamps, name);
    if (!values) {
        values = json_array();
        if (json_object_set_new(r->stamps, name, values) != 0)
            return cli_usage("revoke", "--stamp: no UTF-8");
    }
    if (json_array_append_new(values, json_string(sign + 1)) != 0)
        return cli_usage("revoke", "--stamp: no UTF-8");
    return CLI_OK;
}

static int read_option(struct revoking *r, int found, const char *value)
{
    switch (found) {
    case OPTION_TERMINATE:
        r->terminates = true;
        return CLI_OK;
    case OPTION_SIGNAL:
        r->signal = signal_number(value);
        return r->signal > 0
                       ? CLI_OK
                       : cli_usage("revoke", "--signal: there is no signal %s", value);
    case OPTION_STAMP:
        return read_stamp(r, value);
    default:
        return asking_option("revoke", &r->options, found, value);
    }
}

static int read_ids(struct revoking *r, char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!*words[i] || json_array_append_new(r->ids, json_string(words[i])) != 0)
            return cli_usage("revoke", "an id is empty or no UTF-8");
    if (count == 0 && json_object_size(r->stamps) == 0)
        return cli_usage("revoke", "which tasks?");
    if (r->signal > 0 && !r->terminates)
        return cli_usage("revoke", "--signal goes with --terminate only");
    return asking_options_check("revoke", &r->options);
}

static int read_line(struct revoking *r, int argc, char **argv, bool *go)
{
    static const struct option known[] = {
            {"terminate", no_argument, NULL, OPTION_TERMINATE},
            {"signal", required_argument, NULL, OPTION_SIGNAL},
            {"stamp", required_argument, NULL, OPTION_STAMP},
            ASKING_OPTIONS,
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int found;
    *go = false;
    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":" ASKING_SHORT, known, NULL)) != -1) {
        if (found == 'h')
            return print_help();
        int code = read_option(r, found, optarg);
        if (code < 0)
            return cli_bad_option("revoke", found, argv);
        if (code != CLI_OK)
            return code;
    }
    int code = read_ids(r, argv + optind, (size_t)(argc - optind));
    *go = code == CLI_OK;
    return code;
}

/* --- asking ------------------------------------------------------------------------- */

static json_t *arguments(const struct revoking *r, const char *key, json_t *what)
{
    char signal[32];
    snprintf(signal, sizeof(signal), "SIG%s",
            sigabbrev_np(r->signal > 0 ? r->signal : SIGTERM));
    return json_pack(
            "{s:O, s:b, s:s}", key, what, "terminate", r->terminates, "signal", signal);
}

static void make_questions(struct revoking *r)
{
    if (json_array_size(r->ids) > 0)
        r->questions[r->count++] = (struct question){
                .method = "revoke", .arguments = arguments(r, "task_id", r->ids)};
    if (json_object_size(r->stamps) > 0)
        r->questions[r->count++] =
                (struct question){.method = "revoke_by_stamped_headers",
                        .arguments = arguments(r, "headers", r->stamps)};
}

/* --- for later ---------------------------------------------------------------------- */

/* Whether the stream has it now; without a stream, nobody reads it. What is meant for
 * some workers only is not for the others to read. */
static enum coney_rc record(struct revoking *r, struct coney_error *err)
{
    struct connection *c = &r->options.connection;
    struct envelope e;
    char stream[AMQP_NAME_SIZE];
    enum publish_outcome outcome = PUBLISH_RETURNED;
    const struct revocation revocation = {.at_us = clock_wall_us(),
            .ids = json_array_size(r->ids) > 0 ? r->ids : NULL,
            .headers = json_object_size(r->stamps) > 0 ? r->stamps : NULL};
    const struct publish p = {
            .exchange = "", .routing_key = stream, .mandatory = true, .envelope = &e};

    if (r->options.node_count > 0 || r->options.pattern)
        return CONEY_OK;
    name_of(NAME_REVOKED, c->config->broker.prefix, stream);
    enum coney_rc rc = revocation_encode(&revocation, &e);
    if (rc != CONEY_OK)
        return error_set(err, rc, "the revocation can't be recorded");
    rc = wire_publish(c->wire, &p, &outcome, err);
    envelope_fini(&e);
    if (rc == CONEY_OK && outcome != PUBLISH_ACKED && outcome != PUBLISH_RETURNED)
        rc = error_set(err, CONEY_ENACKED, "%s has not taken it", stream);
    r->is_recorded = rc == CONEY_OK && outcome == PUBLISH_ACKED;
    return rc;
}

static int carry_out(struct revoking *r)
{
    struct coney_error err;
    int code = connection_open("revoke", &r->options.connection);
    if (code == CLI_OK && record(r, &err) != CONEY_OK)
        code = cli_failure("revoke", &err);
    if (code == CLI_OK)
        code = asking_ask("revoke", &r->options, r->questions, r->count);
    connection_close(&r->options.connection);
    return code;
}

/* --- what came of it ---------------------------------------------------------------- */

/* Nobody has to answer where it is recorded. */
static int missing(const struct revoking *r)
{
    int code = asking_missing("revoke", &r->options, r->questions, r->count);
    return code == CLI_NOBODY && r->is_recorded ? CLI_OK : code;
}

/* Nodes that have confirmed all of it; what the others said is shown. */
static size_t count_confirmed(const struct revoking *r, size_t *refused)
{
    size_t confirmed = 0;
    size_t count;
    const char **nodes = question_nodes(r->questions, r->count, &count);

    *refused = 0;
    for (size_t i = 0; nodes && i < count; i++) {
        const char *why = NULL;
        for (size_t q = 0; q < r->count && !why; q++)
            why = render_error(question_reply(&r->questions[q], nodes[i]));
        if (why)
            fprintf(stderr, "coney revoke: %s: %s\n", nodes[i], why);
        confirmed += !why;
        *refused += why != NULL;
    }
    free(nodes);
    return confirmed;
}

static int report(const struct revoking *r)
{
    size_t refused;
    size_t confirmed = count_confirmed(r, &refused);
    printf("confirmed by %zu worker%s%s\n", confirmed, confirmed == 1 ? "" : "s",
            r->is_recorded ? ", recorded for later ones" : "");
    int code = missing(r);
    return code == CLI_OK && refused > 0 ? CLI_FAILURE : code;
}

static int report_json(const struct revoking *r)
{
    struct buffer text;
    json_t *all = json_object();
    for (size_t i = 0; i < r->count; i++)
        (void)json_object_update(all, r->questions[i].replies);
    char *line = json_dumps(all, JSON_SORT_KEYS);
    json_decref(all);
    buffer_init(&text, SIZE_MAX);
    enum coney_rc rc = line ? buffer_printf(&text, "%s\n", line) : CONEY_ENOMEM;
    free(line);
    int code = cli_show("revoke", rc, &text);
    return code == CLI_OK ? missing(r) : code;
}

int cli_revoke(int argc, char **argv)
{
    struct revoking r = {.ids = json_array(), .stamps = json_object()};
    bool go = false;

    asking_options_init(&r.options);
    int code = read_line(&r, argc, argv, &go);
    if (go) {
        make_questions(&r);
        code = carry_out(&r);
    }
    if (go && code == CLI_OK)
        code = r.options.as_json ? report_json(&r) : report(&r);
    questions_fini(r.questions, r.count);
    json_decref(r.ids);
    json_decref(r.stamps);
    return code;
}
