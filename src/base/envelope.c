/* SPDX-License-Identifier: MIT */
/* envelope.c - making and unmaking an envelope. */
#include "base/envelope.h"

struct properties properties_none(void)
{
    return (struct properties){.timestamp_s = -1, .delivery_mode = -1, .priority = -1};
}

enum coney_rc envelope_init(struct envelope *e)
{
    *e = (struct envelope){.arena = arena_new(0), .properties = properties_none()};
    return e->arena ? CONEY_OK : CONEY_ENOMEM;
}

void envelope_fini(struct envelope *e)
{
    arena_free(e->arena);
    *e = (struct envelope){.properties = properties_none()};
}

static enum coney_rc copy_texts(struct properties *p, struct arena *a)
{
    const char **const texts[] = {&p->content_type, &p->content_encoding,
            &p->correlation_id, &p->reply_to, &p->expiration, &p->message_id, &p->type,
            &p->user_id, &p->app_id};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!*texts[i])
            continue;
        *texts[i] = arena_strdup(a, *texts[i]);
        if (!*texts[i])
            return CONEY_ENOMEM;
    }
    return CONEY_OK;
}

enum coney_rc envelope_copy(struct envelope *to, const struct envelope *from)
{
    enum coney_rc rc = envelope_init(to);

    if (rc != CONEY_OK)
        return rc;
    to->properties = from->properties;
    rc = copy_texts(&to->properties, to->arena);
    if (rc == CONEY_OK)
        rc = table_copy_deep(&to->headers, to->arena, &from->headers);
    if (rc == CONEY_OK) {
        to->body = arena_copy(to->arena, from->body);
        rc = to->body.data ? CONEY_OK : CONEY_ENOMEM;
    }
    if (rc != CONEY_OK)
        envelope_fini(to);
    return rc;
}

void envelope_strip_broker_headers(struct envelope *e)
{
    table_remove(&e->headers, "x-death");
    table_remove_prefix(&e->headers, "x-first-death-");
    table_remove_prefix(&e->headers, "x-last-death-");
    table_remove(&e->headers, "x-delivery-count");
    table_remove(&e->headers, "x-acquired-count");
    table_remove(&e->headers, "CC");
    table_remove(&e->headers, "BCC");
    e->properties.expiration = NULL;
    e->properties.user_id = NULL;
}
