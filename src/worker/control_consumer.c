/* SPDX-License-Identifier: MIT */
/*
 * control_consumer.c - queues to be consumed from, and no longer.
 *
 * A queue that the worker can't declare would keep it from consuming anything, so one to
 * be added is looked for on the control connection first. If it is not there it is made
 * as Celery makes it, durable and bound to an exchange of the same name; only when all of
 * that has gone well does it become a queue like those of the configuration.
 */
#include "base/error.h"
#include "base/log.h"
#include "config/change.h"
#include "worker/control_state.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 256, NOT_FOUND = 404 };
enum { COOKIE_LOOK = 1, COOKIE_MADE, COOKIE_LAST };

struct prospect {
    struct amqp_channel channel;
    struct asker *asker; /* NULL: nobody asks */
    char queue[NAME_SIZE];
    char exchange[NAME_SIZE];
    char type[NAME_SIZE];
    char key[NAME_SIZE];
};

/* Forget the prospect and answer; @reply is taken. */
static void end(struct control *c, json_t *reply_take)
{
    struct prospect *p = c->prospect;

    (void)!session_channel_close(control_link_session(c->link), p->channel);
    c->prospect = NULL;
    if (p->asker)
        control_answer(c->worker, p->asker, reply_take);
    else
        json_decref(reply_take);
    free(p);
}

static json_t *take_up(struct worker *w, const char *queue)
{
    struct coney_error err;
    struct config *config = w->generation->config;

    if (config_queue(config, queue))
        return control_ok("already consuming from %s", queue);
    enum coney_rc rc = config_add_queue(config, queue, &err);
    if (rc == CONEY_OK) {
        rc = reload_in_place(w, &err);
        if (rc != CONEY_OK)
            (void)config_remove_queue(config, queue);
    }
    if (rc != CONEY_OK)
        return control_error("%s", err.text);
    log_info("remote control: consumes from one more queue  queue=%s", queue);
    return control_ok("add consumer %s", queue);
}

/* --- looking for it, and making it -------------------------------------------------- */

static enum coney_rc look(struct control *c, struct prospect *p)
{
    struct session *s = control_link_session(c->link);
    const struct queue_declare q = {.queue = p->queue, .passive = true};
    enum coney_rc rc = session_channel_open(s, &p->channel);
    return rc == CONEY_OK ? session_declare_queue(s, p->channel, &q, COOKIE_LOOK) : rc;
}

static enum coney_rc make(struct control *c, struct prospect *p)
{
    struct session *s = control_link_session(c->link);
    const struct queue_declare q = {.queue = p->queue, .durable = true};
    const struct exchange_declare x = {
            .exchange = p->exchange, .type = p->type, .durable = true};
    const struct binding b = {.to = p->queue, .from = p->exchange, .key = p->key};
    enum coney_rc rc = session_channel_open(s, &p->channel);

    if (rc == CONEY_OK)
        rc = session_declare_exchange(s, p->channel, &x, COOKIE_MADE);
    if (rc == CONEY_OK)
        rc = session_declare_queue(s, p->channel, &q, COOKIE_MADE);
    if (rc == CONEY_OK)
        rc = session_bind_queue(s, p->channel, &b, COOKIE_LAST);
    return rc;
}

static void handle_closed(struct control *c, const struct session_event *ev)
{
    bool may_make = c->worker->generation->config->broker.declare == DECLARE_ACTIVE;

    if (ev->cookie != COOKIE_LOOK || ev->code != NOT_FOUND || !may_make)
        end(c, control_error("%s", ev->error.text));
    else if (make(c, c->prospect) != CONEY_OK)
        end(c, control_error("the connection to the broker is lost"));
}

void consumer_handle(struct control *c, const struct session_event *ev)
{
    struct prospect *p = c->prospect;

    if (!p)
        return;
    if (ev->type == SESSION_DOWN) {
        end(c, control_error("the connection to the broker is lost"));
        return;
    }
    if (ev->channel.number != p->channel.number ||
            ev->channel.generation != p->channel.generation)
        return;
    if (ev->type == SESSION_CHANNEL_CLOSED)
        handle_closed(c, ev);
    else if (ev->type == SESSION_REPLY && ev->cookie != COOKIE_MADE)
        end(c, take_up(c->worker, p->queue));
}

void consumer_stop(struct control *c)
{
    free(c->prospect);
    c->prospect = NULL;
}

/* --- the commands ------------------------------------------------------------------- */

/* False: it is too long. */
static bool take_name(
        const struct call *call, const char *key, const char *otherwise, char *out)
{
    const char *text = json_string_value(json_object_get(call->arguments, key));
    if (!text || !*text)
        text = otherwise;
    if (!text || strlen(text) >= NAME_SIZE)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

json_t *command_add_consumer(struct worker *w, struct call *call)
{
    struct control *c = w->control;
    struct prospect *p;

    if (c->prospect)
        return control_error("another queue is being added; try again");
    p = calloc(1, sizeof(*p));
    if (!p)
        return control_error("out of memory");
    if (!take_name(call, "queue", NULL, p->queue) ||
            !take_name(call, "exchange", p->queue, p->exchange) ||
            !take_name(call, "exchange_type", "direct", p->type) ||
            !take_name(call, "routing_key", p->queue, p->key)) {
        free(p);
        return control_error("queue is not the name of a queue");
    }
    if (look(c, p) != CONEY_OK) {
        free(p);
        return control_error("the connection to the broker is lost");
    }
    c->prospect = p;
    p->asker = control_answer_later(w, call);
    return NULL;
}

json_t *command_cancel_consumer(struct worker *w, struct call *call)
{
    struct coney_error err;
    struct config *config = w->generation->config;
    const char *queue = json_string_value(json_object_get(call->arguments, "queue"));

    if (!queue)
        return control_error("queue is not the name of a queue");
    if (config_queue(config, queue) && config->queue_count == 1)
        return control_error("%s is the last queue; shutdown is for that", queue);
    if (config_remove_queue(config, queue) && reload_in_place(w, &err) != CONEY_OK) {
        log_error("remote control: %s; until the next reload  queue=%s", err.text, queue);
        return control_error("%s", err.text);
    }
    log_info("remote control: consumes no longer  queue=%s", queue);
    return control_ok("no longer consuming from %s", queue);
}
