/* SPDX-License-Identifier: MIT */
/*
 * schedule.c - `coney schedule`: what is scheduled, and what comes when, before it does.
 * Asks no broker: what has been published already only the beats know.
 */
#include "schedule/schedule.h"

#include "base/calendar.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "cli/cli.h"
#include "message/time.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COUNT_DEFAULT = 10, COUNT_MAX = 100000 };
/* "2026-11-20T13:00:00.000+00:00 GMT", with room for any abbreviation. */
enum { LOCAL_TEXT_SIZE = 64 };

struct schedule_options {
    const char *config;
    int64_t from_us;
    unsigned count;
};

static int print_help(void)
{
    printf("usage: coney schedule list [--config FILE] [--from TIME]\n"
           "       coney schedule next [--config FILE] [--from TIME] [--count N]\n\n"
           "  list           every entry, and when it comes next\n"
           "  next           the next ticks of all entries, in order\n\n"
           "  --config FILE  instead of $CONEY_CONFIG, ~/.config/coney/coney.yaml or\n"
           "                 " CONEY_SYSCONFDIR "/coney/coney.yaml\n"
           "  --from TIME    as if it were that time, such as 2026-11-20T13:00:00+00:00; "
           "UTC\n"
           "                 where no offset is given\n"
           "  --count N      so many ticks; %d where it is not given\n\n"
           "Columns are separated by tabs. Times are those of the entry's zone, UTC for "
           "an\ninterval. Exit codes: 0 done, %d wrong usage, %d wrong configuration.\n",
            COUNT_DEFAULT, CLI_USAGE, CLI_CONFIG);
    return CLI_OK;
}

/* --- texts -------------------------------------------------------------------------- */

/* What the wall clock shows in @zone (NULL: UTC) at @at_us, to the second or, where it
 * matters, to the millisecond. */
static void format_local(
        const struct zone *zone, int64_t at_us, char text[LOCAL_TEXT_SIZE])
{
    struct zone_period period = {.offset_s = 0, .abbrev = "UTC"};
    int64_t second = calendar_floor_div(at_us, 1000000);
    int millis = (int)((at_us - second * 1000000) / 1000);
    char date[32];
    char fraction[16] = "";
    struct tm tm;

    if (zone)
        zone_period_at(zone, second, &period);
    time_t local = (time_t)(second + period.offset_s);
    gmtime_r(&local, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    if (millis > 0)
        snprintf(fraction, sizeof(fraction), ".%03d", millis);
    int offset_min = abs(period.offset_s) / 60;
    snprintf(text, LOCAL_TEXT_SIZE, "%s%s%c%02d:%02d %s", date, fraction,
            period.offset_s < 0 ? '-' : '+', offset_min / 60, offset_min % 60,
            period.abbrev);
}

static void format_rule(const struct schedule_entry *e, char *text, size_t size)
{
    char every[DURATION_TEXT_SIZE];
    if (e->crontab_text) {
        snprintf(text, size, "%s", e->crontab_text);
    } else {
        duration_format(e->every_ms, every);
        snprintf(text, size, "every %s", every);
    }
}

/* --- the two lists ------------------------------------------------------------------ */

static void list_entry(const struct schedule_entry *e, int64_t from_us)
{
    char rule[256];
    char next[LOCAL_TEXT_SIZE] = "never";
    int64_t at_us = schedule_entry_next(e, from_us);

    format_rule(e, rule, sizeof(rule));
    if (!e->enabled)
        snprintf(next, sizeof(next), "disabled");
    else if (at_us != CLOCK_NEVER)
        format_local(e->zone, at_us, next);
    printf("%s\t%s\t%s\t%s\t%s\n", e->name, e->task, rule,
            e->zone ? zone_name(e->zone) : "UTC", next);
}

static int list_entries(const struct config *c, const struct schedule_options *options)
{
    for (size_t i = 0; i < c->entry_count; i++)
        list_entry(&c->entries[i], options->from_us);
    return CLI_OK;
}

static int next_ticks(const struct config *c, const struct schedule_options *options)
{
    struct schedule *schedule = NULL;
    struct coney_error err = {0};
    enum coney_rc rc =
            schedule_new(c->entries, c->entry_count, options->from_us, &schedule, &err);

    if (rc != CONEY_OK)
        return cli_failure("schedule", &err);
    for (unsigned n = 0; n < options->count; n++) {
        struct schedule_tick tick;
        char at[LOCAL_TEXT_SIZE];
        int64_t next_us = schedule_next(schedule);
        if (next_us == CLOCK_NEVER ||
                schedule_pop(schedule, next_us, &tick) != SCHEDULE_DUE)
            break;
        format_local(tick.entry->zone, tick.at_us, at);
        printf("%s\t%s\t%s\n", at, tick.entry->name, tick.entry->task);
    }
    schedule_free(schedule);
    return CLI_OK;
}

/* --- the command line --------------------------------------------------------------- */

static int read_from(struct schedule_options *options, const char *text)
{
    if (time_parse(text, &options->from_us) == CONEY_OK)
        return CLI_OK;
    return cli_usage(
            "schedule", "--from: \"%s\" is no time like 2026-11-20T13:00:00+00:00", text);
}

static int read_count(struct schedule_options *options, const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < 1 || n > COUNT_MAX)
        return cli_usage(
                "schedule", "--count: \"%s\" is no number from 1 to %d", text, COUNT_MAX);
    options->count = (unsigned)n;
    return CLI_OK;
}

/* -1 when there is something to do, else the exit code. */
static int read_options(int argc, char **argv, struct schedule_options *options)
{
    static const struct option known[] = {
            {"config", required_argument, NULL, 'c'},
            {"from", required_argument, NULL, 'f'},
            {"count", required_argument, NULL, 'n'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int code = CLI_OK;
    int found;

    optind = 0; /* glibc: begin anew */
    while ((found = getopt_long(argc, argv, ":c:f:n:h", known, NULL)) != -1) {
        if (found == 'h')
            return print_help();
        if (found == 'c')
            options->config = optarg;
        else if (found == 'f')
            code = read_from(options, optarg);
        else if (found == 'n')
            code = read_count(options, optarg);
        else
            code = cli_bad_option("schedule", found, argv);
        if (code != CLI_OK)
            return code;
    }
    return -1;
}

int cli_schedule(int argc, char **argv)
{
    struct schedule_options options = {
            .from_us = clock_wall_us(), .count = COUNT_DEFAULT};
    struct config *c = NULL;
    int code = read_options(argc, argv, &options);

    if (code >= 0)
        return code;
    if (argc - optind != 1)
        return cli_usage("schedule", "say either list or next");
    bool is_list = strcmp(argv[optind], "list") == 0;
    if (!is_list && strcmp(argv[optind], "next") != 0)
        return cli_usage("schedule", "\"%s\" is neither list nor next", argv[optind]);
    code = cli_load_config("schedule", options.config, &c);
    if (code == CLI_OK)
        code = is_list ? list_entries(c, &options) : next_ticks(c, &options);
    config_free(c);
    if (code == CLI_OK && fflush(stdout) != 0) {
        struct coney_error err;
        error_set_errno(&err, "can't write to standard output");
        code = cli_failure("schedule", &err);
    }
    return code;
}
