/* SPDX-License-Identifier: MIT */
/*
 * test_leader_failover.c - beats that die at any point, over a model of the token's
 * queue.
 *
 * The model is the one promise of RabbitMQ that election rests on: a queue with a single
 * active consumer, whose unacked messages go back, in their order, when its channel has
 * ended, and only then to the next. What a beat has sent goes through a pipe, of which
 * the queue has worked off an arbitrary part when the beat dies; what comes back,
 * likewise. So thousands of fail-overs pass in a second, each at another point of the
 * protocol.
 */
#include "base/clock.h"
#include "beat/leader.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
/* 2026-11-20T00:00Z */
#define MIDNIGHT (INT64_C(1795132800) * SECOND_US)

enum {
    BEATS = 3,
    ENTRIES = 3,
    PIPE = 256,
    QUEUE = 256,
    TICKS = 20000,
    HEARTBEAT_MS = 2000
};

static const int64_t every_ms[ENTRIES] = {500, 1000, 6000};

struct message {
    char id[LEADER_ID_SIZE];
    char *body; /* owned */
    size_t len;
};

/* What is on its way, in either direction. */
enum parcel_kind { PARCEL_TOKEN, PARCEL_SEED, PARCEL_TICK, PARCEL_ACK, PARCEL_DELIVERY };

struct parcel {
    enum parcel_kind kind;
    struct message message; /* of a token, a seed or a delivery */
    size_t index;           /* of a tick */
    int64_t due_us;
    uint64_t tag;
};

struct pipe {
    struct parcel items[PIPE];
    size_t count;
};

struct model_beat {
    struct schedule_entry entries[ENTRIES];
    struct agenda *agenda;
    struct leader *leader;
    char writer[32];
    struct pipe out;
    struct pipe in;
    struct message unacked[LEADER_PREFETCH];
    uint64_t tags[LEADER_PREFETCH];
    size_t unacked_count;
    uint64_t last_tag;
    bool is_consuming;
    int64_t back_ms; /* when it opens again */
};

struct model {
    struct rng rng;
    struct leader_moment now;
    struct model_beat beats[BEATS];
    size_t line[BEATS]; /* consumers in the order of their coming; the first is active */
    size_t line_count;
    struct message ready[QUEUE];
    size_t ready_count;
    unsigned epochs;  /* channels that have ended with a token on them */
    unsigned writers; /* beats started so far */
    /* per entry and tick number: how often published */
    uint8_t published[ENTRIES][TICKS];
    unsigned repeated_in[ENTRIES]; /* the fail-over in which the last repeat came, plus 1
                                    */
    bool refuses;                  /* now and then a queue does not take a tick */
};

/* --- messages */

static struct message copy_of(struct bytes body, const char *id)
{
    struct message m = {.len = body.len, .body = malloc(body.len + 1)};
    assert_non_null(m.body);
    memcpy(m.body, body.data, body.len);
    snprintf(m.id, sizeof(m.id), "%s", id);
    return m;
}

static struct parcel *put(struct pipe *p, enum parcel_kind kind)
{
    assert_true(p->count < PIPE);
    p->items[p->count] = (struct parcel){.kind = kind};
    return &p->items[p->count++];
}

static struct parcel take_first(struct pipe *p)
{
    struct parcel first = p->items[0];
    p->count--;
    memmove(p->items, p->items + 1, p->count * sizeof(p->items[0]));
    return first;
}

static void empty(struct pipe *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->items[i].message.body);
    p->count = 0;
}

/* --- the queue */

static struct model_beat *active(struct model *m)
{
    return m->line_count > 0 ? &m->beats[m->line[0]] : NULL;
}

static void deliver(struct model *m)
{
    struct model_beat *b = active(m);

    while (b && m->ready_count > 0 && b->unacked_count < LEADER_PREFETCH) {
        struct message first = m->ready[0];
        memmove(m->ready, m->ready + 1, --m->ready_count * sizeof(m->ready[0]));
        struct parcel *p = put(&b->in, PARCEL_DELIVERY);
        struct bytes body = {.data = first.body, .len = first.len};
        p->message = copy_of(body, first.id);
        p->tag = ++b->last_tag;
        b->tags[b->unacked_count] = p->tag;
        b->unacked[b->unacked_count++] = first;
    }
}

static void enqueue(struct model *m, struct message message)
{
    assert_true(m->ready_count < QUEUE);
    m->ready[m->ready_count++] = message;
    deliver(m);
}

static void settle(struct model *m, struct model_beat *b, uint64_t tag)
{
    for (size_t i = 0; i < b->unacked_count; i++) {
        if (b->tags[i] != tag)
            continue;
        free(b->unacked[i].body);
        b->unacked_count--;
        for (size_t k = i; k < b->unacked_count; k++) {
            b->tags[k] = b->tags[k + 1];
            b->unacked[k] = b->unacked[k + 1];
        }
        deliver(m);
        return;
    }
    fail_msg("an ack for nothing");
}

