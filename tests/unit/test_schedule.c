/* SPDX-License-Identifier: MIT */
/* test_schedule.c - which ticks of which entries are due, in made-up times. */
#include "base/clock.h"
#include "base/rng.h"
#include "schedule/schedule.h"
#include "test.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)

/* 2026-11-20T00:00Z, a Friday. */
#define MIDNIGHT (INT64_C(1795132800) * SECOND_US)

static struct zone *utc; /* of the group's setup */

static int load_utc(void **state)
{
    (void)state;
    return zone_load(NULL, "UTC", &utc, NULL) == CONEY_OK ? 0 : -1;
}

static int free_utc(void **state)
{
    (void)state;
    zone_free(utc);
    return 0;
}

static struct schedule_entry every(int64_t every_ms)
{
    struct schedule_entry e;
    schedule_entry_init(&e);
    e.name = strdup("tick");
    e.task = strdup("ops.tick");
    e.every_ms = every_ms;
    return e;
}

static struct schedule_entry crontab(const char *text)
{
    struct schedule_entry e = every(0);
    assert_int_equal(crontab_parse(text, &e.crontab, NULL), CONEY_OK);
    e.crontab_text = strdup(text);
    e.zone = zone_ref(utc);
    return e;
}

/* --- ticks of one entry ---------------------------------------------------------------
 */

static void intervals_are_anchored_at_the_epoch(void **state)
{
    (void)state;
    struct schedule_entry e = every(30 * 60 * 1000);
    assert_true(schedule_entry_next(&e, MIDNIGHT - 1) == MIDNIGHT);
    assert_true(schedule_entry_next(&e, MIDNIGHT) == MIDNIGHT + 30 * MINUTE_US);
    assert_true(schedule_entry_next(&e, MIDNIGHT + 7 * MINUTE_US) ==
                MIDNIGHT + 30 * MINUTE_US);
    schedule_entry_fini(&e);

    e = every(7 * 86400 * 1000); /* 1970 began on a Thursday */
    assert_true(schedule_entry_next(&e, MIDNIGHT) == MIDNIGHT + 6 * DAY_US);
    assert_true(schedule_entry_next(&e, INT64_MAX - 1) == CLOCK_NEVER);
    e.every_ms = INT64_MAX;
    assert_true(schedule_entry_next(&e, MIDNIGHT) == CLOCK_NEVER);
    schedule_entry_fini(&e);
}

static void an_entry_that_is_not_enabled_has_no_ticks(void **state)
{
    (void)state;
    struct schedule_entry e = crontab("* * * * *");
    e.enabled = false;
    assert_true(schedule_entry_next(&e, MIDNIGHT) == CLOCK_NEVER);
    assert_true(schedule_entry_due(&e, 0, MIDNIGHT) == CLOCK_NEVER);
    schedule_entry_fini(&e);
}

/* --- misfire policy -------------------------------------------------------------------
 */

static void a_tick_within_the_grace_is_published_under_every_policy(void **state)
{
    (void)state;
    static const enum schedule_misfire all[] = {
            SCHEDULE_SKIP, SCHEDULE_ONCE, SCHEDULE_ALL};
    struct schedule_entry e = every(10 * 1000);

    for (size_t i = 0; i < 3; i++) {
        e.misfire = all[i];
        assert_true(schedule_entry_due(&e, MIDNIGHT - 1, MIDNIGHT) == MIDNIGHT);
        assert_true(schedule_entry_due(&e, MIDNIGHT, MIDNIGHT + 1) == CLOCK_NEVER);
        /* forty seconds of fail-over: the oldest of four comes first */
        assert_true(schedule_entry_due(&e, MIDNIGHT, MIDNIGHT + 40 * SECOND_US) ==
                    MIDNIGHT + 10 * SECOND_US);
        /* the grace includes its last instant */
        assert_true(
                schedule_entry_due(&e, MIDNIGHT - 1, MIDNIGHT + MINUTE_US) == MIDNIGHT);
    }
    schedule_entry_fini(&e);
}

