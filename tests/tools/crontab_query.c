/* SPDX-License-Identifier: MIT */
/*
 * crontab_query.c - when crontabs run next, for crontab_agrees.py.
 *
 * A line "ZONE <tab> DAYS <tab> AFTER_US <tab> CRONTAB", DAYS being "-", "both" or
 * "either", is answered by the microseconds of the next run, by "never", or by "error:
 * ...".
 */
#include "answer_lines.h"
#include "base/clock.h"
#include "schedule/crontab.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 4, ZONES_MAX = 64 };

/* Loaded once, for a test asks about the same few over and over. */
static struct zone *zones[ZONES_MAX];
static size_t zone_count;

static struct zone *find_zone(const char *name)
{
    struct coney_error err;

    for (size_t i = 0; i < zone_count; i++) {
        if (strcmp(zone_name(zones[i]), name) == 0)
            return zones[i];
    }
    if (zone_count == ZONES_MAX ||
            zone_load(NULL, name, &zones[zone_count], &err) != CONEY_OK) {
        fprintf(stderr, "cannot load zone %s\n", name);
        exit(1);
    }
    return zones[zone_count++];
}

static enum crontab_days read_days(const char *text)
{
    if (strcmp(text, "both") == 0)
        return CRONTAB_DAYS_BOTH;
    if (strcmp(text, "either") == 0)
        return CRONTAB_DAYS_EITHER;
    return CRONTAB_DAYS_UNSAID;
}

static void answer(char **fields)
{
    struct crontab c;
    struct coney_error err;

    enum coney_rc rc = crontab_parse(fields[3], &c, &err);
    if (rc == CONEY_OK)
        rc = crontab_set_days(&c, read_days(fields[1]), &err);
    if (rc != CONEY_OK) {
        printf("error: %u: %s\n", err.column, err.text);
        return;
    }
    int64_t next_us =
            crontab_next(&c, find_zone(fields[0]), strtoll(fields[2], NULL, 10));
    if (next_us == CLOCK_NEVER)
        puts("never");
    else
        printf("%" PRId64 "\n", next_us);
}

int main(void)
{
    int status = answer_lines(FIELDS, answer);
    for (size_t i = 0; i < zone_count; i++)
        zone_free(zones[i]);
    return status;
}
