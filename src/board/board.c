/* SPDX-License-Identifier: MIT */
/*
 * board.c - the master's side: memory made and sealed, jobs posted, news taken.
 *
 * What the master decides by (which slots are in use, for which generation, since when)
 * lies in its own memory; the shared memory is only ever asked, and the answer checked.
 */
#include "board/board.h"

#include "base/clock.h"
#include "base/error.h"
#include "board/layout.h"
#include "board/passing.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the master knows of a slot by itself. */
struct posted_job {
    uint64_t generation; /* 0: free */
    int64_t posted_ms;
    int64_t started_ms; /* 0: not seen running yet */
};

struct board {
    struct layout *shared; /* mapped */
    int memory;
    int wake_runner;
    int wake_master;
    int passing;
    int runner_passing; /* -1 after board_close_runner_fds() */
    struct ring jobs;   /* as writer */
    struct ring news;   /* as reader */
    struct bell runner_bell;
    struct bell own_bell;
    struct posted_job slots[BOARD_SLOTS];
    unsigned count;
    uint64_t generation; /* the last one given out */
    size_t record_max;
    struct buffer out; /* a job being encoded */
    struct buffer in;  /* what the last news points into */
    bool broken;
};

/* --- making one --------------------------------------------------------------------- */

static enum coney_rc map_memory(struct board *b, struct coney_error *err)
{
    b->memory = memfd_create("coney-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (b->memory < 0)
        return error_set_errno(err, "memfd_create");
    if (ftruncate(b->memory, (off_t)sizeof(struct layout)) != 0)
        return error_set_errno(err, "size a board");
    if (fcntl(b->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return error_set_errno(err, "seal a board");

    void *at = mmap(NULL, sizeof(struct layout), PROT_READ | PROT_WRITE, MAP_SHARED,
            b->memory, 0);
    if (at == MAP_FAILED)
        return error_set_errno(err, "map a board");
    b->shared = at;
    return CONEY_OK;
}

static enum coney_rc open_descriptors(struct board *b, struct coney_error *err)
{
    int pair[2];
    b->wake_runner = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    b->wake_master = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (b->wake_runner < 0 || b->wake_master < 0)
        return error_set_errno(err, "eventfd");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return error_set_errno(err, "socketpair");
    b->passing = pair[0];
    b->runner_passing = pair[1];
    return CONEY_OK;
}

static void write_header(struct layout_header *h, size_t record_max)
{
    *h = (struct layout_header){.magic = LAYOUT_MAGIC,
            .version = LAYOUT_VERSION,
            .layout_size = sizeof(struct layout),
            .slots = BOARD_SLOTS,
            .ring_size = LAYOUT_RING_SIZE,
            .record_max = record_max};
    snprintf(h->build, sizeof(h->build), "%s", CONEY_VERSION);
}

enum coney_rc board_new(size_t record_max, struct board **out, struct coney_error *err)
{
    *out = NULL;
    struct board *b = calloc(1, sizeof(*b));
    if (!b)
        return error_set_nomem(err);
    b->memory = b->wake_runner = b->wake_master = b->passing = b->runner_passing = -1;
    b->record_max = record_max == 0                 ? BOARD_RECORD_MAX
                    : record_max < BOARD_RECORD_MIN ? BOARD_RECORD_MIN
                                                    : record_max;
    buffer_init(&b->out, b->record_max);
    buffer_init(&b->in, b->record_max);

    enum coney_rc rc = map_memory(b, err);
    if (rc == CONEY_OK)
        rc = open_descriptors(b, err);
    if (rc != CONEY_OK)
        goto out;

    struct layout *l = b->shared;
    write_header(&l->header, b->record_max);
    ring_init(&b->jobs, &l->jobs, l->job_bytes, sizeof(l->job_bytes));
    ring_init(&b->news, &l->news, l->news_bytes, sizeof(l->news_bytes));
    b->runner_bell = (struct bell){&l->runner_sleeps_for, b->wake_runner};
    b->own_bell = (struct bell){&l->master_sleeps_for, b->wake_master};
    *out = b;
    b = NULL;
out:
    board_free(b);
    return rc;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void board_free(struct board *b)
{
    if (!b)
        return;
    if (b->shared)
        munmap(b->shared, sizeof(*b->shared));
    close_fd(&b->memory);
    close_fd(&b->wake_runner);
    close_fd(&b->wake_master);
    close_fd(&b->passing);
    close_fd(&b->runner_passing);
    buffer_fini(&b->out);
    buffer_fini(&b->in);
    free(b);
}

int board_runner_fd(const struct board *b, enum board_fd which)
{
    switch (which) {
    case BOARD_FD_MEMORY:
        return b->memory;
    case BOARD_FD_WAKE_RUNNER:
        return b->wake_runner;
    case BOARD_FD_WAKE_MASTER:
        return b->wake_master;
    case BOARD_FD_PASSING:
        return b->runner_passing;
    case BOARD_FD_END:
        break;
    }
    return -1;
}

void board_close_runner_fds(struct board *b)
{
    /* The other three are used by both sides. */
    close_fd(&b->runner_passing);
}

int board_event_fd(const struct board *b)
{
    return b->wake_master;
}

/* --- jobs --------------------------------------------------------------------------- */

static struct posted_job *find_job(struct board *b, struct board_ticket t)
{
    if (t.slot >= BOARD_SLOTS || t.generation == 0 ||
            b->slots[t.slot].generation != t.generation)
        return NULL;
    return &b->slots[t.slot];
}

static bool find_free_slot(const struct board *b, uint32_t *slot)
{
    for (*slot = 0; *slot < BOARD_SLOTS; (*slot)++)
        if (b->slots[*slot].generation == 0)
            return true;
    return false;
}

static void release_slot(struct board *b, struct posted_job *job)
{
    *job = (struct posted_job){0};
    b->count--;
}

/* Encode @job and, when it is too large for the ring, send it ahead. @frame and
 * *@len_passed are what goes into the ring then. */
static enum coney_rc prepare(struct board *b, const struct record_job *job,
        struct ring_frame *frame, uint64_t *len_passed, struct coney_error *err)
{
    buffer_clear(&b->out);
    enum coney_rc rc = record_job_encode(job, &b->out, err);
    if (rc != CONEY_OK)
        return rc == CONEY_ELIMIT ? CONEY_EINVAL : rc;

    size_t len = buffer_len(&b->out);
    bool is_large = len > BOARD_INLINE_MAX;
    *len_passed = len;
    frame->len = (uint32_t)(is_large ? sizeof(*len_passed) : len);
    rc = ring_check_room(&b->jobs, frame->len);
    if (rc == CONEY_ELIMIT)
        return error_set(err, rc, "the board has no room for another job");
    if (rc != CONEY_OK)
        return error_set(err, CONEY_EIO, "the runner broke the board's positions");
    if (!is_large)
        return CONEY_OK;
    frame->extra |= LAYOUT_PASSED;
    struct bytes record = {buffer_data(&b->out), len};
    return passing_send(b->passing, frame->tag, record, err);
}

enum coney_rc board_post(struct board *b, const struct record_job *job,
        struct board_ticket *out, struct coney_error *err)
{
    uint32_t slot;
    uint64_t len_passed;
    *out = (struct board_ticket){0};
    if (!find_free_slot(b, &slot))
        return error_set(err, CONEY_ELIMIT, "the board has no free slot");

    struct ring_frame frame = {
            .kind = LAYOUT_JOB, .tag = b->generation + 1, .extra = slot};
    enum coney_rc rc = prepare(b, job, &frame, &len_passed, err);
    if (rc != CONEY_OK)
        return rc;

    b->generation++;
    slot_post(&b->shared->slots[slot], b->generation);
    rc = ring_put(&b->jobs, &frame,
            (frame.extra & LAYOUT_PASSED) ? (void *)&len_passed : buffer_data(&b->out));
    buffer_clear(&b->out);
    if (rc != CONEY_OK) /* there was room; the runner has turned its position back */
        return error_set(err, CONEY_EIO, "the runner broke the board's positions");
    bell_ring(&b->runner_bell, BELL_RECORD);

    b->slots[slot] = (struct posted_job){
            .generation = b->generation, .posted_ms = clock_mono_ms()};
    b->count++;
    *out = (struct board_ticket){.slot = slot, .generation = b->generation};
    return CONEY_OK;
}

unsigned board_count(const struct board *b)
{
    return b->count;
}

bool board_withdraw(struct board *b, struct board_ticket t)
{
    struct posted_job *job = find_job(b, t);
    if (!job || !slot_withdraw(&b->shared->slots[t.slot], t.generation))
        return false;
    release_slot(b, job);
    return true;
}

/* The runner's word for when a job started, between what is possible. */
static int64_t started_at(struct board *b, struct board_ticket t)
{
    struct posted_job *job = &b->slots[t.slot];
    if (job->started_ms == 0) {
        int64_t now_ms = clock_mono_ms();
        int64_t said_ms = atomic_load(&b->shared->slots[t.slot].started_ms);
        job->started_ms = said_ms < job->posted_ms ? job->posted_ms
                          : said_ms > now_ms       ? now_ms
                                                   : said_ms;
    }
    return job->started_ms;
}

enum board_state board_state(struct board *b, struct board_ticket t, int64_t *started_ms)
{
    enum slot_state state;
    if (started_ms)
        *started_ms = 0;
    if (!find_job(b, t))
        return BOARD_GONE;
    /* A word that no step of ours can have left: whatever it means, it isn't "never
     * started". */
    bool is_own = slot_read(&b->shared->slots[t.slot], t.generation, &state);
    if (is_own && state == SLOT_POSTED)
        return BOARD_POSTED;
    if (started_ms)
        *started_ms = started_at(b, t);
    return is_own && state == SLOT_DONE ? BOARD_DONE : BOARD_RUNNING;
}

void board_soft_limit(struct board *b, struct board_ticket t)
{
    if (!find_job(b, t))
        return;
    atomic_store(&b->shared->slots[t.slot].soft_generation, t.generation);
    bell_strike(&b->runner_bell);
}

void board_stop(struct board *b)
{
    atomic_store(&b->shared->stop, 1);
    bell_strike(&b->runner_bell);
}

/* --- news --------------------------------------------------------------------------- */

static enum coney_rc fetch(
        struct board *b, struct ring_frame *frame, struct coney_error *err)
{
    enum coney_rc rc = ring_take(&b->news, frame, &b->in);
    if (rc == CONEY_ENOTFOUND)
        return rc;
    if (rc == CONEY_ENOMEM)
        return error_set_nomem(err);
    if (rc != CONEY_OK)
        return error_set(err, CONEY_EINVAL, "the ring's positions are impossible");
    bell_ring(&b->runner_bell, BELL_ROOM);
    if ((frame->extra & LAYOUT_PASSED) == 0)
        return CONEY_OK;

    uint64_t len;
    if (buffer_len(&b->in) != sizeof(len))
        return error_set(err, CONEY_EINVAL, "a large record without its length");
    memcpy(&len, buffer_data(&b->in), sizeof(len));
    return passing_receive(b->passing, frame->tag, len, &b->in, err);
}

static enum coney_rc take_log(
        struct board *b, struct board_news *out, struct coney_error *err)
{
    struct bytes record = {buffer_data(&b->in), buffer_len(&b->in)};
    if (out->ticket.generation != 0 && !find_job(b, out->ticket))
        return error_set(err, CONEY_EINVAL, "a log line of a job that isn't there");
    out->kind = BOARD_LOG;
    return record_log_decode(record, &out->log, err);
}

static enum coney_rc take_outcome(
        struct board *b, struct board_news *out, struct coney_error *err)
{
    struct bytes record = {buffer_data(&b->in), buffer_len(&b->in)};
    struct posted_job *job = find_job(b, out->ticket);
    enum slot_state state;
    if (!job)
        return error_set(err, CONEY_EINVAL, "the outcome of a job that isn't there");
    if (!slot_read(&b->shared->slots[out->ticket.slot], job->generation, &state) ||
            state != SLOT_DONE)
        return error_set(err, CONEY_EINVAL, "the outcome of a job that isn't done");

    enum coney_rc rc = record_outcome_decode(record, &out->outcome, err);
    if (rc != CONEY_OK)
        return rc;
    out->kind = BOARD_OUTCOME;
    release_slot(b, job);
    return CONEY_OK;
}

static enum coney_rc interpret(struct board *b, const struct ring_frame *frame,
        struct board_news *out, struct coney_error *err)
{
    out->ticket =
            (struct board_ticket){.slot = (uint32_t)(frame->extra & LAYOUT_SLOT_MASK),
                    .generation = frame->tag};
    switch (frame->kind) {
    case LAYOUT_READY:
        out->kind = BOARD_READY;
        return CONEY_OK;
    case LAYOUT_LOG:
        return take_log(b, out, err);
    case LAYOUT_OUTCOME:
        return take_outcome(b, out, err);
    default:
        return error_set(err, CONEY_EINVAL, "a record of unknown kind %u", frame->kind);
    }
}

enum coney_rc board_take(struct board *b, struct board_news *out, struct coney_error *err)
{
    struct ring_frame frame;
    memset(out, 0, sizeof(*out));
    if (b->broken)
        return error_set(err, CONEY_EINVAL, "the runner has broken the contract before");

    enum coney_rc rc = fetch(b, &frame, err);
    if (rc == CONEY_ENOTFOUND)
        return CONEY_OK;
    if (rc == CONEY_OK)
        rc = interpret(b, &frame, out, err);
    if (rc == CONEY_OK)
        return CONEY_OK;
    b->broken = true;
    out->kind = BOARD_NOTHING;
    return rc == CONEY_ENOMEM ? rc : CONEY_EINVAL;
}

bool board_sleep(struct board *b)
{
    if (b->broken)
        return true;
    bell_sleep(&b->own_bell, BELL_RECORD);
    if (!ring_has_record(&b->news))
        return true;
    bell_rise(&b->own_bell);
    return false;
}
