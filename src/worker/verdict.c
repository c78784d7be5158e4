/* SPDX-License-Identifier: MIT */
/* verdict.c - from records and deaths to outcomes. */
#include "worker/verdict.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

int verdict_signal(const struct death *d)
{
    return WIFSIGNALED(d->wait_status) ? WTERMSIG(d->wait_status) : 0;
}

int verdict_exit_status(const struct death *d)
{
    return WIFEXITED(d->wait_status) ? WEXITSTATUS(d->wait_status) : -1;
}

/* What the master held against it, or NULL. */
static const char *accusation(enum runner_kill why)
{
    switch (why) {
    case RUNNER_KILL_NONE:
        return NULL;
    case RUNNER_KILL_ASKED:
        return "killed on request";
    case RUNNER_KILL_LIMIT:
        return "killed at a time limit";
    case RUNNER_KILL_NO_HELLO:
        return "killed: not ready in time";
    case RUNNER_KILL_NO_START:
        return "killed: left a job lying";
    case RUNNER_KILL_OVERSTAYED:
        return "killed: did not end when asked to";
    case RUNNER_KILL_BROKEN:
        return "killed: wrote nonsense on its board";
    }
    return NULL;
}

void verdict_describe(const struct death *d, char space[VERDICT_TEXT_SIZE])
{
    int sig = verdict_signal(d);
    const char *name = sig ? sigabbrev_np(sig) : NULL;
    const char *accused = accusation(d->killed);

    if (accused && d->trouble[0])
        snprintf(space, VERDICT_TEXT_SIZE, "%s: %s", accused, d->trouble);
    else if (accused)
        snprintf(space, VERDICT_TEXT_SIZE, "%s", accused);
    else if (sig)
        snprintf(space, VERDICT_TEXT_SIZE, "killed by signal %d (%s)%s", sig,
                name ? name : "?", WCOREDUMP(d->wait_status) ? ", core dumped" : "");
    else
        snprintf(space, VERDICT_TEXT_SIZE, "exited with status %d",
                verdict_exit_status(d));
}

static enum outcome_kind kind_said(enum record_kind kind)
{
    switch (kind) {
    case RECORD_SUCCESS:
        return OUTCOME_SUCCESS;
    case RECORD_RETRY:
        return OUTCOME_RETRY;
    case RECORD_FAIL:
        return OUTCOME_FAIL;
    case RECORD_REJECT:
        return OUTCOME_REJECT;
    case RECORD_IGNORE:
        return OUTCOME_IGNORE;
    case RECORD_CRASHED:
        return OUTCOME_CRASHED;
    case RECORD_REQUEUE:
        return OUTCOME_REQUEUE;
    case RECORD_UNKNOWN:
        return OUTCOME_UNKNOWN;
    }
    return OUTCOME_FAIL;
}

void verdict_said(const struct record_outcome *said, struct outcome *o)
{
    *o = (struct outcome){
            .kind = kind_said(said->kind),
            .value = said->value,
            .error_type = said->error_type,
            .error_text = said->error_text,
            .error_module = said->error_module,
            .error_args = said->error_args,
            .traceback = said->traceback,
            .children = said->children,
            .no_result = said->no_result,
            .publish = said->publish,
            .tasks = said->tasks,
            .again = said->again,
            .delay_ms = said->delay_ms,
            .max_retries = said->max_retries,
            .signal = said->signal,
            .exit_status = said->exit_status,
            .max_rss_kib = said->max_rss_kib,
            .stderr_tail = said->stderr_tail,
            .started_us = said->started_us,
            .duration_ms = said->duration_ms,
    };
}

/* The names under which Celery's clients know these two (billiard.exceptions). */
static const char crashed_type[] = "WorkerLostError";
static const char timed_out_type[] = "TimeLimitExceeded";
static const char module[] = "billiard.exceptions";

void verdict_death(const struct death *d, const struct remains *j,
        char space[VERDICT_TEXT_SIZE], struct outcome *o)
{
    *o = (struct outcome){
            .kind = OUTCOME_STOPPED,
            .delay_ms = -1,
            .max_retries = -1,
            .signal = verdict_signal(d),
            .exit_status = verdict_exit_status(d),
            .max_rss_kib = d->max_rss_kib,
    };
    if (j->state == BOARD_POSTED)
        return;

    if (j->started_ms > 0) {
        o->duration_ms = j->now_ms > j->started_ms ? j->now_ms - j->started_ms : 0;
        o->started_us = j->now_us - o->duration_ms * 1000;
    }
    if (j->overran) {
        o->kind = OUTCOME_TIMED_OUT;
        o->error_type = timed_out_type;
        o->error_module = module;
        snprintf(space, VERDICT_TEXT_SIZE, "killed after %.1f s; its limit is %.1f s",
                (double)o->duration_ms / 1000, (double)j->hard_ms / 1000);
        o->error_text = space;
    } else if (d->killed != RUNNER_KILL_ASKED) {
        o->kind = OUTCOME_CRASHED;
        o->error_type = crashed_type;
        o->error_module = module;
        verdict_describe(d, space);
        o->error_text = space;
    }
}