static void skip_drops_what_is_older_than_the_grace(void **state)
{
    (void)state;
    struct schedule_entry e = crontab("0 8 * * *");
    const int64_t eight = MIDNIGHT + 8 * HOUR_US;

    e.misfire = SCHEDULE_SKIP;
    assert_true(schedule_entry_due(&e, MIDNIGHT, eight + MINUTE_US) == eight);
    assert_true(schedule_entry_due(&e, MIDNIGHT, eight + MINUTE_US + 1) == CLOCK_NEVER);
    schedule_entry_fini(&e);
}

static void skip_with_a_deadline_drops_what_is_older_than_that(void **state)
{
    (void)state;
    struct schedule_entry e = crontab("0 * * * *");

    e.misfire = SCHEDULE_SKIP;
    e.deadline_ms = 2 * 3600 * 1000;
    assert_true(schedule_entry_due(&e, MIDNIGHT, MIDNIGHT + 10 * HOUR_US) ==
                MIDNIGHT + 8 * HOUR_US);
    assert_true(schedule_entry_due(&e, MIDNIGHT, MIDNIGHT + 10 * HOUR_US + 1) ==
                MIDNIGHT + 9 * HOUR_US);
    e.deadline_ms = 1000; /* shorter than the grace */
    assert_true(schedule_entry_due(&e, MIDNIGHT, MIDNIGHT + HOUR_US + SECOND_US) ==
                MIDNIGHT + HOUR_US);
    assert_true(schedule_entry_due(&e, MIDNIGHT, MIDNIGHT + HOUR_US + SECOND_US + 1) ==
                CLOCK_NEVER);
    schedule_entry_fini(&e);
}

static void once_makes_up_for_an_outage_with_the_newest_tick(void **state)
{
    (void)state;
    struct schedule_entry e = crontab("0 * * * *");
    const int64_t now = MIDNIGHT + 10 * HOUR_US + 5 * MINUTE_US;

    e.misfire = SCHEDULE_ONCE;
    assert_true(schedule_entry_due(&e, MIDNIGHT, now) == MIDNIGHT + 10 * HOUR_US);
    e.deadline_ms = 4 * 60 * 1000;
    assert_true(schedule_entry_due(&e, MIDNIGHT, now) == CLOCK_NEVER);
    e.deadline_ms = 5 * 60 * 1000;
    assert_true(schedule_entry_due(&e, MIDNIGHT, now) == MIDNIGHT + 10 * HOUR_US);
    schedule_entry_fini(&e);
}

static void once_needs_no_missed_tick_when_one_is_late(void **state)
{
    (void)state;
    struct schedule_entry e = every(40 * 1000); /* 2026-11-20T00:00Z is a multiple */
    int64_t now = MIDNIGHT + HOUR_US;

    e.misfire = SCHEDULE_ONCE;
    int64_t first = schedule_entry_due(&e, MIDNIGHT, now);
    assert_true(first == now - 40 * SECOND_US);
    assert_true(schedule_entry_next(&e, first) == now);
    schedule_entry_fini(&e);
}

static void all_makes_up_for_the_newest_of_a_bounded_number(void **state)
{
    (void)state;
    struct schedule_entry e = crontab("0 * * * *");
    const int64_t now = MIDNIGHT + 10 * HOUR_US + 5 * MINUTE_US;

    e.misfire = SCHEDULE_ALL;
    assert_true(schedule_entry_due(&e, MIDNIGHT, now) == MIDNIGHT + HOUR_US);
    e.misfire_max = 3;
    assert_true(schedule_entry_due(&e, MIDNIGHT, now) == MIDNIGHT + 8 * HOUR_US);
    /* a late tick does not count against the missed ones */
    assert_true(schedule_entry_due(&e, MIDNIGHT, MIDNIGHT + 10 * HOUR_US) ==
                MIDNIGHT + 7 * HOUR_US);
    e.deadline_ms = 2 * 3600 * 1000;
    assert_true(schedule_entry_due(&e, MIDNIGHT, now) == MIDNIGHT + 9 * HOUR_US);
    e.misfire_max = 0;
    assert_true(schedule_entry_due(&e, MIDNIGHT, now) == CLOCK_NEVER);
    schedule_entry_fini(&e);
}

