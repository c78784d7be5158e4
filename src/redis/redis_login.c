/* SPDX-License-Identifier: MIT */
/* redis_login.c - AUTH, CLIENT SETNAME, SELECT and PING. */
#include "redis/redis_login.h"

#include "base/error.h"

#include <stdio.h>

enum coney_rc redis_login_compose(const struct redis_login *l, struct redis_commands *c)
{
    char db[16];
    bool has_user = l->user && *l->user != '\0';
    const char *auth[] = {"AUTH", l->user, l->password};
    const char *short_auth[] = {"AUTH", l->password};
    const char *name[] = {"CLIENT", "SETNAME", l->name};
    const char *select[] = {"SELECT", db};
    const char *ping[] = {"PING"};
    enum coney_rc rc = CONEY_OK;

    snprintf(db, sizeof(db), "%u", l->db);
    if (l->password)
        rc = redis_commands_add_texts(c, has_user ? 3 : 2, has_user ? auth : short_auth);
    if (rc == CONEY_OK && l->name)
        rc = redis_commands_add_texts(c, 3, name);
    if (rc == CONEY_OK && l->db != 0)
        rc = redis_commands_add_texts(c, 2, select);
    if (rc == CONEY_OK)
        rc = redis_commands_add_texts(c, 1, ping);
    return rc;
}

/* Nobody may care about the connection's name, and an ACL may forbid to set it. */
static bool is_about_name(const struct redis_login *l, size_t index)
{
    return l->name && index == (l->password ? 1u : 0u);
}

enum coney_rc redis_login_judge(const struct redis_login *l,
        const struct redis_reply *replies, struct coney_error *err)
{
    for (size_t i = 0; i < replies->count; i++) {
        const struct redis_reply *reply = replies->items[i];
        if (reply->type != REDIS_ERROR || is_about_name(l, i))
            continue;
        const char *text = redis_reply_text(reply);
        if (redis_reply_is_error(reply, "NOAUTH"))
            return error_set(err, CONEY_EREFUSED, "a password is needed: %.160s", text);
        if (l->password && i == 0)
            return error_set(err, CONEY_EREFUSED, "the login is refused: %.160s", text);
        return error_set(err, redis_reply_is_ailing(reply) ? CONEY_EIO : CONEY_EREFUSED,
                "%.160s", text);
    }
    return CONEY_OK;
}
