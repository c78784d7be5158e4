/* SPDX-License-Identifier: MIT */
/* control_stats.c - commands that ask about the worker itself: figures, settings, and
 * what it was made of. */
#include "base/clock.h"
#include "message/inspect.h"
#include "queue/broker.h"
#include "worker/control_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* --- stats -------------------------------------------------------------------------- */

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static struct inspect_usage usage_now(void)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) != 0)
        return (struct inspect_usage){.utime_s = 0};
    return (struct inspect_usage){
            .utime_s = seconds(&u.ru_utime),
            .stime_s = seconds(&u.ru_stime),
            .maxrss = u.ru_maxrss,
            .ixrss = u.ru_ixrss,
            .idrss = u.ru_idrss,
            .isrss = u.ru_isrss,
            .minflt = u.ru_minflt,
            .majflt = u.ru_majflt,
            .nswap = u.ru_nswap,
            .inblock = u.ru_inblock,
            .oublock = u.ru_oublock,
            .msgsnd = u.ru_msgsnd,
            .msgrcv = u.ru_msgrcv,
            .nsignals = u.ru_nsignals,
            .nvcsw = u.ru_nvcsw,
            .nivcsw = u.ru_nivcsw,
    };
}

static struct inspect_broker broker_now(const struct worker *w)
{
    const struct broker_config *b = &w->generation->config->broker;
    const struct session_place place =
            session_place(control_link_session(w->control->link));

    return (struct inspect_broker){
            .hostname = place.host,
            .port = strtol(place.port, NULL, 10),
            .user = place.user,
            .vhost = place.vhost,
            .tls = place.tls,
            .heartbeat_s = b->heartbeat_s,
            .connect_timeout_s = (double)b->connect_timeout_ms / 1000,
    };
}

static json_t *runner_pids(const struct worker *w)
{
    json_t *list = json_array();
    pid_t pids[4096];
    size_t count = pool_pids(w->pool, pids, sizeof(pids) / sizeof(pids[0]));

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, json_integer(pids[i]));
    return list;
}

/* Over all queues, as the broker counts them for us. */
static int64_t prefetch_now(const struct worker *w)
{
    return w->intake ? intake_prefetch(w->intake) : 0;
}

json_t *command_stats(struct worker *w, struct call *call)
{
    const struct control *c = w->control;
    json_t *pids = runner_pids(w);
    const struct inspect_stats s = {
            .totals = c->totals,
            .pid = getpid(),
            .clock = c->clock,
            .uptime_s = (clock_mono_ms() - c->started_ms) / 1000,
            .concurrency = pool_size(w->pool),
            .processes = pids,
            .busy = pool_busy_count(w->pool),
            .prefetch = prefetch_now(w),
            .broker = broker_now(w),
            .usage = usage_now(),
    };

    (void)call;
    json_t *o = inspect_stats(&s);
    json_decref(pids);
    return o;
}

json_t *command_clock(struct worker *w, struct call *call)
{
    (void)call;
    return json_pack("{s:I}", "clock", (json_int_t)w->control->clock);
}

/* --- settings ----------------------------------------------------------------------- */

/* What Celery's tools look for under Celery's names, and our own sections as they are. */
json_t *command_conf(struct worker *w, struct call *call)
{
    const struct config *config = w->generation->config;
    json_t *all = config_json(config);
    json_t *urls = json_object_get(json_object_get(all, "broker"), "urls");
    json_t *first = json_array_get(urls, 0);

    (void)call;
    if (!all)
        return NULL;
    (void)json_object_set(all, "broker_url", first);
    (void)json_object_set_new(
            all, "worker_concurrency", json_integer(config->worker.concurrency));
    (void)json_object_set_new(
            all, "worker_send_task_events", json_boolean(w->control->tells_of_tasks));
    (void)json_object_set_new(all, "timezone", json_string(config->beat.timezone));
    return all;
}

json_t *command_report(struct worker *w, struct call *call)
{
    const struct worker_config *c = &w->generation->config->worker;
    char text[2048];
    struct utsname system;
    struct buffer settings;
    json_t *reply = NULL;

    (void)call;
    if (uname(&system) != 0)
        system = (struct utsname){.sysname = "?"};
    int len = snprintf(text, sizeof(text),
            "\nsoftware -> coney:%s broker:%s\n"
            "platform -> system:%s kernel version:%s arch:%s\n"
            "node     -> %s pid:%d runners:%u plugins:%zu\n\n",
            CONEY_VERSION, session_broker(control_link_session(w->control->link)),
            system.sysname, system.release, system.machine, w->node, (int)getpid(),
            c->concurrency, c->plugins.count);
    buffer_init(&settings, 1024 * 1024);
    if (buffer_append(&settings, text, (size_t)len) == CONEY_OK &&
            config_print(w->generation->config, &settings) == CONEY_OK)
        reply = json_pack("{s:s%}", "ok", buffer_data(&settings), buffer_len(&settings));
    buffer_fini(&settings);
    return reply;
}

/* Python's heap is what these look into. */
json_t *command_without_python(struct worker *w, struct call *call)
{
    (void)w;
    return control_error("%s is about Python's memory; %s is none of Python",
            call->request->method, "coney");
}
