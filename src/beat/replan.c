/* SPDX-License-Identifier: MIT */
/*
 * replan.c - from one plan to the next, without losing a tick.
 *
 * The files are read in a thread. The change itself waits until every tick on its way is
 * confirmed and the token says so, and gives out no new ones meanwhile: those due come
 * from the new plan, which knows how far each entry has got. Another broker, or other
 * certificates, mean a new connection: the token is handed back and perhaps comes again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "beat/state.h"

#include <stdlib.h>
#include <systemd/sd-daemon.h>

struct replan {
    uv_work_t work;
    struct beat *beat;
    struct plan *plan; /* owned until handed over */
    struct mistakes mistakes;
    struct coney_error error;
    enum coney_rc rc;
};

/* --- changing over
 * ----------------------------------------------------------------------------- */

static void refuse(struct beat *b, const char *why)
{
    log_error("reload: %s; nothing has changed", why);
    plan_free(b->next_plan);
    b->next_plan = NULL;
    leader_resume(b->leader);
}

static void change_plan(struct beat *b)
{
    struct plan *old = b->plan;
    const struct leader_moment moment = beat_moment(b);

    if (leader_set_agenda(b->leader, b->next_plan->agenda, &moment) != CONEY_OK) {
        refuse(b, "out of memory");
        return;
    }
    b->generation++;
    b->plan = b->next_plan;
    b->next_plan = NULL;
    log_set_level(b->plan->config->worker.log_level);
    if (seat_declare_plan(b) != CONEY_OK)
        log_error("reload: out of memory; new queues are not declared");
    plan_free(old);
    log_info("reloaded  entries=%zu", b->plan->config->entry_count);
}

static void change_connection(struct beat *b)
{
    struct coney_error err = {.text = ""};

    if (seat_try(b, b->next_plan, &err) != CONEY_OK) {
        refuse(b, err.text);
        return;
    }
    b->is_reconnecting = true;
    log_info("connecting anew");
    if (session_is_up(b->session))
        session_close(b->session, BEAT_PATIENCE_MS);
    else
        beat_closed(b);
}

void replan_look(struct beat *b)
{
    if (!b->next_plan || b->phase != BEAT_RUNNING || b->is_reconnecting ||
            declarer_state(b->declarer) == DECLARER_BUSY)
        return;
    if (!leader_is_quiet(b->leader) && clock_mono_ms() < b->patience_ms)
        return;
    if (plan_has_same_broker(b->plan, b->next_plan)) {
        change_plan(b);
        return;
    }
    change_connection(b);
}

/* --- reading
 * ----------------------------------------------------------------------------------- */

static void load(uv_work_t *work)
{
    struct replan *r = work->data;
    r->rc = plan_load(r->beat->config_path, &r->plan, &r->mistakes, &r->error);
}

static void log_mistakes(const struct replan *r)
{
    for (size_t i = 0; i < r->mistakes.count; i++) {
        const struct mistake *m = &r->mistakes.items[i];
        log_error("%s:%u:%u: %s", m->file, m->line, m->column, m->text);
    }
    if (r->mistakes.count == 0)
        log_error("%s", r->error.text);
    log_error("reload refused; the beat goes on as before  mistakes=%zu",
            r->mistakes.count);
}

static void after_load(uv_work_t *work, int status)
{
    struct replan *r = work->data;
    struct beat *b = r->beat;

    b->replan = NULL;
    if (status == 0 && r->rc == CONEY_OK && b->phase == BEAT_RUNNING) {
        b->next_plan = r->plan;
        r->plan = NULL;
        b->patience_ms = clock_mono_ms() + BEAT_PATIENCE_MS;
        leader_pause(b->leader);
    } else if (r->rc != CONEY_OK) {
        log_mistakes(r);
    }
    (void)sd_notify(0, "READY=1");
    plan_free(r->plan);
    mistakes_fini(&r->mistakes);
    free(r);
    beat_wake(b);
}

void replan_begin(struct beat *b)
{
    if (b->replan || b->next_plan || b->phase != BEAT_RUNNING)
        return;
    struct replan *r = calloc(1, sizeof(*r));
    if (!r) {
        log_error("reload: out of memory; nothing has changed");
        return;
    }
    r->beat = b;
    r->work.data = r;
    b->replan = r;
    (void)sd_notify(0, "RELOADING=1");
    log_info("reloading");
    if (uv_queue_work(&b->loop, &r->work, load, after_load) != 0) {
        b->replan = NULL;
        free(r);
    }
}
