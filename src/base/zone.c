/* SPDX-License-Identifier: MIT */
/*
 * zone.c - TZif files (RFC 9636 §3) and the periods they describe.
 *
 * A file holds transitions: the instants at which local time gets another type (offset,
 * daylight saving or not, abbreviation). Behind the last one the footer's rule takes over
 * (zone_rule.c).
 */
#include "base/zone.h"

#include "base/arena.h"
#include "base/calendar.h"
#include "base/error.h"
#include "base/zone_rule.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_SIZE_MAX = 64 * 1024, /* the largest today has 4 KiB */
    NAME_LEN_MAX = 255,
    HEADER_SIZE = 44,
    TYPE_SIZE = 6,
    TYPES_MAX = 256 /* a type is named by one byte */
};

struct local_type {
    int32_t offset_s;
    bool is_dst;
    const char *abbrev; /* within zone.abbrevs */
};

struct zone {
    struct arena *memory; /* everything below, and the zone itself */
    unsigned refs;
    const char *name;
    int64_t *transitions; /* strictly ascending */
    uint8_t *types_after; /* of each transition, an index into types */
    size_t transition_count;
    struct local_type *types; /* the first is in force before the first transition */
    size_t type_count;
    const char *abbrevs; /* terminated */
    bool has_rule;
    struct zone_rule rule; /* in force after the last transition */
};

/* --- the file's parts -----------------------------------------------------------------
 */

struct reader {
    const uint8_t *at;
    size_t left;
    struct coney_error *err;
};

/* What a header says about the block that follows it. */
struct block {
    char version;     /* '\0' for version 1 */
    size_t time_size; /* 4 or 8 bytes */
    uint32_t isut_count, isstd_count, leap_count, transition_count, type_count,
            abbrev_size;
};

static enum coney_rc refuse(const struct reader *r, const char *why)
{
    return error_set(r->err, CONEY_ESYNTAX, "not a sound zone file: %s", why);
}

