/* SPDX-License-Identifier: MIT */
/* celery_task.c - what a Celery worker says of its tasks. */
#include "cli/celery_task.h"

#include "base/duration.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} items[] = {
        {"rate_limit", offsetof(struct celery_task, rate_limit)},
        {"time_limit", offsetof(struct celery_task, time_limit)},
        {"soft_time_limit", offsetof(struct celery_task, soft_time_limit)},
        {"max_retries", offsetof(struct celery_task, max_retries)},
        {"default_retry_delay", offsetof(struct celery_task, default_retry_delay)},
        {"ignore_result", offsetof(struct celery_task, ignore_result)},
        {"acks_late", offsetof(struct celery_task, acks_late)},
        {"queue", offsetof(struct celery_task, queue)},
        {"serializer", offsetof(struct celery_task, serializer)},
        {"priority", offsetof(struct celery_task, priority)},
        {"expires", offsetof(struct celery_task, expires)},
        {"compression", offsetof(struct celery_task, compression)},
};
enum { ITEMS = sizeof(items) / sizeof(items[0]) };

json_t *celery_task_items(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ITEMS && list; i++) {
        if (json_array_append_new(list, json_string(items[i].name)) == 0)
            continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

static const char **member(struct celery_task *t, size_t i)
{
    return (const char **)(void *)((char *)t + items[i].offset);
}

/* The start of item @i in @text, "rate_limit=", at the beginning of a word; NULL. */
static const char *find_item(const char *text, size_t i)
{
    size_t len = strlen(items[i].name);
    for (const char *at = strstr(text, items[i].name); at;
            at = strstr(at + len, items[i].name))
        if (at[len] == '=' && (at == text || at[-1] == ' ' || at[-1] == '['))
            return at;
    return NULL;
}

/* Values are not quoted: one goes on until the next item, wherever that begins. */
static size_t value_len(const char *value)
{
    size_t len = strlen(value);
    for (size_t i = 0; i < ITEMS; i++) {
        const char *next = find_item(value, i);
        if (next && next > value && (size_t)(next - value) <= len)
            len = (size_t)(next - value);
    }
    while (len > 0 && value[len - 1] == ' ')
        len--;
    return len;
}

enum coney_rc celery_task_read(const char *text, struct arena *a, struct celery_task *out)
{
    const char *open = strstr(text, " [");
    size_t len = strlen(text);
    char *list = NULL;

    *out = (struct celery_task){.name = NULL};
    if (!open || text[len - 1] != ']') {
        out->name = arena_strdup(a, text);
        return out->name ? CONEY_OK : CONEY_ENOMEM;
    }
    out->name = arena_printf(a, "%.*s", (int)(open - text), text);
    list = arena_strdup(a, open + 1);
    if (!out->name || !list)
        return CONEY_ENOMEM;
    list[strlen(list) - 1] = '\0';
    for (size_t i = 0; i < ITEMS; i++) {
        const char *at = find_item(list, i);
        if (!at)
            continue;
        at += strlen(items[i].name) + 1;
        *member(out, i) = arena_printf(a, "%.*s", (int)value_len(at), at);
        if (!*member(out, i))
            return CONEY_ENOMEM;
    }
    return CONEY_OK;
}

/* --- values ------------------------------------------------------------------------- */

bool celery_seconds(double seconds, char *out, size_t size)
{
    char text[DURATION_TEXT_SIZE];
    double ms = round(seconds * 1000);
    if (!(ms >= 1 && ms <= (double)DURATION_MAX_MS))
        return false;
    duration_format((int64_t)ms, text);
    snprintf(out, size, "%s", text);
    return true;
}

bool celery_seconds_text(const char *text, char *out, size_t size)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    return end != text && *end == '\0' && celery_seconds(seconds, out, size);
}

bool celery_rate(const char *text, char *out, size_t size)
{
    char *end = NULL;
    double n = strtod(text, &end);
    double per_hour = n * 3600;

    if (end == text)
        return false;
    if (strcmp(end, "/m") == 0)
        per_hour = n * 60;
    else if (strcmp(end, "/h") == 0)
        per_hour = n;
    else if (*end && strcmp(end, "/s") != 0)
        return false;
    if (!(per_hour >= 1 && per_hour <= (double)RATE_MAX_PER_HOUR))
        return false;
    char rate[DURATION_TEXT_SIZE];
    rate_format((int64_t)floor(per_hour), rate);
    snprintf(out, size, "%s", rate);
    return true;
}
