/* SPDX-License-Identifier: MIT */
/* test_frame.c - frames cut anywhere, and frames that must not pass. */
#include "amqp/frame.h"
#include "scripted_peer.h"
#include "test.h"

#include <string.h>

enum { FRAME_MAX = 4096 };

static enum coney_rc parse(
        const struct peer_bytes *b, size_t len, struct frame *f, size_t *used)
{
    struct coney_error err;
    return frame_parse(
            (struct bytes){.data = b->data, .len = len}, FRAME_MAX, f, used, &err);
}

static void a_frame_written_is_the_frame_read(void **state)
{
    (void)state;
    struct buffer out;
    struct frame f;
    size_t used;

    buffer_init(&out, 1024);
    assert_int_equal(
            frame_append(&out, FRAME_BODY, 7, (struct bytes){.data = "hello", .len = 5}),
            0);
    assert_int_equal(buffer_len(&out), 5 + FRAME_OVERHEAD);
    struct bytes data = {.data = buffer_data(&out), .len = buffer_len(&out)};
    assert_int_equal(frame_parse(data, FRAME_MAX, &f, &used, NULL), 0);
    assert_int_equal(used, data.len);
    assert_int_equal(f.type, FRAME_BODY);
    assert_int_equal(f.channel, 7);
    assert_int_equal(f.payload.len, 5);
    assert_memory_equal(f.payload.data, "hello", 5);
    buffer_fini(&out);
}

static void an_incomplete_frame_uses_nothing(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    struct frame f;
    size_t used;

    peer_frame(&b, FRAME_METHOD, 1, "0123456789", 10);
    for (size_t len = 0; len < b.len; len++) {
        assert_int_equal(parse(&b, len, &f, &used), CONEY_OK);
        assert_int_equal(used, 0);
    }
    assert_int_equal(parse(&b, b.len, &f, &used), CONEY_OK);
    assert_int_equal(used, b.len);
    peer_bytes_fini(&b);
}

static void a_frame_above_the_limit_is_refused_from_its_first_bytes(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    struct frame f;
    size_t used;

    peer_number(&b, FRAME_BODY, 1);
    peer_number(&b, 1, 2);
    peer_number(&b, FRAME_MAX - FRAME_OVERHEAD, 4);
    assert_int_equal(parse(&b, b.len, &f, &used), CONEY_OK);
    b.len = 3;
    peer_number(&b, FRAME_MAX - FRAME_OVERHEAD + 1, 4);
    assert_int_equal(parse(&b, b.len, &f, &used), CONEY_ELIMIT);
    b.len = 3;
    peer_number(&b, 0xffffffff, 4);
    assert_int_equal(parse(&b, b.len, &f, &used), CONEY_ELIMIT);
    peer_bytes_fini(&b);
}

struct bad_frame {
    unsigned type;
    unsigned channel;
    size_t len;
};

static void a_frame_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct bad_frame bad[] = {
            {0, 1, 20},
            {4, 1, 20},
            {255, 0, 0},
            {FRAME_METHOD, 1, 3},
            {FRAME_HEADER, 1, 13},
            {FRAME_HEADER, 0, 14},
            {FRAME_BODY, 0, 5},
            {FRAME_HEARTBEAT, 1, 0},
            {FRAME_HEARTBEAT, 0, 1},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct peer_bytes b = {.data = NULL};
        struct frame f;
        size_t used;
        peer_frame(&b, bad[i].type, bad[i].channel, "01234567890123456789", bad[i].len);
        assert_int_equal(parse(&b, b.len, &f, &used), CONEY_ESYNTAX);
        peer_bytes_fini(&b);
    }
}

static void a_frame_without_its_end_octet_is_refused(void **state)
{
    (void)state;
    struct peer_bytes b = {.data = NULL};
    struct frame f;
    size_t used;

    peer_frame(&b, FRAME_HEARTBEAT, 0, NULL, 0);
    assert_int_equal(parse(&b, b.len, &f, &used), CONEY_OK);
    b.data[b.len - 1] = 0xcd;
    assert_int_equal(parse(&b, b.len, &f, &used), CONEY_ESYNTAX);
    peer_bytes_fini(&b);
}

static void a_full_buffer_takes_no_part_of_a_frame(void **state)
{
    (void)state;
    struct buffer out;

    buffer_init(&out, 12);
    assert_int_equal(
            frame_append(&out, FRAME_BODY, 1, (struct bytes){.data = "hello", .len = 5}),
            CONEY_ELIMIT);
    assert_int_equal(buffer_len(&out), 0);
    assert_int_equal(
            frame_append(&out, FRAME_BODY, 1, (struct bytes){.data = "four", .len = 4}),
            0);
    buffer_fini(&out);
}

static void numbers_come_back_in_every_width(void **state)
{
    (void)state;
    uint8_t p[8];

    for (unsigned shift = 0; shift < 64; shift++) {
        uint64_t n = 0x8123456789abcdefu >> shift;
        frame_put_u64(p, n);
        assert_true(frame_get_u64(p) == n);
        frame_put_u32(p, (uint32_t)n);
        assert_true(frame_get_u32(p) == (uint32_t)n);
        frame_put_u16(p, (uint16_t)n);
        assert_true(frame_get_u16(p) == (uint16_t)n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_frame_written_is_the_frame_read),
            cmocka_unit_test(an_incomplete_frame_uses_nothing),
            cmocka_unit_test(a_frame_above_the_limit_is_refused_from_its_first_bytes),
            cmocka_unit_test(a_frame_that_makes_no_sense_is_refused),
            cmocka_unit_test(a_frame_without_its_end_octet_is_refused),
            cmocka_unit_test(a_full_buffer_takes_no_part_of_a_frame),
            cmocka_unit_test(numbers_come_back_in_every_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
