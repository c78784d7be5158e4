/* SPDX-License-Identifier: MIT */
/* duration.c - durations, sizes and rates as people write them. */
#include "base/duration.h"

#include "base/error.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t value;
};

static const struct unit duration_units[] = {
        {"w", INT64_C(7) * 24 * 3600 * 1000},
        {"d", INT64_C(24) * 3600 * 1000},
        {"h", INT64_C(3600) * 1000},
        {"m", INT64_C(60) * 1000},
        {"s", INT64_C(1000)},
        {"ms", INT64_C(1)},
};
static const struct unit size_units[] = {
        {"G", INT64_C(1) << 30},
        {"M", INT64_C(1) << 20},
        {"K", INT64_C(1) << 10},
        {"B", INT64_C(1)},
};
static const struct unit rate_units[] = {
        {"/s", INT64_C(3600)},
        {"/m", INT64_C(60)},
        {"/h", INT64_C(1)},
};

enum { DURATION_UNITS = sizeof(duration_units) / sizeof(duration_units[0]) };
enum { SIZE_UNITS = sizeof(size_units) / sizeof(size_units[0]) };
enum { RATE_UNITS = sizeof(rate_units) / sizeof(rate_units[0]) };

/*
 * Read the digits at *@at and step over them. -1: there are none; a number above @max
 * reads as @max + 1.
 */
static int64_t take_number(const char **at, int64_t max)
{
    const char *s = *at;
    int64_t n = 0;
    while (*s >= '0' && *s <= '9') {
        n = n > max ? n : n * 10 + (*s - '0');
        s++;
    }
    if (s == *at)
        return -1;
    *at = s;
    return n > max ? max + 1 : n;
}

/* The unit that *@at spells out up to the next digit or the end, stepped over; NULL. */
static const struct unit *take_unit(
        const char **at, const struct unit *units, size_t count)
{
    size_t len = strcspn(*at, "0123456789");
    for (size_t i = 0; i < count; i++) {
        if (strlen(units[i].name) == len && memcmp(units[i].name, *at, len) == 0) {
            *at += len;
            return &units[i];
        }
    }
    return NULL;
}

static enum coney_rc duration_malformed(
        const char *text, const char *at, struct coney_error *err)
{
    if (*at == '\0' && at > text)
        return error_set(err, CONEY_ESYNTAX,
                "\"%s\" has no unit: write %sms, %ss, %sm, %sh, %sd or %sw", text, text,
                text, text, text, text, text);
    if (*at == 'M')
        return error_set(err, CONEY_ESYNTAX,
                "\"%s\" is no duration: minutes are m, milliseconds ms (M is mebibytes)",
                text);
    if (*at == '.')
        return error_set(err, CONEY_ESYNTAX,
                "\"%s\" has a fraction: use a smaller unit, as in 1h30m or 500ms", text);
    return error_set(err, CONEY_ESYNTAX,
            "\"%s\" is no duration: write a number and ms, s, m, h, d or w, as in 1h30m",
            text);
}

enum coney_rc duration_parse(const char *text, int64_t *ms, struct coney_error *err)
{
    const char *at = text;
    const struct unit *previous = NULL;
    int64_t sum = 0;

    if (strlen(text) >= DURATION_TEXT_SIZE)
        return error_set(err, CONEY_ESYNTAX, "too long for a duration such as 1h30m");
    do {
        int64_t n = take_number(&at, DURATION_MAX_MS);
        const char *unit_at = at;
        const struct unit *unit =
                n < 0 ? NULL : take_unit(&at, duration_units, DURATION_UNITS);
        if (!unit)
            return duration_malformed(text, unit_at, err);
        if (previous && unit <= previous)
            return error_set(err, CONEY_ESYNTAX,
                    "\"%s\": each unit once, the largest first, as in 1h30m", text);
        if (n > (DURATION_MAX_MS - sum) / unit->value)
            return error_set(err, CONEY_ELIMIT, "\"%s\" is more than 100 years", text);
        sum += n * unit->value;
        previous = unit;
    } while (*at);
    *ms = sum;
    return CONEY_OK;
}

void duration_format(int64_t ms, char text[DURATION_TEXT_SIZE])
{
    assert(ms >= 0);
    if (ms == 0) {
        memcpy(text, "0s", sizeof("0s"));
        return;
    }

    size_t len = 0;
    for (size_t i = 1; i < DURATION_UNITS; i++) { /* days read better than weeks */
        int64_t n = ms / duration_units[i].value;
        ms %= duration_units[i].value;
        if (n > 0)
            len += (size_t)snprintf(text + len, DURATION_TEXT_SIZE - len, "%" PRId64 "%s",
                    n, duration_units[i].name);
    }
}

enum coney_rc size_parse(const char *text, int64_t *bytes, struct coney_error *err)
{
    const char *at = text;
    int64_t n = take_number(&at, SIZE_MAX_BYTES);

    if (n >= 0 && *at == '\0')
        return error_set(err, CONEY_ESYNTAX,
                "\"%.32s\" has no unit: write %.32sM for mebibytes, K, G, or B for bytes",
                text, text);
    const struct unit *unit = n < 0 ? NULL : take_unit(&at, size_units, SIZE_UNITS);
    if (!unit || *at)
        return error_set(err, CONEY_ESYNTAX,
                "\"%.32s\" is no size: write a number and B, K, M or G, as in 300M",
                text);
    if (n > SIZE_MAX_BYTES / unit->value)
        return error_set(err, CONEY_ELIMIT, "\"%.32s\" is more than 1024G", text);
    *bytes = n * unit->value;
    return CONEY_OK;
}

enum coney_rc rate_parse(const char *text, int64_t *per_hour, struct coney_error *err)
{
    const char *at = text;
    int64_t n = take_number(&at, RATE_MAX_PER_HOUR);

    if (n >= 0 && *at == '\0')
        return error_set(err, CONEY_ESYNTAX,
                "\"%.32s\" does not say per what: write %.32s/s, %.32s/m or %.32s/h",
                text, text, text, text);
    const struct unit *unit = n < 0 ? NULL : take_unit(&at, rate_units, RATE_UNITS);
    if (!unit || *at)
        return error_set(err, CONEY_ESYNTAX,
                "\"%.32s\" is no rate: write a number and /s, /m or /h, as in 10/m",
                text);
    if (n == 0)
        return error_set(err, CONEY_ESYNTAX,
                "\"%.32s\" would never let a task start; the least is 1/h", text);
    if (n > RATE_MAX_PER_HOUR / unit->value)
        return error_set(err, CONEY_ELIMIT, "\"%.32s\" is more than 1000000/s", text);
    *per_hour = n * unit->value;
    return CONEY_OK;
}

/* The largest unit that divides @n; the units end with the one of value 1. */
static const struct unit *exact_unit(int64_t n, const struct unit *unit)
{
    while (n % unit->value != 0 || (n == 0 && unit->value != 1))
        unit++;
    return unit;
}

void size_format(int64_t bytes, char text[DURATION_TEXT_SIZE])
{
    assert(bytes >= 0);
    const struct unit *unit = exact_unit(bytes, size_units);
    snprintf(text, DURATION_TEXT_SIZE, "%" PRId64 "%s", bytes / unit->value, unit->name);
}

void rate_format(int64_t per_hour, char text[DURATION_TEXT_SIZE])
{
    assert(per_hour > 0);
    const struct unit *unit = exact_unit(per_hour, rate_units);
    snprintf(text, DURATION_TEXT_SIZE, "%" PRId64 "%s", per_hour / unit->value,
            unit->name);
}
