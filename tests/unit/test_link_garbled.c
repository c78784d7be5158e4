/* SPDX-License-Identifier: MIT */
/*
 * test_link_garbled.c - a whole conversation, split, cut and garbled at every byte.
 *
 * Whatever the broker's bytes become, the link must not crash, must stop growing, must
 * give every publish exactly one outcome and must end with nothing owed.
 */
#include "base/rng.h"
#include "link_fixture.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { PUBLISHES = 6, LONG_AGO = 1 << 20 };

/* Heap in use, with or without a sanitizer's allocator. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_bytes(void)
{
    if (__sanitizer_get_current_allocated_bytes)
        return __sanitizer_get_current_allocated_bytes();
    return mallinfo2().uordblks;
}

/* The broker's half: login, two channels, deliveries, a return, confirms, a
 * channel.close, an alarm, and connection.close at the end. */
static void conversation(struct peer_bytes *b)
{
    struct peer_bytes table = {.data = NULL};
    struct peer_bytes properties = {.data = NULL};

    peer_handshake(b, 60);
    peer_method(b, 1, 20, 11, "S", "");
    peer_method(b, 2, 20, 11, "S", "");
    peer_method(b, 2, 85, 11, "");
    peer_method(b, 1, 50, 11, "sll", "q", 3u, 1u);
    peer_method(b, 1, 60, 21, "s", "tag");
    peer_number(&table, 25, 4);
    peer_raw(&table, "\4taskS\0\0\0\2hi\1nF\0\0\0\4\1xI\0", 24);
    peer_raw(&table, "\0\0\1", 3);
    table.data[3] = (uint8_t)(table.len - 4);
    peer_headers(&properties, &table);
    peer_deliver(b, 1, 1, &properties, &(struct peer_body){"hello world", 11, 4});
    peer_deliver(b, 1, 2, NULL, &(struct peer_body){"", 0, 4});
    peer_method(b, 2, 60, 80, "qo", (uint64_t)2, 0u);
    peer_method(b, 2, 60, 50, "wsss", 312u, "NO_ROUTE", "", "key");
    peer_header(b, 2, 4, NULL);
    peer_frame(b, 3, 2, "body", 4);
    peer_method(b, 2, 60, 120, "qo", (uint64_t)3, 1u);
    peer_frame(b, 8, 0, NULL, 0);
    peer_method(b, 0, 10, 60, "s", "alarm");
    peer_method(b, 0, 10, 61, "");
    peer_method(b, 1, 60, 30, "so", "tag", 1u);
    peer_method(b, 1, 20, 40, "wsww", 404u, "NOT_FOUND", 60u, 20u);
    peer_method(b, 2, 60, 80, "qo", (uint64_t)5, 0u);
    peer_method(b, 0, 10, 50, "wsww", 320u, "CONNECTION_FORCED", 0u, 0u);
    peer_bytes_fini(&table);
    peer_bytes_fini(&properties);
}

struct talk {
    struct link_fixture f;
    bool has_called;
    unsigned outcomes[PUBLISHES + 1];
    unsigned published;
    unsigned events[SESSION_RETURNED + 1];
};

/* Our half, once logged in. */
static void call(struct talk *t)
{
    struct amqp_channel a, b;
    union {
        const char *from;
        void *to;
    } name = {.from = "q"};
    amqp_bytes_t q = {.len = 1, .bytes = name.to};
    amqp_queue_declare_t declare = {.queue = q};
    amqp_basic_consume_t consume = {.queue = q};
    const struct link_method declaring = {.number = AMQP_QUEUE_DECLARE_METHOD,
            .decoded = &declare,
            .size = 16,
            .cookie = 1};
    const struct link_method consuming = {.number = AMQP_BASIC_CONSUME_METHOD,
            .decoded = &consume,
            .size = 16,
            .cookie = 2};

    t->has_called = true;
    assert_int_equal(link_channel_open(t->f.link, &a), CONEY_OK);
    assert_int_equal(link_channel_open(t->f.link, &b), CONEY_OK);
    assert_int_equal(link_confirm_select(t->f.link, b), CONEY_OK);
    assert_int_equal(link_call(t->f.link, a, &declaring), CONEY_OK);
    assert_int_equal(link_call(t->f.link, a, &consuming), CONEY_OK);
    for (unsigned i = 1; i <= PUBLISHES; i++)
        link_fixture_publish(&t->f, b, NULL, i);
    t->published = PUBLISHES;
}

