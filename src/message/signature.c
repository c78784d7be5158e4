/* SPDX-License-Identifier: MIT */
/*
 * signature.c - a signature's options, read one by one into a task_spec.
 *
 * Whatever has the wrong type is refused by name: a message with it left out would run,
 * but not as its author meant it.
 */
#include "message/signature.h"

#include "base/error.h"
#include "message/embed.h"
#include "message/json_field.h"
#include "message/task.h"
#include "message/task_headers.h"
#include "message/time.h"
#include "message/typed.h"

#include <string.h>

/* --- looking
 * -------------------------------------------------------------------------------- */

enum signature_kind signature_kind(const json_t *signature)
{
    static const struct {
        const char *name;
        enum signature_kind kind;
    } kinds[] = {{"chain", SIGNATURE_CHAIN}, {"group", SIGNATURE_GROUP},
            {"chord", SIGNATURE_CHORD}, {"chunks", SIGNATURE_CHUNKS}};
    const char *type = json_string_value(json_object_get(signature, "subtask_type"));

    for (size_t i = 0; type && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(type, kinds[i].name) == 0)
            return kinds[i].kind;
    return SIGNATURE_TASK;
}

bool signature_is_immutable(const json_t *signature)
{
    const char *type = json_string_value(json_object_get(signature, "subtask_type"));

    /* Celery makes these two immutable whenever it reads them. */
    if (type && (strcmp(type, "xmap") == 0 || strcmp(type, "xstarmap") == 0))
        return true;
    return json_is_true(json_object_get(signature, "immutable"));
}

json_t *signature_option(const json_t *signature, const char *option)
{
    json_t *v = json_object_get(json_object_get(signature, "options"), option);

    return json_is_null(v) ? NULL : v;
}

const char *signature_text(const json_t *signature, const char *option)
{
    const char *text = json_string_value(signature_option(signature, option));

    return text && *text ? text : NULL;
}

/* --- options
 * -------------------------------------------------------------------------------- */

struct reader {
    const json_t *signature;
    struct coney_error *err;
    int64_t now_us;
    struct arena *arena;  /* for these two */
    struct table headers; /* of the user */
    struct table stamps;
};

static enum coney_rc wrong(struct reader *r, const char *option, const char *what)
{
    return error_set(r->err, CONEY_EINVAL, "option %s is not %s", option, what);
}

static enum coney_rc read_text(struct reader *r, const char *option, const char **out)
{
    const json_t *v = signature_option(r->signature, option);

    *out = NULL;
    if (!v)
        return CONEY_OK;
    const char *text = json_string_value(v);
    if (!text || strlen(text) != json_string_length(v))
        return wrong(r, option, "a text");
    *out = *text ? text : NULL;
    return CONEY_OK;
}

static enum coney_rc read_integer(struct reader *r, const char *option, int64_t *out)
{
    const json_t *v = signature_option(r->signature, option);

    if (!v)
        return CONEY_OK;
    double number = json_number_value(v);
    /* Said this way round, not-a-number is refused too. */
    if (!json_is_number(v) || !(number >= INT32_MIN && number <= INT32_MAX) ||
            number != (double)(int64_t)number)
        return wrong(r, option, "an integer");
    *out = (int64_t)number;
    return CONEY_OK;
}

/* Seconds, of which 0 means no limit; a fraction of a millisecond counts as a whole one.
 */
static enum coney_rc read_limit(struct reader *r, const char *option, int64_t *out_ms)
{
    const json_t *v = signature_option(r->signature, option);

    if (!v)
        return CONEY_OK;
    double seconds = json_number_value(v);
    if (!json_is_number(v) ||
            !(seconds >= 0 && seconds <= (double)TASK_TIME_LIMIT_MAX_MS / 1000))
        return wrong(r, option, "a number of seconds");
    if (seconds == 0)
        return CONEY_OK;
    *out_ms = (int64_t)(seconds * 1000);
    if ((double)*out_ms < seconds * 1000)
        ++*out_ms;
    return CONEY_OK;
}

/* So many seconds from now, not-a-number refused too. */
static enum coney_rc read_span(
        struct reader *r, const char *option, const json_t *v, int64_t *out_us)
{
    double seconds = json_number_value(v);

    const double most = (double)TIME_MAX_US / 1000000;

    if (!json_is_number(v) || !(seconds >= -most && seconds <= most))
        return wrong(r, option, "a number of seconds");
    *out_us = r->now_us + (int64_t)(seconds * 1000000);
    return CONEY_OK;
}

static enum coney_rc read_moment(
        struct reader *r, const char *option, const json_t *v, int64_t *out_us)
{
    const char *text = json_string_value(v);

    if (text && *text == '\0')
        return CONEY_OK;
    if ((text ? time_parse(text, out_us) : typed_read_datetime(v, out_us)) != CONEY_OK)
        return wrong(r, option, "an ISO 8601 time");
    return CONEY_OK;
}

