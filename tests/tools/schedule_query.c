/* SPDX-License-Identifier: MIT */
/*
 * schedule_query.c - what a beat makes up for after an outage, for celery_12_crontab.py.
 *
 * A line "MISFIRE <tab> DEADLINE_MS <tab> WATERMARK_US <tab> NOW_US <tab> CRONTAB",
 * MISFIRE being skip, once or all, is answered by the microseconds of every tick that is
 * published, or by "error: ...". The zone is UTC.
 */
#include "answer_lines.h"
#include "base/clock.h"
#include "schedule/schedule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 5 };

static enum schedule_misfire read_misfire(const char *text)
{
    if (strcmp(text, "skip") == 0)
        return SCHEDULE_SKIP;
    return strcmp(text, "all") == 0 ? SCHEDULE_ALL : SCHEDULE_ONCE;
}

static void print_due(
        const struct schedule_entry *e, int64_t watermark_us, int64_t now_us)
{
    const char *space = "";
    int64_t at_us = schedule_entry_due(e, watermark_us, now_us);

    while (at_us != CLOCK_NEVER && at_us <= now_us) {
        printf("%s%" PRId64, space, at_us);
        space = " ";
        at_us = schedule_entry_next(e, at_us);
    }
    puts("");
}

static void answer(char **fields)
{
    struct schedule_entry e;
    struct coney_error err;

    schedule_entry_init(&e);
    e.misfire = read_misfire(fields[0]);
    e.deadline_ms = strtoll(fields[1], NULL, 10);
    enum coney_rc rc = zone_load(NULL, "UTC", &e.zone, &err);
    if (rc == CONEY_OK)
        rc = crontab_parse(fields[4], &e.crontab, &err);
    if (rc == CONEY_OK)
        print_due(&e, strtoll(fields[2], NULL, 10), strtoll(fields[3], NULL, 10));
    else
        printf("error: %s\n", err.text);
    schedule_entry_fini(&e);
}

int main(void)
{
    return answer_lines(FIELDS, answer);
}
