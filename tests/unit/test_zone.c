/* SPDX-License-Identifier: MIT */
/*
 * test_zone.c - what zone files mean, and what must not be believed of them.
 *
 * That every zone of the system means what Python thinks is
 * tests/contract/zone_agrees.py.
 */
#include "base/zone.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 2026-03-29T01:00Z and 2026-10-25T01:00Z: Paris goes to +2 and back to +1. */
#define SPRING INT64_C(1774746000)
#define AUTUMN INT64_C(1792890000)

static struct zone *load(const char *name)
{
    struct zone *z;
    struct coney_error err;
    if (zone_load(NULL, name, &z, &err) != CONEY_OK)
        fail_msg("%s", err.text);
    return z;
}

static int32_t offset_at(const struct zone *z, int64_t utc_s)
{
    struct zone_period p;
    zone_period_at(z, utc_s, &p);
    assert_true(utc_s >= p.start_s && utc_s < p.end_s);
    return p.offset_s;
}

/* --- files made by hand ---------------------------------------------------------------
 */

enum { MADE_MAX = 512 };

struct made {
    uint8_t bytes[MADE_MAX];
    size_t len;
};

static void put(struct made *m, const void *bytes, size_t len)
{
    assert_true(m->len + len <= MADE_MAX);
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

static void put_be(struct made *m, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0;) {
        uint8_t byte = (uint8_t)(value >> (8 * i));
        put(m, &byte, 1);
    }
}

static void put_header(struct made *m, char version, uint32_t transitions)
{
    const uint32_t isut = 0, isstd = 0, leap = 0, types = 2, abbrev_size = 8;
    const char reserved[15] = "";
    put(m, "TZif", 4);
    put(m, &version, 1);
    put(m, reserved, sizeof(reserved));
    put_be(m, isut, 4);
    put_be(m, isstd, 4);
    put_be(m, leap, 4);
    put_be(m, transitions, 4);
    put_be(m, types, 4);
    put_be(m, abbrev_size, 4);
}

/* AAA, an hour east; BBB, two hours east and daylight saving, from 1000 to 2000. */
static void put_block(struct made *m, size_t time_size)
{
    put_be(m, 1000, time_size);
    put_be(m, 2000, time_size);
    put(m, "\1\0", 2);
    put_be(m, 3600, 4);
    put(m, "\0\0", 2);
    put_be(m, 7200, 4);
    put(m, "\1\4", 2);
    put(m, "AAA\0BBB", 8);
}

/* Where things stand in a made file of version 1. */
enum {
    AT_VERSION = 4,
    AT_ISUT = 23,
    AT_LEAP = 31,
    AT_TYPES = 39,
    AT_ABBREV_SIZE = 43,
    AT_SECOND_TIME = 48,
    AT_TYPE_AFTER = 52,
    AT_OFFSET = 54,
    AT_IS_DST = 58,
    AT_ABBREV = 59
};

static struct made make_v1(void)
{
    struct made m = {.len = 0};
    put_header(&m, '\0', 2);
    put_block(&m, 4);
    return m;
}

static struct made make_v2(const char *footer)
{
    struct made m = {.len = 0};
    put_header(&m, '2', 2);
    put_block(&m, 4);
    put_header(&m, '2', 2);
    put_block(&m, 8);
    put(&m, "\n", 1);
    put(&m, footer, strlen(footer));
    put(&m, "\n", 1);
    return m;
}

/* From memory of just that size, so that a read beyond it does not go unnoticed. */
static enum coney_rc load_made(
        const struct made *m, struct zone **out, struct coney_error *err)
{
    uint8_t *exact = malloc(m->len > 0 ? m->len : 1);
    assert_non_null(exact);
    memcpy(exact, m->bytes, m->len);
    enum coney_rc rc = zone_load_bytes(
            "made", (struct bytes){.data = exact, .len = m->len}, out, err);
    free(exact);
    return rc;
}

static struct zone *load_rule(const char *footer)
{
    struct made m = make_v2(footer);
    struct zone *z;
    struct coney_error err;
    if (load_made(&m, &z, &err) != CONEY_OK)
        fail_msg("%s: %s", footer, err.text);
    return z;
}

