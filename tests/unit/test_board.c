/* SPDX-License-Identifier: MIT */
/*
 * test_board.c - both sides of a board in one process, and a runner that breaks the
 * contract by writing into the shared memory itself.
 */
#include "base/clock.h"
#include "board/board.h"
#include "board/layout.h"
#include "board/runner_board.h"
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct sides {
    struct board *master;
    struct runner_board *runner;
    struct runner_board_fds fds;
    struct layout *raw; /* the shared memory as a hostile runner sees it */
};

static int setup(void **state)
{
    static struct sides s;
    s = (struct sides){.master = NULL};
    assert_int_equal(board_new(1 << 20, &s.master, NULL), CONEY_OK);
    s.fds = (struct runner_board_fds){board_runner_fd(s.master, BOARD_FD_MEMORY),
            board_runner_fd(s.master, BOARD_FD_WAKE_RUNNER),
            board_runner_fd(s.master, BOARD_FD_WAKE_MASTER),
            board_runner_fd(s.master, BOARD_FD_PASSING)};
    assert_int_equal(runner_board_attach(&s.fds, &s.runner, NULL), CONEY_OK);
    s.raw = mmap(
            NULL, sizeof(*s.raw), PROT_READ | PROT_WRITE, MAP_SHARED, s.fds.memory, 0);
    assert_ptr_not_equal(s.raw, MAP_FAILED);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct sides *s = *state;
    munmap(s->raw, sizeof(*s->raw));
    runner_board_free(s->runner);
    board_free(s->master);
    return 0;
}

static struct record_job job_named(const char *id)
{
    return (struct record_job){.id = id,
            .task = "t",
            .soft_ms = RECORD_NONE,
            .hard_ms = RECORD_NONE,
            .body = {"[[],{},null]", 12}};
}

static struct board_ticket post(struct sides *s, const char *id)
{
    struct record_job job = job_named(id);
    struct board_ticket t;
    struct coney_error err;
    assert_int_equal(board_post(s->master, &job, &t, &err), CONEY_OK);
    return t;
}

static struct board_ticket claim(struct sides *s, const char *id)
{
    struct record_job job;
    struct board_ticket t;
    assert_int_equal(runner_board_claim(s->runner, &job, &t, NULL), CONEY_OK);
    assert_string_equal(job.id, id);
    return t;
}

static struct record_outcome success(struct bytes value)
{
    return (struct record_outcome){.kind = RECORD_SUCCESS,
            .value = value,
            .delay_ms = RECORD_NONE,
            .max_retries = RECORD_NONE,
            .rss_kib = RECORD_NONE,
            .max_rss_kib = RECORD_NONE,
            .exit_status = -1};
}

static void finish(struct sides *s, struct board_ticket t)
{
    struct record_outcome o = success((struct bytes){"5", 1});
    assert_int_equal(runner_board_finish(s->runner, t, &o, NULL), CONEY_OK);
}

static void a_job_goes_and_its_outcome_comes_back(void **state)
{
    struct sides *s = *state;
    struct board_news news;
    int64_t started_ms;
    int64_t before_ms = clock_mono_ms();
    struct board_ticket t = post(s, "one");
    assert_int_equal(board_state(s->master, t, &started_ms), BOARD_POSTED);
    assert_int_equal(started_ms, 0);

    struct board_ticket claimed = claim(s, "one");
    assert_int_equal(claimed.generation, t.generation);
    assert_int_equal(board_state(s->master, t, &started_ms), BOARD_RUNNING);
    assert_in_range(started_ms, before_ms, clock_mono_ms());
    finish(s, claimed);
    assert_int_equal(board_state(s->master, t, NULL), BOARD_DONE);

    assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
    assert_int_equal(news.kind, BOARD_OUTCOME);
    assert_int_equal(news.ticket.generation, t.generation);
    assert_string_equal(news.outcome.value.data, "5");
    assert_int_equal(board_state(s->master, t, NULL), BOARD_GONE);
    assert_int_equal(board_count(s->master), 0);
    assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
    assert_int_equal(news.kind, BOARD_NOTHING);
}

static void a_withdrawn_job_never_starts_and_its_slot_is_used_again(void **state)
{
    struct sides *s = *state;
    struct record_job job;
    struct board_ticket t;
    for (int i = 0; i < 3 * BOARD_SLOTS; i++)
        assert_true(board_withdraw(s->master, post(s, "gone")));
    struct board_ticket last = post(s, "stays");
    assert_int_equal(claim(s, "stays").generation, last.generation);
    assert_int_equal(runner_board_claim(s->runner, &job, &t, NULL), CONEY_ENOTFOUND);
    assert_false(board_withdraw(s->master, last));
}