static void fifty_years_of_outage_are_not_walked_through(void **state)
{
    (void)state;
    enum { ENTRIES = 1000 }; /* x 29 million ticks: hours, if they were */
    struct schedule_entry dense = crontab("* * * * *"), rare = crontab("0 0 29 2 *");
    struct schedule_entry interval = every(SCHEDULE_EVERY_MIN_MS);
    dense.misfire = rare.misfire = interval.misfire = SCHEDULE_ALL;

    for (int i = 0; i < ENTRIES; i++) {
        const int64_t now = MIDNIGHT + i * MINUTE_US;
        assert_true(schedule_entry_due(&dense, 0, now) ==
                    now - (1 + SCHEDULE_MISFIRE_MAX) * MINUTE_US);
        assert_true(schedule_entry_due(&interval, 0, now) ==
                    now - MINUTE_US - SCHEDULE_MISFIRE_MAX * SECOND_US / 10);
    }
    rare.misfire_max = 1;
    assert_true(schedule_entry_due(&rare, 0, MIDNIGHT) ==
                INT64_C(1709164800) * SECOND_US); /* 2024 */
    schedule_entry_fini(&dense);
    schedule_entry_fini(&rare);
    schedule_entry_fini(&interval);
}

/* The header's words, by counting every tick. */
static int64_t due_by_the_book(const struct schedule_entry *e, int64_t from, int64_t now)
{
    enum { TICKS_MAX = 4000 };
    static int64_t ticks[TICKS_MAX];
    const int64_t grace = SCHEDULE_GRACE_MS * INT64_C(1000);
    int64_t deadline = e->deadline_ms * 1000;
    size_t count = 0, missed = 0;

    if (deadline == 0)
        deadline = e->misfire == SCHEDULE_SKIP ? grace : INT64_MAX;
    for (int64_t at = schedule_entry_next(e, from); at <= now;
            at = schedule_entry_next(e, at)) {
        if (now - at > deadline)
            continue;
        assert_true(count < TICKS_MAX);
        ticks[count++] = at;
        missed += now - at > grace;
    }
    size_t late = count - missed, dropped = 0;
    if (e->misfire == SCHEDULE_ONCE)
        dropped = late > 0 ? missed : missed - (missed > 0);
    else if (missed > e->misfire_max)
        dropped = missed - e->misfire_max;
    return dropped < count ? ticks[dropped] : CLOCK_NEVER;
}

static void any_entry_and_outage_go_by_the_book(void **state)
{
    (void)state;
    static const char *const crontabs[] = {"* * * * *", "*/7 3-5 * * *", "0 0 20 * *",
            "0,1 12 * * 5", "30 * * * *", "0 22 * 11 *"};
    struct rng rng;
    rng_seed(&rng, 4);
    unsigned found = 0;

    for (int i = 0; i < 3000; i++) {
        size_t kind = rng_below(&rng, 7);
        struct schedule_entry e =
                kind == 6 ? every((int64_t)(3000 + rng_below(&rng, 100000)))
                          : crontab(crontabs[kind]);
        e.misfire = (enum schedule_misfire)rng_below(&rng, 3);
        e.misfire_max = (unsigned)rng_below(&rng, 30);
        e.deadline_ms = rng_below(&rng, 2) ? (int64_t)rng_below(&rng, 7200 * 1000) : 0;
        int64_t now = MIDNIGHT +
                      (int64_t)rng_below(&rng, DAY_US) / MINUTE_US * MINUTE_US +
                      (rng_below(&rng, 2) ? 0 : (int64_t)rng_below(&rng, MINUTE_US));
        int64_t from = now - (int64_t)rng_below(&rng,
                                     rng_below(&rng, 2) ? 3 * HOUR_US : 2 * MINUTE_US);
        int64_t due = schedule_entry_due(&e, from, now);
        if (due != due_by_the_book(&e, from, now))
            fail_msg("case %d", i);
        found += due != CLOCK_NEVER;
        schedule_entry_fini(&e);
    }
    assert_in_range(found, 500, 2500);
}

