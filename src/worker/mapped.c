/* SPDX-License-Identifier: MIT */
/* mapped.c - a place in a list, and the values so far as text. */
#include "worker/mapped.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

struct mapped {
    const json_t *items; /* of the request */
    size_t next;
    bool is_star;
    struct buffer values;
    struct buffer text; /* what was handed out last */
};

static const json_t *kwarg(const struct task_request *r, const char *key)
{
    return json_object_get(r->kwargs, key);
}

const char *mapped_name(const struct task_request *r)
{
    const json_t *task = json_object_get(kwarg(r, "task"), "task");

    if (strcmp(r->task, "celery.map") != 0 && strcmp(r->task, "celery.starmap") != 0)
        return NULL;
    return json_string_length(task) > 0 ? json_string_value(task) : NULL;
}

enum coney_rc mapped_new(const struct task_request *r, struct mapped **out)
{
    *out = NULL;
    if (!json_is_array(kwarg(r, "it")))
        return CONEY_EINVAL;
    struct mapped *m = calloc(1, sizeof(*m));
    if (!m)
        return CONEY_ENOMEM;
    m->items = kwarg(r, "it");
    m->is_star = strcmp(r->task, "celery.starmap") == 0;
    buffer_init(&m->values, message_limits_default().body_max);
    buffer_init(&m->text, message_limits_default().body_max);
    *out = m;
    return CONEY_OK;
}

void mapped_free(struct mapped *m)
{
    if (!m)
        return;
    buffer_fini(&m->values);
    buffer_fini(&m->text);
    free(m);
}

bool mapped_is_done(const struct mapped *m)
{
    return m->next >= json_array_size(m->items);
}

static struct bytes handed_out(const struct mapped *m)
{
    return (struct bytes){.data = buffer_data(&m->text), .len = buffer_len(&m->text)};
}

/* What is no list can't be spread: the task gets it, and says what it thinks of it. */
enum coney_rc mapped_body(struct mapped *m, struct bytes *out)
{
    const json_t *item = json_array_get(m->items, m->next);
    bool is_spread = m->is_star && json_is_array(item);

    buffer_clear(&m->text);
    enum coney_rc rc = buffer_printf(&m->text, is_spread ? "[" : "[[");
    if (rc == CONEY_OK)
        rc = json_write(item, &m->text);
    if (rc == CONEY_OK)
        rc = buffer_printf(&m->text, is_spread ? ", {}, {}]" : "], {}, {}]");
    *out = handed_out(m);
    return rc;
}

enum coney_rc mapped_add(struct mapped *m, struct bytes value)
{
    enum coney_rc rc = CONEY_OK;

    if (m->next > 0)
        rc = buffer_append(&m->values, ", ", 2);
    if (rc == CONEY_OK && value.len > 0)
        rc = buffer_append(&m->values, value.data, value.len);
    else if (rc == CONEY_OK)
        rc = buffer_append(&m->values, "null", 4);
    m->next++;
    return rc;
}

enum coney_rc mapped_value(struct mapped *m, struct bytes *out)
{
    buffer_clear(&m->text);
    enum coney_rc rc = buffer_append(&m->text, "[", 1);
    if (rc == CONEY_OK)
        rc = buffer_append(&m->text, buffer_data(&m->values), buffer_len(&m->values));
    if (rc == CONEY_OK)
        rc = buffer_append(&m->text, "]", 1);
    *out = handed_out(m);
    return rc;
}
