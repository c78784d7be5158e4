/* SPDX-License-Identifier: MIT */
/*
 * runner_proc.c - three handles (news, output, time) around one child process.
 *
 * The timer is lazy: it is set no later than the next deadline, and whatever it finds
 * when it fires decides. A stream of short jobs with long limits so costs one timer every
 * half minute and not two heap operations each.
 */
#include "worker/runner_proc.h"

#include "base/clock.h"
#include "base/error.h"
#include "board/board.h"
#include "worker/descendants.h"
#include "worker/output.h"
#include "worker/posted.h"
#include "worker/spawn.h"
#include "worker/verdict.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    UNDEAD_MS = 10 * 1000, /* after SIGKILL: somebody should be told */
    NO_MEMORY_MS = 100,    /* until news is looked at again */
    NEWS_PER_TURN = 64,
    NEWS_AFTER_DEATH = 64 * 1024, /* more than a board holds */
    READS_PER_TURN = 1,
    READS_TO_CATCH_UP = 32, /* twice a full pipe */
    READ_SIZE = 4096
};

struct runner_proc {
    enum runner_state state;
    enum runner_kill killed;
    struct runner_events events;
    int64_t kill_after_soft_ms;
    int64_t hello_ms;
    int64_t start_ms; /* counts when there is no other job to finish first */
    int64_t stop_ms;

    pid_t pid;
    int output_fd;       /* owned */
    struct board *board; /* owned */
    bool board_is_broken;
    struct coney_error trouble; /* how; else empty */

    int64_t started_ms;
    int64_t ending_ms;   /* since when it is RUNNER_ENDING */
    int64_t due_ms;      /* when the timer fires; CLOCK_NEVER: it is not set */
    unsigned long tasks; /* finished */
    bool has_worked;     /* has begun at least one */
    bool worn;
    struct posted_list jobs;
    struct output output;

    uv_poll_t news;
    uv_poll_t chatter;
    uv_timer_t timer;
    unsigned handles; /* not yet closed */
};

/* --- plain questions ---------------------------------------------------------------- */

enum runner_state runner_proc_state(const struct runner_proc *r)
{
    return r->state;
}

pid_t runner_proc_pid(const struct runner_proc *r)
{
    return r->pid;
}

int64_t runner_proc_started_ms(const struct runner_proc *r)
{
    return r->started_ms;
}

unsigned long runner_proc_tasks(const struct runner_proc *r)
{
    return r->tasks;
}

bool runner_proc_is_worn(const struct runner_proc *r)
{
    return r->worn;
}

enum runner_kill runner_proc_killed(const struct runner_proc *r)
{
    return r->killed;
}

bool runner_proc_has_job(const struct runner_proc *r, const void *job)
{
    return posted_has(&r->jobs, job);
}

