/* SPDX-License-Identifier: MIT */
/* redis_url.c - redis's schemes, and the database in a URL's path. */
#include "redis/redis_url.h"

#include "base/error.h"

#include <ctype.h>

enum { DB_MAX = 65535 };

static const struct url_schemes schemes = {
        .tls = "rediss", .tls_port = "6379", .plain = "redis", .plain_port = "6379"};

enum coney_rc redis_url_parse(
        const char *text, struct arena *a, struct redis_url *r, struct coney_error *err)
{
    enum coney_rc rc = url_parse(text, &schemes, a, &r->url, err);
    r->db = 0;
    if (rc != CONEY_OK)
        return rc;
    for (const char *p = r->url.path; p && *p != '\0'; p++) {
        if (!isdigit((unsigned char)*p) || r->db > DB_MAX)
            return error_set(err, CONEY_EINVAL,
                    "after the / stands the database, a number, 0 when left out");
        r->db = r->db * 10 + (unsigned)(*p - '0');
    }
    if (r->db > DB_MAX)
        return error_set(err, CONEY_EINVAL, "there is no database with so high a number");
    return CONEY_OK;
}
