/* SPDX-License-Identifier: MIT */
/*
 * test_ring.c - the ring alone, a hostile other side, and two threads with all that is
 * shared on a board (rings, slots, bells) in one mapping, where a race detector sees it.
 */
#include "board/bell.h"
#include "board/ring.h"
#include "board/slot.h"
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { RING_SIZE = 1024 };

struct fixture {
    struct ring_positions positions;
    uint8_t bytes[RING_SIZE];
    struct ring writer;
    struct ring reader;
    struct buffer out;
};

static int setup(void **state)
{
    static struct fixture f;
    memset(&f, 0, sizeof(f));
    ring_init(&f.writer, &f.positions, f.bytes, sizeof(f.bytes));
    ring_init(&f.reader, &f.positions, f.bytes, sizeof(f.bytes));
    buffer_init(&f.out, 64 * 1024);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buffer_fini(&f->out);
    return 0;
}

static enum coney_rc put_text(struct ring *r, const char *text)
{
    struct ring_frame frame = {
            .len = (uint32_t)strlen(text), .kind = 7, .tag = 42, .extra = 3};
    return ring_put(r, &frame, text);
}

static void records_come_out_as_they_went_in(void **state)
{
    struct fixture *f = *state;
    struct ring_frame frame;
    /* Long enough for every record to meet the end of the ring in another place. */
    for (int i = 0; i < 1000; i++) {
        char text[64];
        snprintf(text, sizeof(text), "%.*s%d", i % 37,
                "-------------------------------------", i);
        assert_int_equal(put_text(&f->writer, text), CONEY_OK);
        assert_true(ring_has_record(&f->reader));
        assert_int_equal(ring_take(&f->reader, &frame, &f->out), CONEY_OK);
        assert_int_equal(frame.kind, 7);
        assert_int_equal(frame.tag, 42);
        assert_int_equal(frame.extra, 3);
        assert_int_equal(buffer_len(&f->out), strlen(text));
        assert_memory_equal(buffer_data(&f->out), text, strlen(text));
    }
    assert_false(ring_has_record(&f->reader));
    assert_int_equal(ring_take(&f->reader, &frame, &f->out), CONEY_ENOTFOUND);
}

static void a_full_ring_takes_nothing_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    struct ring_frame frame;
    int put = 0;
    while (put_text(&f->writer, "0123456789abcdef") == CONEY_OK)
        put++;
    assert_int_equal(put, RING_SIZE / (int)(sizeof(struct ring_frame) + 16));
    assert_int_equal(ring_check_room(&f->writer, 16), CONEY_ELIMIT);
    assert_int_equal(ring_check_room(&f->writer, SIZE_MAX), CONEY_ELIMIT);

    int taken = 0;
    while (ring_take(&f->reader, &frame, &f->out) == CONEY_OK)
        taken++;
    assert_int_equal(taken, put);
    assert_int_equal(ring_check_room(&f->writer, 16), CONEY_OK);
}

static void an_impossible_writer_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ring_frame frame;
    const uint64_t impossible[] = {1, sizeof(frame) - 1, RING_SIZE + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
        atomic_store(&f->positions.written, impossible[i]);
        assert_int_equal(ring_take(&f->reader, &frame, &f->out), CONEY_EINVAL);
        f->reader.other = 0;
    }
}

static void a_writer_that_turns_back_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ring_frame frame;
    assert_int_equal(put_text(&f->writer, "one"), CONEY_OK);
    assert_int_equal(put_text(&f->writer, "two"), CONEY_OK);
    assert_int_equal(ring_take(&f->reader, &frame, &f->out), CONEY_OK);
    atomic_store(&f->positions.written, f->reader.own);
    assert_int_equal(ring_take(&f->reader, &frame, &f->out), CONEY_EINVAL);
}

static void a_record_longer_than_what_was_written_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ring_frame frame;
    const uint32_t lengths[] = {4, 5, RING_SIZE, UINT32_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct ring_frame lie = {.len = lengths[i]};
        memcpy(f->bytes, &lie, sizeof(lie));
        atomic_store(&f->positions.written, sizeof(lie));
        assert_int_equal(ring_take(&f->reader, &frame, &f->out), CONEY_EINVAL);
    }
}

static void an_impossible_reader_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put_text(&f->writer, "one"), CONEY_OK);
    atomic_store(&f->positions.taken, f->writer.own + 8);
    assert_int_equal(put_text(&f->writer, "two"), CONEY_EINVAL);
    atomic_store(&f->positions.taken, UINT64_MAX);
    assert_int_equal(put_text(&f->writer, "two"), CONEY_EINVAL);
}