/* --- tests ----------------------------------------------------------------------------
 */

static void a_period_has_its_offset_abbreviation_and_edges(void **state)
{
    (void)state;
    struct zone *z = load("Europe/Paris");
    struct zone_period p;

    zone_period_at(z, SPRING, &p);
    assert_int_equal(p.offset_s, 7200);
    assert_true(p.is_dst);
    assert_string_equal(p.abbrev, "CEST");
    assert_true(p.start_s == SPRING && p.end_s == AUTUMN);
    zone_period_at(z, SPRING - 1, &p);
    assert_int_equal(p.offset_s, 3600);
    assert_false(p.is_dst);
    assert_string_equal(p.abbrev, "CET");
    assert_true(p.end_s == SPRING);
    assert_string_equal(zone_name(z), "Europe/Paris");
    zone_free(z);
}

static void a_local_time_in_the_gap_names_the_transition(void **state)
{
    (void)state;
    struct zone *z = load("Europe/Paris");
    const int64_t two = SPRING + 3600, three = SPRING + 7200; /* on the clock */
    struct zone_local l;

    zone_local_to_utc(z, two - 1, &l);
    assert_true(l.kind == ZONE_UNIQUE && l.first_s == SPRING - 1);
    zone_local_to_utc(z, two, &l);
    assert_true(l.kind == ZONE_GAP && l.first_s == SPRING && l.last_s == SPRING);
    zone_local_to_utc(z, three - 1, &l);
    assert_true(l.kind == ZONE_GAP && l.first_s == SPRING);
    zone_local_to_utc(z, three, &l);
    assert_true(l.kind == ZONE_UNIQUE && l.first_s == SPRING);
    zone_free(z);
}

static void a_local_time_that_comes_twice_names_both_instants(void **state)
{
    (void)state;
    struct zone *z = load("Europe/Paris");
    const int64_t two = AUTUMN + 3600, three = AUTUMN + 7200;
    struct zone_local l;

    zone_local_to_utc(z, two - 1, &l);
    assert_true(l.kind == ZONE_UNIQUE && l.last_s == AUTUMN - 3601);
    zone_local_to_utc(z, two, &l);
    assert_true(l.kind == ZONE_AMBIGUOUS);
    assert_true(l.first_s == AUTUMN - 3600 && l.last_s == AUTUMN);
    zone_local_to_utc(z, three, &l);
    assert_true(l.kind == ZONE_UNIQUE && l.first_s == AUTUMN + 3600);
    zone_free(z);
}

static void a_day_that_a_country_left_out_is_a_gap(void **state)
{
    (void)state;
    struct zone *z = load("Pacific/Apia"); /* had no 30 December 2011 */
    const int64_t noon = INT64_C(1325246400);
    struct zone_local l;

    zone_local_to_utc(z, noon, &l);
    assert_int_equal(l.kind, ZONE_GAP);
    assert_true(l.first_s == INT64_C(1325239200));
    assert_int_equal(offset_at(z, l.first_s) - offset_at(z, l.first_s - 1), 86400);
    zone_free(z);
}

static void instants_at_the_ends_of_time_have_an_offset_too(void **state)
{
    (void)state;
    struct zone *z = load("Europe/Paris");
    struct zone_period p;
    struct zone_local l;

    zone_period_at(z, INT64_MAX, &p);
    assert_in_range(p.offset_s, 3600, 7200);
    zone_period_at(z, INT64_MIN, &p);
    assert_int_equal(p.offset_s, 561); /* Paris' own noon */
    zone_local_to_utc(z, INT64_MAX, &l);
    assert_int_equal(l.kind, ZONE_UNIQUE);
    zone_local_to_utc(z, INT64_MIN, &l);
    assert_int_equal(l.kind, ZONE_UNIQUE);
    zone_free(z);
}

