/* SPDX-License-Identifier: MIT */
/*
 * agenda.h - what is still to be published: the schedule, and how far each entry has got.
 *
 * A tick goes through: given out by agenda_next(), settled once the broker has confirmed
 * it, saved once the token says so. Until then its entry gives out no other, so that a
 * fail-over repeats at most one tick of each entry. A tick that could not be published
 * comes again after a pause, by way of the misfire policy: as if the beat had been away
 * for so long.
 *
 * Pure: times come in as arguments, wall time in microseconds for ticks, the monotonic
 * clock in milliseconds for pauses.
 */
#ifndef CONEY_BEAT_AGENDA_H
#define CONEY_BEAT_AGENDA_H

#include "beat/token.h"
#include "schedule/schedule.h"

/* A watermark further ahead than this is the work of a wrong clock; a smaller one may be
 * just another host's. */
#define AGENDA_AHEAD_MAX_US INT64_C(3600000000)

struct agenda;

/* @entries are borrowed for the agenda's life. It knows nothing yet: agenda_resume().
 * CONEY_ENOMEM. */
enum coney_rc agenda_new(const struct schedule_entry *entries, size_t count,
        struct agenda **out) CONEY_MUST_CHECK;
/* NULL is ignored. */
void agenda_free(struct agenda *a);
/* Entries in it. */
size_t agenda_count(const struct agenda *a);

/*
 * Go on where @t left off. An entry that @t does not have, or with another hash, begins
 * @now_us: what it would have missed before it existed is of no concern. Where this
 * agenda itself knows an entry to be further, that holds. No tick may be on its way.
 */
void agenda_resume(struct agenda *a, const struct token *t, int64_t now_us);

/* Leadership is lost: what is on its way is of unknown fate and nothing comes again until
 * agenda_resume(). */
void agenda_suspend(struct agenda *a);

/*
 * The next tick that is due, as schedule_pop() says it; SCHEDULE_DUE is then on its way
 * until one of the next three calls.
 */
enum schedule_popped agenda_next(
        struct agenda *a, int64_t now_us, int64_t now_ms, struct schedule_tick *out);
/* It is published, or need not be: the entry's mark moves there. */
void agenda_settle(struct agenda *a, size_t index);
/* It could not be published. Returns in how many ms its entry is looked at again: 1 s at
 * first, doubling to a minute. */
int64_t agenda_postpone(struct agenda *a, size_t index, int64_t now_ms);

/* When the entry's tick that is on its way is due. */
int64_t agenda_tick_us(const struct agenda *a, size_t index);
/* Ticks on their way. */
size_t agenda_on_way(const struct agenda *a);
/* Whether a tick has been settled that no token has been made for. */
bool agenda_is_dirty(const struct agenda *a);

/* The state as a token of @rank; what is settled counts as being saved from then on.
 * *@out is the caller's and borrows the entries' names. CONEY_ENOMEM. */
enum coney_rc agenda_save(
        struct agenda *a, struct token_rank rank, struct token **out) CONEY_MUST_CHECK;
/* The token of the last agenda_save() is safe: those entries go on. */
void agenda_saved(struct agenda *a);
/* It is not; they are dirty again. */
void agenda_unsaved(struct agenda *a);

/* When there is a tick to come, CLOCK_NEVER for none; and when a postponed entry is
 * looked at again. */
int64_t agenda_next_us(const struct agenda *a);
int64_t agenda_retry_ms(const struct agenda *a);

/* The wall clock was set back by more than AGENDA_AHEAD_MAX_US: begin anew at @now_us,
 * instead of waiting until the old time comes round. False when it was not. */
bool agenda_rewind(struct agenda *a, int64_t now_us);

#endif /* CONEY_BEAT_AGENDA_H */
