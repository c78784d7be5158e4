/* SPDX-License-Identifier: MIT */
/* celery_when.c - Celery's schedules, from their texts. */
#include "cli/celery_when.h"

#include "base/error.h"
#include "schedule/crontab.h"
#include "schedule/schedule.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 5, FIELD_SIZE = 96, DAY_NAME_LEN = 3 };
enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const double every_max_s = 3650.0 * 86400;

static enum coney_rc refuse(const char *text, struct coney_error *err)
{
    return error_set(err, CONEY_EINVAL, "no schedule of ours: %.150s", text);
}

/* --- crontabs ----------------------------------------------------------------------- */

static bool is_bracket(char c)
{
    return c && strchr("[](){}'\"", c);
}

/* One field of a repr, "0", "[0, 30]" or "{1, 2}", as "0" or "0,30". Days may have long
 * names. NULL: it is none, or too long; else where the next begins. */
static const char *read_field(const char *at, char field[FIELD_SIZE])
{
    size_t len = 0;
    size_t letters = 0;
    int depth = 0;

    while (*at == ' ')
        at++;
    for (; *at && (*at != ' ' || depth > 0); at++) {
        depth += strchr("[({", *at) != NULL;
        depth -= strchr("])}", *at) != NULL;
        letters = isalpha((unsigned char)*at) ? letters + 1 : 0;
        if (is_bracket(*at) || *at == ' ' || letters > DAY_NAME_LEN)
            continue;
        if (len + 1 == FIELD_SIZE)
            return NULL;
        field[len++] = *at;
    }
    field[len] = '\0';
    return len > 0 ? at : NULL;
}

/* Where each of Celery's fields belongs; NULL: an unknown order. */
static const int *field_order(const char *legend)
{
    static const int since_5_4[] = {MINUTE, HOUR, DAY, MONTH, WEEKDAY};
    static const int before[] = {MINUTE, HOUR, WEEKDAY, DAY, MONTH};
    if (strncmp(legend, "(m/h/dM/MY/d)", 13) == 0)
        return since_5_4;
    if (strncmp(legend, "(m/h/d/dM/MY)", 13) == 0)
        return before;
    return NULL;
}

static enum coney_rc check_crontab(struct celery_when *w, struct coney_error *err)
{
    struct crontab crontab;
    enum coney_rc rc = crontab_parse(w->crontab, &crontab, err);
    if (rc != CONEY_OK)
        return CONEY_EINVAL;
    w->needs_days = crontab_needs_days(&crontab);
    return crontab_set_days(&crontab, CRONTAB_DAYS_BOTH, err);
}

static enum coney_rc read_crontab(
        const char *text, struct celery_when *w, struct coney_error *err)
{
    char fields[FIELDS][FIELD_SIZE];
    const char *legend = strstr(text, "(m/h/");
    const int *order = legend ? field_order(legend) : NULL;
    const char *at = text + strlen("<crontab:");

    if (!order)
        return refuse(text, err);
    for (size_t i = 0; i < FIELDS; i++) {
        at = read_field(at, fields[order[i]]);
        if (!at || at > legend)
            return refuse(text, err);
    }
    snprintf(w->crontab, sizeof(w->crontab), "%s %s %s %s %s", fields[MINUTE],
            fields[HOUR], fields[DAY], fields[MONTH], fields[WEEKDAY]);
    return check_crontab(w, err);
}

/* --- intervals ---------------------------------------------------------------------- */

static enum coney_rc set_every(
        struct celery_when *w, double seconds, struct coney_error *err)
{
    double ms = round(seconds * 1000);
    if (!(ms >= SCHEDULE_EVERY_MIN_MS && seconds <= every_max_s))
        return error_set(err, CONEY_EINVAL, "an interval of %.17g s", seconds);
    w->every_ms = (int64_t)ms;
    return CONEY_OK;
}

int64_t celery_timedelta_ms(const char *text)
{
    char *end = NULL;
    long days = 0;
    const char *comma = strstr(text, " day");

    if (comma) {
        days = strtol(text, &end, 10);
        if (end != comma || days < 0 || days > 1000000)
            return -1;
        text = strchr(comma, ',');
        if (!text)
            return -1;
        text++;
    }
    long hours = strtol(text, &end, 10);
    if (end == text || *end != ':' || hours < 0 || hours > 23)
        return -1;
    text = end + 1;
    long minutes = strtol(text, &end, 10);
    if (end == text || *end != ':' || minutes < 0 || minutes > 59)
        return -1;
    text = end + 1;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 60))
        return -1;
    return (int64_t)days * 86400000 + hours * 3600000 + minutes * 60000 +
           (int64_t)round(seconds * 1000);
}

/* "<freq: 30.00 seconds>": two digits, in the largest unit that fits. */
static enum coney_rc read_frequency(
        const char *text, struct celery_when *w, struct coney_error *err)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{" second", 1}, {" minute", 60}, {" hour", 3600}, {" day", 86400}};
    char *end = NULL;
    double n = strtod(text + strlen("<freq:"), &end);

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strncmp(end, units[i].name, strlen(units[i].name)) != 0)
            continue;
        w->is_rounded = i > 0 && n != floor(n);
        return set_every(w, n * units[i].seconds, err);
    }
    return refuse(text, err);
}

enum coney_rc celery_when_read(
        const json_t *schedule, struct celery_when *out, struct coney_error *err)
{
    const char *text = json_string_value(schedule);

    *out = (struct celery_when){.every_ms = 0};
    if (json_is_number(schedule))
        return set_every(out, json_number_value(schedule), err);
    if (!text)
        return error_set(err, CONEY_EINVAL, "no schedule that can be read");
    if (strncmp(text, "<crontab:", strlen("<crontab:")) == 0)
        return read_crontab(text, out, err);
    if (strncmp(text, "<freq:", strlen("<freq:")) == 0)
        return read_frequency(text, out, err);
    int64_t ms = celery_timedelta_ms(text);
    return ms >= 0 ? set_every(out, (double)ms / 1000.0, err) : refuse(text, err);
}