/* A repeat may come once for each entry and fail-over. */
static void record(struct model *m, const struct parcel *p)
{
    int64_t number = (p->due_us - MIDNIGHT) / (every_ms[p->index] * 1000);
    assert_true(p->due_us <= m->now.now_us);
    assert_true(number > 0 && number < TICKS);
    if (m->published[p->index][number]++ == 0)
        return;
    assert_true(m->epochs > 0);
    assert_int_not_equal(m->repeated_in[p->index], m->epochs);
    m->repeated_in[p->index] = m->epochs;
}

/* The broker works off one thing that @b has sent. */
static void work_off(struct model *m, struct model_beat *b)
{
    struct parcel p = take_first(&b->out);
    enum publish_outcome outcome = PUBLISH_ACKED;

    if (p.kind == PARCEL_ACK) {
        settle(m, b, p.tag);
        return;
    }
    if (p.kind == PARCEL_TICK && m->refuses && rng_below(&m->rng, 10) == 0)
        outcome = PUBLISH_NACKED;
    else if (p.kind == PARCEL_TICK)
        record(m, &p);
    struct parcel *confirm = put(&b->in, p.kind);
    confirm->index = p.index;
    confirm->tag = outcome;
    if (p.kind != PARCEL_TICK)
        enqueue(m, p.message);
}

/* --- beats */

static void start(struct model *m, struct model_beat *b)
{
    snprintf(b->writer, sizeof(b->writer), "beat-%u", ++m->writers);
    const struct leader_options options = {
            .heartbeat_ms = HEARTBEAT_MS, .writer = b->writer};
    for (size_t i = 0; i < ENTRIES; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        schedule_entry_init(&b->entries[i]);
        b->entries[i].name = strdup(name);
        b->entries[i].task = strdup("t");
        b->entries[i].every_ms = every_ms[i];
        b->entries[i].misfire = SCHEDULE_ALL;
    }
    assert_int_equal(agenda_new(b->entries, ENTRIES, &b->agenda), CONEY_OK);
    b->leader = leader_new(&options, b->agenda);
    assert_non_null(b->leader);
}

static void stop(struct model_beat *b)
{
    leader_free(b->leader);
    agenda_free(b->agenda);
    for (size_t i = 0; i < ENTRIES; i++)
        schedule_entry_fini(&b->entries[i]);
}

static void open_channel(struct model *m, struct model_beat *b)
{
    bool is_empty = m->ready_count == 0 && m->line_count == 0;
    m->line[m->line_count++] = (size_t)(b - m->beats);
    b->is_consuming = true;
    leader_opened(b->leader, is_empty, m->now.now_ms);
    deliver(m);
}

/* Its channel ends, after the broker has worked off @sent of what was on its way. */
static void end_channel(struct model *m, struct model_beat *b, size_t sent)
{
    size_t place = 0;

    while (sent-- > 0 && b->out.count > 0)
        work_off(m, b);
    empty(&b->out);
    empty(&b->in);
    if (b->unacked_count > 0)
        m->epochs++;
    while (m->line[place] != (size_t)(b - m->beats))
        place++;
    for (m->line_count--; place < m->line_count; place++)
        m->line[place] = m->line[place + 1];
    assert_true(m->ready_count + b->unacked_count < QUEUE);
    memmove(m->ready + b->unacked_count, m->ready, m->ready_count * sizeof(m->ready[0]));
    memcpy(m->ready, b->unacked, b->unacked_count * sizeof(b->unacked[0]));
    m->ready_count += b->unacked_count;
    b->unacked_count = 0;
    b->is_consuming = false;
    deliver(m);
}

static void kill_beat(struct model *m, struct model_beat *b)
{
    if (b->is_consuming)
        end_channel(m, b, rng_below(&m->rng, b->out.count + 1));
    stop(b);
    start(m, b);
    b->back_ms = m->now.now_ms + (int64_t)rng_below(&m->rng, 3000);
}

/* One thing comes to @b. */
static void hear(struct model *m, struct model_beat *b)
{
    struct parcel p = take_first(&b->in);
    const struct leader_arrival arrival = {.tag = p.tag,
            .message_id = p.message.id,
            .body = {.data = p.message.body, .len = p.message.len}};

    switch (p.kind) {
    case PARCEL_DELIVERY:
        assert_int_equal(leader_receive(b->leader, &arrival, &m->now, NULL), CONEY_OK);
        free(p.message.body);
        break;
    case PARCEL_TOKEN:
        leader_wrote(b->leader, PUBLISH_ACKED, m->now.now_ms);
        break;
    case PARCEL_SEED:
        leader_seeded(b->leader, PUBLISH_ACKED, m->now.now_ms);
        break;
    case PARCEL_TICK:
        leader_published(b->leader, p.index, (enum publish_outcome)p.tag, m->now.now_ms);
        break;
    case PARCEL_ACK:
        break;
    }
}