static void posting_stops_when_every_slot_is_taken(void **state)
{
    struct sides *s = *state;
    struct record_job job = job_named("one too many");
    struct board_ticket t;
    for (int i = 0; i < BOARD_SLOTS; i++)
        post(s, "in");
    assert_int_equal(board_post(s->master, &job, &t, NULL), CONEY_ELIMIT);
    struct board_news news;
    finish(s, claim(s, "in"));
    assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
    assert_int_equal(board_post(s->master, &job, &t, NULL), CONEY_OK);
}

static void posting_stops_when_the_ring_is_full_of_withdrawn_jobs(void **state)
{
    struct sides *s = *state;
    struct record_job job = job_named("x");
    struct board_ticket t;
    static char body[10000];
    job.body = (struct bytes){body, sizeof(body)};
    enum coney_rc rc = CONEY_OK;
    int posted = 0;
    while ((rc = board_post(s->master, &job, &t, NULL)) == CONEY_OK && posted++ < 100)
        assert_true(board_withdraw(s->master, t));
    assert_int_equal(rc, CONEY_ELIMIT);
    assert_int_equal(runner_board_claim(s->runner, &job, &t, NULL), CONEY_ENOTFOUND);
    post(s, "room again");
}

static void large_records_travel_beside_the_ring(void **state)
{
    struct sides *s = *state;
    enum { LARGE = 300000 };
    char *body = malloc(LARGE);
    memset(body, 'b', LARGE);
    struct record_job job = job_named("large"), got;
    struct board_ticket withdrawn, t;
    job.body = (struct bytes){body, LARGE};
    /* A withdrawn one leaves its descriptor on the way; it must not be mistaken. */
    assert_int_equal(board_post(s->master, &job, &withdrawn, NULL), CONEY_OK);
    assert_true(board_withdraw(s->master, withdrawn));
    body[0] = 'a';
    assert_int_equal(board_post(s->master, &job, &t, NULL), CONEY_OK);
    assert_int_equal(runner_board_claim(s->runner, &got, &t, NULL), CONEY_OK);
    assert_int_equal(got.body.len, LARGE);
    assert_memory_equal(got.body.data, body, LARGE);

    struct board_news news;
    struct record_outcome o = success((struct bytes){body, LARGE});
    assert_int_equal(runner_board_finish(s->runner, t, &o, NULL), CONEY_OK);
    assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
    assert_int_equal(news.outcome.value.len, LARGE);
    assert_memory_equal(news.outcome.value.data, body, LARGE);
    free(body);
}

static void a_record_above_the_boards_maximum_is_refused(void **state)
{
    struct sides *s = *state;
    struct record_job job = job_named("huge");
    struct board_ticket t;
    size_t len = 1 << 20;
    char *body = calloc(1, len);
    job.body = (struct bytes){body, len};
    assert_int_equal(board_post(s->master, &job, &t, NULL), CONEY_EINVAL);
    assert_int_equal(board_count(s->master), 0);

    post(s, "small");
    t = claim(s, "small");
    struct record_outcome o = success(job.body);
    assert_int_equal(runner_board_finish(s->runner, t, &o, NULL), CONEY_ELIMIT);
    finish(s, t);
    free(body);
}

static void the_soft_limit_reaches_only_its_job(void **state)
{
    struct sides *s = *state;
    struct board_ticket first = post(s, "first"), second = post(s, "second");
    claim(s, "first");
    claim(s, "second");
    board_soft_limit(s->master, second);
    assert_false(runner_board_is_soft_limit(s->runner, first));
    assert_true(runner_board_is_soft_limit(s->runner, second));
}