/* NULL when there is less left. */
static const uint8_t *take(struct reader *r, size_t len)
{
    if (len > r->left)
        return NULL;
    const uint8_t *taken = r->at;
    r->at += len;
    r->left -= len;
    return taken;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int32_t signed32(uint32_t bits)
{
    return bits <= INT32_MAX ? (int32_t)bits : -(int32_t)(UINT32_MAX - bits) - 1;
}

static int64_t read_time(const uint8_t *p, size_t size)
{
    if (size == 4)
        return signed32(be32(p));
    uint64_t bits = (uint64_t)be32(p) << 32 | be32(p + 4);
    return bits <= INT64_MAX ? (int64_t)bits : -(int64_t)(UINT64_MAX - bits) - 1;
}

static enum coney_rc read_header(struct reader *r, size_t time_size, struct block *out)
{
    const uint8_t *header = take(r, HEADER_SIZE);
    if (!header)
        return refuse(r, "shorter than its header");
    if (memcmp(header, "TZif", 4) != 0)
        return refuse(r, "it does not begin with TZif");

    *out = (struct block){
            .version = (char)header[4],
            .time_size = time_size,
            .isut_count = be32(header + 20),
            .isstd_count = be32(header + 24),
            .leap_count = be32(header + 28),
            .transition_count = be32(header + 32),
            .type_count = be32(header + 36),
            .abbrev_size = be32(header + 40),
    };
    /* Later versions keep to version 2's layout, so an unknown one is worth reading. */
    if (out->version != '\0' && (out->version < '2' || out->version > '9'))
        return refuse(r, "unknown version");
    if (out->type_count == 0 || out->type_count > TYPES_MAX)
        return refuse(r, "it must have 1 to 256 types of local time");
    if (out->abbrev_size == 0)
        return refuse(r, "it has no abbreviations");
    if ((out->isut_count != 0 && out->isut_count != out->type_count) ||
            (out->isstd_count != 0 && out->isstd_count != out->type_count))
        return refuse(r, "its counts contradict each other");
    return CONEY_OK;
}

/* Version 1's block stands in front of the one we read, with times of 32 bits. The counts
 * are below 2^32 and the factors small, so that 64 bits hold the sum. */
static enum coney_rc skip_block(struct reader *r, const struct block *b)
{
    uint64_t size = (uint64_t)b->transition_count * (b->time_size + 1) +
                    (uint64_t)b->type_count * TYPE_SIZE + b->abbrev_size +
                    (uint64_t)b->leap_count * (b->time_size + 4) + b->isstd_count +
                    b->isut_count;
    if (size > SIZE_MAX || !take(r, (size_t)size))
        return refuse(r, "cut short in its first block");
    return CONEY_OK;
}

static enum coney_rc read_transitions(
        struct reader *r, const struct block *b, struct zone *z)
{
    size_t count = b->transition_count;
    if (count > r->left / (b->time_size + 1))
        return refuse(r, "cut short in its transitions");
    if (count == 0)
        return CONEY_OK;
    const uint8_t *times = take(r, count * b->time_size);
    const uint8_t *types = take(r, count);
    assert(times && types);

    z->transitions = arena_alloc(z->memory, count * sizeof(*z->transitions));
    z->types_after = arena_alloc(z->memory, count);
    if (!z->transitions || !z->types_after)
        return error_set_nomem(r->err);
    for (size_t i = 0; i < count; i++) {
        z->transitions[i] = read_time(times + i * b->time_size, b->time_size);
        if (i > 0 && z->transitions[i] <= z->transitions[i - 1])
            return refuse(r, "its transitions are out of order");
        if (types[i] >= b->type_count)
            return refuse(r, "a transition leads to a type that is not there");
        z->types_after[i] = types[i];
    }
    z->transition_count = count;
    return CONEY_OK;
}

static enum coney_rc read_types(struct reader *r, const struct block *b, struct zone *z)
{
    const uint8_t *types = take(r, (size_t)b->type_count * TYPE_SIZE);
    const uint8_t *abbrevs = types ? take(r, b->abbrev_size) : NULL;
    if (!abbrevs)
        return refuse(r, "cut short in its types");

    z->types = arena_alloc(z->memory, b->type_count * sizeof(*z->types));
    z->abbrevs =
            arena_copy(z->memory, (struct bytes){.data = abbrevs, .len = b->abbrev_size})
                    .data;
    if (!z->types || !z->abbrevs)
        return error_set_nomem(r->err);
    for (size_t i = 0; i < b->type_count; i++) {
        const uint8_t *type = types + i * TYPE_SIZE;
        int32_t offset_s = signed32(be32(type));
        if (offset_s < ZONE_OFFSET_MIN || offset_s > ZONE_OFFSET_MAX)
            return refuse(r, "an offset of more than a day");
        if (type[4] > 1 || type[5] >= b->abbrev_size)
            return refuse(r, "a type that makes no sense");
        z->types[i] = (struct local_type){
                .offset_s = offset_s,
                .is_dst = type[4] == 1,
                .abbrev = z->abbrevs + type[5],
        };
    }
    z->type_count = b->type_count;
    return CONEY_OK;
}

static enum coney_rc read_block(struct reader *r, const struct block *b, struct zone *z)
{
    if (b->leap_count != 0)
        return refuse(r, "it counts leap seconds (a \"right\" zone)");
    enum coney_rc rc = read_transitions(r, b, z);
    if (rc == CONEY_OK)
        rc = read_types(r, b, z);
    if (rc == CONEY_OK && !take(r, (size_t)b->isstd_count + b->isut_count))
        rc = refuse(r, "cut short in its indicators");
    return rc;
}

/* A newline, the rule, a newline. No rule: the last transition's type stays. */
static enum coney_rc read_footer(struct reader *r, struct zone *z)
{
    const uint8_t *begin = take(r, 1);
    if (!begin || *begin != '\n')
        return refuse(r, "it has no footer");
    const uint8_t *end = memchr(r->at, '\n', r->left);
    if (!end)
        return refuse(r, "its footer has no end");

    struct bytes text = {.data = r->at, .len = (size_t)(end - r->at)};
    if (text.len == 0)
        return CONEY_OK;
    z->has_rule = true;
    return zone_rule_parse(text, &z->rule, r->err);
}

static enum coney_rc read_file(struct reader *r, struct zone *z)
{
    struct block block = {.version = '\0'};

    enum coney_rc rc = read_header(r, 4, &block);
    if (rc != CONEY_OK)
        return rc;
    if (block.version == '\0')
        return read_block(r, &block, z);

    rc = skip_block(r, &block);
    if (rc == CONEY_OK)
        rc = read_header(r, 8, &block);
    if (rc == CONEY_OK && block.version == '\0')
        rc = refuse(r, "its two headers differ in version");
    if (rc == CONEY_OK)
        rc = read_block(r, &block, z);
    if (rc == CONEY_OK)
        rc = read_footer(r, z);
    return rc;
}

/* --- loading --------------------------------------------------------------------------
 */

static struct zone *new_zone(const char *name)
{
    struct arena *memory = arena_new(0);
    if (!memory)
        return NULL;
    struct zone *z = arena_alloc(memory, sizeof(*z));
    if (z) {
        z->memory = memory;
        z->refs = 1;
        z->name = arena_strdup(memory, name);
    }
    if (!z || !z->name) {
        arena_free(memory);
        return NULL;
    }
    return z;
}

enum coney_rc zone_load_bytes(
        const char *name, struct bytes file, struct zone **out, struct coney_error *err)
{
    *out = NULL;
    struct zone *z = new_zone(name);
    if (!z)
        return error_set_nomem(err);

    struct reader r = {.at = file.data, .left = file.len, .err = err};
    enum coney_rc rc = read_file(&r, z);
    if (rc != CONEY_OK) {
        error_prefix(err, "zone %s", name);
        zone_free(z);
        return rc;
    }
    *out = z;
    return CONEY_OK;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("_+-.", c) != NULL;
}

/* A name comes from a config, and may not lead out of the root. */
static bool is_zone_name(const char *name)
{
    size_t part_len = 0;

    if (strlen(name) > NAME_LEN_MAX)
        return false;
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '/') {
            if (part_len == 0)
                return false;
            part_len = 0;
        } else if (!is_name_char(*p) || (*p == '.' && part_len == 0)) {
            return false; /* no zone's part begins with a dot */
        } else {
            part_len++;
        }
    }
    return part_len > 0;
}