/* @b does one thing; false: it has nothing to do. */
static bool do_one(struct model *m, struct model_beat *b)
{
    struct leader_action action;
    struct parcel *p;

    leader_act(b->leader, &m->now, &action);
    switch (action.what) {
    case LEADER_WAIT:
        return false;
    case LEADER_ACK:
        put(&b->out, PARCEL_ACK)->tag = action.tag;
        break;
    case LEADER_WRITE:
    case LEADER_SEED:
        p = put(&b->out, action.what == LEADER_WRITE ? PARCEL_TOKEN : PARCEL_SEED);
        p->message = copy_of(action.body, action.id);
        break;
    case LEADER_PUBLISH:
        p = put(&b->out, PARCEL_TICK);
        p->index = action.tick.index;
        p->due_us = action.tick.at_us;
        break;
    case LEADER_RESIGN:
        leader_lost(b->leader);
        end_channel(m, b, b->out.count);
        b->back_ms = m->now.now_ms + 1000;
        return false;
    case LEADER_DROPPED:
    case LEADER_REWOUND:
    case LEADER_LEAD:
        break;
    }
    return true;
}

static void live(struct model *m, struct model_beat *b)
{
    if (!b->is_consuming) {
        if (m->now.now_ms >= b->back_ms)
            open_channel(m, b);
        return;
    }
    for (size_t n = rng_below(&m->rng, 4); n > 0 && b->out.count > 0; n--)
        work_off(m, b);
    for (size_t n = rng_below(&m->rng, 4); n > 0 && b->in.count > 0; n--)
        hear(m, b);
    for (size_t n = 1 + rng_below(&m->rng, 4); n > 0 && do_one(m, b); n--)
        ;
}

static void pass(struct model *m, int64_t ms)
{
    m->now.now_ms += ms;
    m->now.now_us += ms * 1000;
}

/* Let it go on undisturbed, so that what is late is made up for. */
static void calm_down(struct model *m)
{
    m->refuses = false;
    for (int turn = 0; turn < 100000; turn++) {
        pass(m, turn % 5 == 0);
        for (size_t i = 0; i < BEATS; i++)
            live(m, &m->beats[i]);
    }
}

/* How many of the entry's ticks came more than once; none may be missing. */
static unsigned judge_entry(const struct model *m, size_t i)
{
    unsigned repeats = 0;
    int64_t first = 1; /* the entry is not older than the first token */
    int64_t last = (m->now.now_us - SECOND_US - MIDNIGHT) / (every_ms[i] * 1000);

    while (m->published[i][first] == 0)
        first++;
    assert_true(first * every_ms[i] < 10000);
    for (int64_t n = first; n <= last; n++) {
        if (m->published[i][n] == 0)
            print_message("entry %zu lacks tick %lld\n", i, (long long)n);
        assert_true(m->published[i][n] > 0);
        repeats += m->published[i][n] - 1u;
    }
    return repeats;
}

static unsigned judge(const struct model *m)
{
    unsigned repeats = 0;
    for (size_t i = 0; i < ENTRIES; i++)
        repeats += judge_entry(m, i);
    return repeats;
}

static void free_model(struct model *m)
{
    for (size_t i = 0; i < BEATS; i++) {
        struct model_beat *b = &m->beats[i];
        empty(&b->in);
        empty(&b->out);
        for (size_t k = 0; k < b->unacked_count; k++)
            free(b->unacked[k].body);
        stop(b);
    }
    for (size_t i = 0; i < m->ready_count; i++)
        free(m->ready[i].body);
    free(m);
}

/* Beats die, the leader more often than others, for an hour of made-up time. */
static void run(uint64_t seed, bool refuses)
{
    struct model *m = calloc(1, sizeof(*m));
    unsigned kills = 0;

    assert_non_null(m);
    rng_seed(&m->rng, seed);
    m->refuses = refuses;
    m->now = (struct leader_moment){.now_ms = 1000, .now_us = MIDNIGHT};
    for (size_t i = 0; i < BEATS; i++)
        start(m, &m->beats[i]);
    while (m->now.now_us < MIDNIGHT + 3600 * SECOND_US) {
        pass(m, (int64_t)rng_below(&m->rng, 20));
        for (size_t i = 0; i < BEATS; i++)
            live(m, &m->beats[i]);
        if (rng_below(&m->rng, 150) == 0) {
            struct model_beat *leader = active(m);
            size_t other = rng_below(&m->rng, BEATS);
            kill_beat(m, leader && kills % 4 != 0 ? leader : &m->beats[other]);
            kills++;
        }
    }
    calm_down(m);
    unsigned repeats = judge(m);
    print_message("%u kills, %u fail-overs, %u repeats\n", kills, m->epochs, repeats);
    assert_true(m->epochs > 500 && repeats > 0);
    free_model(m);
}

static void no_tick_is_lost_and_each_failover_repeats_one_of_an_entry_at_most(
        void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++)
        run(seed, false);
}

static void nor_when_queues_refuse_now_and_then(void **state)
{
    (void)state;
    for (uint64_t seed = 3; seed <= 4; seed++)
        run(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(
                    no_tick_is_lost_and_each_failover_repeats_one_of_an_entry_at_most),
            cmocka_unit_test(nor_when_queues_refuse_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