static enum coney_rc read_times(struct reader *r, struct task_spec *spec)
{
    const json_t *countdown = signature_option(r->signature, "countdown");
    const json_t *eta = signature_option(r->signature, "eta");
    const json_t *expires = signature_option(r->signature, "expires");
    enum coney_rc rc = CONEY_OK;

    if (countdown)
        rc = read_span(r, "countdown", countdown, &spec->eta_us);
    else if (eta)
        rc = read_moment(r, "eta", eta, &spec->eta_us);
    if (rc == CONEY_OK && json_is_number(expires))
        rc = read_span(r, "expires", expires, &spec->expires_us);
    else if (rc == CONEY_OK && expires)
        rc = read_moment(r, "expires", expires, &spec->expires_us);
    if (rc == CONEY_OK)
        rc = read_limit(r, "time_limit", &spec->time_limit_ms);
    if (rc == CONEY_OK)
        rc = read_limit(r, "soft_time_limit", &spec->soft_time_limit_ms);
    return rc;
}

static enum coney_rc read_numbers(struct reader *r, struct task_spec *spec)
{
    const json_t *ignore = signature_option(r->signature, "ignore_result");
    int64_t priority = spec->priority;

    if (ignore && !json_is_boolean(ignore))
        return wrong(r, "ignore_result", "true or false");
    if (ignore)
        spec->ignore_result =
                json_is_true(ignore) ? TASK_RESULT_IGNORE : TASK_RESULT_KEEP;
    enum coney_rc rc = read_integer(r, "priority", &priority);
    if (rc == CONEY_OK && (priority < -1 || priority > 255))
        rc = wrong(r, "priority", "from 0 to 255");
    spec->priority = (int)priority;
    if (rc == CONEY_OK)
        rc = read_integer(r, "group_index", &spec->group_index);
    if (rc == CONEY_OK)
        rc = read_integer(r, "retries", &spec->retries);
    if (rc == CONEY_OK)
        rc = read_integer(r, "replaced_task_nesting", &spec->replaced_nesting);
    return rc;
}

static enum coney_rc read_names(
        struct reader *r, struct task_spec *spec, struct signature_route *route)
{
    const struct {
        const char *option;
        const char **out;
    } texts[] = {{"task_id", &spec->id}, {"group_id", &spec->group},
            {"root_id", &spec->root_id}, {"parent_id", &spec->parent_id},
            {"shadow", &spec->shadow}, {"queue", &route->queue},
            {"exchange", &route->exchange}, {"routing_key", &route->routing_key}};
    enum coney_rc rc = CONEY_OK;
    const char *reply_to = NULL;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && rc == CONEY_OK; i++)
        rc = read_text(r, texts[i].option, texts[i].out);
    if (rc == CONEY_OK)
        rc = read_text(r, "reply_to", &reply_to);
    if (rc == CONEY_OK && reply_to)
        spec->reply_to = reply_to;
    /* As a message's delivery says it: the default exchange, and so a queue. */
    if (signature_option(r->signature, "exchange") && !route->exchange && !route->queue)
        route->queue = route->routing_key;
    return rc;
}

static enum coney_rc check_serializer(struct reader *r)
{
    const char *name;
    enum coney_rc rc = read_text(r, "serializer", &name);

    if (rc == CONEY_OK && name && strcmp(name, "json") != 0 &&
            strcmp(name, "application/json") != 0)
        return error_set(r->err, CONEY_EINVAL,
                "option serializer is \"%.40s\": only json is written", name);
    return rc;
}

/* --- headers
 * -------------------------------------------------------------------------------- */

/* What a name of Celery's own would say, the options have said already. */
static enum coney_rc read_headers(struct reader *r)
{
    json_t *headers = signature_option(r->signature, "headers");
    struct table all = {.fields = NULL};

    if (!headers)
        return CONEY_OK;
    if (!json_is_object(headers))
        return wrong(r, "headers", "an object");
    enum coney_rc rc = json_fields(headers, r->arena, &all);
    for (size_t i = 0; i < all.count && rc == CONEY_OK; i++)
        if (all.fields[i].key.len > 0 && !task_headers_is_reserved(all.fields[i].key))
            rc = table_append(&r->headers, r->arena, &all.fields[i]);
    return rc == CONEY_OK ? CONEY_OK : error_set(r->err, rc, "option headers");
}

/* The names in stamped_headers are options themselves. */
static enum coney_rc read_stamps(struct reader *r)
{
    const json_t *names = signature_option(r->signature, "stamped_headers");
    enum coney_rc rc = CONEY_OK;

