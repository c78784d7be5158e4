/* SPDX-License-Identifier: MIT */
/* runner_board.c - the runner's side: jobs claimed, outcomes and log lines posted. */
#include "board/runner_board.h"

#include "base/clock.h"
#include "base/error.h"
#include "board/layout.h"
#include "board/passing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* What a log line leaves free in the ring, so that an outcome seldom has to wait. */
enum { OUTCOME_RESERVE = BOARD_INLINE_MAX + 2 * (int)sizeof(struct ring_frame) };

struct runner_board {
    struct layout *shared; /* mapped */
    struct runner_board_fds fds;
    struct ring jobs; /* as reader */
    struct ring news; /* as writer */
    struct bell master_bell;
    struct bell own_bell;
    struct buffer in;    /* what the claimed job points into */
    struct buffer out;   /* an outcome or log line being encoded */
    struct arena *arena; /* the lists of the claimed job */
    unsigned long dropped;
};

/* --- attaching ---------------------------------------------------------------------- */

static enum coney_rc check_memory(int fd, struct coney_error *err)
{
    enum { NEEDED = F_SEAL_SHRINK | F_SEAL_GROW };
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & NEEDED) != NEEDED)
        return error_set(err, CONEY_EINVAL, "descriptor %d is not a sealed board", fd);
    if (fstat(fd, &st) != 0)
        return error_set_errno(err, "fstat the board");
    if (st.st_size != (off_t)sizeof(struct layout))
        return error_set(err, CONEY_EINVAL,
                "the board is of another build: %jd bytes, not %zu", (intmax_t)st.st_size,
                sizeof(struct layout));
    return CONEY_OK;
}

static enum coney_rc check_header(const struct layout_header *h, struct coney_error *err)
{
    if (h->magic != LAYOUT_MAGIC)
        return error_set(err, CONEY_EINVAL, "not a board");
    if (strncmp(h->build, CONEY_VERSION, sizeof(h->build)) != 0)
        return error_set(err, CONEY_EINVAL,
                "the board is of another build: the master is %.*s, the runner %s",
                (int)sizeof(h->build), h->build, CONEY_VERSION);
    if (h->version != LAYOUT_VERSION || h->layout_size != sizeof(struct layout) ||
            h->slots != BOARD_SLOTS || h->ring_size != LAYOUT_RING_SIZE)
        return error_set(err, CONEY_EINVAL,
                "the board is of another build: layout %u, not %d", h->version,
                LAYOUT_VERSION);
    return CONEY_OK;
}

enum coney_rc runner_board_attach(const struct runner_board_fds *fds,
        struct runner_board **out, struct coney_error *err)
{
    *out = NULL;
    enum coney_rc rc = check_memory(fds->memory, err);
    if (rc != CONEY_OK)
        return rc;
    struct runner_board *b = calloc(1, sizeof(*b));
    if (!b)
        return error_set_nomem(err);
    b->fds = *fds;

    void *at = mmap(NULL, sizeof(struct layout), PROT_READ | PROT_WRITE, MAP_SHARED,
            fds->memory, 0);
    if (at == MAP_FAILED) {
        rc = error_set_errno(err, "map the board");
        goto out;
    }
    struct layout *l = b->shared = at;
    rc = check_header(&l->header, err);
    if (rc != CONEY_OK)
        goto out;
    buffer_init(&b->in, l->header.record_max);
    buffer_init(&b->out, l->header.record_max);
    ring_init(&b->jobs, &l->jobs, l->job_bytes, sizeof(l->job_bytes));
    ring_init(&b->news, &l->news, l->news_bytes, sizeof(l->news_bytes));
    b->master_bell = (struct bell){&l->master_sleeps_for, fds->wake_master};
    b->own_bell = (struct bell){&l->runner_sleeps_for, fds->wake_runner};
    *out = b;
    b = NULL;
out:
    runner_board_free(b);
    return rc;
}

