/* SPDX-License-Identifier: MIT */
/*
 * zone_query.c - answers questions about time zones, one a line, for zone_agrees.py.
 *
 *     zone NAME      load it             -> ok, or "error: ..."
 *     at SECONDS     the period there    -> offset is_dst abbreviation
 *     local SECONDS  local_to_utc        -> unique|gap|ambiguous first last
 *
 * The zones come from the directory given as argument, else from the system's.
 */
#include "base/zone.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *kind_name(enum zone_local_kind kind)
{
    switch (kind) {
    case ZONE_UNIQUE:
        return "unique";
    case ZONE_GAP:
        return "gap";
    case ZONE_AMBIGUOUS:
        return "ambiguous";
    }
    abort();
}

static void answer_at(const struct zone *z, int64_t utc_s)
{
    struct zone_period p;
    zone_period_at(z, utc_s, &p);
    printf("%" PRId32 " %d %s\n", p.offset_s, p.is_dst, p.abbrev);
    if (utc_s < p.start_s || utc_s >= p.end_s) {
        fprintf(stderr, "%" PRId64 " is outside of its own period\n", utc_s);
        exit(1);
    }
}

static void answer_local(const struct zone *z, int64_t local_s)
{
    struct zone_local l;
    zone_local_to_utc(z, local_s, &l);
    printf("%s %" PRId64 " %" PRId64 "\n", kind_name(l.kind), l.first_s, l.last_s);
}

int main(int argc, char **argv)
{
    const char *root = argc > 1 ? argv[1] : NULL;
    struct zone *z = NULL;
    char line[512];

    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "zone ", 5) == 0) {
            struct coney_error err;
            zone_free(z);
            if (zone_load(root, line + 5, &z, &err) == CONEY_OK)
                puts("ok");
            else
                printf("error: %s\n", err.text);
        } else if (z && strncmp(line, "at ", 3) == 0) {
            answer_at(z, strtoll(line + 3, NULL, 10));
        } else if (z && strncmp(line, "local ", 6) == 0) {
            answer_local(z, strtoll(line + 6, NULL, 10));
        } else {
            fprintf(stderr, "cannot answer \"%s\"\n", line);
            return 1;
        }
    }
    zone_free(z);
    return 0;
}