/* --- names ----------------------------------------------------------------------------
 */

static void the_id_of_a_tick_is_a_uuid_that_others_can_derive(void **state)
{
    (void)state;
    struct schedule_entry e = every(100);
    const int64_t due = INT64_C(1774746000) * SECOND_US;
    char id[UUID_TEXT_SIZE];

    /* Python: uuid5(uuid5(uuid5(SCHEDULE_NAMESPACE, "main"), "tick"), due) */
    schedule_entry_id(&e, "main", 100 * 1000, id);
    assert_string_equal(id, "05a3dd64-259a-594f-b32a-c8bef192048a");
    free(e.name);
    e.name = strdup("nightly");
    schedule_entry_id(&e, "main", due, id);
    assert_string_equal(id, "29d61fd7-e19a-5d1f-b053-f6cccc91327f");
    schedule_entry_id(&e, "other", due, id);
    assert_string_equal(id, "581d3154-62c2-59c2-bec6-de0fd9331597");
    schedule_entry_fini(&e);
}

static void assert_hashes(
        const struct schedule_entry *a, const struct schedule_entry *b, bool same)
{
    char hash_a[UUID_TEXT_SIZE], hash_b[UUID_TEXT_SIZE];
    schedule_entry_hash(a, hash_a);
    schedule_entry_hash(b, hash_b);
    assert_int_equal(strcmp(hash_a, hash_b) == 0, same);
}

static void the_hash_follows_meaning_and_not_spelling(void **state)
{
    (void)state;
    struct schedule_entry a = crontab("0 0 * * 0"), b = crontab("00  0 * * sun");

    assert_hashes(&a, &b, true);
    b.args = json_pack("[i]", 5);
    b.queue = strdup("low");
    b.expires_ms = 1000;
    b.misfire = SCHEDULE_ALL;
    assert_hashes(&a, &b, true);
    schedule_entry_fini(&b);
    schedule_entry_fini(&a);
}

static void the_hash_changes_with_task_time_zone_and_switch(void **state)
{
    (void)state;
    struct schedule_entry a = crontab("0 0 * * *"), b = crontab("0 0 * * *");
    struct schedule_entry other_time = crontab("0 1 * * *"), other_kind = every(60000);
    struct schedule_entry other_step = every(60001), starred = crontab("0 * * * *");
    struct schedule_entry fixed = crontab("0 0-23 * * *");

    assert_hashes(&a, &other_time, false);
    assert_hashes(&a, &other_kind, false);
    assert_hashes(&other_kind, &other_step, false);
    assert_hashes(&starred, &fixed, false); /* daylight saving tells them apart */
    b.enabled = false;
    assert_hashes(&a, &b, false);
    b.enabled = true;
    assert_hashes(&a, &b, true);
    b.task[0] = 'x';
    assert_hashes(&a, &b, false);
    b.task[0] = a.task[0];
    zone_free(b.zone);
    assert_int_equal(zone_load(NULL, "Europe/Paris", &b.zone, NULL), CONEY_OK);
    assert_hashes(&a, &b, false);

    schedule_entry_fini(&a);
    schedule_entry_fini(&b);
    schedule_entry_fini(&other_time);
    schedule_entry_fini(&other_kind);
    schedule_entry_fini(&other_step);
    schedule_entry_fini(&starred);
    schedule_entry_fini(&fixed);
}

/* --- all entries ----------------------------------------------------------------------
 */

static struct schedule *start(
        const struct schedule_entry *entries, size_t count, int64_t watermark_us)
{
    struct schedule *s;
    assert_int_equal(schedule_new(entries, count, watermark_us, &s, NULL), CONEY_OK);
    return s;
}

