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

void envelope_strip_broker_headers(struct envelope *e)
{
    table_remove(&e->headers, "x-death");
    table_remove_prefix(&e->headers, "x-first-death-");
    table_remove_prefix(&e->headers, "x-last-death-");
    table_remove(&e->headers, "x-delivery-count");
    table_remove(&e->headers, "x-acquired-count");
    e->properties.expiration = NULL;
}