static void take_events(struct talk *t)
{
    struct session_event ev;
    while (link_next_event(t->f.link, &ev)) {
        t->events[ev.type]++;
        if (ev.type == SESSION_PUBLISHED) {
            assert_in_range(ev.cookie, 1, PUBLISHES);
            t->outcomes[ev.cookie]++;
        }
        if (ev.type == SESSION_DELIVERY && ev.delivery.flaw == DELIVERY_WHOLE)
            assert_int_equal(ev.delivery.envelope.body.len, ev.delivery.body_size);
        session_event_fini(&ev);
    }
}

static void step(struct talk *t)
{
    do {
        link_process(t->f.link);
        if (link_phase(t->f.link) == LINK_UP && !t->has_called)
            call(t);
        take_events(t);
    } while (link_has_work(t->f.link));
    link_fixture_sent(&t->f);
    link_release_names(t->f.link);
}

/* Say @b in pieces of @piece bytes, then close the socket. */
static void talk(struct talk *t, const struct peer_bytes *b, size_t len, size_t piece)
{
    const struct coney_error end = {.rc = CONEY_ECLOSED, .text = "closed"};

    *t = (struct talk){.has_called = false};
    link_fixture_init(&t->f);
    link_fixture_open(&t->f);
    for (size_t done = 0; done < len && link_wants_input(t->f.link); done += piece) {
        uint8_t *space;
        size_t n = len - done < piece ? len - done : piece;
        assert_int_equal(link_input_reserve(t->f.link, n, &space), CONEY_OK);
        memcpy(space, b->data + done, n);
        link_input_commit(t->f.link, n, t->f.now_ms);
        step(t);
    }
    link_input_end(t->f.link, &end);
    step(t);
    assert_int_equal(link_phase(t->f.link), LINK_OVER);
    for (unsigned i = 1; i <= t->published; i++)
        assert_int_equal(t->outcomes[i], 1);
    link_fixture_fini(&t->f);
}

/* The handshake ends where our calls must have been made: what follows answers them. */
static size_t handshake_len(void)
{
    struct peer_bytes b = {.data = NULL};
    peer_handshake(&b, 60);
    size_t len = b.len;
    peer_bytes_fini(&b);
    return len;
}

/* Pieces of one byte always stop between the handshake and the rest; larger ones must be
 * made to, since the link must not hear answers before it has asked. */
static void talk_after_handshake(
        struct talk *t, const struct peer_bytes *b, size_t len, size_t piece)
{
    const struct coney_error end = {.rc = CONEY_ECLOSED, .text = "closed"};
    size_t first = handshake_len();

    *t = (struct talk){.has_called = false};
    link_fixture_init(&t->f);
    link_fixture_open(&t->f);
    for (size_t done = 0; done < len && link_wants_input(t->f.link);) {
        uint8_t *space;
        size_t limit = done < first && first < len ? first : len;
        size_t n = limit - done < piece ? limit - done : piece;
        assert_int_equal(link_input_reserve(t->f.link, n, &space), CONEY_OK);
        memcpy(space, b->data + done, n);
        link_input_commit(t->f.link, n, t->f.now_ms);
        step(t);
        done += n;
    }
    link_input_end(t->f.link, &end);
    step(t);
    assert_int_equal(link_phase(t->f.link), LINK_OVER);
    for (unsigned i = 1; i <= t->published; i++)
        assert_int_equal(t->outcomes[i], 1);
    link_fixture_fini(&t->f);
}

static void assert_whole_talk(const struct talk *t)
{
    assert_int_equal(t->published, PUBLISHES);
    assert_int_equal(t->events[SESSION_REPLY], 2);
    assert_int_equal(t->events[SESSION_DELIVERY], 2);
    assert_int_equal(t->events[SESSION_RETURNED], 1);
    assert_int_equal(t->events[SESSION_PUBLISHED], PUBLISHES);
    assert_int_equal(t->events[SESSION_BLOCKED], 1);
    assert_int_equal(t->events[SESSION_UNBLOCKED], 1);
    assert_int_equal(t->events[SESSION_CANCELLED], 1);
    assert_int_equal(t->events[SESSION_CHANNEL_CLOSED], 1);
}