static void an_empty_schedule_has_nothing_to_come(void **state)
{
    (void)state;
    struct schedule_tick tick;
    struct schedule_entry off = every(1000);
    off.enabled = false;

    struct schedule *s = start(NULL, 0, MIDNIGHT);
    assert_true(schedule_next(s) == CLOCK_NEVER);
    assert_int_equal(schedule_pop(s, CLOCK_NEVER, &tick), SCHEDULE_NOTHING);
    schedule_free(s);
    s = start(&off, 1, MIDNIGHT);
    assert_true(schedule_next(s) == CLOCK_NEVER);
    assert_int_equal(schedule_pop(s, MIDNIGHT + DAY_US, &tick), SCHEDULE_NOTHING);
    schedule_free(s);
    schedule_free(NULL);
    schedule_entry_fini(&off);
}

static void ticks_come_in_the_order_of_their_time(void **state)
{
    (void)state;
    struct schedule_entry entries[] = {every(40 * 1000), every(25 * 1000)};
    static const int expected[] = {25, 40, 50}; /* seconds; 2026-11-20 is a multiple */
    struct schedule *s = start(entries, 2, MIDNIGHT);
    struct schedule_tick tick;

    assert_true(schedule_next(s) == MIDNIGHT + 25 * SECOND_US);
    assert_int_equal(
            schedule_pop(s, MIDNIGHT + 25 * SECOND_US - 1, &tick), SCHEDULE_NOTHING);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(schedule_pop(s, MIDNIGHT + 55 * SECOND_US, &tick), SCHEDULE_DUE);
        assert_true(tick.at_us == MIDNIGHT + expected[i] * SECOND_US);
        assert_true(tick.entry == &entries[tick.index] && tick.index == (i != 1));
        assert_true(tick.dropped_us == CLOCK_NEVER);
    }
    assert_int_equal(schedule_pop(s, MIDNIGHT + 55 * SECOND_US, &tick), SCHEDULE_NOTHING);
    assert_true(schedule_next(s) == MIDNIGHT + 75 * SECOND_US);
    schedule_free(s);
    schedule_entry_fini(&entries[0]);
    schedule_entry_fini(&entries[1]);
}

static void what_the_policy_dropped_is_told_with_the_tick_after_it(void **state)
{
    (void)state;
    struct schedule_entry entries[] = {crontab("0 * * * *"), crontab("30 * * * *")};
    const int64_t now = MIDNIGHT + 5 * HOUR_US + 10 * MINUTE_US;
    struct schedule_tick tick;
    entries[0].misfire = SCHEDULE_ALL;
    entries[0].misfire_max = 2;

    struct schedule *s = start(entries, 2, MIDNIGHT);
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_DUE);
    assert_true(tick.index == 0 && tick.at_us == MIDNIGHT + 4 * HOUR_US);
    assert_true(tick.dropped_us == MIDNIGHT + HOUR_US);
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_DUE); /* misfire: once */
    assert_true(tick.index == 1 && tick.at_us == MIDNIGHT + 4 * HOUR_US + HOUR_US / 2);
    assert_true(tick.dropped_us == MIDNIGHT + HOUR_US / 2);
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_DUE);
    assert_true(tick.index == 0 && tick.at_us == MIDNIGHT + 5 * HOUR_US);
    assert_true(tick.dropped_us == CLOCK_NEVER);
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_NOTHING);
    schedule_free(s);
    schedule_entry_fini(&entries[0]);
    schedule_entry_fini(&entries[1]);
}