    if (names && !json_is_array(names))
        return wrong(r, "stamped_headers", "an array");
    for (size_t i = 0; i < json_array_size(names) && rc == CONEY_OK; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        json_t *value = name ? signature_option(r->signature, name) : NULL;
        struct field f;
        if (!value)
            continue;
        rc = json_field(value, r->arena, &f);
        f.key = (struct bytes){.data = name, .len = strlen(name)};
        if (rc == CONEY_OK)
            rc = table_set(&r->stamps, r->arena, &f);
    }
    return rc == CONEY_OK ? CONEY_OK : error_set(r->err, rc, "option stamped_headers");
}

/* --- what follows it
 * ------------------------------------------------------------------------ */

/* Python writes one signature without its list; missing parts would fail its reader. */
static json_t *whole_signature(json_t *s)
{
    json_t *whole = json_copy(s);

    if (whole && !json_is_array(json_object_get(whole, "args")))
        json_object_set_new(whole, "args", json_array());
    if (whole && !json_is_object(json_object_get(whole, "kwargs")))
        json_object_set_new(whole, "kwargs", json_object());
    if (whole && !json_is_object(json_object_get(whole, "options")))
        json_object_set_new(whole, "options", json_object());
    return whole;
}

static json_t *signature_list(json_t *v)
{
    json_t *list = json_array();

    if (!json_is_array(v)) {
        json_array_append_new(list, whole_signature(v));
        return list;
    }
    for (size_t i = 0; i < json_array_size(v); i++)
        json_array_append_new(list, whole_signature(json_array_get(v, i)));
    return list;
}

static enum coney_rc read_embed(struct reader *r, json_t **out)
{
    static const char *const keys[][2] = {{"link", "callbacks"},
            {"link_error", "errbacks"}, {"chain", "chain"}, {"chord", "chord"}};
    json_t *embed = json_object();
    enum coney_rc rc = CONEY_OK;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && rc == CONEY_OK; i++) {
        json_t *v = signature_option(r->signature, keys[i][0]);
        if (!v)
            continue;
        bool is_chord = strcmp(keys[i][1], "chord") == 0;
        if (is_chord ? !json_is_object(v) : !json_is_object(v) && !json_is_array(v))
            rc = wrong(r, keys[i][0], is_chord ? "a signature" : "a list of signatures");
        else if (json_object_set_new(embed, keys[i][1],
                         is_chord ? whole_signature(v) : signature_list(v)) != 0)
            rc = error_set_nomem(r->err);
    }
    if (rc == CONEY_OK)
        rc = embed_check_write(embed, r->err);
    if (rc == CONEY_OK)
        *out = embed;
    else
        json_decref(embed);
    return rc;
}

static enum coney_rc check_shape(const json_t *s, struct coney_error *err)
{
    const char *task = json_string_value(json_object_get(s, "task"));

    if (!task || strlen(task) != json_string_length(json_object_get(s, "task")))
        return error_set(err, CONEY_EINVAL, "signature without a task name");
    return CONEY_OK;
}

/* --- the whole
 * ------------------------------------------------------------------------------ */

static enum coney_rc read_all(
        struct reader *r, struct task_spec *spec, struct signature_route *route)
{
    enum coney_rc rc =
            r->arena ? check_shape(r->signature, r->err) : error_set_nomem(r->err);

    if (rc == CONEY_OK)
        rc = check_serializer(r);
    if (rc == CONEY_OK)
        rc = read_names(r, spec, route);
    if (rc == CONEY_OK)
        rc = read_numbers(r, spec);
    if (rc == CONEY_OK)
        rc = read_times(r, spec);
    if (rc == CONEY_OK)
        rc = read_headers(r);
    return rc == CONEY_OK ? read_stamps(r) : rc;
}

enum coney_rc signature_encode(const json_t *signature,
        const struct signature_sender *sender, struct envelope *out,
        struct signature_route *route, struct coney_error *err)
{
    struct reader r = {.signature = signature,
            .err = err,
            .now_us = sender->now_us,
            .arena = arena_new(0)};
    struct task_spec spec = task_spec_none();
    json_t *embed = NULL;

    *out = (struct envelope){.arena = NULL};
    *route = (struct signature_route){.queue = NULL};
    spec.reply_to = sender->reply_to;
    spec.origin = sender->origin;
    enum coney_rc rc = read_all(&r, &spec, route);
    if (rc == CONEY_OK)
        rc = read_embed(&r, &embed);
    if (rc != CONEY_OK)
        goto out;
    spec.task = json_string_value(json_object_get(signature, "task"));
    spec.args = json_object_get(signature, "args");
    spec.kwargs = json_object_get(signature, "kwargs");
    spec.embed = embed;
    spec.headers = &r.headers;
    spec.stamps = &r.stamps;
    route->eta_us = spec.eta_us;
    rc = task_encode(&spec, sender->now_us, sender->rng, out, err);
out:
    json_decref(embed);
    arena_free(r.arena);
    return rc;
}
