/* SPDX-License-Identifier: MIT */
/*
 * replies.c - a list by age and a hash by id over the same entries, and the making of a
 * public result from a message.
 *
 * A result and its texts are one allocation, so that the one free that the public API has
 * is enough, whatever is added to the struct.
 */
#include "lib/replies.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct reply {
    struct reply *newer;
    struct reply *older;
    struct reply *next_in_bucket;
    struct coney_result *result; /* owned */
    size_t bytes;
};

void replies_init(struct replies *r, size_t count_max, size_t bytes_max)
{
    *r = (struct replies){.count_max = count_max, .bytes_max = bytes_max};
}

/* --- results ---------------------------------------------------------------------- */

/* What a message says, while it is put together. NULL: not there. */
struct texts {
    const char *id;
    const char *value;
    const char *error_type;
    const char *error_text;
    const char *traceback;
    const char *state;
    const char *details;
};

static size_t room_for(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *put_text(char **at, const char *text)
{
    if (!text)
        return NULL;
    char *start = *at;
    size_t size = strlen(text) + 1;
    memcpy(start, text, size);
    *at += size;
    return start;
}

static struct coney_result *new_result(
        enum coney_status status, const struct texts *t, size_t *bytes)
{
    *bytes = sizeof(struct coney_result) + room_for(t->id) + room_for(t->value) +
             room_for(t->error_type) + room_for(t->error_text) + room_for(t->traceback) +
             room_for(t->state) + room_for(t->details);
    struct coney_result *result = malloc(*bytes);
    if (!result)
        return NULL;
    char *at = (char *)(result + 1);
    result->status = status;
    result->id = put_text(&at, t->id);
    result->value = put_text(&at, t->value);
    result->error_type = put_text(&at, t->error_type);
    result->error_text = put_text(&at, t->error_text);
    result->traceback = put_text(&at, t->traceback);
    result->state = put_text(&at, t->state);
    result->details = put_text(&at, t->details);
    return result;
}

void coney_result_free(struct coney_result *result)
{
    free(result);
}

static bool status_of(const char *word, enum coney_status *status)
{
    static const char *const words[] = {
            [CONEY_STATUS_SUCCESS] = "SUCCESS",
            [CONEY_STATUS_FAILURE] = "FAILURE",
            [CONEY_STATUS_REVOKED] = "REVOKED",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i]) == 0) {
            *status = (enum coney_status)i;
            return true;
        }
    }
    return false;
}

static char *dump(const json_t *value)
{
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

/*
 * Celery's exceptions carry their constructor's arguments: one text is that text,
 * anything else is shown as JSON. *@owned is what is to be freed then.
 */
static const char *error_text(const json_t *exception, char **owned)
{
    const json_t *message = json_object_get(exception, "exc_message");
    if (!message)
        message = json_is_object(exception) ? NULL : exception;
    if (json_is_array(message) && json_array_size(message) <= 1)
        message = json_array_get(message, 0);
    if (!message || json_is_string(message))
        return json_string_value(message);
    *owned = dump(message);
    return *owned;
}

/* An exception is one in any state: of a failure, or of a retry that is to come. */
static bool has_value(const struct result_message *m, enum coney_status status)
{
    return status == CONEY_STATUS_SUCCESS ||
           (status == CONEY_STATUS_PENDING && !json_object_get(m->value, "exc_type"));
}

static struct coney_result *result_of(const struct result_message *m,
        enum coney_status status, enum result_details details, size_t *bytes)
{
    struct coney_result *result = NULL;
    char *owned = NULL;
    char *all = details == RESULT_WITH_DETAILS && m->root ? dump(m->root) : NULL;
    struct texts t = {.id = m->task_id,
            .traceback = m->traceback,
            .state = m->status,
            .details = all};

    if (has_value(m, status)) {
        owned = m->value ? dump(m->value) : strdup("null");
        t.value = owned;
        if (!owned)
            goto out;
    } else {
        t.error_type = json_string_value(json_object_get(m->value, "exc_type"));
        t.error_text = error_text(m->value, &owned);
    }
    result = new_result(status, &t, bytes);

out:
    free(all);
    free(owned);
    return result;
}

struct coney_result *result_of_message(
        const struct result_message *m, enum result_details details)
{
    enum coney_status status;
    size_t bytes;
    if (!status_of(m->status, &status))
        status = CONEY_STATUS_PENDING;
    return result_of(m, status, details, &bytes);
}

struct coney_result *result_of_nothing(const char *id)
{
    const struct texts t = {.id = id, .state = "PENDING"};
    size_t bytes;
    return new_result(CONEY_STATUS_PENDING, &t, &bytes);
}

/* --- the store -------------------------------------------------------------------- */

/* FNV-1a (Fowler, Noll, Vo). Ids are random or come from our own side. */
static size_t bucket_of(const char *id)
{
    uint32_t hash = 2166136261u;
    for (const char *c = id; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash % REPLIES_BUCKETS;
}

static struct reply **find(struct replies *r, const char *id)
{
    struct reply **at = &r->buckets[bucket_of(id)];
    while (*at && strcmp((*at)->result->id, id) != 0)
        at = &(*at)->next_in_bucket;
    return at;
}

/* Take the entry at @at out; its result is the caller's. */
static struct coney_result *detach(struct replies *r, struct reply **at)
{
    struct reply *e = *at;
    struct coney_result *result = e->result;
    *at = e->next_in_bucket;
    if (e->older)
        e->older->newer = e->newer;
    else
        r->oldest = e->newer;
    if (e->newer)
        e->newer->older = e->older;
    else
        r->newest = e->older;
    r->count--;
    r->bytes -= e->bytes;
    free(e);
    return result;
}

static void drop_oldest(struct replies *r)
{
    coney_result_free(detach(r, find(r, r->oldest->result->id)));
}

void replies_fini(struct replies *r)
{
    while (r->oldest)
        drop_oldest(r);
}

static void attach(struct replies *r, struct reply **at, struct reply *e)
{
    e->next_in_bucket = *at;
    *at = e;
    e->older = r->newest;
    if (r->newest)
        r->newest->newer = e;
    else
        r->oldest = e;
    r->newest = e;
    r->count++;
    r->bytes += e->bytes;
}

enum coney_rc replies_put(struct replies *r, const struct result_message *m)
{
    enum coney_status status;
    struct reply **at = find(r, m->task_id);
    if (!status_of(m->status, &status) || *at)
        return CONEY_OK;

    struct reply *e = calloc(1, sizeof(*e));
    if (e)
        e->result = result_of(m, status, RESULT_BARE, &e->bytes);
    if (!e || !e->result) {
        free(e);
        return CONEY_ENOMEM;
    }
    attach(r, at, e);
    while (r->count > r->count_max || (r->bytes > r->bytes_max && r->count > 1))
        drop_oldest(r);
    return CONEY_OK;
}

struct coney_result *replies_take(struct replies *r, const char *id)
{
    struct reply **at = find(r, id);
    return *at ? detach(r, at) : NULL;
}
