/* SPDX-License-Identifier: MIT */
/* attempt.c - arguments in, one outcome out. */
#include "runner/attempt.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/json_part.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The master has looked at a body before; this is only against a stack overflow. */
enum { DEPTH_MAX = 512, ERROR_TEXT_MAX = 16 * 1024, ERROR_TYPE_MAX = 255 };

enum coney_rc attempt_init(
        struct attempt *a, const struct record_job *job, const struct attempt_host *host)
{
    *a = (struct attempt){.job = job,
            .host = host,
            .arena = arena_new(0),
            .started_us = clock_wall_us(),
            .started_ms = clock_mono_ms(),
            .outcome = {.kind = RECORD_SUCCESS,
                    .delay_ms = RECORD_NONE,
                    .max_retries = RECORD_NONE,
                    .rss_kib = RECORD_NONE,
                    .max_rss_kib = RECORD_NONE,
                    .exit_status = -1}};
    buffer_init(&a->value, host->result_max);
    buffer_init(&a->sent, host->result_max);
    return a->arena ? CONEY_OK : CONEY_ENOMEM;
}

const struct record_outcome *attempt_finish(struct attempt *a)
{
    int64_t now_ms = clock_mono_ms();
    a->outcome.started_us = a->started_us;
    a->outcome.duration_ms = now_ms - a->started_ms;
    a->outcome.value = (struct bytes){"", 0};
    if (a->outcome.kind != RECORD_SUCCESS)
        return &a->outcome;
    a->outcome.value = (struct bytes){buffer_data(&a->value), buffer_len(&a->value)};
    if (buffer_len(&a->sent) > 0 && buffer_append(&a->sent, "]", 1) == CONEY_OK)
        a->outcome.publish = (struct bytes){buffer_data(&a->sent), buffer_len(&a->sent)};
    return &a->outcome;
}

void attempt_fini(struct attempt *a)
{
    json_decref(a->args);
    json_decref(a->kwargs);
    buffer_fini(&a->value);
    buffer_fini(&a->sent);
    arena_free(a->arena);
}

int64_t attempt_first_limit_ms(const struct attempt *a)
{
    int64_t soft_ms = a->job->soft_ms, hard_ms = a->job->hard_ms;
    if (soft_ms == RECORD_NONE)
        return hard_ms;
    return hard_ms == RECORD_NONE || soft_ms < hard_ms ? soft_ms : hard_ms;
}

bool attempt_deadline(const struct attempt *a, int64_t *deadline_us)
{
    int64_t limit_ms = attempt_first_limit_ms(a);
    if (limit_ms == RECORD_NONE || limit_ms > (INT64_MAX - a->started_us) / 1000)
        return false;
    *deadline_us = a->started_us + limit_ms * 1000;
    return true;
}

/* The body's element at @index; the others are not parsed. NULL: an error is set. */
static json_t *decode_part(struct attempt *a, size_t index)
{
    const struct json_limits limits = {
            .text_max = SIZE_MAX, .values_max = SIZE_MAX, .depth_max = DEPTH_MAX};
    struct coney_error err;
    json_t *part = NULL;
    enum coney_rc rc = json_read(json_element(a->job->body, index), &limits, &part, &err);
    if (rc != CONEY_OK)
        attempt_set_errorf(a, RECORD_FAIL,
                rc == CONEY_ENOMEM ? "MemoryError" : "TypeError",
                "the arguments can't be read: %s", err.text);
    return part;
}

bool attempt_decode(struct attempt *a, json_t **args, json_t **kwargs)
{
    a->args = decode_part(a, 0);
    a->kwargs = a->args ? decode_part(a, 1) : NULL;
    if (!a->kwargs)
        return false;
    if (!json_is_array(a->args) || !json_is_object(a->kwargs)) {
        attempt_set_error(a, RECORD_FAIL, "TypeError",
                "the arguments must be an array and an object");
        return false;
    }
    *args = a->args;
    *kwargs = a->kwargs;
    return true;
}

/* --- outcomes ----------------------------------------------------------------------- */

/* A copy of at most @max bytes; the text itself must never be the reason for a failure.
 */
static const char *copy_text(struct attempt *a, const char *text, size_t max)
{
    struct bytes all = {text, strlen(text)};
    all.len = utf8_cut(all, max);
    const char *copy = utf8_repair(a->arena, all).data;
    return copy ? copy : "out of memory";
}