static void a_conversation_is_the_same_in_pieces_of_any_size(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    struct talk t;

    conversation(&b);
    for (size_t piece = 1; piece <= b.len; piece++) {
        talk_after_handshake(&t, &b, b.len, piece);
        assert_whole_talk(&t);
    }
    peer_bytes_fini(&b);
}

static void a_conversation_cut_at_any_byte_ends_with_nothing_owed(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    struct talk t;

    conversation(&b);
    for (size_t len = 0; len <= b.len; len++)
        talk_after_handshake(&t, &b, len, 64);
    assert_whole_talk(&t);
    peer_bytes_fini(&b);
}

static void any_byte_may_be_wrong(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    struct talk t;
    static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x10};

    conversation(&b);
    for (size_t i = 0; i < b.len; i++) {
        for (size_t m = 0; m < sizeof(masks); m++) {
            b.data[i] ^= masks[m];
            talk_after_handshake(&t, &b, b.len, 300);
            b.data[i] ^= masks[m];
        }
    }
    peer_bytes_fini(&b);
}

static void noise_ends_the_link_sooner_or_later(void **state)
{
    (void)state;
    struct peer_bytes whole = {.data = NULL};
    struct rng r;
    struct talk t;

    conversation(&whole);
    rng_seed(&r, 20);
    for (int round = 0; round < 3000; round++) {
        struct peer_bytes b = {.data = NULL};
        peer_raw(&b, whole.data, whole.len);
        for (uint64_t n = 1 + rng_below(&r, 20); n > 0; n--) {
            size_t at = (size_t)rng_below(&r, b.len);
            size_t from = (size_t)rng_below(&r, b.len);
            size_t len = (size_t)rng_below(&r, b.len - (at > from ? at : from));
            switch (rng_below(&r, 3)) {
            case 0:
                b.data[at] = (uint8_t)rng_next(&r);
                break;
            case 1:
                memmove(b.data + at, b.data + from, len);
                break;
            default:
                if (b.len > 100)
                    b.len -= rng_below(&r, 10);
                break;
            }
        }
        talk(&t, &b, b.len, 1 + (size_t)rng_below(&r, 200));
        peer_bytes_fini(&b);
    }
    peer_bytes_fini(&whole);
}

/* Frames of full size whose headers are as expensive to decode as they can be. */
static void hostile_headers(struct peer_bytes *b, unsigned kind)
{
    enum { ROOM = 130000 };
    struct peer_bytes table = {.data = NULL};
    struct peer_bytes properties = {.data = NULL};

    peer_number(&table, 0, 4);
    if (kind == 0) /* many of the smallest fields */
        while (table.len + 2 <= ROOM)
            peer_raw(&table, "\0V", 2);
    if (kind == 1) /* many of the smallest elements */ {
        peer_raw(&table, "\0A", 2);
        peer_number(&table, ROOM - 8, 4);
        while (table.len + 1 <= ROOM)
            peer_raw(&table, "V", 1);
        table.data[6] = (uint8_t)((table.len - 10) >> 24);
        table.data[7] = (uint8_t)((table.len - 10) >> 16);
        table.data[8] = (uint8_t)((table.len - 10) >> 8);
        table.data[9] = (uint8_t)(table.len - 10);
    }
    if (kind == 2) /* as deep as it goes */
        for (size_t left = ROOM / 5; left > 0; left--) {
            peer_raw(&table, table.len == 4 ? "\0A" : "A", table.len == 4 ? 2 : 1);
            peer_number(&table, (left - 1) * 5, 4);
        }
    if (kind == 3) /* many empty tables */
        while (table.len + 6 <= ROOM)
            peer_raw(&table, "\0F\0\0\0\0", 6);
    table.data[0] = (uint8_t)((table.len - 4) >> 24);
    table.data[1] = (uint8_t)((table.len - 4) >> 16);
    table.data[2] = (uint8_t)((table.len - 4) >> 8);
    table.data[3] = (uint8_t)(table.len - 4);
    peer_headers(&properties, &table);
    peer_deliver(b, 1, 1, &properties, &(struct peer_body){"x", 1, 1});
    peer_bytes_fini(&table);
    peer_bytes_fini(&properties);
}

