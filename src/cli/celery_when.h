/* SPDX-License-Identifier: MIT */
/*
 * celery_when.h - when an entry of Celery's beat is due, from what a worker shows of it.
 *
 * A schedule travels as text made for people: "<crontab: 0 8 * * * (m/h/dM/MY/d)>",
 * "<freq: 30.00 seconds>", "2:30:00", or a plain number of seconds. The order of a
 * crontab's fields differs between versions, and the legend at its end tells which it is.
 * Pure.
 */
#ifndef CONEY_CLI_CELERY_WHEN_H
#define CONEY_CLI_CELERY_WHEN_H

#include <coney/error.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { WHEN_TEXT_SIZE = 512 };

struct celery_when {
    char crontab[WHEN_TEXT_SIZE]; /* as our configuration has it; "": an interval */
    bool needs_days;              /* days of month and week: Celery means both */
    int64_t every_ms;
    bool is_rounded; /* Celery has shown two digits of something longer */
};

/* CONEY_EINVAL: there is no such schedule here, and @err says why. */
enum coney_rc celery_when_read(const json_t *schedule, struct celery_when *out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* "2:30:00", "1 day, 0:00:00", "0:00:01.500000" in milliseconds; -1: it is none. */
int64_t celery_timedelta_ms(const char *text);

#endif /* CONEY_CLI_CELERY_WHEN_H */