static void a_file_of_version_1_ends_with_its_last_transition(void **state)
{
    (void)state;
    struct made m = make_v1();
    struct zone *z;
    assert_int_equal(load_made(&m, &z, NULL), CONEY_OK);
    assert_int_equal(offset_at(z, 999), 3600);
    assert_int_equal(offset_at(z, 1000), 7200);
    assert_int_equal(offset_at(z, 2000), 3600);
    assert_int_equal(offset_at(z, SPRING), 3600);
    zone_free(z);
}

static void an_empty_footer_leaves_the_last_type_in_force(void **state)
{
    (void)state;
    struct zone *z = load_rule("");
    assert_int_equal(offset_at(z, 1000), 7200);
    assert_int_equal(offset_at(z, SPRING), 3600);
    zone_free(z);
}

static void the_footer_rules_only_after_the_last_transition(void **state)
{
    (void)state;
    struct zone *z = load_rule("XXX-5");
    struct zone_period p;
    assert_int_equal(offset_at(z, 1999), 7200);
    zone_period_at(z, SPRING, &p);
    assert_int_equal(p.offset_s, 5 * 3600);
    assert_true(p.start_s == 2000 && p.end_s == INT64_MAX);
    assert_string_equal(p.abbrev, "XXX");
    zone_free(z);
}

struct change {
    const char *footer;
    int64_t at;
    int before_min, after_min; /* offsets east, in minutes */
};

static void footers_change_the_clock_when_they_say(void **state)
{
    (void)state;
    static const struct change changes[] = {
            {"CET-1CEST,M3.5.0,M10.5.0/3", SPRING, 60, 120},
            {"CET-1CEST,M3.5.0,M10.5.0/3", AUTUMN, 120, 60},
            /* 2026-03-08T07:00Z, the second Sunday at two; 2026-11-01T06:00Z, the first
             */
            {"EST5EDT,M3.2.0,M11.1.0", 1772953200, -300, -240},
            {"EST5EDT,M3.2.0,M11.1.0", 1793512800, -240, -300},
            /* Nuuk: at -1 h on Sunday, which is Saturday 23 h; 2026-03-29T01:00Z */
            {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", SPRING, -120, -60},
            /* Jerusalem: 26 h into the fourth Thursday; 2026-03-27T00:00Z */
            {"IST-2IDT,M3.4.4/26,M10.5.0", 1774569600, 120, 180},
            /* J60 is 1 March in any year: 2027 and, a leap year, 2028 */
            {"AAA0BBB,J60/0,J300/0", 1803859200, 0, 60},
            {"AAA0BBB,J60/0,J300/0", 1835481600, 0, 60},
            /* day 59 counted from 0 is 1 March in 2027, and 29 February in 2028 */
            {"AAA0BBB,59/0,300/0", 1803859200, 0, 60},
            {"AAA0BBB,59/0,300/0", 1835395200, 0, 60},
            /* winter is the exception: Dublin, 2026-03-29T01:00Z */
            {"IST-1GMT0,M10.5.0,M3.5.0/1", SPRING, 0, 60},
            {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1775314800, 660, 630},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct zone *z = load_rule(changes[i].footer);
        int before_s = offset_at(z, changes[i].at - 1),
            after_s = offset_at(z, changes[i].at);
        if (before_s != changes[i].before_min * 60 ||
                after_s != changes[i].after_min * 60)
            fail_msg("%s: %d to %d", changes[i].footer, before_s, after_s);
        zone_free(z);
    }
}

static void daylight_saving_all_year_has_no_hole_at_new_year(void **state)
{
    (void)state;
    struct zone *z = load_rule("XXX3EDT4,0/0,J365/23"); /* RFC 9636 §3.3.2 */
    const int64_t new_year = INT64_C(1798761600);       /* 2027, UTC */
    for (int64_t at = new_year - 86400; at < new_year + 86400; at += 1800)
        assert_int_equal(offset_at(z, at), -4 * 3600);
    zone_free(z);
}

static void footers_that_are_no_rule_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"CE-1", "CET", "CET-", "CET-25", "CET-1:60",
            "CET-1:00:60", "<CET-1", "<>-1", "CET-1CEST", "CET-1CEST,M3.5.0",
            "CET-1CEST,M3.5.0,", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
            "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5,M10.5.0", "CET-1CEST,J0,J10",
            "CET-1CEST,J366,J10", "CET-1CEST,366,10", "CET-1CEST,M3.5.0/168,M10.5.0",
            "CET-1CEST,M3.5.0,M10.5.0,", "CET-1CEST,M3.5.0,M10.5.0 ", "CET-99999999999",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ-1", ":Europe/Paris"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct made m = make_v2(bad[i]);
        struct zone *z;
        struct coney_error err;
        if (load_made(&m, &z, &err) != CONEY_ESYNTAX || z)
            fail_msg("accepted: %s", bad[i]);
        assert_true(err.column > 0);
        assert_non_null(strstr(err.text, "zone made: time zone rule: expected "));
    }
}