static void a_held_entry_gives_no_tick_and_forgets_none(void **state)
{
    (void)state;
    struct schedule_entry entries[] = {every(10 * 1000), every(15 * 1000)};
    const int64_t late = MIDNIGHT + 200 * SECOND_US;
    struct schedule_tick tick;

    struct schedule *s = start(entries, 2, MIDNIGHT);
    assert_int_equal(schedule_pop(s, MIDNIGHT + 40 * SECOND_US, &tick), SCHEDULE_DUE);
    assert_true(tick.index == 0 && tick.at_us == MIDNIGHT + 10 * SECOND_US);
    schedule_hold(s, 0);
    for (int64_t at = 15; at <= 30; at += 15) {
        assert_int_equal(schedule_pop(s, MIDNIGHT + 40 * SECOND_US, &tick), SCHEDULE_DUE);
        assert_true(tick.index == 1 && tick.at_us == MIDNIGHT + at * SECOND_US);
    }
    assert_true(schedule_next(s) == MIDNIGHT + 45 * SECOND_US);
    schedule_hold(s, 1);
    schedule_release(s, 0);
    /* it was let through when it was late only: so it is, though it is missed by now */
    for (int64_t at = 20; at <= 40; at += 10) {
        assert_int_equal(schedule_pop(s, late, &tick), SCHEDULE_DUE);
        assert_true(tick.index == 0 && tick.at_us == MIDNIGHT + at * SECOND_US);
    }
    schedule_seek(s, 1, MIDNIGHT + 150 * SECOND_US); /* ends a hold */
    schedule_hold(s, 0);
    assert_true(schedule_next(s) == MIDNIGHT + 165 * SECOND_US);
    schedule_free(s);
    schedule_entry_fini(&entries[0]);
    schedule_entry_fini(&entries[1]);
}

static void ticks_that_were_all_dropped_are_told_once(void **state)
{
    (void)state;
    struct schedule_entry e = crontab("0 * * * *");
    struct schedule_tick tick;
    e.misfire = SCHEDULE_SKIP;

    struct schedule *s = start(&e, 1, MIDNIGHT);
    const int64_t now = MIDNIGHT + 5 * HOUR_US + 10 * MINUTE_US;
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_DROPPED);
    assert_true(tick.at_us == CLOCK_NEVER && tick.dropped_us == MIDNIGHT + HOUR_US);
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_NOTHING);
    assert_true(schedule_next(s) == MIDNIGHT + 6 * HOUR_US);
    assert_int_equal(schedule_pop(s, MIDNIGHT + 6 * HOUR_US, &tick), SCHEDULE_DUE);
    assert_true(tick.dropped_us == CLOCK_NEVER);
    schedule_free(s);
    schedule_entry_fini(&e);
}

static void an_entry_seen_later_has_missed_nothing_before(void **state)
{
    (void)state;
    struct schedule_entry entries[] = {crontab("0 * * * *"), crontab("0 * * * *")};
    const int64_t now = MIDNIGHT + 5 * HOUR_US + 10 * MINUTE_US;
    struct schedule_tick tick;

    struct schedule *s = start(entries, 2, MIDNIGHT);
    schedule_seek(s, 0, now - MINUTE_US);
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_DUE);
    assert_int_equal(tick.index, 1);
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_NOTHING);
    /* back again: what was approved before is looked at anew */
    schedule_seek(s, 1, MIDNIGHT);
    assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_DUE);
    assert_true(tick.index == 1 && tick.at_us == MIDNIGHT + 5 * HOUR_US);
    schedule_free(s);
    schedule_entry_fini(&entries[0]);
    schedule_entry_fini(&entries[1]);
}

static void a_clock_set_back_repeats_no_tick(void **state)
{
    (void)state;
    struct schedule_entry e = every(60 * 1000);
    struct schedule_tick tick;
    struct schedule *s = start(&e, 1, MIDNIGHT);

    assert_int_equal(schedule_pop(s, MIDNIGHT + MINUTE_US, &tick), SCHEDULE_DUE);
    assert_int_equal(schedule_pop(s, MIDNIGHT - HOUR_US, &tick), SCHEDULE_NOTHING);
    assert_int_equal(schedule_pop(s, MIDNIGHT + MINUTE_US, &tick), SCHEDULE_NOTHING);
    assert_int_equal(schedule_pop(s, MIDNIGHT + 2 * MINUTE_US, &tick), SCHEDULE_DUE);
    schedule_free(s);
    schedule_entry_fini(&e);
}

