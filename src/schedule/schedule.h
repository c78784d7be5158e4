/* SPDX-License-Identifier: MIT */
/*
 * schedule.h - which entry is due next, and which of the missed ticks still count.
 *
 * An entry names a task and when it runs. A *tick* is one instant at which it is due:
 *  - by crontab, in the entry's zone;
 *  - by interval, at the multiples of every_ms since 1970-01-01T00:00Z. So "every: 30m"
 *    runs at :00 and :30 UTC whenever the beat was started and whichever beat leads, and
 * no zone or daylight saving moves it. The *watermark* W of an entry is the instant up to
 * which its ticks are dealt with. At `now`, the ticks in (W, now] are to be published,
 * less those that the misfire policy drops. The policy only ever decides where to begin:
 * once a tick is published, so is each later one up to now. With age = now - tick:
 *  - A tick older than the deadline is dropped, whatever the policy. No deadline: none
 * for `once` and `all`, SCHEDULE_GRACE_MS for `skip`.
 *  - A tick no older than SCHEDULE_GRACE_MS is late, not missed, and is published under
 *    every policy: failing over from a dead host takes most of a minute, and must not
 *    lose a tick.
 *  - Of the older ones, the *missed* ones: `skip` and `all` publish each, but only the
 *    newest misfire_max of them; `once` publishes the newest, and only if none is late:
 *    else a late one makes up for all of them.
 *
 * Pure: it does not sleep, publish, log or read the clock. The beat does those; so
 * made-up times will do in a test.
 */
#ifndef CONEY_SCHEDULE_SCHEDULE_H
#define CONEY_SCHEDULE_SCHEDULE_H

#include "base/rng.h"
#include "base/zone.h"
#include "schedule/crontab.h"
#include <coney/error.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schedule_misfire { SCHEDULE_SKIP, SCHEDULE_ONCE, SCHEDULE_ALL };

enum {
    SCHEDULE_GRACE_MS = 60 * 1000,
    SCHEDULE_EVERY_MIN_MS = 100, /* so that a grace holds at most 600 ticks */
    SCHEDULE_MISFIRE_MAX = 100   /* default of misfire_max */
};

/* The root of all identifiers made here; any language's uuid5() can make them again. */
#define SCHEDULE_NAMESPACE "5e0d6c0b-7a42-4c55-9d0b-0c3f6a1e8b27"

/* Filled in by whoever reads the config; owns what it points to. */
struct schedule_entry {
    char *name; /* unique within the schedule */
    char *task;
    int64_t every_ms;       /* SCHEDULE_EVERY_MIN_MS or more; 0: by crontab */
    struct crontab crontab; /* for every_ms == 0 */
    char *crontab_text;     /* as written, for people; NULL with every_ms */
    struct zone *zone;      /* one reference; NULL only with every_ms */
    json_t *args;           /* array; NULL: none */
    json_t *kwargs;         /* object; NULL: none */
    char *queue;            /* NULL: where the task's own policy sends it */
    int64_t expires_ms;     /* after the tick; 0: the task's own policy */
    bool enabled;
    enum schedule_misfire misfire;
    unsigned misfire_max; /* most missed ticks made up for */
    int64_t deadline_ms;  /* 0: none said */
    int priority;         /* of the message, 0 to 255; -1: the task's own policy */
};

/* Defaults: enabled, misfire once, misfire_max SCHEDULE_MISFIRE_MAX, priority -1, nothing
 * else. */
void schedule_entry_init(struct schedule_entry *e);
void schedule_entry_fini(struct schedule_entry *e);

/* --- one entry ------------------------------------------------------------------------
 */

/* The first tick strictly after @after_us; CLOCK_NEVER when there is none, as for an
 * entry that is not enabled. */
int64_t schedule_entry_next(const struct schedule_entry *e, int64_t after_us);

/*
 * The first tick in (@watermark_us, @now_us] that is to be published, CLOCK_NEVER when
 * none is. The others are those of schedule_entry_next() from there on, up to @now_us.
 * Dropped are just the ticks before it; schedule_entry_next(e, watermark) shows whether
 * there are any. Takes time in proportion to misfire_max, not to the length of the
 * outage.
 */
int64_t schedule_entry_due(
        const struct schedule_entry *e, int64_t watermark_us, int64_t now_us);

/*
 * The message id of a tick, the same on every beat: a version 5 UUID (RFC 9562 §5.5) of
 * the due time, such as "2026-03-29T01:00:00.000Z", in the name space of the entry's
 * name, which is in that of the beat's, which is in SCHEDULE_NAMESPACE. @beat is there
 * because two beats may well have an entry "nightly" each.
 */
void schedule_entry_id(const struct schedule_entry *e, const char *beat, int64_t due_us,
        char text[UUID_TEXT_SIZE]);

/*
 * A fingerprint, in UUID form, of what makes the entry's ticks its own: task, crontab
 * (its meaning, not its spelling), interval, zone, enabled. If it changes, the missed
 * ticks of before are of no concern to the new entry. Arguments, queue, expiry and
 * misfire policy are not in it: to change those must not lose a tick.
 */
void schedule_entry_hash(const struct schedule_entry *e, char text[UUID_TEXT_SIZE]);

/* --- all entries ----------------------------------------------------------------------
 */

struct schedule;

struct schedule_tick {
    const struct schedule_entry *entry; /* borrowed */
    size_t index;                       /* of the entry, as given to schedule_new() */
    int64_t at_us;
    int64_t dropped_us; /* first tick that the misfire policy dropped just before this
                           one; CLOCK_NEVER: none */
};

/*
 * A queue of the next ticks of @entries, which are borrowed and must not change while it
 * lives. Every entry's watermark is @watermark_us. CONEY_ENOMEM.
 */
enum coney_rc schedule_new(const struct schedule_entry *entries, size_t count,
        int64_t watermark_us, struct schedule **out,
        struct coney_error *err) CONEY_MUST_CHECK;
void schedule_free(struct schedule *s);

/* Set the watermark of the entry at @index, such as the time when it was first seen. Ends
 * a hold. */
void schedule_seek(struct schedule *s, size_t index, int64_t watermark_us);

/*
 * Give out no tick of the entry at @index until schedule_release(), for while one of them
 * is on its way: the other entries go on. What the misfire policy has let through stays
 * let through.
 */
void schedule_hold(struct schedule *s, size_t index);
void schedule_release(struct schedule *s, size_t index);

/* When to call schedule_pop() next; CLOCK_NEVER: no entry has a tick to come. */
int64_t schedule_next(const struct schedule *s);

enum schedule_popped { SCHEDULE_NOTHING, SCHEDULE_DUE, SCHEDULE_DROPPED };

/*
 * Take the earliest tick that is due at @now_us; of several at one instant the entry
 * listed first. Costs O(log n). SCHEDULE_DUE: *@out is to be published, and its entry's
 * watermark is now at_us. SCHEDULE_DROPPED: all ticks of the entry up to now have fallen
 * to its misfire policy, from out->dropped_us on; at_us is CLOCK_NEVER; there may be
 * more, call again. SCHEDULE_NOTHING: no more until schedule_next().
 */
enum schedule_popped schedule_pop(
        struct schedule *s, int64_t now_us, struct schedule_tick *out);

#endif /* CONEY_SCHEDULE_SCHEDULE_H */