static void a_damaged_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t byte;
        const char *why;
    } damages[] = {
            {0, 'X', "TZif"},
            {AT_VERSION, '1', "version"},
            {AT_ISUT, 1, "contradict"},
            {AT_LEAP, 1, "leap"},
            {AT_LEAP - 3, 0xff, "leap"},
            {AT_TYPES, 0, "types"},
            {AT_TYPES - 1, 2, "types"},
            {AT_ABBREV_SIZE, 0, "abbreviations"},
            {AT_ABBREV_SIZE, 200, "cut short"},
            {AT_ABBREV_SIZE - 8, 200, "cut short"},
            {AT_SECOND_TIME + 2, 0, "order"},
            {AT_TYPE_AFTER, 2, "type that is not there"},
            {AT_OFFSET, 0x7f, "offset"},
            {AT_OFFSET, 0x80, "offset"},
            {AT_IS_DST, 2, "makes no sense"},
            {AT_ABBREV, 8, "makes no sense"},
    };

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct made m = make_v1();
        struct zone *z;
        struct coney_error err;
        m.bytes[damages[i].at] = damages[i].byte;
        assert_int_equal(load_made(&m, &z, &err), CONEY_ESYNTAX);
        assert_null(z);
        if (!strstr(err.text, damages[i].why))
            fail_msg("byte %zu: %s", damages[i].at, err.text);
    }
}

static void a_file_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    struct made whole[] = {make_v1(), make_v2("CET-1CEST,M3.5.0,M10.5.0/3")};

    for (size_t i = 0; i < 2; i++) {
        for (size_t len = 0; len < whole[i].len; len++) {
            struct made cut = whole[i];
            struct zone *z;
            cut.len = len;
            assert_int_equal(load_made(&cut, &z, NULL), CONEY_ESYNTAX);
            assert_null(z);
        }
    }
}

static void a_file_with_any_byte_changed_is_refused_or_works(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '0', '9', ',', '-'};
    struct made whole = make_v2("<+1030>-10:30<+11>-11,M10.1.0,J365/-167");
    size_t loaded = 0;

    for (size_t at = 0; at < whole.len; at++) {
        for (size_t i = 0; i < sizeof(values); i++) {
            struct made changed = whole;
            struct zone *z;
            struct zone_local l;
            changed.bytes[at] = values[i];
            if (load_made(&changed, &z, NULL) != CONEY_OK)
                continue;
            loaded++;
            for (int64_t t = -SPRING; t < SPRING; t += 12345678) {
                int32_t offset_s = offset_at(z, t);
                assert_true(offset_s >= ZONE_OFFSET_MIN && offset_s <= ZONE_OFFSET_MAX);
                zone_local_to_utc(z, t, &l);
                assert_true(l.first_s <= l.last_s);
            }
            zone_free(z);
        }
    }
    assert_true(loaded > 500); /* not everything matters: reserved bytes, times, names */
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "/", "/etc/passwd", "..", "../zoneinfo/UTC",
            "Europe/../UTC", "Europe/", "Europe//Paris", "./UTC", "Europe/.",
            "Europe Paris", "UTC\n", "Europe\\Paris", "~"};
    struct zone *z;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct coney_error err;
        assert_int_equal(zone_load(NULL, bad[i], &z, &err), CONEY_EINVAL);
        assert_null(z);
    }
    char longest[300] = "";
    memset(longest, 'a', 256);
    assert_int_equal(zone_load(NULL, longest, &z, NULL), CONEY_EINVAL);
    longest[255] = '\0';
    assert_int_equal(zone_load(NULL, longest, &z, NULL), CONEY_ENOTFOUND);
}