static void a_record_without_memory_stays_where_it_is(void **state)
{
    struct fixture *f = *state;
    struct ring_frame frame;
    assert_int_equal(put_text(&f->writer, "one"), CONEY_OK);
    test_fail_allocation(1);
    assert_int_equal(ring_take(&f->reader, &frame, &f->out), CONEY_ENOMEM);
    assert_int_equal(ring_take(&f->reader, &frame, &f->out), CONEY_OK);
    assert_memory_equal(buffer_data(&f->out), "one", 3);
}

/* --- slots -------------------------------------------------------------------------- */

static void a_slot_steps_only_from_its_own_generation(void **state)
{
    (void)state;
    struct slot s = {0};
    enum slot_state at;
    slot_post(&s, 5);
    assert_false(slot_claim(&s, 4, 1));
    assert_false(slot_finish(&s, 5));
    assert_true(slot_withdraw(&s, 5));
    assert_false(slot_claim(&s, 5, 1));

    slot_post(&s, 6);
    assert_false(slot_claim(&s, 5, 1)); /* the record of the withdrawn job */
    assert_true(slot_claim(&s, 6, 17));
    assert_false(slot_withdraw(&s, 6));
    assert_true(slot_read(&s, 6, &at));
    assert_int_equal(at, SLOT_RUNNING);
    assert_int_equal(atomic_load(&s.started_ms), 17);
    assert_true(slot_finish(&s, 6));
    assert_false(slot_finish(&s, 6));
    assert_false(slot_read(&s, 7, &at));
}

/* --- two threads -------------------------------------------------------------------- */

/*
 * The master posts JOBS jobs through a few slots and tries to withdraw every third one at
 * once; the runner claims and answers each with its own number. Both sleep by their
 * bells. In the end each job was either withdrawn or answered once, and nobody sleeps for
 * ever.
 */
enum { JOBS = 60000, SLOTS = 4, PATIENCE_MS = 20000 };

struct both {
    struct ring_positions jobs, news;
    uint8_t job_bytes[RING_SIZE], news_bytes[RING_SIZE];
    struct slot slots[SLOTS];
    _Atomic uint32_t master_sleeps_for, runner_sleeps_for;
    struct bell master_bell, runner_bell;
    bool is_runner_well;
};

static bool block(const struct bell *own)
{
    struct pollfd fd = {.fd = own->fd, .events = POLLIN};
    return poll(&fd, 1, PATIENCE_MS) == 1;
}

static bool wait_for_record(const struct bell *own, struct ring *r)
{
    bool woken = true;
    while (woken && !ring_has_record(r)) {
        bell_sleep(own, BELL_RECORD);
        if (!ring_has_record(r))
            woken = block(own);
        bell_rise(own);
    }
    return woken;
}

static bool put_waiting(struct both *b, struct ring *r, const struct ring_frame *frame,
        const void *record)
{
    bool woken = true;
    while (woken && ring_put(r, frame, record) == CONEY_ELIMIT) {
        bell_sleep(&b->runner_bell, BELL_ROOM);
        if (ring_check_room(r, frame->len) == CONEY_ELIMIT)
            woken = block(&b->runner_bell);
        bell_rise(&b->runner_bell);
    }
    bell_ring(&b->master_bell, BELL_RECORD);
    return woken;
}

static void *run_runner(void *arg)
{
    struct both *b = arg;
    struct ring jobs, news;
    struct buffer in;
    struct ring_frame frame = {0};
    ring_init(&jobs, &b->jobs, b->job_bytes, RING_SIZE);
    ring_init(&news, &b->news, b->news_bytes, RING_SIZE);
    buffer_init(&in, RING_SIZE);

    bool well = true;
    while (well && frame.kind != 2) {
        well = wait_for_record(&b->runner_bell, &jobs) &&
               ring_take(&jobs, &frame, &in) == CONEY_OK;
        if (!well || frame.kind == 2 ||
                !slot_claim(&b->slots[frame.extra], frame.tag, (int64_t)frame.tag))
            continue;
        /* The record is the tag, again and again. */
        uint64_t copy;
        for (size_t at = 0; at < buffer_len(&in); at += sizeof(copy)) {
            memcpy(&copy, buffer_data(&in) + at, sizeof(copy));
            well = well && copy == frame.tag;
        }
        frame.len = sizeof(copy);
        well = well && slot_finish(&b->slots[frame.extra], frame.tag) &&
               put_waiting(b, &news, &frame, &copy);
    }
    buffer_fini(&in);
    b->is_runner_well = well;
    return NULL;
}

