/* SPDX-License-Identifier: MIT */
/*
 * join.c - the chord that a task is part of hears of its end; when that was the last one,
 * the chord's body follows.
 */
#include "base/error.h"
#include "base/log.h"
#include "worker/state.h"

#include <stdio.h>

enum { VALUE_MAX = 32 * 1024 * 1024, WHY_SIZE = 300 };

/* --- after the store has answered
 * -------------------------------------------------------------- */

static void forget(struct worker *w, struct job *j, const char *group)
{
    const struct chord_keys keys = chord_keys_of(&w->generation->config->results, group);
    struct step *s = steps_add_store(j, STAGE_FORGET, STORE_COMMANDS);

    if (s && chord_forget(&keys, &s->store.commands) != CONEY_OK)
        steps_remove(s);
}

static void end_chord(struct worker *w, struct step *s, json_t *body, const char *group)
{
    const char *id = json_string_value(json_object_get(s->about, "id"));
    struct chord_end end;
    struct coney_error err;
    enum coney_rc rc = chord_read(s->store.reply->items[0], id, &end, &err);

    if (rc == CONEY_ENOMEM) {
        log_error("chord can't be completed: %s  group=%s id=%s", err.text, group, id);
        return;
    }
    if (!end.is_ours)
        return;
    if (rc == CONEY_OK) {
        log_info("chord complete  parts=%zu group=%s task=%s id=%s", end.parts, group,
                job_task(s->job), id);
        follow_body(w, s->job, body, end.results);
    } else {
        follow_body_failed(w, s->job, body, err.text);
    }
    json_decref(end.results);
    forget(w, s->job, group);
}

static void on_told(struct worker *w, struct step *s, enum publish_outcome outcome)
{
    json_t *body = json_object_get(s->about, "body");
    const char *group = json_string_value(json_object_get(s->about, "group"));
    char why[WHY_SIZE];

    switch (outcome) {
    case PUBLISH_ACKED:
        end_chord(w, s, body, group);
        break;
    case PUBLISH_RETURNED:
        snprintf(why, sizeof(why), "Join error: %s", s->store.error.text);
        follow_body_failed(w, s->job, body, why);
        break;
    case PUBLISH_NACKED:
    case PUBLISH_UNKNOWN:
        log_error("part of a chord is lost: the result store is down; the body will not "
                  "run  group=%s task=%s id=%s",
                group, job_task(s->job), job_id(s->job));
        break;
    }
}

/* --- telling it
 * -------------------------------------------------------------------------------- */

/* What can't be written is a failure that says so. */
static enum coney_rc write_value(
        const struct result *r, struct buffer *out, enum result_status *status)
{
    struct coney_error err;
    enum coney_rc rc = result_write_value(r, out, &err);

    *status = r->status;
    if (rc != CONEY_EINVAL && rc != CONEY_ELIMIT)
        return rc;
    const struct result instead = result_unwritable(r, err.text);
    *status = instead.status;
    buffer_clear(out);
    return result_write_value(&instead, out, NULL);
}

static enum coney_rc add_part(struct worker *w, struct job *j,
        const struct canvas_end *end, const struct result *result)
{
    const struct chord_keys keys =
            chord_keys_of(&w->generation->config->results, end->group);
    const json_t *size = json_object_get(end->chord, "chord_size");
    enum result_status status;
    struct buffer value;
    struct step *s = steps_add_store(j, STAGE_CHORD, STORE_COMMANDS);

    if (!s)
        return CONEY_ENOMEM;
    buffer_init(&value, VALUE_MAX);
    enum coney_rc rc = write_value(result, &value, &status);
    const struct chord_part part = {.task_id = end->id,
            .index = end->group_index,
            .result = {buffer_data(&value), buffer_len(&value)},
            .status = result_status_name(status),
            .size = json_is_integer(size) ? json_integer_value(size) : TASK_NONE,
            .again = j->delivery.redelivered || j->attached};
    if (rc == CONEY_OK)
        rc = chord_tell(&keys, &part, &s->store.commands);
    buffer_fini(&value);
    s->on_done = on_told;
    s->about = json_pack(
            "{s:O, s:s, s:s}", "body", end->chord, "group", end->group, "id", end->id);
    if (rc == CONEY_OK && !s->about)
        rc = CONEY_ENOMEM;
    if (rc != CONEY_OK)
        steps_remove(s);
    return rc;
}

void join_end(struct worker *w, struct job *j, const struct canvas_end *end,
        const struct result *why)
{
    if (!json_is_object(end->chord) || !end->group)
        return;
    if (!w->store) {
        log_warning("part of a chord, whose body will not run: results are not kept in "
                    "redis  group=%s id=%s",
                end->group, end->id);
        return;
    }
    enum coney_rc rc = add_part(w, j, end, why);
    if (rc != CONEY_OK)
        log_error("part of a chord is lost: %s  group=%s id=%s", coney_rc_name(rc),
                end->group, end->id);
}

void join_part(struct worker *w, struct job *j, const struct task_request *r,
        const struct result *result)
{
    const struct canvas_end end = {.id = r->id,
            .group = r->group,
            .group_index = r->group_index,
            .chord = json_object_get(r->embed, "chord")};

    join_end(w, j, &end, result);
}