/* --- time --------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

/* See to it that the timer fires at @at_ms or earlier. */
static void arm(struct runner_proc *r, int64_t at_ms)
{
    if (at_ms >= r->due_ms || r->state == RUNNER_GONE)
        return;
    int64_t wait_ms = at_ms - clock_mono_ms();
    r->due_ms = at_ms;
    /* libuv counts from the start of its turn: it may fire early, never late. */
    uv_timer_start(&r->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

/* Returns when to look again. */
static int64_t check_jobs(struct runner_proc *r, int64_t now_ms)
{
    int64_t next_ms;
    switch (posted_check(&r->jobs, r->board, r->start_ms, now_ms, &next_ms)) {
    case POSTED_PATIENCE:
        break;
    case POSTED_TELL:
        kill(r->pid, SIGUSR1);
        break;
    case POSTED_KILL_LIMIT:
        runner_proc_kill(r, RUNNER_KILL_LIMIT);
        break;
    case POSTED_KILL_IDLER:
        runner_proc_kill(r, RUNNER_KILL_NO_START);
        break;
    }
    return next_ms;
}

static int64_t check_ending(struct runner_proc *r, int64_t now_ms)
{
    if (r->killed == RUNNER_KILL_NONE) {
        if (now_ms < r->ending_ms + r->stop_ms)
            return r->ending_ms + r->stop_ms;
        runner_proc_kill(r, RUNNER_KILL_OVERSTAYED);
        return CLOCK_NEVER;
    }
    if (now_ms >= r->ending_ms + UNDEAD_MS) {
        char text[80];
        snprintf(text, sizeof(text),
                "runner[%ld] does not die; waiting  signal=9 since=10s", (long)r->pid);
        r->events.on_log(r->events.ctx, NULL, LOG_LEVEL_WARNING, text);
        r->ending_ms = now_ms;
    }
    return r->ending_ms + UNDEAD_MS;
}

/* Act on every deadline that has passed and set the timer for the next. */
static void check_deadlines(struct runner_proc *r)
{
    int64_t now_ms = clock_mono_ms();
    switch (r->state) {
    case RUNNER_STARTING:
        if (now_ms >= r->started_ms + r->hello_ms)
            runner_proc_kill(r, RUNNER_KILL_NO_HELLO);
        else
            arm(r, r->started_ms + r->hello_ms);
        break;
    case RUNNER_BUSY:
        arm(r, check_jobs(r, now_ms));
        break;
    case RUNNER_ENDING:
        arm(r, check_ending(r, now_ms));
        break;
    case RUNNER_IDLE:
    case RUNNER_GONE:
        break;
    }
}

/* --- output ------------------------------------------------------------------------- */

static void on_line(void *ctx, const char *line)
{
    struct runner_proc *r = ctx;
    /* With several jobs at once nobody knows which of them has written it. */
    struct posted *j = r->jobs.count == 1 ? posted_next(&r->jobs, NULL) : NULL;
    r->events.on_log(r->events.ctx, j ? j->job : NULL, LOG_LEVEL_INFO, line);
}

static void read_output(struct runner_proc *r, unsigned reads)
{
    char chunk[READ_SIZE];
    while (reads-- > 0) {
        ssize_t n = read(r->output_fd, chunk, sizeof(chunk));
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) { /* the runner has closed it: nothing more to poll for */
            uv_poll_stop(&r->chatter);
            return;
        }
        output_take(&r->output, chunk, (size_t)n, clock_mono_ms());
    }
}

static void on_chatter(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    read_output(poll->data, READS_PER_TURN);
}

/* --- news --------------------------------------------------------------------------- */

static bool is_worn_by(
        const struct runner_proc *r, const struct posted *j, int64_t rss_kib)
{
    return (j->max_tasks > 0 && r->tasks >= j->max_tasks) ||
           (j->max_memory != CONFIG_NONE && rss_kib > j->max_memory / 1024);
}

/* From here on the runner may have another job in its place. */
static void *release_job(struct runner_proc *r, struct posted *j)
{
    void *job = posted_remove(&r->jobs, j);
    if (r->jobs.count == 0 && r->state == RUNNER_BUSY)
        r->state = RUNNER_IDLE;
    return job;
}

static void report(struct runner_proc *r, struct posted *j, struct outcome *o)
{
    char tail[OUTPUT_TAIL_SIZE];

    output_flush(&r->output, clock_mono_ms());
    if (o->stderr_tail.len == 0)
        o->stderr_tail = (struct bytes){tail, output_tail(&r->output, tail)};
    output_forget(&r->output);
    o->runner_pid = (int)r->pid;
    r->events.on_outcome(r->events.ctx, release_job(r, j), o);
}

static void take_outcome(struct runner_proc *r, const struct board_news *news)
{
    struct outcome o;
    struct posted *j = posted_find(&r->jobs, news->ticket);
    assert(j); /* the board gives each ticket of ours once */

    r->tasks++;
    r->has_worked = true;
    r->worn = r->worn || is_worn_by(r, j, news->outcome.rss_kib);
    verdict_said(&news->outcome, &o);
    read_output(r, READS_TO_CATCH_UP);
    report(r, j, &o);
}

static void take_ready(struct runner_proc *r)
{
    if (r->state != RUNNER_STARTING)
        return;
    r->state = RUNNER_IDLE;
    r->events.on_ready(r->events.ctx);
}

static void take_news(struct runner_proc *r, const struct board_news *news)
{
    struct posted *j;
    switch (news->kind) {
    case BOARD_NOTHING:
        break;
    case BOARD_READY:
        take_ready(r);
        break;
    case BOARD_LOG:
        j = posted_find(&r->jobs, news->ticket);
        if (output_spend(&r->output, clock_mono_ms()))
            r->events.on_log(
                    r->events.ctx, j ? j->job : NULL, news->log.level, news->log.text);
        break;
    case BOARD_OUTCOME:
        take_outcome(r, news);
        break;
    }
}

/* Take what the runner has said, up to @budget; returns whether that was all. */
static bool take_all_news(struct runner_proc *r, unsigned budget)
{
    struct board_news news;
    for (; budget > 0; budget--) {
        struct coney_error err;
        if (r->board_is_broken)
            return true;
        enum coney_rc rc = board_take(r->board, &news, &err);
        if (rc == CONEY_ENOMEM) {
            arm(r, clock_mono_ms() + NO_MEMORY_MS);
            return true;
        }
        if (rc != CONEY_OK) {
            r->board_is_broken = true;
            r->trouble = err;
            uv_poll_stop(&r->news);
            runner_proc_kill(r, RUNNER_KILL_BROKEN);
            return true;
        }
        if (news.kind == BOARD_NOTHING &&
                (r->state == RUNNER_GONE || board_sleep(r->board)))
            return true;
        take_news(r, &news);
    }
    return false;
}

static void pump(struct runner_proc *r)
{
    /* Out of budget: come back in the next turn, after the others. */
    if (!take_all_news(r, NEWS_PER_TURN))
        (void)eventfd_write(board_event_fd(r->board), 1);
}

static void on_news(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    pump(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct runner_proc *r = timer->data;
    r->due_ms = CLOCK_NEVER;
    /* First what is finished: it counts, however late we are. */
    pump(r);
    check_deadlines(r);
}

/* --- death -------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct runner_proc *r = handle->data;
    if (--r->handles > 0)
        return;
    if (r->events.on_gone)
        r->events.on_gone(r->events.ctx);
    free(r);
}

static void close_poll(uv_poll_t *poll, int *fd)
{
    if (poll->data)
        uv_close((uv_handle_t *)poll, on_closed);
    if (fd && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* Let go of everything; @r is freed once libuv has. */
static void dissolve(struct runner_proc *r)
{
    r->state = RUNNER_GONE;
    close_poll(&r->chatter, &r->output_fd);
    close_poll(&r->news, NULL);
    board_free(r->board);
    r->board = NULL;
    uv_close((uv_handle_t *)&r->timer, on_closed);
}

/* Returns false as long as it lives. */
static bool find_dead(struct runner_proc *r, struct death *d)
{
    struct rusage usage;
    siginfo_t info = {0};
    *d = (struct death){
            .max_rss_kib = -1, .killed = r->killed, .trouble = r->trouble.text};
    int rc = waitid(P_PID, (id_t)r->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (rc == 0 && info.si_pid == 0)
        return false;

    /* Before it is reaped: until then the number of its group is certainly its own. */
    if (rc == 0)
        descendants_kill_group(r->pid);
    if (wait4(r->pid, &d->wait_status, WNOHANG, &usage) == r->pid)
        d->max_rss_kib = usage.ru_maxrss;
    return true;
}

/* Returns how many jobs its death was the outcome of. */
static unsigned report_remains(struct runner_proc *r, const struct death *d)
{
    unsigned lost = 0;
    char text[VERDICT_TEXT_SIZE];
    for (struct posted *j = posted_next(&r->jobs, NULL); j;
            j = posted_next(&r->jobs, j)) {
        struct outcome o;
        struct remains m = {.hard_ms = j->hard_ms,
                .overran = j->overran,
                .now_ms = clock_mono_ms(),
                .now_us = clock_wall_us()};
        m.state = board_state(r->board, j->ticket, &m.started_ms);
        if (m.state != BOARD_POSTED) {
            r->has_worked = true;
            lost++;
        }
        verdict_death(d, &m, text, &o);
        report(r, j, &o);
    }
    return lost;
}

void runner_proc_reap(struct runner_proc *r)
{
    struct death d;
    char text[VERDICT_TEXT_SIZE];

    if (r->state == RUNNER_GONE || !find_dead(r, &d))
        return;
    r->state = RUNNER_GONE;
    uv_timer_stop(&r->timer);
    read_output(r, READS_TO_CATCH_UP);
    (void)take_all_news(r, NEWS_AFTER_DEATH);
    unsigned lost = report_remains(r, &d);
    output_flush(&r->output, clock_mono_ms());

    verdict_describe(&d, text);
    struct runner_end end = {.signal = verdict_signal(&d),
            .exit_status = verdict_exit_status(&d),
            .has_worked = r->has_worked,
            .jobs_lost = lost,
            .text = text};
    r->events.on_end(r->events.ctx, &end);
    dissolve(r);
}

void runner_proc_kill(struct runner_proc *r, enum runner_kill why)
{
    if (r->killed != RUNNER_KILL_NONE || r->state == RUNNER_GONE)
        return;
    r->killed = why;
    r->state = RUNNER_ENDING;
    r->ending_ms = clock_mono_ms();
    descendants_kill_group(r->pid);
    arm(r, r->ending_ms + UNDEAD_MS);
    if (why != RUNNER_KILL_ASKED)
        r->events.on_unfit(r->events.ctx);
}

void runner_proc_stop(struct runner_proc *r)
{
    assert(r->jobs.count == 0);
    if (r->state == RUNNER_ENDING || r->state == RUNNER_GONE)
        return;
    r->state = RUNNER_ENDING;
    r->ending_ms = clock_mono_ms();
    board_stop(r->board);
    arm(r, r->ending_ms + r->stop_ms);
}

/* --- jobs --------------------------------------------------------------------------- */

enum coney_rc runner_proc_assign(
        struct runner_proc *r, const struct assignment *a, struct coney_error *err)
{
    const struct posting p = {.assignment = a,
            .kill_after_soft_ms = r->kill_after_soft_ms,
            .now_ms = clock_mono_ms()};
    int64_t next_ms;
    assert(r->state == RUNNER_IDLE || r->state == RUNNER_BUSY);

    enum coney_rc rc = posted_add(&r->jobs, r->board, &p, &next_ms, err);
    if (rc != CONEY_OK)
        return rc;
    r->state = RUNNER_BUSY;
    arm(r, next_ms);
    arm(r, p.now_ms + r->start_ms);
    return CONEY_OK;
}

/* --- birth -------------------------------------------------------------------------- */

static enum coney_rc open_poll(struct runner_proc *r, uv_loop_t *loop, uv_poll_t *poll,
        int fd, struct coney_error *err)
{
    int rc = uv_poll_init(loop, poll, fd);
    if (rc != 0)
        return error_set(err, CONEY_EIO, "runner: poll: %s", uv_strerror(rc));
    poll->data = r;
    r->handles++;
    return CONEY_OK;
}

static enum coney_rc start_process(struct runner_proc *r, const struct runner_options *o,
        int output_fd, struct coney_error *err)
{
    int fds[BOARD_FD_END - BOARD_FD_MEMORY];
    _Static_assert((int)BOARD_FD_MEMORY == (int)SPAWN_FIRST_FD, "spawn puts it there");
    for (enum board_fd fd = BOARD_FD_MEMORY; fd < BOARD_FD_END; fd++)
        fds[fd - BOARD_FD_MEMORY] = board_runner_fd(r->board, fd);

    struct spawn s = {.program_fd = o->program_fd,
            .argv = o->argv,
            .environ = o->environ,
            .fds = fds,
            .fd_count = sizeof(fds) / sizeof(*fds),
            .output_fd = output_fd,
            .error_fd = output_fd};
    enum coney_rc rc = spawn_program(&s, &r->pid, err);
    board_close_runner_fds(r->board);
    return rc;
}

/* Everything that can fail; on failure dissolve() takes back what there is. */
static enum coney_rc open_all(
        struct runner_proc *r, const struct runner_options *o, struct coney_error *err)
{
    int pipe_fds[2] = {-1, -1};
    enum coney_rc rc = board_new(0, &r->board, err);
    if (rc != CONEY_OK)
        return rc;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return error_set_errno(err, "runner: pipe");
    r->output_fd = pipe_fds[0];

    rc = open_poll(r, o->loop, &r->chatter, r->output_fd, err);
    if (rc == CONEY_OK)
        rc = open_poll(r, o->loop, &r->news, board_event_fd(r->board), err);
    if (rc == CONEY_OK)
        rc = start_process(r, o, pipe_fds[1], err);
    close(pipe_fds[1]);
    return rc;
}

enum coney_rc runner_proc_start(const struct runner_options *options,
        struct runner_proc **out, struct coney_error *err)
{
    struct runner_proc *r = calloc(1, sizeof(*r));
    if (!r)
        return error_set_nomem(err);

    r->state = RUNNER_STARTING;
    r->kill_after_soft_ms = options->kill_after_soft_ms;
    r->hello_ms = options->hello_ms;
    r->start_ms = options->start_ms;
    r->stop_ms = options->stop_ms;
    r->output_fd = -1;
    r->started_ms = clock_mono_ms();
    r->due_ms = CLOCK_NEVER;
    output_init(&r->output, on_line, r, r->started_ms);
    uv_timer_init(options->loop, &r->timer);
    r->timer.data = r;
    r->handles = 1;

    enum coney_rc rc = open_all(r, options, err);
    if (rc != CONEY_OK) {
        dissolve(r);
        return rc;
    }
    r->events = options->events;
    uv_poll_start(&r->chatter, UV_READABLE, on_chatter);
    uv_poll_start(&r->news, UV_READABLE, on_news);
    arm(r, r->started_ms + r->hello_ms);
    /* It may have spoken already. */
    arm(r, board_sleep(r->board) ? CLOCK_NEVER : r->started_ms);
    *out = r;
    return CONEY_OK;
}
