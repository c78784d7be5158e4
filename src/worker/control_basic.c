/* SPDX-License-Identifier: MIT */
/* control_basic.c - commands about the worker as a whole: is it there, what it tells, and
 * its end. */
#include "base/log.h"
#include "worker/control_state.h"

json_t *command_ping(struct worker *w, struct call *call)
{
    (void)w;
    (void)call;
    return control_ok("pong");
}

/* An election is among those who acknowledge; we don't, and never hold one: Celery's
 * workers may die of one with a single candidate. */
json_t *command_nothing(struct worker *w, struct call *call)
{
    (void)w;
    (void)call;
    return NULL;
}

json_t *command_enable_events(struct worker *w, struct call *call)
{
    (void)call;
    if (w->control->tells_of_tasks)
        return control_ok("task events already enabled");
    w->control->tells_of_tasks = true;
    log_info("remote control: task events enabled");
    return control_ok("task events enabled");
}

json_t *command_disable_events(struct worker *w, struct call *call)
{
    (void)call;
    if (!w->control->tells_of_tasks)
        return control_ok("task events already disabled");
    events_flush(w->control);
    w->control->tells_of_tasks = false;
    log_info("remote control: task events disabled");
    return control_ok("task events disabled");
}

json_t *command_heartbeat(struct worker *w, struct call *call)
{
    (void)call;
    events_of_worker(w->control, EVENT_WORKER_HEARTBEAT);
    return NULL;
}

/* Celery's workers answer nothing: they are on their way out. */
json_t *command_shutdown(struct worker *w, struct call *call)
{
    log_warning("remote control: shutdown");
    call->is_taken = true;
    worker_shutdown(w);
    return NULL;
}
