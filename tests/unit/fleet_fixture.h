/* SPDX-License-Identifier: MIT */
/* fleet_fixture.h - a fleet of Celery workers, out of what they would have answered. */
#ifndef CONEY_TESTS_FLEET_FIXTURE_H
#define CONEY_TESTS_FLEET_FIXTURE_H

#include "cli/celery_fleet.h"
#include "test.h"

#include <string.h>

struct fleet_fixture {
    struct question questions[FLEET_QUESTIONS];
    struct celery_fleet fleet;
};

static inline json_t *fleet_json(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);
    if (!value)
        fail_msg("%s: %s", text, error.text);
    return value;
}

static inline void fleet_answer(struct fleet_fixture *x, enum fleet_question which,
        const char *node, const char *reply)
{
    json_t *replies = x->questions[which].replies;
    assert_int_equal(json_object_set_new(replies, node, fleet_json(reply)), 0);
}

static inline void fleet_begin(struct fleet_fixture *x)
{
    assert_int_equal(fleet_questions(x->questions), CONEY_OK);
    for (size_t i = 0; i < FLEET_QUESTIONS; i++)
        x->questions[i].replies = json_object();
}

/* One node; @conf is a JSON object without its braces. */
static inline void fleet_node(struct fleet_fixture *x, const char *node, const char *conf,
        const char *tasks, const char *queues)
{
    char text[8192];
    snprintf(text, sizeof(text), "{\"worker_hijack_root_logger\": true%s%s}",
            *conf ? ", " : "", conf);
    fleet_answer(x, FLEET_CONF, node, text);
    fleet_answer(x, FLEET_DEFAULTS, node, text);
    fleet_answer(x, FLEET_TASKS, node, tasks);
    fleet_answer(x, FLEET_QUEUES, node, queues);
    fleet_answer(x, FLEET_HELD, node, "[]");
    fleet_answer(x, FLEET_STATS, node, "{\"pool\": {\"max-concurrency\": 4}}");
}

static inline void fleet_one(
        struct fleet_fixture *x, const char *conf, const char *tasks, const char *queues)
{
    fleet_begin(x);
    fleet_node(x, "w1@vm", conf, tasks, queues);
    assert_int_equal(fleet_learn(x->questions, &x->fleet, NULL), CONEY_OK);
}

static inline void fleet_end(struct fleet_fixture *x)
{
    fleet_fini(&x->fleet);
    questions_fini(x->questions, FLEET_QUESTIONS);
}

#endif /* CONEY_TESTS_FLEET_FIXTURE_H */