static void ten_thousand_entries_each_have_their_ticks_for_a_day(void **state)
{
    (void)state;
    enum { ENTRIES = 10000, HOURS = 24 };
    static struct schedule_entry entries[ENTRIES];
    static unsigned popped[ENTRIES];
    struct schedule_tick tick;
    int64_t now = MIDNIGHT, last = MIDNIGHT;

    for (size_t i = 0; i < ENTRIES; i++) {
        schedule_entry_init(&entries[i]);
        entries[i].zone = zone_ref(utc);
        entries[i].crontab = (struct crontab){.minutes = UINT64_C(1) << i % 60,
                .hours = 0xffffff,
                .days = 0xfffffffe,
                .months = 0x1ffe,
                .weekdays = 0x7f,
                .any_day = true,
                .any_weekday = true,
                .hour_kind = CRONTAB_HOURS_EVERY};
    }
    struct schedule *s = start(entries, ENTRIES, MIDNIGHT - 1);
    while ((now = schedule_next(s)) < MIDNIGHT + HOURS * HOUR_US) {
        assert_int_equal(schedule_pop(s, now, &tick), SCHEDULE_DUE);
        assert_true(tick.at_us == now && now >= last);
        last = now;
        popped[tick.index]++;
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(popped[i], HOURS);
        schedule_entry_fini(&entries[i]);
    }
    schedule_free(s);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    struct schedule_entry entries[40];
    struct schedule *s;
    unsigned n = 1;

    for (size_t i = 0; i < 40; i++)
        entries[i] = every(1000);
    for (;; n++) {
        struct coney_error err;
        test_fail_allocation(n);
        enum coney_rc rc = schedule_new(entries, 40, MIDNIGHT, &s, &err);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (!failed)
            break;
        assert_int_equal(rc, CONEY_ENOMEM);
        assert_string_equal(err.text, "out of memory");
        assert_null(s);
    }
    assert_true(n > 3);
    schedule_free(s);
    for (size_t i = 0; i < 40; i++)
        schedule_entry_fini(&entries[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(intervals_are_anchored_at_the_epoch),
            cmocka_unit_test(an_entry_that_is_not_enabled_has_no_ticks),
            cmocka_unit_test(a_tick_within_the_grace_is_published_under_every_policy),
            cmocka_unit_test(skip_drops_what_is_older_than_the_grace),
            cmocka_unit_test(skip_with_a_deadline_drops_what_is_older_than_that),
            cmocka_unit_test(once_makes_up_for_an_outage_with_the_newest_tick),
            cmocka_unit_test(once_needs_no_missed_tick_when_one_is_late),
            cmocka_unit_test(all_makes_up_for_the_newest_of_a_bounded_number),
            cmocka_unit_test(fifty_years_of_outage_are_not_walked_through),
            cmocka_unit_test(any_entry_and_outage_go_by_the_book),
            cmocka_unit_test(the_id_of_a_tick_is_a_uuid_that_others_can_derive),
            cmocka_unit_test(the_hash_follows_meaning_and_not_spelling),
            cmocka_unit_test(the_hash_changes_with_task_time_zone_and_switch),
            cmocka_unit_test(an_empty_schedule_has_nothing_to_come),
            cmocka_unit_test(ticks_come_in_the_order_of_their_time),
            cmocka_unit_test(what_the_policy_dropped_is_told_with_the_tick_after_it),
            cmocka_unit_test(a_held_entry_gives_no_tick_and_forgets_none),
            cmocka_unit_test(ticks_that_were_all_dropped_are_told_once),
            cmocka_unit_test(an_entry_seen_later_has_missed_nothing_before),
            cmocka_unit_test(a_clock_set_back_repeats_no_tick),
            cmocka_unit_test(ten_thousand_entries_each_have_their_ticks_for_a_day),
            cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, load_utc, free_utc);
}