void attempt_set_error(
        struct attempt *a, enum record_kind kind, const char *type, const char *text)
{
    buffer_clear(&a->value);
    a->outcome.kind = kind;
    a->outcome.error_type =
            copy_text(a, type && *type ? type : "TaskError", ERROR_TYPE_MAX);
    a->outcome.error_text = copy_text(a, text ? text : "", ERROR_TEXT_MAX);
}

void attempt_set_errorf(
        struct attempt *a, enum record_kind kind, const char *type, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    attempt_set_error(a, kind, type, text);
}

static void set_result(struct attempt *a, enum coney_rc rc)
{
    if (rc == CONEY_OK) {
        a->outcome.kind = RECORD_SUCCESS;
        a->outcome.error_type = NULL;
        a->outcome.error_text = NULL;
    } else if (rc == CONEY_ELIMIT) {
        attempt_set_errorf(a, RECORD_FAIL, "ResultTooLarge",
                "the result is larger than %zu bytes", a->value.max);
    } else if (rc == CONEY_ENOMEM) {
        attempt_set_error(a, RECORD_FAIL, "MemoryError", "no memory for the result");
    } else {
        attempt_set_error(a, RECORD_FAIL, "ResultError", "the result is not valid UTF-8");
    }
}

void attempt_set_json(struct attempt *a, struct bytes json)
{
    buffer_clear(&a->value);
    set_result(a, buffer_append(&a->value, json.data, json.len));
}

void attempt_set_value(struct attempt *a, const json_t *value)
{
    buffer_clear(&a->value);
    if (value)
        set_result(a, json_write(value, &a->value));
    else
        attempt_set_error(a, RECORD_FAIL, "ResultError",
                "the result is NULL: out of memory, or not valid UTF-8");
}

/* --- what it wants sent ------------------------------------------------------------- */

/* The id that @signature has been given, else a new one; in the arena. */
static const char *choose_id(struct attempt *a, json_t *signature)
{
    json_t *options = json_object_get(signature, "options");
    const char *id = json_string_value(json_object_get(options, "task_id"));
    char uuid[UUID_TEXT_SIZE];
    struct rng rng;

    if (id && *id)
        return arena_strdup(a->arena, id);
    rng_seed_random(&rng);
    rng_uuid(&rng, uuid);
    if (!json_is_object(options)) {
        json_object_set_new(signature, "options", json_object());
        options = json_object_get(signature, "options");
    }
    return json_object_set_new(options, "task_id", json_string(uuid)) == 0
                   ? arena_strdup(a->arena, uuid)
                   : NULL;
}

/* All of @signature or nothing, with room kept for the end of the list. */
static enum coney_rc add_signature(struct attempt *a, const json_t *signature)
{
    bool is_first = buffer_len(&a->sent) == 0;
    struct buffer text;
    uint8_t *end;

    buffer_init(&text, a->value.max - buffer_len(&a->value));
    enum coney_rc rc = buffer_append(&text, is_first ? "[" : ", ", is_first ? 1 : 2);
    if (rc == CONEY_OK)
        rc = json_write(signature, &text);
    if (rc == CONEY_OK)
        rc = buffer_reserve(&a->sent, buffer_len(&text) + 1, &end);
    if (rc == CONEY_OK && buffer_len(&text) + 1 > text.max)
        rc = CONEY_ELIMIT;
    if (rc == CONEY_OK)
        rc = buffer_append(&a->sent, buffer_data(&text), buffer_len(&text));
    if (rc == CONEY_OK)
        a->value.max = a->host->result_max - buffer_len(&a->sent) - 1;
    buffer_fini(&text);
    return rc;
}

const char *attempt_send(struct attempt *a, json_t *signature)
{
    const char *id = NULL;
    enum coney_rc rc = CONEY_EINVAL;
    char line[RECORD_LOG_MAX];

    if (json_string_length(json_object_get(signature, "task")) > 0) {
        id = choose_id(a, signature);
        rc = id ? add_signature(a, signature) : CONEY_ENOMEM;
    }
    if (rc == CONEY_OK)
        return id;
    snprintf(line, sizeof(line), "a task that this one wants sent is not taken: %s",
            rc == CONEY_ELIMIT   ? "too large, with the others and the result"
            : rc == CONEY_EINVAL ? "not a signature that names a task, or not UTF-8"
                                 : "out of memory");
    a->host->log(a->host->ctx, LOG_LEVEL_ERROR, line);
    return NULL;
}