static enum coney_rc open_zone(
        const char *root, const char *name, int *out, struct coney_error *err)
{
    char path[4096];
    struct stat st;

    int len = snprintf(path, sizeof(path), "%s/%s", root, name);
    if (len < 0 || (size_t)len >= sizeof(path))
        return error_set(err, CONEY_EINVAL, "zone directory's name is too long");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return error_set(err, CONEY_ENOTFOUND, "no time zone %s in %s", name, root);
    if (fd < 0 || fstat(fd, &st) != 0) {
        enum coney_rc rc = error_set_errno(err, "open %s", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    if (!S_ISREG(st.st_mode)) { /* such as "America", a directory */
        close(fd);
        return error_set(err, CONEY_ENOTFOUND, "%s in %s is not a time zone", name, root);
    }
    *out = fd;
    return CONEY_OK;
}

/* The whole of @fd, up to the buffer's maximum. */
static enum coney_rc read_all(int fd, struct buffer *b, struct coney_error *err)
{
    enum { STEP = 4096 };
    for (;;) {
        uint8_t *space;
        enum coney_rc rc = buffer_reserve(b, STEP, &space);
        if (rc == CONEY_ENOMEM)
            return error_set_nomem(err);
        if (rc != CONEY_OK)
            return error_set(err, rc, "larger than %d bytes", FILE_SIZE_MAX);
        ssize_t got = read(fd, space, STEP);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, "read");
        if (got == 0)
            return CONEY_OK;
        buffer_commit(b, (size_t)got);
    }
}

enum coney_rc zone_load(
        const char *root, const char *name, struct zone **out, struct coney_error *err)
{
    enum coney_rc rc;
    int fd = -1;
    struct buffer file;

    *out = NULL;
    buffer_init(&file, FILE_SIZE_MAX);
    if (!is_zone_name(name)) {
        rc = error_set(err, CONEY_EINVAL,
                "\"%.64s\" is not a time zone's name, such as Europe/Paris", name);
        goto out;
    }
    rc = open_zone(root ? root : ZONE_ROOT, name, &fd, err);
    if (rc != CONEY_OK)
        goto out;
    rc = read_all(fd, &file, err);
    if (rc != CONEY_OK) {
        error_prefix(err, "zone %s", name);
        goto out;
    }
    rc = zone_load_bytes(name,
            (struct bytes){.data = buffer_data(&file), .len = buffer_len(&file)}, out,
            err);
out:
    buffer_fini(&file);
    if (fd >= 0)
        close(fd);
    return rc;
}

struct zone *zone_ref(struct zone *z)
{
    z->refs++;
    return z;
}

void zone_free(struct zone *z)
{
    if (!z || --z->refs > 0)
        return;
    arena_free(z->memory);
}

const char *zone_name(const struct zone *z)
{
    return z->name;
}

/* --- asking ---------------------------------------------------------------------------
 */

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    if (value < min)
        return min;
    return value > max ? max : value;
}