static void names_with_signs_and_three_parts_are_zones(void **state)
{
    (void)state;
    static const char *const good[] = {"UTC", "Etc/GMT+5", "America/Port-au-Prince",
            "America/Argentina/Buenos_Aires"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        zone_free(load(good[i]));
}

static void a_zone_that_is_not_there_is_named_with_its_directory(void **state)
{
    (void)state;
    static const char *const missing[] = {"Mars/Olympus", "UTC/Paris", "America"};
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        struct zone *z;
        struct coney_error err;
        assert_int_equal(zone_load(NULL, missing[i], &z, &err), CONEY_ENOTFOUND);
        assert_non_null(strstr(err.text, missing[i]));
        assert_non_null(strstr(err.text, ZONE_ROOT));
    }
}

static void write_file(const char *directory, const char *name, size_t len)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < len; i++)
        fputc('x', file);
    fclose(file);
}

static void files_of_another_kind_or_size_are_refused(void **state)
{
    (void)state;
    char *root = test_directory();
    struct zone *z;
    struct coney_error err;

    write_file(root, "Text", 100);
    write_file(root, "Huge", 100 * 1024);
    assert_int_equal(zone_load(root, "Text", &z, &err), CONEY_ESYNTAX);
    assert_non_null(strstr(err.text, "zone Text"));
    assert_int_equal(zone_load(root, "Huge", &z, &err), CONEY_ELIMIT);
    assert_non_null(strstr(err.text, "zone Huge"));
    test_remove_tree(root);
    free(root);
}

static void a_zone_lives_until_its_last_reference_is_given_back(void **state)
{
    (void)state;
    struct zone *z = load("UTC");
    assert_ptr_equal(zone_ref(z), z);
    zone_free(z);
    assert_int_equal(offset_at(z, SPRING), 0);
    zone_free(z);
    zone_free(NULL);
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    struct zone *z;
    unsigned n = 1;

    for (;; n++) {
        test_fail_allocation(n);
        enum coney_rc rc = zone_load(NULL, "Europe/Paris", &z, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        if (!failed)
            break;
        assert_int_equal(rc, CONEY_ENOMEM);
        assert_null(z);
    }
    assert_true(n > 3);
    assert_int_equal(offset_at(z, SPRING), 7200);
    zone_free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_period_has_its_offset_abbreviation_and_edges),
            cmocka_unit_test(a_local_time_in_the_gap_names_the_transition),
            cmocka_unit_test(a_local_time_that_comes_twice_names_both_instants),
            cmocka_unit_test(a_day_that_a_country_left_out_is_a_gap),
            cmocka_unit_test(instants_at_the_ends_of_time_have_an_offset_too),
            cmocka_unit_test(a_file_of_version_1_ends_with_its_last_transition),
            cmocka_unit_test(an_empty_footer_leaves_the_last_type_in_force),
            cmocka_unit_test(the_footer_rules_only_after_the_last_transition),
            cmocka_unit_test(footers_change_the_clock_when_they_say),
            cmocka_unit_test(daylight_saving_all_year_has_no_hole_at_new_year),
            cmocka_unit_test(footers_that_are_no_rule_are_refused),
            cmocka_unit_test(a_damaged_file_is_refused),
            cmocka_unit_test(a_file_cut_at_any_byte_is_refused),
            cmocka_unit_test(a_file_with_any_byte_changed_is_refused_or_works),
            cmocka_unit_test(names_that_lead_elsewhere_are_refused),
            cmocka_unit_test(names_with_signs_and_three_parts_are_zones),
            cmocka_unit_test(a_zone_that_is_not_there_is_named_with_its_directory),
            cmocka_unit_test(files_of_another_kind_or_size_are_refused),
            cmocka_unit_test(a_zone_lives_until_its_last_reference_is_given_back),
            cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