void runner_board_free(struct runner_board *b)
{
    if (!b)
        return;
    if (b->shared)
        munmap(b->shared, sizeof(*b->shared));
    buffer_fini(&b->in);
    buffer_fini(&b->out);
    arena_free(b->arena);
    free(b);
}

size_t runner_board_record_max(const struct runner_board *b)
{
    return b->in.max;
}

/* --- waiting ------------------------------------------------------------------------ */

/* Block until the bell rings or a signal comes. False: the master is gone. */
static bool block(struct runner_board *b)
{
    struct pollfd fds[] = {
            {.fd = b->fds.wake_runner, .events = POLLIN}, {.fd = b->fds.passing}};
    int n = poll(fds, 2, -1);
    return n <= 0 || (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

static bool has_stop(const struct runner_board *b)
{
    return atomic_load(&b->shared->stop) != 0;
}

enum runner_wake runner_board_wait(struct runner_board *b)
{
    for (;;) {
        bell_sleep(&b->own_bell, BELL_RECORD);
        bool is_there = true;
        if (!has_stop(b) && !ring_has_record(&b->jobs))
            is_there = block(b);
        bell_rise(&b->own_bell);
        if (!is_there)
            return RUNNER_WAKE_ABANDONED;
        if (has_stop(b))
            return RUNNER_WAKE_STOP;
        if (ring_has_record(&b->jobs))
            return RUNNER_WAKE_JOB;
    }
}

/* Wait until @len bytes fit into the ring. */
static enum coney_rc wait_for_room(
        struct runner_board *b, size_t len, struct coney_error *err)
{
    enum coney_rc rc;
    bool is_there = true;
    while ((rc = ring_check_room(&b->news, len)) == CONEY_ELIMIT && is_there) {
        bell_sleep(&b->own_bell, BELL_ROOM);
        if (ring_check_room(&b->news, len) == CONEY_ELIMIT)
            is_there = block(b);
        bell_rise(&b->own_bell);
    }
    if (!is_there)
        return error_set(err, CONEY_EIO, "the master is gone");
    if (rc != CONEY_OK)
        return error_set(err, CONEY_EINVAL, "the ring's positions are impossible");
    return CONEY_OK;
}

/* --- jobs --------------------------------------------------------------------------- */

static enum coney_rc fetch(
        struct runner_board *b, struct ring_frame *frame, struct coney_error *err)
{
    enum coney_rc rc = ring_take(&b->jobs, frame, &b->in);
    if (rc == CONEY_ENOTFOUND)
        return rc;
    if (rc != CONEY_OK)
        return error_set(err, rc, "take a job: %s", coney_rc_name(rc));
    if ((frame->extra & LAYOUT_PASSED) == 0)
        return CONEY_OK;

    uint64_t len = 0;
    if (buffer_len(&b->in) == sizeof(len))
        memcpy(&len, buffer_data(&b->in), sizeof(len));
    return passing_receive(b->fds.passing, frame->tag, len, &b->in, err);
}

enum coney_rc runner_board_claim(struct runner_board *b, struct record_job *job,
        struct board_ticket *ticket, struct coney_error *err)
{
    struct ring_frame frame;
    do {
        enum coney_rc rc = fetch(b, &frame, err);
        if (rc != CONEY_OK)
            return rc;
        *ticket =
                (struct board_ticket){.slot = (uint32_t)(frame.extra & LAYOUT_SLOT_MASK),
                        .generation = frame.tag};
        if (ticket->slot >= BOARD_SLOTS || frame.kind != LAYOUT_JOB)
            return error_set(err, CONEY_EINVAL, "a record that isn't a job");
        /* A claim that fails: the master has withdrawn the job. */
    } while (!slot_claim(
            &b->shared->slots[ticket->slot], ticket->generation, clock_mono_ms()));

    arena_free(b->arena);
    b->arena = arena_new(0);
    if (!b->arena)
        return error_set_nomem(err);
    struct bytes record = {buffer_data(&b->in), buffer_len(&b->in)};
    return record_job_decode(record, b->arena, job, err);
}

bool runner_board_is_soft_limit(const struct runner_board *b, struct board_ticket t)
{
    return atomic_load(&b->shared->slots[t.slot].soft_generation) == t.generation;
}

/* --- news --------------------------------------------------------------------------- */

static enum coney_rc put(struct runner_board *b, struct board_ticket t,
        enum layout_news_kind kind, struct bytes record)
{
    struct ring_frame frame = {.len = (uint32_t)record.len,
            .kind = (uint32_t)kind,
            .tag = t.generation,
            .extra = t.slot};
    enum coney_rc rc = ring_put(&b->news, &frame, record.data);
    if (rc == CONEY_OK)
        bell_ring(&b->master_bell, BELL_RECORD);
    return rc;
}

enum coney_rc runner_board_ready(struct runner_board *b, struct coney_error *err)
{
    struct board_ticket none = {0};
    enum coney_rc rc = wait_for_room(b, 0, err);
    return rc == CONEY_OK ? put(b, none, LAYOUT_READY, (struct bytes){NULL, 0}) : rc;
}

/* Send @record ahead, however long the socket takes. */
static enum coney_rc pass(struct runner_board *b, uint64_t tag, struct bytes record,
        struct coney_error *err)
{
    enum coney_rc rc;
    while ((rc = passing_send(b->fds.passing, tag, record, err)) == CONEY_ELIMIT) {
        struct pollfd fd = {.fd = b->fds.passing, .events = POLLOUT};
        (void)poll(&fd, 1, -1);
    }
    return rc;
}

enum coney_rc runner_board_finish(struct runner_board *b, struct board_ticket t,
        const struct record_outcome *o, struct coney_error *err)
{
    buffer_clear(&b->out);
    enum coney_rc rc = record_outcome_encode(o, &b->out, err);
    if (rc != CONEY_OK)
        return rc;

    uint64_t len = buffer_len(&b->out);
    struct bytes record = {buffer_data(&b->out), (size_t)len};
    struct board_ticket ticket = t;
    if (len > BOARD_INLINE_MAX) {
        rc = pass(b, t.generation, record, err);
        if (rc != CONEY_OK)
            return rc;
        record = (struct bytes){&len, sizeof(len)};
        ticket.slot |= LAYOUT_PASSED;
    }
    rc = wait_for_room(b, record.len, err);
    if (rc != CONEY_OK)
        return rc;
    /* Done first: the master refuses the outcome of a job that isn't. Between these two
     * steps a kill loses the outcome, and the job counts as crashed. */
    if (!slot_finish(&b->shared->slots[t.slot], t.generation))
        return error_set(err, CONEY_EINVAL, "the job is not running");
    rc = put(b, ticket, LAYOUT_OUTCOME, record);
    buffer_clear(&b->out);
    return rc;
}

static bool try_log(struct runner_board *b, struct board_ticket t, enum log_level level,
        const char *text)
{
    struct record_log line = {.level = level, .text = text};
    buffer_clear(&b->out);
    if (record_log_encode(&line, &b->out, NULL) != CONEY_OK)
        return false;
    struct bytes record = {buffer_data(&b->out), buffer_len(&b->out)};
    return ring_check_room(&b->news, record.len + OUTCOME_RESERVE) == CONEY_OK &&
           put(b, t, LAYOUT_LOG, record) == CONEY_OK;
}

void runner_board_log(struct runner_board *b, struct board_ticket t, enum log_level level,
        const char *text)
{
    if (b->dropped > 0) {
        char lost[80];
        snprintf(lost, sizeof(lost), "log lines are missing  dropped=%lu", b->dropped);
        if (try_log(b, t, LOG_LEVEL_WARNING, lost))
            b->dropped = 0;
    }
    if (b->dropped > 0 || !try_log(b, t, level, text))
        b->dropped++;
}
