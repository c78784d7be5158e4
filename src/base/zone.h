/* SPDX-License-Identifier: MIT */
/*
 * zone.h - local time in a time zone, from the system's compiled zone files.
 *
 * Reads TZif (RFC 9636, versions 1 to 4) with its POSIX TZ footer, so that instants after
 * the last recorded transition are right as well. It neither looks at $TZ or $TZDIR nor
 * keeps global state as tzset(3) does: one process serves entries in many zones. The
 * input is checked byte by byte, for a zone file is still a file that somebody may have
 * edited.
 *
 * An instant is in seconds since 1970-01-01T00:00Z. A local time is in seconds too: what
 * the wall clock shows, counted as if it were UTC.
 */
#ifndef CONEY_BASE_ZONE_H
#define CONEY_BASE_ZONE_H

#include "base/buffer.h"
#include <coney/error.h>

#include <stdbool.h>
#include <stdint.h>

struct zone;

/* Where Debian keeps the compiled zones. */
#define ZONE_ROOT "/usr/share/zoneinfo"

/* Instants are understood between these; what lies outside is taken for the nearer one.
 * It is the range of a wall time in microseconds. */
#define ZONE_SECONDS_MIN (INT64_MIN / 1000000)
#define ZONE_SECONDS_MAX (INT64_MAX / 1000000)

/* No zone is further from UTC than this (RFC 9636 §3.2), and a file that says so is
 * refused. */
enum { ZONE_OFFSET_MIN = -89999, ZONE_OFFSET_MAX = 93599 };

/*
 * Read the zone @name ("Europe/Paris") below the directory @root (NULL: ZONE_ROOT). The
 * zone starts with one reference, the caller's.
 * CONEY_EINVAL: not a zone's name (empty part, "..", leading slash, odd character);
 * CONEY_ENOTFOUND: no such zone; CONEY_ESYNTAX, CONEY_ELIMIT: the file is damaged or too
 * large; CONEY_EIO; CONEY_ENOMEM. *@out is NULL then.
 */
enum coney_rc zone_load(const char *root, const char *name, struct zone **out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* As zone_load(), from the bytes of a file; nothing of @file is kept. */
enum coney_rc zone_load_bytes(const char *name, struct bytes file, struct zone **out,
        struct coney_error *err) CONEY_MUST_CHECK;

/* One more reference to a zone, which never changes; for use within one thread. */
struct zone *zone_ref(struct zone *z);
/* Give one reference back; the last one frees. NULL is ignored. */
void zone_free(struct zone *z);

/* The name it was loaded by; borrowed. */
const char *zone_name(const struct zone *z);

/* A stretch of time, [start_s, end_s), with one rule for local time. */
struct zone_period {
    int64_t start_s;  /* ZONE_SECONDS_MIN or less: from the beginning */
    int64_t end_s;    /* INT64_MAX: for ever */
    int32_t offset_s; /* local time minus UTC */
    bool is_dst;
    const char *abbrev; /* "CEST"; borrowed from the zone */
};

/* The period that the instant @utc_s lies in. */
void zone_period_at(const struct zone *z, int64_t utc_s, struct zone_period *out);

enum zone_local_kind {
    ZONE_UNIQUE,   /* the local time occurs once */
    ZONE_GAP,      /* never: clocks were put forward over it */
    ZONE_AMBIGUOUS /* more than once: clocks were put back over it */
};

struct zone_local {
    enum zone_local_kind kind;
    int64_t first_s; /* the instant, or the first of them; in a gap the transition, which
                        is the first instant after the gap */
    int64_t last_s;  /* the last of them; else the same as first_s */
};

/* Which instants show @local_s on the wall clock. */
void zone_local_to_utc(const struct zone *z, int64_t local_s, struct zone_local *out);

#endif /* CONEY_BASE_ZONE_H */