static void log_lines_are_dropped_and_counted_but_outcomes_find_room(void **state)
{
    struct sides *s = *state;
    struct board_news news;
    char text[1000];
    memset(text, 'l', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct board_ticket t = post(s, "chatty");
    claim(s, "chatty");
    for (int i = 0; i < 200; i++)
        runner_board_log(s->runner, t, LOG_LEVEL_INFO, text);
    finish(s, t);

    int lines = 0;
    for (;;) {
        assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
        if (news.kind == BOARD_OUTCOME)
            break;
        assert_int_equal(news.kind, BOARD_LOG);
        assert_int_equal(news.ticket.generation, t.generation);
        lines++;
    }
    assert_in_range(lines, 10, 100);
    runner_board_log(s->runner, (struct board_ticket){0}, LOG_LEVEL_INFO, "again");
    assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
    char expected[80];
    snprintf(
            expected, sizeof(expected), "log lines are missing  dropped=%d", 200 - lines);
    assert_string_equal(news.log.text, expected);
    assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
    assert_string_equal(news.log.text, "again");
    assert_int_equal(news.ticket.generation, 0);
}

static void the_master_is_woken_only_when_it_sleeps(void **state)
{
    struct sides *s = *state;
    struct board_news news;
    struct pollfd fd = {.fd = board_event_fd(s->master), .events = POLLIN};
    assert_int_equal(runner_board_ready(s->runner, NULL), CONEY_OK);
    assert_int_equal(poll(&fd, 1, 0), 0);
    assert_false(board_sleep(s->master)); /* there is news already */
    assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
    assert_int_equal(news.kind, BOARD_READY);
    assert_true(board_sleep(s->master));
    runner_board_log(s->runner, (struct board_ticket){0}, LOG_LEVEL_INFO, "up");
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
    assert_true(board_sleep(s->master));
    assert_int_equal(poll(&fd, 1, 0), 0);
}

static void a_stop_comes_before_a_job_and_an_end_is_seen(void **state)
{
    struct sides *s = *state;
    post(s, "never begun");
    assert_int_equal(runner_board_wait(s->runner), RUNNER_WAKE_JOB);
    board_stop(s->master);
    assert_int_equal(runner_board_wait(s->runner), RUNNER_WAKE_STOP);
}

static void a_runner_sees_that_its_master_is_gone(void **state)
{
    struct sides *s = *state;
    struct board *other;
    struct runner_board *orphan;
    (void)s;
    assert_int_equal(board_new(0, &other, NULL), CONEY_OK);
    struct runner_board_fds fds = {dup(board_runner_fd(other, BOARD_FD_MEMORY)),
            dup(board_runner_fd(other, BOARD_FD_WAKE_RUNNER)),
            dup(board_runner_fd(other, BOARD_FD_WAKE_MASTER)),
            dup(board_runner_fd(other, BOARD_FD_PASSING))};
    assert_int_equal(runner_board_attach(&fds, &orphan, NULL), CONEY_OK);
    board_free(other);
    assert_int_equal(runner_board_wait(orphan), RUNNER_WAKE_ABANDONED);
    runner_board_free(orphan);
    close(fds.memory);
    close(fds.wake_runner);
    close(fds.wake_master);
    close(fds.passing);
}

/* --- another build, and a hostile runner -------------------------------------------- */

static void a_board_of_another_build_is_refused(void **state)
{
    struct sides *s = *state;
    struct runner_board *other;
    struct coney_error err;
    struct layout_header good = s->raw->header;

    s->raw->header.magic++;
    assert_int_equal(runner_board_attach(&s->fds, &other, &err), CONEY_EINVAL);
    s->raw->header = good;
    s->raw->header.version++;
    assert_int_equal(runner_board_attach(&s->fds, &other, &err), CONEY_EINVAL);
    s->raw->header = good;
    memset(s->raw->header.build, '9', sizeof(s->raw->header.build));
    assert_int_equal(runner_board_attach(&s->fds, &other, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "another build"));
    s->raw->header = good;
    s->raw->header.ring_size *= 2;
    assert_int_equal(runner_board_attach(&s->fds, &other, &err), CONEY_EINVAL);

    struct runner_board_fds fds = s->fds;
    fds.memory = memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(runner_board_attach(&fds, &other, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "not a sealed board"));
    assert_int_equal(ftruncate(fds.memory, 4096), 0);
    assert_int_equal(fcntl(fds.memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_int_equal(runner_board_attach(&fds, &other, &err), CONEY_EINVAL);
    assert_non_null(strstr(err.text, "4096 bytes"));
    close(fds.memory);
}

static void the_memory_can_be_neither_shrunk_nor_grown(void **state)
{
    struct sides *s = *state;
    assert_int_not_equal(ftruncate(s->fds.memory, 0), 0);
    assert_int_not_equal(ftruncate(s->fds.memory, (off_t)sizeof(struct layout) * 2), 0);
}

/* Write a record as a hostile runner. */
static void forge(struct sides *s, struct ring_frame frame, const void *record)
{
    struct ring ring;
    ring_init(&ring, &s->raw->news, s->raw->news_bytes, LAYOUT_RING_SIZE);
    ring.own = ring.other = atomic_load(&s->raw->news.written);
    atomic_store(&s->raw->news.taken, ring.own);
    assert_int_equal(ring_put(&ring, &frame, record), CONEY_OK);
}

static void assert_broken(struct sides *s, const char *text)
{
    struct board_news news;
    struct coney_error err;
    assert_int_equal(board_take(s->master, &news, &err), CONEY_EINVAL);
    assert_int_equal(news.kind, BOARD_NOTHING);
    assert_non_null(strstr(err.text, text));
    assert_int_equal(board_take(s->master, &news, &err), CONEY_EINVAL);
}

static void an_outcome_of_a_job_that_never_started_is_refused(void **state)
{
    struct sides *s = *state;
    struct board_ticket t = post(s, "posted");
    forge(s,
            (struct ring_frame){
                    .kind = LAYOUT_OUTCOME, .tag = t.generation, .extra = t.slot},
            NULL);
    assert_broken(s, "isn't done");
    assert_int_equal(board_state(s->master, t, NULL), BOARD_POSTED);
}

static void an_outcome_of_nobodys_job_is_refused(void **state)
{
    struct sides *s = *state;
    struct board_ticket t = post(s, "posted");
    forge(s,
            (struct ring_frame){
                    .kind = LAYOUT_OUTCOME, .tag = t.generation + 1, .extra = t.slot},
            NULL);
    assert_broken(s, "isn't there");
}

static void an_outcome_of_a_slot_beyond_the_board_is_refused(void **state)
{
    struct sides *s = *state;
    struct ring_frame frame = {
            .kind = LAYOUT_OUTCOME, .tag = 1, .extra = LAYOUT_SLOT_MASK};
    forge(s, frame, NULL);
    assert_broken(s, "isn't there");
}

static void an_outcome_that_is_malformed_is_refused(void **state)
{
    struct sides *s = *state;
    struct board_ticket t = post(s, "done");
    claim(s, "done");
    assert_true(slot_finish(&s->raw->slots[t.slot], t.generation));
    forge(s,
            (struct ring_frame){.len = 4,
                    .kind = LAYOUT_OUTCOME,
                    .tag = t.generation,
                    .extra = t.slot},
            "junk");
    assert_broken(s, "malformed");
}

static void an_unknown_record_is_refused(void **state)
{
    struct sides *s = *state;
    forge(s, (struct ring_frame){.kind = 99}, NULL);
    assert_broken(s, "unknown kind 99");
}

static void positions_turned_back_are_refused(void **state)
{
    struct sides *s = *state;
    atomic_store(&s->raw->news.written, LAYOUT_RING_SIZE + 1);
    assert_broken(s, "impossible");
    struct record_job job = job_named("x");
    struct board_ticket t;
    atomic_store(&s->raw->jobs.taken, UINT64_MAX);
    assert_int_equal(board_post(s->master, &job, &t, NULL), CONEY_EIO);
}

static void a_start_in_the_future_or_the_past_is_corrected(void **state)
{
    struct sides *s = *state;
    int64_t started_ms, again_ms;
    struct board_ticket t = post(s, "liar");
    claim(s, "liar");
    atomic_store(&s->raw->slots[t.slot].started_ms, INT64_MAX);
    assert_int_equal(board_state(s->master, t, &started_ms), BOARD_RUNNING);
    assert_true(started_ms <= clock_mono_ms());
    /* Asked once: nothing that the runner writes later moves a limit. */
    atomic_store(&s->raw->slots[t.slot].started_ms, INT64_MAX);
    while (clock_mono_ms() <= started_ms)
        ; /* until "now" is another time */
    assert_int_equal(board_state(s->master, t, &again_ms), BOARD_RUNNING);
    assert_int_equal(again_ms, started_ms);
}

static void a_scribbled_slot_counts_as_started(void **state)
{
    struct sides *s = *state;
    struct board_ticket t = post(s, "scribbled");
    atomic_store(&s->raw->slots[t.slot].word, UINT64_MAX);
    assert_false(board_withdraw(s->master, t));
    assert_int_equal(board_state(s->master, t, NULL), BOARD_RUNNING);
}

/* --- a runner in a thread ----------------------------------------------------------- */

enum { ROUNDS = 20000 };

static void *run_echo(void *arg)
{
    struct sides *s = arg;
    struct record_job job;
    struct board_ticket t;
    while (runner_board_wait(s->runner) == RUNNER_WAKE_JOB) {
        while (runner_board_claim(s->runner, &job, &t, NULL) == CONEY_OK) {
            struct record_outcome o = success(job.body);
            if (runner_board_finish(s->runner, t, &o, NULL) != CONEY_OK)
                return arg; /* anything but NULL: it failed */
        }
    }
    return NULL;
}

static void twenty_thousand_jobs_come_back_in_order(void **state)
{
    struct sides *s = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_echo, s), 0);
    unsigned posted = 0, taken = 0;
    char *body = calloc(1, 40000);
    while (taken < ROUNDS) {
        struct record_job job = job_named("n");
        struct board_ticket t;
        int len = snprintf(body, 40000, "%u", posted);
        /* Every thousandth is too large for the ring. */
        job.body = (struct bytes){body, posted % 1000 == 0 ? 40000 : (size_t)len};
        if (posted < ROUNDS && board_post(s->master, &job, &t, NULL) == CONEY_OK) {
            posted++;
            continue;
        }
        struct board_news news;
        struct pollfd fd = {.fd = board_event_fd(s->master), .events = POLLIN};
        assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
        if (news.kind == BOARD_OUTCOME)
            assert_int_equal(strtoul(news.outcome.value.data, NULL, 10), taken++);
        else if (board_sleep(s->master))
            assert_int_equal(poll(&fd, 1, 20000), 1);
    }
    board_stop(s->master);
    void *failure;
    assert_int_equal(pthread_join(thread, &failure), 0);
    assert_null(failure);
    free(body);
}

/* Answer ten jobs with more than the ring holds. */
static void *answer_at_length(void *arg)
{
    static const char text[15000];
    struct sides *s = arg;
    struct record_job job;
    struct board_ticket t;
    struct record_outcome o = success((struct bytes){text, sizeof(text)});
    while (runner_board_claim(s->runner, &job, &t, NULL) == CONEY_OK)
        if (runner_board_finish(s->runner, t, &o, NULL) != CONEY_OK)
            return arg;
    return NULL;
}

static void a_runner_waits_for_room_and_is_woken(void **state)
{
    struct sides *s = *state;
    pthread_t thread;
    void *failure;
    unsigned taken = 0;
    int64_t until_ms = clock_mono_ms() + 20000;
    for (int i = 0; i < 10; i++)
        (void)post(s, "n");
    assert_int_equal(pthread_create(&thread, NULL, answer_at_length, s), 0);
    while (atomic_load(&s->raw->runner_sleeps_for) != BELL_ROOM)
        assert_true(clock_mono_ms() < until_ms);
    while (taken < 10) {
        struct board_news news;
        assert_int_equal(board_take(s->master, &news, NULL), CONEY_OK);
        taken += news.kind == BOARD_OUTCOME;
        assert_true(clock_mono_ms() < until_ms);
    }
    assert_int_equal(pthread_join(thread, &failure), 0);
    assert_null(failure);
}

#define BOTH_SIDES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            BOTH_SIDES(a_job_goes_and_its_outcome_comes_back),
            BOTH_SIDES(a_withdrawn_job_never_starts_and_its_slot_is_used_again),
            BOTH_SIDES(posting_stops_when_every_slot_is_taken),
            BOTH_SIDES(posting_stops_when_the_ring_is_full_of_withdrawn_jobs),
            BOTH_SIDES(large_records_travel_beside_the_ring),
            BOTH_SIDES(a_record_above_the_boards_maximum_is_refused),
            BOTH_SIDES(the_soft_limit_reaches_only_its_job),
            BOTH_SIDES(log_lines_are_dropped_and_counted_but_outcomes_find_room),
            BOTH_SIDES(the_master_is_woken_only_when_it_sleeps),
            BOTH_SIDES(a_stop_comes_before_a_job_and_an_end_is_seen),
            BOTH_SIDES(a_runner_sees_that_its_master_is_gone),
            BOTH_SIDES(a_board_of_another_build_is_refused),
            BOTH_SIDES(the_memory_can_be_neither_shrunk_nor_grown),
            BOTH_SIDES(an_outcome_of_a_job_that_never_started_is_refused),
            BOTH_SIDES(an_outcome_of_nobodys_job_is_refused),
            BOTH_SIDES(an_outcome_of_a_slot_beyond_the_board_is_refused),
            BOTH_SIDES(an_outcome_that_is_malformed_is_refused),
            BOTH_SIDES(an_unknown_record_is_refused),
            BOTH_SIDES(positions_turned_back_are_refused),
            BOTH_SIDES(a_start_in_the_future_or_the_past_is_corrected),
            BOTH_SIDES(a_scribbled_slot_counts_as_started),
            BOTH_SIDES(twenty_thousand_jobs_come_back_in_order),
            BOTH_SIDES(a_runner_waits_for_room_and_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
