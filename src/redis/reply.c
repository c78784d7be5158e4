/* SPDX-License-Identifier: MIT */
/* reply.c - what a reply owns. */
#include "redis/reply.h"

#include <stdlib.h>
#include <string.h>

/* As deep as the parser lets it nest, which is a handful. */
void redis_reply_free(struct redis_reply *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        redis_reply_free(r->items[i]); /* NOLINT(misc-no-recursion) */
    free(r->items);
    free(r);
}

const char *redis_reply_text(const struct redis_reply *r)
{
    return r->text.data ? r->text.data : "";
}

bool redis_reply_is_error(const struct redis_reply *r, const char *code)
{
    size_t len = strlen(code);
    if (r->type != REDIS_ERROR || r->text.len < len)
        return false;
    const char *text = r->text.data;
    return memcmp(text, code, len) == 0 && (text[len] == ' ' || text[len] == '\0');
}

bool redis_reply_is_ailing(const struct redis_reply *reply)
{
    static const char *const codes[] = {"LOADING", "READONLY", "NOREPLICAS", "OOM",
            "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOPERM",
            "NOAUTH"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (redis_reply_is_error(reply, codes[i]))
            return true;
    return false;
}