static void half_a_megabyte_of_hostile_frames_takes_little_memory(void **state)
{
    (void)state;
    struct link_fixture f;
    struct peer_bytes b = {.data = NULL};
    struct session_event events[4];

    for (unsigned kind = 0; kind < 4; kind++)
        hostile_headers(&b, kind);
    assert_in_range(b.len, 500 * 1000, 560 * 1000);
    link_fixture_init(&f);
    link_fixture_log_in(&f);
    link_fixture_channel(&f);
    size_t before = heap_bytes();
    for (size_t done = 0; done < b.len; done += 60000)
        link_fixture_feed(&f, b.data + done, b.len - done < 60000 ? b.len - done : 60000);
    size_t grown = heap_bytes() - before;
    for (int i = 0; i < 4; i++) {
        events[i] = link_fixture_event(&f, SESSION_DELIVERY);
        assert_int_equal(events[i].delivery.flaw, DELIVERY_HEADERS_REFUSED);
        assert_string_equal(events[i].delivery.envelope.body.data, "x");
    }
    printf("hostile frames: %zu bytes took %zu bytes of heap\n", b.len, grown);
    assert_true(grown < 8 * 1024 * 1024);
    for (int i = 0; i < 4; i++)
        session_event_fini(&events[i]);
    link_fixture_fini(&f);
    peer_bytes_fini(&b);
}

static void a_promised_body_takes_no_memory_before_it_comes(void **state)
{
    (void)state;
    struct link_fixture f;

    link_fixture_init(&f);
    f.options.body_max = 1024 * 1024 * 1024;
    link_fixture_log_in(&f);
    size_t before = heap_bytes();
    for (int i = 0; i < 50; i++) {
        unsigned n = link_fixture_channel(&f).number;
        peer_method(&f.in, n, 60, 60, "sqoss", "t", (uint64_t)1, 0u, "x", "k");
        peer_header(&f.in, n, 1024 * 1024 * 1024, NULL);
        peer_frame(&f.in, 3, n, "x", 1);
        link_fixture_hear(&f);
    }
    assert_int_equal(link_phase(f.link), LINK_UP);
    assert_true(heap_bytes() - before < 50 * 128 * 1024);
    link_fixture_fini(&f);
}

/* Each allocation of our own in turn fails: the link ends, or did without it. */
static void running_out_of_memory_anywhere_loses_nothing(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    struct talk t = {.has_called = false};
    const struct coney_error end = {.rc = CONEY_ECLOSED, .text = "closed"};
    bool failed = true;

    conversation(&b);
    size_t first = handshake_len();
    for (unsigned n = 1; failed && n < 1000; n++) {
        t = (struct talk){.has_called = false};
        link_fixture_init(&t.f);
        test_fail_allocation(n);
        enum coney_rc rc = link_new(&t.f.options, t.f.now_ms, &t.f.link);
        for (size_t done = 0; rc == CONEY_OK && done < b.len;) {
            uint8_t *space;
            size_t len = done == 0 ? first : b.len - first;
            if (done > 0 && link_phase(t.f.link) == LINK_UP) {
                test_fail_allocation(0);
                call(&t);
                test_fail_allocation(n);
            }
            if (!link_wants_input(t.f.link) ||
                    link_input_reserve(t.f.link, len, &space) != CONEY_OK)
                break;
            memcpy(space, b.data + done, len);
            link_input_commit(t.f.link, len, t.f.now_ms);
            do {
                link_process(t.f.link);
                take_events(&t);
            } while (link_has_work(t.f.link));
            done += len;
        }
        failed = test_allocation_failed();
        test_fail_allocation(0);
        if (rc == CONEY_OK) {
            link_input_end(t.f.link, &end);
            link_process(t.f.link);
            take_events(&t);
            assert_int_equal(link_phase(t.f.link), LINK_OVER);
            for (unsigned i = 1; i <= t.published; i++)
                assert_int_equal(t.outcomes[i], 1);
        }
        link_fixture_fini(&t.f);
    }
    assert_false(failed);
    peer_bytes_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_conversation_is_the_same_in_pieces_of_any_size),
            cmocka_unit_test(a_conversation_cut_at_any_byte_ends_with_nothing_owed),
            cmocka_unit_test(any_byte_may_be_wrong),
            cmocka_unit_test(noise_ends_the_link_sooner_or_later),
            cmocka_unit_test(half_a_megabyte_of_hostile_frames_takes_little_memory),
            cmocka_unit_test(a_promised_body_takes_no_memory_before_it_comes),
            cmocka_unit_test(running_out_of_memory_anywhere_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
