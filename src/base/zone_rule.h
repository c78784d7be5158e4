/* SPDX-License-Identifier: MIT */
/*
 * zone_rule.h - the POSIX TZ string in a zone file's footer: local time for ever after.
 *
 * "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX.1-2017 §8.3, with the hours from -167 to 167 of RFC
 * 9636 §3.3.2). Private to zone.c.
 */
#ifndef CONEY_BASE_ZONE_RULE_H
#define CONEY_BASE_ZONE_RULE_H

#include "base/buffer.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

enum { ZONE_ABBREV_MAX = 31 };

enum zone_day_kind {
    ZONE_DAY_JULIAN,  /* Jn: 1 to 365, 29 February is never counted */
    ZONE_DAY_OF_YEAR, /* n: 0 to 365, 29 February is counted */
    ZONE_DAY_OF_MONTH /* Mm.w.d: the w-th weekday d of month m, 5 is the last */
};

/* One of the two changes of a year. */
struct zone_change {
    enum zone_day_kind kind;
    int month, week, weekday; /* ZONE_DAY_OF_MONTH */
    int day;                  /* the others */
    int32_t time_s;           /* after midnight, by the clock in force until then */
};

struct zone_rule_type {
    int32_t offset_s;
    bool is_dst;
    char abbrev[ZONE_ABBREV_MAX + 1];
};

struct zone_rule {
    struct zone_rule_type std;
    struct zone_rule_type dst; /* with has_dst, likewise the changes */
    bool has_dst;
    struct zone_change to_dst, to_std;
};

/* Read a footer. CONEY_ESYNTAX: @err says what is wrong and err->column where. */
enum coney_rc zone_rule_parse(struct bytes text, struct zone_rule *out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* The type in force at @utc_s and the stretch [*@start_s, *@end_s) in which it is;
 * without daylight saving all time. Borrowed from @r. */
const struct zone_rule_type *zone_rule_at(
        const struct zone_rule *r, int64_t utc_s, int64_t *start_s, int64_t *end_s);

#endif /* CONEY_BASE_ZONE_RULE_H */