struct master {
    struct both *b;
    struct ring jobs, news;
    struct buffer in;
    uint64_t in_slot[SLOTS]; /* the generation posted there, 0: free */
    unsigned withdrawn, answered;
};

static void take_answers(struct master *m)
{
    struct ring_frame frame;
    enum slot_state at;
    while (ring_take(&m->news, &frame, &m->in) == CONEY_OK) {
        bell_ring(&m->b->runner_bell, BELL_ROOM);
        assert_true(frame.extra < SLOTS);
        assert_int_equal(frame.tag, m->in_slot[frame.extra]);
        assert_true(slot_read(&m->b->slots[frame.extra], frame.tag, &at));
        assert_int_equal(at, SLOT_DONE);
        assert_int_equal(
                atomic_load(&m->b->slots[frame.extra].started_ms), (int64_t)frame.tag);
        m->in_slot[frame.extra] = 0;
        m->answered++;
    }
}

static uint32_t free_slot(struct master *m)
{
    for (;;) {
        for (uint32_t s = 0; s < SLOTS; s++)
            if (m->in_slot[s] == 0)
                return s;
        assert_true(wait_for_record(&m->b->master_bell, &m->news));
        take_answers(m);
    }
}

static void post_numbered(struct master *m, uint64_t number)
{
    uint64_t record[16];
    uint32_t slot = free_slot(m);
    struct ring_frame frame = {.len = (uint32_t)(sizeof(record[0]) * (number % 16 + 1)),
            .kind = 1,
            .tag = number,
            .extra = slot};
    for (size_t i = 0; i < 16; i++)
        record[i] = number;
    slot_post(&m->b->slots[slot], number);
    m->in_slot[slot] = number;
    /* Withdrawn records fill the ring, too; the runner takes them soon. */
    while (ring_put(&m->jobs, &frame, record) == CONEY_ELIMIT)
        take_answers(m);
    bell_ring(&m->b->runner_bell, BELL_RECORD);
    if (number % 3 == 0 && slot_withdraw(&m->b->slots[slot], number)) {
        m->in_slot[slot] = 0;
        m->withdrawn++;
    }
}

static void every_job_is_answered_or_withdrawn_exactly_once(void **state)
{
    (void)state;
    static struct both b;
    b.master_bell = (struct bell){&b.master_sleeps_for, eventfd(0, EFD_NONBLOCK)};
    b.runner_bell = (struct bell){&b.runner_sleeps_for, eventfd(0, EFD_NONBLOCK)};
    struct master m = {.b = &b};
    ring_init(&m.jobs, &b.jobs, b.job_bytes, RING_SIZE);
    ring_init(&m.news, &b.news, b.news_bytes, RING_SIZE);
    buffer_init(&m.in, RING_SIZE);
    pthread_t runner;
    assert_int_equal(pthread_create(&runner, NULL, run_runner, &b), 0);

    for (uint64_t number = 1; number <= JOBS; number++)
        post_numbered(&m, number);
    while (m.withdrawn + m.answered < JOBS) {
        assert_true(wait_for_record(&b.master_bell, &m.news));
        take_answers(&m);
    }
    struct ring_frame end = {.kind = 2};
    while (ring_put(&m.jobs, &end, NULL) == CONEY_ELIMIT)
        ;
    bell_ring(&b.runner_bell, BELL_RECORD);
    assert_int_equal(pthread_join(runner, NULL), 0);
    assert_true(b.is_runner_well);
    assert_false(ring_has_record(&m.news));
    assert_true(m.answered >= JOBS - JOBS / 3);
    assert_true(m.withdrawn > 0);

    buffer_fini(&m.in);
    close(b.master_bell.fd);
    close(b.runner_bell.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                    records_come_out_as_they_went_in, setup, teardown),
            cmocka_unit_test_setup_teardown(
                    a_full_ring_takes_nothing_and_loses_nothing, setup, teardown),
            cmocka_unit_test_setup_teardown(
                    an_impossible_writer_is_refused, setup, teardown),
            cmocka_unit_test_setup_teardown(
                    a_writer_that_turns_back_is_refused, setup, teardown),
            cmocka_unit_test_setup_teardown(
                    a_record_longer_than_what_was_written_is_refused, setup, teardown),
            cmocka_unit_test_setup_teardown(
                    an_impossible_reader_is_refused, setup, teardown),
            cmocka_unit_test_setup_teardown(
                    a_record_without_memory_stays_where_it_is, setup, teardown),
            cmocka_unit_test(a_slot_steps_only_from_its_own_generation),
            cmocka_unit_test(every_job_is_answered_or_withdrawn_exactly_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