/* How many transitions lie at or before @utc_s. */
static size_t count_until(const struct zone *z, int64_t utc_s)
{
    size_t low = 0, high = z->transition_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->transitions[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void rule_period(
        const struct zone *z, int64_t utc_s, int64_t after_s, struct zone_period *out)
{
    const struct zone_rule_type *type =
            zone_rule_at(&z->rule, utc_s, &out->start_s, &out->end_s);
    if (out->start_s < after_s) /* the rule holds from the last transition only */
        out->start_s = after_s;
    out->offset_s = type->offset_s;
    out->is_dst = type->is_dst;
    out->abbrev = type->abbrev;
}

void zone_period_at(const struct zone *z, int64_t utc_s, struct zone_period *out)
{
    utc_s = clamp(utc_s, ZONE_SECONDS_MIN, ZONE_SECONDS_MAX);
    size_t passed = count_until(z, utc_s);
    bool is_last = passed == z->transition_count;
    int64_t start_s = passed == 0 ? INT64_MIN : z->transitions[passed - 1];

    if (is_last && z->has_rule) {
        rule_period(z, utc_s, start_s, out);
        return;
    }
    const struct local_type *type =
            &z->types[passed == 0 ? 0 : z->types_after[passed - 1]];
    *out = (struct zone_period){
            .start_s = start_s,
            .end_s = is_last ? INT64_MAX : z->transitions[passed],
            .offset_s = type->offset_s,
            .is_dst = type->is_dst,
            .abbrev = type->abbrev,
    };
}

void zone_local_to_utc(const struct zone *z, int64_t local_s, struct zone_local *out)
{
    enum { MARGIN_S = 2 * CALENDAR_DAY_S }; /* keeps the window below within range */
    local_s = clamp(local_s, ZONE_SECONDS_MIN + MARGIN_S, ZONE_SECONDS_MAX - MARGIN_S);
    int64_t to_s = local_s - ZONE_OFFSET_MIN;
    int64_t gap_s = INT64_MIN;
    size_t found = 0;

    /* Walk the periods that could hold it. In each there is one candidate: what the
     * offset makes of the local time. Going from one that ends too early to one that
     * begins too late is to step over the gap. */
    struct zone_period p = {.end_s = local_s - ZONE_OFFSET_MAX};
    bool was_too_early = false;
    do {
        zone_period_at(z, p.end_s, &p);
        int64_t utc_s = local_s - p.offset_s;
        bool is_too_late = utc_s < p.start_s;
        if (was_too_early && is_too_late)
            gap_s = p.start_s;
        was_too_early = utc_s >= p.end_s;
        if (!is_too_late && !was_too_early) {
            out->first_s = found == 0 ? utc_s : out->first_s;
            out->last_s = utc_s;
            found++;
        }
    } while (p.end_s <= to_s);

    if (found == 0) {
        assert(gap_s != INT64_MIN);
        *out = (struct zone_local){.kind = ZONE_GAP, .first_s = gap_s, .last_s = gap_s};
        return;
    }
    out->kind = found == 1 ? ZONE_UNIQUE : ZONE_AMBIGUOUS;
}
